/* SPDX-License-Identifier: GPL-2.0-or-later */
/* run_priv.h - between run.c and run_list.c */
#ifndef XM_CLI_RUN_PRIV_H
#define XM_CLI_RUN_PRIV_H

#include "util/error.h"

/* Where names are: of root, or of this user.  NULL with @e: nowhere. */
const char *run_get_dir(struct xm_error *e);

#endif
