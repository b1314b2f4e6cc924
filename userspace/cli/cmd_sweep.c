// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_sweep.c - xdpmig sweep: the header ring that a link needs
 *
 * Every run is a whole migration, the same as 'xdpmig send' makes, in a process
 * of its own (child.c), to a 'recv --discard'.  So what is measured is what a
 * migration gets, and there is no second protocol.  This process makes up their
 * options, asks for nothing itself, and reads their results.
 *
 * A run that fails is said and left out; three in a row end the sweep.  A signal
 * cancels the run that is under way and ends it, too.  In both cases what was
 * measured until then is printed and written.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "child.h"
#include "clock.h"
#include "opt.h"
#include "side.h"
#include "sweep.h"
#include "sweep_files.h"
#include "sweep_opts.h"

#define SWEEP_FAILURES 3
#define SWEEP_CHANNELS 16 /* at most, when nothing is said */

struct sweep {
	struct cli_ctx *cli;
	const struct cli_sweep_opts *opts;
	struct cli_send_opts send; /* of the run under way */
	char synthetic[32];
	struct sweep_grid grid;
	unsigned int *order, n_runs, n_done, n_failed;
	uint64_t seed;
	struct xm_time begun;
	char dev[16], engine[16];
	double frame_bytes, memory_bytes; /* of the last run */
	struct sweep_files files;
};

static const char *sweep_plural(unsigned int n)
{
	return n > 1 ? "s" : "";
}

static struct xm_error *sweep_err(struct sweep *s)
{
	return &s->cli->err;
}

/* -- what is to be done ---------------------------------------------------------- */

static int sweep_fail_list(struct sweep *s, const char *name, const char *why)
{
	return xm_fail(sweep_err(s), -EINVAL, XM_REASON_USAGE, "--%s: %s", name,
		       why);
}

/* 1, 2, 4 ... of @n queues, and all of them. */
static void sweep_pick_channels(struct sweep_grid *g, unsigned int n)
{
	unsigned int c;

	if (n > SWEEP_CHANNELS)
		n = SWEEP_CHANNELS;
	for (c = 1; c < n; c *= 2)
		g->channels[g->n_channels++] = c;
	g->channels[g->n_channels++] = n;
}

/* Which device, and how many queues has it?  Asked once, before anything is
 * begun. */
static int sweep_look(struct sweep *s)
{
	struct cli_xfer_opts x = s->opts->x;
	struct cli_queues all = { 0 };
	struct side side = { .cli = s->cli, .opts = &x };
	struct sweep_grid *g = &s->grid;
	unsigned int most;
	int r;

	x.dry_run = true; /* make nothing */
	r = side_open_device(&side, &all, sweep_err(s));
	if (!r) {
		memcpy(s->dev, side.dev, sizeof(s->dev));
		if (!s->opts->channels)
			sweep_pick_channels(g, side.n_channels);
		most = g->channels[g->n_channels - 1];
		if (most > side.n_channels)
			r = xm_fail(sweep_err(s), -ERANGE, XM_REASON_USAGE,
				    "--channels: %u are more than the %u "
				    "queues that 'xdpmig attach' serves on %s",
				    most, side.n_channels, side.dev);
	}
	side_close(&side);
	return r;
}

static int sweep_lists(struct sweep *s)
{
	const struct cli_sweep_opts *o = s->opts;
	char why[200];

	if (sweep_parse_slots(&s->grid, o->slots, why))
		return sweep_fail_list(s, "slots", why);
	if (o->channels && sweep_parse_channels(&s->grid, o->channels, why))
		return sweep_fail_list(s, "channels", why);
	if (sweep_parse_drains(&s->grid, o->drains, why))
		return sweep_fail_list(s, "drains", why);
	if (o->size % XM_PAGE_SIZE)
		return xm_fail(sweep_err(s), -EINVAL, XM_REASON_USAGE,
			       "--size: not a multiple of %d bytes",
			       XM_PAGE_SIZE);
	return 0;
}

static int sweep_plan(struct sweep *s)
{
	struct sweep_grid *g = &s->grid;

	g->repeats = s->opts->repeat;
	s->n_runs = sweep_n_cells(g) * g->repeats;
	s->order = calloc(s->n_runs, sizeof(*s->order));
	if (!s->order || sweep_grid_make(g))
		return xm_fail(sweep_err(s), -ENOMEM, XM_REASON_MEMORY,
			       "no memory for %u runs", s->n_runs);
	s->seed = s->opts->seed;
	if (!s->seed) {
		uint16_t any = 0; /* short enough to be typed */

		(void)!getrandom(&any, sizeof(any), 0);
		s->seed = 1u + any;
	}
	sweep_order(g, s->seed, s->order);
	cli_info(s->cli,
		 "%s: sizes %u x numbers of channels %u x drains %u x repeats "
		 "%u: %u runs, in the order of --seed %" PRIu64,
		 s->dev, g->n_slots, g->n_channels, g->n_drains, g->repeats,
		 s->n_runs, s->seed);
	return 0;
}

