/* SPDX-License-Identifier: GPL-2.0-or-later */
/* device.h - the guest's devices: what a QEMU writes and another one reads
 *
 * A stream of random bytes.  The source's QEMU writes it in pieces of any size
 * into a socket that holds SIM_DEVICE_SOCKET bytes, half of it while memory is
 * still on its way, the rest when it is told that all memory is over there.
 * The destination's reads as slowly as it likes, and loads when it has all.
 * In between are the conductors, the session machines and their window.
 *
 * What is loaded must be what was written, to the byte; and a guest that has
 * devices runs at the destination only with them.
 */
#ifndef SIM_DEVICE_H
#define SIM_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/msg.h"

#include "net.h"

#define SIM_DEVICE_SOCKET (208 << 10)

struct sim_device_opts {
	uint32_t len;        /* of the stream; 0: this guest has no devices */
	uint32_t piece_max;  /* bytes that QEMU writes, and reads, at once */
	uint32_t from_epoch; /* the first piece is written with its harvest */
	int64_t write_ns;    /* mean time between two pieces */
	int64_t read_ns;
	int64_t load_ns; /* from the last byte on */
	bool load_fails;
	bool was_paused; /* by the user, before the migration */
};

struct world;

struct sim_device {
	struct sim_node writer, reader, loader;
	struct world *w;
	struct sim_device_opts opts;
	uint8_t *stream, *copy;
	bool may_end; /* the source's QEMU was told to go on */
	uint32_t n_written, n_sent, n_got, n_read;
	struct xm_time write_at, read_at, load_at;
	bool is_loaded;
	uint64_t n_full; /* times the window had no room */
	uint64_t n_acks; /* that the conductor asked for */
};

void device_init(struct sim_device *d, struct world *w);
void device_fini(struct sim_device *d);

/* Source: send what was written and has room, and the end when that was all. */
void device_pump(struct sim_device *d);
/* Source: the final epoch is installed. */
void device_go_on(struct sim_device *d);
/* Destination: a DEVICE message came; DEVICE_END came. */
void device_got(struct sim_device *d, const struct xm_msg_device *m);
void device_load(struct sim_device *d);

#endif
