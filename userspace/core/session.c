// SPDX-License-Identifier: GPL-2.0-or-later
/* session.c - what both session machines use; theory in session.h */
#include "session.h"

#include <assert.h>
#include <string.h>

#include "map.h"

struct xm_msg *xm_actions_add(struct xm_actions *act, enum xm_msg_type type)
{
	struct xm_msg *msg;

	assert(act->n_msgs < XM_ACTIONS_MSGS);
	msg = &act->msg[act->n_msgs++];
	memset(msg, 0, sizeof(*msg));
	msg->type = type;
	act->flags |= XM_ACT_SEND;
	return msg;
}

void xm_outcome_set(struct xm_outcome *o, enum xm_reason reason,
		    enum xm_home home, bool by_peer, const char *text)
{
	size_t len = strnlen(text, sizeof(o->text) - 1);

	memset(o, 0, sizeof(*o));
	o->reason = reason;
	o->home = home;
	o->by_peer = by_peer;
	memcpy(o->text, text, len);
}

uint32_t xm_hello_stripes(const struct xm_msg_hello *hello)
{
	uint64_t len[XM_BLOCK_MAX];
	unsigned int i, shift;

	for (i = 0; i < hello->n_blocks; i++)
		len[i] = hello->block[i].len;
	return xm_map_count_stripes(len, hello->n_blocks, &shift);
}

const char *xm_home_name(enum xm_home home)
{
	static const char *const names[] = {
		[XM_HOME_SOURCE] = "source",
		[XM_HOME_TARGET] = "target",
		[XM_HOME_UNKNOWN] = "unknown",
	};

	return names[home];
}
