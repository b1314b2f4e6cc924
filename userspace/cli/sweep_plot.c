// SPDX-License-Identifier: GPL-2.0-or-later
/* sweep_plot.c - a sweep as a picture
 *
 *      title                                              legend
 *      +---- 1 channel ----+ +---- 4 channels ---+ ...    Gbit/s over slots
 *      |  .-o--o--o        | |      .o--o--o     |        (median, line;
 *      | o                 | |   o'              |        least to most, bar)
 *      +-------------------+ +-------------------+
 *      |                   | |                   |        share of the time
 *      +-------------------+ +-------------------+        the queue was dry
 *        1  4  16  64 ...       header slots, 512 KiB each
 *
 * Panels share their axes, so that they can be compared.  Colours come from a
 * style sheet inside, for light and dark; drains differ in dash and mark as well.
 * A point says its figures when the pointer rests on it.  Nothing is loaded from
 * anywhere.
 */
#include "sweep.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define PANEL_W 300 /* inner */
#define PANEL_H 190
#define DRY_H   70
#define GAP_X   24
#define GAP_Y   16 /* between throughput and dry */
#define LEFT    74
#define TOP     84
#define BOTTOM  64
#define ROW_GAP 70
#define PER_ROW 3

#define LEGEND_W      126 /* of a drain */
#define LEGEND_FLAT_W 240 /* of the ring behind them */

/* The default of --in-flight. */
static const uint32_t default_slots = XM_IN_FLIGHT / XM_PACKET_SIZE;

struct plot {
	FILE *f;
	const struct sweep_grid *g;
	double y_max, y_step;
	double x_lo, x_hi; /* log2 of slots */
	double left, top;  /* of the panel being drawn */
};

/* No variables: not every viewer knows them. */
static const char style[] =
	"<style>\n"
	"text{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;"
	"fill:#1f2328}\n"
	".t{font-size:16px;font-weight:600}.p{font-weight:600}"
	".s{fill:#59636e}.bg{fill:#ffffff}\n"
	".g{stroke:#d8dee4;stroke-width:1;fill:none}.d{stroke-dasharray:2 3}\n"
	".l{fill:none;stroke-width:2;stroke-linejoin:round}"
	".b{stroke-width:1;opacity:.6;fill:none}"
	".k{fill:none;stroke-width:1.5}\n"
	".half{stroke:#0a5dc2}.full{stroke:#c2410c}.one{stroke:#1a7f37}\n"
	".mhalf{fill:#0a5dc2}.mfull{fill:#c2410c}.mone{fill:#1a7f37}\n"
	".dfull{stroke-dasharray:7 4}.done{stroke-dasharray:2 3}\n"
	"@media (prefers-color-scheme:dark){\n"
	"text{fill:#e6edf3}.s{fill:#9198a1}.bg{fill:#0d1117}"
	".g{stroke:#30363d}\n"
	".half{stroke:#6cb6ff}.full{stroke:#ff9a62}.one{stroke:#6fdd8b}\n"
	".mhalf{fill:#6cb6ff}.mfull{fill:#ff9a62}.mone{fill:#6fdd8b}}\n"
	"</style>\n";

static void put_text(FILE *f, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '&':
			fputs("&amp;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		default:
			if ((unsigned char)*s >= ' ')
				putc(*s, f);
		}
	}
}

/* -- scales -------------------------------------------------------------------- */

/* A step of 1, 2 or 5 times a power of ten, five of which reach @max. */
static double nice_step(double max)
{
	double p = pow(10, floor(log10(max / 5))), n = max / 5 / p;

	return p * (n <= 1 ? 1 : n <= 2 ? 2 : n <= 5 ? 5 : 10);
}

static void plot_scale(struct plot *p)
{
	const struct sweep_grid *g = p->g;
	double least, most, max = 0;
	unsigned int i;

	for (i = 0; i < sweep_n_cells(g); i++) {
		sweep_range(&g->cell[i], &least, &most);
		if (most > max)
			max = most;
	}
	if (max <= 0)
		max = 1;
	p->y_step = nice_step(max);
	p->y_max = ceil(max * 1.02 / p->y_step) * p->y_step;
	p->x_lo = log2(g->slots[0]) - 0.3;
	p->x_hi = log2(g->slots[g->n_slots - 1]) + 0.3;
}

static double plot_x(const struct plot *p, uint32_t slots)
{
	return p->left +
	       (log2(slots) - p->x_lo) / (p->x_hi - p->x_lo) * PANEL_W;
}

static double plot_y(const struct plot *p, double gbit_per_s)
{
	return p->top + PANEL_H * (1 - gbit_per_s / p->y_max);
}

