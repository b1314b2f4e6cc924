/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mangle.h - looking into a frame on the wire, and damaging it
 *
 * Pure.  Knows Ethernet, one VLAN tag, IPv4, IPv6 and UDP as far as it takes
 * to find xdpmig's frame header; everything else is opaque bytes.
 */
#ifndef T_MANGLE_H
#define T_MANGLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "impair.h"

struct mangle {
	uint32_t ip;      /* offset of the IP header; 0: not IP */
	uint32_t udp;     /* offset of the UDP header; 0: not UDP */
	uint32_t payload; /* offset behind it; if not UDP, behind Ethernet */
	uint32_t ip_len;  /* from the IP header to the frame's end */
	bool is_six;
	bool is_ect; /* ECT(0) or ECT(1) */
	uint16_t sport, dport;
	uint8_t type;   /* enum xm_wire_type; 0: not a frame of ours */
	uint32_t epoch; /* of such a frame */
};

void mangle_look(const uint8_t *p, uint32_t len, struct mangle *ret);

/* What a kind of damage is called; NULL for IMPAIR_INTACT. */
const char *mangle_name(enum impair_damage damage);

#define MANGLE_ROOM 64 /* bytes that a frame may get longer */

/* Damage @p, which has room for MANGLE_ROOM bytes more, as @random says.
 * Returns its new length.  A frame without what this damage is about gets
 * IMPAIR_PAYLOAD; one without a payload stays as it is. */
uint32_t mangle_damage(uint8_t *p, uint32_t len, const struct mangle *m,
		       enum impair_damage damage, uint64_t random);

/* Mark an ECT frame as having met congestion. */
void mangle_mark(uint8_t *p, const struct mangle *m);

#endif
