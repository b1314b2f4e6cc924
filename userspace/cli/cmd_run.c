// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_run.c - xdpmig cancel, continue and set: talking to a migration under way
 *
 * Each is one request through the migration's socket (run.c) and its answer.
 */
#include "cmd_run.h"

#include <errno.h>

#include "run.h"

struct run_opts {
	const char *name;
};

static const struct cli_opt run_pos[] = {
	{ "name", .type = CLI_STR, .arg = "NAME",
	  .offset = offsetof(struct run_opts, name), .max = RUN_NAME - 1,
	  .required = true,
	  .help = "of the migration, as 'xdpmig status' shows it" },
	{ 0 },
};

/* One request without arguments; @status is the result's word. */
static int run_command(struct cli_ctx *cli, const char *name, const char *ask,
		       const char *status)
{
	int r = run_ask_one(name, json_pack("{s:s}", "ask", ask), NULL,
			    &cli->err);

	if (r)
		return r;
	cli_put_str(cli_result(cli), "status", status);
	cli_put_str(cli_result(cli), "name", name);
	return 0;
}

/* -- cancel ---------------------------------------------------------------------- */

const struct cli_spec cli_cancel = {
	.name = "cancel",
	.help = "end a migration; the guest stays at the source",
	.about = "End the migration NAME, at either host. The guest stays at "
		 "the source and runs on. Once it was handed over there is no "
		 "way back.",
	.pos = run_pos,
	.size = sizeof(struct run_opts),
	.example = "  xdpmig cancel vm1\n",
};

int cmd_cancel(struct cli_ctx *cli, const void *opts)
{
	const struct run_opts *o = opts;

	return run_command(cli, o->name, "cancel", "cancelling");
}

/* -- continue ---------------------------------------------------------------------- */

const struct cli_spec cli_continue = {
	.name = "continue",
	.help = "let a migration go on that waits before the switchover",
	.about = "Let the migration NAME, started with "
		 "--pause-before-switchover, hand its guest over.",
	.pos = run_pos,
	.size = sizeof(struct run_opts),
	.example = "  xdpmig continue vm1\n",
};

int cmd_continue(struct cli_ctx *cli, const void *opts)
{
	const struct run_opts *o = opts;

	return run_command(cli, o->name, "continue", "continued");
}

/* -- set ------------------------------------------------------------------------------ */

struct set_opts {
	const char *name;
	uint64_t bandwidth, max_downtime_ns;
};

#define SET(field) offsetof(struct set_opts, field)

static const struct cli_opt set_opts[] = {
	{ "bandwidth", .type = CLI_RATE, .arg = "RATE",
	  .offset = SET(bandwidth), .min = 1000000, .zero = "none",
	  .def_str = "unchanged",
	  .help = "from now on never faster than RATE bits per second" },
	{ "max-downtime", .type = CLI_DURATION, .arg = "TIME",
	  .offset = SET(max_downtime_ns), .min = 1000000,
	  .max = 86400ull * 1000000000, .def_str = "unchanged",
	  .help = "from now on pause the guest when the rest can be sent in "
		  "TIME" },
	{ 0 },
};

static const struct cli_group set_groups[] = {
	{ "What to change", set_opts },
	{ 0 },
};

const struct cli_spec cli_set = {
	.name = "set",
	.help = "change a migration under way",
	.about = "Change options of the migration NAME while it runs. At the "
		 "source.",
	.pos = run_pos,
	.groups = set_groups,
	.size = sizeof(struct set_opts),
	.example = "  xdpmig set vm1 --bandwidth 5G\n",
};

int cmd_set(struct cli_ctx *cli, const void *opts)
{
	const struct set_opts *o = opts;
	bool has_rate = cli_origin(cli, "bandwidth") == CLI_FLAGGED;
	bool has_time = cli_origin(cli, "max-downtime") == CLI_FLAGGED;
	json_t *request, *answer = NULL;
	int r;

	if (!has_rate && !has_time)
		return xm_fail(&cli->err, -EINVAL, XM_REASON_USAGE,
			       "nothing to change: say --bandwidth or "
			       "--max-downtime");
	request = json_pack("{s:s}", "ask", "set");
	if (has_rate)
		cli_put_u64(request, "bandwidth", o->bandwidth);
	if (has_time)
		cli_put_u64(request, "max_downtime_ns", o->max_downtime_ns);
	r = run_ask_one(o->name, request, &answer, &cli->err);
	if (r)
		return r;
	(void)json_object_update_missing(cli_result(cli), answer);
	json_decref(answer);
	cli_put_str(cli_result(cli), "status", "set");
	cli_put_str(cli_result(cli), "name", o->name);
	return 0;
}