static double plot_dry_y(const struct plot *p, double share)
{
	return p->top + PANEL_H + GAP_Y + DRY_H * (1 - (share < 1 ? share : 1));
}

/* -- axes ------------------------------------------------------------------------ */

static void hline(const struct plot *p, double y)
{
	fprintf(p->f, "<path class=\"g\" d=\"M%.1f %.1fh%d\"/>\n", p->left, y,
		PANEL_W);
}

static void plot_y_axes(const struct plot *p, bool has_labels)
{
	unsigned int i, n = (unsigned int)(p->y_max / p->y_step + 0.5);

	for (i = 0; i <= n; i++) {
		double y = plot_y(p, i * p->y_step);

		hline(p, y);
		if (has_labels)
			fprintf(p->f,
				"<text class=\"s\" x=\"%.1f\" y=\"%.1f\" "
				"text-anchor=\"end\">%g</text>\n",
				p->left - 6, y + 4, i * p->y_step);
	}
	for (i = 0; i <= 2; i++) {
		hline(p, plot_dry_y(p, i / 2.0));
		if (has_labels)
			fprintf(p->f,
				"<text class=\"s\" x=\"%.1f\" y=\"%.1f\" "
				"text-anchor=\"end\">%u %%</text>\n",
				p->left - 6, plot_dry_y(p, i / 2.0) + 4,
				i * 50);
	}
	if (!has_labels)
		return;
	fprintf(p->f,
		"<text transform=\"translate(%.1f %.1f) rotate(-90)\" "
		"text-anchor=\"middle\">Gbit/s of guest memory</text>\n",
		p->left - 54, p->top + PANEL_H / 2.0);
	fprintf(p->f,
		"<text transform=\"translate(%.1f %.1f) rotate(-90)\" "
		"text-anchor=\"middle\">dry, %% of time</text>\n",
		p->left - 54, plot_dry_y(p, 0.5));
}

/* A line, and what it is on the side that has room. */
static void plot_default(const struct plot *p)
{
	double x = plot_x(p, default_slots), bottom = plot_dry_y(p, 0);
	bool is_right = x > p->left + PANEL_W / 2.0;

	if (log2(default_slots) < p->x_lo || log2(default_slots) > p->x_hi)
		return;
	fprintf(p->f,
		"<path class=\"g d\" d=\"M%.1f %.1fV%.1f\"/>\n"
		"<text class=\"s\" x=\"%.1f\" y=\"%.1f\" "
		"text-anchor=\"%s\">default, %d MiB</text>\n",
		x, p->top, bottom, is_right ? x - 3 : x + 3, plot_y(p, 0) - 5,
		is_right ? "end" : "start", XM_IN_FLIGHT >> 20);
}

/* Powers of four, and where the default is. */
static void plot_x_axis(const struct plot *p)
{
	double bottom = plot_dry_y(p, 0);
	uint32_t s;

	for (s = 1; s <= SWEEP_SLOTS_MAX; s *= 2) {
		double x = plot_x(p, s);

		if (log2(s) < p->x_lo || log2(s) > p->x_hi)
			continue;
		fprintf(p->f, "<path class=\"g\" d=\"M%.1f %.1fv4\"/>\n", x,
			bottom);
		if (p->x_hi - p->x_lo < 8 || !((uint32_t)log2(s) % 2))
			fprintf(p->f,
				"<text class=\"s\" x=\"%.1f\" y=\"%.1f\" "
				"text-anchor=\"middle\">%u</text>\n",
				x, bottom + 18, s);
	}
	fprintf(p->f,
		"<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">"
		"header slots a channel, 512 KiB each</text>\n",
		p->left + PANEL_W / 2.0, bottom + 36);
	plot_default(p);
}

/* -- data ------------------------------------------------------------------------- */