/* -- one run ------------------------------------------------------------------------ */

/* The options of a send, as if its user had said just these. */
static void sweep_send_opts(struct sweep *s, const struct sweep_cell *c)
{
	struct cli_ctx fresh = { .spec = &cli_send };
	struct cli_send_opts *o = &s->send;

	memset(o, 0, sizeof(*o));
	cli_opt_init(&fresh, o);
	o->x = s->opts->x;
	o->x.dev = s->dev;
	o->peer = s->opts->peer;
	o->queues.n = c->channels;
	o->in_flight = (uint64_t)c->slots * XM_PACKET_SIZE;
	o->drain = (int)c->drain;
	if (o->x.ram)
		return;
	snprintf(s->synthetic, sizeof(s->synthetic), "%" PRIu64, s->opts->size);
	o->synthetic = s->synthetic;
}

static void sweep_take(struct sweep *s, struct sweep_cell *c,
		       const json_t *result)
{
	struct sweep_sample *m = &c->sample[c->n];
	double bytes = child_number(result, "ram_bytes_sent"), ms;

	m->gbit_per_s = child_number(result, "gbit_per_s");
	ms = bytes * 8 / 1e6 / m->gbit_per_s * c->channels;
	m->waits = (uint64_t)child_number(result, "flush_space");
	m->wait_share = child_number(result, "flush_space_ms") / ms;
	m->dry = (uint64_t)child_number(result, "dry");
	m->dry_share = child_number(result, "dry_ms") / ms;
	m->locked_bytes = (uint64_t)child_number(result, "locked_bytes");
	m->credit = (uint64_t)child_number(result, "credit");
	m->cpu_per_gib =
		child_number(result, "cpu_ms") / 1000 / (bytes / (1 << 30));
	c->n++;
	s->memory_bytes = bytes;
	s->frame_bytes = child_number(result, "frame_bytes");
	snprintf(s->engine, sizeof(s->engine), "%s",
		 child_word(result, "engine"));
}

static void sweep_tell(struct sweep *s, const struct sweep_cell *c)
{
	const struct sweep_sample *m = &c->sample[c->n - 1];
	unsigned int tried = s->n_done + s->n_failed;
	double left_s = (double)xm_time_sub(xm_clock(), s->begun) / XM_SEC /
			tried * (s->n_runs - tried);
	json_t *o = cli_event_new("run");

	cli_put_u64(o, "channels", c->channels);
	cli_put_u64(o, "header_slots", c->slots);
	cli_put_str(o, "drain", sweep_drain_name(c->drain));
	cli_put_real(o, "gbit_per_s", m->gbit_per_s);
	cli_event_emit(s->cli, o);
	if (s->n_done % 10 && s->n_done < s->n_runs && s->n_done > 1)
		cli_debug(s->cli, "%u slots, %u channel%s, %s: %.2f Gbit/s",
			  c->slots, c->channels, sweep_plural(c->channels),
			  sweep_drain_name(c->drain), m->gbit_per_s);
	else
		cli_info(s->cli, "%u of %u runs, %.0f s left", s->n_done,
			 s->n_runs, left_s);
}

/* What came of a run that did not fail.  -ENODATA: nothing; -ERANGE: its ring was
 * smaller than was wished. */
static int sweep_check(struct sweep *s, const struct sweep_cell *c,
		       const json_t *result)
{
	double slots = child_number(result, "header_slots");

	if (child_number(result, "gbit_per_s") <= 0)
		return xm_fail(
			sweep_err(s), -ENODATA, XM_REASON_USAGE,
			"there was nothing to measure: all of the memory "
			"is zeros, or it is too small");
	if (slots < c->slots)
		return xm_fail(
			sweep_err(s), -ERANGE, XM_REASON_MEMORY,
			"a ring of %.0f was to be had, see --lock-budget",
			slots);
	return 0;
}

/* 0, or -errno with the error: the run came to nothing. */
static int sweep_run(struct sweep *s, struct sweep_cell *c)
{
	struct child_job job = {
		.spec = &cli_send,
		.run = cmd_send,
		.opts = &s->send,
		.level = s->n_done + s->n_failed ? CLI_ERROR : CLI_WARNING,
	};
	json_t *result;
	int r;

	sweep_send_opts(s, c);
	memset(sweep_err(s), 0, sizeof(struct xm_error));
	r = child_run(s->cli, &job, &result, sweep_err(s));
	if (r)
		return r;
	r = child_failure(result, sweep_err(s));
	if (!r)
		r = sweep_check(s, c, result);
	if (!r) {
		sweep_take(s, c, result);
		s->n_done++;
		sweep_tell(s, c);
	}
	json_decref(result);
	return r;
}

