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

/* Set what a switchover needs at this end, remember in @old what was there.  0
 * or -errno with @e: -ENOTSUP: this QEMU lacks something; then all is as it
 * was. */
int settings_apply(struct settings *old, struct qmp *qmp, bool is_target,
		   struct xm_error *e);

/* Put back what was there, and forget it.  No migration may be running.  0 or
 * -errno with @e. */
int settings_restore(struct settings *old, struct qmp *qmp, struct xm_error *e);

void settings_forget(struct settings *old);

#endif
