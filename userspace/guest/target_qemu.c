// SPDX-License-Identifier: GPL-2.0-or-later
/* target_qemu.c - a QEMU that waits for a guest (-incoming defer)
 *
 *   verb          QEMU is told                 and then it is
 *   make          -                            inmigrate; its RAM is ours to
 *                                              write
 *   begin         events                       inmigrate
 *   write_device  first: stop, settings,       loading
 *                 migrate-incoming fd:
 *   end_device    stop, the last byte          paused, or what the source was
 *                 settings as before           -> LOADED
 *   run           cont                         running -> RUNS
 *   turn          query-status, cont           the same, if it was slow
 *   abandon       quit                         gone
 *
 * The guest must not start by itself when it has loaded, and it would: QEMU is
 * told so by its command line, and anybody may say "cont" at a second monitor
 * (an operator may hold the migration for hours).  While QEMU waits or loads,
 * "stop" takes that back and does nothing else.  So it is said last: QEMU reads
 * to the end of the stream before it has loaded, and the last byte is held back
 * until "stop" is answered.  RAM plugged meanwhile, which we would not write,
 * is looked for at the same place.  (A QEMU that leaves the end of the stream
 * unread, suppress-vmdesc, has loaded before: it was told at the begin, too.)
 * After that a "cont" is seen as RESUME.  It
 * is a second guest: that QEMU is ended before anything else is done, and then
 * the migration fails.
 *
 * After COMMIT there is no way back.  A QEMU that does not answer "cont" may
 * do it later, and nobody else will run the guest: as long as its process
 * lives it is asked again.  Commands are answered in order, so an answer to
 * query-status says that "cont" was done or refused.  Done is also what has
 * stopped again: whatever is not paused any more, or was seen to RESUME, ran, and
 * must not run at the source.  Nothing waits for more than ASK_MS then:
 * heartbeats go on.
 *
 * One QEMU waits for one guest.  Its RAM is locked, so that no other recv takes
 * it, and whether it still waits is asked when a source has come.  From then on
 * an event of a migration that we did not begin says that somebody else did.
 * That guest is not ours to end.
 *
 * Disks stay the source's until "cont" (late-block-activate, which QEMU looks at
 * when it has loaded, and never again: it is put back then).  If that is
 * refused, a disk may have been taken already, which the source needs: QEMU is
 * told to quit at once.
 *
 * What an abandoned QEMU holds is half a guest.  While it has no device state
 * it is left to wait: it cannot run without, and the next migration, ours or
 * QEMU's own, overwrites everything.  From the first byte on it is told to
 * quit: one that has failed to load quits by itself, but one that has loaded
 * would run at anybody's "cont", beside the source's.  If it does not quit, it
 * is killed.  That is why QEMU is connected to the stream only when the first
 * byte is there, which is still before the source is paused.  And why it gets
 * our settings no sooner, but for "events", which harm nobody: we may be killed,
 * and what is left of them would be "as before" for the next migration, and stay
 * with its guest.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#include "guest.h"
#include "news.h"
#include "qemu.h"
#include "settings.h"
#include "util/now.h"

#define STREAM    "xdpmig-device" /* name of the descriptor at QEMU */
#define QUIT_MS   5000
#define SECOND_MS 1000  /* the same for one that runs beside the source's */
#define FULL_MS   5000  /* the last byte, behind what QEMU has not read */
#define ASK_MS    300   /* for an answer, while the guest is started */
#define AGAIN_MS  20000 /* ask again, when QEMU says nothing by itself */
#define STATE_LEN 32

struct target_qemu {
	struct guest_target t; /* first: the ops cast it back */
	struct qemu q;
	struct settings old;
	struct guest_news news;
	int stream;    /* device state, to QEMU; or -1 */
	bool has_last; /* the last byte of what came is held back */
	uint8_t last;
	bool has_begun;   /* it waits at our stream: no other can use it */
	bool has_ended;   /* all device state was written */
	bool has_loaded;  /* and waits for run() */
	bool was_told;    /* to run */
	bool is_starting; /* and nobody knows yet whether it does */
	int64_t asked_ms; /* so, the last time */
};

