// SPDX-License-Identifier: GPL-2.0-or-later
/* evil_lies_source.c - what a source can lie about */
#include "evil.h"

#include <string.h>

#include "cli/clock.h"
#include "core/be.h"

/* -- HELLO ------------------------------------------------------------------------------ */

static void hello_two_blocks(struct evil *ev)
{
	ev->hello.n_blocks = 2;
	ev->hello.block[1].len = EVIL_RAM;
	strcpy(ev->hello.block[1].name, "ram2");
}

static void hello_64_blocks(struct evil *ev)
{
	unsigned int i;

	for (i = 0; i < XM_BLOCK_MAX; i++) {
		ev->hello.block[i].len = 1ull << 62;
		strcpy(ev->hello.block[i].name, "same");
	}
	ev->hello.n_blocks = XM_BLOCK_MAX;
}

/* A window title, a colour, and C1's CSI as UTF-8 and by itself. */
#define ESCAPES                           \
	"\033]0;evil\007\033[31m\xc2\x9b" \
	"31m\x9b"                         \
	"31m\r\n\t$(reboot)`reboot`"

static void hello_escapes(struct evil *ev)
{
	strcpy(ev->hello.block[0].name, "ram");
	strcpy(ev->hello.name, ESCAPES);
	strcpy(ev->hello.machine, ESCAPES);
}

static void hello_name_path(struct evil *ev)
{
	strcpy(ev->hello.name, "../../../etc/x");
	strcpy(ev->hello.machine, "/");
}

/* All but those that are known. */
static void hello_features(struct evil *ev)
{
	ev->hello.features =
		~(XM_FEATURE_DEVICE | XM_FEATURE_VERIFY | XM_FEATURE_ENCRYPT);
}

static void hello_verify(struct evil *ev)
{
	ev->hello.features = XM_FEATURE_VERIFY;
}

static void hello_twice(struct evil *ev)
{
	struct xm_msg msg = { .type = XM_MSG_HELLO };

	msg.hello = ev->hello;
	(void)evil_say(ev, &msg);
}

static void hello_many(struct evil *ev)
{
	ev->hello.max_pages = UINT16_MAX;
	ev->hello.ip_max = XM_MTU_MAX;
}

/* -- messages at any time -------------------------------------------------------------- */

static void say_device(struct evil *ev)
{
	evil_say_and_rest(ev, XM_MSG_DEVICE);
}

static void say_device_end(struct evil *ev)
{
	evil_say_and_rest(ev, XM_MSG_DEVICE_END);
}

static void say_end(struct evil *ev)
{
	(void)evil_say_epoch(ev, XM_MSG_EPOCH_END, 1, true);
	evil_rest(ev);
}

static void say_begin(struct evil *ev)
{
	(void)evil_say_epoch(ev, XM_MSG_EPOCH_BEGIN, ev->epoch + 1, true);
	evil_rest(ev);
}

/* ABORT with a text of escapes, for no reason there is. */
static void say_abort(struct evil *ev)
{
	uint8_t raw[XM_MSG_HEADER + 2 + 2 + 199];
	size_t n = strlen(ESCAPES), at;

	evil_put_head(raw, XM_MSG_ABORT, sizeof(raw) - XM_MSG_HEADER);
	xm_be16_put(raw + 8, 65535);
	xm_be16_put(raw + 10, 199);
	for (at = 0; at < 199; at++)
		raw[12 + at] = (uint8_t)ESCAPES[at % n];
	(void)evil_say_raw(ev, raw, sizeof(raw));
	evil_rest(ev);
}

static void say_unknown_outcome(struct evil *ev)
{
	struct xm_msg msg = { .type = XM_MSG_ABORT };

	msg.abort.reason = XM_REASON_UNKNOWN_OUTCOME;
	strcpy(msg.abort.text, "who knows");
	(void)evil_say(ev, &msg);
	evil_rest(ev);
}

static void say_half_and_close(struct evil *ev)
{
	uint8_t raw[XM_MSG_HEADER];

	evil_put_head(raw, XM_MSG_EPOCH_BEGIN, 100);
	(void)evil_say_raw(ev, raw, sizeof(raw));
	evil_hangup(ev);
}

static void say_long(struct evil *ev)
{
	uint8_t raw[XM_MSG_HEADER];

	evil_put_head(raw, XM_MSG_HEARTBEAT, UINT32_MAX);
	(void)evil_say_raw(ev, raw, sizeof(raw));
	evil_rest(ev);
}

static void say_nonsense(struct evil *ev)
{
	(void)evil_say_raw(ev, "GET / HTTP/1.0\r\n\r\n", 18);
	evil_rest(ev);
}

static void say_cut(struct evil *ev)
{
	uint8_t raw[XM_MSG_HEADER + 3] = { 0 };

	evil_put_head(raw, XM_MSG_EPOCH_BEGIN, 3);
	(void)evil_say_raw(ev, raw, sizeof(raw));
	evil_rest(ev);
}

