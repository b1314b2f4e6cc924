/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sweep.h - a grid of header rings: what was measured, and what it says
 *
 * A cell of the grid is a number of channels, a number of slots of each
 * channel's header ring, and a drain; it is measured several times.  What is
 * here knows nothing of how: the command (cmd_sweep.c) migrates, the simulation
 * (tests/sim/sweep.c) computes, and both draw the same plot.
 */
#ifndef XM_CLI_SWEEP_H
#define XM_CLI_SWEEP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/tx.h"

#define SWEEP_SLOTS_MAX    1024 /* of a ring */
#define SWEEP_LIST_MAX     32   /* values in a list */
#define SWEEP_REPEATS_MAX  100
#define SWEEP_FLAT_PERCENT 3 /* of the best: nothing improves */

/* One run.  Shares are of the transfer's time, 0 to 1, the channels' mean. */
struct sweep_sample {
	double gbit_per_s;
	double wait_share; /* a full ring was waited for */
	double dry_share;  /* and the device had nothing to send */
	uint64_t waits, dry;
	uint64_t locked_bytes;
	uint64_t credit;    /* frames that the peer took at a time */
	double cpu_per_gib; /* the source's seconds for a GiB; 0: not known */
};

struct sweep_cell {
	unsigned int channels;
	uint32_t slots;
	enum xm_drain drain;
	unsigned int n; /* samples; may be fewer than were wanted */
	struct sweep_sample *sample; /* SWEEP_REPEATS_MAX at most */
};

struct sweep_grid {
	unsigned int channels[SWEEP_LIST_MAX], n_channels;
	uint32_t slots[SWEEP_LIST_MAX];
	unsigned int n_slots; /* lists ascend and have no value twice */
	enum xm_drain drain[XM_DRAIN__COUNT];
	unsigned int n_drains;
	unsigned int repeats;
	struct sweep_cell *cell; /* n_channels x n_slots x n_drains */
	struct sweep_sample *samples;
};

/* -- sweep.c ------------------------------------------------------------------ */

/* Lists as users write them: "1,2,8", "1,4,10M" (of 512 KiB each),
 * "half,full".  0, or -EINVAL with @why (200 bytes). */
int sweep_parse_slots(struct sweep_grid *g, const char *text, char *why);
int sweep_parse_channels(struct sweep_grid *g, const char *text, char *why);
int sweep_parse_drains(struct sweep_grid *g, const char *text, char *why);

/* Memory for the lists' cells.  0 or -ENOMEM. */
int sweep_grid_make(struct sweep_grid *g);
void sweep_grid_free(struct sweep_grid *g);

unsigned int sweep_n_cells(const struct sweep_grid *g);
struct sweep_cell *sweep_cell(const struct sweep_grid *g, unsigned int channels,
			      unsigned int slots, unsigned int drain);

/* In what order the runs are made: @ret gets sweep_n_cells() x repeats numbers
 * of cells.  Each round has every cell once, shuffled anew, so a machine that
 * gets faster or slower favours none. */
void sweep_order(const struct sweep_grid *g, uint64_t seed, unsigned int *ret);

/* -- what it says --------------------------------------------------------------- */

/* The cell's medians, each figure's own; all zeros without a sample. */
struct sweep_sample sweep_median(const struct sweep_cell *c);
/* Least and most Gbit/s. */
void sweep_range(const struct sweep_cell *c, double *ret_least,
		 double *ret_most);

/* From what size on nothing improves, with so many channels (an index) and this
 * drain: the smallest ring whose median is within SWEEP_FLAT_PERCENT of the best
 * of all sizes.  NULL: nothing was measured. */
const struct sweep_cell *sweep_flat(const struct sweep_grid *g,
				    unsigned int channels, unsigned int drain);

/* Is nothing larger known, so that it might improve yet? */
bool sweep_is_edge(const struct sweep_grid *g, const struct sweep_cell *c);

/* "half", "full", "one" */
const char *sweep_drain_name(enum xm_drain drain);

/* -- sweep_out.c: for people, for other programs ---------------------------------- */

void sweep_put_table(FILE *f, const struct sweep_grid *g);
void sweep_put_csv(FILE *f, const struct sweep_grid *g);

/* -- sweep_plot.c ------------------------------------------------------------------ */

/* One SVG image, all that it needs in it, for light and dark.  @title is what was
 * measured, @note a line of small print; any text. */
void sweep_put_svg(FILE *f, const struct sweep_grid *g, const char *title,
		   const char *note);
/* The same as a page, with the table. */
void sweep_put_html(FILE *f, const struct sweep_grid *g, const char *title,
		    const char *note);

#endif
