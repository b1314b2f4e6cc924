/* SPDX-License-Identifier: GPL-2.0-or-later */
/* steer.h - the XDP steering program on a device (theory in steer.c) */
#ifndef XM_XSK_STEER_H
#define XM_XSK_STEER_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"
#include "xdpmig/steer.h"

enum steer_mode { STEER_AUTO, STEER_NATIVE, STEER_GENERIC };

struct steer_info {
	char ifname[16];
	int ifindex;
	enum steer_mode mode; /* as obtained: NATIVE or GENERIC */
	bool has_dispatcher;  /* other XDP programs can live beside ours */
	bool has_frags;       /* frames larger than a page get through */
	uint32_t prog_id;
	unsigned int first_queue, n_queues; /* that attach was asked to serve */
	uint64_t live; /* bit per queue: a session's slot is set */
	uint64_t verdicts[XM_STEER__COUNT]; /* summed over CPUs */
};

/* An attached program, found: its maps.  fds are -1 when closed. */
struct steer {
	int ifindex;
	int slots_fd, xsks_fd, verdicts_fd, conf_fd;
	struct steer_info info;
};

/* Attach to @ifname for queues [first, first + n).  0 with @ret_info; -EEXIST:
 * attached already; -EBUSY: a foreign program is there and cannot be joined;
 * other -errno.  @e is always filled on failure. */
int steer_attach(struct steer_info *ret_info, const char *ifname,
		 enum steer_mode mode, unsigned int first_queue,
		 unsigned int n_queues, struct xm_error *e);

/* Detach and remove pins and our ntuple rules, also after a crash.  -ENOENT:
 * nothing of ours is there. */
int steer_detach(const char *ifname, struct xm_error *e);

/* Find our program on @ifname, by pins or by the attached program's id. */
int steer_open(struct steer *ret_steer, const char *ifname, struct xm_error *e);
void steer_close(struct steer *s);

/* Re-read counters and live slots into s->info. */
int steer_refresh(struct steer *s, struct xm_error *e);

/* Devices of this network namespace that carry our program: up to @max names
 * into @ret; returns how many there are. */
int steer_list(char (*ret)[16], unsigned int max, struct xm_error *e);

/* A session's channel goes live on @queue: XSKMAP entry, then slot.  -EBUSY:
 * another session lives there. */
int steer_live(struct steer *s, unsigned int queue,
	       const struct xm_steer_slot *slot, int xsk_fd,
	       struct xm_error *e);
void steer_unlive(struct steer *s, unsigned int queue);

const char *steer_mode_name(enum steer_mode mode);
const char *steer_verdict_name(enum xm_steer_verdict v);

#endif
