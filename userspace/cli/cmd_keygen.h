/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_keygen.h - make a pre-shared key */
#ifndef XM_CLI_CMD_KEYGEN_H
#define XM_CLI_CMD_KEYGEN_H

#include "cli.h"

extern const struct cli_spec cli_keygen;
int cmd_keygen(struct cli_ctx *cli, const void *opts);

#endif
