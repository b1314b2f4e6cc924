// SPDX-License-Identifier: GPL-2.0-or-later
/* main.c - the commands of xdpmig */
#include "cli.h"
#include "cmd_keygen.h"
#include "cmd_run.h"
#include "cmd_steer.h"
#include "send_opts.h"
#include "sweep_opts.h"

static const struct cli_cmd cmds[] = {
	{ &cli_keygen, cmd_keygen },
	{ &cli_attach, cmd_attach },
	{ &cli_detach, cmd_detach },
	{ &cli_status, cmd_status },
	{ &cli_send, cmd_send },
	{ &cli_recv, cmd_recv },
	{ &cli_cancel, cmd_cancel },
	{ &cli_continue, cmd_continue },
	{ &cli_set, cmd_set },
	{ &cli_sweep, cmd_sweep },
	{ 0 },
};

int main(int argc, char **argv)
{
	return cli_main(cmds, argc, argv);
}
