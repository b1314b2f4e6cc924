/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pages.pml - one channel's epochs, numbers, acknowledgements and barrier
 *
 * Sections are those of docs/protocol.md.  What is modelled:
 *
 *   guest   writes pages at any moment; each write makes a version, and a bit
 *           in the log (5.3)
 *   source  core/src.c and core/tx.c: harvest, EPOCH_BEGIN, frames that may be
 *           sent again at any moment with what the page holds then, flush, SYNC,
 *           flush, EPOCH_END; after the pause the final epoch
 *   dest    core/dst.c and core/rx.c: places frames, acknowledges, counts
 *
 * The network is the set of all that was ever sent: whatever is in it may
 * arrive at any time, in any order, as often as it likes, in this epoch or a
 * later one, its payload damaged or not; or never.  So loss, delay, reordering
 * and duplication have no bounds here; numbers of pages, writes and epochs
 * have.  The control connection is ordered and loses nothing until it breaks,
 * which ends the migration (session.pml).
 *
 * A page stands for what one frame carries of memory: whole pages, a slice, or
 * a zero page in a HEADER; all are installed under one number and one rule.  A
 * page that was written between sum and wire (5.8) arrives as a damaged one.
 *
 * Properties: assertions, a number each:
 *   [1] no page is installed over a newer one
 *   [2] EPOCH_DONE: all the epoch's pages are in, whole, and no older than at
 *       its harvest
 *   [3] final EPOCH_DONE: the destination's memory is the guest's
 *   [4] peers that keep the rules never come to ABORT(INTEGRITY)
 * and no deadlock, and no cycle at all (pan -l): every run ends.
 */
#define EPOCHS 3
#ifndef WRITES
#define WRITES 3 /* 3 at most */
#endif
#define PAGES 2
#ifdef RENUMBER
#define NUMS 5 /* the numbers that pages sent again get are behind the others */
#else
#define NUMS 3 /* two pages, SYNC */
#endif
/* Property @n; its number is seen in what pan prints. */
#ifdef ONLY
#define CHECK(n, c) assert((c) || (n) != ONLY || (n) == 0)
#else
#define CHECK(n, c) assert((c) || (n) == 0)
#endif
#define ALL ((1 << PAGES) - 1)

mtype = { BEGIN, READY, END, DONE, ABORT };
chan to_d = [2] of { mtype, byte }; /* the control connection (6.1) */
chan to_s = [2] of { mtype, byte };

/* -- the guest at the source; versions count from 1 ------------------------------ */
byte version[PAGES] = 1;
byte written;
byte log; /* a bit a page */
bool paused, over;

/* -- the network: all that was sent ---------------------------------------------- */
byte wire[EPOCHS * NUMS]; /* of each epoch's number: bit v: with version v */
byte acks[EPOCHS];        /* of each epoch: numbers that ACKs told of */

/* -- the source -------------------------------------------------------------------- */
byte epoch;           /* from 1 */
byte todo[EPOCHS];    /* pages of each epoch, a bit each */
byte harvest[PAGES];  /* their versions at the harvest */
byte acked;           /* numbers, a bit each */
bool final;

/* -- the destination -------------------------------------------------------------- */
byte open; /* the epoch that frames are taken of; 0: none */
byte got;  /* numbers installed, a bit each */
byte mem[PAGES];   /* the version installed; 0: what was there before */
bool torn[PAGES];  /* a payload was placed whose CRC did not match */

/* Number @s of epoch @e is page ... (4.3: pages in their order, from 0) */
#define N_PAGES(e)  ((todo[(e) - 1] & 1) + (todo[(e) - 1] >> 1))
#define SYNC(e)     N_PAGES(e)
#define NUMBER(s)   ((s) > PAGES -> (s) - PAGES - 1 : (s))
#define PAGE(e, s)  (todo[(e) - 1] == ALL -> NUMBER(s) : todo[(e) - 1] - 1)
#define WIRE(e, s)  wire[((e) - 1) * NUMS + (s)]
#define BITS(n)     ((1 << (n)) - 1)
/* Are all pages' numbers in @set?  Sent again under another one counts, too. */
#ifdef RENUMBER
#define HAS_PAGES(e, set) ((((set) | ((set) >> (PAGES + 1))) & \
			    BITS(N_PAGES(e))) == BITS(N_PAGES(e)))
#else
#define HAS_PAGES(e, set) (((set) & BITS(N_PAGES(e))) == BITS(N_PAGES(e)))
#endif
#define HAS(set, bit) (((set) >> (bit)) & 1)

