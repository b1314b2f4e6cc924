// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_recv.c - xdpmig recv: conducting the destination
 *
 * Waits for one source (who connects and does not say HELLO is none: it is sent
 * away, and the wait goes on), carries out what the session machine (core/dst.c)
 * says, and exits:
 *   CONSIDER    compare what the source announces with what is here, make the
 *               memory, open the channels; then WELCOME
 *   PROBE       prove the paths
 *   OPEN_EPOCH  let the channels take frames of it
 *   TOTALS      close the channels and count
 *   HASH        hash all memory, in threads; then say the hashes
 *   DEVICE      device state: to the guest, as fast as it takes it
 *   DEVICE_END  wait until it has all of it
 *   TAKE_GUEST  let the guest run; with --ram there is nothing to start
 *
 * Device, steering and memory are looked at before it waits, and again when a
 * source has come: much may have changed.  Nothing is made before it has said
 * what it wants.  A migration that fails takes away the file it made.
 */
#include "side.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrive.h"
#include "clock.h"
#include "consider.h"
#include "core/dst.h"
#include "discard.h"
#include "door.h"
#include "guest/fault.h"
#include "listen.h"
#include "report.h"
#include "run.h"
#include "sandbox.h"
#include "take.h"
#include "verify.h"

struct recv {
	struct side side;
	const struct cli_recv_opts *opts;
	struct xm_dst dst;
	enum pool_phase phase;
	struct report report;
	struct xm_msg out[XM_ACTIONS_MSGS];
	bool has_met; /* a source said HELLO */
	bool is_lost; /* after COMMIT nobody can say whether the guest runs */
	bool is_over;
	struct take take;
	struct run *run;
	struct door door;
	struct arrive arrive;
	struct verify verify; /* when the source wants it */
};

static struct xm_error *recv_err(struct recv *s)
{
	return &s->side.cli->err;
}

static void recv_step(struct recv *s, enum xm_event_kind kind,
		      const struct xm_msg *msg);

static void recv_fail(struct recv *s)
{
	struct xm_msg msg;

	side_cancel_msg(recv_err(s), &msg);
	recv_step(s, XM_EV_CANCEL, &msg);
}

/* -- CONSIDER --------------------------------------------------------------------------- */

static int recv_consider(struct recv *s, const struct xm_msg_hello *h)
{
	struct side *side = &s->side;
	struct xm_error *e = recv_err(s);
	int r = consider_hello(side, h, e);

	if (!r)
		r = take_make(&s->take, h, &side->ram, e);
	if (!r)
		r = consider_memory(side, e);
	if (!r && h->features & XM_FEATURE_VERIFY)
		r = verify_open(&s->verify, &side->ram, side->n_channels,
				side->caps.numa_node, e);
	if (!r)
		r = consider_offer(side, h, e);
	return r ? r : side_open_channels(side, 0, e);
}

/* The channels are open: their credit is known, and the WELCOME complete. */
static void recv_welcome(struct recv *s)
{
	struct side *side = &s->side;
	struct pump_report rep;

	if (side_go_live(side, recv_err(s))) {
		recv_fail(s);
		return;
	}
	pool_report(side->pool, 0, &rep);
	side->agreed.credit = rep.credit;
	memset(&side->msg, 0, sizeof(side->msg));
	side->msg.type = XM_MSG_WELCOME;
	side->msg.welcome = side->agreed;
	recv_step(s, XM_EV_ACCEPT, &side->msg);
}

/* -- carrying out actions ------------------------------------------------------------- */

static void recv_begin(struct recv *s, enum pool_phase phase, uint32_t epoch)
{
	s->phase = phase;
	if (phase == POOL_EPOCH && !s->report.sending.ns)
		s->report.sending = xm_clock();
	s->report.epoch = epoch;
	s->report.epoch_begun = xm_clock();
	pool_begin(s->side.pool, phase, epoch, NULL);
}

