// SPDX-License-Identifier: GPL-2.0-or-later
/* source_qemu.c - a running QEMU's guest, to send
 *
 * QEMU knows nothing of the memory's journey.  For the switchover it is asked
 * to migrate as if to another QEMU, without the shared RAM, into a socket whose
 * other end is ours; what comes out is the device state.
 *
 *   verb        QEMU is told                    and then it is
 *   track       -                               running, its writes are logged
 *   harvest     -, or stop and cont             running (source_harvest.c)
 *   pause       migrate fd:                     active: VRAM, ROMs and so on
 *                                               flow while the guest runs;
 *                                               pre-switchover: no CPU runs,
 *                                               disks are drained -> PAUSED
 *   hand_over   migrate-continue                device, completed, and the
 *                                               socket ends -> DEVICE_END
 *   commit      -                               completed; postmigrate
 *   resume      migrate_cancel, cont            running, settings as before
 *
 * Coming back.  The stream is closed first, always: QEMU's thread may be
 * waiting for us to read, with its big lock held, and would answer no command.
 * What that does to the migration (failed) is as good as cancelled.  A
 * migration that had completed leaves the guest in "postmigrate" with its disks
 * handed over; "cont" takes both back, and is tried again while the target
 * still holds the disks.  The guardian does this when we are killed, or when
 * it does not work within some seconds (QEMU does not answer, or refuses); it is
 * armed before anything is done that may leave the guest stopped.  What we did
 * not do is not undone: others stop guests and migrate them, too, and a "cont"
 * to one that they moved makes two of it (source_check.c).
 *
 * A guest that was paused before stays so; QEMU 7.2 then calls it "postmigrate"
 * and refuses to migrate it again until it ran, 10.0 calls it "paused" and does
 * not.  A suspended guest (ACPI S3) is woken by QEMU 7.2 for any migration,
 * which happens in its main loop after it said pre-switchover: two questions
 * later it certainly has, and only then is PAUSED reported.
 */
#include "source_qemu.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "qemu_priv.h"

static struct source_qemu *to_qemu(struct guest_source *s)
{
	return (struct source_qemu *)s;
}

/* -- memory --------------------------------------------------------------------- */

static int qemu_map(struct guest_source *s, struct guest_ram *ram,
		    struct xm_error *e)
{
	return qemu_map_ram(&to_qemu(s)->q, ram, false, e);
}

static int qemu_throttle(struct guest_source *s, unsigned int percent,
			 struct xm_error *e)
{
	struct source_qemu *y = to_qemu(s);

	return throttle_set(&y->throttle, y->q.vcpu, y->q.n_vcpus, percent, e);
}

/* -- switchover ----------------------------------------------------------------- */

/* Events of what was before are nobody's news, but of what was unplugged. */
static int forget_events(struct source_qemu *y, struct xm_error *e)
{
	const char *name;
	json_t *event;
	int r;

	while (!(r = qmp_event(y->q.qmp, &event, e))) {
		name = json_string_value(json_object_get(event, "event"));
		if (name && !strcmp(name, "DEVICE_DELETED"))
			r = source_check_deleted(y, event, e);
		json_decref(event);
		if (r)
			return r;
	}
	return r == -EAGAIN ? 0 : r;
}

/* QEMU did not begin: perhaps since somebody else was faster. */
static int refused(struct source_qemu *y, const struct xm_error *why,
		   struct xm_error *e)
{
	char state[SOURCE_STATE_LEN];
	int r;

	y->is_migrating = false;
	qemu_close_stream(y->q.qmp); /* which it kept then */
	guardian_disarm(&y->guardian);
	r = source_check_alone(y, state, e);
	return r ? r : xm_fail(e, why->err, why->reason, "%s", why->msg);
}

