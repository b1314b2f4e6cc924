/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chan.h - one channel's AF_XDP socket: its UMEM, its four rings
 *
 * Ownership and layout are drawn at the head of chan.c.  One thread uses a
 * channel; nothing here takes a lock.
 */
#ifndef XM_XSK_CHAN_H
#define XM_XSK_CHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/pages.h"
#include "core/vec.h"
#include "util/error.h"
#include "xdpmig/limits.h"

enum xsk_engine {
	XSK_COPY_SG,     /* guest pages by descriptor; the kernel copies them */
	XSK_COPY_STAGED, /* the same from staging: small lock budget */
	XSK_ZC_STAGED,   /* zero-copy, one descriptor a frame: we copy */
	XSK_ZC_SG,       /* zero-copy, guest pages by descriptor: nobody does */
	XSK_ENGINE__COUNT
};

enum xsk_zero_copy {
	XSK_ZERO_COPY_AUTO,    /* require on a device that has it, else copy */
	XSK_ZERO_COPY_REQUIRE, /* or fail */
	XSK_ZERO_COPY_PREFER,  /* take what there is, staging too */
	XSK_ZERO_COPY_OFF,     /* copy mode even where zero-copy is to be had */
};

/* Guest memory to map into the UMEM, populated and page-aligned. */
struct xsk_extent {
	int fd;            /* shared memory file; lent until xsk_chan_close() */
	uint8_t block;     /* the memory map's index */
	uint64_t offset;   /* first byte, from the start of the block */
	uint64_t file_off; /* the same byte in fd */
	uint64_t len;
};

struct xsk_stock;

struct xsk_chan_opts {
	const char *ifname;
	int ifindex;
	unsigned int queue;
	enum xsk_engine engine;    /* as planned; see plan.h */
	bool force_zero_copy;      /* bind with XDP_ZEROCOPY */
	unsigned int max_descs;    /* descriptors of a frame, 1..18 */
	uint32_t tx_ring, rx_ring; /* descriptors; powers of two */
	uint32_t rx_chunks;        /* 4 KiB chunks for receiving */
	uint32_t n_slots;          /* header ring entries; 0 at a receiver */
	uint32_t n_bufs;           /* frame header buffers of XSK_BUF_LEN */
	uint32_t n_stages;         /* staging frames of stage_len bytes */
	uint32_t stage_len;        /* bytes, a multiple of 4096; one chunk when
				      * max_descs is 1 */
	const struct xsk_extent *extents; /* ascending (block, offset) */
	size_t n_extents;                 /* 0 with a staged engine */
	uint32_t max_maps;   /* mappings the extents may take, the largest are
			      * kept; 0 = any number */
	uint64_t max_locked; /* bytes the UMEM may pin: extents beyond are left
			      * out; 0 = as many as the kernel takes */
	unsigned int busy_poll_us; /* 0 = event-driven */
	struct xsk_stock *stock; /* where its socket comes from; NULL: is made */
};

#define XSK_BUF_LEN  256  /* prefix + longest frame header, 64-byte aligned */
#define XSK_SLOT_LEN 2048 /* stride of the header ring; a header is 1344 */

struct xsk_chan;

/* A channel is opened in three steps:
 *
 *   make  map the UMEM, open the socket, map its rings, fill the fill ring
 *   pin   register the UMEM: takes as long as pinning it does
 *   bind  take the queue; EBUSY is retried for a second (pools are released
 *         asynchronously).  Nothing before this touches the device.
 *
 * Who opens channels side by side makes all of them before the first is pinned:
 * pinning and mapping wait for each other.  0, or -errno with @e filled: who
 * holds the queue, how many bytes had to be locked, which mapping could not be
 * pinned; after a failure to pin or bind the channel is only good for
 * xsk_chan_close(). */
int xsk_chan_make(struct xsk_chan **ret_chan, const struct xsk_chan_opts *opts,
		  struct xm_error *e);
int xsk_chan_pin(struct xsk_chan *chan, struct xm_error *e);
int xsk_chan_bind(struct xsk_chan *chan, struct xm_error *e);

