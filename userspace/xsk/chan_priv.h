/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chan_priv.h - the inside of a channel, for chan*.c and their unit test */
#ifndef XM_XSK_CHAN_PRIV_H
#define XM_XSK_CHAN_PRIV_H

#include "chan.h"
#include "sock.h"
#include "umem.h"

#define CHAN_NONE UINT32_MAX

/* What is remembered of a posted frame, by buffer: header buffers first
 * (0 .. n_bufs - 1), then staging frames. */
struct chan_frame {
	uint64_t token;
	uint32_t copied;
	uint16_t n_descs; /* 0: not posted */
	uint64_t addr[];  /* of a header buffer's segments, max_descs - 1 */
};

struct chan_tx {
	uint8_t *frames;
	size_t frame_len; /* bytes of each; see chan_frame_at() */
	uint32_t *free_bufs, *free_stages; /* stacks: warm in the cache */
	uint32_t n_free_bufs, n_free_stages;
	uint32_t stage_descs; /* descriptors of a full staging frame */
	uint32_t lent;        /* TX ring entries promised by _get, _run_get */
	uint32_t unpublished; /* descriptors written behind the producer */
	uint32_t posted;      /* frames */
	uint32_t reap;        /* frame whose completions are coming in, or
			       * CHAN_NONE */
	uint32_t reap_descs;  /* and how many of them have come */
};

struct chan_rx {
	/* Chunks, written behind the fill ring's producer: */
	uint32_t n_back; /* those that _rx_done gives back, and behind them */
	uint32_t n_part; /* those of a frame whose tail is still to come, */
	struct xsk_frame part; /* which is this */
	bool is_swallowing;    /* the rest of a frame with too many pieces */
};

struct xsk_chan {
	struct xsk_chan_opts opts; /* without extents, which were only lent */
	char ifname[16];           /* opts.ifname */
	struct umem umem;
	struct xsk_sock sock;
	struct chan_tx tx;
	struct chan_rx rx;
	struct xsk_stats stats;
};

static inline struct chan_frame *chan_frame_at(const struct chan_tx *tx,
					       uint32_t idx)
{
	return (struct chan_frame *)(void *)(tx->frames + idx * tx->frame_len);
}

static inline bool chan_is_stage(const struct xsk_chan *chan, uint32_t idx)
{
	return idx >= chan->opts.n_bufs;
}

/* UMEM address of buffer @idx: a frame's first descriptor. */
static inline uint64_t chan_buf_addr(const struct xsk_chan *chan, uint32_t idx)
{
	if (chan_is_stage(chan, idx))
		return chan->umem.stages_addr +
		       (uint64_t)(idx - chan->opts.n_bufs) *
			       chan->opts.stage_len;
	return chan->umem.bufs_addr + (uint64_t)idx * XSK_BUF_LEN;
}

/* Buffer @idx is on its free list again. */
static inline void chan_free_buf(struct xsk_chan *chan, uint32_t idx)
{
	struct chan_tx *tx = &chan->tx;

	if (chan_is_stage(chan, idx))
		tx->free_stages[tx->n_free_stages++] = idx;
	else
		tx->free_bufs[tx->n_free_bufs++] = idx;
}

int chan_tx_init(struct xsk_chan *chan);
void chan_tx_fini(struct xsk_chan *chan);

/* Fills the fill ring. */
void chan_rx_init(struct xsk_chan *chan);

#endif
