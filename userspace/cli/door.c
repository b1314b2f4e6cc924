// SPDX-License-Identifier: GPL-2.0-or-later
/* door.c - the socket where recv waits for its source
 *
 * Whoever connects has to prove who it is before anything is done for it: the
 * handshake of TLS.  Several do at a time, and none of them waits for another:
 *
 *            accept          handshake            door_take()
 *   listening ----> SHAKING ---------> READY ---------------> is served
 *                      | refused         | somebody else is served
 *                      v                 v
 *                    AWAY <-------------'   ----> closed
 *
 * A stranger costs a descriptor and a TLS session (some 50 KiB) for at most
 * XM_HANDSHAKE_MS, and there are DOOR_COMERS of them at most; the rest is the
 * kernel's queue, which is short.  When somebody waits there, who has been at the
 * door longest and for more than a second, many times what a handshake takes,
 * makes room.  So strangers in numbers can keep a source waiting, as with any
 * service, and no more: it says that it did not get in, and its guest runs on.
 * With plain TCP there is nothing to prove.
 *
 * A process that serves one source of many (discard.c) shares the listening socket
 * with those that come after it, so while it serves it leaves others in the
 * kernel's queue.
 *
 * recv serves one source and exits.  As soon as that one has said HELLO others
 * who have proven who they are are told: ABORT, "refused", and why.  (Before that
 * nobody knows whether the first one is a source at all; then they wait.)
 *
 * What somebody sent who is refused is unread, and closing at once would reset
 * the connection and take the ABORT, or TLS' alert, with it.  So each is
 * listened to until it hangs up, for a second at most.
 *
 * A flood of strangers must not fill a disk with words about them: what they were
 * refused for is said DOOR_SAY times a second, and then the number of others.
 */
#include "door.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "listen.h"
#include "util/fd.h"
#include "xdpmig/limits.h"

#define DOOR_AWAY_NS  (1 * XM_SEC)
#define DOOR_SAY      5 /* words about strangers in a second */
#define DOOR_LOOK_NS  (200 * XM_MS)
#define DOOR_GRACE_NS (1 * XM_SEC) /* of a handshake while others wait */

int door_open(struct door *d, const char *listen, const char *dev,
	      struct ctl_addr *ret_addr, struct xm_error *e)
{
	int r = listen_address(listen, dev, ret_addr, e);

	return r ? r : ctl_listen(&d->listen_fd, ret_addr, e);
}

static void door_say(struct door *d, struct cli_ctx *cli, struct xm_time now,
		     const struct xm_error *why)
{
	if (!xm_time_before(now, d->second)) {
		if (d->said > DOOR_SAY)
			cli_warn(cli, "%u others were not let in either",
				 d->said - DOOR_SAY);
		d->said = 0;
		d->second = xm_time_add(now, XM_SEC);
	}
	if (d->said++ < DOOR_SAY)
		cli_warn(cli, "%s", why->msg);
}

/* False: the connection is of no use any more. */
static bool door_tell(struct ctl *ctl)
{
	struct xm_msg msg = { .type = XM_MSG_ABORT };
	static uint8_t wire[XM_MSG_MAX];
	size_t len;

	msg.abort.reason = XM_REASON_REFUSED;
	strcpy(msg.abort.text, "this receiver is serving another source");
	len = xm_msg_put(wire, &msg);
	if (ctl_send(ctl, wire, len, NULL) || ctl_wants_write(ctl))
		return false; /* not even this much fits: a strange peer */
	ctl_end(ctl);
	return true;
}

/* Has it hung up? */
static bool door_has_gone(struct ctl *ctl)
{
	const void *msg;
	unsigned int i;
	size_t len;
	int r = 0;

	/* a source says HELLO and little else; more is read next time */
	for (i = 0; i < 16 && !r; i++)
		r = ctl_recv(ctl, &msg, &len, NULL);
	return r && r != -EAGAIN;
}

/* -- one comer ---------------------------------------------------------------- */

static void door_free(struct door *d, unsigned int i)
{
	d->comer[i].ctl = ctl_close(d->comer[i].ctl);
}

static void door_send_away(struct door *d, unsigned int i, struct xm_time now)
{
	d->comer[i].state = DOOR_AWAY;
	d->comer[i].end = xm_time_add(now, DOOR_AWAY_NS);
}

static void door_shake(struct door *d, unsigned int i, struct cli_ctx *cli,
		       struct xm_time now)
{
	struct ctl *ctl = d->comer[i].ctl;
	struct xm_error why = { 0 };
	int r = ctl_handshake(ctl, &why);
	char text[64];

	if (!r) {
		d->comer[i].state = DOOR_READY;
	} else if (r != -EAGAIN) {
		door_say(d, cli, now, &why);
		ctl_end(ctl);
		door_send_away(d, i, now);
	} else if (!xm_time_before(now, d->comer[i].end)) {
		(void)xm_fail(&why, -ETIMEDOUT, XM_REASON_REFUSED,
			      "%s did not finish the TLS handshake in %d s",
			      ctl_addr_text(ctl_peer(ctl), text, sizeof(text)),
			      XM_HANDSHAKE_MS / 1000);
		door_say(d, cli, now, &why);
		door_free(d, i);
	}
}