/* Device state to the guest, and room to the source. */
static void recv_give(struct recv *s)
{
	struct xm_msg msg = { .type = XM_MSG_DEVICE_ACK };

	if (take_give(&s->take, s->dst.state == XM_DST_LOAD, recv_err(s)))
		recv_fail(s);
	else if (take_ack_is_due(&s->take, &msg.device_ack.bytes))
		recv_step(s, XM_EV_DEVICE_TAKEN, &msg);
}

/* Nobody can say whether the guest runs here: then it must not run at the
 * source either, and people have to look. */
static void recv_lose(struct recv *s)
{
	s->is_lost = s->is_over = true;
}

/* COMMIT came: whatever happens now, the source will not run it. */
static void recv_take_guest(struct recv *s)
{
	int r = take_record(s->run, &s->dst.hello,
			    xm_home_name(XM_HOME_UNKNOWN), recv_err(s));

	if (!r)
		r = guest_target_run(s->take.guest,
				     s->opts->paused || !s->dst.runs,
				     recv_err(s));
	if (r == -EINPROGRESS)
		recv_lose(s);
	else if (r)
		recv_fail(s);
}

static void recv_act(struct recv *s, const struct xm_actions *act)
{
	side_send(&s->side, act);
	arrive_act(&s->arrive, act);
	if (act->flags & XM_ACT_CONSIDER) {
		s->has_met = true;
		s->phase = POOL_OPEN;
		if (recv_consider(s, &s->dst.hello))
			recv_fail(s);
	}
	if (act->flags & XM_ACT_PROBE)
		recv_begin(s, POOL_PROBE, 0);
	if (act->flags & XM_ACT_OPEN_EPOCH)
		recv_begin(s, POOL_EPOCH, act->epoch);
	if (act->flags & XM_ACT_TOTALS)
		recv_begin(s, POOL_CLOSE, s->dst.epoch);
	if (act->flags & XM_ACT_DEVICE)
		take_device(&s->take, &s->side.msg.device);
	if (act->flags & (XM_ACT_DEVICE | XM_ACT_DEVICE_END))
		recv_give(s);
	if (act->flags & XM_ACT_HASH && verify_begin(&s->verify, recv_err(s)))
		recv_fail(s);
	if (act->flags & XM_ACT_TAKE_GUEST)
		recv_take_guest(s);
	if (act->flags & XM_ACT_FINISHED)
		s->is_over = true;
}

static void recv_step(struct recv *s, enum xm_event_kind kind,
		      const struct xm_msg *msg)
{
	struct xm_event ev = { .kind = kind, .msg = msg };
	struct xm_actions act = { .msg = s->out };

	xm_dst_step(&s->dst, xm_clock(), &ev, &act);
	recv_act(s, &act);
}

static void recv_phase_done(struct recv *s)
{
	switch (s->phase) {
	case POOL_OPEN:
		recv_welcome(s);
		break;
	case POOL_PROBE:
		recv_step(s, XM_EV_PROVEN, NULL);
		break;
	case POOL_EPOCH:
		recv_step(s, XM_EV_OPENED, NULL);
		break;
	case POOL_CLOSE:
		if (guest_fault_check(&s->side.ram, recv_err(s)) ||
		    guest_ram_check(&s->side.ram, recv_err(s))) {
			recv_fail(s);
			return;
		}
		s->report.finished = xm_clock();
		side_collect(&s->side);
		arrive_complete(&s->arrive, &s->side.msg.epoch);
		recv_step(s, XM_EV_INSTALLED, &s->side.msg);
		if (s->dst.state == XM_DST_READY)
			arrive_installed(&s->arrive, &s->dst, s->side.cli);
		break;
	case POOL_MAKE:
	case POOL_PIN: /* on the way to POOL_OPEN */
		break;
	}
}

/* After COMMIT only the guest's own failure to start counts: the source gave
 * it up. */
static void recv_trouble(struct recv *s)
{
	struct xm_error *e = recv_err(s);

	if (s->dst.state != XM_DST_COMMIT) {
		recv_fail(s);
		return;
	}
	cli_warn(s->side.cli, "%s; the guest was handed over and is started",
		 e->msg);
	memset(e, 0, sizeof(*e));
}

