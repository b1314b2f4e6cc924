/* SPDX-License-Identifier: GPL-2.0-or-later */
/* relay_opts.h - the relay's command line */
#ifndef T_RELAY_OPTS_H
#define T_RELAY_OPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "impair.h"
#include "mangle.h"

struct relay_opts {
	const char *dev[2];        /* A, B */
	struct impair_opts way[2]; /* 0: A to B, 1: B to A */
	uint64_t seed;
	uint16_t port_lo, port_hi; /* subject: UDP in this range; 0: all */
	unsigned int types;        /* subject: bits 1 << frame type; 0: all */
	uint64_t ring;             /* bytes of receive ring, each way */
	uint64_t store;            /* bytes of frames on their way, each way */
};

/* Fill @ret; exits with usage text (0 for --help, 2 for a mistake). */
void relay_opts_parse(struct relay_opts *ret, int argc, char **argv);

/* Is random trouble meant for this frame? */
bool relay_is_subject(const struct relay_opts *o, const struct mangle *m);

#endif
