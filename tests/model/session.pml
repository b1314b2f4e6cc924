/* SPDX-License-Identifier: GPL-2.0-or-later */
/* session.pml - the switchover: who runs the guest, whoever dies meanwhile
 *
 * From the moment before the guest is paused to the end, and what people do
 * afterwards by docs/operations.md.  The processes are those of two hosts:
 *
 *   send      cli/send.c, core/src.c, guest/source_qemu.c, source_back.c
 *   guardian  guest/guardian.c, guardian_act.c
 *   qemu_s    the source's QEMU
 *   recv      cli/cmd_recv.c, core/dst.c, guest/target_qemu.c
 *   qemu_d    the target's
 *   people    docs/operations.md 2 to 4, one of them for both hosts
 *
 * Memory is pages.pml's; here it is all there when DEVICE_END is said.  So is
 * --verify (6.7): it comes between the pause and CONTINUE, and can do nothing but
 * go on or fail, as send and recv may do there at any moment.
 *
 * Faults: send, recv, either QEMU, the target's host, and a guardian that acts
 * are killed, FAULTS of them at any moment each; either side loses the
 * connection at any moment, by silence or since the other one is gone, with
 * whatever is on its way; either side is cancelled, or fails by itself, at any
 * moment; a QEMU refuses, or does not answer in time and does it later.  Who
 * kills send *and* a guardian that only waits is on his own (guardian.c).
 *
 * A command to QEMU is carried out later than said, in order, whoever said it
 * and whether he lives; what was said on the control connection is there or
 * lost.
 *
 * Properties: assertions, a number each:
 *   [1] never two running guests
 *   [2] never a guest that goes back: once it ran at the target, memory and
 *       devices of the source are of yesterday, and its disks are not
 *   [3] who says where the guest is does not lie: results, records, statuses
 *   [4] it runs when all is over: where the two sides left it or where people
 *       bring it by what those say; unless the QEMU that had it is dead
 *   [5] the target runs nothing that it has not loaded
 * and no deadlock, and no cycle at all (pan -l): every run ends.
 */
#ifndef FAULTS
#define FAULTS 2
#endif

mtype = { /* what a QEMU does with the guest */
	RUNNING, SWITCHOVER, /* paused, its devices are being read */
	POSTMIGRATE,
	INMIGRATE, PAUSED, /* loaded */
	STOPPED, /* ran, and stopped by itself: io-error, shutdown, ... */
	GONE,
	/* commands to it, and answers */
	MIGRATE, CONTINUE, CANCEL, CONT, OK, REFUSED,
	/* the control connection (protocol.md 6.1) */
	DEVICE_END, LOADED, COMMIT, COMMITTED, ABORT,
	/* to the guardian: 'A', 'D', 'C', 'E' */
	ARM, DISARM, HANDED, END,
	/* results and records: where it runs (operations.md 3, 4) */
	NOTHING, SOURCE, TARGET, UNKNOWN, TRYING, KILLED, LOST };

mtype qs = RUNNING, qd = INMIGRATE;
bool ran_d;               /* the guest ran at the target */
bool anew;                /* people started it from its disks, as after a crash */
chan to_qs = [4] of { mtype };
chan to_qd = [3] of { mtype };
bool streamed;             /* qemu_d has all device state */
mtype answer = NOTHING;   /* of qemu_d to the last command */

chan to_d = [3] of { mtype };
chan to_s = [3] of { mtype };
bool s_open = true, d_open = true; /* its end of the connection */

bool s_alive = true, g_alive = true, r_alive = true;
mtype s_says = NOTHING;  /* its exit: KILLED, or what its status means */
mtype s_record = NOTHING, r_record = NOTHING;
mtype r_says = NOTHING;
bool g_acts, d_host = true, s_died;
byte faults;

chan pipe = [2] of { mtype };
mtype g_mode = DISARM, confirmed = NOTHING;

/* Property @n; its number is seen in what pan prints. */
#ifdef ONLY
#define CHECK(n, c) assert((c) || (n) != ONLY || (n) == 0)
#else
#define CHECK(n, c) assert((c) || (n) == 0)
#endif
#define BOTH_RUN (qs == RUNNING && qd == RUNNING)
#define SAY(to, is_open, m) atomic { if :: is_open -> to!m :: else fi }
/* A QEMU that is gone hears nothing; nobody asks a second time before an answer */
#define TELL_S(c) atomic { if :: qs != GONE -> to_qs!c :: else fi }
#define TELL_D(c) atomic { if :: qd != GONE -> to_qd!c :: else fi }

