// SPDX-License-Identifier: GPL-2.0-or-later
/* qmp.c - a client of QEMU's monitor
 *
 * QMP is JSON over a UNIX socket.  QEMU greets, is told "qmp_capabilities",
 * and from then on answers one command after the other; events come between.
 * We are the only one who waits, so a command is written, and messages are
 * taken until the one that answers it is there:
 *
 *   message                          while a command runs      else
 *   "event"                          kept                      kept
 *   "return"/"error", our id         the answer                -
 *   "return"/"error", another id     skipped                   skipped
 *   "error" without an id            -EPROTO; adopted: skipped the same
 *
 * Ids are "xdpmig-PID-N".  An answer with another id is one that we gave up
 * waiting for, or, on an adopted connection, one of a process that is dead.
 *
 * Cutting messages out of the stream goes by braces outside of strings and not
 * by lines, because a monitor may be set to pretty=on.  The first byte of a
 * message must be a brace: whatever answers at that socket and sends anything
 * else is no QEMU, and is told apart at its first byte.
 *
 * An adopted connection starts in the middle of two streams:
 *
 *   to QEMU    The one before us may have died with half a command written.
 *              0xff is a byte that no JSON has: QEMU's lexer gives up what it
 *              has, says so in an error without an id, and starts anew.
 *   from QEMU  The one before us may have read half a message.  What follows
 *              is skipped up to a line that starts with a brace: only a
 *              message does, in either layout.  The error that answers the
 *              0xff makes sure that one comes.  Events skipped so are lost;
 *              who adopts asks for the state instead.
 *
 * Limits: a message has at most QMP_MESSAGE_MAX bytes, and at most
 * QMP_EVENTS_MAX events are kept.  QEMU's own events come by the dozen; more
 * than that is a monitor that nobody should trust, and an event that is
 * silently dropped could be the one that a guest was paused.  So both are
 * errors.  After an error of the stream itself (garbage, too long, closed)
 * nothing more is read: every later call fails with the same.
 *
 * The descriptor may be shared with a guardian, which keeps its copy and does
 * not touch it while we live.
 */
#include "qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "guardian.h"
#include "qmp_priv.h"
#include "tracee_stop.h"
#include "util/fd.h"
#include "util/now.h"

#define QMP_MESSAGE_MAX (16u << 20) /* bytes; query-block of 1000 disks: 2 M */
#define QMP_EVENTS_MAX  1024
#define QMP_READ        ((size_t)64 << 10) /* bytes asked for at a time */

struct qmp {
	int fd;
	int timeout_ms;
	int broken; /* -errno: what the stream failed with */
	bool adopted;
	bool syncing; /* adopted, and no message seen to begin yet */
	pid_t pid;
	json_t *events; /* array, oldest first */
	char *buf;
	size_t len, cap;
	size_t seen; /* of buf: bytes that the fields below speak of */
	unsigned int depth;
	bool in_string, escaped;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
};

/* The stream is of no use any more. */
static int stream_fail(struct qmp *qmp, int err, const char *what,
		       struct xm_error *e)
{
	qmp->broken = err;
	return xm_fail(e, err,
		       err == -EPIPE ? XM_REASON_MEMORY : XM_REASON_CONNECT,
		       "%s: %s", qmp->path, what);
}

static int stream_fail_again(const struct qmp *qmp, struct xm_error *e)
{
	return xm_fail(e, qmp->broken, XM_REASON_MEMORY,
		       "%s: no connection to QEMU's monitor any more: %s",
		       qmp->path, strerror(-qmp->broken));
}

/* -- bytes ------------------------------------------------------------------ */

/* Wait for @events on the connection.  0 or -ETIMEDOUT. */
static int wait_for(const struct qmp *qmp, short events, int64_t until)
{
	struct pollfd p = { .fd = qmp->fd, .events = events };
	int64_t left;
	int n;

	do {
		left = until - now_ms();
		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : -ETIMEDOUT;
}

/* Send all of it; @fd goes with the first byte. */
static int write_all(struct qmp *qmp, const char *data, size_t len, int fd,
		     int64_t until, struct xm_error *e)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &fd, sizeof(fd));
	}
	while (len) {
		iov = (struct iovec){ (void *)(uintptr_t)data, len };
		n = sendmsg(qmp->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			data += n;
			len -= (size_t)n;
			msg.msg_control = NULL;
			msg.msg_controllen = 0;
		} else if (n < 0 && errno == EAGAIN) {
			if (wait_for(qmp, POLLOUT, until))
				return stream_fail(qmp, -ETIMEDOUT,
						   "QEMU does not read its "
						   "monitor",
						   e);
		} else if (n < 0 && errno != EINTR) {
			return stream_fail(
				qmp, errno == EPIPE ? -EPIPE : -errno,
				errno == EPIPE || errno == ECONNRESET ?
					"QEMU closed its monitor" :
					strerror(errno),
				e);
		}
	}
	return 0;
}

