// SPDX-License-Identifier: GPL-2.0-or-later
/* take.c - the destination's guest and what comes for it
 *
 * Device state is a stream from QEMU to QEMU that goes through the control
 * connection.  What has come and is not yet handed on waits in a ring of
 * XM_DEVICE_WINDOW bytes; the source sends no more than fits
 * (docs/protocol.md 6.5), so a guest that is slow to load does not keep the
 * connection's other messages waiting.
 *
 *   source --DEVICE--> [ring] --write--> QEMU
 *          <-DEVICE_ACK: handed on
 */
#include "take.h"

#include <errno.h>
#include <string.h>

int take_check_opts(const struct cli_xfer_opts *o, struct xm_error *e)
{
	if (!o->qmp != !o->ram)
		return 0;
	return xm_fail(e, -EINVAL, XM_REASON_USAGE,
		       o->qmp ? "one guest at a time: --qmp or --ram" :
				"into which guest? --qmp SOCKET for a QEMU "
				"that waits with -incoming defer, --ram FILE "
				"for memory alone");
}

int take_open(struct take *t, const struct cli_xfer_opts *o, struct xm_error *e)
{
	return o->qmp ? guest_target_qemu(&t->guest, o->qmp, e) :
			guest_target_file(&t->guest, o->ram, e);
}

static void take_identity(const struct xm_msg_hello *h,
			  struct guest_identity *id)
{
	unsigned int i;

	memset(id, 0, sizeof(*id));
	id->has_device = h->features & XM_FEATURE_DEVICE;
	memcpy(id->uuid, h->uuid, sizeof(id->uuid));
	memcpy(id->machine, h->machine, sizeof(id->machine));
	memcpy(id->name, h->name, sizeof(id->name));
	id->n_blocks = h->n_blocks;
	for (i = 0; i < h->n_blocks; i++) {
		memcpy(id->block[i].name, h->block[i].name, XM_BLOCK_NAME);
		id->block[i].len = h->block[i].len;
		id->block[i].page_size = h->block[i].page_size;
	}
}

int take_make(struct take *t, const struct xm_msg_hello *h,
	      struct guest_ram *ram, struct xm_error *e)
{
	struct guest_identity want;
	int r;

	take_identity(h, &want);
	r = guest_target_make(t->guest, &want, ram, e);
	return r ? r : guest_target_begin(t->guest, e);
}

void take_device(struct take *t, const struct xm_msg_device *d)
{
	size_t at = t->came % sizeof(t->ring), part = sizeof(t->ring) - at;

	if (part > d->len)
		part = d->len;
	memcpy(t->ring + at, d->data, part);
	memcpy(t->ring, d->data + part, d->len - part);
	t->came += d->len;
}

int take_give(struct take *t, bool is_all, struct xm_error *e)
{
	size_t at, len;
	ssize_t n = 0;

	while (t->taken < t->came) {
		at = t->taken % sizeof(t->ring);
		len = sizeof(t->ring) - at;
		if (len > t->came - t->taken)
			len = t->came - t->taken;
		n = guest_target_write_device(t->guest, t->ring + at, len, e);
		if (n < 0)
			break;
		t->taken += (uint64_t)n;
	}
	t->guest->has_backlog = t->taken < t->came;
	if (n < 0 && n != -EAGAIN)
		return (int)n;
	if (!is_all || t->has_ended || t->guest->has_backlog)
		return 0;
	t->has_ended = true;
	return guest_target_end_device(t->guest, e);
}

bool take_ack_is_due(struct take *t, uint64_t *ret_bytes)
{
	/* when all is handed on, or half the window: not for every byte */
	if (t->taken == t->acked ||
	    (t->taken < t->came && t->taken - t->acked < XM_DEVICE_WINDOW / 2))
		return false;
	*ret_bytes = t->acked = t->taken;
	return true;
}

void take_close(struct take *t)
{
	t->guest = guest_target_close(t->guest);
}

int take_record(struct run *run, const struct xm_msg_hello *h, const char *home,
		struct xm_error *e)
{
	json_t *o;

	if (!(h->features & XM_FEATURE_DEVICE))
		return 0;
	o = json_object();
	cli_put_str(o, "command", "recv");
	cli_put_str(o, "guest", h->name);
	run_put_session(o, h->session);
	cli_put_str(o, "guest_runs_at", home);
	return run_record(run, o, e);
}