/* -- the loop ------------------------------------------------------------------------------ */

static void recv_say_hashes(struct recv *s)
{
	struct xm_msg *msg = &s->side.msg;

	verify_note_dirtied(&s->verify, &s->side.ram.map);
	while (!s->is_over && verify_put(&s->verify, s->dst.n_hashes, msg))
		recv_step(s, XM_EV_HASHES, msg);
}

/* What the guest has to say. */
static void recv_look(struct recv *s)
{
	unsigned int news = 0;
	int r = guest_target_turn(s->take.guest, &news, recv_err(s));

	if (r) {
		if (s->dst.state == XM_DST_COMMIT && r == -EINPROGRESS)
			recv_lose(s);
		else
			recv_fail(s);
		return;
	}
	if (news & GUEST_LOADED && s->dst.state == XM_DST_LOAD) {
		s->arrive.at.loaded = xm_clock();
		recv_step(s, XM_EV_LOADED, NULL);
	}
	if (news & GUEST_RUNS && s->dst.state == XM_DST_COMMIT) {
		s->arrive.at.runs = xm_clock();
		recv_step(s, XM_EV_COMMIT, NULL);
	}
	if (!s->is_over && s->take.guest->has_backlog)
		recv_give(s);
	if (s->is_over)
		return;
	r = verify_check(&s->verify, recv_err(s));
	if (r < 0 || guest_fault_check(&s->side.ram, recv_err(s)))
		recv_trouble(s);
	else if (!r)
		recv_say_hashes(s);
}

static json_t *recv_status(struct recv *s)
{
	json_t *o = json_object();

	cli_put_str(o, "command", "recv");
	cli_put_str(o, "dev", s->side.dev);
	cli_put_str(o, "guest", s->dst.hello.name);
	cli_put_str(o, "state",
		    s->has_met ? xm_dst_state_name(s->dst.state) : "waiting");
	if (s->has_met)
		run_put_session(o, s->dst.hello.session);
	if (s->has_met)
		report_status(&s->side, &s->report, o);
	return o;
}

/* True: cancelled; the error is filled. */
static bool recv_listen_run(struct recv *s)
{
	struct run_request req;

	for (;;) {
		run_next(s->run, &req);
		if (req.ask == RUN_NOTHING)
			return false;
		if (req.ask == RUN_STATUS) {
			run_answer(s->run, recv_status(s), NULL);
		} else if (req.ask != RUN_CANCEL) {
			run_answer(s->run, NULL, "that is for the source");
		} else if (s->dst.state == XM_DST_COMMIT) {
			run_answer(s->run, NULL,
				   "the guest was handed over: there is no "
				   "way back");
		} else {
			run_answer(s->run, recv_status(s), NULL);
			s->side.cli->cancelled = true;
			(void)xm_fail(recv_err(s), -ECANCELED,
				      XM_REASON_CANCELLED,
				      "cancelled by 'xdpmig cancel'");
			return true;
		}
	}
}

static enum side_event recv_wait(struct recv *s, struct xm_time until)
{
	struct pollfd fds[SIDE_MORE];
	unsigned int n = 1;

	fds[0] = (struct pollfd){ .fd = run_fd(s->run), .events = POLLIN };
	n += guest_target_fds(s->take.guest, fds + n);
	n += door_fds(&s->door, fds + n);
	n += verify_fds(&s->verify, fds + n);
	return side_wait(&s->side, until, fds, n, s->dst.state == XM_DST_COMMIT,
			 recv_err(s));
}

