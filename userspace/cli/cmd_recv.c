// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_recv.c - xdpmig recv: conducting the destination
 *
 * Waits for one source (who connects and does not say HELLO is none: it is sent
 * away, and the wait goes on), carries out what the session machine (core/dst.c)
 * says, and exits:
 *
 *   CONSIDER    compare what the source announces with what is here, make the
 *               memory, open the channels; then WELCOME
 *   PROBE       prove the paths
 *   OPEN_EPOCH  let the channels take frames of it
 *   TOTALS      close the channels and count
 *   TAKE_GUEST  with --ram there is nothing to start: the memory is complete
 *
 * Nothing is made or allocated before a source has said what it wants.  A
 * migration that fails takes away the file it made.
 */
#include "side.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "clock.h"
#include "core/dst.h"
#include "guest/fault.h"
#include "report.h"
#include "util/fd.h"

struct recv {
	struct side side;
	const struct cli_recv_opts *opts;
	struct xm_dst dst;
	enum pool_phase phase;
	struct report report;
	struct xm_msg out[XM_ACTIONS_MSGS];
	bool has_met; /* a source said HELLO */
	bool is_over;
	int listen_fd;
	uint64_t frames;         /* that had come when last looked */
	struct xm_time progress; /* when there were more */
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

/* Make the memory the source describes. */
static int recv_make_memory(struct recv *s, const struct xm_msg_hello *h)
{
	struct side *side = &s->side;
	struct xm_error *e = recv_err(s);
	int r;

	if (h->n_blocks != 1)
		return xm_fail(e, -EINVAL, XM_REASON_REFUSED,
			       "the source has %u RAM blocks, --ram takes one",
			       h->n_blocks);
	r = guest_ram_create(&side->ram, side->opts->ram, h->block[0].name,
			     h->block[0].len, e);
	if (r)
		return r;
	r = guest_fault_catch(&side->ram, e);
	if (r)
		return r;
	r = xm_map_shard(&side->ram.map, side->n_channels);
	return r ? xm_fail(e, r, XM_REASON_REFUSED,
			   "memory of this size cannot be dealt to %u channels",
			   side->n_channels) :
		   0;
}

static int recv_consider(struct recv *s, const struct xm_msg_hello *h)
{
	struct side *side = &s->side;
	struct xm_error *e = recv_err(s);
	struct xm_msg_welcome *w = &side->agreed;
	int r;

	if (h->n_channels > side->n_channels)
		return xm_fail(e, -ERANGE, XM_REASON_REFUSED,
			       "%u channels asked for, %s serves %u: send "
			       "--queues %u",
			       h->n_channels, side->dev, side->n_channels,
			       side->n_channels);
	side->n_channels = h->n_channels;
	side->peer_base = h->port_base;
	r = side_plan(side, ctl_peer(side->ctl), ctl_local(side->ctl), 0, e);
	if (!r)
		r = recv_make_memory(s, h);
	if (r)
		return r;
	w->version = XM_MSG_VERSION;
	w->n_channels = h->n_channels;
	w->port_base = side->my_base;
	w->ip_max = side->plan.ip_max < h->ip_max ? side->plan.ip_max :
						    h->ip_max;
	w->max_pages = h->max_pages < XM_FRAME_SEGS ? h->max_pages :
						      XM_FRAME_SEGS;
	if (getrandom(w->cookie, sizeof(w->cookie), 0) != sizeof(w->cookie))
		return xm_fail(e, -EIO, XM_REASON_INTERNAL,
			       "no random numbers");
	return side_open_channels(side, 0, 0, e);
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
	pool_begin(s->side.pool, phase, epoch, NULL);
}

static void recv_act(struct recv *s, const struct xm_actions *act)
{
	side_send(&s->side, act);
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
	if (act->flags & XM_ACT_TAKE_GUEST)
		recv_step(s, XM_EV_COMMIT, NULL);
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
		recv_step(s, XM_EV_INSTALLED, &s->side.msg);
		break;
	}
}

/* -- the loop ------------------------------------------------------------------------------ */

/* While an epoch is open frames come; the source's heartbeat alone is no
 * progress. */
static void recv_check_stall(struct recv *s)
{
	bool is_open = s->dst.state == XM_DST_EPOCH;
	uint64_t stall_ns = s->opts->x.stall_ns, frames = 0;
	struct xm_time now = xm_clock();
	struct pump_report rep;
	unsigned int i;

	for (i = 0; is_open && i < s->side.n_channels; i++) {
		pool_report(s->side.pool, i, &rep);
		frames += rep.rx.frames;
	}
	if (!is_open || frames != s->frames) {
		s->frames = frames;
		s->progress = now;
		return;
	}
	if ((uint64_t)xm_time_sub(now, s->progress) < stall_ns)
		return;
	(void)xm_fail(recv_err(s), -ETIMEDOUT, XM_REASON_STALLED,
		      "%s: no frame of the source came for %.1f s", s->side.dev,
		      (double)stall_ns / XM_SEC);
	recv_fail(s);
}

static void recv_run(struct recv *s)
{
	struct side *side = &s->side;

	recv_step(s, XM_EV_START, NULL);
	while (!s->is_over) {
		struct xm_time until =
			xm_time_min(xm_dst_expiry(&s->dst),
				    xm_time_add(xm_clock(), 200 * XM_MS));

		switch (side_wait(side, until, -1,
				  s->dst.state == XM_DST_COMMIT, recv_err(s))) {
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
			recv_fail(s);
			break;
		case SIDE_TIMER:
			if (guest_fault_check(&side->ram, recv_err(s)))
				recv_fail(s);
			break;
		}
		if (!xm_time_before(xm_clock(), xm_dst_expiry(&s->dst)))
			recv_step(s, XM_EV_TIMER, NULL);
		recv_check_stall(s);
		report_progress(side, &s->report);
	}
}

