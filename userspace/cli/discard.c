// SPDX-License-Identifier: GPL-2.0-or-later
/* discard.c - recv --discard: one migration after another, for measurements
 *
 *   this process                       a process for each migration (child.c)
 *   listening socket  ---------------> accepts from it, once it is ready
 *   memory            ---------------> gives it the guest's size, fills it
 *   waits, tells     <--- result ----- ends
 *
 * A source that connects while one process ends and the next begins waits in the
 * listening socket's queue.  Memory stays from one to the next, so all but the
 * first find it there and are not timed by the kernel that clears pages; it goes
 * with this process.  A guest with devices is refused: it would be lost.
 */
#include "discard.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "child.h"
#include "listen.h"
#include "side.h"
#include "util/fd.h"

/* After so many failures of this host's own in a row it is no use to try again. */
#define DISCARD_FAILURES 3

static int discard_check(const struct cli_recv_opts *o, struct xm_error *e)
{
	if (o->x.ram || o->x.qmp)
		return xm_fail(e, -EINVAL, XM_REASON_USAGE,
			       "--discard receives into memory of its own: "
			       "not with %s",
			       o->x.ram ? "--ram" : "--qmp");
	if (o->x.dry_run)
		return xm_fail(e, -EINVAL, XM_REASON_USAGE,
			       "--discard has no --dry-run");
	return 0;
}

static int discard_listen(struct cli_ctx *cli, const struct cli_recv_opts *o,
			  struct recv_lent *lent)
{
	struct side side = { .cli = cli, .opts = &o->x };
	struct ctl_addr addr;
	char text[64];
	int r = side_find_device(&side, &cli->err);

	if (!r)
		r = listen_address(o->listen, side.dev, &addr, &cli->err);
	if (!r)
		r = ctl_listen(&lent->listen_fd, &addr, &cli->err);
	if (r)
		return r;
	lent->memory_fd = memfd_create("xdpmig-discard", MFD_CLOEXEC);
	if (lent->memory_fd < 0)
		return xm_fail(&cli->err, -errno, XM_REASON_MEMORY,
			       "memfd_create: %s", strerror(errno));
	cli_info(cli,
		 "%s: waiting for sources at %s; what they send is thrown "
		 "away",
		 side.dev, ctl_addr_text(&addr, text, sizeof(text)));
	return 0;
}

/* Whose fault was it?  Sources fail, are cancelled, and come again. */
static unsigned int discard_count(const json_t *result, unsigned int failures)
{
	switch ((enum cli_exit)child_number(result, "exit_status")) {
	case CLI_EXIT_USAGE:
		return DISCARD_FAILURES; /* it will not get better */
	case CLI_EXIT_LOCAL:
		return failures + 1;
	case CLI_EXIT_DONE:
	case CLI_EXIT_REFUSED:
	case CLI_EXIT_NOT_DONE:
	case CLI_EXIT_INTEGRITY:
	case CLI_EXIT_UNKNOWN:
		break;
	}
	return 0;
}

/* One of them has ended: tell.  0, or -errno with cli->err. */
static int discard_tell(struct cli_ctx *cli, json_t *result, uint64_t *sessions)
{
	struct xm_error why = { 0 };
	int r = child_failure(result, &why);
	json_t *o;

	if (r && cli->cancelled)
		return 0; /* by us; what was done before that counts */
	o = cli_event_new("session");
	(void)json_object_update_missing(o, result);
	cli_event_emit(cli, o);
	if (r) {
		cli_info(cli, "failed: %s", why.msg);
		return xm_fail(&cli->err, r, why.reason, "%s", why.msg);
	}
	++*sessions;
	cli_info(cli, "%.0f MiB in %.0f ms, %.2f Gbit/s",
		 child_number(result, "ram_bytes_placed") / (1 << 20),
		 child_number(result, "transfer_ms"),
		 child_number(result, "gbit_per_s"));
	return 0;
}

static int discard_loop(struct cli_ctx *cli, struct cli_recv_opts *o)
{
	struct child_job job = { .spec = &cli_recv,
				 .run = cmd_recv,
				 .opts = o,
				 .level = CLI_WARNING };
	unsigned int failures = 0;
	uint64_t sessions = 0;
	json_t *result;
	int r = 0;

	while (!cli->cancelled && failures < DISCARD_FAILURES) {
		memset(&cli->err, 0, sizeof(cli->err));
		r = child_run(cli, &job, &result, &cli->err);
		if (r)
			break;
		r = discard_tell(cli, result, &sessions);
		failures = discard_count(result, failures);
		json_decref(result);
		job.level = CLI_ERROR; /* warnings were said */
	}
	cli_put_u64(cli_result(cli), "sessions", sessions);
	if (!cli->cancelled)
		return r;
	memset(&cli->err, 0, sizeof(cli->err));
	cli_put_str(cli_result(cli), "status", "stopped");
	return 0;
}

int discard_serve(struct cli_ctx *cli, const struct cli_recv_opts *opts)
{
	struct recv_lent lent = { -1, -1 };
	struct cli_recv_opts o = *opts;
	int r = discard_check(opts, &cli->err);

	o.lent = &lent;
	if (!r)
		r = cli_signals_open(cli, &cli->err);
	if (!r)
		r = discard_listen(cli, opts, &lent);
	if (!r)
		r = discard_loop(cli, &o);
	fd_closep(&lent.listen_fd);
	fd_closep(&lent.memory_fd);
	return r;
}