/* Take what has come.  0, -EAGAIN, or the stream's error. */
static int read_some(struct qmp *qmp, struct xm_error *e)
{
	ssize_t n;

	if (qmp->cap - qmp->len < QMP_READ) {
		size_t cap = qmp->cap ? 2 * qmp->cap : 2 * QMP_READ;
		char *buf = realloc(qmp->buf, cap);

		if (!buf)
			return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
				       "%s: no memory for its answer",
				       qmp->path);
		qmp->buf = buf;
		qmp->cap = cap;
	}
	do
		n = recv(qmp->fd, qmp->buf + qmp->len, QMP_READ, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		qmp->len += (size_t)n;
		return 0;
	}
	if (n < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (!n || errno == ECONNRESET)
		return stream_fail(qmp, -EPIPE, "QEMU closed its monitor", e);
	return stream_fail(qmp, -errno, strerror(errno), e);
}

/* -- messages ----------------------------------------------------------------- */

static void drop_bytes(struct qmp *qmp, size_t n)
{
	qmp->len -= n;
	memmove(qmp->buf, qmp->buf + n, qmp->len);
	qmp->seen = 0;
}

/* Throw away the rest of what another one had begun to read. */
static void sync_stream(struct qmp *qmp)
{
	char *at = qmp->len ? memmem(qmp->buf, qmp->len, "\n{", 2) : NULL;

	if (at) {
		drop_bytes(qmp, (size_t)(at + 1 - qmp->buf));
		qmp->syncing = false;
	} else if (qmp->len > 1) {
		drop_bytes(qmp, qmp->len - 1);
	}
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Find where the first message in the buffer ends.  Its length, 0: not all
 * there yet, or -EPROTO. */
static ssize_t scan(struct qmp *qmp)
{
	while (qmp->seen < qmp->len) {
		char c = qmp->buf[qmp->seen++];

		if (qmp->escaped) {
			qmp->escaped = false;
		} else if (qmp->in_string) {
			qmp->escaped = c == '\\';
			qmp->in_string = c != '"';
		} else if (c == '{') {
			qmp->depth++;
		} else if (!qmp->depth) {
			if (!is_space(c))
				return -EPROTO;
		} else if (c == '"') {
			qmp->in_string = true;
		} else if (c == '}' && !--qmp->depth) {
			return (ssize_t)qmp->seen;
		}
	}
	return 0;
}

/* The next message in the buffer (the caller's).  0, -EAGAIN: not all there. */
static int cut_message(struct qmp *qmp, json_t **ret_msg, struct xm_error *e)
{
	ssize_t n;

	if (qmp->syncing)
		sync_stream(qmp);
	if (qmp->syncing)
		return -EAGAIN;
	n = scan(qmp);
	if (!n && qmp->len > QMP_MESSAGE_MAX)
		return stream_fail(qmp, -EPROTO,
				   "a message of more than 16 MiB; is this "
				   "QEMU's monitor?",
				   e);
	if (!n)
		return -EAGAIN;
	if (n > 0) {
		errno = 0;
		*ret_msg =
			json_loadb(qmp->buf, (size_t)n, JSON_ALLOW_NUL, NULL);
		if (!*ret_msg && errno == ENOMEM)
			return stream_fail(qmp, -ENOMEM,
					   "out of memory for what it says", e);
		if (*ret_msg) {
			drop_bytes(qmp, (size_t)n);
			return 0;
		}
	}
	return stream_fail(qmp, -EPROTO,
			   "what it says is no QMP; give the socket of QEMU's "
			   "-qmp unix:PATH,server=on,wait=off",
			   e);
}

static int keep_event(struct qmp *qmp, json_t *event, struct xm_error *e)
{
	if (json_array_size(qmp->events) >= QMP_EVENTS_MAX)
		return stream_fail(qmp, -ENOBUFS,
				   "more events than can be meant for us", e);
	if (json_array_append(qmp->events, event))
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "%s: no memory for its events", qmp->path);
	return 0;
}

