/* SPDX-License-Identifier: GPL-2.0-or-later */
/* run.h - a migration under way, as others on this host see it
 *
 * A send or recv is known by its name: a socket /run/xdpmig/NAME.sock, through
 * which 'xdpmig status', 'cancel', 'continue' and 'set' talk to it, and after
 * its end a file /run/xdpmig/NAME.send.json or NAME.recv.json that says what
 * became of it (theory in run.c).  Who is not root has them in $XDG_RUNTIME_DIR/xdpmig.
 */
#ifndef XM_CLI_RUN_H
#define XM_CLI_RUN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

#define RUN_NAME    64  /* bytes, NUL included */
#define RUN_CLIENTS 8   /* that are listened to at a time */
#define RUN_RECORD  108 /* bytes of a record's path, NUL included */

struct run;

/* Use @dir, an absolute path, instead.  For tests, before anything else.
 * 0 or -ENAMETOOLONG. */
int run_set_dir(const char *dir);

/* Take @name.  0, or with @e: -EADDRINUSE: a migration of that name is under
 * way; -EINVAL: no name for a file; other -errno.  A socket that a killed
 * process left is taken over. */
int run_open(struct run **ret_run, const char *name, struct xm_error *e);

/* The same for a run without a name of the user's: @name when that is not NULL,
 * else the guest's, @guest.  A guest moved between two hosts of one machine has
 * it twice, and some have none: then the process's number tells, behind it or
 * behind @command, "send" or "recv".  The record of the last @command of that
 * name is removed. */
int run_open_as(struct run **ret_run, const char *name, const char *guest,
		const char *command, struct xm_error *e);

/* Give the name back.  NULL is fine; returns NULL. */
struct run *run_close(struct run *run);

int run_fd(const struct run *run); /* readable: call run_next() */

enum run_ask {
	RUN_NOTHING, /* nobody asks, or not any more */
	RUN_STATUS,
	RUN_CANCEL,
	RUN_CONTINUE,
	RUN_SET, /* at least one of what may be set is */
};

struct run_request {
	enum run_ask ask;
	bool has_bandwidth; /* RUN_SET */
	uint64_t bandwidth; /* bits per second, 0 none */
	bool has_max_downtime;
	uint64_t max_downtime_ns;
};

/* The next request, without waiting; RUN_NOTHING may leave some for the next
 * call, and run_fd() readable.  Each is answered by run_answer() before
 * the next one is taken. */
void run_next(struct run *run, struct run_request *ret_req);

/* Answer it: @o (taken over) on success, or @error, a sentence, when it cannot
 * be done. */
void run_answer(struct run *run, json_t *o, const char *error);

/* "session" into @o: what both ends call this migration, and no other. */
void run_put_session(json_t *o, const uint8_t session[static 16]);

/* Write down where the guest may run, for who asks when we are gone: first
 * before anything is done that cannot be taken back, then at the end.  @o has
 * "command", "send" or "recv", and gets "time"; it is taken over.  0 or -errno
 * with @e. */
int run_record(struct run *run, json_t *o, struct xm_error *e);

/* For who writes the record of @command if we do not: its path, and the lock
 * that keeps others from the name as long as a copy of it is open. */
int run_lend(const struct run *run, const char *command,
	     char ret_record[RUN_RECORD]);
/* He does: run_close() leaves him both. */
void run_leave(struct run *run);

/* -- for the commands that ask ---------------------------------------------------- */

/* Send @request (taken over; NULL: {"ask": "status"}) to the migration @name;
 * its answer in @ret_answer (the caller's, may be NULL).  0, or with @e:
 * -ENOENT: there is none of that name, or not any more; -EREMOTEIO: it answered
 * with an error. */
int run_ask_one(const char *name, json_t *request, json_t **ret_answer,
		struct xm_error *e);

/* All of them, those under way and the records of those that ended, each an
 * object with "name" in the array @list.  0 or -errno with @e. */
int run_list(json_t *list, struct xm_error *e);

#endif
