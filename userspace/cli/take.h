/* SPDX-License-Identifier: GPL-2.0-or-later */
/* take.h - the destination's guest and what comes for it (theory in take.c) */
#ifndef XM_CLI_TAKE_H
#define XM_CLI_TAKE_H

#include "guest/guest.h"
#include "run.h"
#include "send_opts.h"

struct take {
	struct guest_target *guest;  /* NULL: not open */
	bool has_ended;              /* the guest was told that this was all */
	uint64_t came, taken, acked; /* bytes of device state */
	uint8_t ring[XM_DEVICE_WINDOW]; /* of them, came and not taken */
};

/* Do the options name one guest?  0 or -EINVAL with @e. */
int take_check_opts(const struct cli_xfer_opts *opts, struct xm_error *e);

/* Open the guest that they name; nothing is done to it.  0 or -errno with
 * @e: also what is wrong with a file, as far as can be told before its size is
 * known. */
int take_open(struct take *t, const struct cli_xfer_opts *opts,
	      struct xm_error *e);

/* Is what the source announces a guest that can be taken here?  Then its memory
 * into @ram, and the guest waits for device state. */
int take_make(struct take *t, const struct xm_msg_hello *h,
	      struct guest_ram *ram, struct xm_error *e);

/* Bytes of the source's; the core has seen that they fit. */
void take_device(struct take *t, const struct xm_msg_device *d);

/* Hand on what the guest takes; after @is_all also say that this was all.  0 or
 * -errno with @e. */
int take_give(struct take *t, bool is_all, struct xm_error *e);

/* Should the source hear that there is room?  Then @ret_bytes: how many bytes
 * were handed on, all in all. */
bool take_ack_is_due(struct take *t, uint64_t *ret_bytes);

/* For who asks when we are gone: where the guest @h, of this migration, may run.
 * Memory alone runs nowhere.  0 or -errno with @e. */
int take_record(struct run *run, const struct xm_msg_hello *h, const char *home,
		struct xm_error *e);

void take_close(struct take *t);

#endif
