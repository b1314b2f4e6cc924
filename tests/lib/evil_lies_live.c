// SPDX-License-Identifier: GPL-2.0-or-later
/* evil_lies_live.c - what a source can lie about to a destination with a QEMU
 *
 * The stream is a real QEMU's; it is whole and right but for the lie.
 */
#include "evil.h"

#include <signal.h>
#include <string.h>

#include "core/be.h"

/* What makes no QEMU wait for more: it is none of its streams. */
static const uint8_t garbage[XM_DEVICE_CHUNK] = { 'X', 'M', 'X', 'M' };

/* -- DEVICE ------------------------------------------------------------------------------- */

static void device_early(struct evil *ev)
{
	(void)evil_say_device(ev, 0, ev->stream, 100);
	evil_rest(ev);
}

static void device_gap(struct evil *ev)
{
	(void)evil_say_device(ev, 1, ev->stream + 1, 100);
	evil_rest(ev);
}

static void device_far(struct evil *ev)
{
	(void)evil_say_device(ev, UINT64_MAX - 100, ev->stream, 100);
	evil_rest(ev);
}

static void device_wrapped(struct evil *ev)
{
	(void)evil_say_device(ev, UINT64_MAX - 1, ev->stream, 100);
	evil_rest(ev);
}

static void device_again(struct evil *ev)
{
	evil_give(ev, 100);
	(void)evil_say_device(ev, 0, ev->stream, 100);
	evil_rest(ev);
}

static void device_empty(struct evil *ev)
{
	uint8_t raw[XM_MSG_HEADER + 12] = { 0 };

	evil_put_head(raw, XM_MSG_DEVICE, 12);
	(void)evil_say_raw(ev, raw, sizeof(raw));
	evil_rest(ev);
}

static void device_cut(struct evil *ev)
{
	uint8_t raw[XM_MSG_HEADER + 12 + 99] = { 0 };

	evil_put_head(raw, XM_MSG_DEVICE, sizeof(raw) - XM_MSG_HEADER);
	xm_be32_put(raw + XM_MSG_HEADER + 8, 100);
	(void)evil_say_raw(ev, raw, sizeof(raw));
	evil_rest(ev);
}

/* More than a QEMU that does not read can have: what it has, nobody takes. */
static void device_flood(struct evil *ev)
{
	uint64_t at = ev->given;
	unsigned int i;

	for (i = 0; i < 64; i++, at += sizeof(garbage))
		(void)evil_say_device(ev, at, garbage, sizeof(garbage));
	evil_rest(ev);
}

/* It is connected to the stream: the first bytes are there. */
static void stop_qemu(struct evil *ev)
{
	evil_give(ev, 100);
	while (ev->acked < 100)
		evil_hear(ev, XM_MSG_DEVICE_ACK);
	if (!ev->qemu || kill(ev->qemu, SIGSTOP))
		evil_die("no QEMU");
}

static void device_flood_stopped(struct evil *ev)
{
	stop_qemu(ev);
	device_flood(ev);
}

/* As much as may be, and then HEARTBEATs. */
static void device_full(struct evil *ev)
{
	uint64_t i;

	stop_qemu(ev);
	for (i = 0; i < 17; i++) {
		(void)evil_say_device(ev, ev->given, garbage, sizeof(garbage));
		ev->given += sizeof(garbage);
	}
	evil_rest(ev);
}

static void device_garbage(struct evil *ev)
{
	(void)evil_say_device(ev, 0, garbage, sizeof(garbage));
	evil_rest(ev);
}

/* A right beginning, and then what is no device's. */
static void device_garbage_later(struct evil *ev)
{
	evil_give(ev, ev->stream_len / 2);
	(void)evil_say_device(ev, ev->given, garbage, sizeof(garbage));
	ev->given += sizeof(garbage);
	(void)evil_say_device_end(ev, ev->given);
	evil_rest(ev);
}

static void device_half(struct evil *ev)
{
	evil_give(ev, ev->stream_len / 2);
	(void)evil_say_device_end(ev, ev->given);
	evil_rest(ev);
}

/* -- DEVICE_END --------------------------------------------------------------------------- */

static void end_nothing(struct evil *ev)
{
	(void)evil_say_device_end(ev, 0);
	evil_rest(ev);
}

static void end_more(struct evil *ev)
{
	(void)evil_say_device_end(ev, ev->given + 1);
	evil_rest(ev);
}

static void device_after_end(struct evil *ev)
{
	(void)evil_say_device_end(ev, ev->given);
	(void)evil_say_device(ev, ev->given, garbage, 100);
	evil_rest(ev);
}

static void end_twice(struct evil *ev)
{
	(void)evil_say_device_end(ev, ev->given);
	(void)evil_say_device_end(ev, ev->given);
	evil_rest(ev);
}

static void end_again(struct evil *ev)
{
	(void)evil_say_device_end(ev, ev->given);
	evil_rest(ev);
}