static void recv_run(struct recv *s)
{
	struct side *side = &s->side;

	recv_step(s, XM_EV_START, NULL);
	while (!s->is_over) {
		struct xm_time until =
			xm_time_min(xm_dst_expiry(&s->dst),
				    xm_time_add(xm_clock(), 200 * XM_MS));

		switch (recv_wait(s, until)) {
		case SIDE_MESSAGE:
			recv_step(s, XM_EV_MESSAGE, &side->msg);
			break;
		case SIDE_LOST:
			recv_step(s, XM_EV_LOST, NULL);
			break;
		case SIDE_POOL:
			recv_phase_done(s);
			break;
		case SIDE_FAILED:
		case SIDE_CANCEL:
			recv_trouble(s);
			break;
		case SIDE_OTHER:
		case SIDE_TIMER:
			break;
		}
		if (recv_listen_run(s))
			recv_fail(s);
		(void)door_work(&s->door, side->cli, xm_clock(), s->has_met,
				NULL);
		if (!s->is_over)
			recv_look(s);
		if (!xm_time_before(xm_clock(), xm_dst_expiry(&s->dst)))
			recv_step(s, XM_EV_TIMER, NULL);
		if (arrive_check_stall(&s->arrive, &s->dst, side,
				       s->opts->x.stall_ns, recv_err(s)))
			recv_fail(s);
		report_progress(side, &s->report);
	}
}

/* -- setting up ------------------------------------------------------------------------------- */

static int recv_listen(struct recv *s)
{
	struct ctl_addr addr;
	char text[64];
	int r;

	s->door.trust = s->side.trust.keys;
	if (s->door.is_shared)
		return 0;
	r = door_open(&s->door, s->opts->listen, s->side.dev, &addr,
		      recv_err(s));
	if (!r)
		cli_info(s->side.cli, "%s: waiting for a source at %s",
			 s->side.dev, ctl_addr_text(&addr, text, sizeof(text)));
	return r;
}

/* Wait for somebody who may come in. */
static int recv_accept(struct recv *s)
{
	struct xm_error *e = recv_err(s);
	struct pollfd fds[SIDE_MORE];
	enum side_event ev;
	unsigned int n, news;
	int r;

	for (;;) {
		r = door_work(&s->door, s->side.cli, xm_clock(), false, e);
		s->side.ctl = r ? NULL : door_take(&s->door);
		if (r || s->side.ctl)
			return r;
		fds[0] = (struct pollfd){ run_fd(s->run), POLLIN, 0 };
		n = 1 + door_fds(&s->door, fds + 1);
		n += guest_target_fds(s->take.guest, fds + n);
		ev = side_wait(&s->side, door_expiry(&s->door), fds, n, false,
			       e);
		if (ev == SIDE_CANCEL || ev == SIDE_FAILED)
			return e->err;
		if (recv_listen_run(s) ||
		    guest_target_turn(s->take.guest, &news, e))
			return e->err;
	}
}

static int recv_unknown(struct recv *s)
{
	struct xm_error *e = recv_err(s), why = *e;

	memset(e, 0, sizeof(*e));
	s->dst.outcome.home = XM_HOME_UNKNOWN;
	return xm_fail(e, -ENOTCONN, XM_REASON_UNKNOWN_OUTCOME,
		       "the guest was handed over, but nobody can say whether "
		       "it runs here: %.200s",
		       why.msg);
}

/* Accept connections until one of them is a source, and serve that. */
static int recv_serve(struct recv *s)
{
	struct side *side = &s->side;
	char text[64];
	int r = recv_listen(s);

	if (!r)
		r = sandbox_enter(side, NULL, s->take.guest, recv_err(s));
	while (!r && !s->has_met) {
		r = recv_accept(s);
		if (r)
			break;
		s->report.begun = xm_clock();
		(void)ctl_addr_text(ctl_peer(side->ctl), text, sizeof(text));
		cli_info(side->cli, "%s is connected", text);
		xm_dst_init(&s->dst, side_trace(side));
		s->is_over = false;
		recv_run(s);
		side_finish(side);
		if (s->is_lost)
			return recv_unknown(s);
		if (s->has_met || side->cli->cancelled)
			return side_outcome(&s->dst.outcome, recv_err(s));
		cli_warn(side->cli, "%s is no source (%s); waiting on", text,
			 recv_err(s)->err ? recv_err(s)->msg :
					    s->dst.outcome.text);
		memset(recv_err(s), 0, sizeof(struct xm_error));
		side->ctl = ctl_close(side->ctl);
		/* or it is waited for, busily */
		side->may_have_message = false;
	}
	return r;
}

