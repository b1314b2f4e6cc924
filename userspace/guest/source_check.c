// SPDX-License-Identifier: GPL-2.0-or-later
/* source_check.c - is the guest still ours to move?
 *
 * QEMU has other masters than us: another monitor, whose user may migrate the
 * guest, stop it, let it run or plug memory at any time, and another xdpmig at
 * such a monitor.  What would make two guests of one, or lose one, is looked
 * for before it matters:
 *
 *   opened, harvest   nobody else migrates it, or has: QEMU allows one at a
 *   pause             time, so from our "migrate" on that is settled
 *   pause             it runs, or is merely paused
 *   harvest           no device came that writes memory by itself; a disk that
 *                     did, and needs it, is drained (source_harvest.c)
 *   any time          a device that was unplugged had been looked at, so it did
 *                     not write meanwhile
 *   "migrate" taken   the same, and its RAM is what was opened: from here on QEMU
 *                     plugs nothing
 *   paused .. commit  RESUME: somebody let it run; RESET: its memory changed
 *   commit            it rests in postmigrate
 *
 * Two of us: the files of a QEMU's RAM are locked by the one that moves it, and
 * after its death by its guardian, until the guest is back.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "qemu_priv.h"
#include "source_qemu.h"

#define REST_MS 10000 /* from "completed" to "postmigrate" */

static int fail_locked(const struct source_qemu *y, struct xm_error *e)
{
	int r = guardian_check(y->q.pid, qmp_path(y->q.qmp), e);

	if (r)
		return r;
	return xm_fail(e, -EBUSY, XM_REASON_UNKNOWN_OUTCOME,
		       "%s: another xdpmig is moving this guest already, and "
		       "says where it runs; see 'xdpmig status'",
		       qmp_path(y->q.qmp));
}

int source_lock(const struct source_qemu *y, struct xm_error *e)
{
	int r = qemu_lock(&y->q, e);

	return r == -EBUSY ? fail_locked(y, e) : r;
}

int source_check_alone(struct source_qemu *y, char *ret_state,
		       struct xm_error *e)
{
	struct xm_error from = { 0 };
	int r = qemu_check_source(&y->q, ret_state, SOURCE_STATE_LEN, &from);

	news_post(&y->news, 0);
	return source_explain(y, r, &from, e);
}

int source_check_state(const struct source_qemu *y, const char *state,
		       struct xm_error *e)
{
	static const char *const good[] = { "running", "paused", "suspended",
					    "prelaunch" };
	unsigned int i;

	for (i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (!strcmp(state, good[i]))
			return 0;
	return xm_fail(e, -EBUSY, XM_REASON_MEMORY,
		       "%s: its guest is in state %s and stays; one that runs "
		       "or is paused can be moved",
		       qmp_path(y->q.qmp), state);
}

static bool is_same(const struct qemu_block *a, const struct qemu_block *b)
{
	return !strcmp(a->name, b->name) && a->len == b->len &&
	       a->hva == b->hva;
}

int source_check_ram(struct source_qemu *y, struct xm_error *e)
{
	struct qemu now = { .qmp = y->q.qmp, .pid = y->q.pid, .pidfd = -1 };
	struct xm_error from = { 0 };
	unsigned int i;
	int r = qemu_find_ram(&now, &from);

	news_post(&y->news, 0);
	if (r)
		return source_explain(y, r, &from, e);
	for (i = 0; i < now.n_blocks && i < y->q.n_blocks; i++)
		if (!is_same(&now.block[i], &y->q.block[i]))
			break;
	if (i == now.n_blocks && i == y->q.n_blocks)
		return 0;
	return xm_fail(e, -ESTALE, XM_REASON_MEMORY,
		       "%s: its guest's RAM is not what it was when the "
		       "migration began (memory was plugged or unplugged: %s); "
		       "migrate it again",
		       qmp_path(y->q.qmp),
		       i < now.n_blocks ? now.block[i].name :
					  y->q.block[i].name);
}

int source_check_devices(struct source_qemu *y, struct xm_error *e)
{
	struct xm_error from = { 0 };
	int r = qemu_check_devices(&y->q, &from);

	news_post(&y->news, 0);
	if (r)
		return source_explain(y, r, &from, e);
	y->s.has_drain = y->s.has_drain || y->q.has_direct_io;
	return 0;
}

int source_check_deleted(struct source_qemu *y, const json_t *event,
			 struct xm_error *e)
{
	static const char *const where[] = { "/machine/peripheral/",
					     "/machine/peripheral-anon/" };
	const char *path = json_string_value(
		json_object_get(json_object_get(event, "data"), "path"));
	unsigned int i;
	size_t len;

	for (i = 0; path && i < sizeof(where) / sizeof(*where); i++) {
		len = strlen(where[i]);
		/* Parts of a device go with it. */
		if (strncmp(path, where[i], len) || strchr(path + len, '/'))
			continue;
		if (!qemu_forget_device(&y->q, path))
			return xm_fail(e, -ESTALE, XM_REASON_MEMORY,
				       "%s: device %s was plugged and "
				       "unplugged while the guest was copied, "
				       "and may have written memory; migrate "
				       "it again",
				       qmp_path(y->q.qmp), path + len);
	}
	return 0;
}

int source_check_moved(struct source_qemu *y, struct xm_error *e)
{
	unsigned int left = REST_MS;
	char state[SOURCE_STATE_LEN];
	int r;

	for (;;) {
		r = source_run_state(y, state, e);
		if (r || !strcmp(state, "postmigrate"))
			return r;
		if (strcmp(state, "finish-migrate") || !left--)
			return xm_fail(e, -EBUSY, XM_REASON_MEMORY,
				       "%s: its guest is %s, not at rest after "
				       "the switchover; leave it alone until "
				       "it is over",
				       qmp_path(y->q.qmp), state);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}
