// SPDX-License-Identifier: GPL-2.0-or-later
/* evil_lies_target.c - what a destination can lie about */
#include "evil.h"

#include <string.h>

#include "cli/clock.h"
#include "core/be.h"

/* -- WELCOME ----------------------------------------------------------------------------- */

static void welcome_cookies(struct evil *ev)
{
	memset(ev->welcome.cookie, 0x42, sizeof(ev->welcome.cookie));
}

static void welcome_no_cookies(struct evil *ev)
{
	memset(ev->welcome.cookie, 0, sizeof(ev->welcome.cookie));
}

static void welcome_twice(struct evil *ev)
{
	struct xm_msg msg = { .type = XM_MSG_WELCOME };

	msg.welcome = ev->welcome;
	(void)evil_say(ev, &msg);
	evil_rest(ev);
}

/* -- messages ------------------------------------------------------------------------------ */

static void say_device_ack(struct evil *ev)
{
	struct xm_msg msg = { .type = XM_MSG_DEVICE_ACK };

	msg.device_ack.bytes = UINT64_MAX;
	(void)evil_say(ev, &msg);
	evil_rest(ev);
}

/* Of less than before. */
static void say_device_ack_less(struct evil *ev)
{
	struct xm_msg msg = { .type = XM_MSG_DEVICE_ACK };

	msg.device_ack.bytes = ev->msg.device.len;
	(void)evil_say(ev, &msg);
	msg.device_ack.bytes--;
	(void)evil_say(ev, &msg);
	evil_rest(ev);
}

static void welcome_no_device(struct evil *ev)
{
	ev->welcome.features = 0;
}

static void say_ready(struct evil *ev)
{
	(void)evil_say_epoch(ev, XM_MSG_EPOCH_READY, 1, true);
	evil_rest(ev);
}

static void say_done(struct evil *ev)
{
	(void)evil_say_epoch(ev, XM_MSG_EPOCH_DONE, 1, true);
	evil_rest(ev);
}

static void say_abort(struct evil *ev)
{
	struct xm_msg msg = { .type = XM_MSG_ABORT };

	msg.abort.reason = XM_REASON_UNKNOWN_OUTCOME;
	strcpy(msg.abort.text, "\033[2J\033]0;evil\007\xc2\x9b"
			       "2J\x9b"
			       "2J who knows");
	(void)evil_say(ev, &msg);
	evil_rest(ev);
}

static void say_refusal(struct evil *ev)
{
	struct xm_msg msg = { .type = XM_MSG_ABORT };

	msg.abort.reason = XM_REASON_REFUSED;
	strcpy(msg.abort.text, "it is yours");
	(void)evil_say(ev, &msg);
	evil_rest(ev);
}

static void say_nonsense(struct evil *ev)
{
	(void)evil_say_raw(ev, "HTTP/1.1 200 OK\r\n\r\n", 19);
	evil_rest(ev);
}

static void read_nothing(struct evil *ev)
{
	ev->is_deaf = true;
	evil_rest(ev);
}

/* -- ACKs ---------------------------------------------------------------------------------- */

static void send_ack(struct evil *ev, uint32_t cum, const struct xm_ack *ack)
{
	uint8_t payload[XM_ACK_LEN_MAX];
	struct xm_frame f = {
		.type = XM_WIRE_ACK,
		.cookie = ev->welcome.cookie[0],
		.epoch = ev->epoch,
		.seq = cum,
		.tx_us = xm_time_wire_us(xm_clock()),
		.len = (uint16_t)xm_ack_put(payload, ack),
	};

	evil_net_frame(ev, 0, &f, payload, AT_NEVER, AT_NEVER);
}

/* Nothing is acknowledged from here on; again and again @ack, until the end. */
static void send_acks(struct evil *ev, uint32_t cum, const struct xm_ack *ack,
		      unsigned int burst)
{
	unsigned int i;

	ev->keeps_acks = true;
	evil_told(ev);
	for (;;) {
		for (i = 0; i < burst; i++)
			send_ack(ev, cum, ack);
		evil_net_turn(ev, 1);
		evil_tick(ev);
		(void)evil_hear_any(ev);
	}
}

