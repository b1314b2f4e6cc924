/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_guard.h - a process with a guardian, and a QEMU
 *
 * A "mover" is a process that opens QEMU's monitor, starts a guardian and
 * brings QEMU into some state; then it says so and waits to be killed.  What
 * becomes of the guest is looked at through a second monitor.
 */
#ifndef T_GUARD_H
#define T_GUARD_H

#include <stdbool.h>
#include <sys/types.h>
#include <unistd.h>

#include "guest/guardian.h"
#include "t_qemu.h"

#define RAM                                                             \
	"-m 32 -object memory-backend-memfd,id=ram0,size=32M,share=on " \
	"-machine memory-backend=ram0 "

struct t_guard {
	struct t_qemu qemu;
	const char *socket; /* for the mover; NULL: QEMU's */
	char record[64];
	int lock; /* on its name */
	pid_t mover;
	pid_t guardian;
};

/* Of a mover, all without cmocka: it is another process. */
struct mover {
	struct qmp *qmp;
	struct qemu q; /* as far as a guardian needs it */
	struct guardian g;
};

/* What a mover does. */
void must(int r, const struct xm_error *e);
void tell(struct mover *m, const char *command, json_t *args);
int start(struct mover *m, pid_t qemu, struct xm_error *e);
void arm(struct mover *m);
void to_switchover(struct mover *m); /* begin a migration to nowhere */

void act_nothing(struct mover *m);
void act_stop(struct mover *m);       /* armed, and the guest stopped */
void act_switchover(struct mover *m); /* armed, at pre-switchover */
void act_completed(struct mover *m);  /* and QEMU has completed */

/* Let a mover do @act; it lives when this returns. */
void t_move(struct t_guard *t, void (*act)(struct mover *m), bool leave_paused);
void t_kill_mover(struct t_guard *t);
/* The guardian ends by itself. */
void t_ended(pid_t guardian);

/* The record's @key, "" none; static, until the next call. */
const char *t_recorded(const struct t_guard *t, const char *key);
/* Soon, and all that a record has. */
void t_record_says(const struct t_guard *t, const char *guardian,
		   const char *home);
int t_open_lock(const struct t_guard *t);
bool t_lock_is_free(const struct t_guard *t);

/* A guest that runs; one that is paused; one with a disk, "disk". */
int setup(void **state);
int setup_paused(void **state);
int setup_disk(void **state);
int teardown(void **state);

#define T(f)        cmocka_unit_test_setup_teardown(f, setup, teardown)
#define T_DISK(f)   cmocka_unit_test_setup_teardown(f, setup_disk, teardown)
#define T_PAUSED(f) cmocka_unit_test_setup_teardown(f, setup_paused, teardown)

#endif
