/* SPDX-License-Identifier: GPL-2.0-or-later */
/* child.h - a command run in a process of its own (theory in child.c) */
#ifndef XM_CLI_CHILD_H
#define XM_CLI_CHILD_H

#include <sys/types.h>

#include "cli.h"

struct child {
	pid_t pid;
	int fd; /* what it prints */
	char *text;
	size_t len, room;
};

/* What to run: @run with @opts, as the command @spec.  What it says on stderr is
 * said from level @level on. */
struct child_job {
	const struct cli_spec *spec;
	int (*run)(struct cli_ctx *cli, const void *opts);
	const void *opts;
	enum cli_level level;
};

/* Run it, and wait for its end.  A signal to us cancels it, and it ends in its own
 * way; cli->cancelled says so then.  0 with its result, whatever that says, to be
 * freed by json_decref(); or -errno with @e: it could not be run, or died. */
int child_run(struct cli_ctx *cli, const struct child_job *job,
	      json_t **ret_result, struct xm_error *e);

/* Of a result: a number, 0 when it is not there; a word, "" likewise. */
double child_number(const json_t *result, const char *name);
const char *child_word(const json_t *result, const char *name);

/* A result of failure as our own: @e gets its reason and message.  Returns the
 * -errno; 0 when it was none. */
int child_failure(const json_t *result, struct xm_error *e);

#endif