static int door_accept(struct door *d, unsigned int i, struct xm_time now,
		       struct xm_error *e)
{
	struct ctl *ctl;
	int r = ctl_accept(&ctl, d->listen_fd, e);

	if (r)
		return r;
	r = d->trust ? ctl_secure(ctl, d->trust, false, e) : 0;
	if (r) {
		ctl_close(ctl);
		return r;
	}
	d->comer[i].ctl = ctl;
	d->comer[i].state = DOOR_SHAKING;
	d->comer[i].end = xm_time_add(now, XM_HANDSHAKE_MS * XM_MS);
	return 0;
}

static void door_see_to(struct door *d, unsigned int i, struct cli_ctx *cli,
			struct xm_time now, bool is_taken)
{
	if (d->comer[i].state == DOOR_SHAKING)
		door_shake(d, i, cli, now);
	if (d->comer[i].ctl && d->comer[i].state == DOOR_READY && is_taken) {
		door_send_away(d, i, now);
		if (!door_tell(d->comer[i].ctl))
			door_free(d, i);
	}
	if (d->comer[i].ctl && d->comer[i].state == DOOR_AWAY &&
	    (door_has_gone(d->comer[i].ctl) ||
	     !xm_time_before(now, d->comer[i].end)))
		door_free(d, i);
}

/* All places are taken and somebody waits: let who is slowest go. */
static void door_make_room(struct door *d, struct cli_ctx *cli,
			   struct xm_time now)
{
	struct pollfd fd = { .fd = d->listen_fd, .events = POLLIN };
	struct xm_error why = { 0 };
	unsigned int i, slowest = DOOR_COMERS;
	struct xm_time due; /* the end of who had its grace */
	char text[64];

	due = xm_time_add(now, XM_HANDSHAKE_MS * XM_MS - DOOR_GRACE_NS);
	for (i = 0; i < DOOR_COMERS; i++) {
		if (!d->comer[i].ctl)
			return;
		if (d->comer[i].state != DOOR_SHAKING ||
		    !xm_time_before(d->comer[i].end, due))
			continue;
		due = d->comer[i].end;
		slowest = i;
	}
	if (slowest == DOOR_COMERS || poll(&fd, 1, 0) <= 0)
		return;
	(void)xm_fail(&why, -ETIMEDOUT, XM_REASON_REFUSED,
		      "%s does not get on with the TLS handshake, and others "
		      "wait",
		      ctl_addr_text(ctl_peer(d->comer[slowest].ctl), text,
				    sizeof(text)));
	door_say(d, cli, now, &why);
	door_free(d, slowest);
}

/* -- all of them ---------------------------------------------------------------- */

int door_work(struct door *d, struct cli_ctx *cli, struct xm_time now,
	      bool is_taken, struct xm_error *e)
{
	unsigned int i;
	int r;

	d->is_taken = is_taken;
	door_make_room(d, cli, now);
	for (i = 0; i < DOOR_COMERS; i++) {
		r = d->comer[i].ctl || (is_taken && d->is_shared) ?
			    0 :
			    door_accept(d, i, now, e);
		if (r && r != -EAGAIN)
			return r;
		if (d->comer[i].ctl)
			door_see_to(d, i, cli, now, is_taken);
	}
	return 0;
}

struct ctl *door_take(struct door *d)
{
	struct ctl *ctl;
	unsigned int i;

	for (i = 0; i < DOOR_COMERS; i++) {
		ctl = d->comer[i].ctl;
		if (!ctl || d->comer[i].state != DOOR_READY)
			continue;
		d->comer[i].ctl = NULL;
		return ctl;
	}
	return NULL;
}

unsigned int door_fds(const struct door *d, struct pollfd *fds)
{
	const struct ctl *ctl;
	bool has_room = false;
	unsigned int i, n = 0;

	for (i = 0; i < DOOR_COMERS; i++) {
		ctl = d->comer[i].ctl;
		has_room |= !ctl;
		if (!ctl || d->comer[i].state != DOOR_SHAKING)
			continue;
		fds[n].fd = ctl_fd(ctl);
		fds[n].revents = 0;
		fds[n++].events = ctl_wants_write(ctl) ? POLLIN | POLLOUT :
							 POLLIN;
	}
	if (has_room && !(d->is_taken && d->is_shared))
		fds[n++] = (struct pollfd){ d->listen_fd, POLLIN, 0 };
	return n;
}

struct xm_time door_expiry(const struct door *d)
{
	unsigned int i;

	for (i = 0; i < DOOR_COMERS; i++)
		if (d->comer[i].ctl)
			return xm_time_add(xm_clock(), DOOR_LOOK_NS);
	return XM_TIME_NEVER;
}

void door_close(struct door *d)
{
	unsigned int i;

	for (i = 0; i < DOOR_COMERS; i++)
		door_free(d, i);
	fd_closep(&d->listen_fd);
}
