// SPDX-License-Identifier: GPL-2.0-or-later
/* consider.c - is what a source asks for possible here, and what is it offered? */
#include "consider.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "guest/fault.h"

int consider_hello(struct side *s, const struct xm_msg_hello *h,
		   struct xm_error *e)
{
	int r = side_renew_device(s, e);

	if (r)
		return r;
	if (h->n_channels > s->n_channels)
		return xm_fail(e, -ERANGE, XM_REASON_REFUSED,
			       "%u channels asked for, %s serves %u: send "
			       "--queues %u",
			       h->n_channels, s->dev, s->n_channels,
			       s->n_channels);
	if (s->opts->trust.encrypt && !(h->features & XM_FEATURE_ENCRYPT))
		return xm_fail(e, -EPERM, XM_REASON_REFUSED,
			       "the target takes no memory that is not "
			       "encrypted: send --encrypt");
	s->n_channels = h->n_channels;
	s->peer_base = h->port_base;
	r = side_claim(s, e);
	return r ? r : side_plan(s, ctl_peer(s->ctl), ctl_local(s->ctl), 0, e);
}

int consider_memory(struct side *s, struct xm_error *e)
{
	int r = guest_fault_catch(&s->ram, e);

	if (r)
		return r;
	r = xm_map_shard(&s->ram.map, s->n_channels);
	if (r)
		return xm_fail(e, r, XM_REASON_REFUSED,
			       "memory of this size cannot be dealt to %u "
			       "channels",
			       s->n_channels);
	return 0;
}

int consider_offer(struct side *s, const struct xm_msg_hello *h,
		   struct xm_error *e)
{
	struct xm_msg_welcome *w = &s->agreed;

	w->version = XM_MSG_VERSION;
	w->features = s->opts->qmp ? XM_FEATURE_DEVICE : 0;
	w->features |= h->features & XM_FEATURE_VERIFY;
	if (s->trust.keys)
		w->features |= h->features & XM_FEATURE_ENCRYPT;
	w->n_channels = h->n_channels;
	w->port_base = s->my_base;
	w->ip_max = s->plan.ip_max < h->ip_max ? s->plan.ip_max : h->ip_max;
	w->max_pages = h->max_pages < XM_FRAME_SEGS ? h->max_pages :
						      XM_FRAME_SEGS;
	if (getrandom(w->cookie, sizeof(w->cookie), 0) != sizeof(w->cookie))
		return xm_fail(e, -EIO, XM_REASON_INTERNAL,
			       "no random numbers");
	return 0;
}
