// SPDX-License-Identifier: GPL-2.0-or-later
/* plan.c - choosing a channel's engine and sizes
 *
 * Three questions, in this order:
 *
 *  1. Zero-copy or copy mode?  The driver must have it, XDP be attached in
 *     native mode, and the MTU fit.  What stands against it becomes the error
 *     text when zero-copy was required.
 *  2. Guest pages by descriptor, or staging?  By descriptor needs two
 *     descriptors a frame, a payload that nobody must change, and a lock
 *     budget (and a kernel limit of 64 GiB) that holds the channel's slice.
 *
 *     mode       descriptors  slice fits  payload    engine
 *     zero-copy  >= 2         yes         untouched  zc-sg
 *     zero-copy  1            -           -          zc-staged
 *     zero-copy  >= 2         no          or copied  zc-staged
 *     copy       18           yes         untouched  copy-sg
 *     copy       18           no          or copied  copy-staged
 *
 *     A device with one descriptor a frame cannot join a header to a page
 *     without a copy of ours, and its frames end at 3840 bytes; at a larger
 *     MTU copy mode with whole pages is better, and is taken.  A slice that
 *     only the kernel's limit cuts is mapped as far as it goes; the rest is
 *     staged.
 *  3. How large is the arena?  As wished when there is room, else everything
 *     is cut in proportion, down to what one channel cannot do without:
 *
 *     part    wished                                least
 *     slots   in_flight / 512 KiB                   2 (1 if in_flight says so)
 *     bufs    TX ring / 2: two descriptors a frame; 16
 *             16 where frames are staged
 *     stages  sender by descriptor: 1 MiB, for      2
 *             retransmissions of live pages
 *             staged engine: in_flight
 *             receiver: ACKs and PROBEs
 *     rx      sender: ACKs and PROBEs               2 frames of full size
 *             receiver: rx_memory
 *
 * A budget counts locked bytes, which are the UMEM's: rings are the kernel's
 * own memory.  in_flight bounds unreleased packets, never exceeded; the ring
 * also follows the budget (budget / channels / packet size), but two slots
 * cost 4 KiB and let half a ring drain, so the budget alone never takes the
 * second one away.
 *
 * Pure: no system call, same answer for the same question.
 */
#include "plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "compat.h"
#include "desc.h"
#include "umem.h"

#define PLAN_L2_LEN      18 /* bytes in front of the IP header: VLAN too */
#define PLAN_MTU_SLACK   26 /* bytes the kernel adds to the MTU at ZC bind */
#define PLAN_TX_RING     XSK_TX_RING
#define PLAN_BUFS_MIN    16
#define PLAN_STAGES_MIN  2
#define PLAN_STAGES_MAX  1024
#define PLAN_STAGE_BYTES (1 << 20)   /* a sender's that maps the guest */
#define PLAN_ACK_BYTES   (512 << 10) /* a receiver's stages */
#define PLAN_SLOTS_MAX   65536
#define PLAN_RX_COPY     64  /* a sender's receive chunks: ACKs and PROBEs */
#define PLAN_RX_ZC       256 /* zero-copy: all packets of the queue take one */
#define PLAN_MAPS        48000 /* of the 65,530 VMAs of a process, all channels */
#define PLAN_PIN_MAX     ((uint64_t)XSK_CHUNKS_MAX * XSK_CHUNK_LEN)

/* What question 1 and 2 are about. */
struct plan_dev {
	bool zero_copy;
	bool has_zc_sg;     /* the device could, whatever stands against it */
	unsigned int descs; /* of a frame */
	uint32_t piece;     /* bytes of a received frame in one chunk */
	char why_not[160];  /* no zero-copy because */
};

static uint32_t plan_min(uint64_t a, uint64_t b)
{
	return (uint32_t)(a < b ? a : b);
}

static uint32_t plan_clamp(uint64_t x, uint32_t lo, uint32_t hi)
{
	return x < lo ? lo : x > hi ? hi : (uint32_t)x;
}

static uint32_t plan_pow2(uint32_t x)
{
	uint32_t p = 1;

	while (p < x)
		p <<= 1;
	return p;
}

/* -- 1: mode -------------------------------------------------------------------- */

