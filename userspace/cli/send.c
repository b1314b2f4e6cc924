// SPDX-License-Identifier: GPL-2.0-or-later
/* send.c - xdpmig send: conducting the source
 *
 * The session machine (core/src.c) says what to do next; this file does it:
 *
 *   PROBE       the peer agreed: bind the channels, which their threads have mapped
 *               and pinned since HELLO left, go live, prove the paths
 *   HARVEST     ask live.c: another epoch, the final one, or hand over
 *   OPEN_EPOCH  let the channels send; their barrier is the epoch's end
 *   HASH        hash all memory, in threads; HASHES: the peer's have come
 *   DEVICE      the peer took device state, so there is room for more: nothing to do,
 *               as send_look() gives what there is room for after every event
 *   FINISHED    see that the guest runs where it may, and tell the user
 *
 * and brings back what happened as events.  Device state goes through here,
 * from the guest to the control connection, as far as the peer's window and
 * the connection's queue have room.  What 'xdpmig status', 'set', 'continue' and
 * 'cancel' ask for is answered here too, between two turns.
 */
#include "send.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "guest/fault.h"
#include "util/fd.h"

struct xm_error *send_err(struct send *s)
{
	return &s->side.cli->err;
}

static void send_event(struct send *s, const struct xm_event *ev);
static void send_step(struct send *s, enum xm_event_kind kind,
		      const struct xm_msg *msg, bool is_final);

/* Something failed here: end the session, the guest stays. */
static void send_fail(struct send *s)
{
	struct xm_msg msg;

	side_cancel_msg(send_err(s), &msg);
	send_step(s, XM_EV_CANCEL, &msg, false);
}

/* -- device state ------------------------------------------------------------------ */

static void send_device(struct send *s)
{
	struct xm_msg msg = { .type = XM_MSG_DEVICE };
	uint64_t room;
	ssize_t n;

	while (!s->is_over && !ctl_wants_write(s->side.ctl)) {
		room = xm_src_device_room(&s->src);
		n = live_read_device(&s->live, room, send_err(s));
		if (n < 0)
			send_fail(s);
		if (n <= 0)
			return;
		msg.device.len = (uint32_t)n;
		msg.device.data = s->live.device;
		send_step(s, XM_EV_DEVICE, &msg, false);
	}
}

static void send_device_end(struct send *s)
{
	struct xm_msg msg = { .type = XM_MSG_DEVICE_END };

	msg.device_end.runs = s->live.guest->was_running;
	send_step(s, XM_EV_DEVICE_END, &msg, false);
}

/* -- carrying out actions ------------------------------------------------------------- */

const struct home *send_home(struct send *s)
{
	s->home = (struct home){
		.cli = s->side.cli,
		.guest = s->live.guest,
		.run = s->run,
		.peer = s->opts->peer,
		.session = s->has_session ? s->src.hello.session : NULL,
	};
	return &s->home;
}

/* The guest goes to the peer: from the record on nobody may resume it here
 * without asking.  The record comes first: whenever we die, either the guest
 * comes back or there is one. */
static void send_hand_over(struct send *s)
{
	if (home_record(send_home(s), xm_home_name(XM_HOME_UNKNOWN),
			send_err(s)) ||
	    live_commit(&s->live, send_err(s)))
		send_fail(s);
	else
		send_step(s, XM_EV_COMMIT, NULL, false);
}

/* What live.c says is next; @r: what it returned. */
static void send_go_on(struct send *s, int r, enum live_next next)
{
	if (r) {
		send_fail(s);
		return;
	}
	switch (next) {
	case LIVE_WAIT:
		break;
	case LIVE_EPOCH:
		send_step(s, XM_EV_NEXT_EPOCH, NULL, false);
		break;
	case LIVE_FINAL:
		send_step(s, XM_EV_NEXT_EPOCH, NULL, true);
		break;
	case LIVE_COMPARE:
		send_step(s, XM_EV_VERIFY, NULL, false);
		break;
	case LIVE_END:
		send_device_end(s);
		break;
	case LIVE_HAND_OVER:
		send_hand_over(s);
		break;
	}
}

/* When memory is pinned and the peer is there, whatever comes first. */
static void send_bind(struct send *s)
{
	if (!s->is_pinned || !s->is_agreed)
		return;
	s->phase = POOL_OPEN;
	if (side_open_channels(&s->side, s->bandwidth, send_err(s)))
		send_fail(s);
}

