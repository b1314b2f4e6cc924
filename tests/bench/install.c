// SPDX-License-Identifier: GPL-2.0-or-later
/* install.c - pages into guest memory, and no protocol around it
 *
 *   source        is the page zero? (xm_zero_is)     destination
 *                 sum it (xm_crc32c)                 parse, check (xm_encap_get,
 *                 header, sealed (xm_frame_put,      xm_frame_get, bounds)
 *                 xm_frame_sum, xm_encap_put)       copy and sum in one pass
 *                                                    (xm_crc32c_place), compare
 *
 * The same functions in the same order as the pump and the core's receiver,
 * so that what xdpmig has on top is protocol: packet headers, sequence numbers,
 * acknowledgements, credits, windows, pacing, timers and the barrier.
 *
 * Guest memory is faulted in before, as xdpmig does during setup.
 */
#include "install.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "core/crc32c.h"
#include "core/zero.h"

static int populate(const struct guest_ram *ram, int advice)
{
	const struct xm_block *b = &ram->map.block[0];

	return madvise(b->hva, b->len, advice) ? -errno : 0;
}

int install_warm(const struct guest_ram *ram)
{
	return populate(ram, MADV_POPULATE_READ);
}

int install_open(struct guest_ram *ram, const char *path, struct xm_error *e)
{
	struct stat st;
	int r;

	if (stat(path, &st))
		return xm_fail(e, -errno, XM_REASON_MEMORY, "%s: %s", path,
			       strerror(errno));
	r = guest_ram_create(ram, path, "ram0", (uint64_t)st.st_size, e);
	if (r)
		return r;
	r = populate(ram, MADV_POPULATE_WRITE);
	if (r)
		return xm_fail(e, r, XM_REASON_MEMORY, "%s: populate: %s", path,
			       strerror(-r));
	return 0;
}

size_t install_put(void *dst, const struct xm_path *path,
		   const struct xm_frame *f, const struct xm_map *map,
		   struct xm_error *e)
{
	size_t prefix = xm_encap_len(path), hdr_len;
	uint8_t *hdr = (uint8_t *)dst + prefix;
	const uint8_t *page;
	uint32_t crc = 0;
	unsigned int i;

	hdr_len = xm_frame_put(hdr, f);
	for (i = 0; i < f->n_segs; i++) {
		page = map->block[f->block].hva + f->seg[i];
		if (xm_zero_is(page, XM_PAGE_SIZE)) {
			xm_fail(e, -EINVAL, XM_REASON_MEMORY,
				"a page of zeros; fill it with something else");
			return 0;
		}
		crc = xm_crc32c(crc, page, f->seg_len);
	}
	xm_frame_sum(hdr, crc);
	(void)xm_encap_put(dst, path, hdr_len + f->len);
	return prefix + hdr_len;
}

/* Where the copy reads: in piece @i, behind @at bytes of it. */
struct reader {
	const struct xsk_frame *x;
	unsigned int i;
	size_t at;
};

static uint32_t place_page(struct reader *r, uint32_t crc, uint8_t *to,
			   size_t len)
{
	const uint8_t *from;
	size_t part;

	while (len && r->i < r->x->n_pieces) {
		from = r->x->piece[r->i].base;
		part = r->x->piece[r->i].len - r->at;
		if (part > len)
			part = len;
		crc = xm_crc32c_place(crc, to, from + r->at, part);
		to += part;
		len -= part;
		r->at += part;
		if (r->at == r->x->piece[r->i].len) {
			r->i++;
			r->at = 0;
		}
	}
	return crc;
}

enum xm_drop install_take(const struct xsk_frame *x, const struct xm_map *map,
			  uint64_t cookie, unsigned int channel,
			  uint32_t *ret_len)
{
	const uint8_t *first = x->piece[0].base;
	struct reader reader = { .x = x };
	struct xm_encap enc;
	enum xm_drop reason;
	struct xm_frame f;
	uint32_t crc = 0;
	size_t hdr_len;
	unsigned int i;

	reason = xm_encap_get(&enc, first, x->piece[0].len, x->len);
	if (!reason)
		reason = xm_frame_get(&f, &hdr_len, first + enc.payload,
				      x->piece[0].len - enc.payload, enc.len);
	if (reason)
		return reason;
	if (f.cookie != cookie || f.channel != channel)
		return XM_DROP_BAD_COOKIE;
	if (f.type != XM_WIRE_DATA)
		return XM_DROP_BAD_TYPE;
	for (i = 0; i < f.n_segs; i++)
		if (!xm_map_has(map, f.block, f.seg[i], f.seg_len))
			return XM_DROP_BAD_ADDRESS;
	reader.at = enc.payload + hdr_len;
	for (i = 0; i < f.n_segs; i++)
		crc = place_page(&reader, crc,
				 map->block[f.block].hva + f.seg[i], f.seg_len);
	if (crc != f.payload_crc)
		return XM_DROP_BAD_PAYLOAD_CRC;
	*ret_len = f.len;
	return XM_DROP_NONE;
}
