/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dev.h - what stands between the core and the wire on the sending host
 *
 * A TX ring of limited size and a completion ring, as an AF_XDP socket has.
 * The two moments that a live guest can tell apart are kept apart:
 *
 *     post      the driver wrote the header, summed the payload, sealed
 *     read      dma_ns later, in posting order: the device reads header and
 *               pages and the frame is on the wire
 *     complete  done_ns later, in any order: the descriptors come back
 *
 * A port of a certain rate is shared by the queues of a card, which push back: what
 * it has no time for waits in the TX rings.
 *
 * Completions are told apart by the address of the frame's header, as in the
 * real ring, never by their order.
 */
#ifndef SIM_DEV_H
#define SIM_DEV_H

#include "core/encap.h"
#include "core/tx.h"

#include "guest.h"
#include "net.h"

#define SIM_DEV_DEPTH_MAX 1024

struct sim_dev_opts {
	unsigned int depth;              /* frames in the TX ring */
	int64_t dma_ns, dma_jitter_ns;   /* post to read */
	int64_t done_ns, done_jitter_ns; /* read to complete */
	bool copies;   /* the kernel copies: completion says how much */
	uint64_t rate; /* of the port that all devices with one @wire share,
			* bytes a second; 0: frames take no time */
};

struct sim_desc {
	const uint8_t *base; /* NULL: guest memory at block, offset */
	unsigned int block;
	uint64_t offset;
	uint32_t len;
};

struct sim_dev_frame {
	uint8_t hdr[XM_ENCAP_MAX + XM_WIRE_HEADER_MAX]; /* its address names it */
	uint32_t hdr_len;
	struct sim_desc desc[XM_FRAME_SEGS];
	unsigned int n_descs;
	uint8_t *staged; /* copy that desc[0] points to, or NULL; the device's */
	uint32_t epoch, seq, copied, payload_crc;
	bool is_stable; /* header ring: must still be what was summed */
	bool is_used, is_read;
	struct xm_time at; /* of the next thing that happens to it */
	int64_t wire_ns;   /* it takes to leave */
};

struct sim_dev {
	struct sim_node node;
	struct sim_dev_opts opts;
	const struct sim_guest *guest;
	struct sim_dev_frame *frame; /* opts.depth */
	unsigned int *fifo;          /* frames to be read, in posting order */
	unsigned int fifo_head, fifo_n;
	unsigned int n_used;
	struct xm_time last_read;
	struct xm_time *wire; /* NULL, or when the port is free */
	struct xm_time next;  /* of all that is to happen */
	uint64_t n_posted, n_completed;
	bool is_broken; /* a header changed while it was posted */
	/* one completion; @frame is free again when this returns */
	void (*on_complete)(void *ctx, const struct sim_dev_frame *frame);
	void *ctx;
};

void dev_init(struct sim_dev *d, struct sim *s, const struct sim_guest *g,
	      const struct sim_dev_opts *opts, struct sim_node *wire);
void dev_fini(struct sim_dev *d);

/* A free frame to fill in, or NULL when the ring is full. */
struct sim_dev_frame *dev_get(struct sim_dev *d);

/* Hand it to the device. */
void dev_put(struct sim_dev *d, struct sim_dev_frame *f);

#endif
