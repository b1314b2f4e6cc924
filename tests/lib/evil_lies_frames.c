// SPDX-License-Identifier: GPL-2.0-or-later
/* evil_lies_frames.c - what a source can lie about in its frames */
#include "evil.h"

#include <string.h>

#include "core/be.h"

/* -- frames ----------------------------------------------------------------------------- */

/* Pages are announced, and never come. */
static void send_headers(struct evil *ev)
{
	evil_send_header(ev, 0, 0, 0, 0, XM_PACKET_PAGES, 0);
	evil_rest(ev);
}

/* A page of the memory map that no packet announced, in place of one that was. */
static void send_unannounced(struct evil *ev)
{
	uint32_t n = ev->chan[0].n_frames;

	evil_send_pages(ev);
	ev->chan[0].totals.frames++;
	ev->chan[0].totals.bytes_placed += XM_PAGE_SIZE;
	ev->chan[0].n_frames = n;
	evil_send_data(ev, 0, n - 1, 0, 17 * XM_PAGE_SIZE);
	(void)evil_say_epoch(ev, XM_MSG_EPOCH_END, 1, true);
	evil_rest(ev);
}

/* SYNC comes first, and a second one behind the last frame. */
static void send_sync_first(struct evil *ev)
{
	evil_send_header(ev, 0, ev->chan[0].n_frames, 9, 0, 0, 0);
	evil_send_header(ev, 0, 3, 1, 0, 0, 0);
	evil_send_header(ev, 0, 0, 0, 0, 0, 0);
}

static void send_after_sync(struct evil *ev)
{
	uint32_t i, n = ev->chan[0].n_frames;

	for (i = 0; i < 100; i++)
		evil_send_data(ev, 0, n + i * 1000, 100 + i, 0);
}

/* The same pages twice, in epoch 1, and others not at all. */
static void send_twice(struct evil *ev)
{
	uint32_t i;

	for (i = 0; i < 8; i++) {
		evil_send_header(ev, 0, 2 * i, i, 0, 1, XM_PACKET_PAGES - 1);
		evil_send_data(ev, 0, 2 * i + 1, i, 0);
	}
	evil_send_pages(ev);
}

static void flood_duplicates(struct evil *ev)
{
	evil_told(ev);
	for (;;) {
		evil_send_data(ev, 0, 1, 0, 0);
		evil_tick(ev);
		(void)evil_hear_any(ev);
	}
}

static void flood_garbage(struct evil *ev)
{
	uint8_t frame[1400];
	unsigned int i;

	for (i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7);
	xm_be16_put(frame, XM_WIRE_MAGIC);
	frame[2] = XM_WIRE_VERSION;
	frame[3] = XM_WIRE_DATA;
	frame[4] = 0;
	frame[6] = 1;
	xm_be64_put(frame + 8, ev->welcome.cookie[0]);
	evil_told(ev);
	for (;;) {
		evil_net_put(ev, 0, frame, sizeof(frame),
			     ev->chan[0].probe.my_port);
		evil_tick(ev);
		(void)evil_hear_any(ev);
	}
}

static void count_last(struct evil *ev)
{
	ev->chan[0].seal.count = XM_FRAME_COUNT_MAX;
}

static void count_next(struct evil *ev)
{
	ev->chan[0].seal.count = 2ull << XM_REKEY_SHIFT;
}

/* Its keys are there: it is the next generation. */
static void count_generation(struct evil *ev)
{
	ev->chan[0].seal.count = 1ull << XM_REKEY_SHIFT;
}

/* -- the table ---------------------------------------------------------------------------- */

#define BYTES(name, at, offset, size, value, result, says, sentence)      \
	{                                                                 \
		name, EVIL_SOURCE, at, offset, size, value, NULL, result, \
			says, sentence, 0                                 \
	}
#define MOMENT(name, at, tell, result, says, sentence)                        \
	{                                                                     \
		name, EVIL_SOURCE, at, 0, 0, 0, tell, result, says, sentence, \
			0                                                     \
	}
#define STRIPES(name, at, offset, size, value, result, says, sentence)    \
	{                                                                 \
		name, EVIL_SOURCE, at, offset, size, value, NULL, result, \
			says, sentence, 2                                 \
	}

#define OFF_MAP  "does not fit the memory map"
#define NOT_ALL  "did not announce every page"
#define NOT_SAME "what was installed is not what was sent"