/* -- epochs ----------------------------------------------------------------------------- */

/* Epochs without a page, one after another. */
static void flood_epochs(struct evil *ev)
{
	unsigned int c;

	for (;;) {
		ev->epoch++;
		(void)evil_say_epoch(ev, XM_MSG_EPOCH_BEGIN, ev->epoch, false);
		evil_hear(ev, XM_MSG_EPOCH_READY);
		for (c = 0; c < ev->n_chans; c++) {
			ev->chan[c].totals = (struct xm_rx_totals){ 0 };
			ev->chan[c].cum = ev->chan[c].n_frames = 0;
		}
		if (ev->epoch == 2)
			evil_told(ev);
		(void)evil_say_epoch(ev, XM_MSG_EPOCH_END, ev->epoch, false);
		evil_hear(ev, XM_MSG_EPOCH_DONE);
	}
}

static void first_not_final(struct evil *ev)
{
	ev->is_final = false;
	ev->then = flood_epochs;
}

static void begin_not_final(struct evil *ev)
{
	ev->epoch = 1;
	(void)evil_say_epoch(ev, XM_MSG_EPOCH_BEGIN, 1, false);
}

/* The first epoch is not the final one, and then there is COMMIT. */
static void commit_not_final(struct evil *ev)
{
	unsigned int c;

	begin_not_final(ev);
	evil_hear(ev, XM_MSG_EPOCH_READY);
	for (c = 0; c < ev->n_chans; c++)
		ev->chan[c].totals = (struct xm_rx_totals){ 0 };
	evil_say_commit(ev);
}

/* Totals as if all had been sent. */
static void send_nothing(struct evil *ev)
{
	say_end(ev);
}

/* -- the table --------------------------------------------------------------------------- */

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

#define UNREADABLE "cannot be read"
#define UNFIT      "a message that does not fit here"
#define OFF_MAP    "does not fit the memory map"
#define NOT_ALL    "did not announce every page"
#define NOT_SAME   "what was installed is not what was sent"

