/* SPDX-License-Identifier: GPL-2.0-or-later */
/* near.h - running where a device is (theory in near.c) */
#ifndef XM_CLI_NEAR_H
#define XM_CLI_NEAR_H

/* Run the calling thread on the CPUs of @node that the user lets us run on, if
 * there are any; -1 is any node. */
void near_node(int node);

#endif
