// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_status.c - xdpmig status: where the steering program is, what it saw, and
 * which migrations are under way
 *
 * The same shape for one device and for all: an array "devices", so that a
 * script need not know how it was called.  Migrations are listed when no
 * device is asked for.
 */
#include "cmd_steer.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>

#include "run.h"

#define DEVICES_MAX 64 /* of one host that carry the program */

struct status_opts {
	const char *dev;
};

static const struct cli_opt status_pos[] = {
	{ "dev", .alias = "device", .type = CLI_STR, .arg = "DEV",
	  .offset = offsetof(struct status_opts, dev), .max = 15,
	  .help = "network device (default: all that have the program)" },
	{ 0 },
};

const struct cli_spec cli_status = {
	.name = "status",
	.help = "show the steering program and the migrations of this host",
	.about =
		"Show mode, queues, live sessions and counters of the steering "
		"program on DEV, or on all devices of this network namespace, "
		"and then also the migrations of this host: those under way, "
		"and where the guests of those that ended may run.",
	.pos = status_pos,
	.size = sizeof(struct status_opts),
	.is_report = true,
	.example = "  xdpmig status\n"
		   "  xdpmig status --json ens1f0\n",
};

struct queue_list {
	char s[256]; /* 64 queues, every other one: 32 * 3 */
};

/* "0-3,7", the way --queues takes a range; "" when none. */
static struct queue_list queue_list(uint64_t queues)
{
	struct queue_list list = { "" };
	unsigned int q, end;
	size_t len = 0;

	for (q = 0; q < 64; q = end + 1) {
		for (end = q; end < 64 && queues & 1ULL << end; end++)
			;
		if (end == q)
			continue;
		len += (size_t)snprintf(list.s + len, sizeof(list.s) - len,
					"%s%u", len ? "," : "", q);
		if (end - q > 1)
			len += (size_t)snprintf(list.s + len,
						sizeof(list.s) - len, "-%u",
						end - 1);
	}
	return list;
}

void cli_put_steer(json_t *o, const struct steer_info *info)
{
	struct queue_list live = queue_list(info->live);
	const struct passwd *pw;
	char queues[32], user[16];

	(void)snprintf(queues, sizeof(queues), "%u-%u", info->first_queue,
		       info->first_queue + info->n_queues - 1);
	cli_put_str(o, "device", info->ifname);
	cli_put_str(o, "mode", steer_mode_name(info->mode));
	cli_put_u64(o, "program_id", info->prog_id);
	cli_put_bool(o, "dispatcher", info->has_dispatcher);
	cli_put_bool(o, "large_frames", info->has_frags);
	cli_put_str(o, "queues", queues);
	cli_put_str(o, "live_queues", live.s[0] ? live.s : NULL);
	cli_put_u64(o, "flow_rules", info->n_rules);
	if (!info->keeper)
		return;
	pw = getpwuid(info->user);
	(void)snprintf(user, sizeof(user), "%u", info->user);
	cli_put_str(o, "user", pw ? pw->pw_name : user);
	cli_put_int(o, "keeper_pid", info->keeper);
}

/* The device's fields into the result's array, which begins with the first. */
static int status_one(struct cli_ctx *cli, const char *ifname,
		      struct xm_error *e)
{
	json_t *o, *devices, *verdicts;
	enum xm_steer_verdict v;
	struct steer s;
	int r = steer_open(&s, ifname, e);

	if (r)
		return r;
	devices = json_object_get(cli_result(cli), "devices");
	if (!devices)
		devices = cli_put_array(cli_result(cli), "devices");
	o = cli_add_object(devices);
	cli_put_steer(o, &s.info);
	verdicts = cli_put_object(o, "verdicts");
	for (v = 0; v < XM_STEER__COUNT; v++)
		cli_put_u64(verdicts, steer_verdict_name(v),
			    s.info.verdicts[v]);
	steer_close(&s);
	return 0;
}

static int status_all(struct cli_ctx *cli)
{
	char names[DEVICES_MAX][16];
	int i, r, n = steer_list(names, DEVICES_MAX, &cli->err);

	if (n < 0)
		return n;
	(void)cli_put_array(cli_result(cli), "devices"); /* also when empty */
	if (!n)
		cli_info(cli, "xdpmig is attached to no device of this "
			      "network namespace");
	for (i = 0; i < n && i < DEVICES_MAX; i++) {
		struct xm_error gone = { 0 };

		r = status_one(cli, names[i], &gone);
		if (r && r != -ENOENT && r != -ENODEV)
			return xm_fail(&cli->err, r, gone.reason, "%s",
				       gone.msg);
	}
	return 0;
}

static int status_show(struct cli_ctx *cli, const void *opts)
{
	const struct status_opts *o = opts;
	json_t *migrations;
	int r;

	if (o->dev)
		return status_one(cli, o->dev, &cli->err);
	r = status_all(cli);
	if (r)
		return r;
	migrations = cli_put_array(cli_result(cli), "migrations");
	return run_list(migrations, &cli->err);
}

int cmd_status(struct cli_ctx *cli, const void *opts)
{
	int r = status_show(cli, opts);

	/* Nobody must take what is left of a list for all of it. */
	if (!r && cli_out_is_short())
		r = xm_fail(&cli->err, -ENOMEM, XM_REASON_MEMORY,
			    "out of memory: not all can be listed");
	return r;
}
