// SPDX-License-Identifier: GPL-2.0-or-later
/* sweep_out.c - a sweep's table and its CSV
 *
 * The table has one block for each number of channels, a line for each size, and
 * of each drain the median's Gbit/s and how long its queues were dry; CSV has a
 * line for each run, for who wants to see for himself.
 */
#include "sweep.h"

#include <inttypes.h>

void sweep_put_csv(FILE *f, const struct sweep_grid *g)
{
	const struct sweep_sample *s;
	const struct sweep_cell *c;
	unsigned int i, k;

	fputs("channels,slots,in_flight_bytes,drain,run,gbit_per_s,waits,"
	      "wait_share,dry,dry_share,locked_bytes,credit,"
	      "cpu_s_per_gib\n",
	      f);
	for (i = 0; i < sweep_n_cells(g); i++) {
		c = &g->cell[i];
		for (k = 0; k < c->n; k++) {
			s = &c->sample[k];
			fprintf(f,
				"%u,%u,%" PRIu64 ",%s,%u,%.4f,%" PRIu64
				",%.4f,%" PRIu64 ",%.4f,%" PRIu64 ",%" PRIu64
				",%.4f\n",
				c->channels, c->slots,
				(uint64_t)c->slots * XM_PACKET_SIZE,
				sweep_drain_name(c->drain), k + 1,
				s->gbit_per_s, s->waits, s->wait_share, s->dry,
				s->dry_share, s->locked_bytes, s->credit,
				s->cpu_per_gib);
		}
	}
}

static void put_row(FILE *f, const struct sweep_grid *g, unsigned int c,
		    unsigned int s)
{
	const struct sweep_cell *cell;
	struct sweep_sample m = { 0 };
	unsigned int d;

	fprintf(f, "  %5u  %5.1f MiB", g->slots[s], g->slots[s] / 2.0);
	for (d = 0; d < g->n_drains; d++) {
		cell = sweep_cell(g, c, s, d);
		if (!cell->n) {
			fprintf(f, "  %10s %6s", "-", "-");
			continue;
		}
		m = sweep_median(cell);
		fprintf(f, "  %9.2f%c %4.0f %%", m.gbit_per_s,
			sweep_flat(g, c, d) == cell ? '*' : ' ',
			m.dry_share * 100);
	}
	fprintf(f, "  %9.1f\n", (double)m.locked_bytes / (1 << 20));
}

static void put_flat(FILE *f, const struct sweep_grid *g, unsigned int c,
		     unsigned int d)
{
	const struct sweep_cell *cell = sweep_flat(g, c, d);
	struct sweep_sample m;

	if (!cell)
		return;
	m = sweep_median(cell);
	fprintf(f,
		sweep_is_edge(g, cell) ?
			"  %s: not flat up to %u slots (%.1f MiB a channel), " :
			"  %s: flat from %u slots on (%.1f MiB a channel), ",
		sweep_drain_name(cell->drain), cell->slots, cell->slots / 2.0);
	fprintf(f, "%.2f Gbit/s, %.1f MiB locked\n", m.gbit_per_s,
		(double)m.locked_bytes / (1 << 20));
}

void sweep_put_table(FILE *f, const struct sweep_grid *g)
{
	unsigned int c, s, d;

	for (c = 0; c < g->n_channels; c++) {
		fprintf(f, "%s%u channel%s\n  %5s  %9s", c ? "\n" : "",
			g->channels[c], g->channels[c] > 1 ? "s" : "", "slots",
			"in flight");
		for (d = 0; d < g->n_drains; d++)
			fprintf(f, "  %4s Gbit/s    dry",
				sweep_drain_name(g->drain[d]));
		fprintf(f, "  %9s\n", "MiB lock.");
		for (s = 0; s < g->n_slots; s++)
			put_row(f, g, c, s);
		for (d = 0; d < g->n_drains; d++)
			put_flat(f, g, c, d);
	}
}
