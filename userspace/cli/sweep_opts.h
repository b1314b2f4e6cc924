/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sweep_opts.h - what the user can say to sweep */
#ifndef XM_CLI_SWEEP_OPTS_H
#define XM_CLI_SWEEP_OPTS_H

#include "send_opts.h"

struct cli_sweep_opts {
	struct cli_xfer_opts x;
	const char *peer;             /* never NULL */
	const char *slots, *drains;   /* lists, never NULL */
	const char *channels;         /* or NULL: by what is attached */
	uint64_t size;                /* of the synthetic guest */
	unsigned int repeat;          /* runs of each cell */
	unsigned int seed;            /* 0: any */
	const char *csv, *svg, *html; /* files, or NULL */
	const char *title;            /* or NULL */
};

extern const struct cli_spec cli_sweep;

int cmd_sweep(struct cli_ctx *cli, const void *opts); /* cmd_sweep.c */

#endif
