// SPDX-License-Identifier: GPL-2.0-or-later
/* live.c - what the source decides between epochs
 *
 * The session machine (core/src.c) stops after each epoch and asks what comes
 * next; here is the answer, and what is done to the guest for it:
 *
 *   START   nothing was sent       the log begins anew, all pages are sent
 *   COPY    the guest runs         harvest, and core/converge.c decides:
 *                                  another epoch, the pause, or giving up
 *   PAUSE   it is stopping         its own time; the log still runs
 *   LAST    it is paused           the last harvest, and the final epoch
 *   HELD    all memory is there    the user may want to do something now
 *   VERIFY  it is hashed, twice    with --verify: here and there, and compared
 *   REPAIR  what differs goes out  one more final epoch; then VERIFY again
 *   DEVICE  device state goes out  through the control connection
 *   COMMIT  it was handed over     no way back from here
 *
 * A guest that does not run (--ram) goes from START to PAUSE at once, and its
 * first epoch is the final one.
 *
 * Which pages an epoch sends is one bitmap a block.  Between epochs it is this
 * thread's: cleared when the epoch before is installed, then filled by the
 * harvest, complete before a page of it is posted (protocol.md 5.3).  A page
 * that is harvested has memory behind it now, whatever the scan at the
 * beginning saw.
 *
 * The log begins before memory is scanned for holes, and what was written until
 * epoch 1 begins is thrown away: epoch 1 sends every page as it is then.
 */
#include "live.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

/* Of a switchover, besides sending pages: QEMU's device state, out and in, and
 * two round trips.  Measured at 20 to 80 ms on small guests. */
#define LIVE_OVERHEAD (60 * XM_MS)

/* Within --max-downtime, for less of it. */
#define LIVE_MORE_EPOCHS 4

/* -- opening ------------------------------------------------------------------------ */

int live_check_opts(const struct cli_send_opts *o, struct xm_error *e)
{
	int n = !!o->x.ram + !!o->x.qmp + !!o->synthetic;

	if (n == 1)
		return 0;
	return xm_fail(e, -EINVAL, XM_REASON_USAGE,
		       n ? "one guest at a time: --qmp, --ram or --synthetic" :
			   "which guest? --qmp SOCKET for a running QEMU, "
			   "--ram FILE for memory that does not change");
}

static int live_open_guest(struct live *l, struct xm_error *e)
{
	const struct cli_send_opts *o = l->opts;
	struct guest_synth synth;
	int r;

	if (o->x.qmp)
		return guest_source_qemu(&l->guest, o->x.qmp, e);
	if (o->x.ram)
		return guest_source_file(&l->guest, o->x.ram, o->block, e);
	r = guest_synth_parse(&synth, o->synthetic, e);
	return r ? r : guest_source_synth(&l->guest, &synth, e);
}

int live_open(struct live *l, struct side *side,
	      const struct cli_send_opts *opts, struct xm_error *e)
{
	int r;

	l->side = side;
	l->opts = opts;
	r = live_open_guest(l, e);
	return r ? r : guest_source_map(l->guest, &side->ram, e);
}

static int live_make_bitmaps(struct live *l, struct xm_error *e)
{
	const struct xm_map *map = &l->side->ram.map;
	unsigned int i;
	uint64_t words;

	for (i = 0; i < map->n_blocks; i++) {
		words = (map->block[i].len >> XM_PAGE_SHIFT) / 64 + 1;
		l->dirty[i] = calloc(words, sizeof(uint64_t));
		if (!l->dirty[i])
			return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
				       "no memory for a bitmap of %" PRIu64
				       " bytes",
				       words * 8);
	}
	return 0;
}

int live_track(struct live *l, struct xm_error *e)
{
	int r;

	if (!l->guest->is_live)
		return 0;
	r = live_make_bitmaps(l, e);
	if (!r)
		r = guest_source_track(l->guest, e);
	l->is_tracked = !r;
	return r;
}

/* -- harvests ------------------------------------------------------------------------- */

static uint64_t *const *live_populated(struct live *l)
{
	return l->side->pages.populated;
}

/* Pages in the bitmaps; what is there has memory behind it. */
static uint64_t live_count(struct live *l)
{
	const struct xm_map *map = &l->side->ram.map;
	uint64_t n = 0, words, k;
	unsigned int i;

	for (i = 0; i < map->n_blocks; i++) {
		words = (map->block[i].len >> XM_PAGE_SHIFT) / 64 + 1;
		for (k = 0; k < words; k++) {
			n += (uint64_t)__builtin_popcountll(l->dirty[i][k]);
			live_populated(l)[i][k] |= l->dirty[i][k];
		}
	}
	return n;
}

