// SPDX-License-Identifier: GPL-2.0-or-later
/* conduct.c - the conductor: carries out what the session machines ask for
 *
 * The simulated cli/.  An event goes into a machine, its messages go out
 * first, then what it asks for is done, which may be the next event.  Both
 * hosts' conductors are here; they share nothing but the control connection,
 * and the world's knowledge of what is right:
 *
 *   the guest never runs in two places, and never where a session that is
 *   over says it may not
 *   what the machines agreed is installed is what the sender pushed
 *   when the destination is about to run the guest, its memory is the same
 */
#include <string.h>

#include "world.h"

static unsigned int n_channels(const struct world *w)
{
	return w->opts.n_channels;
}

static void conduct_note_home(struct world *w, const char *who,
			      const char *what)
{
	sim_log_note(&w->log, w->sim.now, SIM_NOTE_HOME, who, "%s", what);
}

/* -- the source --------------------------------------------------------------------- */

static void src_event(struct world *w, const struct xm_event *ev);

/* Another epoch, the final one, or none?  By what the last one cost and what
 * its harvest found. */
static enum xm_converge_verdict src_converge(struct world *w, uint32_t found)
{
	uint64_t bytes = world_tx_stats(w).bytes_sent;
	enum xm_converge_verdict v;

	if (w->epoch == 1) {
		xm_converge_begin(&w->converge, &w->opts.converge, w->sim.now);
		v = XM_CONVERGE_EPOCH;
	} else {
		v = xm_converge_step(&w->converge, w->sim.now, w->epoch_pages,
				     bytes - w->epoch_bytes,
				     xm_time_sub(w->sim.now, w->epoch_at),
				     found);
	}
	w->guest.throttle = w->converge.throttle;
	w->epoch_at = w->sim.now;
	w->epoch_bytes = bytes;
	w->epoch_pages = found;
	return v;
}

/* Into the guest's harvest; pages found.  Pauses it for the last one. */
static uint32_t src_harvest(struct world *w)
{
	enum xm_converge_verdict v;
	uint32_t found;

	if (!w->opts.converges) {
		w->is_final = w->epoch > w->opts.live_epochs;
		if (w->is_final)
			guest_run(&w->guest, false);
		if (w->opts.on_epoch)
			w->opts.on_epoch(w, w->epoch, w->is_final);
		return guest_harvest(&w->guest, false);
	}
	found = guest_harvest(&w->guest, false);
	v = src_converge(w, found);
	if (v == XM_CONVERGE_GIVE_UP)
		conduct_cancel_src(w, XM_REASON_STALLED,
				   "it does not converge");
	w->is_final = v == XM_CONVERGE_SWITCH;
	if (!w->is_final)
		return found;
	guest_run(&w->guest, false);
	return guest_harvest(&w->guest, true);
}

static void src_start_epoch(struct world *w)
{
	uint32_t found;

	/* The data plane's stories begin here. */
	if (!w->epoch++ && !(w->log.show & SIM_NOTE_CTL))
		w->log.base = w->sim.now;
	found = src_harvest(w);
	if (w->ses_src.state != XM_SRC_HARVEST)
		return; /* it was given up */
	sim_log_note(&w->log, w->sim.now, SIM_NOTE_EPOCH, "guest",
		     "%sharvest %u: %u pages", w->is_final ? "paused, " : "",
		     w->epoch, found);
	src_event(w, &(struct xm_event){ .kind = XM_EV_NEXT_EPOCH,
					 .is_final = w->is_final });
}

/* Nothing is open: the next epoch, the devices, or hand the guest over. */
static void src_decide(struct world *w)
{
	if (w->epoch && !w->ses_src.is_loaded && !w->ses_src.is_verified &&
	    !w->ses_src.must_repair) {
		world_check_totals(w);
		sim_log_note(&w->log, w->sim.now, SIM_NOTE_EPOCH, "ctl",
			     "epoch %u is installed", w->epoch);
		if (w->opts.clear_late)
			guest_clear_late(&w->guest);
	}
	if (w->verdict)
		return;
	if (!w->is_final)
		src_start_epoch(w);
	else if (w->ses_src.must_repair)
		verify_repair(&w->verify);
	else if (verify_is_missing(&w->verify))
		src_event(w, &(struct xm_event){ .kind = XM_EV_VERIFY });
	else if (w->opts.device.len && !w->ses_src.is_loaded)
		device_go_on(&w->device);
	else
		src_event(w, &(struct xm_event){ .kind = XM_EV_COMMIT });
}

