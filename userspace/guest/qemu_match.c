// SPDX-License-Identifier: GPL-2.0-or-later
/* qemu_match.c - was this QEMU started for the guest that is to come?
 *
 * QEMU compares little of what must be equal, and late: so UUID, machine type
 * and the RAM blocks are compared here before a byte of memory is written.  Two
 * UUIDs that are not set are equal, as for QEMU's validate-uuid.  The blocks'
 * order may differ; the memory map has the source's.
 */
#include "qemu.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int refuse(const struct qemu *q, const char *what, const char *here,
		  const char *there, struct xm_error *e)
{
	return xm_fail(e, -EINVAL, XM_REASON_REFUSED,
		       "%s: %s: the source has %s, this QEMU %s; start it like "
		       "the source's",
		       qmp_path(q->qmp), what, there, here);
}

static void uuid_text(char *dst, size_t len, const uint8_t uuid[16])
{
	unsigned int i;

	*dst = 0;
	for (i = 0; i < 16; i++)
		snprintf(dst + strlen(dst), len - strlen(dst), "%s%02x",
			 i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			 uuid[i]);
}

static int check_identity(const struct qemu *q,
			  const struct guest_identity *want, struct xm_error *e)
{
	char here[40], there[40];

	if (!want->has_device)
		return xm_fail(e, -EINVAL, XM_REASON_REFUSED,
			       "%s: the source has memory only and no devices; "
			       "receive it with --ram",
			       qmp_path(q->qmp));
	if (memcmp(want->uuid, q->id.uuid, sizeof(want->uuid))) {
		uuid_text(here, sizeof(here), q->id.uuid);
		uuid_text(there, sizeof(there), want->uuid);
		return refuse(q, "UUID", here, there, e);
	}
	if (strcmp(want->machine, q->id.machine))
		return refuse(q, "machine type", q->id.machine, want->machine,
			      e);
	if (want->n_blocks != q->n_blocks) {
		snprintf(here, sizeof(here), "%u", q->n_blocks);
		snprintf(there, sizeof(there), "%u", want->n_blocks);
		return refuse(q, "number of RAM blocks", here, there, e);
	}
	return 0;
}

/* Bring the source's block @i to that place here. */
static int match_block(struct qemu *q, const struct guest_identity *want,
		       unsigned int i, struct xm_error *e)
{
	struct qemu_block *b = q->block, swap;
	char what[XM_BLOCK_NAME + 32], here[32], there[32];
	unsigned int n;

	for (n = i; n < q->n_blocks; n++)
		if (!strcmp(b[n].name, want->block[i].name))
			break;
	if (n == q->n_blocks)
		return refuse(q, "RAM blocks", "not", want->block[i].name, e);
	swap = b[i];
	b[i] = b[n];
	b[n] = swap;
	snprintf(what, sizeof(what), "RAM block %.100s", b[i].name);
	if (b[i].len != want->block[i].len) {
		snprintf(here, sizeof(here), "%llu bytes",
			 (unsigned long long)b[i].len);
		snprintf(there, sizeof(there), "%llu bytes",
			 (unsigned long long)want->block[i].len);
		return refuse(q, what, here, there, e);
	}
	if (want->block[i].page_size &&
	    b[i].page_size != want->block[i].page_size) {
		snprintf(here, sizeof(here), "pages of %zu KiB",
			 b[i].page_size >> 10);
		snprintf(there, sizeof(there), "pages of %u KiB",
			 want->block[i].page_size >> 10);
		return refuse(q, what, here, there, e);
	}
	return 0;
}

int qemu_match(struct qemu *q, const struct guest_identity *want,
	       struct xm_error *e)
{
	unsigned int i;
	int r = check_identity(q, want, e);

	for (i = 0; !r && i < want->n_blocks; i++)
		r = match_block(q, want, i, e);
	return r;
}