/* All three. */
int xsk_chan_open(struct xsk_chan **ret_chan, const struct xsk_chan_opts *opts,
		  struct xm_error *e);
struct xsk_chan *xsk_chan_close(struct xsk_chan *chan); /* NULL is fine */

int xsk_chan_fd(const struct xsk_chan *chan);
enum xsk_engine xsk_chan_engine(const struct xsk_chan *chan);
bool xsk_chan_is_zero_copy(const struct xsk_chan *chan); /* XDP_OPTIONS */
size_t xsk_chan_locked(const struct xsk_chan *chan);     /* UMEM bytes */
/* Bytes of extents that are not in the UMEM (max_maps, max_locked, hugepages
 * cut by an extent): xsk_seg_guest() is false for them, they are sent staged. */
uint64_t xsk_chan_left_out(const struct xsk_chan *chan);
/* What no _kick tells, for an idle channel and now and then: 0; with @e filled
 * -ENETDOWN when the device is gone and the socket with it, -EPROTO when the
 * kernel rejected a descriptor (a bug of ours), or another -errno. */
int xsk_chan_check(struct xsk_chan *chan, struct xm_error *e);
void *xsk_chan_slot(const struct xsk_chan *chan, uint32_t slot);
const char *xsk_engine_name(enum xsk_engine engine);

/* The range of addresses where the UMEM has guest memory, @ret_len bytes, possibly
 * none. */
const void *xsk_guest_range(const struct xsk_chan *chan, size_t *ret_len);

/* Where the UMEM has the guest's page at @offset of @block, and what is mapped
 * around it in one piece: for reading what is sent without a second mapping.  False:
 * nowhere. */
bool xsk_guest_view(const struct xsk_chan *chan, uint8_t block, uint64_t offset,
		    struct xm_page_view *ret_view);

/* -- sending ---------------------------------------------------------------- */

/* A buffer lent by _get until its _put or _unget.  With max_descs 1 a frame
 * cannot have segments: then only staging frames are of use. */
struct xsk_buf {
	uint8_t *data; /* SG: XSK_BUF_LEN bytes; staged: stage_len bytes */
	uint32_t idx;
	bool staged;
};

/* A piece of a frame behind its header buffer, as xsk_seg_*() make it. */
struct xsk_seg {
	uint64_t addr; /* in the UMEM */
	uint32_t len;
};

/* Frames that the device is done with, whose tokens are in a row. */
struct xsk_done {
	uint64_t token;  /* the first's, as given to _put */
	uint32_t n;      /* so many: token, token + 1, ... */
	uint32_t copied; /* payload bytes that CPUs copied for each: by us when
			  * staged, by the kernel in copy mode; both: twice */
};

/* Frames that look alike, lent by _run_get until _run_put: a header buffer each, and
 * as many pages of guest memory behind it. */
#define XSK_RUN_MAX   64  /* frames */
#define XSK_RUN_PAGES 128 /* of all together */
struct xsk_run {
	uint32_t n, n_segs;           /* frames, pages of each */
	uint8_t *hdr[XSK_RUN_MAX];    /* XSK_BUF_LEN bytes each */
	uint64_t addr[XSK_RUN_PAGES]; /* of the pages, all frames' */
	const uint8_t *base;          /* and from where: to read them */
	uint32_t idx[XSK_RUN_MAX];    /* for the driver */
};

/* Lend a header buffer, or with @staged a staging frame to hold header and
 * payload one after the other.  False: no buffer, or no room in the TX ring
 * for a whole frame; reap, kick and come back. */
bool xsk_tx_get(struct xsk_chan *chan, bool staged, struct xsk_buf *ret_buf);
void xsk_tx_unget(struct xsk_chan *chan, const struct xsk_buf *buf);

/* Would _get lend whatever kind is asked for next? */
bool xsk_tx_has_room(struct xsk_chan *chan);

/* Segments of @n guest ranges of @len bytes each.  False, when not all of them are
 * in the UMEM, which is so for memory that became populated after registration:
 * send it staged. */
bool xsk_seg_guest(struct xsk_chan *chan, uint8_t block, const uint64_t *offset,
		   unsigned int n, uint32_t len, struct xsk_seg *ret_segs);
