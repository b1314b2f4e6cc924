/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_run.h - cancel, continue, set: talking to a migration under way */
#ifndef XM_CLI_CMD_RUN_H
#define XM_CLI_CMD_RUN_H

#include "cli.h"

extern const struct cli_spec cli_cancel, cli_continue, cli_set;

int cmd_cancel(struct cli_ctx *cli, const void *opts);
int cmd_continue(struct cli_ctx *cli, const void *opts);
int cmd_set(struct cli_ctx *cli, const void *opts);

#endif
