/* SPDX-License-Identifier: GPL-2.0-or-later */
/* geometry.h - how a packet's pages are cut into frames
 *
 * The geometry follows from the largest frame that both ends can carry, and
 * is agreed once at setup.  Either a frame takes 1 to 15 whole pages, or a
 * page takes several frames (slices).  Never both: every DATA frame of a
 * packet but the last has the same shape, so that frame k of a packet is
 * computed, not stored.
 */
#ifndef XM_CORE_GEOMETRY_H
#define XM_CORE_GEOMETRY_H

#include <stdint.h>

#include "xdpmig/limits.h"

struct xm_geometry {
	uint16_t pages;  /* whole pages in a DATA frame; 0 = slices */
	uint16_t slices; /* frames a page is cut into; 1 when pages > 0 */
	uint16_t slice;  /* bytes of a slice but the last; XM_PAGE_SIZE when
			  * pages > 0 */
};

/* The largest geometry whose frames are at most @ip_max bytes from the IP
 * header on, with an IP header of @ip_len bytes (20 or 40) and at most
 * @max_pages pages a frame (descriptors less one, at most XM_FRAME_SEGS).
 * @max_pages 0 means 1 descriptor a frame is all there is, and is treated as
 * 1: the caller's @ip_max already says how much fits.
 * Returns 0, or -EMSGSIZE when @ip_max is below XM_MTU_MIN. */
int xm_geometry_fit(struct xm_geometry *ret_geo, unsigned int ip_max,
		    unsigned int ip_len, unsigned int max_pages);

/* DATA frames that @n_pages pages take. */
static inline unsigned int xm_geometry_frames(const struct xm_geometry *geo,
					      unsigned int n_pages)
{
	return geo->pages ? (n_pages + geo->pages - 1) / geo->pages :
			    n_pages * geo->slices;
}

/* Payload bytes of the largest DATA frame. */
static inline unsigned int xm_geometry_payload(const struct xm_geometry *geo)
{
	return geo->pages ? geo->pages * XM_PAGE_SIZE : geo->slice;
}

/* Bytes of the largest frame of any type, from the IP header on. */
unsigned int xm_geometry_ip_len(const struct xm_geometry *geo,
				unsigned int ip_len);

#endif
