// SPDX-License-Identifier: GPL-2.0-or-later
/* device.c - the simulated device state, see device.h */
#include "device.h"

#include <stdlib.h>
#include <string.h>

#include "world.h"

static struct sim_device *device_of(const struct sim_node *n)
{
	return &((struct world *)n->sim)->device;
}

/* -- the source ------------------------------------------------------------ */

/* Bytes that the source's QEMU has by now. */
static uint32_t device_limit(const struct sim_device *d)
{
	if (d->w->epoch < d->opts.from_epoch ||
	    d->w->ses_src.state < XM_SRC_HARVEST)
		return 0;
	return d->may_end ? d->opts.len : d->opts.len / 2;
}

static struct xm_time writer_next_at(const struct sim_node *n)
{
	const struct sim_device *d = device_of(n);

	if (d->w->ses_src.state >= XM_SRC_DONE ||
	    d->n_written >= device_limit(d) ||
	    d->n_written - d->n_sent >= SIM_DEVICE_SOCKET)
		return XM_TIME_NEVER;
	return xm_time_before(d->write_at, n->sim->now) ? n->sim->now :
							  d->write_at;
}

/* Up to what is left, what a piece may be, and what the socket takes. */
static uint32_t device_piece(struct sim_rng *rng, uint32_t left, uint32_t max)
{
	uint32_t n = (uint32_t)sim_rng_range(rng, 1, max);

	return n < left ? n : left;
}

static void writer_run(struct sim_node *n, struct xm_time now)
{
	struct sim_device *d = device_of(n);
	uint32_t room = SIM_DEVICE_SOCKET - (d->n_written - d->n_sent);
	uint32_t left = device_limit(d) - d->n_written;

	d->n_written += device_piece(&n->rng, left < room ? left : room,
				     d->opts.piece_max);
	d->write_at = xm_time_add(now, sim_rng_range(&n->rng, 0,
						     2 * d->opts.write_ns));
	device_pump(d);
}

void device_pump(struct sim_device *d)
{
	static struct xm_msg msg;
	struct xm_src *s = &d->w->ses_src;
	uint64_t room = xm_src_device_room(s), len;

	while (d->n_sent < d->n_written && room) {
		len = d->n_written - d->n_sent;
		len = len < room ? len : room;
		len = len < XM_DEVICE_CHUNK ? len : XM_DEVICE_CHUNK;
		memset(&msg, 0, sizeof(msg));
		msg.type = XM_MSG_DEVICE;
		msg.device.len = (uint32_t)len;
		msg.device.data = d->stream + d->n_sent;
		d->n_sent += (uint32_t)len;
		conduct_src_msg(d->w, XM_EV_DEVICE, &msg);
		room = xm_src_device_room(s);
	}
	d->n_full += d->n_sent < d->n_written;
	if (!d->may_end || d->n_sent < d->opts.len || s->is_device_ended ||
	    s->state != XM_SRC_HARVEST)
		return;
	memset(&msg, 0, sizeof(msg));
	msg.type = XM_MSG_DEVICE_END;
	msg.device_end.runs = !d->opts.was_paused;
	conduct_src_msg(d->w, XM_EV_DEVICE_END, &msg);
}

void device_go_on(struct sim_device *d)
{
	d->may_end = true;
	d->write_at = d->w->sim.now;
	device_pump(d);
}

/* -- the destination ------------------------------------------------------- */

void device_got(struct sim_device *d, const struct xm_msg_device *m)
{
	if (m->offset != d->n_got || m->len > d->opts.len - d->n_got) {
		world_fail(d->w, WORLD_BROKEN,
			   "device state at %llu, %u bytes, behind %u",
			   (unsigned long long)m->offset, m->len, d->n_got);
		return;
	}
	if (d->n_got + m->len - d->w->ses_dst.device_said > XM_DEVICE_WINDOW)
		world_fail(d->w, WORLD_BROKEN,
			   "device state beyond the window");
	memcpy(d->copy + d->n_got, m->data, m->len);
	d->n_got += m->len;
}