/* Its first byte. */
const void *xsk_seg_data(const struct xsk_chan *chan,
			 const struct xsk_seg *seg);
/* The first @len bytes of a slot of the header ring. */
struct xsk_seg xsk_seg_slot(const struct xsk_chan *chan, uint32_t slot,
			    uint32_t len);

/* Post: @len bytes of @buf, then the segments.  The frame is validated as the
 * kernel will (see desc.h): a descriptor it would reject is -EINVAL here, a
 * bug; @buf is still lent then.  Published to the kernel by the next _kick.
 * A completion carries @token back.  Guest segments must not cross a page. */
int xsk_tx_put(struct xsk_chan *chan, const struct xsk_buf *buf, uint32_t len,
	       const struct xsk_seg *seg, unsigned int n_segs,
	       uint32_t payload_len, uint64_t token);

/* Lend header buffers for a run of up to @n frames, of which each has the next @n_segs
 * pages of guest block @block whose offsets are in @table, as frames carry it: 8
 * bytes each, big endian.  Returns how many frames there are in the run: fewer when
 * buffers or TX ring are short, a frame cannot have so many pieces, or one has a page
 * that is not in the UMEM, or not in the same map.  0: what comes next has to go by
 * itself. */
unsigned int xsk_run_get(struct xsk_chan *chan, uint8_t block,
			 const uint8_t *table, unsigned int n,
			 unsigned int n_segs, struct xsk_run *ret_run);

/* Post all of them: @len bytes of each header buffer, and its pages.  The first's
 * token is @token, the next one's @token + 1, ...  0, or -EINVAL with none posted,
 * a bug. */
int xsk_run_put(struct xsk_chan *chan, const struct xsk_run *run, uint32_t len,
		uint64_t token);

/* Publish what was put and wake the kernel if it wants to be.  0, also when
 * it is busy or dropped a frame (counted; reap and kick again, as long as
 * xsk_tx_posted() says that frames are out); -ENETDOWN while the device is
 * down (@e untouched; come back); else -errno with @e filled. */
int xsk_tx_kick(struct xsk_chan *chan, struct xm_error *e);

/* Collect completed frames into @done, of which there are @max.  Returns how many it
 * took, or -EPROTO with @e filled when the kernel completes an address that was not
 * posted. */
int xsk_tx_reap(struct xsk_chan *chan, struct xsk_done *done, unsigned int max,
		struct xm_error *e);

uint32_t xsk_tx_posted(const struct xsk_chan *chan); /* frames not reaped */

/* -- receiving ------------------------------------------------------------- */

struct xsk_frame {
	struct xm_vec piece[XM_FRAME_DESCS];
	unsigned int n_pieces;
	uint32_t len; /* of all pieces */
};

/* Lend up to @max whole frames; a frame that has more pieces than a legal one
 * is swallowed and counted.  Then give all of them back at once; _rx may be
 * called several times before.  A frame whose tail has not come yet stays
 * inside until it has. */
unsigned int xsk_rx(struct xsk_chan *chan, struct xsk_frame *frames,
		    unsigned int max);
void xsk_rx_done(struct xsk_chan *chan);

/* Frames of @frame_len bytes (from the Ethernet header on) that the receive
 * chunks can hold, all of them empty: the credit. */
uint32_t xsk_rx_credit(const struct xsk_chan *chan, uint32_t frame_len);

/* -- figures ------------------------------------------------------------------ */
struct xsk_stats {
	uint64_t tx_frames, tx_descs, kicks, kicks_again, kicks_dropped;
	uint64_t syscalls; /* made for this channel, poll excluded */
	uint64_t rx_frames, rx_oversize;
	/* the kernel's XDP_STATISTICS */
	uint64_t rx_dropped, rx_invalid_descs, tx_invalid_descs, rx_ring_full,
		rx_fill_ring_empty_descs, tx_ring_empty_descs;
};
/* Reads XDP_STATISTICS too. */
void xsk_chan_stats(struct xsk_chan *chan, struct xsk_stats *ret_stats);

#endif