inline flush(c)
{
	do
	:: c?_
	:: empty(c) -> break
	od
}

inline run_s()
{
	qs = RUNNING;
	CHECK(1, !BOTH_RUN);
	CHECK(1, !anew);
	CHECK(2, !ran_d)
}

inline run_d()
{
	CHECK(5, qd == PAUSED || qd == STOPPED);
	qd = RUNNING;
	ran_d = true;
	CHECK(1, !BOTH_RUN);
	CHECK(3, s_says != SOURCE);
	CHECK(3, r_record != SOURCE);
	CHECK(3, s_record != SOURCE);
	CHECK(1, !anew)
}

/* -- QEMU at the source ------------------------------------------------------------- */

active proctype qemu_s()
{
	bool migrates, completes;
end:
	do
	:: atomic { to_qs?MIGRATE -> migrates = (qs == RUNNING) }
	/* pre-switchover: no CPU runs, disks are drained */
	:: atomic { migrates && qs == RUNNING -> qs = SWITCHOVER }
	:: atomic { to_qs?CONTINUE -> completes = (qs == SWITCHOVER) }
	:: atomic { completes && qs == SWITCHOVER ->
		migrates = false; completes = false;
		if
		:: qs = POSTMIGRATE /* completed */
		:: run_s()          /* failed: it lets the guest run */
		fi
	   }
	:: atomic { to_qs?CANCEL ->
		migrates = false; completes = false;
		if
		:: qs == SWITCHOVER -> run_s()
		:: else
		fi
	   }
	:: atomic { to_qs?CONT ->
		if
		:: qs == POSTMIGRATE -> run_s()
		:: else
		fi
	   }
	od
}

/* -- send ---------------------------------------------------------------------------- */

#define EXIT_S(what) s_says = what; s_open = false; s_alive = false

#ifdef NO_CONFIRM
#define UNHEARD HANDED
#else
#define UNHEARD NOTHING
#endif
/* guardian.c say(): a command, and the guardian's word for it */
inline say(c)
{
	if
	:: g_alive -> pipe!c
	:: else
	fi;
	confirmed == c || !g_alive || c == UNHEARD
}

#ifdef NO_RECORD
#define WRITE_RECORD_S skip
#else
#define WRITE_RECORD_S s_record = UNKNOWN
#endif

/* guardian_commit(): one that does not confirm it is killed */
#ifdef GUARDIAN_NOT_DISARMED
#define SILENCE skip
#else
#define SILENCE \
	if \
	:: true -> say(HANDED) \
	:: atomic { confirmed != HANDED -> g_alive = false } \
	fi
#endif

/* Before COMMIT all of these end in the same way: its own failure or a user
 * who cancels (ABORT is said), the peer's ABORT, a lost connection (6.3). */
#define FAILS \
	:: true -> SAY(to_d, d_open, ABORT); goto back \
	:: to_s?ABORT -> goto back \
	:: s_open = false; goto back

