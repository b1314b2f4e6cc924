/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qmp.h - a client of QEMU's monitor (theory in qmp.c)
 *
 * Commands are answered in order and one at a time; events may come at any
 * moment and are kept until they are asked for.
 */
#ifndef XM_GUEST_QMP_H
#define XM_GUEST_QMP_H

#include <jansson.h>
#include <sys/types.h>

#include "util/error.h"

struct qmp;

/* Connect to the UNIX socket @path, read the greeting, leave negotiation mode.
 * @timeout_ms: for each answer of QEMU's, from now on.  0, or with @e: -ENOENT,
 * -ECONNREFUSED (nobody listens), -ETIMEDOUT (another client has the monitor),
 * -EBUSY (a guardian has it), -EPROTO (no QMP). */
int qmp_open(struct qmp **ret_qmp, const char *path, int timeout_ms,
	     struct xm_error *e);

/* A client on @fd, a connection that another one has already negotiated (the
 * guardian's).  What that one left half written is thrown away by QEMU, what
 * it did not read is skipped.  Takes @fd over, also when it fails. */
int qmp_adopt(struct qmp **ret_qmp, int fd, const char *path, int timeout_ms,
	      struct xm_error *e);

struct qmp *qmp_close(struct qmp *qmp); /* NULL is fine; returns NULL */

const char *qmp_path(const struct qmp *qmp);

/* For each answer of QEMU's, from now on.  0: do not wait for any. */
void qmp_set_timeout(struct qmp *qmp, int timeout_ms);

/* Run @command; @args (an object or NULL) is taken over.  @ret_result (may be
 * NULL) is the caller's.  0, or with @e: -EREMOTEIO: QEMU refused, the text is
 * QEMU's; -ETIMEDOUT: no answer, it may still be carried out; -EPIPE: QEMU
 * closed the connection. */
int qmp_run(struct qmp *qmp, const char *command, json_t *args,
	    json_t **ret_result, struct xm_error *e);

/* Give QEMU a copy of @fd under @name ("getfd"), for "fd:NAME". */
int qmp_give_fd(struct qmp *qmp, const char *name, int fd, struct xm_error *e);

/* Readable when there may be an event; one may also be kept already. */
int qmp_fd(const struct qmp *qmp);

/* The next event (the caller's): 0; -EAGAIN: none now; -EPIPE with @e: QEMU is
 * gone; other -errno with @e. */
int qmp_event(struct qmp *qmp, json_t **ret_event, struct xm_error *e);

/* What the connection failed with, -errno: nothing more can be said or heard;
 * 0: it is good. */
int qmp_broken(const struct qmp *qmp);

/* The process that listens at the other end, 0 if the kernel does not say. */
pid_t qmp_pid(const struct qmp *qmp);

#endif
