/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guardian_priv.h - of the guardian's own process: guardian.c, guardian_act.c */
#ifndef XM_GUEST_GUARDIAN_PRIV_H
#define XM_GUEST_GUARDIAN_PRIV_H

#include <jansson.h>
#include <stdbool.h>

#include "qemu.h"
#include "settings.h"

/* What it was told last. */
enum guard_state {
	GUARD_RUN = 'A',    /* bring the guest back, and let it run */
	GUARD_PAUSED = 'P', /* end the migration; it was paused before */
	GUARD_DRAIN = 'S',  /* let it run; there is no migration of ours */
	GUARD_IDLE = 'D',   /* it runs: only look */
	GUARD_COMMIT = 'C', /* nothing, ever, to the guest */
};

struct guard {
	int pipe;
	int monitor;          /* the connection that we share; -1: broken */
	int parent;           /* pidfd, or -1 */
	const struct qemu *q; /* of the time of the fork; its pidfd is ours */
	enum guard_state state;
	char *path;          /* of the record, or NULL */
	json_t *note;        /* what it always says */
	int lock;            /* on the record's name, or -1 */
	struct settings old; /* QEMU's, to put back */
};

/* How it ends: its exit status. */
enum guard_end {
	GUARD_BACK,  /* the guest is back, or was never away */
	GUARD_OVER,  /* that is not so, or nobody's question */
	GUARD_TAKEN, /* somebody else migrates it, or has */
	GUARD_LEFT,  /* the guest is back, and QEMU refused its old settings */
};

/* Our parent is dead: do what @g->state asks for, until it is done or QEMU has
 * ended. */
enum guard_end guardian_act(struct guard *g);

#endif
