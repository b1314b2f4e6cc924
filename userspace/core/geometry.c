// SPDX-License-Identifier: GPL-2.0-or-later
/* geometry.c - the largest frames a path can carry
 *
 * The fewer frames a page takes, the fewer system calls, interrupts and
 * headers it costs; and IP fragments are out of the question, since an XDP
 * program sees only the first of them as UDP.  So the frame follows the path
 * MTU.  A DATA frame is
 *
 *   IP (20 or 40) | UDP (8) | frame header (48) | n x 8 | tag (16) | n x payload
 *
 * which gives, from the IP header on and over IPv4 (20 more over IPv6):
 *
 *   pages of a frame   payload   frame     first usual MTU
 *   15                   61440   61652     65535
 *   2                     8192    8300      9000
 *   1                     4096    4196      4200 (IPv6: 4216)
 *   1/2                   2048    2148      2150 (IPv6: 2168)
 *   1/3              1376/1344    1476      1500
 *
 * Whole pages are taken as soon as one fits.  Below that a page is cut in the
 * least number of equal slices that fit, rounded up to XM_SLICE_ALIGN so that
 * every slice starts on a cache half-line; the last slice of a page is what
 * is left of it.  Three slices fit XM_MTU_MIN, so there are never more.
 *
 * Frames of the other types fit wherever DATA does not decide: a HEADER is
 * 1436 bytes, an ACK at most 1252.
 */
#include "geometry.h"

#include <errno.h>

#include "xdpmig/wire.h"

#include "multifd.h"

#define UDP_LEN 8

/* Bytes of a DATA frame without its payload. */
static unsigned int geometry_overhead(unsigned int ip_len, unsigned int n_segs)
{
	return ip_len + UDP_LEN + XM_WIRE_HEADER_MIN +
	       n_segs * (unsigned int)sizeof(struct xm_wire_seg);
}

static void geometry_set_slices(struct xm_geometry *geo, unsigned int room)
{
	unsigned int n = 1, slice;

	do {
		n++;
		slice = (XM_PAGE_SIZE + n - 1) / n;
		slice = (slice + XM_SLICE_ALIGN - 1) & ~(XM_SLICE_ALIGN - 1u);
	} while (slice > room);
	geo->pages = 0;
	geo->slices = (uint16_t)n;
	geo->slice = (uint16_t)slice;
}

int xm_geometry_fit(struct xm_geometry *ret_geo, unsigned int ip_max,
		    unsigned int ip_len, unsigned int max_pages)
{
	const unsigned int per_page = XM_PAGE_SIZE + sizeof(struct xm_wire_seg);
	unsigned int n;

	if (ip_max < XM_MTU_MIN)
		return -EMSGSIZE;
	n = (ip_max - geometry_overhead(ip_len, 0)) / per_page;
	if (!n) {
		geometry_set_slices(ret_geo,
				    ip_max - geometry_overhead(ip_len, 1));
		return 0;
	}
	if (!max_pages)
		max_pages = 1;
	if (max_pages > XM_FRAME_SEGS)
		max_pages = XM_FRAME_SEGS;
	ret_geo->pages = (uint16_t)(n < max_pages ? n : max_pages);
	ret_geo->slices = 1;
	ret_geo->slice = XM_PAGE_SIZE;
	return 0;
}

unsigned int xm_geometry_ip_len(const struct xm_geometry *geo,
				unsigned int ip_len)
{
	unsigned int header = geometry_overhead(ip_len, 0) + XM_MULTIFD_LEN;
	unsigned int data =
		geometry_overhead(ip_len, geo->pages ? geo->pages : 1) +
		xm_geometry_payload(geo);

	return data > header ? data : header;
}
