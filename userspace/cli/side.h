/* SPDX-License-Identifier: GPL-2.0-or-later */
/* side.h - what send and recv both have: device, memory, channels, peer
 *
 * A side starts zeroed and is built up step by step; side_close() undoes what
 * there is, in reverse, from any step.
 */
#ifndef XM_CLI_SIDE_H
#define XM_CLI_SIDE_H

#include <poll.h>

#include "claim.h"
#include "cli.h"
#include "core/session.h"
#include "ctl/ctl.h"
#include "ctl/frame_keys.h"
#include "guest/guest.h"
#include "guest/ram.h"
#include "pool.h"
#include "send_opts.h"
#include "tracefile.h"
#include "trust.h"
#include "xsk/caps.h"
#include "xsk/plan.h"
#include "xsk/route.h"
#include "xsk/steer.h"
#include "xsk/stock.h"

struct side {
	struct cli_ctx *cli;
	const struct cli_xfer_opts *opts;
	bool is_sender;

	char dev[16];
	struct xsk_caps caps;
	struct steer steer;
	bool has_steer;
	struct xsk_stock stock; /* the channels' sockets, unbound */
	unsigned int first_queue, n_channels;
	struct cli_queues queues; /* that the user said */
	struct claim claim;       /* on those that are used */

	struct guest_ram ram;
	struct xm_page_set pages;   /* source: populated, todo all */
	uint64_t todo[XM_CHAN_MAX]; /* source: pages of this epoch, by channel */
	struct xsk_extent *extents[XM_CHAN_MAX]; /* source: of each channel */
	size_t n_extents[XM_CHAN_MAX];
	uint64_t slice_max; /* populated bytes of the largest channel */
	uint64_t populated; /* bytes, all channels */

	struct trust trust; /* who may be at the other end of ctl */
	struct ctl *ctl;
	struct route route;
	struct route_watch *watch;
	struct xsk_plan plan;
	enum xm_drain drain; /* source's: what to do at a full ring */
	struct xm_msg_welcome agreed;
	uint16_t my_base, peer_base;
	struct xm_geometry geo;
	uint32_t frame_max; /* bytes from the IP header on */

	uint8_t *frame_secret; /* NULL: a session without keys */
	struct frame_keys *keys[XM_CHAN_MAX];
	struct pump_opts pump[XM_CHAN_MAX];
	struct pool *pool;
	bool is_live;  /* the XDP program sends the channels their frames */
	bool was_live; /* it has: there is something to count */
	uint64_t wrong_queue; /* that count of the device's, at going live */
	bool is_left; /* side_stop() left a thread behind: it uses this struct
		       * and guest memory until the process exits */

	struct tracefile trace;

	/* conduct.c */
	bool may_have_message;  /* the last read did not say -EAGAIN */
	struct xm_error unsaid; /* err: a message could not be queued, and why */
	struct xm_msg msg;
	uint8_t wire[XM_MSG_MAX];
};

/* The trace to hand to the core, or NULL. */
struct xm_trace *side_trace(struct side *s);

/* Only which device: s->dev. */
int side_find_device(struct side *s, struct xm_error *e);

/* Find the device (--dev, or the one that is attached), its steering program
 * and capabilities; @queues 0 means all that attach serves. */
int side_open_device(struct side *s, const struct cli_queues *queues,
		     struct xm_error *e);

/* Destination, after it has waited: look at the device anew.  Steering that was
 * attached again is as good, steering that is gone is an error. */
int side_renew_device(struct side *s, struct xm_error *e);

/* Source: populated pages and each channel's extents.  The map is sharded. */
int side_scan_memory(struct side *s, struct xm_error *e);

/* Route to the control connection's peer, and the plan for this side.  With
 * --dry-run nobody is asked for the way, and @peer may be NULL: then the plan is
 * for the device as it is. */
int side_plan(struct side *s, const struct ctl_addr *peer,
	      const struct ctl_addr *src, uint64_t in_flight,
	      struct xm_error *e);

