// SPDX-License-Identifier: GPL-2.0-or-later
/* source_harvest.c - all that a running QEMU's guest wrote
 *
 * What the dirty log cannot see.  The kernel writes what it reads from a disk
 * with cache.direct=on straight into guest memory: a page is logged when such a
 * read begins, and what lands after a harvest is missed.  "stop" returns when
 * no I/O is under way, so a guest with such a disk is stopped for each harvest,
 * and for the beginning of the log.
 *
 * Disks come while we copy: plugged, put into a drive, or opened anew with
 * other options.  So they are looked at again after each harvest, before any
 * page of it is sent:
 *
 *   none is direct       then none was while the log was read: who takes one
 *                        away waits for its reads first
 *   one is, and was not  a read may be under way.  The guest is drained and
 *                        harvested once more, into the same bitmaps; what was
 *                        missed has landed by then, in pages not sent yet
 *   one is, and was      it was drained
 *
 * After the beginning of the log the same: all pages are sent later.  From
 * QEMU's "migrate" on, the guest cannot be drained (QEMU would take it for one
 * that shall not run), and a disk that comes then ends the migration; so does,
 * at any time, a device that writes memory by itself.  The last harvest needs
 * no look: QEMU has drained all there is, and nothing can come.
 */
#include "source_qemu.h"

#include <stdlib.h>
#include <string.h>

#include "util/now.h"

static struct source_qemu *to_qemu(struct guest_source *s)
{
	return (struct source_qemu *)s;
}

/* Stop the guest, if it runs, so that no I/O is under way. */
static int drain(struct source_qemu *y, struct xm_error *e)
{
	struct xm_error slow = { 0 };
	char state[SOURCE_STATE_LEN];
	int r;

	r = source_run_state(y, state, e);
	if (r || strcmp(state, "running"))
		return r;
	r = source_arm(y, true, e);
	if (r)
		return r;
	y->is_drained = true; /* even if it fails: it may still happen */
	r = source_tell(y, "stop", NULL, &slow);
	/* A slow disk: QEMU answers nothing until it is drained.  Wait as long
	 * again. */
	if (r == -ETIMEDOUT) {
		memset(&slow, 0, sizeof(slow));
		r = source_run_state(y, state, &slow);
		if (!r && !strcmp(state, "running"))
			r = xm_fail(e, -ETIMEDOUT, XM_REASON_MEMORY,
				    "%s: the guest does not stop",
				    qmp_path(y->q.qmp));
	}
	return r ? xm_fail(e, r, slow.reason, "%s", slow.msg) : 0;
}

/* Do @act while the guest is stopped, if that is needed for it. */
static int drained(struct source_qemu *y, bool must_stop,
		   int (*act)(struct source_qemu *y, void *arg,
			      struct xm_error *e),
		   void *arg, struct xm_error *e)
{
	int64_t begun = now_ns();
	int r = 0, r2;

	if (must_stop && !y->is_migrating)
		r = drain(y, e);
	if (!r)
		r = act(y, arg, e);
	if (!y->is_drained)
		return r;
	r2 = source_undrain(y, e);
	y->s.drain_ns += now_ns() - begun;
	return r ? r : r2;
}

static int act_open_log(struct source_qemu *y, void *arg, struct xm_error *e)
{
	struct dirtylog_range range[XM_BLOCK_MAX];
	unsigned int i;

	(void)arg; /* none */
	for (i = 0; i < y->q.n_blocks; i++)
		range[i] = (struct dirtylog_range){
			.addr = y->q.block[i].hva,
			.len = y->q.block[i].len,
			.page_size = y->q.block[i].page_size,
		};
	return dirtylog_open(&y->log, y->q.pid, y->q.pidfd, range,
			     y->q.n_blocks, e);
}

static int act_nothing(struct source_qemu *y, void *arg, struct xm_error *e)
{
	(void)y;
	(void)arg;
	(void)e;
	return 0;
}

int source_track(struct guest_source *s, struct xm_error *e)
{
	struct source_qemu *y = to_qemu(s);
	bool was_drained = s->has_drain;
	int r = drained(y, was_drained, act_open_log, NULL, e);

	if (r)
		return r;
	if (dirtylog_needs_stop(y->log))
		s->has_drain = true;
	r = source_check_devices(y, e);
	if (r || was_drained || !y->q.has_direct_io)
		return r;
	return drained(y, true, act_nothing, NULL, e);
}

struct harvest {
	uint64_t *const *dirty;
	uint64_t pages;
};

static int act_harvest(struct source_qemu *y, void *arg, struct xm_error *e)
{
	struct harvest *h = arg;
	uint64_t pages = 0;
	int r = dirtylog_harvest(y->log, h->dirty, &pages, e);

	h->pages += pages;
	return r;
}

/* The guest runs. */
static int harvest_running(struct source_qemu *y, struct harvest *h,
			   struct xm_error *e)
{
	bool was_drained = y->s.has_drain;
	int r = drained(y, was_drained, act_harvest, h, e);

	if (!r)
		r = source_check_devices(y, e);
	if (r || was_drained || !y->s.has_drain)
		return r;
	if (y->is_migrating)
		return xm_fail(e, -ESTALE, XM_REASON_MEMORY,
			       "%s: a disk with cache.direct=on was plugged or "
			       "opened while the guest switched over; migrate "
			       "it again",
			       qmp_path(y->q.qmp));
	return drained(y, true, act_harvest, h, e);
}

int source_harvest(struct guest_source *s, uint64_t *const *dirty,
		   uint64_t *ret_pages, struct xm_error *e)
{
	struct source_qemu *y = to_qemu(s);
	struct harvest h = { .dirty = dirty };
	char state[SOURCE_STATE_LEN];
	int r = 0;

	/* QEMU is about to stop the guest; if it finds it stopped by us, it
	 * takes it for one that shall not run.  The log forgets nothing. */
	if (s->has_drain && y->is_migrating && !y->is_paused)
		return 0;
	if (!y->is_migrating)
		r = source_check_alone(y, state, e);
	if (!r)
		r = y->is_paused ? act_harvest(y, &h, e) :
				   harvest_running(y, &h, e);
	*ret_pages = h.pages;
	return r;
}
