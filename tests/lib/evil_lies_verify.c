// SPDX-License-Identifier: GPL-2.0-or-later
/* evil_lies_verify.c - what either end can lie about when memory is compared */
#include "evil.h"

#include "core/be.h"

/* -- target: HASHES ---------------------------------------------------------------------- */

static void wrong_once(struct evil *ev)
{
	ev->n_wrong = 1;
}

static void wrong_always(struct evil *ev)
{
	ev->n_wrong = UINT32_MAX;
}

static void welcome_no_verify(struct evil *ev)
{
	ev->welcome.features &= ~XM_FEATURE_VERIFY;
}

static void hashes_few(struct evil *ev)
{
	(void)evil_say_hashes(ev, 0, 1, 1);
	evil_rest(ev);
}

/* In one message, or the last would come when all is over. */
static void hashes_many(struct evil *ev)
{
	uint32_t n = evil_stripes(ev) + 1;

	(void)evil_say_hashes(ev, 0, n, n);
	evil_rest(ev);
}

static void hashes_most(struct evil *ev)
{
	(void)evil_say_hashes(ev, 0, XM_HASHES_CHUNK, XM_HASHES_CHUNK);
	evil_rest(ev);
}

static void hashes_gap(struct evil *ev)
{
	(void)evil_say_hashes(ev, 1, 1, 1);
	evil_rest(ev);
}

static void hashes_far(struct evil *ev)
{
	(void)evil_say_hashes(ev, UINT32_MAX, 2, 2);
	evil_rest(ev);
}

static void hashes_again(struct evil *ev)
{
	(void)evil_say_hashes(ev, 0, 1, 1);
	(void)evil_say_hashes(ev, 0, 1, 1);
	evil_rest(ev);
}

static void hashes_overlap(struct evil *ev)
{
	(void)evil_say_hashes(ev, 0, 1, 1);
	(void)evil_say_hashes(ev, 0, 2, 2);
	evil_rest(ev);
}

static void hashes_empty(struct evil *ev)
{
	(void)evil_say_hashes(ev, 0, 0, 0);
	evil_rest(ev);
}

static void hashes_cut(struct evil *ev)
{
	(void)evil_say_hashes(ev, 0, 2, 1);
	evil_rest(ev);
}

static void hashes_2049(struct evil *ev)
{
	(void)evil_say_hashes(ev, 0, XM_HASHES_CHUNK + 1, XM_HASHES_CHUNK + 1);
	evil_rest(ev);
}

static void hashes_now(struct evil *ev)
{
	(void)evil_say_hashes(ev, 0, evil_stripes(ev), evil_stripes(ev));
	evil_rest(ev);
}

/* When it takes what is sent once more. */
static void hashes_in_repair(struct evil *ev)
{
	if (ev->epoch == 1)
		ev->n_wrong = 1;
	else
		hashes_now(ev);
}

/* They change nothing: COMMIT was said.  COMMITTED follows. */
static void hashes_late(struct evil *ev)
{
	(void)evil_say_hashes(ev, 0, 2, 2);
	(void)evil_say_hashes(ev, UINT32_MAX, 2, 2);
}

/* -- source: VERIFY ---------------------------------------------------------------------- */

static void say_verify(struct evil *ev)
{
	evil_say_and_rest(ev, XM_MSG_VERIFY);
}

static void not_final(struct evil *ev)
{
	ev->is_final = false;
}

static void verify_twice(struct evil *ev)
{
	uint8_t raw[2 * XM_MSG_HEADER];

	evil_put_head(raw, XM_MSG_VERIFY, 0);
	evil_put_head(raw + XM_MSG_HEADER, XM_MSG_VERIFY, 0);
	(void)evil_say_raw(ev, raw, sizeof(raw));
	evil_rest(ev);
}

static void flood_verify(struct evil *ev)
{
	evil_flood_heads(ev, XM_MSG_VERIFY);
}

static void verify_hangup(struct evil *ev)
{
	(void)evil_say_type(ev, XM_MSG_VERIFY);
	ctl_end(ev->ctl);
	ev->is_mute = true;
	evil_rest(ev);
}

/* All of it once more, and nobody asked. */
static void repair(struct evil *ev)
{
	ev->epoch++;
	evil_send_epoch(ev);
}

static void repair_and_verify(struct evil *ev)
{
	repair(ev);
	evil_verify(ev);
}

static void repair_twice(struct evil *ev)
{
	repair_and_verify(ev);
	(void)evil_say_epoch(ev, XM_MSG_EPOCH_BEGIN, ev->epoch + 1, true);
	evil_rest(ev);
}

static void repair_not_final(struct evil *ev)
{
	(void)evil_say_epoch(ev, XM_MSG_EPOCH_BEGIN, ev->epoch + 1, false);
	evil_rest(ev);
}

/* -- the table --------------------------------------------------------------------------- */

#define TARGET(name, at, tell, result, says, sentence)                        \
	{                                                                     \
		name, EVIL_TARGET, at, 0, 0, 0, tell, result, says, sentence, \
			0                                                     \
	}
#define SOURCE(name, at, tell, result, says, sentence)                        \
	{                                                                     \
		name, EVIL_SOURCE, at, 0, 0, 0, tell, result, says, sentence, \
			0                                                     \
	}

#define UNREADABLE "cannot be read"
#define UNFIT      "a message that does not fit here"
#define NO_END     "does not finish hashing"
#define DIFFERS    "differs, and again after it was sent once more"