/* Source: what it says first, of guest @id.  After side_plan(). */
int side_hello(const struct side *s, const struct guest_identity *id,
	       struct xm_msg_hello *h, struct xm_error *e);

/* Whole pages this side can put into a frame, or take out of one. */
unsigned int side_max_pages(const struct side *s);

/* Claim the queues; before the peer is told of them, and before anything is done
 * to a guest.  0, or with @e -EBUSY: another migration has one of them. */
int side_claim(struct side *s, struct xm_error *e);

/* -- side_chan.c -------------------------------------------------------------------- */

/* Source, while the destination considers: map and pin the channels' memory, in
 * their threads.  pool_begin(POOL_PIN) for the conductor to wait for. */
int side_pin_channels(struct side *s, struct xm_error *e);

/* Geometry from what was agreed; then open the channels in their threads.
 * After side_pin_channels(), if that was called, is done.  @bandwidth: bits per
 * second, 0 none. */
int side_open_channels(struct side *s, uint64_t bandwidth, struct xm_error *e);

/* Is @bandwidth (bits per second, 0 none) enough for a frame of each channel
 * well within the time after which silence is a failure?  0 or -ERANGE with
 * @e.  After side_open_channels() began. */
int side_check_bandwidth(const struct side *s, uint64_t bandwidth,
			 struct xm_error *e);

/* Source: count s->pages into s->todo, for an epoch that begins. */
void side_count_pages(struct side *s);

/* Source: deal the cap of all, bits per second, 0 none, out to the channels, by
 * what each still has to send in epoch @epoch: so they come to its end together.
 * Call when an epoch begins, and now and then in it. */
void side_share_bandwidth(struct side *s, uint64_t bandwidth, uint32_t epoch);

/* Sockets are open: let the XDP program send them their frames, if it still is
 * on the device. */
int side_go_live(struct side *s, struct xm_error *e);

/* Frames of sessions on this device that came on another queue than their
 * channel's, since side_go_live(). */
uint64_t side_wrong_queue(struct side *s);

/* EPOCH_END's totals into s->msg: what each channel sent, or installed. */
void side_collect(struct side *s);

/* No frame comes in any more and no thread touches guest memory, but one that
 * is_left, which only makes the kernel pin or populate it. */
void side_stop(struct side *s);

/* Destination: what came is worth nothing.  The memory, and files that were
 * made for it, go. */
void side_discard_memory(struct side *s);

/* Undo all that is left.  When is_left, @s must stay as it is until the process
 * exits. */
void side_close(struct side *s);

/* -- conduct.c ---------------------------------------------------------------------- */

enum side_event {
	SIDE_MESSAGE, /* s->msg */
	SIDE_LOST,    /* the control connection broke */
	SIDE_POOL,    /* a phase is done */
	SIDE_FAILED,  /* @e says why */
	SIDE_CANCEL,  /* the user; @e is filled */
	SIDE_OTHER,   /* one of @more is ready */
	SIDE_TIMER,   /* @until has come */
};

#define SIDE_MORE 20

/* Wait for the next thing to happen.  @more: @n_more (at most SIDE_MORE) other
 * descriptors to wait for: the guest's, the user's, those at recv's door. */
enum side_event side_wait(struct side *s, struct xm_time until,
			  const struct pollfd *more, unsigned int n_more,
			  bool is_committed, struct xm_error *e);

/* Send @act's messages.  A failure to is not one here: that one of them was lost,
 * or the connection's end, will be seen by side_wait(). */
void side_send(struct side *s, const struct xm_actions *act);

/* The session is over: give what was sent, and the peer, a second. */
void side_finish(struct side *s);

/* Turn a failure into the event that ends the session. */
void side_cancel_msg(const struct xm_error *e, struct xm_msg *ret_msg);

/* Turn an outcome into cli->err.  0 or the -errno. */
int side_outcome(const struct xm_outcome *o, struct xm_error *e);

#endif