static void live_forget(struct live *l)
{
	const struct xm_map *map = &l->side->ram.map;
	unsigned int i;

	for (i = 0; i < map->n_blocks && l->is_tracked; i++)
		memset(l->dirty[i], 0,
		       ((map->block[i].len >> XM_PAGE_SHIFT) / 64 + 1) * 8);
}

/* Add what was written since to the bitmaps, and count them. */
static int live_harvest(struct live *l, uint64_t *ret_pages, struct xm_error *e)
{
	struct xm_time begun = xm_clock();
	uint64_t reported;
	int r;

	*ret_pages = 0;
	if (!l->is_tracked)
		return 0;
	r = guest_source_harvest(l->guest, l->dirty, &reported, e);
	if (r)
		return r;
	*ret_pages = live_count(l);
	l->now.harvest_ns = xm_time_sub(xm_clock(), begun);
	return 0;
}

/* -- epochs ----------------------------------------------------------------------------- */

static uint64_t live_bytes_sent(const struct live *l)
{
	struct pump_report rep;
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < l->side->n_channels; i++) {
		pool_report(l->side->pool, i, &rep);
		bytes += rep.tx.bytes_sent - rep.tx.bytes_resent;
	}
	return bytes;
}

void live_epoch_begun(struct live *l, uint32_t epoch)
{
	l->now.epoch = epoch;
	l->now.throttle = l->converge.throttle;
	l->epoch_begun = xm_clock();
	l->bytes_before = live_bytes_sent(l);
}

void live_epoch_sent(struct live *l)
{
	if (l->state == LIVE_LAST)
		l->at.sent = xm_clock();
}

void live_epoch_installed(struct live *l)
{
	struct xm_time now = xm_clock();

	l->epochs++;
	l->now.ns = xm_time_sub(now, l->epoch_begun);
	l->now.bytes = live_bytes_sent(l) - l->bytes_before;
	if (l->state == LIVE_LAST)
		l->at.installed = now;
	if (l->state >= LIVE_LAST) {
		l->now.dirty_pages = 0;
		live_tell(l);
	}
	live_forget(l);
}

/* -- decisions ------------------------------------------------------------------------------ */

/* Ask the guest to pause; an epoch under way goes on to its end. */
static int live_ask(struct live *l, struct xm_error *e)
{
	if (l->was_asked)
		return 0;
	l->was_asked = true;
	l->at.pause = xm_clock();
	return guest_source_pause(l->guest, e);
}

/* It is paused and no epoch is open: the last harvest. */
static int live_last(struct live *l, enum live_next *next, struct xm_error *e)
{
	uint64_t dirty;
	int r = live_harvest(l, &dirty, e);

	if (r)
		return r;
	if (l->is_tracked)
		l->now.pages = dirty;
	l->at.harvested = xm_clock();
	l->state = LIVE_LAST;
	*next = LIVE_FINAL;
	return 0;
}

static int live_pause(struct live *l, enum live_next *next, struct xm_error *e)
{
	int r = live_ask(l, e);

	if (r)
		return r;
	l->state = LIVE_PAUSE;
	return l->is_paused ? live_last(l, next, e) : 0;
}

static int live_give_up(struct live *l, struct xm_error *e)
{
	return xm_fail(e, -ETIMEDOUT, XM_REASON_NOT_CONVERGED,
		       "the guest writes %" PRIu64 " pages a second, and did "
		       "not converge in %.1f s: raise --timeout, "
		       "--max-downtime or --bandwidth, or say --converge stop",
		       l->converge.dirty_per_s,
		       (double)l->opts->deadline_ns / XM_SEC);
}

static int live_open_verify(struct live *l, struct xm_error *e)
{
	int r;

	if (!l->opts->verify)
		return 0;
	r = l->is_tracked ? 0 : live_make_bitmaps(l, e);
	return r ? r :
		   verify_open(&l->verify, &l->side->ram, l->side->n_channels,
			       l->side->caps.numa_node, e);
}

