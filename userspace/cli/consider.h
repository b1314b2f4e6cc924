/* SPDX-License-Identifier: GPL-2.0-or-later */
/* consider.h - is what a source asks for possible here, and what is it offered?
 *
 * In this order; the guest's memory is made between the first two (take.h).
 */
#ifndef XM_CLI_CONSIDER_H
#define XM_CLI_CONSIDER_H

#include "side.h"

/* The device as it is now, and the channels that @h asks for: claims their
 * queues, plans them.  0 or -errno with @e. */
int consider_hello(struct side *s, const struct xm_msg_hello *h,
		   struct xm_error *e);

/* Deal the guest's memory out to them; from here on a fault in it is an error,
 * not the end.  0 or -errno with @e. */
int consider_memory(struct side *s, struct xm_error *e);

/* Fill s->agreed, the WELCOME: the lesser of what both sides can, and random
 * cookies.  All but the credit, which the channels will tell.  0 or -errno with
 * @e. */
int consider_offer(struct side *s, const struct xm_msg_hello *h,
		   struct xm_error *e);

#endif