static void src_finished(struct world *w)
{
	unsigned int i;

	for (i = 0; i < n_channels(w); i++)
		src_stop(&w->src[i]);
	ctl_close(&w->ctl, SIM_CTL_SRC);
	if (w->ses_src.outcome.home == XM_HOME_SOURCE) {
		guest_run(&w->guest, true);
		conduct_note_home(w, "src", "the guest runs here");
	} else {
		conduct_note_home(w, "src",
				  w->ses_src.outcome.home == XM_HOME_TARGET ?
					  "the guest is gone" :
					  "nobody knows where the guest is");
	}
}

static void src_event(struct world *w, const struct xm_event *ev)
{
	static struct xm_msg room[XM_ACTIONS_MSGS];
	struct xm_actions act = { .msg = room };
	unsigned int i;

	xm_src_step(&w->ses_src, w->sim.now, ev, &act);
	for (i = 0; i < act.n_msgs; i++)
		ctl_send(&w->ctl, SIM_CTL_DST, &act.msg[i]);
	if ((act.flags & XM_ACT_PROBE) && w->opts.probe)
		for (i = 0; i < n_channels(w); i++)
			prober_init(&w->src[i].prober, w, i, &w->src[i].seal);
	if (act.flags & XM_ACT_HARVEST)
		src_decide(w);
	if (act.flags & XM_ACT_OPEN_EPOCH)
		for (i = 0; i < n_channels(w); i++)
			src_begin(&w->src[i], act.epoch);
	if (act.flags & XM_ACT_DEVICE)
		device_pump(&w->device);
	if (act.flags & XM_ACT_HASH)
		verify_begin_src(&w->verify);
	if (act.flags & XM_ACT_HASHES)
		verify_got(&w->verify, &ev->msg->hashes);
	if (act.flags & XM_ACT_FINISHED)
		src_finished(w);
}

void conduct_src_event(struct world *w, const struct xm_event *ev)
{
	src_event(w, ev);
}

void conduct_src_msg(struct world *w, enum xm_event_kind kind,
		     const struct xm_msg *msg)
{
	src_event(w, &(struct xm_event){ .kind = kind, .msg = msg });
}

/* Every channel passed its barrier: this is what was sent. */
static void src_installed(struct world *w)
{
	static struct xm_msg msg;
	unsigned int i;

	memset(&msg, 0, sizeof(msg));
	msg.type = XM_MSG_EPOCH_END;
	msg.epoch.n_channels = (uint16_t)n_channels(w);
	for (i = 0; i < n_channels(w); i++)
		msg.epoch.totals[i] = (struct xm_rx_totals){
			.frames = xm_tx_frames(w->src[i].tx),
			.packets = w->src[i].n_packets,
			.bytes_placed =
				(uint64_t)w->src[i].n_normal * XM_PAGE_SIZE,
			.pages_announced = w->src[i].n_normal,
			.zero_pages = w->src[i].n_zero,
		};
	src_event(w,
		  &(struct xm_event){ .kind = XM_EV_INSTALLED, .msg = &msg });
}

/* -- the destination ------------------------------------------------------------------ */

static void dst_event(struct world *w, const struct xm_event *ev);

void conduct_cancel_dst(struct world *w, enum xm_reason reason,
			const char *text)
{
	static struct xm_msg msg;

	memset(&msg, 0, sizeof(msg));
	msg.type = XM_MSG_ABORT;
	msg.abort.reason = reason;
	memcpy(msg.abort.text, text, strnlen(text, XM_MSG_TEXT - 1));
	dst_event(w, &(struct xm_event){ .kind = XM_EV_CANCEL, .msg = &msg });
}

static bool dst_likes(const struct world *w, const struct xm_msg_hello *h)
{
	const struct xm_map *map = &w->guest.dst_map;
	unsigned int i;

	if (h->n_blocks != map->n_blocks || h->n_channels != n_channels(w))
		return false;
	for (i = 0; i < map->n_blocks; i++)
		if (strcmp(h->block[i].name, map->block[i].name) ||
		    h->block[i].len != map->block[i].len)
			return false;
	return true;
}