static bool device_dst_is_over(const struct sim_device *d)
{
	return d->w->ses_dst.state >= XM_DST_DONE;
}

static struct xm_time reader_next_at(const struct sim_node *n)
{
	const struct sim_device *d = device_of(n);

	if (device_dst_is_over(d) || d->n_read == d->n_got)
		return XM_TIME_NEVER;
	return xm_time_before(d->read_at, n->sim->now) ? n->sim->now :
							 d->read_at;
}

static void reader_run(struct sim_node *n, struct xm_time now)
{
	static struct xm_msg msg;
	struct sim_device *d = device_of(n);

	d->n_read +=
		device_piece(&n->rng, d->n_got - d->n_read, d->opts.piece_max);
	d->read_at = xm_time_add(now, sim_rng_range(&n->rng, 0,
						    2 * d->opts.read_ns));
	if (d->n_read == d->opts.len && d->w->ses_dst.state == XM_DST_LOAD)
		device_load(d);
	if (d->n_read - d->w->ses_dst.device_said < XM_DEVICE_WINDOW / 2)
		return;
	memset(&msg, 0, sizeof(msg));
	msg.type = XM_MSG_DEVICE_ACK;
	msg.device_ack.bytes = d->n_read;
	d->n_acks++;
	conduct_dst_msg(d->w, XM_EV_DEVICE_TAKEN, &msg);
}

void device_load(struct sim_device *d)
{
	if (d->n_got != d->opts.len)
		world_fail(d->w, WORLD_BROKEN, "%u of %u bytes of device state",
			   d->n_got, d->opts.len);
	if (d->w->ses_dst.runs == d->opts.was_paused)
		world_fail(d->w, WORLD_BROKEN, "did the guest run?");
	if (d->n_read == d->n_got)
		d->load_at = xm_time_add(d->w->sim.now, d->opts.load_ns);
}

static struct xm_time loader_next_at(const struct sim_node *n)
{
	const struct sim_device *d = device_of(n);

	return device_dst_is_over(d) ? XM_TIME_NEVER : d->load_at;
}

static void loader_run(struct sim_node *n, struct xm_time now)
{
	struct sim_device *d = device_of(n);
	struct world *w = d->w;

	d->load_at = XM_TIME_NEVER;
	if (d->opts.load_fails) {
		conduct_cancel_dst(w, XM_REASON_REFUSED,
				   "the devices are others here");
		return;
	}
	if (memcmp(d->stream, d->copy, d->opts.len))
		world_fail(w, WORLD_RAM, "device state differs");
	/* The source may have given up, which we shall hear. */
	if (w->ses_src.state == XM_SRC_DEVICE) {
		if (w->guest.running)
			world_fail(w, WORLD_BROKEN, "loaded while it runs");
		world_compare(w);
	}
	d->is_loaded = true;
	sim_log_note(&w->log, now, SIM_NOTE_CTL, "dst",
		     "device state is loaded");
	conduct_dst_msg(w, XM_EV_LOADED, NULL);
}

/* -- life ------------------------------------------------------------------- */

void device_init(struct sim_device *d, struct world *w)
{
	uint32_t i;

	memset(d, 0, sizeof(*d));
	d->w = w;
	d->opts = w->opts.device;
	d->load_at = XM_TIME_NEVER;
	d->writer.next_at = writer_next_at;
	d->writer.run = writer_run;
	sim_add(&w->sim, &d->writer);
	d->reader.next_at = reader_next_at;
	d->reader.run = reader_run;
	sim_add(&w->sim, &d->reader);
	d->loader.next_at = loader_next_at;
	d->loader.run = loader_run;
	sim_add(&w->sim, &d->loader);
	if (!d->opts.len)
		return;
	d->stream = malloc(d->opts.len);
	d->copy = calloc(1, d->opts.len);
	if (!d->stream || !d->copy)
		abort();
	for (i = 0; i < d->opts.len; i++)
		d->stream[i] = (uint8_t)sim_rng_next(&d->writer.rng);
}

void device_fini(struct sim_device *d)
{
	free(d->stream);
	free(d->copy);
}