active proctype send()
{
	mtype m;
	bool was_committed;

	{
	if
#ifdef NOT_ARMED
	:: true
#else
	:: true -> say(ARM) /* source_qemu.c qemu_pause(): before anything is done */
#endif
	FAILS
	fi;
	TELL_S(MIGRATE);
	if
	:: qs == SWITCHOVER
	:: qs == GONE -> goto back
	FAILS
	fi;
	TELL_S(CONTINUE); /* the final epoch is over: hand_over */
	if
#ifdef EOF_IS_END /* the stream's end also comes when QEMU gives up */
	:: empty(to_qs)
#else
	:: qs == POSTMIGRATE /* "completed" */
#endif
	:: empty(to_qs) && qs == RUNNING -> goto back
	:: qs == GONE -> goto back
	FAILS
	fi;
	SAY(to_d, d_open, DEVICE_END); /* 6.3 HARVEST -> DEVICE */
	if
	:: to_s?LOADED
#ifdef NO_LOADED
	:: true
#endif
	FAILS
	fi;

	/* send.c send_hand_over(): the record comes first, so that whenever
	 * we die either the guest comes back or there is one */
#ifdef COMMIT_BEFORE_RECORD
	SAY(to_d, d_open, COMMIT);
#endif
#ifdef RECORD_AFTER_DISARM
	SILENCE;
	WRITE_RECORD_S;
#else
	WRITE_RECORD_S;
	if
#ifndef EOF_IS_END
	:: qs != POSTMIGRATE -> goto back /* source_check_moved() */
	:: qs == POSTMIGRATE
#else
	:: true
#endif
	FAILS
	fi;
	SILENCE;
#endif
#ifndef COMMIT_BEFORE_RECORD
	SAY(to_d, d_open, COMMIT);
#endif
	was_committed = true;

	if /* 6.3 COMMIT: nothing but the target's word counts */
	:: to_s?COMMITTED ->
		s_record = TARGET;
		say(END);
#ifdef REACH
		CHECK(REACH, false);
#endif
		atomic { EXIT_S(TARGET) };
		goto done
	:: to_s?ABORT -> goto back
	:: s_open = false; /* lost: the peer is gone, or silent */
#ifdef RESUME_WHEN_LOST
		goto back;
#endif
		say(END);
		atomic { EXIT_S(UNKNOWN) }; /* status 6 */
		goto done
#ifdef CANCEL_IN_COMMIT
	:: goto back
#endif
	fi;

back: /* source_back.c source_resume(), before anything else */
	if
	:: was_committed -> say(ARM) /* our death counts again */
	:: else
	fi;
#ifndef NOT_CANCELLED
	TELL_S(CANCEL);
#endif
	if
	:: empty(to_qs) || qs == GONE
	:: goto leave /* not in time, or the monitor is broken */
	fi;
	if
	:: qs == POSTMIGRATE ->
		TELL_S(CONT);
		if
		:: empty(to_qs) || qs == GONE
		:: goto leave
		fi
	:: else
	fi;
	if
	:: qs == RUNNING || qs == GONE ->
		say(DISARM);
		if
		:: qs == GONE -> s_record = UNKNOWN
		:: else -> s_record = SOURCE
		fi;
		say(END);
		atomic { EXIT_S((qs == GONE -> UNKNOWN : SOURCE)) }; /* 1 to 5 */
		goto done
	:: else -> goto leave
	fi;
leave: /* guardian_leave(): for it our end is death; status 6, resume_error */
#ifdef SAYS_BACK_UNSEEN
	atomic { EXIT_S(SOURCE) };
#else
	atomic { EXIT_S(UNKNOWN) };
#endif
done:	skip
	} unless { !s_alive }
}

/* -- the guardian --------------------------------------------------------------------- */

#ifdef PIPE_NOT_READ
#define IS_READ true
#else
#define IS_READ empty(pipe) /* what was written before a death counts */
#endif

active proctype guardian()
{
	mtype m;

	{
	do
	:: atomic { pipe?m ->
		if
		:: m == END -> g_alive = false
		:: else -> g_mode = m; confirmed = m
		fi
	   }
	:: atomic { !s_alive && IS_READ -> break }
	od;
	if
	:: g_mode == HANDED
	:: g_mode == DISARM -> s_record = SOURCE /* not begun, or it is back */
#ifdef NO_TRYING
	:: atomic { g_mode == ARM -> g_acts = true };
#else
	:: atomic { g_mode == ARM -> g_acts = true; s_record = TRYING };
#endif
		TELL_S(CANCEL); /* guardian_act.c */
#ifndef GUARDIAN_LOOKS_EARLY
		empty(to_qs) || qs == GONE;
#endif
		if
		:: qs == POSTMIGRATE ->
			TELL_S(CONT);
			empty(to_qs) || qs == GONE
		:: else
		fi;
		s_record = (qs == GONE -> UNKNOWN : SOURCE)
	fi;
	g_alive = false
	} unless { !g_alive }
}

/* -- QEMU at the target --------------------------------------------------------------- */

inline kill_qd()
{
	atomic { qd = GONE; flush(to_qd); answer = NOTHING }
}

#ifdef NO_STOP /* target_qemu.c look_again(): it would start by itself */
#define LOADED_IT run_d()
#else
#define LOADED_IT skip
#endif