static void dst_consider(struct world *w)
{
	static struct xm_msg msg;
	unsigned int i;

	if (!dst_likes(w, &w->ses_dst.hello)) {
		conduct_cancel_dst(w, XM_REASON_REFUSED, "another guest");
		return;
	}
	memset(&msg, 0, sizeof(msg));
	msg.type = XM_MSG_WELCOME;
	msg.welcome = (struct xm_msg_welcome){
		.version = XM_MSG_VERSION,
		.features = XM_FEATURE_DEVICE |
			    (w->opts.verify.is_unknown ? 0 : XM_FEATURE_VERIFY),
		.n_channels = (uint16_t)n_channels(w),
		.port_base = XM_PORT_DATA,
		.ip_max = w->opts.mtu,
		.max_pages = XM_FRAME_SEGS,
		.credit = w->opts.credit,
	};
	for (i = 0; i < n_channels(w); i++)
		msg.welcome.cookie[i] = 0xc00c1e0000000000ull + i;
	dst_event(w, &(struct xm_event){ .kind = XM_EV_ACCEPT, .msg = &msg });
}

/* Receivers take the new epoch; then, and not before, say so. */
static void dst_open(struct world *w)
{
	unsigned int i;

	if (w->opts.tell_late_ns) {
		w->tell_at = xm_time_add(w->sim.now, w->opts.tell_late_ns);
	} else {
		w->phase.epoch = w->ses_dst.epoch;
		for (i = 0; i < n_channels(w); i++)
			dst_epoch(&w->dst[i], w->ses_dst.epoch);
	}
	dst_event(w, &(struct xm_event){ .kind = XM_EV_OPENED });
}

static void dst_totals(struct world *w)
{
	static struct xm_msg msg;
	unsigned int i;

	memset(&msg, 0, sizeof(msg));
	msg.type = XM_MSG_EPOCH_END;
	msg.epoch.n_channels = (uint16_t)n_channels(w);
	for (i = 0; i < n_channels(w); i++) {
		if (!w->opts.never_close)
			dst_close(&w->dst[i]);
		msg.epoch.totals[i] = xm_rx_totals(w->dst[i].rx);
	}
	dst_event(w,
		  &(struct xm_event){ .kind = XM_EV_INSTALLED, .msg = &msg });
}

static void dst_finished(struct world *w)
{
	unsigned int i;

	for (i = 0; i < n_channels(w) && !w->opts.never_close; i++)
		dst_close(&w->dst[i]);
	ctl_close(&w->ctl, SIM_CTL_DST);
}

static void dst_event(struct world *w, const struct xm_event *ev)
{
	static struct xm_msg room[XM_ACTIONS_MSGS];
	struct xm_actions act = { .msg = room };
	unsigned int i;

	xm_dst_step(&w->ses_dst, w->sim.now, ev, &act);
	for (i = 0; i < act.n_msgs; i++)
		ctl_send(&w->ctl, SIM_CTL_SRC, &act.msg[i]);
	if (act.flags & XM_ACT_CONSIDER)
		dst_consider(w);
	if ((act.flags & XM_ACT_PROBE) && w->opts.probe)
		for (i = 0; i < n_channels(w); i++)
			prober_init(&w->dst[i].prober, w, i, &w->dst[i].seal);
	if (act.flags & XM_ACT_OPEN_EPOCH)
		dst_open(w);
	if (act.flags & XM_ACT_TOTALS)
		dst_totals(w);
	if (act.flags & XM_ACT_TAKE_GUEST)
		w->take_at = xm_time_add(w->sim.now, w->opts.take_ns);
	if (act.flags & XM_ACT_DEVICE)
		device_got(&w->device, &ev->msg->device);
	if (act.flags & XM_ACT_DEVICE_END)
		device_load(&w->device);
	if (act.flags & XM_ACT_HASH)
		verify_begin_dst(&w->verify);
	if (act.flags & XM_ACT_FINISHED)
		dst_finished(w);
}

void conduct_dst_msg(struct world *w, enum xm_event_kind kind,
		     const struct xm_msg *msg)
{
	dst_event(w, &(struct xm_event){ .kind = kind, .msg = msg });
}

/* -- clocks ------------------------------------------------------------------------------ */

static struct world *world_of(const struct sim_node *n)
{
	return (struct world *)n->sim;
}

static struct xm_time src_clock_at(const struct sim_node *n)
{
	return xm_src_expiry(&world_of(n)->ses_src);
}

static void src_clock_run(struct sim_node *n, struct xm_time now)
{
	(void)now;
	src_event(world_of(n), &(struct xm_event){ .kind = XM_EV_TIMER });
}

static struct xm_time dst_clock_at(const struct sim_node *n)
{
	return xm_dst_expiry(&world_of(n)->ses_dst);
}

