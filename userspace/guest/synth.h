/* SPDX-License-Identifier: GPL-2.0-or-later */
/* synth.h - the process that plays a guest (theory in synth.c) */
#ifndef XM_GUEST_SYNTH_H
#define XM_GUEST_SYNTH_H

#include <stdbool.h>
#include <stdint.h>

#include "guest.h"

/* What it counts, in memory shared with it. */
struct synth_count {
	uint64_t writes; /* pages written since it began; atomic */
};

/* One byte each way on its socket. */
enum {
	SYNTH_READY = 'f',  /* from it: memory is full */
	SYNTH_PAUSE = 'p',  /* to it; */
	SYNTH_PAUSED = 'P', /* its answer: nothing is written any more */
	SYNTH_RUN = 'r',
	SYNTH_RUNS = 'R',
};

/* Fill @base with distinct pages, then write them as @opts says, as told on
 * @ctl, until that is closed.  Never returns. */
_Noreturn void synth_work(int ctl, uint8_t *base,
			  const struct guest_synth *opts,
			  struct synth_count *count);

/* Is the page at @base + @page * 4096 as it was filled, or written since and
 * whole? */
bool synth_page_is_whole(const uint8_t *base, uint64_t page);

#endif
