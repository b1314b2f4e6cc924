/* SPDX-License-Identifier: GPL-2.0-or-later */
/* settings.h - a QEMU's migration settings, for the time of ours
 *
 * A struct settings starts zeroed; it holds what was set before.
 */
#ifndef XM_GUEST_SETTINGS_H
#define XM_GUEST_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>

#include "qmp.h"

struct settings {
	json_t *capabilities; /* arguments of migrate-set-capabilities */
	json_t *parameters;   /* of migrate-set-parameters */
};

/* Ask what is there (@old) of what a switchover needs otherwise at this end
 * (@ours).  Nothing is changed.  0 or -errno with @e, and both empty: -ENOTSUP:
 * this QEMU lacks something. */
int settings_plan(struct settings *old, struct settings *ours, struct qmp *qmp,
		  bool is_target, struct xm_error *e);

/* Change it; @ours is forgotten.  0 or -errno with @e: then all is as it was,
 * as far as QEMU answers. */
int settings_change(struct settings *old, struct settings *ours,
		    struct qmp *qmp, struct xm_error *e);

/* Both, for who has nobody to tell between. */
int settings_apply(struct settings *old, struct qmp *qmp, bool is_target,
		   struct xm_error *e);

/* Of a target, before it gets anything: could it have ours?  And from now on it
 * tells of whatever migration begins, which harms nobody if it stays so.  The
 * same outcomes. */
int settings_watch(struct settings *old, struct qmp *qmp, struct xm_error *e);

/* Put back what was there; it may be done again.  No migration may be running.
 * 0 or -errno with @e. */
int settings_put_back(const struct settings *old, struct qmp *qmp,
		      struct xm_error *e);
/* The same, and forget it. */
int settings_restore(struct settings *old, struct qmp *qmp, struct xm_error *e);

bool settings_any(const struct settings *s);

/* As text (to be freed; NULL: no memory), and from it. */
char *settings_dump(const struct settings *s);
void settings_load(struct settings *s, const char *text);

void settings_forget(struct settings *s);

#endif
