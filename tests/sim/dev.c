// SPDX-License-Identifier: GPL-2.0-or-later
/* dev.c - the simulated TX device; the three moments are told in dev.h */
#include "dev.h"

#include <stdlib.h>
#include <string.h>

#include "core/crc32c.h"

static struct xm_time dev_next_at(const struct sim_node *n)
{
	return ((const struct sim_dev *)n)->next;
}

static void dev_plan(struct sim_dev *d)
{
	unsigned int i, left = d->n_used;

	d->next = XM_TIME_NEVER;
	for (i = 0; left; i++) {
		if (!d->frame[i].is_used)
			continue;
		left--;
		d->next = xm_time_min(d->next, d->frame[i].at);
	}
}

/* The device reads the frame: this is when its bytes are what they are. */
static void dev_read(struct sim_dev *d, struct sim_dev_frame *f)
{
	uint32_t len = f->hdr_len, crc = 0;
	struct sim_pkt *p;
	unsigned int i;

	for (i = 0; i < f->n_descs; i++)
		len += f->desc[i].len;
	p = sim_pkt_new(f->hdr, f->hdr_len, len);
	for (i = 0; i < f->n_descs; i++) {
		const struct sim_desc *s = &f->desc[i];
		const uint8_t *src = s->base;

		if (!src)
			src = guest_pinned(d->guest, s->block, s->offset);
		memcpy(p->data + p->len, src, s->len);
		if (f->is_stable)
			crc = xm_crc32c(crc, src, s->len);
		p->len += s->len;
	}
	if (f->is_stable && crc != f->payload_crc)
		d->is_broken = true;
	f->is_read = true;
	f->at = xm_time_add(d->node.sim->now,
			    f->wire_ns + d->opts.done_ns +
				    sim_rng_range(&d->node.rng, 0,
						  d->opts.done_jitter_ns));
	d->node.out->forward(d->node.out, p);
}

static void dev_complete(struct sim_dev *d, struct sim_dev_frame *f)
{
	d->n_completed++;
	d->n_used--;
	free(f->staged);
	f->staged = NULL;
	f->is_used = false;
	d->on_complete(d->ctx, f);
}

static void dev_run(struct sim_node *n, struct xm_time now)
{
	struct sim_dev *d = (struct sim_dev *)n;
	unsigned int i;

	while (d->fifo_n) {
		struct sim_dev_frame *f = &d->frame[d->fifo[d->fifo_head]];

		if (xm_time_before(now, f->at))
			break;
		d->fifo_head = (d->fifo_head + 1) % d->opts.depth;
		d->fifo_n--;
		dev_read(d, f);
	}
	for (i = 0; i < d->opts.depth; i++) {
		struct sim_dev_frame *f = &d->frame[i];

		if (f->is_used && f->is_read && !xm_time_before(now, f->at))
			dev_complete(d, f);
	}
	dev_plan(d);
}

struct sim_dev_frame *dev_get(struct sim_dev *d)
{
	unsigned int i;

	if (d->n_used == d->opts.depth)
		return NULL;
	for (i = 0; d->frame[i].is_used; i++)
		;
	return &d->frame[i];
}

/* With what is around a frame on an Ethernet. */
static int64_t dev_wire_ns(const struct sim_dev *d,
			   const struct sim_dev_frame *f)
{
	uint64_t len = f->hdr_len + 24;
	unsigned int i;

	for (i = 0; i < f->n_descs; i++)
		len += f->desc[i].len;
	return (int64_t)(len * XM_SEC / d->opts.rate);
}

void dev_put(struct sim_dev *d, struct sim_dev_frame *f)
{
	struct xm_time at = xm_time_add(
		d->node.sim->now,
		d->opts.dma_ns +
			sim_rng_range(&d->node.rng, 0, d->opts.dma_jitter_ns));

	f->wire_ns = 0;
	if (d->wire && d->opts.rate) {
		f->wire_ns = dev_wire_ns(d, f);
		if (xm_time_before(at, *d->wire))
			at = *d->wire;
		*d->wire = xm_time_add(at, f->wire_ns);
	}
	/* A device reads its ring in order. */
	if (xm_time_before(at, d->last_read))
		at = d->last_read;
	d->last_read = at;
	f->at = at;
	f->is_used = true;
	f->is_read = false;
	d->fifo[(d->fifo_head + d->fifo_n++) % d->opts.depth] =
		(unsigned int)(f - d->frame);
	d->n_used++;
	d->n_posted++;
	d->next = xm_time_min(d->next, at);
}

void dev_init(struct sim_dev *d, struct sim *s, const struct sim_guest *g,
	      const struct sim_dev_opts *opts, struct sim_node *wire)
{
	memset(d, 0, sizeof(*d));
	d->opts = *opts;
	if (!d->opts.depth || d->opts.depth > SIM_DEV_DEPTH_MAX)
		d->opts.depth = 64;
	d->guest = g;
	d->next = XM_TIME_NEVER;
	d->frame = calloc(d->opts.depth, sizeof(*d->frame));
	d->fifo = calloc(d->opts.depth, sizeof(*d->fifo));
	if (!d->frame || !d->fifo)
		abort();
	d->node.next_at = dev_next_at;
	d->node.run = dev_run;
	d->node.out = wire;
	sim_add(s, &d->node);
}

void dev_fini(struct sim_dev *d)
{
	unsigned int i;

	for (i = 0; i < d->opts.depth; i++)
		free(d->frame[i].staged);
	free(d->frame);
	free(d->fifo);
}