static void plan_zero_copy(struct plan_dev *dev, const struct xsk_caps *caps,
			   const struct xsk_wish *wish)
{
	bool sg = caps->zc_max_segs >= 2 &&
		  caps->xdp_features & XSK_NETDEV_ACT_RX_SG;
	unsigned int descs = sg ? plan_min(caps->zc_max_segs, XM_FRAME_DESCS) :
				  1;
	uint32_t piece = sg ? XSK_PIECE_LEN_ZC_SG : XSK_PIECE_LEN;

	dev->why_not[0] = '\0';
	dev->has_zc_sg = sg && caps->xdp_features & XSK_NETDEV_ACT_ZEROCOPY;
	if (!caps->xdp_features)
		snprintf(
			dev->why_not, sizeof(dev->why_not),
			"the kernel does not tell whether driver %s has it (Linux 6.6 does)",
			caps->driver);
	else if (!(caps->xdp_features & XSK_NETDEV_ACT_ZEROCOPY))
		snprintf(dev->why_not, sizeof(dev->why_not),
			 "driver %s has no AF_XDP zero-copy", caps->driver);
	else if (!wish->is_native)
		snprintf(dev->why_not, sizeof(dev->why_not),
			 "the XDP program is attached in generic mode");
	else if (caps->mtu + PLAN_MTU_SLACK > descs * piece)
		snprintf(
			dev->why_not, sizeof(dev->why_not),
			"MTU %u is above the %u bytes that driver %s can do so",
			caps->mtu, descs * piece - PLAN_MTU_SLACK,
			caps->driver);
	dev->zero_copy = !dev->why_not[0] &&
			 wish->zero_copy != XSK_ZERO_COPY_OFF;
	if (dev->zero_copy) {
		dev->descs = descs;
		dev->piece = piece;
		return;
	}
	/* virtio_net's copy mode takes page references instead of copying and
	 * then counts the header as a fragment like any other. */
	dev->descs = strcmp(caps->driver, "virtio_net") ? XM_FRAME_DESCS :
							  XM_FRAME_DESCS - 1;
	dev->piece = XSK_PIECE_LEN;
}

/* Zero-copy was asked for: is it to be had?  A receiver copies out of its UMEM
 * in any case, so there only the mode counts. */
static int plan_check_zero_copy(const struct plan_dev *dev,
				const struct xsk_caps *caps,
				const struct xsk_wish *wish, struct xm_error *e)
{
	bool must = wish->zero_copy == XSK_ZERO_COPY_REQUIRE;

	if (wish->is_sender && wish->zero_copy == XSK_ZERO_COPY_AUTO)
		must = dev->has_zc_sg && !wish->why_copied;
	if (!must)
		return 0;
	if (!dev->zero_copy)
		return xm_fail(
			e, -EOPNOTSUPP, XM_REASON_ZERO_COPY,
			"%s: no zero-copy: %s; --zero-copy prefer takes what there is",
			caps->ifname, dev->why_not);
	if (wish->is_sender && wish->why_copied)
		return xm_fail(e, -EOPNOTSUPP, XM_REASON_ZERO_COPY,
			       "%s: no zero-copy: %s; use --zero-copy prefer",
			       caps->ifname, wish->why_copied);
	if (wish->is_sender && dev->descs < 2)
		return xm_fail(
			e, -EOPNOTSUPP, XM_REASON_ZERO_COPY,
			"%s: no zero-copy: driver %s takes one descriptor a frame, so each page must be copied behind its header; use --zero-copy prefer",
			caps->ifname, caps->driver);
	return 0;
}

/* -- frames ------------------------------------------------------------------------ */

static void plan_frames(struct xsk_plan *p, const struct plan_dev *dev,
			const struct xsk_wish *wish)
{
	struct xsk_chan_opts *o = &p->opts;
	unsigned int chunks;

	p->ip_max =
		plan_min(wish->ip_max, dev->descs * dev->piece - PLAN_L2_LEN);
	chunks = (p->ip_max + PLAN_L2_LEN + XSK_CHUNK_LEN - 1) / XSK_CHUNK_LEN;
	o->stage_len = chunks * XSK_CHUNK_LEN;
	o->max_descs = 1 + plan_min(p->ip_max / XM_PAGE_SIZE, XM_FRAME_SEGS);
	if (o->max_descs < 2)
		o->max_descs = 2; /* header and a slice, or a slot */
	if (o->max_descs < chunks)
		o->max_descs = chunks;
	if (o->max_descs > dev->descs)
		o->max_descs = dev->descs;
}

/* -- 3: sizes ---------------------------------------------------------------------- */

/* The least, and what is wished. */
struct plan_sizes {
	struct xsk_chan_opts least, wished;
};

