// SPDX-License-Identifier: GPL-2.0-or-later
/* conduct.c - waiting for what happens next, at either side
 *
 * The conductor's thread sleeps on the control connection, the channels'
 * threads, the user's signals, the kernel's news about the route, a time, and
 * what its command adds: the guest, and whoever asks how it goes.  What the
 * route's news mean is settled here, since it is the same everywhere: a new MAC
 * address is used from now on, a smaller MTU or a device that is gone ends the
 * migration, a link that is down may come back until the stall deadline says
 * otherwise.
 */
#include "side.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "clock.h"

static int side_timeout(struct xm_time until)
{
	int64_t ms;

	if (xm_time_is_never(until))
		return -1;
	ms = (xm_time_sub(until, xm_clock()) + XM_MS - 1) / XM_MS;
	return ms < 0 ? 0 : ms > 1000 ? 1000 : (int)ms;
}

/* -- messages ---------------------------------------------------------------------- */

void side_send(struct side *s, const struct xm_actions *act)
{
	struct xm_error e = { 0 };
	unsigned int i;
	size_t len;
	int r;

	for (i = 0; s->ctl && i < act->n_msgs; i++) {
		len = xm_msg_put(s->wire, &act->msg[i]);
		cli_debug(s->cli, "control: %s sent",
			  xm_msg_name(act->msg[i].type));
		r = ctl_send(s->ctl, s->wire, len, &e);
		if (r == -ENOBUFS || r == -ENOMEM)
			s->unsaid = e;
		if (r)
			return;
	}
}

/* Is there more of the peer's to come?  Not longer than until @end. */
static bool side_drain(struct side *s, struct xm_time end)
{
	const void *raw;
	size_t len;
	int r;

	do
		r = ctl_recv(s->ctl, &raw, &len, NULL);
	while (!r && xm_time_before(xm_clock(), end));
	return r == -EAGAIN;
}

void side_finish(struct side *s)
{
	struct xm_time end = xm_time_add(xm_clock(), XM_SEC);
	struct pollfd fd = { .fd = s->ctl ? ctl_fd(s->ctl) : -1 };
	bool has_ended = false;

	while (s->ctl && xm_time_before(xm_clock(), end)) {
		if (!has_ended && !ctl_wants_write(s->ctl)) {
			ctl_end(s->ctl);
			has_ended = true;
		}
		if (!side_drain(s, end))
			return;
		fd.events = ctl_wants_write(s->ctl) ? POLLIN | POLLOUT : POLLIN;
		(void)poll(&fd, 1, side_timeout(end));
		if (ctl_flush(s->ctl, NULL))
			return;
	}
}

/* The next message into s->msg.  True: there is one, or a reason to stop in
 * @ret.  One message a call, also when it is not for us: a peer that never
 * stops talking must not keep the rest waiting. */
static bool side_read(struct side *s, enum side_event *ret, struct xm_error *e)
{
	struct xm_error lost = { 0 };
	const void *raw;
	size_t len;
	int r;

	r = ctl_recv(s->ctl, &raw, &len, &lost);
	s->may_have_message = r != -EAGAIN;
	if (r == -EAGAIN)
		return false;
	if (r) {
		*ret = SIDE_LOST;
		(void)xm_fail(e, r, lost.reason, "%s", lost.msg);
		return true;
	}
	r = xm_msg_get(&s->msg, raw, len);
	if (r == XM_MSG_E_TYPE)
		return false; /* a later version's */
	if (r) {
		*ret = SIDE_FAILED;
		(void)xm_fail(e, -EPROTO,
			      r == XM_MSG_E_VERSION ? XM_REASON_VERSION :
						      XM_REASON_PROTOCOL,
			      "the peer sent a control message that cannot be "
			      "read (outcome %d)",
			      r);
		return true;
	}
	cli_debug(s->cli, "control: %s came", xm_msg_name(s->msg.type));
	*ret = SIDE_MESSAGE;
	return true;
}

/* -- news ---------------------------------------------------------------------------- */

/* True when the route's news end the migration. */
static bool side_read_route(struct side *s, struct xm_error *e)
{
	switch (route_watch_read(s->watch, &s->route, e)) {
	case ROUTE_E_SAME:
		return false;
	case ROUTE_E_CHANGED:
		cli_info(s->cli, "%s: the path to the peer changed", s->dev);
		if (s->pool)
			pool_set_path(s->pool, &s->route.path);
		return false;
	case ROUTE_E_DOWN:
		cli_warn(s->cli, "%s: link or route is down; waiting for it",
			 s->dev);
		return false;
	case ROUTE_E_SHRUNK:
		(void)xm_fail(e, -EMSGSIZE, XM_REASON_DEVICE,
			      "%s: the MTU fell below the %u bytes of the "
			      "agreed frames",
			      s->dev, s->frame_max);
		return true;
	case ROUTE_E_GONE:
		(void)xm_fail(e, -ENODEV, XM_REASON_DEVICE,
			      "%s: the device is gone", s->dev);
		return true;
	default:
		return true; /* -errno, @e is filled */
	}
}

enum { FD_SIGNAL, FD_CTL, FD_POOL, FD_ROUTE, FD_MORE };

