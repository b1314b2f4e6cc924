/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qmp_priv.h - between qmp.c and qmp_connect.c */
#ifndef XM_GUEST_QMP_PRIV_H
#define XM_GUEST_QMP_PRIV_H

#include "util/error.h"

/* A socket that is connected to @path, or -errno with @e. */
int qmp_connect(const char *path, int timeout_ms, struct xm_error *e);

#endif