static void plan_wish_sizes(struct plan_sizes *s, const struct xsk_plan *p,
			    const struct plan_dev *dev,
			    const struct xsk_wish *wish, uint64_t share)
{
	struct xsk_chan_opts *w = &s->wished, *l = &s->least;
	uint32_t pieces =
		(p->ip_max + PLAN_L2_LEN + dev->piece - 1) / dev->piece;
	const uint64_t packet = (uint64_t)XM_PACKET_SIZE;
	uint64_t slots = wish->in_flight / packet, stages;

	if (share && share / packet < slots)
		slots = plan_clamp(share / packet, plan_min(slots, 2),
				   plan_min(slots, PLAN_SLOTS_MAX));
	*w = p->opts;
	w->n_slots = wish->is_sender ? plan_clamp(slots, 1, PLAN_SLOTS_MAX) : 0;
	w->n_bufs = p->maps_guest ? PLAN_TX_RING / 2 : PLAN_BUFS_MIN;
	if (w->max_descs == 1) /* nothing can follow a header buffer */
		w->n_bufs = 0;
	stages = !wish->is_sender ? PLAN_ACK_BYTES :
		 p->maps_guest    ? PLAN_STAGE_BYTES :
				    wish->in_flight;
	w->n_stages = plan_clamp(stages / w->stage_len, 16, PLAN_STAGES_MAX);
	w->rx_chunks = dev->zero_copy ? PLAN_RX_ZC : PLAN_RX_COPY;
	if (!wish->is_sender)
		w->rx_chunks = plan_clamp(wish->rx_memory / wish->n_channels /
						  XSK_CHUNK_LEN,
					  1, 1u << 24);
	if (w->rx_chunks < 2 * pieces)
		w->rx_chunks = 2 * pieces;

	*l = *w;
	l->n_slots = plan_min(w->n_slots, 2);
	l->n_bufs = plan_min(w->n_bufs, PLAN_BUFS_MIN);
	l->n_stages = PLAN_STAGES_MIN;
	l->rx_chunks = 2 * pieces;
}

/* Make the arena fit into @room, which holds the least.  What remains when all
 * else has been cut goes to the part that does the work. */
static void plan_fit(struct xsk_chan_opts *ret, const struct plan_sizes *s,
		     const struct xsk_wish *wish, uint64_t room)
{
	const struct xsk_chan_opts *w = &s->wished, *l = &s->least;
	struct xsk_chan_opts o = *l;
	uint64_t part = room / 32;

	if (umem_arena_len(w) <= room) {
		*ret = *w;
		return;
	}
	o.n_slots = plan_clamp(part / XSK_SLOT_LEN, l->n_slots, w->n_slots);
	o.n_bufs = plan_clamp(part / XSK_BUF_LEN, l->n_bufs, w->n_bufs);
	if (wish->is_sender)
		o.rx_chunks = plan_clamp(4 * part / XSK_CHUNK_LEN, l->rx_chunks,
					 w->rx_chunks);
	else
		o.n_stages = plan_clamp(4 * part / o.stage_len, l->n_stages,
					w->n_stages);
	if (umem_arena_len(&o) > room)
		o = *l;
	part = room - umem_arena_len(&o);
	if (wish->is_sender)
		o.n_stages = plan_clamp(o.n_stages + part / o.stage_len,
					o.n_stages, w->n_stages);
	else
		o.rx_chunks = plan_clamp(o.rx_chunks + part / XSK_CHUNK_LEN,
					 o.rx_chunks, w->rx_chunks);
	*ret = o;
}

/* -- 2: by descriptor or staged ---------------------------------------------------- */

static int plan_fail_slice(const struct xsk_caps *caps,
			   const struct xsk_wish *wish, uint64_t arena,
			   uint64_t room, struct xm_error *e)
{
	uint64_t n = wish->n_channels;

	if (room < PLAN_PIN_MAX)
		return xm_fail(e, -ENOBUFS, XM_REASON_ZERO_COPY,
			       "%s: no zero-copy with --lock-budget %" PRIu64
			       ": pinning the guest takes %" PRIu64
			       " bytes on %" PRIu64
			       " channels; raise it, or use --zero-copy prefer",
			       caps->ifname, wish->lock_budget,
			       (wish->slice_max + arena) * n, n);
	n = (wish->slice_max * n + PLAN_PIN_MAX - arena - 1) /
	    (PLAN_PIN_MAX - arena);
	return xm_fail(
		e, -E2BIG, XM_REASON_ZERO_COPY,
		"%s: no zero-copy: %" PRIu64
		" bytes of guest memory a channel are more than the 64 GiB one socket can pin; use at least %" PRIu64
		" channels, or --zero-copy prefer",
		caps->ifname, wish->slice_max, n);
}

static bool plan_must_map(const struct plan_dev *dev,
			  const struct xsk_wish *wish)
{
	return wish->zero_copy == XSK_ZERO_COPY_REQUIRE ||
	       (wish->zero_copy == XSK_ZERO_COPY_AUTO && dev->zero_copy &&
		!wish->lock_budget);
}

