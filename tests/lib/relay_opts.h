/* SPDX-License-Identifier: GPL-2.0-or-later */
/* relay_opts.h - the relay's command line */
#ifndef T_RELAY_OPTS_H
#define T_RELAY_OPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "impair.h"
#include "mangle.h"

/* Frames of one way, kept and sent once more. */
struct relay_tape {
	const char *record; /* into this file, or NULL */
	const char *replay; /* from this one, or NULL */
	uint32_t repeat;    /* those that came before this epoch; 0: none */
	unsigned int times; /* so many with each frame that passes */
};

struct relay_opts {
	const char *dev[2];        /* A, B */
	struct impair_opts way[2]; /* 0: A to B, 1: B to A */
	struct relay_tape tape[2];
	uint64_t seed;
	uint16_t port_lo, port_hi; /* subject: UDP in this range; 0: all */
	bool others;               /* all but that */
	unsigned int types;        /* subject: bits 1 << frame type; 0: all */
	unsigned int begin; /* trouble begins with one of these; 0: at once */
	uint64_t ring;      /* bytes of receive ring, each way */
	uint64_t store;     /* bytes of frames on their way, each way */
};

/* Fill @ret; exits with usage text (0 for --help, 2 for a mistake). */
void relay_opts_parse(struct relay_opts *ret, int argc, char **argv);

/* Is random trouble meant for this frame? */
bool relay_is_subject(const struct relay_opts *o, const struct mangle *m);

#endif
