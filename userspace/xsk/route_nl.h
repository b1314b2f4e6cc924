/* SPDX-License-Identifier: GPL-2.0-or-later */
/* route_nl.h - rtnetlink questions that route.c asks, one answer each
 *
 * Private to route*.c.  Parsing is apart from asking, so that answers about
 * devices a test machine does not have can be tested from their bytes.
 */
#ifndef XM_XSK_ROUTE_NL_H
#define XM_XSK_ROUTE_NL_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct mnl_socket;

struct route_addr {
	int family;        /* AF_INET, AF_INET6, or 0: none */
	uint8_t bytes[16]; /* IPv4: the first 4 */
};

struct route_link {
	int ifindex;
	char name[16];
	uint8_t mac[6];
	unsigned int mtu;
	bool is_ether; /* has Ethernet addresses and headers */
	bool is_up;    /* administratively up, and carrier */
	int lower;     /* device below, in this namespace; 0 none */
	int master;    /* bridge, bond ... it is a port of; 0 none */
	bool is_vlan;  /* 802.1Q; lower and vlan say on what */
	uint16_t vlan; /* VLAN id, else 0 */
};

struct route_hop {
	uint8_t type;          /* RTN_UNICAST ... */
	int ifindex;           /* the route's interface */
	struct route_addr via; /* next hop: the gateway, or the peer itself */
	struct route_addr src; /* the kernel's choice; family 0: none said */
};

struct route_neigh {
	bool is_known; /* mac is there and may be used */
	bool is_stale; /* but was not confirmed lately */
	uint8_t mac[6];
};

/* A socket for questions; with @groups != 0 one for events instead, which
 * does not block.  0 or -errno. */
int route_nl_open(struct mnl_socket **ret_nl, const unsigned int *groups,
		  unsigned int n_groups);
struct mnl_socket *route_nl_close(struct mnl_socket *nl); /* NULL is fine */

/* By @ifindex, or by @name when it is 0.  0, -ENODEV, or other -errno. */
int route_nl_link(struct mnl_socket *nl, int ifindex, const char *name,
		  struct route_link *ret_link);

/* The way to @dst; @src may be NULL; by @oif only, unless 0.  0, or the
 * kernel's -errno: -ENETUNREACH and -EHOSTUNREACH no route, -EINVAL @src is
 * not ours. */
int route_nl_hop(struct mnl_socket *nl, const struct route_addr *dst,
		 const struct route_addr *src, int oif,
		 struct route_hop *ret_hop);

/* What the neighbour table says, without asking on the link.  0 or -errno; an
 * address that is not in the table is not known. */
int route_nl_neigh(struct mnl_socket *nl, int ifindex,
		   const struct route_addr *addr,
		   struct route_neigh *ret_neigh);

/* 0, or -EBADMSG for a message that is none, or too short. */
int route_nl_parse_link(const struct nlmsghdr *nlh,
			struct route_link *ret_link);
int route_nl_parse_hop(const struct nlmsghdr *nlh, struct route_hop *ret_hop);
int route_nl_parse_neigh(const struct nlmsghdr *nlh,
			 struct route_neigh *ret_neigh);

#endif