static void plot_point(const struct plot *p, const struct sweep_cell *c)
{
	struct sweep_sample m = sweep_median(c);
	const char *name = sweep_drain_name(c->drain);
	double x = plot_x(p, c->slots), y = plot_y(p, m.gbit_per_s);
	double least, most;

	sweep_range(c, &least, &most);
	if (most > least)
		fprintf(p->f, "<path class=\"b %s\" d=\"M%.1f %.1fV%.1f\"/>\n",
			name, x, plot_y(p, least), plot_y(p, most));
	if (c->drain == XM_DRAIN_FULL)
		fprintf(p->f,
			"<rect class=\"m%s\" x=\"%.1f\" y=\"%.1f\" "
			"width=\"6\" height=\"6\">",
			name, x - 3, y - 3);
	else
		fprintf(p->f,
			"<circle class=\"m%s\" cx=\"%.1f\" cy=\"%.1f\" "
			"r=\"%s\">",
			name, x, y, c->drain == XM_DRAIN_ONE ? "2.4" : "3.4");
	fprintf(p->f,
		"<title>%s drain, %u slots (%.1f MiB) on %u channel%s: %.2f "
		"Gbit/s (%.2f to %.2f); dry %.1f %% of the time, waiting for "
		"a slot %.1f %%; %.1f MiB locked</title></%s>\n",
		name, c->slots, c->slots / 2.0, c->channels,
		c->channels > 1 ? "s" : "", m.gbit_per_s, least, most,
		m.dry_share * 100, m.wait_share * 100,
		(double)m.locked_bytes / (1 << 20),
		c->drain == XM_DRAIN_FULL ? "rect" : "circle");
}

static void plot_line(const struct plot *p, unsigned int c, unsigned int d,
		      bool is_dry)
{
	const struct sweep_grid *g = p->g;
	const char *name = sweep_drain_name(g->drain[d]);
	const struct sweep_cell *cell;
	struct sweep_sample m;
	bool has_begun = false;
	unsigned int s;

	fprintf(p->f, "<path class=\"l %s d%s\" d=\"", name, name);
	for (s = 0; s < g->n_slots; s++) {
		cell = sweep_cell(g, c, s, d);
		if (!cell->n)
			continue;
		m = sweep_median(cell);
		fprintf(p->f, "%c%.1f %.1f", has_begun ? 'L' : 'M',
			plot_x(p, cell->slots),
			is_dry ? plot_dry_y(p, m.dry_share) :
				 plot_y(p, m.gbit_per_s));
		has_begun = true;
	}
	fputs(has_begun ? "\"/>\n" : "M0 0\"/>\n", p->f);
}

/* A ring around the point from which on nothing improves. */
static void plot_flat(const struct plot *p, unsigned int c, unsigned int d)
{
	const struct sweep_cell *cell = sweep_flat(p->g, c, d);

	if (!cell || sweep_is_edge(p->g, cell))
		return;
	fprintf(p->f,
		"<circle class=\"k %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"7\"/>\n",
		sweep_drain_name(cell->drain), plot_x(p, cell->slots),
		plot_y(p, sweep_median(cell).gbit_per_s));
}

static void plot_panel(const struct plot *p, unsigned int c)
{
	const struct sweep_grid *g = p->g;
	unsigned int s, d;

	fprintf(p->f,
		"<text class=\"p\" x=\"%.1f\" y=\"%.1f\">%u channel%s"
		"</text>\n",
		p->left, p->top - 8, g->channels[c],
		g->channels[c] > 1 ? "s" : "");
	plot_y_axes(p, c % PER_ROW == 0);
	plot_x_axis(p);
	for (d = g->n_drains; d-- > 0;) {
		plot_line(p, c, d, false);
		plot_line(p, c, d, true);
		for (s = 0; s < g->n_slots; s++)
			if (sweep_cell(g, c, s, d)->n)
				plot_point(p, sweep_cell(g, c, s, d));
		plot_flat(p, c, d);
	}
}

static void plot_legend(const struct plot *p, const char *title,
			const char *note)
{
	static const char *const says[] = {
		[XM_DRAIN_HALF] = "half drain",
		[XM_DRAIN_FULL] = "full drain",
		[XM_DRAIN_ONE] = "one at a time",
	};
	double x = LEFT;
	unsigned int d;

	fprintf(p->f, "<text class=\"t\" x=\"%d\" y=\"24\">", LEFT);
	put_text(p->f, title);
	fprintf(p->f, "</text>\n<text class=\"s\" x=\"%d\" y=\"%d\">", LEFT,
		42);
	put_text(p->f, note);
	fputs("</text>\n", p->f);
	for (d = 0; d < p->g->n_drains; d++) {
		fprintf(p->f,
			"<path class=\"l %s d%s\" d=\"M%.0f 56h24\"/>"
			"<text x=\"%.0f\" y=\"60\">%s</text>\n",
			sweep_drain_name(p->g->drain[d]),
			sweep_drain_name(p->g->drain[d]), x, x + 30,
			says[p->g->drain[d]]);
		x += LEGEND_W;
	}
	fprintf(p->f,
		"<circle class=\"k half\" cx=\"%.0f\" cy=\"56\" r=\"6\"/>"
		"<text class=\"s\" x=\"%.0f\" y=\"60\">smallest within %d %% "
		"of the best</text>\n",
		x + 6, x + 18, SWEEP_FLAT_PERCENT);
}

