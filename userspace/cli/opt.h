/* SPDX-License-Identifier: GPL-2.0-or-later */
/* opt.h - from text to options: the frame's own parts */
#ifndef XM_CLI_OPT_H
#define XM_CLI_OPT_H

#include <stdio.h>

#include "cli.h"

/* -- value.c: one value --------------------------------------------------- */

/* Read @text as a value of @opt into @field.  0, or -EINVAL with @why (at
 * least 200 bytes) saying what is wrong with it; @field is untouched then.
 * Strings are not copied. */
int cli_value_parse(const struct cli_opt *opt, const char *text, void *field,
		    char *why, size_t len);
void cli_value_default(const struct cli_opt *opt, void *field);
/* The value so that cli_value_parse() gives it back; an absent string is
 * "". */
const char *cli_value_text(const struct cli_opt *opt, const void *field,
			   char *buf, size_t len);

/* -- opt.c: the command line ------------------------------------------------ */

/* The options every command has. */
extern const struct cli_opt cli_std_opts[];

enum { CLI_OPT_E_HELP = 1 };

/* List the settings of cli->spec, whose options are at @opts, and give each
 * its default. */
void cli_opt_init(struct cli_ctx *cli, void *opts);

/* Take flags and positionals; argv[0] is the command's name.  May permute
 * @argv, whose strings must outlive @cli.  0, CLI_OPT_E_HELP, or -EINVAL. */
int cli_opt_argv(struct cli_ctx *cli, int argc, char **argv,
		 struct xm_error *e);

/* Is everything there that must be?  After command line and file. */
int cli_opt_check(struct cli_ctx *cli, struct xm_error *e);

/* -- conf.c: the file ----------------------------------------------------- */

/* Is @name a section that a file may have (a command), and is @key an option
 * of any command?  From the table of commands. */
struct cli_vocabulary {
	const struct cli_cmd *cmds;
};

/* Take what the file says, below what flags said. */
int cli_conf_read(struct cli_ctx *cli, const struct cli_vocabulary *voc,
		  FILE *f, const char *path, struct xm_error *e);

/* Find the file (--config, else what XDPMIG_CONFIG names, else the default if it
 * exists) and read it. */
int cli_conf_load(struct cli_ctx *cli, const struct cli_vocabulary *voc,
		  struct xm_error *e);
void cli_conf_free(struct cli_ctx *cli);

/* -- help.c ------------------------------------------------------------------ */

void cli_help_all(FILE *f, const struct cli_cmd *cmds);
void cli_help_one(FILE *f, const struct cli_spec *spec);

/* -- out.c, result.c ----------------------------------------------------------- */

/* Streams and levels; before anything is said. */
void cli_out_open(struct cli_out *out, FILE *stdout_to, FILE *stderr_to);
/* Take --json, -q and so on. */
void cli_out_set(struct cli_out *out, const struct cli_std *std);
void cli_out_close(struct cli_out *out);
/* Leave the rewriting line as it is and go below it. */
void cli_out_end_line(struct cli_out *out);
/* As cli_progress(), at @now_ns of a steady clock. */
void cli_progress_at(struct cli_ctx *cli, const struct cli_progress *p,
		     int64_t now_ns);
/* Complete the result with how it went, and print it. */
void cli_result_emit(struct cli_ctx *cli, enum cli_exit status);
/* The result as aligned text. */
void cli_result_text(FILE *f, json_t *result);

#endif
