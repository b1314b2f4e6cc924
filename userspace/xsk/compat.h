/* SPDX-License-Identifier: GPL-2.0-or-later */
/* compat.h - kernel constants newer than Debian 12's headers (Linux 6.1)
 *
 * The only place for them in xsk/.  What is a macro upstream is defined under
 * its own name when it is missing.  What is an enumerator upstream (netdev
 * generic netlink) has a name of ours, since #ifndef cannot see those.
 */
#ifndef XM_XSK_COMPAT_H
#define XM_XSK_COMPAT_H

#include <linux/if_xdp.h>
#include <sys/socket.h>

#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4) /* 6.6: bind, several descriptors a frame */
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0) /* 6.6: descriptor, the frame goes on */
#endif
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9 /* 6.17: setsockopt, copy mode */
#endif
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif
#ifndef SO_BUSY_POLL_BUDGET
#define SO_BUSY_POLL_BUDGET 70
#endif

/* Generic netlink family "netdev" (6.3), <linux/netdev.h> */
#define XSK_NETDEV_FAMILY         "netdev"
#define XSK_NETDEV_CMD_DEV_GET    1
#define XSK_NETDEV_A_IFINDEX      1 /* u32 */
#define XSK_NETDEV_A_XDP_FEATURES 3 /* u64 */
#define XSK_NETDEV_A_ZC_MAX_SEGS  4 /* u32, 6.6 */

/* bits of XDP_FEATURES */
#define XSK_NETDEV_ACT_BASIC       (1u << 0)
#define XSK_NETDEV_ACT_REDIRECT    (1u << 1)
#define XSK_NETDEV_ACT_NDO_XMIT    (1u << 2)
#define XSK_NETDEV_ACT_ZEROCOPY    (1u << 3)
#define XSK_NETDEV_ACT_HW_OFFLOAD  (1u << 4)
#define XSK_NETDEV_ACT_RX_SG       (1u << 5)
#define XSK_NETDEV_ACT_NDO_XMIT_SG (1u << 6)

#endif
