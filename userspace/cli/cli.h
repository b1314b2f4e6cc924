/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cli.h - the frame that every command of xdpmig stands in
 *
 * A command is a struct cli_spec (what its command line looks like) and a
 * function that runs it; main.c pairs them in one table.  The frame reads
 * flags and configuration file into the command's options, runs it, prints
 * its result or the one message of its failure, and picks the exit status.
 *
 *   static const struct cli_opt frob_opts[] = {
 *           { "size", .type = CLI_BYTES, .arg = "BYTES",
 *             .offset = offsetof(struct frob_opts, size), .max = 1 << 30,
 *             .def = 1 << 20, .help = "how much to frob" },
 *           { 0 },
 *   };
 *   static const struct cli_group frob_groups[] = {
 *           { "Options", frob_opts }, { 0 },
 *   };
 *   const struct cli_spec cli_frob = {
 *           .name = "frob", .help = "frob the frobs",
 *           .groups = frob_groups, .size = sizeof(struct frob_opts),
 *   };
 *   int cmd_frob(struct cli_ctx *cli, const void *opts);
 *
 * --help, the configuration file, --dry-run's echo, the check of man page and
 * completion all come from these tables.
 */
#ifndef XM_CLI_CLI_H
#define XM_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "out.h"
#include "util/error.h"

/* -- exit status ------------------------------------------------------------ */

/* Where may the guest run?  xdpmig(8), EXIT STATUS. */
enum cli_exit {
	CLI_EXIT_DONE = 0,     /* migrated and confirmed: target only */
	CLI_EXIT_LOCAL = 1,    /* device, memory, permission: source */
	CLI_EXIT_USAGE = 2,    /* command line or configuration: source */
	CLI_EXIT_REFUSED = 3,  /* by the peer: source */
	CLI_EXIT_NOT_DONE = 4, /* no convergence, time out, cancelled: source */
	CLI_EXIT_INTEGRITY = 5, /* totals or hashes differ: source */
	CLI_EXIT_UNKNOWN = 6,   /* contact lost after COMMIT: ask the target */
};

enum cli_exit cli_exit_status(enum xm_reason reason);

/* -- options ---------------------------------------------------------------- */

/* What the field at .offset is, and what .min and .max bound. */
enum cli_type {
	CLI_FLAG, /* bool, false; --name, --name=no, "name = yes" in the file */
	CLI_STR,  /* const char *, NULL when absent; .max: longest, 0 any */
	CLI_UINT, /* unsigned int */
	CLI_BYTES,    /* uint64_t; K M G T are powers of 1024 */
	CLI_RATE,     /* uint64_t, bits per second; K M G T powers of 1000 */
	CLI_DURATION, /* uint64_t, nanoseconds; us ms s min */
	CLI_ENUM,     /* an enum, as int; .names in the order of its values */
	CLI_QUEUES,   /* struct cli_queues; .max: highest queue number */
};

struct cli_queues {
	unsigned int first, n; /* n 0: not said */
	bool is_range;         /* these queues, not just so many */
};

struct cli_opt {
	const char *name;  /* long option and key of the file; NULL ends */
	char letter;       /* short option, or 0 */
	const char *alias; /* second key in the file, or NULL */
	enum cli_type type;
	const char *arg; /* placeholder of the value: "BYTES" */
	size_t offset;   /* of the field, from the group's base */
	uint64_t min, max;
	const char *const *names; /* of CLI_ENUM, NULL-terminated */
	uint64_t def;             /* default; for CLI_QUEUES the count */
	const char *def_str;      /* default of CLI_STR; else what --help says
				   * instead of .def */
	const char *zero;         /* word that may be said for 0: "none" */
	const char *bare; /* value of --name without one: then the value must
			   * be attached, --name=VALUE */
	bool required;    /* positionals: to be given here or in the file */
	const char *help; /* lower case, no full stop */
};

struct cli_group {
	const char *title; /* heading in --help; NULL ends */
	const struct cli_opt *opts;
	size_t base; /* where the struct that opts fill lies in the options */
};

/* What a command line looks like. */
struct cli_spec {
	const char *name;
	const char *help;               /* one line of `xdpmig --help` */
	const char *about;              /* a paragraph for COMMAND --help */
	const struct cli_opt *pos;      /* positionals, base 0, or NULL */
	const struct cli_group *groups; /* or NULL */
	size_t size;                    /* of the options */
	const char *example;            /* lines for --help, or NULL */
	bool is_report; /* without its output it has done nothing */
};

/* Every command takes these too. */
struct cli_std {
	bool json, pretty, quiet, verbose;
	const char *config;
};

enum cli_origin { CLI_DEFAULTED, CLI_FILE_DEFAULT, CLI_FILE, CLI_FLAGGED };

/* -- commands --------------------------------------------------------------- */

struct cli_setting {
	const struct cli_opt *opt;
	void *field;
	enum cli_origin origin;
	unsigned int line; /* of the configuration file */
	bool is_flag;      /* not a positional */
};

#define CLI_SETTINGS_MAX 64

struct cli_ctx {
	const struct cli_spec *spec;
	struct cli_std std;
	struct cli_out out;
	struct xm_error err; /* a command that fails fills this */
	int signal_fd;       /* cli_signals_open(); else -1 */
	bool cancelled;      /* a signal asked for it */
	/* the frame's own */
	const char *conf_path;
	struct cli_setting setting[CLI_SETTINGS_MAX];
	unsigned int n_settings;
	char *held[CLI_SETTINGS_MAX * 2]; /* strings of the file */
	unsigned int n_held;
};

struct cli_cmd {
	const struct cli_spec *spec;
	/* 0, or -errno with cli->err filled.  @opts is the spec's options. */
	int (*run)(struct cli_ctx *cli, const void *opts);
};

/* The whole program but its table: returns the exit status.  @cmds ends with
 * a row without spec. */
int cli_main(const struct cli_cmd *cmds, int argc, char **argv);

/* Who said the value of option or positional @name (of this command)? */
enum cli_origin cli_origin(const struct cli_ctx *cli, const char *name);

/* --dry-run's echo: every option with its value and its origin, as an object
 * "options" of the result. */
void cli_echo_options(struct cli_ctx *cli);

/* -- signals ---------------------------------------------------------------- */

/* Block SIGINT, SIGTERM and SIGHUP (unless it was ignored), and open
 * cli->signal_fd for the event loop.  Call before any thread is made, so that
 * all inherit the mask.  0 or -errno with @e. */
int cli_signals_open(struct cli_ctx *cli, struct xm_error *e);

/* cli->signal_fd is readable.  True the first time: cancel now; @e is filled
 * with XM_REASON_CANCELLED.  False: nothing to do, the user was told why
 * (@committed: COMMIT was sent, there is no way back). */
bool cli_signals_cancel(struct cli_ctx *cli, bool committed,
			struct xm_error *e);

#endif
