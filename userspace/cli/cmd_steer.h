/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_steer.h - attach, detach, status: the steering program on a device */
#ifndef XM_CLI_CMD_STEER_H
#define XM_CLI_CMD_STEER_H

#include "cli.h"
#include "xsk/steer.h"

extern const struct cli_spec cli_attach, cli_detach, cli_status;

int cmd_attach(struct cli_ctx *cli, const void *opts);
int cmd_detach(struct cli_ctx *cli, const void *opts);
int cmd_status(struct cli_ctx *cli, const void *opts);

/* The fields that attach and status say of a device. */
void cli_put_steer(json_t *o, const struct steer_info *info);

#endif
