/* SPDX-License-Identifier: GPL-2.0-or-later */
/* discard.h - recv --discard (theory in discard.c) */
#ifndef XM_CLI_DISCARD_H
#define XM_CLI_DISCARD_H

#include "send_opts.h"

/* Serve one source after another until a signal comes; that is success.  Else
 * -errno with cli->err. */
int discard_serve(struct cli_ctx *cli, const struct cli_recv_opts *opts);

#endif