active proctype qemu_d()
{
	bool stopped; /* by itself; once is enough */
end:
	do
	:: atomic { streamed && qd == INMIGRATE ->
		if
		:: true -> qd = PAUSED; LOADED_IT
		:: true -> kill_qd() /* cannot load it, and ends */
		fi
	   }
	:: atomic { to_qd?CONT ->
		if
		:: qd == PAUSED -> run_d(); answer = OK
		:: qd == PAUSED -> answer = REFUSED
		:: qd == STOPPED -> run_d(); answer = OK
		:: qd == STOPPED -> answer = REFUSED /* must be reset first */
		:: qd == RUNNING -> answer = OK
		:: qd == INMIGRATE -> run_d()
		fi
	   }
	:: atomic { qd == RUNNING && !stopped -> stopped = true; qd = STOPPED }
	od
}


/* -- recv ---------------------------------------------------------------------------------- */

#define EXIT_R(what) r_says = what; d_open = false; r_alive = false
/* 6.4: our own failure or a user who cancels, ABORT, a lost connection */
#define R_FAILS \
	:: true -> SAY(to_s, s_open, ABORT); goto abandon \
	:: to_d?ABORT -> goto abandon \
	:: d_open = false; goto abandon

active proctype recv()
{
	bool told, asked;

	{
	if /* 6.4 READY, after the final epoch */
	:: to_d?DEVICE_END
	:: to_d?COMMIT -> SAY(to_s, s_open, ABORT); goto abandon
	R_FAILS
	fi;
	streamed = true; /* 6.4 LOAD */
	if
	:: qd == PAUSED || qd == RUNNING
	:: qd == GONE -> SAY(to_s, s_open, ABORT); goto abandon
#ifdef TAKES_UNLOADED
	:: to_d?COMMIT -> goto take
#else
	:: to_d?COMMIT -> SAY(to_s, s_open, ABORT); goto abandon
#endif
	R_FAILS
	fi;
	SAY(to_s, s_open, LOADED);
	if /* 6.4 READY */
	:: to_d?COMMIT
	:: qd == GONE -> SAY(to_s, s_open, ABORT); goto abandon
	R_FAILS
	fi;

take:	/* 6.4 COMMIT: whatever becomes of the connection */
#ifndef NO_RECORD_AT_TARGET
	if
	:: r_record = UNKNOWN
#ifdef RECORD_MAY_FAIL
	:: true
#else
	:: true -> SAY(to_s, s_open, ABORT); goto abandon /* cannot be written */
#endif
	fi;
#endif
	if /* target_qemu.c qemu_run() */
	:: qd == GONE -> SAY(to_s, s_open, ABORT); goto abandon
	:: qd != GONE
	fi;
	told = true;
#ifdef COMMITTED_EARLY
	SAY(to_s, s_open, COMMITTED);
#endif
again:
	atomic { answer = NOTHING; TELL_D(CONT) };
	if
	:: answer == OK
	:: answer == REFUSED -> goto refused
#ifdef ABORT_WHEN_LOST
	:: qd == GONE -> SAY(to_s, s_open, ABORT); goto abandon
#else
	:: qd == GONE -> goto lost
#endif
#ifdef ABANDON_IN_COMMIT
	:: !s_open -> goto abandon
#endif
	:: !asked -> /* not in time: it may do it later */
		asked = true;
#ifdef ABORT_WHEN_TOLD
		SAY(to_s, s_open, ABORT);
		goto abandon;
#endif
		/* start_again(): query-status is answered after it */
		if
#ifdef NOT_ASKED
		:: true
#endif
		:: empty(to_qd) && qd == RUNNING
		:: empty(to_qd) && qd == PAUSED -> goto again
		:: empty(to_qd) && qd == STOPPED
#ifdef STOPPED_IS_REFUSED
			-> goto again
#endif
		:: qd == GONE -> goto lost
		fi
	fi;
	SAY(to_s, s_open, COMMITTED);
	r_record = TARGET;
	atomic { EXIT_R(TARGET) };
	goto done;
refused: /* it shall not try again: ended before ABORT is said */
	told = false;
	kill_qd();
	SAY(to_s, s_open, ABORT);
	goto abandon;
lost: /* recv_lose(): told, and gone; it may have run */
	atomic { EXIT_R(UNKNOWN) };
	goto done;
abandon: /* recv_main(), recv_close(): the record, then QEMU is ended */
	d_open = false;
	r_record = SOURCE;
	if
	:: !told -> kill_qd()
	:: else
	fi;
	atomic { EXIT_R(SOURCE) };
done:	skip
	} unless { !r_alive }
}

