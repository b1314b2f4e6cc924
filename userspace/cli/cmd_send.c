// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_send.c - xdpmig send: conducting the source
 *
 * The session machine (core/src.c) says what to do next; this file does it:
 *
 *   PROBE       open the channels in their threads, go live, prove the paths
 *   HARVEST     the memory of --ram does not change: one epoch, the final one,
 *               then COMMIT
 *   OPEN_EPOCH  let the channels send; their barrier is the epoch's end
 *   FINISHED    tell the user where the guest may run
 *
 * and brings back what happened as events.
 */
#include "side.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "clock.h"
#include "core/src.h"
#include "guest/fault.h"
#include "report.h"

struct send {
	struct side side;
	const struct cli_send_opts *opts;
	struct xm_src src;
	enum pool_phase phase;
	struct report report;
	struct xm_msg out[XM_ACTIONS_MSGS];
	bool is_over;
};

static struct xm_error *send_err(struct send *s)
{
	return &s->side.cli->err;
}

static void send_step(struct send *s, enum xm_event_kind kind,
		      const struct xm_msg *msg, bool is_final);

/* Something failed here: end the session, the guest stays. */
static void send_fail(struct send *s)
{
	struct xm_msg msg;

	side_cancel_msg(send_err(s), &msg);
	send_step(s, XM_EV_CANCEL, &msg, false);
}

/* -- carrying out actions ------------------------------------------------------------- */

static void send_open_channels(struct send *s)
{
	struct side *side = &s->side;

	side->agreed = s->src.agreed;
	side->peer_base = s->src.agreed.port_base;
	s->phase = POOL_OPEN;
	if (side_open_channels(side, s->opts->in_flight, s->opts->bandwidth,
			       send_err(s)))
		send_fail(s);
}

static void send_begin_epoch(struct send *s, uint32_t epoch)
{
	if (!s->report.sending.ns)
		s->report.sending = xm_clock();
	s->report.epoch = epoch;
	s->phase = POOL_EPOCH;
	pool_begin(s->side.pool, POOL_EPOCH, epoch, &s->side.pages);
}

static void send_act(struct send *s, const struct xm_actions *act)
{
	side_send(&s->side, act);
	if (act->flags & XM_ACT_PROBE)
		send_open_channels(s);
	if (act->flags & XM_ACT_HARVEST) {
		if (s->src.is_final)
			send_step(s, XM_EV_COMMIT, NULL, false);
		else
			send_step(s, XM_EV_NEXT_EPOCH, NULL, true);
	}
	if (act->flags & XM_ACT_OPEN_EPOCH)
		send_begin_epoch(s, act->epoch);
	if (act->flags & XM_ACT_FINISHED)
		s->is_over = true;
}

static void send_step(struct send *s, enum xm_event_kind kind,
		      const struct xm_msg *msg, bool is_final)
{
	struct xm_event ev = { .kind = kind, .is_final = is_final, .msg = msg };
	struct xm_actions act = { .msg = s->out };

	xm_src_step(&s->src, xm_clock(), &ev, &act);
	send_act(s, &act);
}

/* -- what the channels' threads report ---------------------------------------------------- */

