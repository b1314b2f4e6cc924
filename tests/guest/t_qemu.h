/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_qemu.h - a real QEMU for a test (TCG, no devices but those asked for)
 *
 * Each has a directory of its own in shared memory, with two monitors: one for
 * the code under test, one for the test to look by.  All of it fails the test
 * rather than return an error.
 */
#ifndef T_QEMU_H
#define T_QEMU_H

#include <stdbool.h>
#include <sys/types.h>

#include "guest/qmp.h"

#define T_SECONDS 30 /* deadline of whatever a test waits for */

/* Until @what is true, T_SECONDS at most; fails the test then. */
#define T_UNTIL(what)                                       \
	do {                                                \
		int t_left = T_SECONDS * 200;               \
		while (!(what) && --t_left)                 \
			usleep(5000);                       \
		if (!t_left)                                \
			fail_msg("never happened: " #what); \
	} while (0)

struct t_qemu {
	pid_t pid;
	char dir[32];    /* "@" in arguments stands for it */
	char socket[48]; /* monitor for the code under test */
	struct qmp *qmp; /* the test's own */
};

/* Is there one at all? */
bool t_qemu_is_there(void);

/* Make its directory only, for what must be there before it starts. */
void t_qemu_prepare(struct t_qemu *t);

/* Start it with @args, separated by spaces, and wait until it answers.
 * @listener >= 0: a listening socket that becomes its monitor. */
void t_qemu_start(struct t_qemu *t, int listener, const char *args);

/* End it and remove its directory.  A zeroed one is fine. */
void t_qemu_stop(struct t_qemu *t);

/* Run a command by the test's monitor; @args in jansson's notation of
 * json_loads(), or NULL.  The result is the caller's. */
json_t *t_qemu_run(struct t_qemu *t, const char *command, const char *args);

/* The "status" that query-status or query-migrate gives ("" none). */
void t_qemu_status(struct t_qemu *t, const char *query, char ret_status[32]);

/* Wait until it is @status. */
void t_qemu_wait(struct t_qemu *t, const char *query, const char *status);

/* A process that listens on @path and runs @serve on its first connection.
 * Ended by t_reap(). */
pid_t t_listen(const char *path, void (*serve)(int fd, const void *arg),
	       const void *arg);
void t_reap(pid_t pid); /* SIGKILL, and wait */

/* For t_listen(): a vhost-user backend, as far as QEMU needs one to start;
 * and a relay to the socket whose path @arg is. */
void t_serve_vhost_user(int fd, const void *arg);
void t_serve_relay(int fd, const void *arg);

#endif