const struct evil_lie evil_source_lies[] = {
	{ "none", EVIL_SOURCE, AT_NEVER, 0, 0, 0, NULL, "completed", "",
	  "tells the truth", 2 },
	/* HELLO */
	BYTES("hello-no-channels", AT_HELLO, 52, 2, 0, "waits", UNREADABLE,
	      "no channels"),
	BYTES("hello-65-channels", AT_HELLO, 52, 2, 65, "waits", UNREADABLE,
	      "more channels than there may be"),
	BYTES("hello-64-channels", AT_HELLO, 52, 2, 64, "refused",
	      "64 channels asked for", "more channels than the device has"),
	BYTES("hello-port-0", AT_HELLO, 54, 2, 0, "waits", UNREADABLE,
	      "a port base of 0"),
	BYTES("hello-port-65535", AT_HELLO, 54, 2, 65535, "waits", UNREADABLE,
	      "ports beyond the last"),
	BYTES("hello-frame-0", AT_HELLO, 56, 4, 0, "waits", UNREADABLE,
	      "frames of no bytes"),
	BYTES("hello-frame-1499", AT_HELLO, 56, 4, 1499, "waits", UNREADABLE,
	      "frames that hold no header"),
	BYTES("hello-frame-65536", AT_HELLO, 56, 4, 65536, "waits", UNREADABLE,
	      "frames larger than IP's"),
	BYTES("hello-frame-max", AT_HELLO, 56, 4, UINT32_MAX, "waits",
	      UNREADABLE, "frames of 4 GiB"),
	MOMENT("hello-all-pages", WHEN_MET, hello_many, "completed", "",
	       "takes frames as large as can be: the lesser of both is agreed"),
	BYTES("hello-pages-0", AT_HELLO, 60, 2, 0, "waits", UNREADABLE,
	      "frames of no page"),
	BYTES("hello-blocks-0", AT_HELLO, 62, 2, 0, "waits", UNREADABLE,
	      "a guest without memory"),
	BYTES("hello-blocks-64", AT_HELLO, 62, 2, 64, "waits", UNREADABLE,
	      "announces blocks that do not follow"),
	BYTES("hello-blocks-65", AT_HELLO, 62, 2, 65, "waits", UNREADABLE,
	      "more blocks than there may be"),
	BYTES("hello-blocks-max", AT_HELLO, 62, 2, 65535, "waits", UNREADABLE,
	      "65535 blocks"),
	MOMENT("hello-blocks-2", WHEN_MET, hello_two_blocks, "refused",
	       "has 2 RAM blocks", "another guest than --ram takes"),
	MOMENT("hello-blocks-sum", WHEN_MET, hello_64_blocks, "refused",
	       "has 64 RAM blocks",
	       "64 blocks of one name, of more than 2^64 bytes together"),
	BYTES("hello-len-0", AT_HELLO, 64, 8, 0, "memory", "has 0 bytes",
	      "a block of no bytes"),
	BYTES("hello-len-odd", AT_HELLO, 64, 8, EVIL_RAM + 1, "memory",
	      "not a multiple of", "a block that ends within a page"),
	BYTES("hello-len-8192", AT_HELLO, 64, 8, 8192, "protocol", OFF_MAP,
	      "pages behind the end of a block it said is smaller"),
	BYTES("hello-len-2^46", AT_HELLO, 64, 8, 1ull << 46, "integrity",
	      NOT_ALL, "64 TiB, of which it sends nothing"),
	BYTES("hello-len-2^62", AT_HELLO, 64, 8, 1ull << 62, "memory",
	      "guest memory|mmap|ftruncate", "more than can be mapped"),
	BYTES("hello-len-2^63", AT_HELLO, 64, 8, 1ull << 63, "memory",
	      "ftruncate", "a length that is negative as a file's"),
	BYTES("hello-len-max", AT_HELLO, 64, 8, -(uint64_t)XM_PAGE_SIZE,
	      "memory", "ftruncate", "the last whole pages of 2^64 bytes"),
	BYTES("hello-name-long", AT_HELLO, 72, 2, 256, "waits", UNREADABLE,
	      "a block's name of 256 bytes"),
	BYTES("hello-name-empty", AT_HELLO, 72, 2, 0, "waits", UNREADABLE,
	      "a block without a name"),
	BYTES("hello-name-nul", AT_HELLO, 75, 1, 0, "waits", UNREADABLE,
	      "a NUL within a block's name"),
	MOMENT("hello-name-escapes", WHEN_MET, hello_escapes, "completed", "",
	       "a guest's name that would paint the terminal"),
	MOMENT("hello-name-path", WHEN_MET, hello_name_path, "completed", "",
	       "a guest's name that is a path"),
	MOMENT("hello-features", WHEN_MET, hello_features, "completed", "",
	       "every feature that nobody knows"),
	MOMENT("commit-unverified", WHEN_MET, hello_verify, "protocol", UNFIT,
	       "COMMIT of memory that was to be compared first"),
	BYTES("hello-features-all", AT_HELLO, 12, 8, UINT64_MAX, "refused",
	      "a guest with devices", "every feature"),
	BYTES("hello-version-0", AT_HELLO, 8, 4, 0, "waits", "version 1 only",
	      "a version before the first"),
	BYTES("hello-version-2", AT_HELLO, 8, 4, 0x00020003, "waits",
	      "version 1 only", "versions to come"),
	BYTES("hello-type", AT_HELLO, 3, 1, XM_MSG_COMMIT, "waits", UNFIT,
	      "COMMIT is its first word"),
	MOMENT("hello-twice", WHEN_PROVEN, hello_twice, "protocol", UNFIT,
	       "says HELLO again"),
	/* other messages */
	MOMENT("silent-hello", WHEN_MET, evil_silence, "waits",
	       "the peer is silent", "never says HELLO"),
	MOMENT("beats-hello", WHEN_MET, evil_rest, "waits",
	       "the peer is silent", "HEARTBEATs in place of HELLO"),
	MOMENT("silent-proven", WHEN_PROVEN, evil_silence, "peer_lost",
	       "the peer is silent", "falls silent"),
	MOMENT("beats-proving", WHEN_PROVING, evil_rest, "on", "",
	       "HEARTBEATs in place of PROVEN"),
	MOMENT("beats-probing", WHEN_PROVING, evil_no_frames, "on", "",
	       "HEARTBEATs, and proves nothing"),
	MOMENT("beats-proven", WHEN_PROVEN, evil_rest, "on", "",
	       "HEARTBEATs, and begins no epoch"),
	MOMENT("beats-open", WHEN_OPEN, evil_rest, "stalled",
	       "no frame of the source came", "HEARTBEATs, and sends no frame"),
	MOMENT("beats-sent", WHEN_SENT, evil_rest, "stalled",
	       "no frame of the source came",
	       "HEARTBEATs, and does not end the epoch"),
	MOMENT("beats-done", WHEN_DONE, evil_rest, "on", "",
	       "HEARTBEATs, and does not say COMMIT"),
	MOMENT("begin-early", WHEN_PROVING, begin_not_final, "protocol", UNFIT,
	       "an epoch before the paths are proven"),
	BYTES("begin-0", AT_BEGIN, 8, 4, 0, "protocol", UNFIT, "epoch 0"),
	BYTES("begin-2", AT_BEGIN, 8, 4, 2, "protocol", UNFIT,
	      "an epoch is left out"),
	BYTES("begin-max", AT_BEGIN, 8, 4, UINT32_MAX, "protocol", UNFIT,
	      "the last epoch there can be"),
	BYTES("begin-channels", AT_BEGIN, 13, 2, 65535, "protocol", UNREADABLE,
	      "totals of 65535 channels that do not follow"),
	MOMENT("begin-twice", WHEN_OPEN, say_begin, "protocol", UNFIT,
	       "an epoch within an epoch"),
	MOMENT("begin-after-final", WHEN_DONE, say_begin, "protocol", UNFIT,
	       "an epoch after the final one"),
	MOMENT("end-early", WHEN_PROVEN, say_end, "protocol", UNFIT,
	       "the end of an epoch that did not begin"),
	BYTES("end-2", AT_END, 8, 4, 2, "protocol", UNFIT,
	      "the end of another epoch"),
	BYTES("end-channels-0", AT_END, 13, 2, 0, "protocol", UNFIT,
	      "totals of no channel"),
	BYTES("end-channels-64", AT_END, 13, 2, 64, "protocol", UNREADABLE,
	      "totals of channels that do not follow"),
	BYTES("end-frames", AT_END, 15, 4, 18, "integrity", NOT_SAME,
	      "other frames than it sent"),
	BYTES("end-packets", AT_END, 19, 4, 8, "integrity", NOT_SAME,
	      "other packets than it sent"),
	BYTES("end-bytes", AT_END, 23, 8, UINT64_MAX, "integrity", NOT_SAME,
	      "other bytes than it sent"),
	BYTES("end-pages", AT_END, 31, 8, 0, "integrity", NOT_SAME,
	      "other pages than it sent"),
	BYTES("end-zeros", AT_END, 39, 8, 1ull << 63, "integrity", NOT_SAME,
	      "other zero pages than it sent"),
	MOMENT("end-nothing", WHEN_OPEN, send_nothing, "integrity", NOT_ALL,
	       "the totals of frames that were not sent"),
	MOMENT("commit-early", WHEN_PROVEN, evil_say_commit, "protocol", UNFIT,
	       "COMMIT before any memory"),
	MOMENT("commit-open", WHEN_SENT, evil_say_commit, "protocol", UNFIT,
	       "COMMIT before the epoch's end"),
	MOMENT("commit-not-final", WHEN_PROVEN, commit_not_final, "protocol",
	       UNFIT, "COMMIT in an epoch that is not the final one"),
	MOMENT("device", WHEN_PROVEN, say_device, "protocol", UNFIT,
	       "device state that was not agreed"),
	MOMENT("device-end", WHEN_DONE, say_device_end, "protocol", UNFIT,
	       "the end of device state that was not agreed"),
	MOMENT("loaded", WHEN_DONE, evil_say_loaded, "protocol", UNFIT,
	       "a word that is the destination's"),
	MOMENT("proven-twice", WHEN_PROVEN, evil_say_proven, "protocol", UNFIT,
	       "has proven its paths twice"),
	MOMENT("abort-escapes", WHEN_PROVEN, say_abort, "refused",
	       "the peer: ", "ABORT with a text that would paint the terminal"),
	MOMENT("abort-unknown", WHEN_SENT, say_unknown_outcome, "refused",
	       "the peer: who knows",
	       "ABORT for a reason that it cannot have: nobody knows"),
	MOMENT("message-half", WHEN_PROVEN, evil_say_half, "peer_lost",
	       "the peer is silent", "64 KiB are announced and never come"),
	MOMENT("message-half-closed", WHEN_PROVEN, say_half_and_close,
	       "peer_lost", "within a message", "hangs up within a message"),
	MOMENT("message-long", WHEN_PROVEN, say_long, "protocol",
	       "more than the 65536 bytes", "announces 4 GiB"),
	MOMENT("message-nonsense", WHEN_PROVEN, say_nonsense, "protocol",
	       "does not speak xdpmig", "another protocol, after all"),
	MOMENT("message-cut", WHEN_PROVEN, say_cut, "protocol", UNREADABLE,
	       "a body that is too short"),
	MOMENT("hangup", WHEN_SENT, evil_hangup, "peer_lost",
	       "closed the control connection", "hangs up, and listens on"),
	MOMENT("flood-beats", WHEN_PROVEN, evil_flood_beats, "on", "",
	       "HEARTBEATs without end"),
	MOMENT("flood-unknown", WHEN_OPEN, evil_flood_unknown, "stalled",
	       "no frame of the source came",
	       "messages of 64 KiB that nobody knows, without end"),
	MOMENT("flood-keys", WHEN_PROVEN, evil_flood_keys, "protocol", "TLS",
	       "new keys for TLS, without end"),
	MOMENT("flood-epochs", WHEN_PROVEN, first_not_final, "on", "",
	       "epochs without a page, without end"),
	{ 0 },
};
