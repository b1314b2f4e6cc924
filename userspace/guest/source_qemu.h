/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source_qemu.h - between the source_*.c of a QEMU */
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
	bool is_drained;       /* stopped by us for a moment */
	bool must_look;        /* something happened that we did not ask for */
	bool has_quit;         /* the guest, which shut down or panicked */
	bool has_our_settings; /* QEMU, or nobody knows whether it has */
	bool is_migrating;     /* QEMU was told to, and did not refuse */
	bool is_paused;        /* pre-switchover was seen */
	bool is_completed;     /* and did */
	bool has_ended;        /* the stream */
	bool is_settled;       /* done, or resumed */
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

/* -- source_check.c */

/* Nobody else may move the guest from here on.  0 or -errno with @e; it ends
 * with the descriptors of @y->q. */
int source_lock(const struct source_qemu *y, struct xm_error *e);
/* No migration but ours, and none that has taken the guest away: then
 * XM_REASON_UNKNOWN_OUTCOME.  Its run state, SOURCE_STATE_LEN bytes. */
int source_check_alone(struct source_qemu *y, char *ret_state,
		       struct xm_error *e);
/* May a guest in @state be moved? */
int source_check_state(const struct source_qemu *y, const char *state,
		       struct xm_error *e);
/* Is its RAM what it was when opened? */
int source_check_ram(struct source_qemu *y, struct xm_error *e);
/* Our migration is over and the guest rests, as QEMU left it. */
int source_check_moved(struct source_qemu *y, struct xm_error *e);

/* Is there a device, now, whose writes no log shows?  Then -EOPNOTSUPP.  A disk
 * whose reads must be drained sets has_drain and q.has_direct_io. */
int source_check_devices(struct source_qemu *y, struct xm_error *e);
/* DEVICE_DELETED: was the device there when we looked?  Else -ESTALE: nobody
 * knows what it wrote. */
int source_check_deleted(struct source_qemu *y, const json_t *event,
			 struct xm_error *e);

/* -- source_harvest.c */

/* The verbs of struct guest_source_ops. */
int source_track(struct guest_source *s, struct xm_error *e);
int source_harvest(struct guest_source *s, uint64_t *const *dirty,
		   uint64_t *ret_pages, struct xm_error *e);

/* -- source_back.c, again */

/* Let the guest run that we stopped for a moment; nothing if we did not. */
int source_undrain(struct source_qemu *y, struct xm_error *e);
/* From the return on our death brings the guest back: lets it run (@is_drain),
 * or ends the migration, too. */
int source_arm(struct source_qemu *y, bool is_drain, struct xm_error *e);

/* Of the guest's process: what is needed in any case, also if it is gone. */
void source_let_go(struct source_qemu *y);

/* Put QEMU's settings back, as far as they are known here: has_our_settings says
 * whether it has ours still, and the guardian has to.  0 or -errno with @e. */
int source_restore(struct source_qemu *y, struct xm_error *e);

/* guest_source_resume(): ends the migration, if we began one, and brings the
 * guest back to how it was before.  A guest that we neither stopped nor migrated
 * is left alone.  Takes 20 s at most. */
int source_resume(struct guest_source *s, struct xm_error *e);

#endif