const struct evil_lie evil_frame_lies[] = {
	/* DATA */
	BYTES("data-block-1", AT_DATA_HEAD, 7, 1, 1, "protocol", OFF_MAP,
	      "a page of another block"),
	BYTES("data-block-255", AT_DATA_HEAD, 7, 1, 255, "protocol", OFF_MAP,
	      "a page of the last block there cannot be"),
	BYTES("data-behind", AT_DATA_HEAD, 48, 8, EVIL_RAM, "protocol", OFF_MAP,
	      "the page behind the block"),
	BYTES("data-before", AT_DATA_HEAD, 48, 8, -(uint64_t)XM_PAGE_SIZE,
	      "protocol", OFF_MAP, "the page before the block"),
	BYTES("data-far", AT_DATA_HEAD, 48, 8, 1ull << 47, "protocol", OFF_MAP,
	      "a page far behind the block"),
	STRIPES("data-stripe", AT_DATA_HEAD, 48, 8, EVIL_RAM / 2, "protocol",
		OFF_MAP, "a page of another channel's"),
	BYTES("data-unaligned", AT_DATA_HEAD, 48, 8, 1, "integrity", NOT_SAME,
	      "bytes of two pages"),
	BYTES("data-segments-0", AT_DATA_HEAD, 6, 1, 0, "integrity", NOT_SAME,
	      "no segment"),
	BYTES("data-segments-2", AT_DATA_HEAD, 6, 1, 2, "integrity", NOT_SAME,
	      "a segment that is not there"),
	BYTES("data-segments-16", AT_DATA_HEAD, 6, 1, 16, "integrity", NOT_SAME,
	      "more segments than there may be"),
	BYTES("data-segment-0", AT_DATA_HEAD, 30, 2, 0, "integrity", NOT_SAME,
	      "a segment of no bytes"),
	BYTES("data-segment-4095", AT_DATA_HEAD, 30, 2, 4095, "integrity",
	      NOT_SAME, "a segment less than the payload"),
	BYTES("data-segment-max", AT_DATA_HEAD, 30, 2, 65535, "integrity",
	      NOT_SAME, "a segment beyond the payload"),
	BYTES("data-len-0", AT_DATA_HEAD, 32, 2, 0, "integrity", NOT_SAME,
	      "a payload of no bytes"),
	BYTES("data-len-max", AT_DATA_HEAD, 32, 2, 65535, "integrity", NOT_SAME,
	      "a payload beyond the frame"),
	BYTES("data-page-128", AT_DATA_HEAD, 28, 2, 128, "integrity", NOT_SAME,
	      "a page behind the packet's last"),
	BYTES("data-epoch-0", AT_DATA_HEAD, 16, 4, 0, "integrity", NOT_SAME,
	      "of no epoch"),
	BYTES("data-epoch-2", AT_DATA_HEAD, 16, 4, 2, "integrity", NOT_SAME,
	      "of an epoch to come"),
	BYTES("data-window", AT_DATA_HEAD, 20, 4, XM_WINDOW + 1, "integrity",
	      NOT_SAME, "a number beyond the window"),
	BYTES("data-number-max", AT_DATA_HEAD, 20, 4, UINT32_MAX, "integrity",
	      NOT_SAME, "the last number there can be"),
	BYTES("data-cookie", AT_DATA_HEAD, 8, 8, 1, "integrity", NOT_SAME,
	      "another session's cookie"),
	BYTES("data-channel", AT_DATA_HEAD, 4, 1, 63, "integrity", NOT_SAME,
	      "another channel's frame"),
	BYTES("data-sum", AT_DATA_HEAD, 40, 0, 0, "integrity", NOT_SAME,
	      "a payload that is not what its sum says"),
	MOMENT("data-unannounced", WHEN_OPEN, send_unannounced, "integrity",
	       NOT_SAME, "a page that no packet announced"),
	MOMENT("data-after-sync", WHEN_SENT, send_after_sync, "completed", "",
	       "frames behind SYNC: of no effect"),
	/* HEADER */
	BYTES("packet-magic", AT_HEADER, 0, 4, 0, "protocol", OFF_MAP,
	      "no packet of QEMU's"),
	BYTES("packet-version", AT_HEADER, 4, 4, 2, "protocol", OFF_MAP,
	      "another version of QEMU's packets"),
	BYTES("packet-compressed", AT_HEADER, 8, 4, 2, "protocol", OFF_MAP,
	      "pages that are compressed"),
	BYTES("packet-flags", AT_HEADER, 8, 4, 0x80000000, "protocol", OFF_MAP,
	      "flags that nobody knows"),
	BYTES("packet-sync", AT_HEADER, 8, 4, 1, "protocol", OFF_MAP,
	      "SYNC with pages"),
	BYTES("packet-room-129", AT_HEADER, 12, 4, 129, "protocol", OFF_MAP,
	      "room for more pages than there may be"),
	BYTES("packet-pages-129", AT_HEADER, 16, 4, 129, "protocol", OFF_MAP,
	      "more pages than there may be"),
	BYTES("packet-pages-max", AT_HEADER, 16, 4, UINT32_MAX, "protocol",
	      OFF_MAP, "2^32 - 1 pages: with the zero pages, 126"),
	BYTES("packet-zeros-128", AT_HEADER, 32, 4, 128, "protocol", OFF_MAP,
	      "more zero pages than there is room for"),
	BYTES("packet-zeros-max", AT_HEADER, 32, 4, UINT32_MAX, "protocol",
	      OFF_MAP, "2^32 - 1 zero pages: with the normal one, none"),
	BYTES("packet-size", AT_HEADER, 20, 4, UINT32_MAX, "completed", "",
	      "a size of the packet that is of no use to anybody"),
	BYTES("packet-number", AT_HEADER, 24, 8, UINT64_MAX, "completed", "",
	      "a number of the packet that is of no use to anybody"),
	BYTES("packet-block", AT_HEADER, 64, 1, 'X', "protocol", OFF_MAP,
	      "pages of another block"),
	BYTES("packet-nameless", AT_HEADER, 64, 1, 0, "protocol", OFF_MAP,
	      "pages of a block without a name"),
	BYTES("packet-behind", AT_HEADER, 320, 8, EVIL_RAM, "protocol", OFF_MAP,
	      "announces the page behind the block"),
	BYTES("packet-zero-behind", AT_HEADER, 328, 8, EVIL_RAM, "protocol",
	      OFF_MAP, "zeros for the page behind the block"),
	BYTES("packet-zero-before", AT_HEADER, 328, 8, -(uint64_t)XM_PAGE_SIZE,
	      "protocol", OFF_MAP, "zeros for the page before the block"),
	BYTES("packet-unaligned", AT_HEADER, 328, 8, XM_PAGE_SIZE + 8,
	      "protocol", OFF_MAP, "zeros within two pages"),
	STRIPES("packet-stripe", AT_HEADER, 320, 8, EVIL_RAM / 2, "protocol",
		OFF_MAP, "announces another channel's page"),
	STRIPES("packet-zero-stripe", AT_HEADER, 328, 8, EVIL_RAM / 2,
		"protocol", OFF_MAP, "zeros for another channel's page"),
	BYTES("packet-same-page", AT_HEADER, 336, 8, XM_PAGE_SIZE, "integrity",
	      NOT_ALL, "announces a page twice and another one not"),
	BYTES("packet-other-page", AT_HEADER, 320, 8, 2 * XM_PAGE_SIZE,
	      "integrity", NOT_ALL, "sends another page than it announced"),
	BYTES("header-segments", AT_HEADER_HEAD, 6, 1, 1, "integrity", NOT_ALL,
	      "a HEADER with a segment"),
	BYTES("header-len", AT_HEADER_HEAD, 32, 2, XM_PAGE_SIZE, "integrity",
	      NOT_ALL, "a HEADER longer than it is"),
	BYTES("header-type", AT_HEADER_HEAD, 3, 1, 77, "integrity", NOT_ALL,
	      "a frame of no type"),
	BYTES("header-ack", AT_HEADER_HEAD, 3, 1, XM_WIRE_ACK, "integrity",
	      NOT_ALL, "an ACK, from the wrong end"),
	BYTES("header-magic", AT_HEADER_HEAD, 0, 2, 0, "integrity", NOT_ALL,
	      "a frame of another protocol"),
	MOMENT("headers-alone", WHEN_OPEN, send_headers, "stalled",
	       "no frame of the source came",
	       "announces pages that never come"),
	MOMENT("pages-twice", WHEN_OPEN, send_twice, "integrity", NOT_ALL,
	       "some pages eight times, and others never"),
	MOMENT("sync-first", WHEN_OPEN, send_sync_first, "integrity", NOT_ALL,
	       "SYNC first, and again, and again"),
	/* all of them */
	MOMENT("count-last", WHEN_PROVEN, count_last, "integrity", NOT_ALL,
	       "its frames' numbers begin with the last one"),
	MOMENT("count-far", WHEN_PROVEN, count_next, "integrity", NOT_ALL,
	       "its frames have keys that are not due"),
	MOMENT("count-next", WHEN_PROVEN, count_generation, "completed", "",
	       "its frames have the next keys already"),
	MOMENT("flood-duplicates", WHEN_SENT, flood_duplicates, "on", "",
	       "a frame it had sent, without end"),
	MOMENT("flood-garbage", WHEN_OPEN, flood_garbage, "on", "",
	       "frames with no right tag, without end"),
	/* PROBE */
	BYTES("probe-size", AT_PROBE, 0, 2, 1, "on", "",
	      "another size than the frame's"),
	BYTES("probe-port-0", AT_PROBE, 2, 2, 0, "on", "", "came from no port"),
	BYTES("probe-seen-size", AT_PROBE, 6, 2, 65535, "completed", "",
	      "saw more than was sent"),
	{ 0 },
};