/* Does the guest's slice go into the UMEM?  Sets maps_guest. */
static int plan_maps_guest(struct xsk_plan *p, const struct plan_dev *dev,
			   const struct xsk_caps *caps,
			   const struct xsk_wish *wish, uint64_t room,
			   struct xm_error *e)
{
	struct plan_sizes s;
	uint64_t arena;

	p->maps_guest = wish->is_sender && dev->descs >= 2 && !wish->why_copied;
	if (!p->maps_guest)
		return 0;
	plan_wish_sizes(&s, p, dev, wish, wish->lock_budget ? room : 0);
	arena = umem_arena_len(&s.least);
	if (wish->slice_max <= room && arena <= room - wish->slice_max)
		return 0;
	if (plan_must_map(dev, wish))
		return plan_fail_slice(caps, wish, arena, room, e);
	/* Mapped as far as the kernel goes, but not as far as a budget goes:
	 * a part of the guest by descriptor would hide what is slow. */
	p->maps_guest = room == PLAN_PIN_MAX;
	return 0;
}

static enum xsk_engine plan_engine(const struct xsk_plan *p,
				   const struct plan_dev *dev,
				   const struct xsk_wish *wish)
{
	bool staged = wish->is_sender ? !p->maps_guest : dev->descs < 2;

	if (dev->zero_copy)
		return staged ? XSK_ZC_STAGED : XSK_ZC_SG;
	return staged ? XSK_COPY_STAGED : XSK_COPY_SG;
}

static int plan_check_wish(const struct xsk_wish *wish, struct xm_error *e)
{
	if (!wish->n_channels || wish->n_channels > XM_CHAN_MAX)
		return xm_fail(e, -EINVAL, XM_REASON_USAGE,
			       "%u channels: 1 to %u are possible",
			       wish->n_channels, XM_CHAN_MAX);
	if (wish->ip_max < XM_MTU_MIN || wish->ip_max > XM_MTU_MAX)
		return xm_fail(e, -EMSGSIZE, XM_REASON_DEVICE,
			       "frames of %u bytes: the MTU must be %u to %u",
			       wish->ip_max, XM_MTU_MIN, XM_MTU_MAX);
	return 0;
}

/* Sizes, and what they pin. */
static int plan_sizes(struct xsk_plan *p, const struct plan_dev *dev,
		      const struct xsk_wish *wish, uint64_t room,
		      struct xm_error *e)
{
	struct plan_sizes s;
	uint64_t least, arena_room = room;

	plan_wish_sizes(&s, p, dev, wish, wish->lock_budget ? room : 0);
	least = umem_arena_len(&s.least);
	if (least > room)
		return xm_fail(e, -ENOBUFS, XM_REASON_USAGE,
			       "--lock-budget %" PRIu64
			       ": %u channels at MTU %u need at least %" PRIu64
			       " bytes",
			       wish->lock_budget, wish->n_channels, p->ip_max,
			       least * wish->n_channels);
	if (p->maps_guest)
		arena_room = wish->slice_max + least <= room ?
				     room - wish->slice_max :
				     umem_arena_len(&s.wished);
	plan_fit(&p->opts, &s, wish, arena_room);
	p->opts.tx_ring = PLAN_TX_RING;
	p->opts.rx_ring = plan_pow2(p->opts.rx_chunks);
	p->opts.max_maps = PLAN_MAPS / wish->n_channels;
	p->opts.max_locked = room;
	p->locked = umem_arena_len(&p->opts);
	if (p->maps_guest)
		p->locked += wish->slice_max < room - p->locked ?
				     wish->slice_max :
				     room - p->locked;
	return 0;
}

int xsk_plan_make(struct xsk_plan *ret_plan, const struct xsk_caps *caps,
		  const struct xsk_wish *wish, struct xm_error *e)
{
	struct xsk_plan p = { 0 };
	struct plan_dev dev;
	uint64_t room = PLAN_PIN_MAX, share;
	int r = plan_check_wish(wish, e);

	if (r)
		return r;
	share = wish->lock_budget / wish->n_channels / XSK_CHUNK_LEN *
		XSK_CHUNK_LEN;
	if (wish->lock_budget && share < room)
		room = share;
	plan_zero_copy(&dev, caps, wish);
	r = plan_check_zero_copy(&dev, caps, wish, e);
	if (r)
		return r;
	plan_frames(&p, &dev, wish);
	r = plan_maps_guest(&p, &dev, caps, wish, room, e);
	if (!r)
		r = plan_sizes(&p, &dev, wish, room, e);
	if (r)
		return r;
	p.opts.engine = plan_engine(&p, &dev, wish);
	p.opts.force_zero_copy = dev.zero_copy;
	*ret_plan = p;
	return 0;
}
