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
	unsigned int n_rules; /* ntuple rules of ours in the device */
	int keeper;           /* its process; 0: none, or not for us */
	unsigned int user;    /* whom that serves */
	uint64_t live;        /* bit per queue: a session's socket is there */
	uint64_t verdicts[XM_STEER__COUNT]; /* summed over CPUs */
	/* Texts as in struct xm_error, of steer_attach() only; else empty. */
	char why_generic[320]; /* AUTO did not get NATIVE */
	char why_no_rules[320];
};

/* An attached program, found: its maps.  fds are -1 when closed. */
struct steer {
	int ifindex;
	uint32_t main_id; /* what the device runs: it, or libxdp's dispatcher */
	int prog_fd, slots_fd, xsks_fd, verdicts_fd, conf_fd;
	int probe_fd; /* program that tells which queues have a socket */
	struct xm_steer_conf *conf; /* conf_fd's memory */
	uint64_t mine; /* bit per queue that steer_live() took by this handle */
	__be64 cookie[XM_CHAN_MAX]; /* and the cookie it wrote there */
	struct steer_info info;
};

/* Attach to @ifname for queues [first, first + n), @n 0 for all that the device
 * has, and have the device bring port XM_PORT_DATA + i to queue first + i if it
 * can.  0 with @ret_info; -EEXIST: attached already; -EBUSY: a foreign program
 * is there and cannot be joined; -ENODEV; -ERANGE: the device has fewer
 * queues; other -errno.  @e is always filled on failure, and nothing stays. */
int steer_attach(struct steer_info *ret_info, const char *ifname,
		 enum steer_mode mode, unsigned int first_queue,
		 unsigned int n_queues, struct xm_error *e);

/* Detach and remove pins and our ntuple rules, also after a crash.  -ENOENT:
 * nothing of ours is there; -ENODEV: nor is the device, and pins of devices that
 * are gone were removed, which @e tells; -EBUSY: a session is live, unless
 * @force. */
int steer_detach(const char *ifname, bool force, struct xm_error *e);

/* Find our program on @ifname, by the attached program's id or by pins.
 * -ENOENT: not attached; -EPROTO: another version of it is. */
int steer_open(struct steer *ret_steer, const char *ifname, struct xm_error *e);
void steer_close(struct steer *s);

#define STEER_E_OTHER 1

/* Is what @s was opened for still what steers on the device of that name?  0:
 * yes.  STEER_E_OTHER: it was attached anew, perhaps to a device that was made
 * anew, and @s is open for that now; nothing of this handle is live there.
 * -errno as of steer_open(), and @s unchanged. */
int steer_renew(struct steer *s, struct xm_error *e);

/* Re-read counters and live queues into s->info. */
int steer_refresh(struct steer *s, struct xm_error *e);

/* Only the counters. */
int steer_refresh_verdicts(struct steer *s, struct xm_error *e);

/* Devices of this network namespace that carry our program: up to @max names
 * into @ret; returns how many there are. */
int steer_list(char (*ret)[16], unsigned int max, struct xm_error *e);

/* A session's channel goes live on @queue: XSKMAP entry, then slot.  The
 * socket must have a receive ring.  -EBUSY: another session lives there; what
 * a killed process left behind is taken over. */
int steer_live(struct steer *s, unsigned int queue,
	       const struct xm_steer_slot *slot, int xsk_fd,
	       struct xm_error *e);
/* Slot, then XSKMAP entry; call it before the socket closes.  Touches nothing
 * that steer_live() of this handle did not write. */
void steer_unlive(struct steer *s, unsigned int queue);

const char *steer_mode_name(enum steer_mode mode);
const char *steer_verdict_name(enum xm_steer_verdict v);

#endif