/* -- what dies ------------------------------------------------------------------------------ */

#define MAY_DIE faults < FAULTS

active proctype death()
{
end:
	do
	:: atomic { s_alive && MAY_DIE ->
		faults++; EXIT_S(KILLED) }
	:: atomic { r_alive && MAY_DIE ->
		faults++; EXIT_R(KILLED) }
	:: atomic { g_alive && g_acts && MAY_DIE ->
		faults++; g_alive = false }
	:: atomic { qs != GONE && MAY_DIE ->
		faults++; s_died = true; qs = GONE; flush(to_qs) }
	:: atomic { qd != GONE && MAY_DIE ->
		faults++; kill_qd() }
	:: atomic { d_host && MAY_DIE -> /* and what is in its /run with it */
		faults++; d_host = false; kill_qd();
		EXIT_R(KILLED); r_record = LOST }
	od
}

/* -- people --------------------------------------------------------------------------------- */

#ifdef GONE_IS_NOT_THERE
#define IS_NOT_THERE (r_record != TARGET && r_record != SOURCE)
#else
#define IS_NOT_THERE (r_record == NOTHING) /* was never told to run it */
#endif
#ifdef FENCED_IS_NOT_THERE
#define AFTER_FENCING cont_source
#else
#define AFTER_FENCING start_anew
#endif
#ifdef NO_LOOK_AT_SOURCE
#define LOOKS_AT_SOURCE false
#else
#define LOOKS_AT_SOURCE true
#endif
#ifdef LOOK_EARLY
#define HAS_ENDED true
#else
#define HAS_ENDED !r_alive
#endif

/* cont at the source, or what is left to do if its QEMU is dead */
inline cont_source()
{
	TELL_S(CANCEL);
	TELL_S(CONT);
	empty(to_qs) || qs == GONE
}

inline end_source()
{
	atomic { qs = GONE; flush(to_qs) }
}

inline start_anew()
{
	end_source();
	atomic { anew = true; CHECK(1, qd != RUNNING) }
}

active proctype people()
{
	!s_alive && !g_alive;
	if /* operations.md 2, 3 */
	:: s_says == TARGET || s_says == KILLED && s_record == TARGET ->
		CHECK(3, ran_d);
		end_source();
		goto done
	:: s_says == SOURCE || s_says == KILLED && s_record == NOTHING ||
	   s_record == SOURCE ->
		CHECK(3, !ran_d);
		kill_qd();
		goto done
	:: s_record == TRYING || s_says == UNKNOWN && s_record == NOTHING ->
		CHECK(3, !ran_d); /* 3.1: its guardian was killed, too */
		kill_qd();
		cont_source();
		goto done
	:: else
	fi;

	/* operations.md 4.  When QEMU answers query-status, what others had told
	 * it before is done. */
	HAS_ENDED && empty(to_qd) && empty(to_qs);
	if
	:: qs == RUNNING && LOOKS_AT_SOURCE -> /* ABORT came, and send died */
		CHECK(3, !ran_d);
		kill_qd();
		goto done
	:: else
	fi;
	if
	:: !d_host -> AFTER_FENCING() /* it may have run there */
	:: d_host && (r_record == TARGET || qd == RUNNING || qd == STOPPED) ->
		end_source()
	:: r_record == SOURCE ->
		kill_qd();
		cont_source()
	:: qd == GONE && IS_NOT_THERE -> cont_source()
	:: qd == GONE && r_record == UNKNOWN -> start_anew()
	:: qd == INMIGRATE && r_record != SOURCE ->
		kill_qd();
		cont_source()
	:: qd == PAUSED && r_record != SOURCE && r_record != TARGET ->
		if
		:: true -> TELL_D(CONT);
			empty(to_qd);
			if
			:: qd == RUNNING || qd == STOPPED -> end_source()
			:: qd == PAUSED -> /* refused */
				kill_qd();
				cont_source()
			:: qd == GONE -> start_anew()
			fi
		:: qs != GONE ->
			kill_qd();
			cont_source()
		fi
	fi;
done:	/* the end: [4] */
	timeout;
	CHECK(4, qs == RUNNING && qd != RUNNING ||
	       qd == RUNNING && qs != RUNNING || anew ||
	       s_died || ran_d && (qd == STOPPED || qd == GONE))
}