/* Live pages: any write, at any moment, is logged (5.3). */
active proctype guest()
{
	byte p;
end:
	do
	:: atomic { !paused && !over && written < WRITES ->
		select (p : 0 .. PAGES - 1);
		version[p]++;
		written++;
		log = log | (1 << p);
		p = 0
	   }
	:: over -> break
	od
}

/* -- the source ------------------------------------------------------------------- */

/* Read and clear the log; in epoch 1 every page is announced (5.3). */
inline begin_epoch()
{
	d_step {
		epoch++;
#ifdef FIRST_NOT_ALL
		todo[epoch - 1] = log;
#else
		todo[epoch - 1] = (epoch == 1 -> ALL : log);
#endif
		log = 0;
		for (p : 0 .. PAGES - 1) {
			harvest[p] = version[p]
		}
		p = 0;
		acked = 0
	}
	to_d!BEGIN(epoch)
}

/* A first transmission, or another one (5.7: at any time; 5.2: its number and
 * packet stay).  Memory is read when it leaves. */
#ifdef RENUMBER
#define AS(s) (WIRE(epoch, s) -> (s) + PAGES + 1 : (s))
#else
#define AS(s) (s)
#endif
#define TRANSMIT(s) \
	d_step { (s) < N_PAGES(epoch) && IS_NEWS(s) -> \
		 WIRE(epoch, AS(s)) = WIRE(epoch, AS(s)) | \
				      (1 << version[PAGE(epoch, s)]) }

/* Would it add anything to what was sent?  (What was may arrive again.) */
#define IS_NEWS(s) (!HAS(acked, s) && \
		    !HAS(WIRE(epoch, s), version[PAGE(epoch, s)]))

/* An ACK tells of number @s of epoch @e.  One that tells of several is several
 * of these; that more combinations are possible here does no harm.  It counts
 * only for the current epoch, and what was sent (4.4). */
#ifdef NO_ACK_EPOCH
#define ACK_COUNTS(e) true
#else
#define ACK_COUNTS(e) ((e) == epoch)
#endif
#ifdef CLEAR_EARLY /* what is acknowledged needs no log any more? */
#define ACKED_ALREADY(s) \
	log = ((s) < SYNC(epoch) -> log & ~(1 << PAGE(epoch, s)) : log)
#else
#define ACKED_ALREADY(s) skip
#endif
#define TAKE_ACK(e, s) \
	d_step { HAS(acks[(e) - 1], s) && ACK_COUNTS(e) && \
		 WIRE(epoch, s) && !HAS(acked, s) -> \
		 acked = acked | (1 << (s)); ACKED_ALREADY(s) }

#ifdef NO_FLUSH
#define FLUSHED ((N_PAGES(epoch) < 1 || WIRE(epoch, 0)) && \
		 (N_PAGES(epoch) < 2 || WIRE(epoch, 1)))
#define SYNCED  (WIRE(epoch, SYNC(epoch)))
#else
#define FLUSHED HAS_PAGES(epoch, acked)
#define SYNCED  HAS(acked, SYNC(epoch))
#endif

inline check_done()
{
	d_step {
		for (p : 0 .. PAGES - 1) {
			CHECK(2, mem[p] && mem[p] >= harvest[p] ||
				 !HAS(todo[epoch - 1], p) && epoch > 1);
			CHECK(2, !torn[p]);
			CHECK(3, !final || mem[p] == version[p])
		}
		p = 0
	}
}

active proctype source()
{
	byte p, e;

harvesting: /* 6.3 HARVEST: no epoch is open */
	if
	:: epoch == 0 -> begin_epoch()
	:: epoch && epoch < EPOCHS - 1 && !paused -> begin_epoch()
#ifdef HARVEST_EARLY
	:: epoch && !final -> final = true; begin_epoch(); paused = true
#else
	:: epoch && !final && !paused -> paused = true; goto harvesting
	:: epoch && paused -> final = true; begin_epoch()
#endif
	fi;

	to_s?READY(e); /* 6.3 OPEN */
	assert(e == epoch);

	do /* 6.3 EPOCH: frames and acknowledgements, in any order */
	:: TRANSMIT(0) :: TRANSMIT(1)
	/* 5.9: SYNC when all before it is released */
	:: d_step { FLUSHED && !WIRE(epoch, SYNC(epoch)) ->
		WIRE(epoch, SYNC(epoch)) = 1 }
	:: TAKE_ACK(1, 0) :: TAKE_ACK(1, 1) :: TAKE_ACK(1, 2)
	:: TAKE_ACK(2, 0) :: TAKE_ACK(2, 1) :: TAKE_ACK(2, 2)
	:: TAKE_ACK(3, 0) :: TAKE_ACK(3, 1) :: TAKE_ACK(3, 2)
#ifdef RENUMBER
	:: TAKE_ACK(1, 3) :: TAKE_ACK(2, 3) :: TAKE_ACK(3, 3)
	:: TAKE_ACK(1, 4) :: TAKE_ACK(2, 4) :: TAKE_ACK(3, 4)
#endif
	:: !final && !paused -> paused = true /* the pause need not wait */
	:: to_d!ABORT(0); goto failed /* stalled, cancelled */
	:: FLUSHED && SYNCED -> break
	od;

	to_d!END(epoch); /* 6.3 BARRIER */
	if
	:: to_s?DONE(e) ->
		assert(e == epoch);
		check_done();
		if
		:: final -> over = true
#ifdef REACH
			CHECK(REACH, false)
#endif
		:: else -> goto harvesting
		fi
	:: to_s?ABORT(e) -> over = true
	fi;
	goto done;
failed:
	over = true;
done:
	skip
}

