// SPDX-License-Identifier: GPL-2.0-or-later
/* signals.c - Ctrl-C as an event
 *
 * SIGINT, SIGTERM and SIGHUP are blocked and read from a descriptor in the
 * event loop, so that nothing is ever interrupted half way.  The first one
 * cancels: the peer is told, the guest stays where it runs.  A second one has
 * nothing to add and is answered with the reason why: the cancellation is
 * under way, or COMMIT was sent and there is no way back.
 *
 * Ctrl-Z is ignored: a migration that is stopped keeps the guest's virtual CPUs
 * held, or the guest paused, until somebody types fg.
 */
#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

int cli_signals_open(struct cli_ctx *cli, struct xm_error *e)
{
	struct sigaction hup;
	sigset_t set;
	int r;

	(void)signal(SIGTSTP, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	/* under nohup it stays ignored */
	if (!sigaction(SIGHUP, NULL, &hup) && hup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	r = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (r)
		return xm_fail(e, -r, XM_REASON_INTERNAL, "signal mask: %s",
			       strerror(r));
	cli->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (cli->signal_fd < 0)
		return xm_fail(e, -errno, XM_REASON_INTERNAL, "signalfd: %s",
			       strerror(errno));
	return 0;
}

bool cli_signals_cancel(struct cli_ctx *cli, bool committed, struct xm_error *e)
{
	struct signalfd_siginfo info;

	if (read(cli->signal_fd, &info, sizeof(info)) != sizeof(info))
		return false; /* EAGAIN: somebody else's wake-up */
	if (committed) {
		cli_warn(cli, "cannot be cancelled any more: the target was "
			      "told to run the guest; waiting for its answer");
		return false;
	}
	if (cli->cancelled) {
		cli_info(cli, "already cancelling");
		return false;
	}
	cli->cancelled = true;
	(void)xm_fail(e, -ECANCELED, XM_REASON_CANCELLED, "cancelled by SIG%s",
		      sigabbrev_np((int)info.ssi_signo));
	return true;
}