/* Work off what is in the buffer and on the socket, up to the answer to @id
 * (NULL: all of it).  0 with @ret_answer, -EAGAIN, or -errno with @e. */
static int take(struct qmp *qmp, const char *id, json_t **ret_answer,
		struct xm_error *e)
{
	json_t *msg = NULL;
	const char *its;
	int r;

	for (;;) {
		r = cut_message(qmp, &msg, e);
		if (r == -EAGAIN) {
			r = read_some(qmp, e);
			if (r)
				return r;
			continue;
		}
		if (r)
			return r;
		its = json_string_value(json_object_get(msg, "id"));
		if (json_object_get(msg, "event"))
			r = keep_event(qmp, msg, e);
		else if (id && its && !strcmp(id, its)) {
			*ret_answer = msg;
			return 0;
		} else if (!its && !qmp->adopted)
			r = stream_fail(qmp, -EPROTO,
					"QEMU did not understand a command", e);
		json_decref(msg);
		if (r)
			return r;
	}
}

/* -- commands --------------------------------------------------------------- */

/* Wait for an answer, or with @id NULL for the greeting: any message. */
static int await(struct qmp *qmp, const char *id, int64_t until,
		 json_t **ret_answer, struct xm_error *e)
{
	int r;

	for (;;) {
		if (id)
			r = take(qmp, id, ret_answer, e);
		else if ((r = cut_message(qmp, ret_answer, e)) == -EAGAIN &&
			 !(r = read_some(qmp, e)))
			continue;
		if (r != -EAGAIN)
			return r;
		if (wait_for(qmp, POLLIN, until))
			return -ETIMEDOUT;
	}
}

/* What QEMU answered: its result or its refusal. */
static int unpack(const struct qmp *qmp, const char *command,
		  const json_t *answer, json_t **ret_result, struct xm_error *e)
{
	const json_t *error = json_object_get(answer, "error");
	const char *desc = json_string_value(json_object_get(error, "desc"));
	json_t *result = json_object_get(answer, "return");

	if (error || !result)
		return xm_fail(e, -EREMOTEIO, XM_REASON_MEMORY,
			       "%s: QEMU refused %s: %s", qmp->path, command,
			       desc ? desc : "no reason given");
	if (ret_result)
		*ret_result = json_incref(result);
	return 0;
}

/* Never used twice, also not by the next one to adopt the connection here. */
static unsigned int last_id;

static int run(struct qmp *qmp, const char *command, json_t *args, int fd,
	       json_t **ret_result, struct xm_error *e)
{
	int64_t until = now_ms() + qmp->timeout_ms;
	json_t *answer = NULL;
	char id[48], *text;
	json_t *msg;
	int r;

	snprintf(id, sizeof(id), "xdpmig-%d-%u", (int)getpid(), ++last_id);
	msg = json_pack("{s:s, s:o*, s:s}", "execute", command, "arguments",
			args, "id", id);
	text = msg ? json_dumps(msg, JSON_COMPACT) : NULL;
	json_decref(msg);
	if (!text)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "%s: no memory for a command", qmp->path);
	r = qmp->broken ? stream_fail_again(qmp, e) :
			  write_all(qmp, text, strlen(text), fd, until, e);
	free(text);
	if (!r) {
		r = await(qmp, id, until, &answer, e);
		if (r == -ETIMEDOUT)
			(void)xm_fail(
				e, r, XM_REASON_MEMORY,
				"%s: QEMU did not answer %s within %d ms: %s",
				qmp->path, command, qmp->timeout_ms,
				tracee_why_silent(qmp->pid,
						  "it hangs (on a disk?)"));
	}
	if (!r)
		r = unpack(qmp, command, answer, ret_result, e);
	json_decref(answer);
	return r;
}

int qmp_run(struct qmp *qmp, const char *command, json_t *args,
	    json_t **ret_result, struct xm_error *e)
{
	return run(qmp, command, args, -1, ret_result, e);
}