/* Would the next run fare better? */
static bool sweep_is_hopeless(struct sweep *s, unsigned int failures)
{
	const struct xm_error *e = sweep_err(s);

	return s->cli->cancelled || failures >= SWEEP_FAILURES ||
	       e->reason == XM_REASON_CANCELLED ||
	       cli_exit_status(e->reason) == CLI_EXIT_USAGE ||
	       (!s->n_done && failures);
}

static int sweep_loop(struct sweep *s)
{
	unsigned int i, failures = 0;
	struct sweep_cell *c;
	int r = 0;

	s->begun = xm_clock();
	for (i = 0; i < s->n_runs; i++) {
		c = &s->grid.cell[s->order[i]];
		r = sweep_run(s, c);
		if (r != -ERANGE) /* that says nothing of the others */
			failures = r ? failures + 1 : 0;
		if (s->cli->cancelled)
			break;
		s->n_failed += r != 0;
		if (r && sweep_is_hopeless(s, failures))
			break;
		if (r)
			cli_warn(s->cli,
				 "%u slots, %u channel%s, %s: left out: %s",
				 c->slots, c->channels,
				 sweep_plural(c->channels),
				 sweep_drain_name(c->drain), sweep_err(s)->msg);
		r = 0;
	}
	if (s->cli->cancelled) {
		memset(sweep_err(s), 0, sizeof(struct xm_error));
		return xm_fail(sweep_err(s), -ECANCELED, XM_REASON_CANCELLED,
			       "cancelled after %u of %u runs", s->n_done,
			       s->n_runs);
	}
	if (r)
		return r;
	memset(sweep_err(s), 0, sizeof(struct xm_error));
	return s->n_done ? 0 :
			   xm_fail(sweep_err(s), -ERANGE, XM_REASON_MEMORY,
				   "none of these rings was to be had, see "
				   "--lock-budget");
}

/* -- what came out -------------------------------------------------------------------- */

static void sweep_put_cell(json_t *list, const struct sweep_cell *c)
{
	struct sweep_sample m = sweep_median(c);
	json_t *o = cli_add_object(list);
	double least, most;

	sweep_range(c, &least, &most);
	cli_put_u64(o, "channels", c->channels);
	cli_put_u64(o, "header_slots", c->slots);
	cli_put_u64(o, "in_flight_bytes", (uint64_t)c->slots * XM_PACKET_SIZE);
	cli_put_str(o, "drain", sweep_drain_name(c->drain));
	cli_put_u64(o, "runs", c->n);
	cli_put_real(o, "gbit_per_s", m.gbit_per_s);
	cli_put_real(o, "least_gbit_per_s", least);
	cli_put_real(o, "most_gbit_per_s", most);
	cli_put_real(o, "waiting_percent", m.wait_share * 100);
	cli_put_real(o, "dry_percent", m.dry_share * 100);
	cli_put_u64(o, "flush_space", m.waits);
	cli_put_u64(o, "dry", m.dry);
	cli_put_u64(o, "locked_bytes", m.locked_bytes);
	cli_put_u64(o, "credit", m.credit);
}

static void sweep_put_flat(struct sweep *s, json_t *list, unsigned int c,
			   unsigned int d)
{
	const struct sweep_cell *cell = sweep_flat(&s->grid, c, d);
	json_t *o;

	if (!cell)
		return;
	o = cli_add_object(list);
	cli_put_u64(o, "channels", cell->channels);
	cli_put_str(o, "drain", sweep_drain_name(cell->drain));
	cli_put_u64(o, "flat_slots", cell->slots);
	cli_put_u64(o, "in_flight_bytes",
		    (uint64_t)cell->slots * XM_PACKET_SIZE);
	cli_put_real(o, "gbit_per_s", sweep_median(cell).gbit_per_s);
	cli_put_u64(o, "locked_bytes", sweep_median(cell).locked_bytes);
	cli_put_bool(o, "is_largest", sweep_is_edge(&s->grid, cell));
}