static void send_open_channels(struct send *s)
{
	struct side *side = &s->side;

	side->agreed = s->src.agreed;
	side->peer_base = s->src.agreed.port_base;
	s->is_agreed = true;
	send_bind(s);
}

static void send_begin_epoch(struct send *s, uint32_t epoch)
{
	if (!s->report.sending.ns)
		s->report.sending = xm_clock();
	s->report.epoch = epoch;
	s->report.epoch_bytes = s->live.now.pages * XM_PAGE_SIZE;
	s->phase = POOL_EPOCH;
	s->report.epoch_begun = xm_clock();
	live_epoch_begun(&s->live, epoch);
	side_count_pages(&s->side);
	side_share_bandwidth(&s->side, s->bandwidth, epoch);
	pool_begin(s->side.pool, POOL_EPOCH, epoch, &s->side.pages);
}

static void send_harvest(struct send *s)
{
	enum live_next next;
	int r;

	if (s->report.epoch != s->live.epochs)
		live_epoch_installed(&s->live);
	r = live_decide(&s->live, &next, send_err(s));
	send_go_on(s, r, next);
}

/* Memory is hashed at this side, or at the other. */
static void send_compare(struct send *s)
{
	struct xm_event ev = { .kind = XM_EV_COMPARED };

	if (!verify_is_complete(&s->live.verify))
		return;
	ev.is_same = live_compare(&s->live);
	send_event(s, &ev);
}

static void send_act(struct send *s, const struct xm_actions *act)
{
	side_send(&s->side, act);
	if (act->flags & XM_ACT_HASH &&
	    verify_begin(&s->live.verify, send_err(s)))
		send_fail(s);
	if (act->flags & XM_ACT_HASHES) {
		verify_take(&s->live.verify, &s->side.msg.hashes);
		send_compare(s);
	}
	if (act->flags & XM_ACT_PROBE)
		send_open_channels(s);
	if (act->flags & XM_ACT_HARVEST)
		send_harvest(s);
	if (act->flags & XM_ACT_OPEN_EPOCH)
		send_begin_epoch(s, act->epoch);
	if (act->flags & XM_ACT_FINISHED)
		s->is_over = true;
}

static void send_event(struct send *s, const struct xm_event *ev)
{
	struct xm_actions act = { .msg = s->out };

	xm_src_step(&s->src, xm_clock(), ev, &act);
	send_act(s, &act);
}

static void send_step(struct send *s, enum xm_event_kind kind,
		      const struct xm_msg *msg, bool is_final)
{
	struct xm_event ev = { .kind = kind, .is_final = is_final, .msg = msg };

	send_event(s, &ev);
}

/* -- what the channels' threads report ---------------------------------------------------- */

static void send_phase_done(struct send *s)
{
	struct side *side = &s->side;

	switch (s->phase) {
	case POOL_PIN:
		s->is_pinned = true;
		send_bind(s);
		break;
	case POOL_OPEN:
		if (side_go_live(side, send_err(s))) {
			send_fail(s);
			return;
		}
		s->phase = POOL_PROBE;
		pool_begin(side->pool, POOL_PROBE, 0, NULL);
		break;
	case POOL_PROBE:
		send_step(s, XM_EV_PROVEN, NULL, false);
		break;
	case POOL_EPOCH:
		if (guest_fault_check(&side->ram, send_err(s))) {
			send_fail(s);
			return;
		}
		live_epoch_sent(&s->live);
		s->report.finished = xm_clock();
		side_collect(side);
		send_step(s, XM_EV_INSTALLED, &side->msg, false);
		break;
	case POOL_MAKE:
	case POOL_CLOSE:
		break;
	}
}

/* After COMMIT nothing that goes wrong here decides any more: say it, and wait
 * for the destination's word. */
static void send_trouble(struct send *s)
{
	struct xm_error *e = send_err(s);

	if (s->src.state != XM_SRC_COMMIT) {
		send_fail(s);
		return;
	}
	cli_warn(s->side.cli, "%s; waiting for the target's answer", e->msg);
	memset(e, 0, sizeof(*e));
}

/* -- who asks ------------------------------------------------------------------------------- */

static json_t *send_status(struct send *s)
{
	json_t *o = live_status(&s->live);

	cli_put_u64(o, "bandwidth_bits_per_s", s->bandwidth);
	report_status(&s->side, &s->report, o);
	return o;
}

