/* SPDX-License-Identifier: GPL-2.0-or-later */
/* home.h - where the guest is, as the source tells it (theory in home.c) */
#ifndef XM_CLI_HOME_H
#define XM_CLI_HOME_H

#include "cli.h"
#include "core/session.h"
#include "guest/guest.h"
#include "run.h"

struct home {
	struct cli_ctx *cli;
	struct guest_source *guest; /* NULL: not opened */
	struct run *run;            /* NULL: it has no name (yet) */
	const char *peer;
	const uint8_t *session; /* 16 bytes; NULL: none yet */
};

/* Write down that it may run @where, for who asks when we are gone.  Memory alone
 * runs nowhere.  0 or -errno with @e. */
int home_record(const struct home *h, const char *where, struct xm_error *e);

/* The guardian writes it down if we cannot.  0 or -errno with @e. */
int home_note(const struct home *h, struct xm_error *e);

/* The guest should be back here, and resuming it failed with @why.  If it is
 * not certain to be back, that is what the command fails with: its error so far
 * goes into the result.  Returns the command's error. */
int home_not_back(const struct home *h, const struct xm_error *why);

/* For the result: @home, unless nobody knows. */
const char *home_name(const struct home *h, enum xm_home home);

#endif
