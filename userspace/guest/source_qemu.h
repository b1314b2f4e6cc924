/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source_qemu.h - between source_qemu.c and source_back.c */
#ifndef XM_GUEST_SOURCE_QEMU_H
#define XM_GUEST_SOURCE_QEMU_H

#include <stdbool.h>

#include "dirtylog.h"
#include "guardian.h"
#include "guest.h"
#include "news.h"
#include "qemu.h"
#include "settings.h"
#include "throttle.h"

#define SOURCE_STATE_LEN 32 /* bytes of a run state's name */

struct source_qemu {
	struct guest_source s; /* first: the ops cast it back */
	struct qemu q;
	struct guardian guardian;
	struct dirtylog *log;
	struct throttle throttle;
	struct settings old;
	struct guest_news news; /* wakes for events that were read with an
				 * answer, too */
	int stream;             /* QEMU's device state, or -1 */
	bool was_suspended;
	bool is_migrating; /* QEMU was told to */
	bool is_paused;    /* pre-switchover was seen */
	bool is_completed; /* and did */
	bool has_ended;    /* the stream */
	bool is_settled;   /* done, or resumed */
};

/* Is its process? */
bool source_is_gone(const struct source_qemu *y);
int source_fail_gone(const struct source_qemu *y, struct xm_error *e);

/* What is to be said of @r and @from, which QEMU's monitor gave: that QEMU is
 * gone, if it is.  Returns the error, or 0 if @r is. */
int source_explain(const struct source_qemu *y, int r,
		   const struct xm_error *from, struct xm_error *e);

/* Run @command; @args is taken over.  0 or -errno with @e. */
int source_tell(struct source_qemu *y, const char *command, json_t *args,
		struct xm_error *e);

/* QEMU's run state, SOURCE_STATE_LEN bytes.  0 or -errno with @e. */
int source_run_state(struct source_qemu *y, char *ret_state,
		     struct xm_error *e);

/* End the migration, if one was begun, and bring the guest back to how it was
 * when opened; its stream is closed already.  @ret_completed: QEMU had moved
 * it.  0 or -errno with @e; takes 20 s at most. */
int source_bring_back(struct source_qemu *y, bool *ret_completed,
		      struct xm_error *e);

#endif