static void send_set(struct send *s, const struct run_request *req)
{
	struct xm_error refused = { 0 };

	if (req->has_bandwidth &&
	    side_check_bandwidth(&s->side, req->bandwidth, &refused)) {
		run_answer(s->run, NULL, refused.msg);
		return;
	}
	if (req->has_bandwidth)
		s->bandwidth = req->bandwidth; /* dealt out in the loop */
	if (req->has_max_downtime)
		s->live.converge.opts.max_downtime_ns =
			(int64_t)req->max_downtime_ns;
	run_answer(s->run, send_status(s), NULL);
}

static void send_continue(struct send *s)
{
	struct xm_error refused = { 0 };
	enum live_next next;
	int r = live_continue(&s->live, &next, &refused);

	run_answer(s->run, r ? NULL : send_status(s), r ? refused.msg : NULL);
	if (!r)
		send_go_on(s, 0, next);
}

static void send_cancel(struct send *s)
{
	if (s->src.state == XM_SRC_COMMIT) {
		run_answer(s->run, NULL,
			   "the guest was handed over: there is no way back");
		return;
	}
	run_answer(s->run, send_status(s), NULL);
	(void)xm_fail(send_err(s), -ECANCELED, XM_REASON_CANCELLED,
		      "cancelled by 'xdpmig cancel'");
	if (s->side.ctl) /* else see send_connect() */
		send_fail(s);
}

void send_listen(struct send *s)
{
	struct run_request req;

	for (;;) {
		run_next(s->run, &req);
		switch (req.ask) {
		case RUN_NOTHING:
			return;
		case RUN_STATUS:
			run_answer(s->run, send_status(s), NULL);
			break;
		case RUN_SET:
			send_set(s, &req);
			break;
		case RUN_CONTINUE:
			send_continue(s);
			break;
		case RUN_CANCEL:
			send_cancel(s);
			return;
		}
	}
}

/* -- the loop ----------------------------------------------------------------------------- */

/* What the guest and the user have to say. */
static void send_look(struct send *s)
{
	struct xm_error *e = send_err(s);
	enum live_next next;
	int r;

	send_listen(s);
	if (s->is_over || s->src.state == XM_SRC_COMMIT)
		return;
	r = live_turn(&s->live, &next, e);
	if (!r)
		send_device(s); /* all there is, before its end is said */
	if (!s->is_over)
		send_go_on(s, r, next);
	if (s->is_over)
		return;
	r = verify_check(&s->live.verify, e);
	if (r < 0 || guest_fault_check(&s->side.ram, e))
		send_trouble(s);
	else if (!r)
		send_compare(s);
}

static enum side_event send_wait(struct send *s)
{
	struct pollfd fds[SIDE_MORE];
	bool is_committed = s->src.state == XM_SRC_COMMIT;
	struct xm_time until = xm_time_min(
		xm_src_expiry(&s->src), xm_time_add(xm_clock(), 200 * XM_MS));
	unsigned int n = 1;

	fds[0] = (struct pollfd){ .fd = run_fd(s->run), .events = POLLIN };
	n += verify_fds(&s->live.verify, fds + n);
	if (!is_committed)
		n += live_fds(&s->live,
			      ctl_wants_write(s->side.ctl) ?
				      0 :
				      xm_src_device_room(&s->src),
			      fds + n);
	return side_wait(&s->side, until, fds, n, is_committed, send_err(s));
}

void send_run(struct send *s)
{
	struct side *side = &s->side;

	send_step(s, XM_EV_START, NULL, false);
	s->phase = POOL_PIN;
	if (side_pin_channels(side, send_err(s)))
		send_fail(s);
	while (!s->is_over) {
		switch (send_wait(s)) {
		case SIDE_MESSAGE:
			send_step(s, XM_EV_MESSAGE, &side->msg, false);
			break;
		case SIDE_LOST:
			send_step(s, XM_EV_LOST, NULL, false);
			break;
		case SIDE_POOL:
			send_phase_done(s);
			break;
		case SIDE_FAILED:
		case SIDE_CANCEL:
			send_trouble(s);
			break;
		case SIDE_OTHER:
		case SIDE_TIMER:
			break;
		}
		if (!s->is_over)
			send_look(s);
		if (!xm_time_before(xm_clock(), xm_src_expiry(&s->src)))
			send_step(s, XM_EV_TIMER, NULL, false);
		if (s->phase == POOL_EPOCH)
			side_share_bandwidth(side, s->bandwidth,
					     s->report.epoch);
		report_progress(side, &s->report);
	}
}
