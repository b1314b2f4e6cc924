// SPDX-License-Identifier: GPL-2.0-or-later
/* exit.c - from the reason of a failure to the exit status
 *
 * The status answers one question for whoever runs xdpmig from a script:
 * where may the guest run now?  Only 6 means "nobody knows: look first", and only
 * XM_REASON_UNKNOWN_OUTCOME gives it.
 */
#include "cli.h"

enum cli_exit cli_exit_status(enum xm_reason reason)
{
	switch (reason) {
	case XM_REASON_USAGE:
		return CLI_EXIT_USAGE;
	case XM_REASON_VERSION:
	case XM_REASON_REFUSED:
	case XM_REASON_PROTOCOL: /* whatever it is, it is no peer for us */
		return CLI_EXIT_REFUSED;
	case XM_REASON_STALLED:
	case XM_REASON_CANCELLED:
	case XM_REASON_PEER_CANCELLED:
	case XM_REASON_PEER_LOST:
	case XM_REASON_NOT_CONVERGED:
		return CLI_EXIT_NOT_DONE;
	case XM_REASON_INTEGRITY:
		return CLI_EXIT_INTEGRITY;
	case XM_REASON_UNKNOWN_OUTCOME:
		return CLI_EXIT_UNKNOWN;
	case XM_REASON_NONE: /* a failure without a reason is ours */
	case XM_REASON_INTERNAL:
	case XM_REASON_DEVICE:
	case XM_REASON_STEERING:
	case XM_REASON_PERMISSION:
	case XM_REASON_MEMORY:
	case XM_REASON_ZERO_COPY:
	case XM_REASON_CONNECT:
	case XM_REASON_PATH:
	case XM_REASON__COUNT:
		break;
	}
	return CLI_EXIT_LOCAL; /* also for a number of a newer peer */
}