/* -- COMMIT ------------------------------------------------------------------------------- */

static void say_begin(struct evil *ev)
{
	(void)evil_say_epoch(ev, XM_MSG_EPOCH_BEGIN, ev->epoch + 1, true);
	evil_rest(ev);
}

static void commit_twice(struct evil *ev)
{
	uint8_t raw[2 * XM_MSG_HEADER];

	evil_put_head(raw, XM_MSG_COMMIT, 0);
	evil_put_head(raw + XM_MSG_HEADER, XM_MSG_COMMIT, 0);
	(void)evil_say_raw(ev, raw, sizeof(raw));
	evil_rest(ev);
}

/* -- the table ---------------------------------------------------------------------------- */

#define LIVE(name, at, tell, result, says, sentence)                          \
	{                                                                     \
		name, EVIL_SOURCE, at, 0, 0, 0, tell, result, says, sentence, \
			0                                                     \
	}

#define UNREADABLE "cannot be read"
#define UNFIT      "a message that does not fit here"
#define NOT_LOADED "could not load the guest"

const struct evil_lie evil_live_lies[] = {
	LIVE("live-none", AT_NEVER, NULL, "completed", "", "tells the truth"),
	LIVE("live-device-proving", WHEN_PROVING, device_early, "protocol",
	     UNFIT, "device state before the paths are proven"),
	LIVE("live-device-gap", WHEN_STREAM, device_gap, "protocol", UNFIT,
	     "device state without its first byte"),
	LIVE("live-device-far", WHEN_STREAM, device_far, "protocol", UNFIT,
	     "device state at the last offsets there can be"),
	LIVE("live-device-wrapped", WHEN_STREAM, device_wrapped, "protocol",
	     UNREADABLE, "device state beyond them"),
	LIVE("live-device-again", WHEN_STREAM, device_again, "protocol", UNFIT,
	     "the same device state twice"),
	LIVE("live-device-empty", WHEN_STREAM, device_empty, "protocol",
	     UNREADABLE, "no bytes of device state"),
	LIVE("live-device-cut", WHEN_STREAM, device_cut, "protocol", UNREADABLE,
	     "device state that does not follow"),
	LIVE("live-device-flood", WHEN_STREAM, device_flood_stopped, "protocol",
	     UNFIT, "device state beyond the window, when QEMU takes none"),
	LIVE("live-device-full", WHEN_STREAM, device_full, "on", "",
	     "a full window of it, when QEMU takes none, and no more"),
	LIVE("live-garbage-early", WHEN_PROVEN, device_garbage, "memory",
	     NOT_LOADED, "no device's state, before any memory"),
	LIVE("live-garbage", WHEN_STREAM, device_garbage, "memory", NOT_LOADED,
	     "no device's state"),
	LIVE("live-garbage-later", WHEN_STREAM, device_garbage_later, "memory",
	     NOT_LOADED, "half of it is right"),
	LIVE("live-half", WHEN_STREAM, device_half, "memory", NOT_LOADED,
	     "half of the device state, and says it is all"),
	LIVE("live-end-early", WHEN_PROVEN, end_nothing, "protocol", UNFIT,
	     "the end of device state before any memory"),
	LIVE("live-end-nothing", WHEN_STREAM, end_nothing, "memory", NOT_LOADED,
	     "device state of no bytes"),
	LIVE("live-end-more", WHEN_WRITTEN, end_more, "protocol", UNFIT,
	     "says that it sent more"),
	LIVE("live-device-after-end", WHEN_WRITTEN, device_after_end,
	     "protocol", UNFIT, "device state after its end"),
	LIVE("live-end-twice", WHEN_WRITTEN, end_twice, "protocol", UNFIT,
	     "the end of device state, and at once again"),
	LIVE("live-end-again", WHEN_DONE, end_again, "protocol", UNFIT,
	     "the end of device state that was loaded"),
	LIVE("live-verify-skipped", WHEN_FINAL, end_nothing, "protocol", UNFIT,
	     "the end of device state before memory was compared"),
	LIVE("live-verify-after", WHEN_DONE, say_begin, "protocol", UNFIT,
	     "memory once more, when the devices are loaded"),
	LIVE("live-commit-early", WHEN_STREAM, evil_say_commit, "protocol",
	     UNFIT, "COMMIT of a guest without devices"),
	LIVE("live-commit-unloaded", WHEN_WRITTEN, evil_say_commit, "protocol",
	     UNFIT, "COMMIT before the devices are loaded"),
	LIVE("live-commit-twice", WHEN_DONE, commit_twice, "completed", "",
	     "COMMIT, and at once again: of no effect"),
	LIVE("live-hangup", WHEN_DONE, evil_hangup, "peer_lost",
	     "closed the control connection", "hangs up when all is loaded"),
	LIVE("live-beats-loaded", WHEN_DONE, evil_rest, "on", "",
	     "HEARTBEATs, when all is loaded"),
	{ 0 },
};