static void sweep_result(struct sweep *s)
{
	json_t *o = cli_result(s->cli), *list;
	unsigned int c, d, i;

	cli_put_str(o, "dev", s->dev);
	if (s->n_done) {
		cli_put_str(o, "engine", s->engine);
		cli_put_u64(o, "frame_bytes", (uint64_t)s->frame_bytes);
	}
	cli_put_u64(o, "seed", s->seed);
	cli_put_u64(o, "runs", s->n_done);
	cli_put_u64(o, "runs_failed", s->n_failed);
	list = cli_put_array(o, "per_curve");
	for (c = 0; c < s->grid.n_channels; c++)
		for (d = 0; d < s->grid.n_drains; d++)
			sweep_put_flat(s, list, c, d);
	list = cli_put_array(o, "per_cell");
	for (i = 0; i < sweep_n_cells(&s->grid); i++)
		if (s->grid.cell[i].n)
			sweep_put_cell(list, &s->grid.cell[i]);
}

/* Frames on the wire are limited, too: where those are less than a ring, they decide
 * in its place. */
static void sweep_hint_frames(struct sweep *s, unsigned int channels)
{
	const struct sweep_grid *g = &s->grid;
	const struct sweep_cell *c = sweep_flat(g, channels, 0);
	uint64_t frames, bytes;

	if (!c)
		return;
	frames = sweep_median(c).credit;
	if (frames > XM_WINDOW)
		frames = XM_WINDOW;
	bytes = frames * (uint64_t)s->frame_bytes;
	if (bytes >= (uint64_t)g->slots[g->n_slots - 1] * XM_PACKET_SIZE)
		return;
	cli_info(s->cli,
		 "%u channel%s: a channel has at most %.1f MiB on the wire, "
		 "however large its ring: %s",
		 c->channels, sweep_plural(c->channels),
		 (double)bytes / (1 << 20),
		 frames < XM_WINDOW ?
			 "the peer takes no more, see its --rx-memory" :
			 "more frames cannot be acknowledged");
}

/* A ring that holds all that its channel sends is never full: no drain of it was
 * measured. */
static void sweep_hint_memory(struct sweep *s, unsigned int channels)
{
	const struct sweep_grid *g = &s->grid;
	const struct sweep_cell *c;
	double share = s->memory_bytes / g->channels[channels];
	unsigned int d;

	for (d = 0; d < g->n_drains; d++) {
		c = sweep_flat(g, channels, d);
		if (!c || (double)c->slots * XM_PACKET_SIZE < share)
			continue;
		cli_info(
			s->cli,
			"%u channel%s: %u slots hold all that a channel sends, "
			"so they were never full (%s): take more memory "
			"(--size)",
			c->channels, sweep_plural(c->channels), c->slots,
			sweep_drain_name(c->drain));
		return;
	}
}

static void sweep_hint(struct sweep *s)
{
	for (unsigned int c = 0; s->n_done && c < s->grid.n_channels; c++) {
		sweep_hint_frames(s, c);
		sweep_hint_memory(s, c);
	}
}

static void sweep_write(struct sweep *s)
{
	const struct cli_sweep_opts *o = s->opts;
	char title[120], what[50], note[300];

	if (!s->n_done)
		return;
	if (o->title)
		snprintf(title, sizeof(title), "%s", o->title);
	else
		snprintf(title, sizeof(title), "Header ring: %.20s to %.70s",
			 s->dev, o->peer);
	snprintf(what, sizeof(what), "random memory of %.0f MiB",
		 (double)o->size / (1 << 20));
	snprintf(note, sizeof(note),
		 "%.100s, engine %s, frames of %.0f bytes, medians of %u, %u "
		 "runs",
		 o->x.ram ? o->x.ram : what, s->engine, s->frame_bytes,
		 s->grid.repeats, s->n_done);
	cli_make_printable(title); /* or a picture would be no XML */
	cli_make_printable(note);
	if (!s->cli->out.json)
		sweep_put_table(s->cli->out.out, &s->grid);
	sweep_files_put(&s->files, &s->grid, title, note);
}

int cmd_sweep(struct cli_ctx *cli, const void *opts)
{
	struct sweep *s = calloc(1, sizeof(*s));
	int r, r2;

	if (!s)
		return xm_fail(&cli->err, -ENOMEM, XM_REASON_MEMORY,
			       "out of memory");
	s->cli = cli;
	s->opts = opts;
	r = sweep_lists(s);
	if (!r)
		r = cli_signals_open(cli, &cli->err);
	if (!r)
		r = sweep_look(s);
	if (!r)
		r = sweep_files_open(&s->files, s->opts, sweep_err(s));
	if (!r)
		r = sweep_plan(s);
	if (!r) {
		r = sweep_loop(s);
		sweep_write(s);
		sweep_result(s);
		sweep_hint(s);
	}
	r2 = sweep_files_close(&s->files, sweep_err(s));
	if (!r)
		r = r2;
	sweep_grid_free(&s->grid);
	free(s->order);
	free(s);
	return r;
}
