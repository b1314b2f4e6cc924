/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sandbox.h - what send and recv keep of their privileges (theory in sandbox.c) */
#ifndef XM_CLI_SANDBOX_H
#define XM_CLI_SANDBOX_H

#include <stdint.h>

#include "side.h"

/* Before anything is made, and guardians: is there to be none?  Says so. */
void sandbox_begin(struct cli_ctx *cli, const struct cli_xfer_opts *o);

/* All is set up, and the peer was not heard yet: give up the rest.  @s is a
 * source of @source's, or a destination of @target's; the other is NULL.  0 or
 * -errno with @e. */
int sandbox_enter(struct side *s, const struct guest_source *source,
		  const struct guest_target *target, struct xm_error *e);

#endif