static int begin_migrate(struct source_qemu *y, struct xm_error *e)
{
	struct xm_error why = { 0 };
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return xm_fail(e, -errno, XM_REASON_MEMORY,
			       "no socket for QEMU's device state: %m");
	y->stream = pair[0];
	r = qmp_give_fd(y->q.qmp, QEMU_STREAM, pair[1], e);
	close(pair[1]);
	if (r)
		return r;
	y->is_migrating = true; /* even if the answer does not come */
	r = source_tell(y, "migrate",
			json_pack("{s:s}", "uri", "fd:" QEMU_STREAM), &why);
	if (r == -EREMOTEIO)
		return refused(y, &why, e);
	if (r)
		return xm_fail(e, r, why.reason, "%s", why.msg);
	r = source_check_devices(y, e);
	return r ? r : source_check_ram(y, e);
}

/* QEMU's settings for the switchover; our death puts them back. */
static int change_settings(struct source_qemu *y, struct xm_error *e)
{
	struct settings ours = { 0 };
	int r = settings_plan(&y->old, &ours, y->q.qmp, false, e);

	if (!r)
		r = guardian_settings(&y->guardian, &y->old, e);
	if (r) {
		settings_forget(&y->old); /* none was changed */
		settings_forget(&ours);
		return r;
	}
	r = settings_change(&y->old, &ours, y->q.qmp, e);
	/* refused, and put back, if it could be told to */
	y->has_our_settings = r != -EREMOTEIO || qmp_broken(y->q.qmp);
	return r;
}

static int qemu_pause(struct guest_source *s, struct xm_error *e)
{
	struct source_qemu *y = to_qemu(s);
	char state[SOURCE_STATE_LEN];
	int r;

	throttle_close(&y->throttle);
	r = source_check_alone(y, state, e);
	if (!r)
		r = source_check_state(y, state, e);
	if (r)
		return r;
	/* A suspended guest is not paused: it wakes up by itself. */
	y->was_suspended = !strcmp(state, "suspended");
	s->was_running = y->was_suspended || !strcmp(state, "running");
	r = change_settings(y, e);
	if (!r)
		r = forget_events(y, e);
	if (!r)
		r = source_arm(y, false, e);
	return r ? r : begin_migrate(y, e);
}

static int qemu_hand_over(struct guest_source *s, struct xm_error *e)
{
	return source_tell(to_qemu(s), "migrate-continue",
			   json_pack("{s:s}", "state", "pre-switchover"), e);
}

static ssize_t qemu_read_device(struct guest_source *s, void *buf, size_t len,
				struct xm_error *e)
{
	struct source_qemu *y = to_qemu(s);
	ssize_t n;

	if (y->has_ended)
		return y->is_completed ? 0 : -EAGAIN;
	if (y->stream < 0)
		return -EAGAIN;
	n = recv(y->stream, buf, len, MSG_DONTWAIT);
	if (n > 0)
		return n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n < 0)
		return xm_fail(e, -errno, XM_REASON_MEMORY,
			       "%s: reading device state: %m",
			       qmp_path(y->q.qmp));
	/* QEMU closes it also when it fails; turn() hears which. */
	y->has_ended = true;
	news_post(&y->news, y->is_completed ? GUEST_DEVICE_END : 0);
	return y->is_completed ? 0 : -EAGAIN;
}

/* -- events --------------------------------------------------------------------- */

static int fail_migrate(struct source_qemu *y, const char *status,
			struct xm_error *e)
{
	json_t *info = NULL;
	const char *why;

	(void)qmp_run(y->q.qmp, "query-migrate", NULL, &info, NULL);
	why = json_string_value(json_object_get(info, "error-desc"));
	if (source_is_gone(y))
		(void)source_fail_gone(y, e);
	else
		(void)xm_fail(e, -EIO, XM_REASON_MEMORY,
			      "%s: QEMU gave up the switchover: %s%s%s",
			      qmp_path(y->q.qmp), status, why ? ": " : "",
			      why ? why : "");
	json_decref(info);
	return e ? e->err : -EIO;
}

