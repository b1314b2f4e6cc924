// SPDX-License-Identifier: GPL-2.0-or-later
/* sandbox.c - what send and recv keep of their privileges
 *
 * When it is entered, the sockets are made (xsk/stock.h), the maps of the steering
 * program are open, the guest's memory is too, its writes are logged and its
 * guardian is forked; recv listens.  Nothing of the peer was read.  What may be
 * needed later, and is kept if it was there:
 *
 *   CAP_IPC_LOCK      to pin what the peer is ready for; only where the limit
 *                     (RLIMIT_MEMLOCK) is none of ours to lift
 *   CAP_SYS_PTRACE    source of a QEMU: to slow it down, and to find the disks of
 *                     a device that is plugged in (/proc/PID/root)
 *   CAP_DAC_OVERRIDE  a QEMU of another user: its memory is opened when the peer
 *                     is known, and its monitor may have to be opened anew.  Or a
 *                     file (recv --ram) where only that lets us make it
 *   CAP_KILL          destination in a QEMU of another user: to end it, should it
 *                     run a guest that stays at the source
 *
 * An ordinary user's send and recv, of memory or of a QEMU of his, keeps none.
 */
#include "sandbox.h"

#include <unistd.h>

#include "util/priv.h"

void sandbox_begin(struct cli_ctx *cli, const struct cli_xfer_opts *o)
{
	if (o->sandbox == CLI_SANDBOX_ON)
		return;
	cli_warn(cli, "--sandbox off: WHO BREAKS INTO THIS PROCESS HAS ALL ITS "
		      "PRIVILEGES; leave it on but to look for a mistake");
	priv_turn_off();
}

/* What the guest takes later, if it is a QEMU's. */
static uint64_t keep_for_qemu(bool is_source, bool is_others)
{
	uint64_t keep = is_source ? PRIV_CAP(CAP_SYS_PTRACE) : 0;

	if (is_others)
		keep |= PRIV_CAP(CAP_DAC_OVERRIDE);
	if (is_others && !is_source)
		keep |= PRIV_CAP(CAP_KILL);
	return keep;
}

int sandbox_enter(struct side *s, const struct guest_source *source,
		  const struct guest_target *target, struct xm_error *e)
{
	uint64_t keep = 0;

	if (s->opts->qmp)
		keep = keep_for_qemu(source != NULL, source ?
							     source->is_others :
							     target->is_others);
	if (target && s->opts->ram && !priv_reaches(s->opts->ram))
		keep |= PRIV_CAP(CAP_DAC_OVERRIDE);
	if (s->opts->sandbox == CLI_SANDBOX_ON && !priv_locks_freely())
		keep |= PRIV_CAP(CAP_IPC_LOCK);
	keep &= priv_permitted();
	if (s->opts->sandbox == CLI_SANDBOX_ON)
		cli_debug(s->cli, "sandbox: capabilities kept: %#llx%s",
			  (unsigned long long)keep,
			  priv_has_filter() ? "" :
					      "; no system call filter in "
					      "this build");
	return priv_confine(PRIV_MIGRATION, keep, e);
}