static void ack_none(struct evil *ev)
{
	ev->keeps_acks = true;
}

/* Every number of the window, of which few were sent. */
static void ack_unsent(struct evil *ev)
{
	static struct xm_ack ack = { .credit = 256, .n_words = XM_SACK_WORDS };

	memset(ack.words, 0xff, sizeof(ack.words));
	send_acks(ev, 0, &ack, 1);
}

/* The last there can be: its bitmap reaches beyond 2^32. */
static void ack_wrapped(struct evil *ev)
{
	static struct xm_ack ack = { .credit = 256, .n_words = XM_SACK_WORDS };

	memset(ack.words, 0xff, sizeof(ack.words));
	send_acks(ev, UINT32_MAX, &ack, 1);
}

static void ack_flood(struct evil *ev)
{
	static const struct xm_ack ack = { .credit = 256 };

	send_acks(ev, 0, &ack, 500);
}

static void ack_no_credit(struct evil *ev)
{
	static const struct xm_ack ack = { .credit = 0 };

	send_acks(ev, 0, &ack, 1);
}

/* All that came is rejected, for ever. */
static void ack_rejects(struct evil *ev)
{
	static struct xm_ack ack = { .credit = UINT32_MAX,
				     .n_rejects = XM_ACK_REJECTS };
	unsigned int i;

	ev->keeps_acks = true;
	evil_told(ev);
	for (i = 0; i < XM_ACK_REJECTS; i++)
		ack.rejects[i] = i;
	for (;;) {
		ack.echo_us = xm_time_wire_us(xm_clock());
		send_ack(ev, 0, &ack);
		evil_net_turn(ev, 0);
		evil_tick(ev);
		(void)evil_hear_any(ev);
	}
}

/* Before any frame was sent, in no epoch. */
static void ack_early(struct evil *ev)
{
	static const struct xm_ack ack = { .credit = 0, .n_ce = UINT32_MAX };
	unsigned int i;

	for (i = 0; i < 100; i++)
		send_ack(ev, 0, &ack);
}

static void ack_twice(struct evil *ev)
{
	uint64_t count = ev->chan[0].seal.count;
	static const struct xm_ack ack = { .credit = 1 };
	unsigned int i;

	for (i = 0; i < 20; i++) {
		ev->chan[0].seal.count = count;
		send_ack(ev, 0, &ack);
	}
}

static void count_last(struct evil *ev)
{
	ev->chan[0].seal.count = XM_FRAME_COUNT_MAX;
}

/* -- the table ------------------------------------------------------------------------------ */

#define BYTES(name, at, offset, size, value, result, says, sentence)      \
	{                                                                 \
		name, EVIL_TARGET, at, offset, size, value, NULL, result, \
			says, sentence, 0                                 \
	}
#define MOMENT(name, at, tell, result, says, sentence)                        \
	{                                                                     \
		name, EVIL_TARGET, at, 0, 0, 0, tell, result, says, sentence, \
			0                                                     \
	}

#define UNREADABLE "cannot be read"
#define UNFIT      "a message that does not fit here"
#define STALLED    "the peer acknowledged nothing"

