/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keeper.h - a process that hands a device's sockets to a user (theory in
 * keeper.c)
 */
#ifndef XM_XSK_KEEPER_H
#define XM_XSK_KEEPER_H

#include <stdbool.h>
#include <sys/types.h>

#include "steer.h"
#include "stock.h"
#include "util/error.h"

struct keeper {
	pid_t pid;
	uid_t user; /* whom it serves */
};

/* Attach is done: leave a keeper for @user.  Takes CAP_NET_RAW, and the right to
 * write to /run.  0 or -errno with @e. */
int keeper_start(const struct steer *s, uid_t user, struct xm_error *e);

/* End the keeper of the device @ifindex of this network namespace, and what one
 * left that was killed.  True: there was something. */
bool keeper_end(int ifindex);
/* The same of all devices that are gone.  Returns of how many. */
unsigned int keeper_sweep(void);

/* 0: the device has one; -ENOENT: none; -EACCES, with @e: one that does not
 * serve us. */
int keeper_look(int ifindex, struct keeper *ret_keeper, struct xm_error *e);

/* Its maps and program, as steer_open() wants them: new descriptors. */
struct keeper_maps {
	int prog, slots, xsks, verdicts, conf;
};
#define KEEPER_NO_MAPS             \
	{                          \
		-1, -1, -1, -1, -1 \
	}
void keeper_close_maps(struct keeper_maps *maps);
int keeper_maps(int ifindex, struct keeper_maps *ret_maps, struct xm_error *e);

/* @opts->n sockets into @ret_fds. */
int keeper_sockets(const struct xsk_stock_opts *opts, int *ret_fds,
		   struct xm_error *e);

#endif