static int live_start(struct live *l, enum live_next *next, struct xm_error *e)
{
	struct xm_converge_opts opts = {
		.how = (enum xm_converge_how)l->opts->converge,
		.max_downtime_ns = (int64_t)l->opts->max_downtime_ns,
		.deadline_ns = (int64_t)l->opts->deadline_ns,
		.more_epochs = LIVE_MORE_EPOCHS,
	};
	uint64_t early;
	int r = live_open_verify(l, e);

	if (r)
		return r;
	l->now.pages = xm_map_pages(&l->side->ram.map);
	if (!l->guest->is_live)
		return live_pause(l, next, e);
	if (l->guest->id.has_device)
		opts.overhead_ns = LIVE_OVERHEAD < opts.max_downtime_ns / 2 ?
					   LIVE_OVERHEAD :
					   opts.max_downtime_ns / 2;
	xm_converge_begin(&l->converge, &opts, xm_clock());
	r = live_harvest(l, &early, e);
	if (r)
		return r;
	live_forget(l); /* epoch 1 sends all pages as they are then */
	l->state = LIVE_COPY;
	*next = LIVE_EPOCH;
	return 0;
}

static int live_copied(struct live *l, enum live_next *next, struct xm_error *e)
{
	unsigned int throttle = l->converge.throttle;
	enum xm_converge_verdict verdict;
	int64_t drained = l->guest->drain_ns;
	uint64_t dirty;
	int r = live_harvest(l, &dirty, e);

	if (r)
		return r;
	l->converge.drain_ns = l->guest->drain_ns - drained;
	l->now.dirty_pages = dirty;
	l->dirty_pages += dirty;
	verdict = xm_converge_step(&l->converge, xm_clock(), l->now.pages,
				   l->now.bytes, l->now.ns, dirty);
	live_tell(l);
	if (verdict == XM_CONVERGE_GIVE_UP)
		return live_give_up(l, e);
	/* Pages of the bitmaps from here on, not all. */
	memcpy(l->side->pages.todo, l->dirty, sizeof(l->dirty));
	l->now.pages = dirty;
	if (verdict == XM_CONVERGE_SWITCH || l->was_asked)
		return live_pause(l, next, e);
	*next = LIVE_EPOCH;
	if (l->converge.throttle == throttle)
		return 0;
	cli_info(l->side->cli, "the guest is slowed down by %u %%",
		 l->converge.throttle);
	return guest_source_throttle(l->guest, l->converge.throttle, e);
}

/* The conductor calls back, when it is written down. */
static int live_offer(struct live *l, enum live_next *next)
{
	l->at.loaded = xm_clock();
	*next = LIVE_HAND_OVER;
	return 0;
}

int live_commit(struct live *l, struct xm_error *e)
{
	int r = guest_source_commit(l->guest, e);

	if (!r)
		l->state = LIVE_COMMIT;
	return r;
}

static int live_hand_over(struct live *l, enum live_next *next,
			  struct xm_error *e)
{
	l->at.handed = xm_clock();
	if (!l->guest->id.has_device)
		return live_offer(l, next);
	l->state = LIVE_DEVICE;
	return guest_source_hand_over(l->guest, e);
}

static int live_verify(struct live *l, enum live_next *next)
{
	l->state = LIVE_VERIFY;
	*next = LIVE_COMPARE;
	return 0;
}

static int live_go_on(struct live *l, enum live_next *next, struct xm_error *e)
{
	l->at.let = xm_clock();
	return l->opts->verify ? live_verify(l, next) :
				 live_hand_over(l, next, e);
}

bool live_compare(struct live *l)
{
	struct verify *v = &l->verify;
	uint32_t n = verify_compare(v, l->dirty, live_populated(l));
	json_t *o = cli_event_new("verify");
	char where[XM_BLOCK_NAME + 32];

	cli_put_u64(o, "round", v->n_rounds);
	cli_put_u64(o, "stripes_differed", n);
	cli_event_emit(l->side->cli, o);
	if (n)
		cli_warn(l->side->cli,
			 "memory at the target differs in %u of %u pieces of "
			 "%llu MiB, the first of them %s",
			 n, l->side->ram.map.n_stripes,
			 (1ull << l->side->ram.map.stripe_shift) >> 20,
			 verify_where(v, where, sizeof(where)));
	return !n;
}

/* What was compared may be sent again; who is asked twice has ended it. */
static int live_verified(struct live *l, enum live_next *next,
			 struct xm_error *e)
{
	if (!l->verify.n_differ)
		return live_hand_over(l, next, e);
	memcpy(l->side->pages.todo, l->dirty, sizeof(l->dirty));
	l->now.pages = l->verify.n_pages;
	l->state = LIVE_REPAIR;
	*next = LIVE_FINAL;
	return 0;
}

