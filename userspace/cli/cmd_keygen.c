// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_keygen.c - xdpmig keygen: make a pre-shared key */
#include "cmd_keygen.h"

#include "ctl/trust.h"

struct keygen_opts {
	const char *file;
};

static const struct cli_opt keygen_pos[] = {
	{ "file", .type = CLI_STR, .arg = "FILE",
	  .offset = offsetof(struct keygen_opts, file), .required = true,
	  .help = "where to; it must not exist" },
	{ 0 },
};

const struct cli_spec cli_keygen = {
	.name = "keygen",
	.help = "make a key for --key",
	.about = "Make a random key that send and recv prove to each other "
		 "that they are no strangers (--key). Copy FILE to the other "
		 "host by a way that nobody can look into, such as scp. Who "
		 "has it can take guests from these hosts and give them "
		 "others.",
	.pos = keygen_pos,
	.size = sizeof(struct keygen_opts),
	.example = "  xdpmig keygen /etc/xdpmig/key\n",
};

int cmd_keygen(struct cli_ctx *cli, const void *opts)
{
	const struct keygen_opts *o = opts;
	char name[80];
	int r = ctl_keygen(o->file, name, &cli->err);

	if (r)
		return r;
	cli_put_str(cli_result(cli), "status", "made");
	cli_put_str(cli_result(cli), "key_file", o->file);
	cli_put_str(cli_result(cli), "key_name", name);
	return 0;
}
