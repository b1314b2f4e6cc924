// SPDX-License-Identifier: GPL-2.0-or-later
/* pump_rx.c - the destination's part of a turn: acknowledgements
 *
 * Frames were placed while they were received (pump.c), and their chunks are
 * back in the fill ring before the ACK that covers them is written: what it
 * promises in credit is there.
 */
#include "pump.h"

int pump_rx_turn(struct pump *p, struct xm_time now, struct xm_error *e)
{
	size_t prefix = xm_encap_len(&p->path), len;
	struct xsk_buf buf;
	int r;

	if (p->state != PUMP_RECV)
		return 0;
	p->is_stuck = !xsk_tx_get(p->chan, true, &buf);
	if (p->is_stuck)
		return 0;
	len = xm_rx_fill(p->rx, now, buf.data + prefix);
	if (!len) {
		xsk_tx_unget(p->chan, &buf);
		return 0;
	}
	r = pump_put_whole(p, &buf, len, p->path.sport, e);
	return r ? r : 1;
}
