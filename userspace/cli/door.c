// SPDX-License-Identifier: GPL-2.0-or-later
/* door.c - the socket where recv waits for its source
 *
 * recv serves one source and exits.  Another one that comes meanwhile would
 * wait in the listening socket's queue, to be reset at the end, and take
 * silence for a dead peer before that.  So as soon as the first one has said
 * HELLO the others are told: ABORT, "refused", and why.  (Before that nobody
 * knows whether the first one is a source at all; then the others do wait.)
 *
 * What they sent is unread, and closing at once would reset the connection and
 * take the ABORT with it.  So each is listened to until it hangs up, for a
 * second at most; a few at a time, so that who connects again and again
 * costs nothing but a few descriptors.
 */
#include "door.h"

#include <errno.h>
#include <string.h>

#include "listen.h"
#include "util/fd.h"

#define DOOR_AWAY_NS (1 * XM_SEC)

int door_open(struct door *d, const char *listen, const char *dev,
	      struct ctl_addr *ret_addr, struct xm_error *e)
{
	int r = listen_address(listen, dev, ret_addr, e);

	return r ? r : ctl_listen(&d->listen_fd, ret_addr, e);
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

void door_turn_away(struct door *d, struct xm_time now)
{
	struct ctl *ctl;
	unsigned int i;

	for (i = 0; i < DOOR_AWAY; i++) {
		ctl = d->away[i].ctl;
		if (ctl && (door_has_gone(ctl) ||
			    !xm_time_before(now, d->away[i].end)))
			ctl = ctl_close(ctl);
		if (!ctl && !ctl_accept(&ctl, d->listen_fd, NULL)) {
			d->away[i].end = xm_time_add(now, DOOR_AWAY_NS);
			if (!door_tell(ctl))
				ctl = ctl_close(ctl);
		}
		d->away[i].ctl = ctl;
	}
}

unsigned int door_fds(const struct door *d, struct pollfd *fds)
{
	unsigned int i;

	for (i = 0; i < DOOR_AWAY; i++)
		if (!d->away[i].ctl) {
			fds[0] = (struct pollfd){ d->listen_fd, POLLIN, 0 };
			return 1;
		}
	return 0;
}

void door_close(struct door *d)
{
	unsigned int i;

	for (i = 0; i < DOOR_AWAY; i++)
		d->away[i].ctl = ctl_close(d->away[i].ctl);
	fd_closep(&d->listen_fd);
}