static struct target_qemu *to_qemu(struct guest_target *t)
{
	return (struct target_qemu *)t;
}

static bool is_gone(const struct target_qemu *y, int timeout_ms)
{
	struct pollfd p = { .fd = y->q.pidfd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

static int fail_gone(const struct target_qemu *y, struct xm_error *e)
{
	return xm_fail(e, -ESRCH, XM_REASON_MEMORY,
		       "%s: the target's QEMU (process %d) is gone%s",
		       qmp_path(y->q.qmp), (int)y->q.pid,
		       y->has_begun && !y->has_loaded ?
			       ": it could not load the guest; its standard "
			       "error says why" :
			       "");
}

static int explain(const struct target_qemu *y, int r,
		   const struct xm_error *from, struct xm_error *e)
{
	/* One that ends closes its monitor a moment before. */
	if (r && is_gone(y, r == -EPIPE ? QUIT_MS / 10 : 0))
		return fail_gone(y, e);
	return r ? xm_fail(e, r, from->reason, "%s", from->msg) : 0;
}

static int tell(struct target_qemu *y, const char *command, json_t *args,
		struct xm_error *e)
{
	struct xm_error from = { 0 };
	int r = qmp_run(y->q.qmp, command, args, NULL, &from);

	news_post(&y->news, 0);
	return explain(y, r, &from, e);
}

/* -- memory --------------------------------------------------------------------- */

static int qemu_make(struct guest_target *t, const struct guest_identity *want,
		     struct guest_ram *ram, struct xm_error *e)
{
	struct target_qemu *y = to_qemu(t);
	int r = qemu_check_target(&y->q, e); /* it may have waited for days */

	if (!r)
		r = qemu_match(&y->q, want, e);
	return r ? r : qemu_map_ram(&y->q, ram, true, e);
}

/* -- device state --------------------------------------------------------------- */

static int qemu_begin(struct guest_target *t, struct xm_error *e)
{
	struct target_qemu *y = to_qemu(t);

	return settings_watch(&y->old, y->q.qmp, e);
}

/* What others may have done to it meanwhile. */
static int look_again(struct target_qemu *y, struct xm_error *e)
{
	struct xm_error from = { 0 };
	int r = tell(y, "stop", NULL, e);

	if (r)
		return r;
	r = qemu_check_ram(&y->q, &from);
	news_post(&y->news, 0); /* events may have come with the answers */
	return explain(y, r, &from, e);
}

/* Let it wait at our stream. */
static int connect_stream(struct target_qemu *y, struct xm_error *e)
{
	int pair[2], r = tell(y, "stop", NULL, e);

	if (r)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return xm_fail(e, -errno, XM_REASON_MEMORY,
			       "no socket for QEMU's device state: %m");
	y->stream = pair[0];
	r = qmp_give_fd(y->q.qmp, STREAM, pair[1], e);
	close(pair[1]);
	if (!r)
		r = settings_restore(&y->old, y->q.qmp, e); /* anew */
	if (!r)
		r = settings_apply(&y->old, y->q.qmp, true, e);
	if (r)
		return r;
	y->has_begun = true; /* even if the answer does not come */
	r = tell(y, "migrate-incoming", json_pack("{s:s}", "uri", "fd:" STREAM),
		 e);
	if (r == -EREMOTEIO)
		y->has_begun = false; /* it is somebody else's target */
	return r;
}

/* The byte held back, if any, and what is behind it.  Bytes sent, or -errno. */
static ssize_t send_stream(struct target_qemu *y, const void *buf, size_t len)
{
	struct iovec iov[] = { { &y->last, y->has_last },
			       { (void *)(uintptr_t)buf, len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	if (!y->has_last && !len)
		return 0;
	n = sendmsg(y->stream, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

static int take_events(struct target_qemu *y, unsigned int *ret_news,
		       struct xm_error *e);

/* @r is what send_stream() said.  0: it needs no more. */
static int fail_stream(struct target_qemu *y, int r, struct xm_error *e)
{
	unsigned int news = 0; /* what it is, end_device() tells anew */
	int r2;

	/* It says that it has loaded before it closes the stream. */
	if (r == -EPIPE || r == -ECONNRESET) {
		r2 = take_events(y, &news, e);
		if (r2 || y->has_loaded)
			return r2;
	}
	/* It closes the stream when it fails, and ends a moment later. */
	if (r == -EPIPE || r == -ECONNRESET)
		(void)is_gone(y, QUIT_MS / 10);
	if (is_gone(y, 0))
		return fail_gone(y, e);
	return xm_fail(e, r, XM_REASON_MEMORY,
		       "%s: QEMU takes no more device state: %s",
		       qmp_path(y->q.qmp), strerror(-r));
}

static ssize_t qemu_write_device(struct guest_target *t, const void *buf,
				 size_t len, struct xm_error *e)
{
	struct target_qemu *y = to_qemu(t);
	const uint8_t *bytes = buf;
	int r = y->stream < 0 ? connect_stream(y, e) : 0;
	ssize_t n;

	if (r || !len)
		return r;
	n = send_stream(y, bytes, len - 1);
	if (n == -EAGAIN || n == -EINTR)
		return -EAGAIN;
	if (n < 0) {
		r = fail_stream(y, (int)n, e);
		return r ? r : (ssize_t)len;
	}
	n -= y->has_last; /* of @buf; the next one stays here */
	y->last = bytes[n];
	y->has_last = true;
	return n + 1;
}

static int send_last(struct target_qemu *y, struct xm_error *e)
{
	struct pollfd p = { .fd = y->stream, .events = POLLOUT };
	ssize_t n;

	do {
		if (poll(&p, 1, FULL_MS) == 0)
			return fail_stream(y, -ETIMEDOUT, e);
		n = send_stream(y, NULL, 0);
	} while (n == -EAGAIN || n == -EINTR);
	return n < 0 ? fail_stream(y, (int)n, e) : 0;
}

static int qemu_end_device(struct guest_target *t, struct xm_error *e)
{
	struct target_qemu *y = to_qemu(t);
	int r = y->stream < 0 ? connect_stream(y, e) : 0;

	if (!r)
		r = look_again(y, e);
	if (!r)
		r = send_last(y, e);
	if (r)
		return r;
	y->has_ended = true;
	/* QEMU sees the end in what it reads, and may be faster. */
	if (y->has_loaded)
		news_post(&y->news, GUEST_LOADED);
	if (!shutdown(y->stream, SHUT_WR) || y->has_loaded)
		return 0;
	return xm_fail(e, -errno, XM_REASON_MEMORY,
		       "%s: ending the device state: %m", qmp_path(y->q.qmp));
}

/* -- the guest ---------------------------------------------------------------------- */

/* At once, and however it takes that: it is gone when this returns. */
static void end_qemu(struct target_qemu *y, int timeout_ms)
{
	y->has_begun = false;
	qmp_set_timeout(y->q.qmp, timeout_ms);
	/* Refused or not answered: then the signal says it. */
	(void)qmp_run(y->q.qmp, "quit", NULL, NULL, NULL);
	if (is_gone(y, timeout_ms))
		return;
	(void)pidfd_send_signal(y->q.pidfd, SIGKILL, NULL, 0);
	(void)is_gone(y, QUIT_MS);
}

static void qemu_abandon(struct guest_target *t)
{
	struct target_qemu *y = to_qemu(t);

	y->stream = fd_close(y->stream);
	if (y->was_told)
		return; /* it is, or may be, the guest */
	if (y->has_begun)
		end_qemu(y, QUIT_MS);
	else if (!is_gone(y, 0))
		(void)settings_restore(&y->old, y->q.qmp, NULL);
}

static void has_started(struct target_qemu *y, bool paused)
{
	y->is_starting = false;
	news_post(&y->news, GUEST_RUNS);
	if (!paused) /* again: the network was told when it loaded */
		(void)tell(y, "announce-self",
			   json_pack("{s:i, s:i, s:i, s:i}", "initial", 50,
				     "max", 550, "rounds", 5, "step", 100),
			   NULL);
}

/* Let it run.  0: it runs, or may later (is_starting). */
static int start(struct target_qemu *y, struct xm_error *e)
{
	struct xm_error from = { 0 };
	int r;

	y->is_starting = true;
	r = tell(y, "cont", NULL, &from);
	y->asked_ms = now_ms();
	if (!r)
		has_started(y, false);
	if (!r || r == -ETIMEDOUT)
		return 0;
	if (r == -EREMOTEIO) {
		/* It refused, and shall not try again. */
		y->was_told = y->is_starting = false;
		qemu_abandon(&y->t);
		return xm_fail(e, r, from.reason, "%s", from.msg);
	}
	return xm_fail(e, -EINPROGRESS, XM_REASON_UNKNOWN_OUTCOME,
		       "%s; it was told to run the guest, and may have",
		       from.msg);
}

static int qemu_run(struct guest_target *t, bool paused, struct xm_error *e)
{
	struct target_qemu *y = to_qemu(t);

	if (is_gone(y, 0))
		return fail_gone(y, e);
	y->was_told = true;
	qmp_set_timeout(y->q.qmp, ASK_MS);
	if (!paused)
		return start(y, e);
	has_started(y, true);
	return 0;
}

/* It did not answer "cont" in time: does it run now? */
static int start_again(struct target_qemu *y, bool has_spoken,
		       struct xm_error *e)
{
	char state[STATE_LEN];
	int r;

	if (!has_spoken && now_ms() - y->asked_ms < AGAIN_MS)
		return 0;
	y->asked_ms = now_ms();
	r = qemu_run_state(&y->q, state, sizeof(state), e);
	if (r == -ETIMEDOUT)
		return 0;
	if (r)
		return r;
	/* Shut down, or with an error of its disks, it still ran: a refusal
	 * would give it back to the source. */
	if (strcmp(state, "paused")) {
		has_started(y, false);
		return 0;
	}
	return start(y, e);
}

/* A second guest, beside the source's. */
static int fail_second(struct target_qemu *y, struct xm_error *e)
{
	end_qemu(y, SECOND_MS);
	return xm_fail(e, -EPROTO, XM_REASON_MEMORY,
		       "%s: somebody else let the guest run before it was "
		       "handed over; this QEMU was ended",
		       qmp_path(y->q.qmp));
}

/* Loaded: then it must not run. */
static int has_completed(struct target_qemu *y, unsigned int *ret_news,
			 struct xm_error *e)
{
	struct xm_error from = { 0 };
	char state[STATE_LEN];
	int r;

	r = qemu_run_state(&y->q, state, sizeof(state), &from);
	if (r)
		return explain(y, r, &from, e);
	if (!strcmp(state, "running"))
		return fail_second(y, e);
	/* Now: a guest that runs here keeps none of it if we are killed. */
	(void)settings_restore(&y->old, y->q.qmp, NULL);
	y->has_loaded = true;
	if (y->has_ended)
		*ret_news |= GUEST_LOADED;
	return 0;
}

/* Not ours, so not ours to end. */
static int fail_taken(const struct target_qemu *y, struct xm_error *e)
{
	return xm_fail(e, -EBUSY, XM_REASON_MEMORY,
		       "%s: somebody else migrates a guest into this QEMU",
		       qmp_path(y->q.qmp));
}

static int take_event(struct target_qemu *y, json_t *event,
		      unsigned int *ret_news, struct xm_error *e)
{
	const char *name = json_string_value(json_object_get(event, "event"));
	const char *status = json_string_value(
		json_object_get(json_object_get(event, "data"), "status"));

	if (!name)
		return 0;
	if (y->is_starting && !strcmp(name, "RESUME"))
		has_started(y, false);
	if (y->was_told)
		return 0;
	if (!y->has_begun)
		return strcmp(name, "MIGRATION") && strcmp(name, "RESUME") ?
			       0 :
			       fail_taken(y, e);
	if (!strcmp(name, "RESUME"))
		return fail_second(y, e);
	if (!status || strcmp(name, "MIGRATION"))
		return 0;
	if (!strcmp(status, "completed"))
		return has_completed(y, ret_news, e);
	if (!strcmp(status, "failed"))
		return xm_fail(
			e, -EIO, XM_REASON_MEMORY,
			"%s: the target's QEMU could not load the guest; "
			"its standard error says why",
			qmp_path(y->q.qmp));
	return 0;
}

static int take_events(struct target_qemu *y, unsigned int *ret_news,
		       struct xm_error *e)
{
	struct xm_error from = { 0 };
	json_t *event;
	int r;

	while (!(r = qmp_event(y->q.qmp, &event, &from))) {
		r = take_event(y, event, ret_news, e);
		json_decref(event);
		if (r)
			return r;
	}
	if (is_gone(y, 0))
		return fail_gone(y, e);
	return r == -EAGAIN ? 0 : explain(y, r, &from, e);
}

static int qemu_turn(struct guest_target *t, unsigned int *ret_news,
		     struct xm_error *e)
{
	struct target_qemu *y = to_qemu(t);
	struct pollfd p = { .fd = qmp_fd(y->q.qmp), .events = POLLIN };
	bool has_spoken = poll(&p, 1, 0) == 1;
	struct xm_error from = { 0 };
	int r;

	*ret_news = news_take(&y->news);
	r = take_events(y, ret_news, &from);
	if (!r && y->is_starting)
		r = start_again(y, has_spoken, &from);
	if (!r || *ret_news & GUEST_RUNS)
		return 0;
	/* Once told, and not refused: nobody can say. */
	return xm_fail(e, y->was_told ? -EINPROGRESS : r, from.reason, "%s",
		       from.msg);
}

static unsigned int qemu_fds(struct guest_target *t, struct pollfd *fds)
{
	struct target_qemu *y = to_qemu(t);
	unsigned int n = 0;

	fds[n++] = news_pollfd(&y->news);
	fds[n++] = (struct pollfd){ .fd = qmp_fd(y->q.qmp), .events = POLLIN };
	if (y->stream >= 0 && t->has_backlog)
		fds[n++] =
			(struct pollfd){ .fd = y->stream, .events = POLLOUT };
	return n;
}

static struct guest_target *qemu_close_target(struct guest_target *t)
{
	struct target_qemu *y = to_qemu(t);

	y->stream = fd_close(y->stream);
	settings_forget(&y->old);
	news_close(&y->news);
	qemu_close(&y->q);
	free(y);
	return NULL;
}

static const struct guest_target_ops qemu_ops = {
	.kind = "qemu",
	.make = qemu_make,
	.begin = qemu_begin,
	.write_device = qemu_write_device,
	.end_device = qemu_end_device,
	.run = qemu_run,
	.abandon = qemu_abandon,
	.fds = qemu_fds,
	.turn = qemu_turn,
	.close = qemu_close_target,
};

int guest_target_qemu(struct guest_target **ret_t, const char *socket,
		      struct xm_error *e)
{
	struct target_qemu *y = calloc(1, sizeof(*y));
	int r;

	if (!y)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "no memory to describe %s", socket);
	y->t.ops = &qemu_ops;
	y->stream = -1;
	r = news_open(&y->news, e);
	if (!r)
		r = qemu_open(&y->q, socket, true, e);
	if (r) {
		news_close(&y->news);
		free(y);
		return r;
	}
	y->t.id = y->q.id;
	y->t.is_others = qemu_is_others(&y->q);
	r = qemu_lock(&y->q, e);
	if (r) {
		y->t.ops->close(&y->t);
		return r != -EBUSY ? r :
				     xm_fail(e, r, XM_REASON_MEMORY,
					     "%s: another 'xdpmig recv' waits "
					     "for this QEMU's guest already; "
					     "see 'xdpmig status'",
					     socket);
	}
	*ret_t = &y->t;
	return 0;
}
