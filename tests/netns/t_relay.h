/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_relay.h - the relay program between two packet sockets
 *
 *     here                                   there
 *   +----------------+                 +----------------+
 *   | packet sockets |                 |                |
 *   |   tx --> v0 ======================== v1 --,       |
 *   |                |                 |       relay    |
 *   |   rx <-- w0 ======================== w1 <-'       |
 *   +----------------+                 +----------------+
 *
 * Frames are written and read whole, so the kernel's stack has no part in it.  What goes
 * wrong fails the test.
 */
#ifndef XM_TESTS_T_RELAY_H
#define XM_TESTS_T_RELAY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "../lib/t_route.h"

#define T_FRAME_MAX (65536 + 64)

struct t_relay {
	struct t_netns net;
	pid_t pid; /* 0: it does not run */
	FILE *out;
	json_t *stats; /* the newest that it said */
	int tx, rx;
};

struct t_frame {
	uint8_t b[T_FRAME_MAX];
	uint32_t len;
};

/* The network, for cmocka; the program is not started yet. */
int t_relay_setup(void **state);
int t_relay_teardown(void **state);

/* Start @program with the options in @args, separated by single spaces. */
void t_relay_start(struct t_relay *t, const char *program, const char *args);
/* End it, and take its figures. */
void t_relay_stop(struct t_relay *t);
/* Send it @sig, that cuts or mends the wire, and wait until it has done so. */
void t_relay_cut(struct t_relay *t, int sig, bool is_cut);
/* Of its last figures: @name of the way "ab" or "ba". */
json_int_t t_relay_stat(const struct t_relay *t, const char *way,
			const char *name);

/* Frame @i: its payload depends on its number, which is in it too. */
void t_frame_make(struct t_frame *f, uint32_t i, uint32_t payload,
		  uint16_t vlan, uint16_t dport);
void t_frame_send(const struct t_relay *t, const struct t_frame *f);
/* The next frame of ours that comes out, with its VLAN tag where it was on the
 * wire; false when none comes within @ms. */
bool t_frame_recv(const struct t_relay *t, struct t_frame *ret, int ms);

#endif
