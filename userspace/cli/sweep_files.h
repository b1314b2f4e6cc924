/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sweep_files.h - the files that a sweep was told to write */
#ifndef XM_CLI_SWEEP_FILES_H
#define XM_CLI_SWEEP_FILES_H

#include <stdio.h>

#include "sweep.h"
#include "sweep_opts.h"

struct sweep_file {
	FILE *f;     /* NULL: not wished */
	bool is_new; /* there was none of that name */
};

/* All zero: none is open.  @opts outlives it. */
struct sweep_files {
	const struct cli_sweep_opts *opts;
	struct sweep_file csv, svg, html;
	bool is_put;
};

/* Before anything is done: what is measured must not be lost at the end.  Nor what
 * the files hold, when nothing is: sweep_files_put() cuts them.  0, or -errno with
 * @e; what is open then is sweep_files_close()'s. */
int sweep_files_open(struct sweep_files *f, const struct cli_sweep_opts *opts,
		     struct xm_error *e);

/* Write @g into each; @title and @note as of sweep_put_svg().  What fails is
 * sweep_files_close()'s to say. */
void sweep_files_put(struct sweep_files *f, const struct sweep_grid *g,
		     const char *title, const char *note);

/* All of them, whether something was written or not; if not, new ones are removed.
 * 0, or -errno with @e. */
int sweep_files_close(struct sweep_files *f, struct xm_error *e);

#endif
