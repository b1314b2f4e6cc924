/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_move.h - a whole move between two local QEMUs, step by step
 *
 * The test is the network: memory is copied from map to map, and device state
 * from one end to the other.
 */
#ifndef T_MOVE_H
#define T_MOVE_H

#include "guest/guest.h"
#include "t_vm.h"

/* How far a move has come. */
enum t_step {
	T_OPEN,
	T_TRACK,  /* the source's writes are logged */
	T_COPIED, /* two epochs are there */
	T_PAUSED, /* and all of the memory, the guest is paused */
	T_HANDED, /* all device state is out of the source */
	T_LOADED, /* and in the target */
	T_COMMIT, /* the source let go */
	T_MOVED,  /* the target runs */
	T_STEPS
};

struct t_move {
	struct t_vm a, b;
	struct guest_source *s;
	struct guest_target *t;
	struct guest_ram from, to;
	uint64_t *dirty[XM_BLOCK_MAX];
	uint64_t harvested; /* pages, after the first epoch */
	char held[65536];   /* device state that the target did not take yet */
	size_t n_held, at;
	uint64_t n_device; /* bytes of it */
	struct xm_error e;
};

#define T_OK(call)                                        \
	do {                                              \
		if ((call) != 0)                          \
			fail_msg(#call ": %s", m->e.msg); \
	} while (0)

/* Open both ends (b not started: only the source). */
void t_move_open(struct t_move *m);
/* From the begin up to @step; with no target, T_LOADED and on make no sense. */
void t_move_to(struct t_move *m, enum t_step step);
/* The step after the last one. */
void t_move_step(struct t_move *m, enum t_step step);
/* Harvest, and copy what was. */
void t_move_epoch(struct t_move *m);
/* Turn both ends until @want, of the source's or the target's news. */
void t_move_await(struct t_move *m, unsigned int want);
void t_move_close(struct t_move *m);

extern const struct t_vm_opts t_move_target;

/* For cmocka: a struct t_move whose source runs a guest, and whose target waits; or that
 * has none of both yet. */
int t_move_setup(void **state);
int t_move_setup_none(void **state);
int t_move_teardown(void **state);

#endif