/* -- setting up ------------------------------------------------------------------------------- */

/* The device's first address: IPv4 before IPv6, no link-local one. */
static int recv_first_address(struct recv *s, struct ctl_addr *ret_addr)
{
	struct ifaddrs *all, *i, *best = NULL;
	const struct sockaddr_in6 *v6;

	if (getifaddrs(&all))
		return xm_fail(recv_err(s), -errno, XM_REASON_DEVICE,
			       "addresses of %s: %s", s->side.dev,
			       strerror(errno));
	for (i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr || strcmp(i->ifa_name, s->side.dev))
			continue;
		v6 = (const struct sockaddr_in6 *)i->ifa_addr;
		if (i->ifa_addr->sa_family == AF_INET) {
			best = i;
			break;
		}
		if (i->ifa_addr->sa_family == AF_INET6 && !best &&
		    !IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
			best = i;
	}
	memset(ret_addr, 0, sizeof(*ret_addr));
	if (best && best->ifa_addr->sa_family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)&ret_addr->ss;

		memcpy(in, best->ifa_addr, sizeof(*in));
		in->sin_port = htons(XM_PORT_CTL);
		ret_addr->len = sizeof(*in);
	} else if (best) {
		struct sockaddr_in6 *in = (struct sockaddr_in6 *)&ret_addr->ss;

		memcpy(in, best->ifa_addr, sizeof(*in));
		in->sin6_port = htons(XM_PORT_CTL);
		ret_addr->len = sizeof(*in);
	}
	freeifaddrs(all);
	return best ? 0 :
		      xm_fail(recv_err(s), -EADDRNOTAVAIL, XM_REASON_USAGE,
			      "%s has no address of its own: say where to "
			      "listen with --listen",
			      s->side.dev);
}

/* The address to listen at. */
static int recv_address(struct recv *s, struct ctl_addr *ret_addr)
{
	return s->opts->listen ? ctl_addr_parse(ret_addr, s->opts->listen,
						XM_PORT_CTL, recv_err(s)) :
				 recv_first_address(s, ret_addr);
}

static int recv_listen(struct recv *s)
{
	struct ctl_addr addr;
	char text[64];
	int r = recv_address(s, &addr);

	if (!r)
		r = ctl_listen(&s->listen_fd, &addr, recv_err(s));
	if (!r)
		cli_info(s->side.cli, "%s: waiting for a source at %s",
			 s->side.dev, ctl_addr_text(&addr, text, sizeof(text)));
	return r;
}

/* Wait for a connection. */
static int recv_accept(struct recv *s)
{
	struct xm_error *e = recv_err(s);
	int r;

	for (;;) {
		r = ctl_accept(&s->side.ctl, s->listen_fd, e);
		if (r != -EAGAIN)
			return r;
		switch (side_wait(&s->side, XM_TIME_NEVER, s->listen_fd, false,
				  e)) {
		case SIDE_CANCEL:
		case SIDE_FAILED:
			return e->err;
		case SIDE_MESSAGE:
		case SIDE_LOST:
		case SIDE_POOL:
		case SIDE_TIMER:
			break;
		}
	}
}

/* Accept connections until one of them is a source, and serve that. */
static int recv_serve(struct recv *s)
{
	struct side *side = &s->side;
	char text[64];
	int r = recv_listen(s);

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
		if (s->has_met || side->cli->cancelled)
			return side_outcome(&s->dst.outcome, recv_err(s));
		cli_warn(side->cli, "%s is no source (%s); waiting on", text,
			 recv_err(s)->err ? recv_err(s)->msg :
					    s->dst.outcome.text);
		memset(recv_err(s), 0, sizeof(struct xm_error));
		side->ctl = ctl_close(side->ctl);
	}
	return r;
}

static int recv_plan(struct recv *s)
{
	json_t *o = cli_result(s->side.cli);
	struct ctl_addr addr;
	char text[64];
	int r = recv_address(s, &addr);

	if (r)
		return r;
	cli_put_str(o, "status", "planned");
	cli_put_str(o, "dev", s->side.dev);
	cli_put_u64(o, "channels", s->side.n_channels);
	cli_put_str(o, "listen", ctl_addr_text(&addr, text, sizeof(text)));
	cli_echo_options(s->side.cli);
	return 0;
}

static int recv_main(struct recv *s)
{
	static const struct cli_queues all;
	struct side *side = &s->side;
	int r = side_open_device(side, &all, recv_err(s));

	if (r)
		return r;
	if (side->opts->dry_run)
		return recv_plan(s);
	r = recv_serve(s);
	if (!s->has_met)
		return r;
	report_result(side, &s->report);
	cli_put_str(cli_result(side->cli), "guest_runs_at",
		    xm_home_name(s->dst.outcome.home));
	return r;
}

int cmd_recv(struct cli_ctx *cli, const void *opts)
{
	struct recv *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return xm_fail(&cli->err, -ENOMEM, XM_REASON_MEMORY,
			       "out of memory");
	s->opts = opts;
	s->listen_fd = -1;
	s->side.cli = cli;
	s->side.opts = &s->opts->x;
	s->side.my_base = (uint16_t)s->opts->x.port;
	s->report.begun = xm_clock();
	r = cli_signals_open(cli, &cli->err);
	if (!r)
		r = recv_main(s);
	side_stop(&s->side); /* before the memory goes */
	if (r && s->dst.outcome.home != XM_HOME_TARGET)
		guest_ram_discard(&s->side.ram);
	side_close(&s->side);
	fd_closep(&s->listen_fd);
	free(s);
	return r;
}