const struct evil_lie evil_target_lies[] = {
	{ "none", EVIL_TARGET, AT_NEVER, 0, 0, 0, NULL, "completed", "",
	  "tells the truth", 2 },
	/* WELCOME */
	BYTES("welcome-version-0", AT_WELCOME, 8, 2, 0, "protocol", UNFIT,
	      "a version before the first"),
	BYTES("welcome-version-2", AT_WELCOME, 8, 2, 2, "protocol", UNFIT,
	      "a version that was not offered"),
	BYTES("welcome-features", AT_WELCOME, 10, 8, UINT64_MAX, "protocol",
	      UNFIT, "features that were not offered"),
	BYTES("welcome-device", AT_WELCOME, 10, 8, XM_FEATURE_DEVICE,
	      "protocol", UNFIT, "wants device state of a guest that has none"),
	BYTES("welcome-verify", AT_WELCOME, 10, 8, XM_FEATURE_VERIFY,
	      "protocol", UNFIT, "will compare memory, and was not asked to"),
	BYTES("welcome-channels-0", AT_WELCOME, 18, 2, 0, "protocol",
	      UNREADABLE, "no channels"),
	BYTES("welcome-channels-2", AT_WELCOME, 18, 2, 2, "protocol",
	      UNREADABLE "|" UNFIT, "more channels than were offered"),
	BYTES("welcome-channels-65", AT_WELCOME, 18, 2, 65, "protocol",
	      UNREADABLE, "more channels than there may be"),
	BYTES("welcome-port-0", AT_WELCOME, 20, 2, 0, "protocol", UNREADABLE,
	      "a port base of 0"),
	BYTES("welcome-port-65535", AT_WELCOME, 20, 2, 65535, "protocol",
	      UNREADABLE, "ports beyond the last"),
	BYTES("welcome-frame-0", AT_WELCOME, 22, 4, 0, "protocol", UNFIT,
	      "frames of no bytes"),
	BYTES("welcome-frame-1499", AT_WELCOME, 22, 4, 1499, "protocol", UNFIT,
	      "frames that hold no header"),
	BYTES("welcome-frame-max", AT_WELCOME, 22, 4, UINT32_MAX, "protocol",
	      UNFIT, "larger frames than were offered"),
	BYTES("welcome-pages-0", AT_WELCOME, 26, 2, 0, "protocol", UNREADABLE,
	      "frames of no page"),
	BYTES("welcome-pages-max", AT_WELCOME, 26, 2, 65535, "protocol", UNFIT,
	      "more pages in a frame than were offered"),
	BYTES("welcome-credit-0", AT_WELCOME, 28, 4, 0, "protocol", UNFIT,
	      "no credit"),
	BYTES("welcome-credit-max", AT_WELCOME, 28, 4, UINT32_MAX, "completed",
	      "", "more credit than it has room"),
	MOMENT("welcome-no-cookie", WHEN_MET, welcome_no_cookies, "completed",
	       "", "a cookie of zeros"),
	{ "welcome-same-cookies", EVIL_TARGET, WHEN_MET, 0, 0, 0,
	  welcome_cookies, "completed", "", "the same cookie for all channels",
	  2 },
	MOMENT("welcome-twice", WHEN_PROVEN, welcome_twice, "protocol", UNFIT,
	       "says WELCOME again"),
	/* other messages */
	MOMENT("silent-hello", WHEN_MET, evil_silence, "peer_lost",
	       "the peer is silent", "never answers HELLO"),
	MOMENT("beats-hello", WHEN_MET, evil_rest, "on", "",
	       "HEARTBEATs in place of WELCOME"),
	MOMENT("beats-proving", WHEN_PROVING, evil_rest, "stalled",
	       "the peer does not answer", "HEARTBEATs in place of PROVEN"),
	MOMENT("beats-probing", WHEN_PROVING, evil_no_frames, "path",
	       "no frame of queue", "HEARTBEATs, and proves nothing"),
	MOMENT("beats-open", WHEN_OPEN, evil_rest, "stalled",
	       "the peer does not answer",
	       "HEARTBEATs in place of EPOCH_READY"),
	MOMENT("silent-open", WHEN_OPEN, evil_silence, "peer_lost",
	       "the peer is silent", "falls silent"),
	MOMENT("beats-ended", WHEN_ENDED, evil_rest, "stalled",
	       "the peer does not answer", "HEARTBEATs in place of EPOCH_DONE"),
	MOMENT("beats-commit", WHEN_COMMIT, evil_rest, "after", "",
	       "HEARTBEATs in place of COMMITTED"),
	MOMENT("silent-commit", WHEN_COMMIT, evil_silence, "unknown_outcome",
	       "the peer is silent after COMMIT", "falls silent at COMMIT"),
	MOMENT("hangup-commit", WHEN_COMMIT, evil_hangup, "unknown_outcome",
	       "after COMMIT", "hangs up at COMMIT"),
	MOMENT("abort-commit", WHEN_COMMIT, say_abort, "refused",
	       "the peer: .*who knows",
	       "ABORT at COMMIT: it did not take the guest, it says"),
	MOMENT("abort-escapes", WHEN_OPEN, say_abort, "refused",
	       "the peer: .*who knows",
	       "ABORT with a text that would paint the terminal"),
	MOMENT("proven-twice", WHEN_PROVEN, evil_say_proven, "protocol", UNFIT,
	       "has proven its paths twice"),
	MOMENT("ready-early", WHEN_PROVING, say_ready, "protocol", UNFIT,
	       "is ready for an epoch that did not begin"),
	BYTES("ready-0", AT_READY, 8, 4, 0, "protocol", UNFIT, "epoch 0"),
	BYTES("ready-2", AT_READY, 8, 4, 2, "protocol", UNFIT,
	      "an epoch to come"),
	MOMENT("ready-twice", WHEN_TAKING, say_ready, "protocol", UNFIT,
	       "is ready twice"),
	MOMENT("done-early", WHEN_TAKING, say_done, "protocol", UNFIT,
	       "has all before it was sent"),
	BYTES("done-0", AT_DONE, 8, 4, 0, "protocol", UNFIT,
	      "has all of epoch 0"),
	BYTES("done-2", AT_DONE, 8, 4, 2, "protocol", UNFIT,
	      "has all of an epoch to come"),
	MOMENT("committed-early", WHEN_TAKING, evil_say_committed, "protocol",
	       UNFIT, "has the guest before COMMIT"),
	MOMENT("committed-ended", WHEN_ENDED, evil_say_committed, "protocol",
	       UNFIT, "has the guest, in place of EPOCH_DONE"),
	MOMENT("commit", WHEN_TAKING, evil_say_commit, "protocol", UNFIT,
	       "a word that is the source's"),
	MOMENT("loaded", WHEN_ENDED, evil_say_loaded, "protocol", UNFIT,
	       "has loaded devices that there are not"),
	MOMENT("device-ack", WHEN_TAKING, say_device_ack, "protocol", UNFIT,
	       "acknowledges device state that there is not"),
	/* of a running guest, for evil_live.sh */
	MOMENT("live-no-device", WHEN_MET, welcome_no_device, "refused",
	       "takes memory only", "takes memory, and no devices"),
	MOMENT("live-ack-less", WHEN_DEVICE, say_device_ack_less, "protocol",
	       UNFIT, "has less of the device state than before"),
	MOMENT("live-ack-more", WHEN_DEVICE, say_device_ack, "protocol", UNFIT,
	       "has more of the device state than was sent"),
	MOMENT("live-loaded-early", WHEN_ENDED, evil_say_loaded, "protocol",
	       UNFIT, "has loaded devices before they were sent"),
	MOMENT("live-committed", WHEN_LOADING, evil_say_committed, "protocol",
	       UNFIT, "runs the guest, in place of LOADED"),
	MOMENT("live-silent", WHEN_LOADING, evil_silence, "peer_lost",
	       "the peer is silent", "falls silent with the guest paused"),
	MOMENT("live-beats", WHEN_ENDED, evil_rest, "stalled",
	       "the peer does not answer",
	       "HEARTBEATs, while the guest is paused"),
	MOMENT("live-abort-commit", WHEN_COMMIT, say_refusal, "refused",
	       "the peer: it is yours",
	       "ABORT at COMMIT: it did not take the guest, it says"),
	MOMENT("message-nonsense", WHEN_TAKING, say_nonsense, "protocol",
	       "does not speak xdpmig", "another protocol, after all"),
	MOMENT("message-half", WHEN_OPEN, evil_say_half, "peer_lost",
	       "the peer is silent", "64 KiB are announced and never come"),
	MOMENT("hangup", WHEN_TAKING, evil_hangup, "peer_lost",
	       "closed the control connection", "hangs up, and listens on"),
	MOMENT("flood-beats", WHEN_MET, evil_flood_beats, "on", "",
	       "HEARTBEATs without end"),
	MOMENT("flood-unknown", WHEN_MET, evil_flood_unknown, "on", "",
	       "messages of 64 KiB that nobody knows, without end"),
	MOMENT("deaf", WHEN_MET, read_nothing, "on", "",
	       "HEARTBEATs, and reads nothing"),
	/* ACK */
	MOMENT("ack-none", WHEN_TAKING, ack_none, "stalled", STALLED,
	       "acknowledges nothing"),
	BYTES("ack-far", AT_ACK_HEAD, 20, 4, 1u << 20, "stalled", STALLED,
	      "acknowledges what was never sent"),
	MOMENT("ack-unsent", WHEN_TAKING, ack_unsent, "stalled", STALLED,
	       "acknowledges all numbers of the window"),
	MOMENT("ack-wrapped", WHEN_TAKING, ack_wrapped, "stalled", STALLED,
	       "acknowledges numbers beyond the last"),
	MOMENT("ack-early", WHEN_PROVEN, ack_early, "completed", "",
	       "ACKs of no epoch"),
	MOMENT("ack-twice", WHEN_PROVEN, ack_twice, "completed", "",
	       "the same ACK twenty times: of no effect"),
	MOMENT("ack-flood", WHEN_TAKING, ack_flood, "stalled", STALLED,
	       "acknowledges nothing, at full rate"),
	MOMENT("ack-no-credit", WHEN_TAKING, ack_no_credit, "stalled", STALLED,
	       "has no room, for ever"),
	BYTES("ack-credit-0", AT_ACK, 0, 4, 0, "completed", "",
	      "has no room, and takes what is forced upon it"),
	BYTES("ack-credit-max", AT_ACK, 0, 4, UINT32_MAX, "completed", "",
	      "more room than can be"),
	BYTES("ack-echo-0", AT_ACK, 4, 4, 0, "completed", "",
	      "echoes what was never sent"),
	BYTES("ack-echo-max", AT_ACK, 4, 4, UINT32_MAX, "completed", "",
	      "echoes what will be sent"),
	BYTES("ack-hold-max", AT_ACK, 8, 4, UINT32_MAX, "completed", "",
	      "held it for an hour"),
	BYTES("ack-ce-max", AT_ACK, 12, 4, UINT32_MAX / 2, "completed", "",
	      "2^31 frames marked CE"),
	BYTES("ack-dup-max", AT_ACK, 16, 4, UINT32_MAX / 2, "completed", "",
	      "2^31 frames came twice"),
	BYTES("ack-words-max", AT_ACK, 20, 2, 65535, "stalled", STALLED,
	      "a bitmap that does not follow"),
	BYTES("ack-rejects-max", AT_ACK, 22, 2, 65535, "stalled", STALLED,
	      "rejects that do not follow"),
	MOMENT("ack-rejects", WHEN_TAKING, ack_rejects, "stalled", STALLED,
	       "rejects everything, for ever"),
	BYTES("ack-epoch-0", AT_ACK_HEAD, 16, 4, 0, "stalled", STALLED,
	      "ACKs of no epoch, and no others"),
	BYTES("ack-type", AT_ACK_HEAD, 3, 1, XM_WIRE_DATA, "stalled", STALLED,
	      "DATA, from the wrong end"),
	MOMENT("count-last", WHEN_TAKING, count_last, "stalled", STALLED,
	       "its frames' numbers begin with the last one"),
	/* PROBE */
	BYTES("probe-size", AT_PROBE, 0, 2, 1, "path", "no frame of queue",
	      "another size than the frame's"),
	BYTES("probe-port-0", AT_PROBE, 2, 2, 0, "path", "do not get through",
	      "came from no port"),
	BYTES("probe-seen-size", AT_PROBE, 6, 2, 65535, "completed", "",
	      "saw more than was sent"),
	{ 0 },
};
