/* SPDX-License-Identifier: GPL-2.0-or-later */
/* door.h - the socket where recv waits for its source (theory in door.c) */
#ifndef XM_CLI_DOOR_H
#define XM_CLI_DOOR_H

#include <poll.h>

#include "core/time.h"
#include "ctl/ctl.h"

#define DOOR_AWAY 4 /* that are sent away at a time; others wait */

struct door {
	int listen_fd; /* -1: closed, or not open yet */
	struct {
		struct ctl *ctl;
		struct xm_time end; /* not longer than that */
	} away[DOOR_AWAY];
};

/* Listen where @listen says, or at @dev's own address; which that is goes into
 * @ret_addr.  0 or -errno with @e. */
int door_open(struct door *d, const char *listen, const char *dev,
	      struct ctl_addr *ret_addr, struct xm_error *e);

/* Somebody is served.  Tell whoever else comes that this receiver is busy, and
 * see them off; call it often, it never waits.  @fds: what to wait for, so that
 * they are told at once; returns how many, at most 1. */
void door_turn_away(struct door *d, struct xm_time now);
unsigned int door_fds(const struct door *d, struct pollfd *fds);

void door_close(struct door *d);

#endif
