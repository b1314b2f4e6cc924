// SPDX-License-Identifier: GPL-2.0-or-later
/* arrive.c - what the destination sees of an arrival
 *
 * Whether frames come while they should, an event for each epoch that is here,
 * and the target's part of the downtime.  The hosts' clocks are not the same,
 * so each end measures what begins and ends with itself:
 *
 *   source                                destination
 *   paused, last harvest
 *   downtime_send_ms   -- EPOCH_BEGIN --> downtime_receive_ms
 *   downtime_ack_ms    <-- EPOCH_DONE ---
 *   (held_ms)
 *   downtime_verify_ms -- VERIFY -------> verify_hash_ms
 *                      <-- HASHES -------
 *   downtime_device_ms -- DEVICE ------->
 *                      -- DEVICE_END ---> downtime_load_ms
 *                      <-- LOADED -------
 *   downtime_commit_ms -- COMMIT -------> downtime_run_ms
 *                      <-- COMMITTED ----
 *
 * A time begins when the message above it has come, and ends before that below
 * it leaves: so each of the destination's lies within those of the source
 * beside it, and what they differ by is the way there and back, and QEMU's at
 * the source.
 *
 * Memory alone (--ram) is not started by anybody, and has no such times.
 */
#include "arrive.h"

#include <errno.h>

#include "clock.h"

void arrive_act(struct arrive *a, const struct xm_actions *act)
{
	if (act->flags & XM_ACT_OPEN_EPOCH) {
		a->at.begun = xm_clock();
		a->at.installed.ns = 0;
	}
	if (act->flags & XM_ACT_DEVICE_END)
		a->at.ended = xm_clock();
	if (act->flags & XM_ACT_TAKE_GUEST)
		a->at.committed = xm_clock();
}

void arrive_complete(struct arrive *a, const struct xm_msg_epoch *totals)
{
	unsigned int i;

	a->at.installed = xm_clock();
	a->pages = a->bytes = 0;
	for (i = 0; i < totals->n_channels; i++) {
		a->pages += totals->totals[i].pages_announced +
			    totals->totals[i].zero_pages;
		a->bytes += totals->totals[i].bytes_placed;
	}
}

void arrive_installed(struct arrive *a, const struct xm_dst *d,
		      struct cli_ctx *cli)
{
	int64_t ns = xm_time_sub(a->at.installed, a->at.begun);
	json_t *o = cli_event_new("epoch");

	a->epochs = d->epoch;
	if (d->is_final && !a->at.last_installed.ns) {
		a->at.last_begun = a->at.begun;
		a->at.last_installed = a->at.installed;
	}
	cli_put_u64(o, "epoch", d->epoch);
	cli_put_bool(o, "final", d->is_final);
	cli_put_u64(o, "pages", a->pages);
	cli_put_u64(o, "bytes_placed", a->bytes);
	cli_put_int(o, "ms", ns / XM_MS);
	cli_put_real(o, "gbit_per_s",
		     (double)a->bytes * 8 / (ns ? (double)ns : 1));
	cli_event_emit(cli, o);
}

/* The source's heartbeat alone is no progress. */
int arrive_check_stall(struct arrive *a, const struct xm_dst *d,
		       struct side *side, uint64_t stall_ns, struct xm_error *e)
{
	bool is_open = d->state == XM_DST_EPOCH;
	struct xm_time now = xm_clock();
	struct pump_report rep;
	uint64_t frames = 0;
	unsigned int i;

	for (i = 0; is_open && i < side->n_channels; i++) {
		pool_report(side->pool, i, &rep);
		frames += rep.rx.frames;
	}
	if (!is_open || frames != a->frames) {
		a->frames = frames;
		a->progress = now;
		return 0;
	}
	if ((uint64_t)xm_time_sub(now, a->progress) < stall_ns)
		return 0;
	return xm_fail(e, -ETIMEDOUT, XM_REASON_STALLED,
		       "%s: no frame of the source came for %.1f s", side->dev,
		       (double)stall_ns / XM_SEC);
}

void arrive_report(const struct arrive *a, const struct xm_dst *d, json_t *o)
{
	cli_put_u64(o, "epochs", a->epochs);
	if (!(d->agreed.features & XM_FEATURE_DEVICE))
		return;
	cli_put_ms(o, "downtime_receive_ms", a->at.last_begun,
		   a->at.last_installed);
	cli_put_ms(o, "downtime_load_ms", a->at.ended, a->at.loaded);
	cli_put_ms(o, "downtime_run_ms", a->at.committed, a->at.runs);
}