/* -- the destination ----------------------------------------------------------------- */

#ifdef NO_EPOCH
#define IS_CURRENT(e) true
#else
#define IS_CURRENT(e) ((e) == open) /* 5.3 */
#endif
#ifdef NO_ONCE
#define IS_NEW(s) true
#else
#define IS_NEW(s) !HAS(got, s) /* 5.2 */
#endif
#define INSTALLED(s) \
	got = got | (1 << (s)); acks[open - 1] = acks[open - 1] | got
#ifdef ACK_REJECTED
#define REJECTED(s) INSTALLED(s)
#else
#define REJECTED(s) skip
#endif
/* Number @s of epoch @e arrives, with version @v of its page, ... */
#define TAKE(e, s, v) \
	d_step { (s) != SYNC(e) && HAS(WIRE(e, s), v) && IS_CURRENT(e) && \
		 IS_NEW(s) && !(HAS(got, s) && mem[PAGE(e, s)] == (v)) -> \
		 CHECK(1, (v) >= mem[PAGE(e, s)]); \
		 mem[PAGE(e, s)] = (v); torn[PAGE(e, s)] = false; \
		 INSTALLED(s) }
/* ... or damaged: it is placed before it is known to be (4.1), not installed. */
#define DAMAGED(e, s) \
	d_step { (s) != SYNC(e) && WIRE(e, s) && IS_CURRENT(e) && IS_NEW(s) && \
		 !torn[PAGE(e, s)] -> \
		 torn[PAGE(e, s)] = true; REJECTED(s) }
#define TAKE_ANY(e, s) \
	:: TAKE(e, s, 1) :: TAKE(e, s, 2) :: TAKE(e, s, 3) :: TAKE(e, s, 4) \
	:: DAMAGED(e, s)

/* Frames of the epoch: all of them, and all pages of epoch 1 (6.4). */
#ifdef NO_TOTALS
#define TOTALS_MATCH true
#else
#define TOTALS_MATCH (HAS_PAGES(open, got) && HAS(got, SYNC(open)) && \
		      (open > 1 || todo[0] == ALL))
#endif

active proctype dest()
{
	byte e;

end_ready: /* 6.4 READY: no frame is taken */
	do
	:: to_d?BEGIN(e) ->
		d_step { open = e; got = 0; e = 0 };
		to_s!READY(open);
		do /* 6.4 EPOCH */
		TAKE_ANY(1, 0) TAKE_ANY(1, 1)
		TAKE_ANY(2, 0) TAKE_ANY(2, 1)
		TAKE_ANY(3, 0) TAKE_ANY(3, 1)
#ifdef RENUMBER
		TAKE_ANY(1, 3) TAKE_ANY(1, 4)
		TAKE_ANY(2, 3) TAKE_ANY(2, 4)
		TAKE_ANY(3, 3) TAKE_ANY(3, 4)
#endif
		:: d_step { WIRE(open, SYNC(open)) && !HAS(got, SYNC(open)) ->
			INSTALLED(SYNC(open)) }
		:: to_d?END(e) -> e = 0; break
		:: to_d?ABORT(e) -> goto done
		od;
		if /* 6.4 TOTALS */
		:: TOTALS_MATCH ->
			atomic { e = open; open = 0; to_s!DONE(e); e = 0 }
		:: else ->
#ifndef ABORT_IS_FINE
			CHECK(4, false);
#endif
			to_s!ABORT(0);
			goto done
		fi
	:: to_d?ABORT(e) -> goto done
	:: over -> break
	od;
done:
	skip
}
