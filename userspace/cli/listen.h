/* SPDX-License-Identifier: GPL-2.0-or-later */
/* listen.h - where recv waits for its source */
#ifndef XM_CLI_LISTEN_H
#define XM_CLI_LISTEN_H

#include "ctl/ctl.h"

/* The address @listen names ("ADDR[:PORT]"), or, when that is NULL, the first
 * one of device @dev: IPv4 before IPv6, no link-local one.  0 or -errno with
 * @e. */
int listen_address(const char *listen, const char *dev,
		   struct ctl_addr *ret_addr, struct xm_error *e);

#endif
