// SPDX-License-Identifier: GPL-2.0-or-later
/* report.c - figures of a migration
 *
 * All of them come from the channels' own counters (pump_report); what is
 * printed for the whole is their sum.  Names carry units and do not change
 * within a schema; the man page lists them.
 */
#include "report.h"

#include <string.h>
#include <sys/resource.h>

#include "clock.h"

static void add_drops(struct xm_drops *sum, const struct xm_drops *d)
{
	unsigned int i;

	for (i = 0; i < XM_DROP__COUNT; i++)
		sum->n[i] += d->n[i];
}

static json_t *put_drops(json_t *o, const struct xm_drops *d)
{
	json_t *drops = cli_put_object(o, "drops");
	unsigned int i;

	for (i = 1; i < XM_DROP__COUNT; i++)
		cli_put_u64(drops, xm_drop_name((enum xm_drop)i), d->n[i]);
	return drops;
}

void report_start(struct side *s, const char *peer, const char *guest)
{
	json_t *o = cli_event_new("start");

	cli_put_str(o, "dev", s->dev);
	cli_put_str(o, "peer", peer);
	cli_put_u64(o, "channels", s->n_channels);
	cli_put_u64(o, "ram_bytes_total", xm_map_bytes(&s->ram.map));
	cli_put_str(o, "guest", guest);
	cli_event_emit(s->cli, o);
}

/* -- progress ---------------------------------------------------------------------------- */

void report_progress(struct side *s, struct report *r)
{
	struct xm_time now = xm_clock();
	struct cli_progress p = {
		.total = r->epoch_bytes ? r->epoch_bytes :
					  xm_map_bytes(&s->ram.map),
		.eta_ms = -1,
		.epoch = r->epoch,
	};
	struct pump_report rep;
	uint64_t bytes = 0;
	unsigned int i;
	int64_t dt;

	if (!s->pool || !r->sending.ns)
		return;
	for (i = 0; i < s->n_channels; i++) {
		pool_report(s->pool, i, &rep);
		p.done += (s->is_sender ? rep.pages_done :
					  rep.rx.pages + rep.rx.zero_pages) *
			  XM_PAGE_SIZE;
		p.losses += rep.tx.frames_resent;
		bytes += s->is_sender ? rep.tx.bytes_sent : rep.rx.bytes_placed;
	}
	dt = xm_time_sub(now, r->seen.ns ? r->seen : r->sending);
	if (dt < 200 * XM_MS)
		return;
	p.gbit_per_s = (double)(bytes - r->seen_bytes) * 8 / (double)dt;
	r->seen = now;
	r->seen_bytes = bytes;
	dt = xm_time_sub(now, r->epoch_begun);
	if (p.done > p.total)
		p.done = p.total; /* the receiver's: of several epochs */
	if (p.done)
		p.eta_ms = (int64_t)((double)(p.total - p.done) * (double)dt /
				     (double)p.done / XM_MS);
	cli_progress(s->cli, &p);
}

void report_status(struct side *s, const struct report *r, json_t *o)
{
	struct pump_report rep;
	uint64_t bytes = 0, resent = 0;
	unsigned int i;

	for (i = 0; s->pool && i < s->n_channels; i++) {
		pool_report(s->pool, i, &rep);
		bytes += s->is_sender ?
				 rep.tx.bytes_sent - rep.tx.bytes_resent :
				 rep.rx.bytes_placed;
		resent += rep.tx.frames_resent;
	}
	cli_put_int(o, "total_ms", xm_time_sub(xm_clock(), r->begun) / XM_MS);
	cli_put_u64(o, "ram_bytes_total", xm_map_bytes(&s->ram.map));
	cli_put_u64(o, s->is_sender ? "ram_bytes_sent" : "ram_bytes_placed",
		    bytes);
	if (s->is_sender)
		cli_put_u64(o, "frames_resent", resent);
}

/* -- result ------------------------------------------------------------------------------- */