static void send_phase_done(struct send *s)
{
	struct side *side = &s->side;

	switch (s->phase) {
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
		s->report.finished = xm_clock();
		side_collect(side);
		send_step(s, XM_EV_INSTALLED, &side->msg, false);
		break;
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

/* -- the loop ----------------------------------------------------------------------------- */

static void send_run(struct send *s)
{
	struct side *side = &s->side;

	send_step(s, XM_EV_START, NULL, false);
	while (!s->is_over) {
		struct xm_time until =
			xm_time_min(xm_src_expiry(&s->src),
				    xm_time_add(xm_clock(), 200 * XM_MS));

		switch (side_wait(side, until, -1,
				  s->src.state == XM_SRC_COMMIT, send_err(s))) {
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
		case SIDE_TIMER:
			if (s->src.state != XM_SRC_COMMIT &&
			    guest_fault_check(&side->ram, send_err(s)))
				send_trouble(s);
			break;
		}
		if (!xm_time_before(xm_clock(), xm_src_expiry(&s->src)))
			send_step(s, XM_EV_TIMER, NULL, false);
		report_progress(side, &s->report);
	}
}

/* -- setting up ------------------------------------------------------------------------------ */

static int send_hello(struct send *s, struct xm_msg_hello *h)
{
	struct side *side = &s->side;
	const struct xm_map *map = &side->ram.map;
	unsigned int i;

	memset(h, 0, sizeof(*h));
	h->version_min = h->version_max = XM_MSG_VERSION;
	if (getrandom(h->session, sizeof(h->session), 0) != sizeof(h->session))
		return xm_fail(send_err(s), -EIO, XM_REASON_INTERNAL,
			       "no random numbers");
	h->n_channels = (uint16_t)side->n_channels;
	h->port_base = side->my_base;
	h->ip_max = side->plan.ip_max;
	h->max_pages = (uint16_t)side_max_pages(side);
	h->n_blocks = (uint16_t)map->n_blocks;
	for (i = 0; i < map->n_blocks; i++) {
		memcpy(h->block[i].name, map->block[i].name, XM_BLOCK_NAME);
		h->block[i].len = map->block[i].len;
	}
	return 0;
}

static int send_prepare(struct send *s)
{
	struct side *side = &s->side;
	struct xm_error *e = send_err(s);
	struct ctl_addr peer;
	int r;

	r = side_open_device(side, &s->opts->queues, e);
	if (!r)
		r = guest_ram_open(&side->ram, side->opts->ram, s->opts->block,
				   e);
	if (!r)
		r = guest_fault_catch(&side->ram, e);
	if (!r)
		r = side_scan_memory(side, e);
	if (!r)
		r = ctl_addr_parse(&peer, s->opts->peer, XM_PORT_CTL, e);
	if (!r && !side->opts->dry_run)
		r = ctl_connect(&side->ctl, &peer, NULL, 5000, e);
	if (r)
		return r;
	return side_plan(side, &peer, side->ctl ? ctl_local(side->ctl) : NULL,
			 s->opts->in_flight, e);
}

static void send_event_start(struct send *s)
{
	json_t *o = cli_event_new("start");

	cli_put_str(o, "dev", s->side.dev);
	cli_put_str(o, "peer", s->opts->peer);
	cli_put_u64(o, "channels", s->side.n_channels);
	cli_put_u64(o, "ram_bytes_total", xm_map_bytes(&s->side.ram.map));
	cli_event_emit(s->side.cli, o);
}

static int send_main(struct send *s)
{
	struct xm_msg_hello hello;
	int r = send_prepare(s);

	if (r)
		return r;
	if (s->side.opts->dry_run) {
		report_plan(&s->side);
		return 0;
	}
	r = send_hello(s, &hello);
	if (r)
		return r;
	xm_src_init(&s->src, &hello, side_trace(&s->side));
	send_event_start(s);
	send_run(s);
	side_finish(&s->side);
	r = side_outcome(&s->src.outcome, send_err(s));
	report_result(&s->side, &s->report);
	return r;
}

int cmd_send(struct cli_ctx *cli, const void *opts)
{
	struct send *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return xm_fail(&cli->err, -ENOMEM, XM_REASON_MEMORY,
			       "out of memory");
	s->opts = opts;
	s->side.cli = cli;
	s->side.opts = &s->opts->x;
	s->side.is_sender = true;
	s->side.my_base = (uint16_t)s->opts->x.port;
	s->report.begun = xm_clock();
	r = cli_signals_open(cli, &cli->err);
	if (!r)
		r = send_main(s);
	/* Also of a migration that never began: the first thing to know. */
	if (!s->opts->x.dry_run)
		cli_put_str(cli_result(cli), "guest_runs_at",
			    xm_home_name(s->src.outcome.home));
	side_close(&s->side);
	free(s);
	return r;
}