int qmp_give_fd(struct qmp *qmp, const char *name, int fd, struct xm_error *e)
{
	return run(qmp, "getfd", json_pack("{s:s}", "fdname", name), fd, NULL,
		   e);
}

int qmp_fd(const struct qmp *qmp)
{
	return qmp->fd;
}

int qmp_event(struct qmp *qmp, json_t **ret_event, struct xm_error *e)
{
	int r = 0;

	/* What is kept comes first, and all of it, even if QEMU is gone. */
	if (!json_array_size(qmp->events)) {
		if (qmp->broken)
			return stream_fail_again(qmp, e);
		r = take(qmp, NULL, NULL, e);
		if (!json_array_size(qmp->events))
			return r;
	}
	*ret_event = json_incref(json_array_get(qmp->events, 0));
	json_array_remove(qmp->events, 0);
	return 0;
}

void qmp_set_timeout(struct qmp *qmp, int timeout_ms)
{
	qmp->timeout_ms = timeout_ms;
}

int qmp_broken(const struct qmp *qmp)
{
	return qmp->broken;
}

pid_t qmp_pid(const struct qmp *qmp)
{
	return qmp->pid;
}

const char *qmp_path(const struct qmp *qmp)
{
	return qmp->path;
}

/* -- connections -------------------------------------------------------------- */

/* Takes @fd over; NULL: no memory. */
static struct qmp *make(int fd, const char *path, int timeout_ms)
{
	struct qmp *qmp = calloc(1, sizeof(*qmp));
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (qmp)
		qmp->events = json_array();
	if (!qmp || !qmp->events) {
		free(qmp);
		fd_close(fd);
		return NULL;
	}
	qmp->fd = fd;
	qmp->timeout_ms = timeout_ms;
	snprintf(qmp->path, sizeof(qmp->path), "%s", path);
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		qmp->pid = cred.pid;
	return qmp;
}

static int fail_memory(const char *path, struct xm_error *e)
{
	return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
		       "%s: no memory for a connection", path);
}

/* The greeting, and out of negotiation mode. */
static int negotiate(struct qmp *qmp, struct xm_error *e)
{
	json_t *greeting = NULL;
	bool is_qmp;
	int r;

	r = await(qmp, NULL, now_ms() + qmp->timeout_ms, &greeting, e);
	if (r == -ETIMEDOUT && guardian_check(qmp->pid, qmp->path, e))
		return -EBUSY;
	if (r == -ETIMEDOUT)
		return xm_fail(e, r, XM_REASON_CONNECT,
			       "%s: no greeting within %d ms: %s", qmp->path,
			       qmp->timeout_ms,
			       tracee_why_silent(
				       qmp->pid,
				       "another client has the monitor; give "
				       "QEMU a second -qmp socket"));
	if (r)
		return r;
	is_qmp = json_is_object(json_object_get(greeting, "QMP"));
	json_decref(greeting);
	if (!is_qmp)
		return stream_fail(qmp, -EPROTO, "it does not greet like QEMU",
				   e);
	return qmp_run(qmp, "qmp_capabilities", NULL, NULL, e);
}

int qmp_open(struct qmp **ret_qmp, const char *path, int timeout_ms,
	     struct xm_error *e)
{
	struct qmp *qmp;
	int fd, r;

	fd = qmp_connect(path, timeout_ms, e);
	if (fd < 0)
		return fd;
	qmp = make(fd, path, timeout_ms);
	if (!qmp)
		return fail_memory(path, e);
	r = negotiate(qmp, e);
	if (r) {
		qmp_close(qmp);
		return r;
	}
	*ret_qmp = qmp;
	return 0;
}

int qmp_adopt(struct qmp **ret_qmp, int fd, const char *path, int timeout_ms,
	      struct xm_error *e)
{
	struct qmp *qmp = make(fd, path, timeout_ms);
	int r;

	if (!qmp)
		return fail_memory(path, e);
	qmp->adopted = qmp->syncing = true;
	r = write_all(qmp, "\xff\n", 2, -1, now_ms() + timeout_ms, e);
	if (r) {
		qmp_close(qmp);
		return r;
	}
	*ret_qmp = qmp;
	return 0;
}

struct qmp *qmp_close(struct qmp *qmp)
{
	if (!qmp)
		return NULL;
	fd_close(qmp->fd);
	json_decref(qmp->events);
	free(qmp->buf);
	free(qmp);
	return NULL;
}