static int recv_plan(struct recv *s)
{
	json_t *o = cli_result(s->side.cli);
	struct ctl_addr addr;
	char text[64];
	int r = listen_address(s->opts->listen, s->side.dev, &addr,
			       recv_err(s));

	if (!r)
		r = side_plan(&s->side, NULL, NULL, 0, recv_err(s));
	if (r)
		return r;
	report_plan(&s->side, 0);
	cli_put_str(o, "listen", ctl_addr_text(&addr, text, sizeof(text)));
	cli_echo_options(s->side.cli);
	return 0;
}

static int recv_main(struct recv *s)
{
	struct side *side = &s->side;
	const char *home;
	const struct recv_lent *lent = s->opts->lent;
	int r = lent ? 0 : take_check_opts(side->opts, recv_err(s));

	sandbox_begin(side->cli, side->opts);
	if (!r)
		r = trust_open(&side->trust, side->cli, &side->opts->trust,
			       NULL, recv_err(s));
	if (!r)
		r = side_open_device(side, &s->opts->queues, recv_err(s));
	if (!r)
		r = lent ? guest_target_lent(&s->take.guest, "recv --discard",
					     lent->memory_fd, recv_err(s)) :
			   take_open(&s->take, side->opts, recv_err(s));
	if (!r && !side->opts->dry_run)
		r = run_open_as(&s->run, side->opts->name,
				s->take.guest->id.name, "recv", recv_err(s));
	if (r)
		return r;
	if (side->opts->dry_run)
		return recv_plan(s);
	r = recv_serve(s);
	if (!s->has_met)
		return r;
	home = xm_home_name(s->dst.outcome.home);
	report_result(side, &s->report);
	run_put_session(cli_result(side->cli), s->dst.hello.session);
	cli_put_str(cli_result(side->cli), "guest_runs_at", home);
	arrive_report(&s->arrive, &s->dst, cli_result(side->cli));
	verify_report(&s->verify, false, cli_result(side->cli));
	cli_put_u64(cli_result(side->cli), "device_bytes", s->take.came);
	(void)take_record(s->run, &s->dst.hello, home, NULL);
	return r;
}

/* What came is worth nothing when the guest stays at the source. */
static void recv_close(struct recv *s, bool has_failed)
{
	bool is_void = has_failed && s->dst.outcome.home == XM_HOME_SOURCE;

	side_stop(&s->side); /* before the memory goes */
	verify_close(&s->verify);
	if (is_void && s->has_met)
		guest_target_abandon(s->take.guest);
	if (is_void)
		side_discard_memory(&s->side);
	take_close(&s->take);
	door_close(&s->door);
	side_close(&s->side);
	s->run = run_close(s->run);
}

int cmd_recv(struct cli_ctx *cli, const void *opts)
{
	const struct cli_recv_opts *o = opts;
	struct recv *s;
	int r;

	if (o->discard && !o->lent)
		return discard_serve(cli, o);
	s = calloc(1, sizeof(*s));
	if (!s)
		return xm_fail(&cli->err, -ENOMEM, XM_REASON_MEMORY,
			       "out of memory");
	s->opts = o;
	s->door.listen_fd = -1;
	if (s->opts->lent) {
		s->door.listen_fd = s->opts->lent->listen_fd;
		s->door.is_shared = true;
	}
	s->side.cli = cli;
	s->side.opts = &s->opts->x;
	s->report.begun = xm_clock();
	r = cli_signals_open(cli, &cli->err);
	if (!r)
		r = recv_main(s);
	recv_close(s, r != 0);
	if (!s->side.is_left)
		free(s);
	return r;
}