int live_decide(struct live *l, enum live_next *next, struct xm_error *e)
{
	*next = LIVE_WAIT;
	switch (l->state) {
	case LIVE_START:
		return live_start(l, next, e);
	case LIVE_COPY:
		return live_copied(l, next, e);
	case LIVE_LAST:
		if (!l->opts->hold || l->may_go_on)
			return live_go_on(l, next, e);
		l->state = LIVE_HELD;
		cli_info(l->side->cli, "all memory is at the target and the "
				       "guest is paused; waiting for 'xdpmig "
				       "continue'");
		return 0;
	case LIVE_VERIFY:
		return live_verified(l, next, e);
	case LIVE_REPAIR:
		return live_verify(l, next);
	case LIVE_DEVICE:
		return live_offer(l, next);
	case LIVE_PAUSE:
	case LIVE_HELD:
	case LIVE_COMMIT:
		break;
	}
	return xm_fail(e, -EINVAL, XM_REASON_INTERNAL,
		       "nothing to decide in state %s",
		       live_state_name(l->state));
}

/* The deadline may come in the middle of an epoch. */
static int live_look_at_clock(struct live *l, struct xm_error *e)
{
	switch (xm_converge_expire(&l->converge, xm_clock())) {
	case XM_CONVERGE_EPOCH:
		break;
	case XM_CONVERGE_SWITCH:
		return live_ask(l, e);
	case XM_CONVERGE_GIVE_UP:
		return live_give_up(l, e);
	}
	return 0;
}

int live_turn(struct live *l, enum live_next *next, struct xm_error *e)
{
	unsigned int news = 0;
	int r = guest_source_turn(l->guest, &news, e);

	*next = LIVE_WAIT;
	if (r)
		return r;
	if (news & GUEST_PAUSED && !l->is_paused) {
		l->is_paused = true;
		l->at.paused = l->at.stopped = xm_clock();
		if (l->guest->stopped_ns)
			l->at.stopped.ns = l->guest->stopped_ns;
		if (l->state == LIVE_PAUSE)
			return live_last(l, next, e);
	}
	if (l->state == LIVE_COPY && !l->was_asked)
		return live_look_at_clock(l, e);
	if (news & GUEST_DEVICE_END && l->state == LIVE_DEVICE)
		*next = LIVE_END;
	return 0;
}

int live_continue(struct live *l, enum live_next *next, struct xm_error *e)
{
	*next = LIVE_WAIT;
	if (!l->opts->hold || l->may_go_on)
		return xm_fail(e, -EINVAL, XM_REASON_USAGE,
			       "this migration does not wait for 'continue'");
	l->may_go_on = true;
	return l->state == LIVE_HELD ? live_go_on(l, next, e) : 0;
}

/* -- device state ------------------------------------------------------------------------------ */

static bool live_has_device(const struct live *l)
{
	return l->guest->id.has_device && l->was_asked &&
	       l->state < LIVE_COMMIT;
}

ssize_t live_read_device(struct live *l, uint64_t room, struct xm_error *e)
{
	size_t len = room < sizeof(l->device) ? (size_t)room :
						sizeof(l->device);
	ssize_t n;

	if (!live_has_device(l) || !len)
		return 0;
	n = guest_source_read_device(l->guest, l->device, len, e);
	if (n == -EAGAIN)
		return 0;
	if (n > 0)
		l->device_bytes += (uint64_t)n;
	return n;
}

unsigned int live_fds(struct live *l, uint64_t device_room, struct pollfd *fds)
{
	l->guest->is_choked = !device_room;
	return guest_source_fds(l->guest, fds);
}

/* -- ends ------------------------------------------------------------------------------------------ */

int live_finish(struct live *l, enum xm_home home, struct xm_error *e)
{
	if (!l->guest)
		return 0;
	if (home == XM_HOME_SOURCE)
		return guest_source_resume(l->guest, e);
	if (home == XM_HOME_TARGET)
		l->at.taken = xm_clock();
	guest_source_done(l->guest); /* unknown: it must not run here either */
	return 0;
}

void live_close(struct live *l)
{
	unsigned int i;

	verify_close(&l->verify);
	l->guest = guest_source_close(l->guest);
	for (i = 0; i < XM_BLOCK_MAX; i++) {
		free(l->dirty[i]);
		l->dirty[i] = NULL;
		if (l->side)
			l->side->pages.todo[i] = NULL;
	}
}