static int was_paused(struct source_qemu *y, unsigned int *ret_news,
		      struct xm_error *e)
{
	char state[SOURCE_STATE_LEN];
	int r = 0, i;

	for (i = 0; !r && y->was_suspended && i < 2; i++)
		r = source_run_state(y, state, e);
	if (r)
		return r;
	y->is_paused = true;
	*ret_news |= GUEST_PAUSED;
	return 0;
}

static int64_t ns_of(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* QEMU's own time of an event, on our clock. */
static int64_t event_ns(const json_t *event)
{
	const json_t *at = json_object_get(event, "timestamp");
	json_int_t s = json_integer_value(json_object_get(at, "seconds"));
	json_int_t us = json_integer_value(json_object_get(at, "microseconds"));
	int64_t age = ns_of(CLOCK_REALTIME) -
		      ((int64_t)s * 1000000000 + (int64_t)us * 1000);

	if (age < 0 || age > 10ll * 1000000000)
		age = 0; /* somebody set the clock */
	return ns_of(CLOCK_MONOTONIC) - age;
}

/* The guest does not rest where it was left for the switchover. */
static int fail_meddled(const struct source_qemu *y, const char *event,
			struct xm_error *e)
{
	return xm_fail(e, -EBUSY, XM_REASON_MEMORY,
		       "%s: %s in the middle of the switchover, not by xdpmig: "
		       "the guest shut down, or somebody let it run or reset "
		       "it; it stays here",
		       qmp_path(y->q.qmp), event);
}

static int take_event(struct source_qemu *y, json_t *event,
		      unsigned int *ret_news, struct xm_error *e)
{
	const char *name = json_string_value(json_object_get(event, "event"));
	const char *status;

	if (!name)
		return 0;
	if (!strcmp(name, "DEVICE_DELETED"))
		return source_check_deleted(y, event, e);
	if (!y->is_migrating) { /* then whose are they? */
		if (!strcmp(name, "STOP") || !strcmp(name, "MIGRATION"))
			y->must_look = true;
		return 0;
	}
	if (!strcmp(name, "STOP"))
		y->s.stopped_ns = event_ns(event);
	if (!strcmp(name, "SHUTDOWN"))
		y->has_quit = true;
	if (!strcmp(name, "SHUTDOWN") ||
	    (y->is_paused &&
	     (!strcmp(name, "RESUME") || !strcmp(name, "RESET"))))
		return fail_meddled(y, name, e);
	if (strcmp(name, "MIGRATION"))
		return 0;
	status = json_string_value(
		json_object_get(json_object_get(event, "data"), "status"));
	if (!status)
		return 0;
	if (!strcmp(status, "pre-switchover"))
		return was_paused(y, ret_news, e);
	if (!strcmp(status, "completed")) {
		y->is_completed = true;
		if (y->has_ended)
			*ret_news |= GUEST_DEVICE_END;
	}
	if (!strcmp(status, "failed") || !strncmp(status, "cancel", 6))
		return fail_migrate(y, status, e);
	return 0;
}

static int take_events(struct source_qemu *y, unsigned int *ret_news,
		       struct xm_error *e)
{
	struct xm_error from = { 0 };
	char state[SOURCE_STATE_LEN];
	json_t *event;
	int r;

	while (!(r = qmp_event(y->q.qmp, &event, &from))) {
		r = take_event(y, event, ret_news, e);
		json_decref(event);
		if (r)
			return r;
	}
	if (r != -EAGAIN)
		return source_explain(y, r, &from, e);
	if (!y->must_look)
		return 0;
	y->must_look = false;
	return source_check_alone(y, state, e);
}

static int qemu_turn(struct guest_source *s, unsigned int *ret_news,
		     struct xm_error *e)
{
	struct source_qemu *y = to_qemu(s);

	*ret_news = news_take(&y->news);
	if (y->is_settled)
		return 0;
	if (source_is_gone(y))
		return source_fail_gone(y, e);
	return take_events(y, ret_news, e);
}

static int qemu_commit(struct guest_source *s, struct xm_error *e)
{
	struct source_qemu *y = to_qemu(s);
	unsigned int news = 0;
	int r;

	r = source_check_moved(y, e);
	if (!r)
		r = take_events(y, &news, e);
	if (!r)
		guardian_commit(&y->guardian);
	return r;
}

static unsigned int qemu_fds(struct guest_source *s, struct pollfd *fds)
{
	struct source_qemu *y = to_qemu(s);
	unsigned int n = 0;

	fds[n++] = news_pollfd(&y->news);
	if (y->is_settled)
		return n;
	fds[n++] = (struct pollfd){ .fd = qmp_fd(y->q.qmp), .events = POLLIN };
	if (y->stream >= 0 && !y->has_ended && !s->is_choked)
		fds[n++] = (struct pollfd){ .fd = y->stream, .events = POLLIN };
	return n;
}

/* -- its end ---------------------------------------------------------------------- */

static int qemu_note(struct guest_source *s, const struct guest_note *note,
		     struct xm_error *e)
{
	return guardian_note(&to_qemu(s)->guardian, note, e);
}

static void qemu_done(struct guest_source *s)
{
	struct source_qemu *y = to_qemu(s);
	pid_t guardian; /* is nobody's business: the guest is elsewhere */

	source_let_go(y);
	/* Best effort: this QEMU may be gone. */
	(void)source_restore(y, NULL);
	if (y->has_our_settings)
		(void)guardian_leave(&y->guardian, &guardian);
	y->is_settled = true;
}

static struct guest_source *qemu_close_source(struct guest_source *s)
{
	struct source_qemu *y = to_qemu(s);

	if (!y->is_settled)
		(void)source_resume(s,
				    NULL); /* who wants to know asks before */
	source_let_go(y);
	guardian_stop(&y->guardian);
	settings_forget(&y->old);
	news_close(&y->news);
	qemu_close(&y->q);
	free(y);
	return NULL;
}

static const struct guest_source_ops qemu_ops = {
	.kind = "qemu",
	.map = qemu_map,
	.track = source_track,
	.harvest = source_harvest,
	.pause = qemu_pause,
	.hand_over = qemu_hand_over,
	.read_device = qemu_read_device,
	.commit = qemu_commit,
	.done = qemu_done,
	.resume = source_resume,
	.note = qemu_note,
	.throttle = qemu_throttle,
	.fds = qemu_fds,
	.turn = qemu_turn,
	.close = qemu_close_source,
};

int guest_source_qemu(struct guest_source **ret_s, const char *socket,
		      struct xm_error *e)
{
	struct source_qemu *y = calloc(1, sizeof(*y));
	char state[SOURCE_STATE_LEN];
	int r;

	if (!y)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "no memory to describe %s", socket);
	y->s.ops = &qemu_ops;
	y->s.is_live = true;
	y->stream = y->guardian.pipe = -1;
	r = news_open(&y->news, e);
	if (!r)
		r = qemu_open(&y->q, socket, false, e);
	if (r) {
		news_close(&y->news);
		free(y);
		return r;
	}
	y->s.id = y->q.id;
	y->s.has_drain = y->q.has_direct_io;
	y->s.is_others = qemu_is_others(&y->q);
	r = source_lock(y, e);
	if (!r) /* another xdpmig may have moved it before that */
		r = source_check_alone(y, state, e);
	if (!r)
		r = source_check_state(y, state, e);
	if (!r)
		r = guardian_start(&y->guardian, &y->q, e);
	if (r) {
		y->is_settled = true; /* nothing was done to it */
		qemu_close_source(&y->s);
		return r;
	}
	y->s.was_running = !strcmp(state, "running") ||
			   !strcmp(state, "suspended");
	*ret_s = &y->s;
	return 0;
}
