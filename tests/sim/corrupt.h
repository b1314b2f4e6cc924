/* SPDX-License-Identifier: GPL-2.0-or-later */
/* corrupt.h - a channel in the middle of an epoch, its frames, and damage to them
 *
 * corrupt_chan.c makes channels and their frames, corrupt_damage.c damages a
 * frame, corrupt.c does so a billion times and looks what came of it.
 */
#ifndef SIM_CORRUPT_H
#define SIM_CORRUPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/encap.h"
#include "core/probe.h"
#include "core/rx.h"
#include "core/seal.h"
#include "core/tx.h"
#include "ctl/frame_keys.h"

#include "rng.h"

#define CHAN_FRAMES_MAX 2048
#define CHAN_ROOM       128 /* bytes that a frame may get longer */
#define CHAN_BLOCKS     2

enum corrupt_keys { KEYS_NONE, KEYS_TAG, KEYS_ENCRYPT };

/* A whole packet as it was on the wire, with room behind it. */
struct corrupt_frame {
	uint8_t *data;
	uint8_t *work; /* a copy, to be damaged */
	uint32_t len;
	uint32_t ip;      /* offset of the IP header, */
	uint32_t at;      /* of the frame header */
	uint32_t payload; /* of the payload, behind the tag */
	uint8_t type;
	bool to_source; /* who takes it */
};

struct corrupt_frames {
	struct corrupt_frame f[CHAN_FRAMES_MAX];
	unsigned int n;
};

/* All that a frame could move, but for counters of what was dropped. */
struct corrupt_state {
	uint8_t *rx, *tx;
	struct xm_probe probe[2];
	struct xm_seal seal[2];
};

struct corrupt_chan {
	unsigned int mtu;
	struct xm_map src_map, dst_map;
	uint8_t *hdr_ring;
	uint64_t *dirtied[CHAN_BLOCKS];
	struct frame_keys *keys[2];
	struct xm_seal seal[2]; /* 0: the source's end, 1: the target's */
	struct xm_probe probe[2];
	size_t tx_len, rx_len;
	void *tx_mem, *rx_mem;
	struct xm_tx *tx;
	struct xm_rx *rx;
	struct xm_path path[2]; /* of what each end sends */
	struct xm_time now;
	struct corrupt_state saved;

	struct corrupt_frames fresh; /* genuine, and not come yet */
	struct corrupt_frames stale; /* genuine, and not to be taken again */
};

/* What became of a frame: XM_DROP_NONE when it was taken, and what was. */
struct corrupt_taken {
	enum xm_drop drop;
	bool is_opened; /* its head is the peer's, and its number used up */
	const uint8_t *frame; /* header, segments, tag, payload */
	size_t len;
};

/* A channel at @mtu: epoch 1 is over, half of epoch 2 has come; of the other
 * half, of an ACK and of a PROBE each way the frames are @fresh.  Aborts when
 * something is not as it should. */
struct corrupt_chan *chan_new(unsigned int mtu, const struct xm_path *path,
			      enum corrupt_keys keys, uint64_t seed);
void chan_free(struct corrupt_chan *c);

/* @len bytes arrive at the source or the target. */
struct corrupt_taken chan_take(struct corrupt_chan *c, uint8_t *data,
			       uint32_t len, bool to_source);

/* Back to where chan_new() left it; memory stays as it is. */
void chan_restore(struct corrupt_chan *c);

/* Invariants hold, and what was installed is as it was installed. */
bool chan_check(struct corrupt_chan *c);

/* All fresh frames arrive as they were sent: the epoch ends, and memory is the
 * same at both ends, and untouched where nothing was sent. */
bool chan_finish(struct corrupt_chan *c);

/* -- damage ---------------------------------------------------------------------- */

/* A frame to be damaged, and others of the same channel to take pieces of. */
struct corrupt_work {
	struct sim_rng *rng;
	const struct corrupt_frame *f; /* as it was */
	const struct corrupt_frame *other;
	const struct corrupt_frame *stale;
	uint8_t *data; /* f->work */
	uint32_t len;
	uint32_t lo, hi; /* bytes that were touched, at least */
};

struct corrupt_class {
	const char *name;
	void (*damage)(struct corrupt_work *w);
	/* Only the payload may be wrong, and in a way that a CRC of 32 bits may
	 * miss once in 2^32. */
	bool may_collide;
	bool needs_keys; /* whoever can compute a CRC can do it */
};

extern const struct corrupt_class corrupt_class[];
extern const unsigned int corrupt_n_classes;

#endif