static void dst_clock_run(struct sim_node *n, struct xm_time now)
{
	(void)now;
	dst_event(world_of(n), &(struct xm_event){ .kind = XM_EV_TIMER });
}

static struct xm_time teller_at(const struct sim_node *n)
{
	return world_of(n)->tell_at;
}

static void teller_run(struct sim_node *n, struct xm_time now)
{
	struct world *w = world_of(n);
	unsigned int i;

	(void)now;
	w->tell_at = XM_TIME_NEVER;
	w->phase.epoch = w->ses_dst.epoch;
	for (i = 0; i < n_channels(w); i++)
		dst_epoch(&w->dst[i], w->ses_dst.epoch);
}

static struct xm_time taker_at(const struct sim_node *n)
{
	return world_of(n)->take_at;
}

/* The destination starts the guest, or finds that it cannot. */
static void taker_run(struct sim_node *n, struct xm_time now)
{
	struct world *w = world_of(n);
	unsigned int i;

	(void)now;
	w->take_at = XM_TIME_NEVER;
	if (w->opts.take_fails) {
		conduct_cancel_dst(w, XM_REASON_MEMORY,
				   "the guest does not start");
		return;
	}
	if (w->opts.device.len && !w->device.is_loaded)
		world_fail(w, WORLD_BROKEN, "a guest without its devices");
	if (verify_is_missing(&w->verify))
		world_fail(w, WORLD_BROKEN, "a guest that was not verified");
	world_compare(w);
	for (i = 0; i < n_channels(w) && w->opts.forget; i++)
		dst_epoch(&w->dst[i], w->ses_dst.epoch);
	w->dst_runs = true;
	conduct_note_home(w, "dst", "the guest runs here");
	dst_event(w, &(struct xm_event){ .kind = XM_EV_COMMIT });
}

/* -- what comes from outside --------------------------------------------------------------- */

void conduct_deliver(struct world *w, enum sim_ctl_end end,
		     const struct xm_msg *msg)
{
	struct xm_event ev = {
		.kind = msg ? XM_EV_MESSAGE : XM_EV_LOST,
		.msg = msg,
	};

	if (end == SIM_CTL_SRC)
		src_event(w, &ev);
	else
		dst_event(w, &ev);
}

void conduct_cancel_src(struct world *w, enum xm_reason reason,
			const char *text)
{
	static struct xm_msg msg;

	memset(&msg, 0, sizeof(msg));
	msg.type = XM_MSG_ABORT;
	msg.abort.reason = reason;
	memcpy(msg.abort.text, text, strnlen(text, XM_MSG_TEXT - 1));
	src_event(w, &(struct xm_event){ .kind = XM_EV_CANCEL, .msg = &msg });
}

void conduct_cancel(struct world *w, enum sim_ctl_end end)
{
	sim_log_note(&w->log, w->sim.now, SIM_NOTE_CTL,
		     end == SIM_CTL_SRC ? "src" : "dst", "the user cancels");
	if (end == SIM_CTL_SRC)
		conduct_cancel_src(w, XM_REASON_CANCELLED, "cancelled");
	else if (w->ses_dst.state != XM_DST_COMMIT) /* there it is too late */
		conduct_cancel_dst(w, XM_REASON_CANCELLED, "cancelled");
}

/* -- between two steps ------------------------------------------------------------------------ */

static void settle_src_proven(struct world *w)
{
	unsigned int i;

	if (w->ses_src.state != XM_SRC_PROBE || w->src_is_proven)
		return;
	for (i = 0; i < n_channels(w) && w->opts.probe; i++) {
		const struct xm_probe *p = &w->src[i].prober.probe;

		if (xm_probe_has_failed(p, w->sim.now)) {
			conduct_cancel_src(w, XM_REASON_PATH, "no path");
			return;
		}
		if (!xm_probe_is_done(p))
			return;
	}
	w->src_is_proven = true;
	src_event(w, &(struct xm_event){ .kind = XM_EV_PROVEN });
}

static void settle_dst_proven(struct world *w)
{
	unsigned int i;

	if (w->ses_dst.state != XM_DST_PROBE || w->dst_is_proven)
		return;
	for (i = 0; i < n_channels(w) && w->opts.probe; i++) {
		const struct xm_probe *p = &w->dst[i].prober.probe;

		if (xm_probe_has_failed(p, w->sim.now)) {
			conduct_cancel_dst(w, XM_REASON_PATH, "no path");
			return;
		}
		if (!xm_probe_is_done(p))
			return;
	}
	w->dst_is_proven = true;
	dst_event(w, &(struct xm_event){ .kind = XM_EV_PROVEN });
}