const struct evil_lie evil_verify_lies[] = {
	TARGET("verify-none", AT_NEVER, NULL, "completed", "",
	       "compares memory, which is the same"),
	TARGET("verify-refused", WHEN_MET, welcome_no_verify, "refused",
	       "too old to verify", "will not compare memory"),
	TARGET("verify-wrong", WHEN_MET, wrong_once, "completed", "",
	       "other hashes than its memory's, once"),
	TARGET("verify-wrong-twice", WHEN_MET, wrong_always, "integrity",
	       DIFFERS, "other hashes than its memory's, again and again"),
	TARGET("verify-never", WHEN_HASHED, evil_rest, "late", NO_END,
	       "HEARTBEATs in place of HASHES"),
	TARGET("verify-few", WHEN_HASHED, hashes_few, "late", NO_END,
	       "HASHES of one stripe, of two"),
	TARGET("verify-many", WHEN_HASHED, hashes_many, "protocol", UNFIT,
	       "HASHES of one stripe more than there are"),
	TARGET("verify-most", WHEN_HASHED, hashes_most, "protocol", UNFIT,
	       "as many HASHES as a message holds"),
	TARGET("verify-gap", WHEN_HASHED, hashes_gap, "protocol", UNFIT,
	       "HASHES of the second stripe first"),
	TARGET("verify-far", WHEN_HASHED, hashes_far, "protocol", UNFIT,
	       "HASHES of stripes beyond the last there can be"),
	TARGET("verify-again", WHEN_HASHED, hashes_again, "protocol", UNFIT,
	       "HASHES of one stripe twice"),
	TARGET("verify-overlap", WHEN_HASHED, hashes_overlap, "protocol", UNFIT,
	       "HASHES of a stripe, and of it and the next"),
	TARGET("verify-empty", WHEN_HASHED, hashes_empty, "protocol",
	       UNREADABLE, "HASHES of nothing"),
	TARGET("verify-cut", WHEN_HASHED, hashes_cut, "protocol", UNREADABLE,
	       "HASHES that do not follow"),
	TARGET("verify-2049", WHEN_HASHED, hashes_2049, "protocol", UNREADABLE,
	       "more HASHES than a message may hold"),
	TARGET("verify-early", WHEN_TAKING, hashes_now, "protocol", UNFIT,
	       "HASHES before VERIFY"),
	TARGET("verify-ended", WHEN_ENDED, hashes_now, "protocol", UNFIT,
	       "HASHES in place of EPOCH_DONE"),
	TARGET("verify-repaired", WHEN_TAKING, hashes_in_repair, "protocol",
	       UNFIT, "HASHES while memory is repaired"),
	TARGET("verify-late", WHEN_COMMIT, hashes_late, "completed", "",
	       "HASHES after COMMIT: of no effect"),
	TARGET("verify-committed", WHEN_HASHED, evil_say_committed, "protocol",
	       UNFIT, "has the guest, in place of HASHES"),
	TARGET("verify-loaded", WHEN_HASHED, evil_say_loaded, "protocol", UNFIT,
	       "has loaded devices, in place of HASHES"),
	TARGET("unasked-hashes", WHEN_ENDED, hashes_now, "protocol", UNFIT,
	       "HASHES that were not agreed"),
	/* of a running guest */
	TARGET("live-verify-wrong", WHEN_MET, wrong_always, "integrity",
	       DIFFERS, "other hashes than its memory's, again and again"),
	TARGET("live-verify-never", WHEN_HASHED, evil_rest, "late", NO_END,
	       "HEARTBEATs in place of HASHES, while the guest is paused"),
	TARGET("live-verify-loaded", WHEN_HASHED, evil_say_loaded, "protocol",
	       UNFIT, "has loaded devices, in place of HASHES"),

	SOURCE("verify-none", AT_NEVER, NULL, "completed", "",
	       "has memory compared, and goes on"),
	SOURCE("verify-repair", WHEN_HASHED, repair_and_verify, "completed", "",
	       "sends all once more that was the same"),
	SOURCE("verify-early", WHEN_PROVEN, say_verify, "protocol", UNFIT,
	       "VERIFY before any memory"),
	SOURCE("verify-open", WHEN_SENT, say_verify, "protocol", UNFIT,
	       "VERIFY within an epoch"),
	SOURCE("verify-not-final", WHEN_PROVEN, not_final, "protocol", UNFIT,
	       "VERIFY after an epoch that is not the final one"),
	SOURCE("unasked-verify", WHEN_DONE, say_verify, "protocol", UNFIT,
	       "VERIFY that was not agreed"),
	SOURCE("verify-twice", WHEN_FINAL, verify_twice, "protocol", UNFIT,
	       "VERIFY, and at once again"),
	SOURCE("verify-again", WHEN_HASHED, say_verify, "protocol", UNFIT,
	       "VERIFY of what was hashed"),
	SOURCE("verify-flood", WHEN_FINAL, flood_verify, "protocol", UNFIT,
	       "VERIFY without end"),
	SOURCE("verify-hangup", WHEN_FINAL, verify_hangup, "peer_lost",
	       "closed the control connection", "hangs up while it is hashed"),
	SOURCE("verify-beats", WHEN_HASHED, evil_rest, "on", "",
	       "HEARTBEATs, when all was hashed"),
	SOURCE("verify-hashes", WHEN_FINAL, hashes_now, "protocol", UNFIT,
	       "HASHES, a word that is the destination's"),
	SOURCE("verify-unrepaired", WHEN_HASHED, repair, "protocol", UNFIT,
	       "COMMIT of memory that was sent once more and not compared"),
	SOURCE("verify-repair-not-final", WHEN_HASHED, repair_not_final,
	       "protocol", UNFIT, "an epoch after the final one that is not"),
	SOURCE("verify-repair-twice", WHEN_HASHED, repair_twice, "protocol",
	       UNFIT, "all of memory a third time"),
	{ 0 },
};
