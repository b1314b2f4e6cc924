// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_send.c - xdpmig send: setting up the source, and what becomes of it
 *
 * First all that can be refused without the peer, then the peer, then what costs
 * time; the session itself is send.c's.  However it ends, the guest is brought back
 * before anything else, unless it runs at the peer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "guest/fault.h"
#include "sandbox.h"
#include "send.h"
#include "util/fd.h"

static bool send_is_cancelled(struct send *s)
{
	send_listen(s);
	return send_err(s)->err ||
	       cli_signals_cancel(s->side.cli, false, send_err(s));
}

/* The peer may be silent, and the user not have the patience. */
static int send_connect(struct send *s, const struct ctl_addr *peer)
{
	struct xm_error *e = send_err(s);
	int fd fd_cleanup = fd_either(run_fd(s->run), s->side.cli->signal_fd);
	int r;

	if (fd < 0)
		return xm_fail(e, fd, XM_REASON_INTERNAL,
			       "nothing to wait with: %s", strerror(-fd));
	do
		r = trust_reach(&s->side.trust, &s->side.ctl, peer, fd, e);
	while (r == -ECANCELED && !send_is_cancelled(s));
	return r;
}

static int send_prepare(struct send *s)
{
	struct side *side = &s->side;
	struct xm_error *e = send_err(s);
	struct ctl_addr peer;
	int r = live_check_opts(s->opts, e);

	sandbox_begin(side->cli, side->opts);
	guest_source_learn();
	if (!r)
		r = trust_open(&side->trust, side->cli, &side->opts->trust,
			       s->opts->peer, e);
	if (!r)
		r = side_open_device(side, &s->opts->queues, e);
	if (!r)
		r = live_open(&s->live, side, s->opts, e);
	if (!r)
		r = guest_fault_catch(&side->ram, e);
	if (!r && !side->opts->dry_run)
		r = run_open_as(&s->run, side->opts->name,
				s->live.guest->id.name, "send", e);
	if (!r && s->run)
		r = home_note(send_home(s), e);
	if (!r)
		r = ctl_addr_parse(&peer, s->opts->peer, XM_PORT_CTL, e);
	if (!r && !side->opts->dry_run)
		r = side_claim(side, e);
	/* First what takes as long as a disk does: the peer waits for HELLO. */
	if (!r && !side->opts->dry_run)
		r = live_track(&s->live, e);
	if (!r && !side->opts->dry_run)
		r = sandbox_enter(side, s->live.guest, NULL, e);
	if (!r && !side->opts->dry_run)
		r = send_connect(s, &peer);
	if (!r)
		r = side_scan_memory(side, e);
	if (r)
		return r;
	return side_plan(side, &peer, side->ctl ? ctl_local(side->ctl) : NULL,
			 s->opts->in_flight, e);
}

/* The guest first, before the peer is waited for: it may be paused.  Returns
 * what the command comes to. */
static int send_settle(struct send *s, int r)
{
	struct xm_error why = { 0 };
	bool is_back = !live_finish(&s->live, s->src.outcome.home, &why);

	s->is_settled = true;
	if (s->is_over) {
		side_finish(&s->side);
		r = side_outcome(&s->src.outcome, send_err(s));
	}
	return is_back ? r : home_not_back(send_home(s), &why);
}

static int send_main(struct send *s)
{
	struct xm_msg_hello hello;
	int r = send_prepare(s);

	if (r)
		return r;
	if (s->side.opts->dry_run) {
		report_plan(&s->side, s->bandwidth);
		cli_echo_options(s->side.cli);
		return 0;
	}
	r = side_hello(&s->side, &s->live.guest->id, &hello, send_err(s));
	if (r)
		return r;
	if (s->opts->verify)
		hello.features |= XM_FEATURE_VERIFY;
	xm_src_init(&s->src, &hello, side_trace(&s->side));
	s->has_session = true;
	r = home_note(send_home(s), send_err(s));
	if (r)
		return r;
	report_start(&s->side, s->opts->peer, s->live.guest->ops->kind);
	send_run(s);
	r = send_settle(s, 0);
	report_result(&s->side, &s->report);
	live_report(&s->live, cli_result(s->side.cli));
	run_put_session(cli_result(s->side.cli), s->src.hello.session);
	(void)home_record(send_home(s),
			  home_name(send_home(s), s->src.outcome.home), NULL);
	return r;
}

int cmd_send(struct cli_ctx *cli, const void *opts)
{
	struct send *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return xm_fail(&cli->err, -ENOMEM, XM_REASON_MEMORY,
			       "out of memory");
	s->opts = opts;
	s->bandwidth = s->opts->bandwidth;
	s->side.cli = cli;
	s->side.opts = &s->opts->x;
	s->side.is_sender = true;
	s->side.drain = (enum xm_drain)s->opts->drain;
	s->report.begun = xm_clock();
	r = cli_signals_open(cli, &cli->err);
	if (!r)
		r = send_main(s);
	/* Also of a migration that never began: the first thing to know. */
	if (!s->opts->x.dry_run && !s->is_settled)
		r = send_settle(s, r);
	if (!s->opts->x.dry_run)
		cli_put_str(cli_result(cli), "guest_runs_at",
			    home_name(send_home(s), s->src.outcome.home));
	side_stop(&s->side); /* before the memory goes */
	live_close(&s->live);
	side_close(&s->side);
	s->run = run_close(s->run);
	if (!s->side.is_left)
		free(s);
	return r;
}