static bool src_at_barrier(const struct world *w)
{
	unsigned int i;

	for (i = 0; i < n_channels(w); i++)
		if (w->src[i].step != SRC_DONE)
			return false;
	return true;
}

/* Where the guest runs against what the sessions say. */
static void settle_home(struct world *w)
{
	const struct xm_outcome *src = &w->ses_src.outcome;
	const struct xm_outcome *dst = &w->ses_dst.outcome;
	bool src_over = w->ses_src.state >= XM_SRC_DONE;
	bool dst_over = w->ses_dst.state >= XM_DST_DONE;

	if (w->guest.running && w->dst_runs)
		world_fail(w, WORLD_BROKEN, "the guest runs on both sides");
	if (src_over && src->home == XM_HOME_TARGET && !w->dst_runs)
		world_fail(w, WORLD_BROKEN, "the guest runs nowhere");
	if (src_over && src->home == XM_HOME_SOURCE && dst_over &&
	    dst->home == XM_HOME_TARGET)
		world_fail(w, WORLD_BROKEN, "both sides own the guest");
}

void conduct_settle(struct world *w)
{
	settle_src_proven(w);
	settle_dst_proven(w);
	while (!w->verdict && w->ses_src.state == XM_SRC_EPOCH &&
	       src_at_barrier(w))
		src_installed(w);
	settle_home(w);
}

bool conduct_is_over(const struct world *w)
{
	return w->ses_src.state >= XM_SRC_DONE &&
	       w->ses_dst.state >= XM_DST_DONE;
}

/* -- life ------------------------------------------------------------------------------------- */

void conduct_start(struct world *w)
{
	guest_run(&w->guest, true);
	dst_event(w, &(struct xm_event){ .kind = XM_EV_START });
	src_event(w, &(struct xm_event){ .kind = XM_EV_START });
}

static const char *src_state(unsigned int state)
{
	return xm_src_state_name((enum xm_src_state)state);
}

static const char *dst_state(unsigned int state)
{
	return xm_dst_state_name((enum xm_dst_state)state);
}

static void conduct_hello(const struct world *w, struct xm_msg_hello *h)
{
	const struct xm_map *map = &w->guest.src_map;
	unsigned int i;

	h->version_min = h->version_max = XM_MSG_VERSION;
	if (w->opts.device.len)
		h->features = XM_FEATURE_DEVICE;
	if (w->opts.verify.is_on)
		h->features |= XM_FEATURE_VERIFY;
	h->n_channels = (uint16_t)n_channels(w);
	h->port_base = XM_PORT_DATA;
	h->ip_max = w->opts.mtu;
	h->max_pages = XM_FRAME_SEGS;
	h->n_blocks = (uint16_t)map->n_blocks;
	for (i = 0; i < map->n_blocks; i++) {
		memcpy(h->block[i].name, map->block[i].name, XM_BLOCK_NAME);
		h->block[i].len = map->block[i].len;
	}
}

void conduct_init(struct world *w)
{
	static struct xm_msg_hello hello;

	memset(&hello, 0, sizeof(hello));
	conduct_hello(w, &hello);
	sim_side_init(&w->ses_side[0], &w->log, "src");
	w->ses_side[0].state_name = src_state;
	sim_side_init(&w->ses_side[1], &w->log, "dst");
	w->ses_side[1].state_name = dst_state;
	xm_src_init(&w->ses_src, &hello, &w->ses_side[0].trace);
	xm_dst_init(&w->ses_dst, &w->ses_side[1].trace);
	ctl_init(&w->ctl, w, &w->opts.ctl);
	w->tell_at = w->take_at = XM_TIME_NEVER;
	w->src_clock.next_at = src_clock_at;
	w->src_clock.run = src_clock_run;
	sim_add(&w->sim, &w->src_clock);
	w->dst_clock.next_at = dst_clock_at;
	w->dst_clock.run = dst_clock_run;
	sim_add(&w->sim, &w->dst_clock);
	w->teller.next_at = teller_at;
	w->teller.run = teller_run;
	sim_add(&w->sim, &w->teller);
	w->taker.next_at = taker_at;
	w->taker.run = taker_run;
	sim_add(&w->sim, &w->taker);
}
