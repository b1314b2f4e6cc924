// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_detach.c - xdpmig detach: take the steering program off a device
 *
 * Nothing of ours is left: no program, no pin, no flow rule.  What others have
 * on the device stays.
 */
#include "cmd_steer.h"

struct detach_opts {
	const char *dev;
	bool force;
};

#define DETACH(field) offsetof(struct detach_opts, field)

static const struct cli_opt detach_pos[] = {
	{ "dev", .alias = "device", .type = CLI_STR, .arg = "DEV",
	  .offset = DETACH(dev), .max = 15, .required = true,
	  .help = "network device" },
	{ 0 },
};

static const struct cli_opt detach_opts[] = {
	{ "force", .letter = 'f', .type = CLI_FLAG, .offset = DETACH(force),
	  .help = "also when a migration is going on, which will then fail" },
	{ 0 },
};

static const struct cli_group detach_groups[] = {
	{ "Options", detach_opts },
	{ 0 },
};

const struct cli_spec cli_detach = {
	.name = "detach",
	.help = "remove the steering program from DEV",
	.about = "Remove the program and all that came with it: pins, flow "
		 "rules. XDP programs of others stay.",
	.pos = detach_pos,
	.groups = detach_groups,
	.size = sizeof(struct detach_opts),
	.example = "  xdpmig detach ens1f0\n",
};

int cmd_detach(struct cli_ctx *cli, const void *opts)
{
	const struct detach_opts *o = opts;
	int r = steer_detach(o->dev, o->force, &cli->err);

	if (r)
		return r;
	cli_put_str(cli_result(cli), "status", "detached");
	cli_put_str(cli_result(cli), "device", o->dev);
	return 0;
}