struct totals {
	struct xm_tx_stats tx;
	struct xm_rx_stats rx;
	struct xm_drops drops;
	struct xsk_stats xsk;
	uint64_t locked, syscalls, left_out;
	uint64_t rx_copied; /* bytes of payload, by us and by the kernel */
};

static void add_channel(struct totals *t, const struct pump_report *r)
{
	t->tx.frames_sent += r->tx.frames_sent;
	t->tx.frames_resent += r->tx.frames_resent;
	t->tx.frames_staged += r->tx.frames_staged;
	t->tx.bytes_sent += r->tx.bytes_sent;
	t->tx.bytes_resent += r->tx.bytes_resent;
	t->tx.bytes_copied += r->tx.bytes_copied;
	t->tx.packets += r->tx.packets;
	t->tx.pages += r->tx.pages;
	t->tx.zero_pages += r->tx.zero_pages;
	t->tx.flush_space += r->tx.flush_space;
	t->tx.flush_barrier += r->tx.flush_barrier;
	t->tx.space_ns += r->tx.space_ns;
	t->tx.dry += r->tx.dry;
	t->tx.dry_ns += r->tx.dry_ns;
	t->tx.timeouts += r->tx.timeouts;
	t->tx.probes += r->tx.probes;
	t->tx.spurious += r->tx.spurious;
	t->rx.frames += r->rx.frames;
	t->rx.packets += r->rx.packets;
	t->rx.bytes_placed += r->rx.bytes_placed;
	t->rx.pages += r->rx.pages;
	t->rx.zero_pages += r->rx.zero_pages;
	t->rx.zero_holes += r->rx.zero_holes;
	t->rx.acks_sent += r->rx.acks_sent;
	add_drops(&t->drops, &r->drops);
	add_drops(&t->drops, &r->tx.drops);
	add_drops(&t->drops, &r->rx.drops);
	t->locked += r->locked;
	t->left_out += r->left_out;
	t->syscalls += r->xsk.syscalls + r->polls;
	t->rx_copied += r->rx.bytes_placed * (r->is_zero_copy ? 1 : 2);
	t->xsk.rx_oversize += r->xsk.rx_oversize;
	t->xsk.rx_dropped += r->xsk.rx_dropped;
	t->xsk.rx_ring_full += r->xsk.rx_ring_full;
	t->xsk.rx_invalid_descs += r->xsk.rx_invalid_descs;
	t->xsk.rx_fill_ring_empty_descs += r->xsk.rx_fill_ring_empty_descs;
	t->xsk.tx_invalid_descs += r->xsk.tx_invalid_descs;
	t->xsk.tx_ring_empty_descs += r->xsk.tx_ring_empty_descs;
}

/* What waiting for space cost.  Of all channels it is the sum: they wait at the
 * same time. */
static void put_drain(json_t *o, const struct xm_tx_stats *t)
{
	cli_put_real(o, "flush_space_ms", (double)t->space_ns / XM_MS);
	cli_put_u64(o, "dry", t->dry);
	cli_put_real(o, "dry_ms", (double)t->dry_ns / XM_MS);
}

static void put_channel(json_t *list, const struct side *s, unsigned int i,
			const struct pump_report *r)
{
	json_t *o = cli_add_object(list);

	cli_put_u64(o, "channel", i);
	cli_put_u64(o, "queue", s->first_queue + i);
	if (s->is_sender) {
		cli_put_u64(o, "pages", r->tx.pages);
		cli_put_u64(o, "zero_pages", r->tx.zero_pages);
		cli_put_u64(o, "frames_sent", r->tx.frames_sent);
		cli_put_u64(o, "frames_resent", r->tx.frames_resent);
		cli_put_u64(o, "flush_space", r->tx.flush_space);
		put_drain(o, &r->tx);
		cli_put_u64(o, "cwnd_frames", r->tx.cwnd_frames);
		cli_put_u64(o, "srtt_us", (uint64_t)(r->tx.srtt_ns / XM_US));
		cli_put_u64(o, "kicks", r->xsk.kicks);
		cli_put_u64(o, "kicks_again", r->xsk.kicks_again);
		cli_put_u64(o, "kicks_dropped", r->xsk.kicks_dropped);
	} else {
		cli_put_u64(o, "pages", r->rx.pages);
		cli_put_u64(o, "zero_pages", r->rx.zero_pages);
		cli_put_u64(o, "frames", r->rx.frames);
		cli_put_u64(o, "acks_sent", r->rx.acks_sent);
		cli_put_u64(o, "credit", r->credit);
		cli_put_u64(o, "rx_fill_ring_empty_descs",
			    r->xsk.rx_fill_ring_empty_descs);
		cli_put_u64(o, "rx_ring_full", r->xsk.rx_ring_full);
		cli_put_u64(o, "rx_dropped", r->xsk.rx_dropped);
	}
}

