// SPDX-License-Identifier: GPL-2.0-or-later
/* reason.c - names of the reasons why a migration ended
 *
 * The names are part of --json (field "reason") and of docs/protocol.md 7:
 * stable like the numbers.
 */
#include "reason.h"

#include <assert.h>
#include <stddef.h>

static const char *const names[] = {
	[XM_REASON_NONE] = "none",
	[XM_REASON_INTERNAL] = "internal",
	[XM_REASON_USAGE] = "usage",
	[XM_REASON_DEVICE] = "device",
	[XM_REASON_STEERING] = "steering",
	[XM_REASON_PERMISSION] = "permission",
	[XM_REASON_MEMORY] = "memory",
	[XM_REASON_ZERO_COPY] = "zero_copy",
	[XM_REASON_CONNECT] = "connect",
	[XM_REASON_VERSION] = "version",
	[XM_REASON_REFUSED] = "refused",
	[XM_REASON_PROTOCOL] = "protocol",
	[XM_REASON_PATH] = "path",
	[XM_REASON_STALLED] = "stalled",
	[XM_REASON_CANCELLED] = "cancelled",
	[XM_REASON_PEER_CANCELLED] = "peer_cancelled",
	[XM_REASON_PEER_LOST] = "peer_lost",
	[XM_REASON_INTEGRITY] = "integrity",
	[XM_REASON_UNKNOWN_OUTCOME] = "unknown_outcome",
	[XM_REASON_NOT_CONVERGED] = "not_converged",
};
static_assert(sizeof(names) / sizeof(names[0]) == XM_REASON__COUNT,
	      "a reason without a name");

const char *xm_reason_name(enum xm_reason reason)
{
	size_t i = (size_t)reason;

	return i < XM_REASON__COUNT && names[i] ? names[i] : "unlisted";
}
