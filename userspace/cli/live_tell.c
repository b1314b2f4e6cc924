// SPDX-License-Identifier: GPL-2.0-or-later
/* live_tell.c - what the user is told of a guest that is sent
 *
 * An event for each epoch, while it goes on, an answer for who asks, and the
 * figures in the end.  The parts of the downtime follow each other without a gap:
 *
 *   stopped - paused - harvested - sent - installed - let - handed - loaded - taken
 *         pause   harvest     send    ack        held  verify  device   commit
 *
 * and "verify" is none without --verify.
 */
#include "live.h"

#include <inttypes.h>

#include "clock.h"

const char *live_state_name(enum live_state state)
{
	static const char *const names[] = {
		[LIVE_START] = "setup",      [LIVE_COPY] = "copying",
		[LIVE_PAUSE] = "pausing",    [LIVE_LAST] = "paused",
		[LIVE_HELD] = "held",        [LIVE_VERIFY] = "verifying",
		[LIVE_REPAIR] = "repairing", [LIVE_DEVICE] = "device",
		[LIVE_COMMIT] = "commit",
	};

	return names[state];
}

/* The downtime, were it now; null when not known. */
static void put_expected(const struct live *l, json_t *o)
{
	if (l->converge.expected_ns == INT64_MAX)
		(void)json_object_set_new(o, "expected_downtime_ms",
					  json_null());
	else
		cli_put_int(o, "expected_downtime_ms",
			    l->converge.expected_ns / XM_MS);
}

void live_tell(const struct live *l)
{
	const struct live_epoch *x = &l->now;
	json_t *o = cli_event_new("epoch");
	double ns = x->ns ? (double)x->ns : 1;

	cli_put_u64(o, "epoch", x->epoch);
	cli_put_bool(o, "final", l->state >= LIVE_LAST);
	cli_put_u64(o, "pages", x->pages);
	cli_put_u64(o, "bytes_sent", x->bytes);
	cli_put_int(o, "ms", x->ns / XM_MS);
	cli_put_real(o, "gbit_per_s", (double)x->bytes * 8 / ns);
	cli_put_u64(o, "dirty_pages", x->dirty_pages);
	cli_put_real(o, "harvest_ms", (double)x->harvest_ns / XM_MS);
	cli_put_u64(o, "throttle_percent", x->throttle);
	put_expected(l, o);
	cli_event_emit(l->side->cli, o);
	if (!l->guest->is_live)
		return;
	cli_info(l->side->cli,
		 "epoch %u: %" PRIu64 " pages in %" PRId64
		 " ms (%.1f Gbit/s); %" PRIu64 " written meanwhile%s",
		 x->epoch, x->pages, (int64_t)(x->ns / XM_MS),
		 (double)x->bytes * 8 / ns, x->dirty_pages,
		 x->throttle ? ", guest slowed down" : "");
}

void live_report(const struct live *l, json_t *o)
{
	const struct live_times *at = &l->at;

	cli_put_u64(o, "epochs", l->epochs);
	verify_report(&l->verify, true, o);
	if (l->opts->verify)
		cli_put_ms(o, "downtime_verify_ms", at->let, at->handed);
	if (!l->guest || !l->guest->is_live)
		return;
	cli_put_ms(o, "downtime_ms", at->stopped, at->taken);
	cli_put_ms(o, "downtime_pause_ms", at->stopped, at->paused);
	cli_put_ms(o, "downtime_harvest_ms", at->paused, at->harvested);
	cli_put_ms(o, "downtime_send_ms", at->harvested, at->sent);
	cli_put_ms(o, "downtime_ack_ms", at->sent, at->installed);
	cli_put_ms(o, "held_ms", at->installed, at->let);
	cli_put_ms(o, "downtime_device_ms", at->handed, at->loaded);
	cli_put_ms(o, "downtime_commit_ms", at->loaded, at->taken);
	cli_put_u64(o, "device_bytes", l->device_bytes);
	cli_put_u64(o, "dirty_pages", l->dirty_pages);
	cli_put_u64(o, "dirty_pages_per_s", l->converge.dirty_per_s);
	cli_put_u64(o, "throttle_percent", l->converge.throttle);
	cli_put_real(o, "harvest_ms", (double)l->guest->harvest_ns / XM_MS);
	cli_put_real(o, "drain_ms", (double)l->guest->drain_ns / XM_MS);
}

json_t *live_status(const struct live *l)
{
	enum live_state state = l->state;
	json_t *o = json_object();

	/* The deadline may come in the middle of an epoch, which goes on. */
	if (state == LIVE_COPY && l->was_asked)
		state = LIVE_PAUSE;
	cli_put_str(o, "command", "send");
	cli_put_str(o, "peer", l->opts->peer);
	cli_put_str(o, "dev", l->side->dev);
	cli_put_str(o, "guest", l->guest->id.name);
	cli_put_u64(o, "channels", l->side->n_channels);
	cli_put_str(o, "state", live_state_name(state));
	cli_put_u64(o, "epoch", l->now.epoch);
	cli_put_u64(o, "pages", l->now.pages);
	cli_put_u64(o, "dirty_pages_per_s", l->converge.dirty_per_s);
	cli_put_u64(o, "throttle_percent", l->converge.throttle);
	put_expected(l, o);
	return o;
}