static int64_t timeval_ms(struct timeval t)
{
	return (int64_t)t.tv_sec * 1000 + t.tv_usec / 1000;
}

static void put_cpu(json_t *o)
{
	struct rusage u = { 0 };

	(void)getrusage(RUSAGE_SELF, &u);
	cli_put_int(o, "cpu_user_ms", timeval_ms(u.ru_utime));
	cli_put_int(o, "cpu_ms",
		    timeval_ms(u.ru_utime) + timeval_ms(u.ru_stime));
}

static void put_sender(json_t *o, const struct totals *t)
{
	cli_put_u64(o, "ram_bytes_sent", t->tx.bytes_sent - t->tx.bytes_resent);
	cli_put_u64(o, "ram_bytes_resent", t->tx.bytes_resent);
	cli_put_u64(o, "pages", t->tx.pages);
	cli_put_u64(o, "zero_pages", t->tx.zero_pages);
	cli_put_u64(o, "packets", t->tx.packets);
	cli_put_u64(o, "frames_sent", t->tx.frames_sent);
	cli_put_u64(o, "frames_resent", t->tx.frames_resent);
	cli_put_u64(o, "frames_staged", t->tx.frames_staged);
	cli_put_u64(o, "tail_probes", t->tx.probes);
	cli_put_u64(o, "timeouts", t->tx.timeouts);
	cli_put_u64(o, "spurious", t->tx.spurious);
	cli_put_u64(o, "bytes_copied", t->tx.bytes_copied);
	cli_put_u64(o, "flush_space", t->tx.flush_space);
	cli_put_u64(o, "flush_barrier", t->tx.flush_barrier);
	put_drain(o, &t->tx);
}

static void put_receiver(json_t *o, const struct totals *t)
{
	cli_put_u64(o, "ram_bytes_placed", t->rx.bytes_placed);
	cli_put_u64(o, "pages", t->rx.pages);
	cli_put_u64(o, "zero_pages", t->rx.zero_pages);
	cli_put_u64(o, "zero_holes", t->rx.zero_holes);
	cli_put_u64(o, "packets", t->rx.packets);
	cli_put_u64(o, "frames", t->rx.frames);
	cli_put_u64(o, "acks_sent", t->rx.acks_sent);
	cli_put_u64(o, "bytes_copied", t->rx_copied);
}

/* What the kernel counted, at both sides: each sends and receives. */
static void put_kernel(json_t *o, const struct xsk_stats *x)
{
	cli_put_u64(o, "rx_dropped", x->rx_dropped);
	cli_put_u64(o, "rx_ring_full", x->rx_ring_full);
	cli_put_u64(o, "rx_fill_ring_empty_descs", x->rx_fill_ring_empty_descs);
	cli_put_u64(o, "rx_invalid_descs", x->rx_invalid_descs);
	cli_put_u64(o, "tx_invalid_descs", x->tx_invalid_descs);
	cli_put_u64(o, "tx_ring_empty_descs", x->tx_ring_empty_descs);
}