static void side_fds(const struct side *s, struct pollfd *fds)
{
	memset(fds, 0, FD_MORE * sizeof(*fds));
	fds[FD_SIGNAL].fd = s->cli->signal_fd;
	fds[FD_CTL].fd = s->ctl ? ctl_fd(s->ctl) : -1;
	fds[FD_POOL].fd = s->pool ? pool_fd(s->pool) : -1;
	fds[FD_ROUTE].fd = s->watch ? route_watch_fd(s->watch) : -1;
	fds[FD_SIGNAL].events = fds[FD_CTL].events = fds[FD_POOL].events =
		fds[FD_ROUTE].events = POLLIN;
	if (s->ctl && ctl_wants_write(s->ctl))
		fds[FD_CTL].events |= POLLOUT;
}

/* What the ready descriptors say; false: nothing that matters.  The user
 * comes first, the peer last: what it sends can wait, and has no end. */
static bool side_dispatch(struct side *s, const struct pollfd *fds,
			  unsigned int n_more, bool is_committed,
			  enum side_event *ret, struct xm_error *e)
{
	unsigned int i;
	int r;

	if (fds[FD_SIGNAL].revents &&
	    cli_signals_cancel(s->cli, is_committed, e)) {
		*ret = SIDE_CANCEL;
		return true;
	}
	if (fds[FD_POOL].revents) {
		r = pool_check(s->pool, e);
		*ret = r < 0 ? SIDE_FAILED : SIDE_POOL;
		if (r != POOL_E_BUSY)
			return true;
	}
	if (fds[FD_ROUTE].revents && side_read_route(s, e)) {
		*ret = SIDE_FAILED;
		return true;
	}
	if (fds[FD_CTL].revents & POLLOUT)
		(void)ctl_flush(s->ctl, NULL); /* an end shows when reading */
	if ((fds[FD_CTL].revents || s->may_have_message) && s->ctl &&
	    side_read(s, ret, e))
		return true;
	*ret = SIDE_OTHER;
	for (i = 0; i < n_more; i++)
		if (fds[FD_MORE + i].revents)
			return true;
	return false;
}

enum side_event side_wait(struct side *s, struct xm_time until,
			  const struct pollfd *more, unsigned int n_more,
			  bool is_committed, struct xm_error *e)
{
	struct pollfd fds[FD_MORE + SIDE_MORE];
	enum side_event ev = SIDE_TIMER;
	int n;

	if (s->unsaid.err) { /* the peer waits for what it will not hear */
		(void)xm_fail(e, s->unsaid.err, s->unsaid.reason, "%s",
			      s->unsaid.msg);
		s->unsaid.err = 0;
		return SIDE_LOST;
	}
	if (n_more)
		memcpy(fds + FD_MORE, more, n_more * sizeof(*more));
	do {
		side_fds(s, fds);
		/* Several messages may have come with one POLLIN. */
		n = poll(fds, FD_MORE + n_more,
			 s->may_have_message ? 0 : side_timeout(until));
		if (n < 0 || (!n && !s->may_have_message))
			continue;
		if (side_dispatch(s, fds, n_more, is_committed, &ev, e))
			return ev;
	} while (xm_time_before(xm_clock(), until));
	return SIDE_TIMER;
}

/* -- ends -------------------------------------------------------------------------------- */

void side_cancel_msg(const struct xm_error *e, struct xm_msg *msg)
{
	memset(msg, 0, sizeof(*msg));
	msg->type = XM_MSG_ABORT;
	msg->abort.reason = e->reason ? e->reason : XM_REASON_INTERNAL;
	/* cut to what ABORT carries */
	memcpy(msg->abort.text, e->msg, sizeof(msg->abort.text) - 1);
}

/* What a peer could not do there is a refusal here. */
static enum xm_reason side_peers_reason(enum xm_reason reason)
{
	switch (reason) {
	case XM_REASON_NONE:
	case XM_REASON_INTERNAL:
	case XM_REASON_USAGE:
	case XM_REASON_DEVICE:
	case XM_REASON_STEERING:
	case XM_REASON_PERMISSION:
	case XM_REASON_MEMORY:
	case XM_REASON_ZERO_COPY:
	case XM_REASON_CONNECT:
	case XM_REASON_UNKNOWN_OUTCOME: /* not a peer's to say */
		return XM_REASON_REFUSED;
	case XM_REASON_VERSION:
	case XM_REASON_REFUSED:
	case XM_REASON_PROTOCOL:
	case XM_REASON_PATH:
	case XM_REASON_STALLED:
	case XM_REASON_CANCELLED:
	case XM_REASON_PEER_CANCELLED:
	case XM_REASON_PEER_LOST:
	case XM_REASON_INTEGRITY:
	case XM_REASON_NOT_CONVERGED:
	case XM_REASON__COUNT:
		break;
	}
	return reason;
}

int side_outcome(const struct xm_outcome *o, struct xm_error *e)
{
	int err = o->reason == XM_REASON_CANCELLED ? -ECANCELED : -EPROTO;

	/* Where the guest may run decides; no failure of ours that came along
	 * may turn it into another status. */
	if (o->home == XM_HOME_UNKNOWN) {
		memset(e, 0, sizeof(*e));
		return xm_fail(
			e, -ENOTCONN, XM_REASON_UNKNOWN_OUTCOME,
			"%s after COMMIT: nobody can say from here "
			"whether the target took the guest; ask it before "
			"resuming",
			o->text);
	}
	if (!o->reason) {
		memset(e, 0, sizeof(*e));
		return 0;
	}
	if (e->err)
		return e->err; /* the story is told already */
	if (o->by_peer)
		return xm_fail(e, err, side_peers_reason(o->reason),
			       "the peer: %s", o->text);
	return xm_fail(e, err, o->reason, "%s", o->text);
}
