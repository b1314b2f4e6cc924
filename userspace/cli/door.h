/* SPDX-License-Identifier: GPL-2.0-or-later */
/* door.h - the socket where recv waits for its source (theory in door.c) */
#ifndef XM_CLI_DOOR_H
#define XM_CLI_DOOR_H

#include <poll.h>

#include "cli.h"
#include "core/time.h"
#include "ctl/trust.h"

#define DOOR_COMERS 8 /* at a time; others wait in the kernel's queue */

enum door_state {
	DOOR_SHAKING, /* has to prove who it is */
	DOOR_READY,   /* has; door_take() */
	DOOR_AWAY,    /* is told to go, and has to hang up */
};

struct door {
	int listen_fd;  /* -1: closed, or not open yet */
	bool is_shared; /* others come after us: who comes while somebody is
			 * served is theirs */
	bool is_taken;  /* as door_work() was told last */
	struct ctl_trust *trust; /* the caller's; NULL: plain TCP */
	struct {
		struct ctl *ctl; /* NULL: free */
		enum door_state state;
		struct xm_time end; /* not longer than that */
	} comer[DOOR_COMERS];
	struct xm_time second; /* the one that is counted in ends then */
	unsigned int said;     /* strangers who were not let in, in that one */
};

/* Listen where @listen says, or at @dev's own address; which that is goes into
 * @ret_addr.  0 or -errno with @e.  Not for a door whose socket the caller has
 * put in. */
int door_open(struct door *d, const char *listen, const char *dev,
	      struct ctl_addr *ret_addr, struct xm_error *e);

/* See to all who are at the door; call it often, it never waits.  @is_taken:
 * somebody is served, so others are told that this receiver is busy, and seen
 * off.  0, or -errno with @e: nobody can come any more, now. */
int door_work(struct door *d, struct cli_ctx *cli, struct xm_time now,
	      bool is_taken, struct xm_error *e);
/* One who has proven who it is, and is the caller's from now on; or NULL. */
struct ctl *door_take(struct door *d);

/* @fds, room for DOOR_COMERS + 1: what to wait for; returns how many. */
unsigned int door_fds(const struct door *d, struct pollfd *fds);
/* When to call door_work() at the latest. */
struct xm_time door_expiry(const struct door *d);

void door_close(struct door *d);

#endif