void report_result(struct side *s, const struct report *r)
{
	json_t *o = cli_result(s->cli), *list, *drops;
	struct pump_report rep = { 0 };
	struct totals t = { 0 };
	struct xm_time now = xm_clock();
	uint64_t bytes;
	int64_t ns = 0;
	unsigned int i;

	cli_put_str(o, "dev", s->dev);
	cli_put_str(o, "trust", trust_name(&s->trust, &s->opts->trust));
	cli_put_bool(o, "encrypted", s->agreed.features & XM_FEATURE_ENCRYPT);
	cli_put_int(o, "total_ms", xm_time_sub(now, r->begun) / XM_MS);
	if (r->sending.ns) {
		ns = xm_time_sub(r->finished.ns ? r->finished : now,
				 r->sending);
		cli_put_int(o, "setup_ms",
			    xm_time_sub(r->sending, r->begun) / XM_MS);
		cli_put_int(o, "transfer_ms", ns / XM_MS);
	}
	cli_put_u64(o, "ram_bytes_total", xm_map_bytes(&s->ram.map));
	if (!s->pool)
		return;
	cli_put_u64(o, "channels", s->n_channels);
	cli_put_u64(o, "threads", pool_threads(s->pool));
	cli_put_u64(o, "frame_bytes", s->frame_max);
	list = cli_put_array(o, "per_channel");
	for (i = 0; i < s->n_channels; i++) {
		pool_report(s->pool, i, &rep);
		add_channel(&t, &rep);
		put_channel(list, s, i, &rep);
	}
	cli_put_str(o, "engine", xsk_engine_name(rep.engine));
	cli_put_bool(o, "zero_copy", rep.is_zero_copy);
	if (s->is_sender) {
		cli_put_str(o, "drain", cli_drain_names[s->drain]);
		cli_put_u64(o, "header_slots", s->plan.opts.n_slots);
		cli_put_u64(o, "credit", s->agreed.credit);
		put_sender(o, &t);
	} else {
		put_receiver(o, &t);
	}
	bytes = s->is_sender ? t.tx.bytes_sent - t.tx.bytes_resent :
			       t.rx.bytes_placed;
	if (ns)
		cli_put_real(o, "gbit_per_s", (double)bytes * 8 / (double)ns);
	cli_put_u64(o, "locked_bytes", t.locked);
	cli_put_u64(o, "unmapped_bytes", t.left_out);
	cli_put_u64(o, "syscalls", t.syscalls);
	put_cpu(o);
	put_kernel(o, &t.xsk);
	cli_put_u64(o, "wrong_queue", side_wrong_queue(s));
	drops = put_drops(o, &t.drops);
	cli_put_u64(drops, "rx_oversize", t.xsk.rx_oversize);
}

/* -- plan ----------------------------------------------------------------------------------- */

void report_plan(struct side *s, uint64_t bandwidth)
{
	json_t *o = cli_result(s->cli);
	const struct xsk_chan_opts *c = &s->plan.opts;

	cli_put_str(o, "status", "planned");
	cli_put_str(o, "dev", s->dev);
	cli_put_str(o, "driver", s->caps.driver);
	cli_put_str(o, "xdp_mode", steer_mode_name(s->steer.info.mode));
	cli_put_str(o, "engine", xsk_engine_name(c->engine));
	cli_put_bool(o, "zero_copy", c->force_zero_copy);
	cli_put_u64(o, "channels", s->n_channels);
	cli_put_u64(o, "first_queue", s->first_queue);
	cli_put_u64(o, "mtu_bytes", s->plan.ip_max);
	cli_put_u64(o, "tx_ring_descs", c->tx_ring);
	cli_put_u64(o, "rx_ring_descs", c->rx_ring);
	if (s->is_sender)
		cli_put_u64(o, "header_slots", c->n_slots);
	cli_put_u64(o, "rx_buffer_bytes",
		    (uint64_t)c->rx_chunks * XM_PAGE_SIZE * s->n_channels);
	cli_put_u64(o, "locked_bytes", s->plan.locked * s->n_channels);
	if (s->is_sender) {
		cli_put_u64(o, "ram_bytes_total", xm_map_bytes(&s->ram.map));
		cli_put_u64(o, "ram_bytes_populated", s->populated);
	}
	if (bandwidth)
		cli_put_u64(o, "estimated_ms",
			    (uint64_t)((double)s->populated * 8 * 1000 /
				       (double)bandwidth));
}
