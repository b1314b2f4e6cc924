// SPDX-License-Identifier: GPL-2.0-or-later
/* drop.c - names of the drop reasons
 *
 * A peer, a cable or a stranger can make any frame arrive.  None of that is
 * an error of this program: the frame is counted under the one reason that
 * was found first and forgotten, and the retransmission timers do the rest.
 * The names below are an interface: they stand in --json and in the list of
 * symptoms of docs/operations.md, so they are added to, never changed.
 *
 * The order in which reasons are looked for is the order of the layers:
 * bad_ip and runt (encap.c), then what the frame header says of itself
 * (frame.c), whether it is the peer's, and for the first time (seal.c), then what the session knows: cookie, channel, epoch, window,
 * address (rx.c, tx.c); bad_payload_crc comes last, since only placing the
 * payload shows it.
 */
#include "drop.h"

#include <stddef.h>

static const char *const drop_names[XM_DROP__COUNT] = {
	[XM_DROP_NONE] = "none",
	[XM_DROP_RUNT] = "runt",
	[XM_DROP_BAD_MAGIC] = "bad_magic",
	[XM_DROP_BAD_TYPE] = "bad_type",
	[XM_DROP_BAD_LENGTH] = "bad_length",
	[XM_DROP_BAD_SHAPE] = "bad_shape",
	[XM_DROP_BAD_TAG] = "bad_tag",
	[XM_DROP_BAD_PAYLOAD_CRC] = "bad_payload_crc",
	[XM_DROP_BAD_COOKIE] = "bad_cookie",
	[XM_DROP_BAD_CHANNEL] = "bad_channel",
	[XM_DROP_STALE_EPOCH] = "stale_epoch",
	[XM_DROP_BEYOND_WINDOW] = "beyond_window",
	[XM_DROP_DUPLICATE] = "duplicate",
	[XM_DROP_REPLAYED] = "replayed",
	[XM_DROP_BAD_ADDRESS] = "bad_address",
	[XM_DROP_BAD_PACKET] = "bad_packet",
	[XM_DROP_BAD_ACK] = "bad_ack",
	[XM_DROP_BAD_IP] = "bad_ip",
};

const char *xm_drop_name(enum xm_drop reason)
{
	if ((unsigned int)reason >= XM_DROP__COUNT || !drop_names[reason])
		return "unknown";
	return drop_names[reason];
}