/* A picture of few panels is wider than they are, for what stands above them. */
static unsigned int plot_width(const struct sweep_grid *g, const char *title,
			       const char *note)
{
	unsigned int cols = g->n_channels < PER_ROW ? g->n_channels : PER_ROW;
	unsigned int w = LEFT + cols * (PANEL_W + GAP_X);
	unsigned int title_w = LEFT + (unsigned int)strlen(title) * 10;
	unsigned int note_w = LEFT + (unsigned int)strlen(note) * 7;
	unsigned int legend_w = LEFT + g->n_drains * LEGEND_W + LEGEND_FLAT_W;

	if (w < 640)
		w = 640;
	if (w < legend_w)
		w = legend_w;
	if (w < title_w)
		w = title_w;
	return w < note_w ? note_w : w;
}

void sweep_put_svg(FILE *f, const struct sweep_grid *g, const char *title,
		   const char *note)
{
	struct plot p = { .f = f, .g = g };
	unsigned int rows = (g->n_channels + PER_ROW - 1) / PER_ROW, c;
	unsigned int row_h = PANEL_H + GAP_Y + DRY_H + ROW_GAP;
	unsigned int w = plot_width(g, title, note);
	unsigned int h = TOP + rows * row_h - ROW_GAP + BOTTOM, row;

	plot_scale(&p);
	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u "
		"%u\" width=\"%u\" height=\"%u\" role=\"img\" aria-label=\"",
		w, h, w, h);
	put_text(f, title);
	fprintf(f, "\">\n%s<rect width=\"%u\" height=\"%u\" class=\"bg\"/>\n",
		style, w, h);
	plot_legend(&p, title, note);
	for (c = 0; c < g->n_channels; c++) {
		row = c / PER_ROW;
		p.left = LEFT + c % PER_ROW * (PANEL_W + GAP_X);
		p.top = TOP + row * row_h;
		plot_panel(&p, c);
	}
	fputs("</svg>\n", f);
}

/* -- a page ----------------------------------------------------------------------- */

static void html_row(FILE *f, const struct sweep_grid *g, unsigned int c,
		     unsigned int s)
{
	const struct sweep_cell *cell;
	struct sweep_sample m = { 0 };
	unsigned int d;

	fprintf(f, "<tr><td>%u<td>%u<td>%.1f", g->channels[c], g->slots[s],
		g->slots[s] / 2.0);
	for (d = 0; d < g->n_drains; d++) {
		cell = sweep_cell(g, c, s, d);
		if (!cell->n) {
			fputs("<td>-<td>-<td>-", f);
			continue;
		}
		m = sweep_median(cell);
		fprintf(f, "<td%s>%.2f<td>%.1f<td>%.1f",
			sweep_flat(g, c, d) == cell ? " class=flat" : "",
			m.gbit_per_s, m.wait_share * 100, m.dry_share * 100);
	}
	fprintf(f, "<td>%.1f\n", (double)m.locked_bytes / (1 << 20));
}

void sweep_put_html(FILE *f, const struct sweep_grid *g, const char *title,
		    const char *note)
{
	unsigned int c, s, d;

	fputs("<!doctype html>\n<html lang=en><meta charset=utf-8>\n"
	      "<meta name=viewport content=\"width=device-width\">\n"
	      "<meta name=color-scheme content=\"light dark\">\n<title>",
	      f);
	put_text(f, title);
	fputs("</title>\n<style>body{font:14px system-ui,sans-serif;margin:2em "
	      "auto;max-width:1080px;padding:0 1em}svg{max-width:100%;height:"
	      "auto}table{border-collapse:collapse;margin-top:1em}td,th{"
	      "padding:.15em .7em;text-align:right;border-bottom:1px solid "
	      "#8884}.flat{font-weight:700}</style>\n",
	      f);
	sweep_put_svg(f, g, title, note);
	fprintf(f,
		"<p>Medians; bold: the smallest ring within %d %% of the best. "
		"Waiting: share of the time that channels waited for a slot. "
		"Dry: share in which meanwhile the device had nothing to "
		"send.\n<table><tr><th>channels<th>slots<th>MiB in flight",
		SWEEP_FLAT_PERCENT);
	for (d = 0; d < g->n_drains; d++)
		fprintf(f, "<th>%s Gbit/s<th>waiting %%<th>dry %%",
			sweep_drain_name(g->drain[d]));
	fputs("<th>MiB locked\n", f);
	for (c = 0; c < g->n_channels; c++)
		for (s = 0; s < g->n_slots; s++)
			html_row(f, g, c, s);
	fputs("</table>\n", f);
}
