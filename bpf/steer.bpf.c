// SPDX-License-Identifier: GPL-2.0-or-later
/* steer.bpf.c - XDP: a live session's frames to its sockets, all else PASS
 *
 * Loaded on the device by `xdpmig attach` and there for as long as the
 * operator wants, sessions or not; so the rule is: whatever is not beyond
 * doubt a live session's frame goes to the kernel as if this program were not
 * there.  ssh, ping, DHCP, other UDP services never notice.
 *
 *   Ethernet [one 802.1Q or 802.1ad tag] / IPv4 or IPv6 / UDP / frame header
 *
 *   q = receive queue the NIC chose
 *   slot[q].dport == UDP destination port?         no: look for a stray, PASS
 *   magic, version, channel, cookie == slot's?     no: PASS_MAGIC
 *   socket in xm_xsks[q]?                          no: PASS_SOCKET
 *   REDIRECT
 *
 * A socket can only take frames of the queue it is bound to: the kernel drops
 * a redirect from another one, without a word.  So a frame that came to the
 * wrong queue (the NIC hashed it elsewhere) is recognised here, counted and
 * dropped: the kernel has no use for it and would answer with ICMP.  The
 * session's PROBE frames turn the counter into an error that names the queue.
 * One look at xm_conf.home finds the slot that the port belongs to; the cost
 * for other UDP traffic is that one look.
 *
 * Not parsed, so never ours: IP fragments and options, IPv6 extension headers,
 * a second tag.  The sender makes none of them.  No checksum is verified: the
 * frame header has a tag of its own, which user space checks.
 *
 * "xdp.frags": a frame may be larger than one buffer.  All that is looked at
 * lies within the first 82 bytes, which drivers put into the first buffer; if
 * one does not, the frame is a runt and passes.
 *
 * Only UAPI headers, no vmlinux.h: nothing here depends on a kernel structure
 * that could move.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "xdpmig/limits.h"
#include "xdpmig/steer.h"
#include "xdpmig/wire.h"

#define IP_FRAG 0x3fff /* More Fragments and the offset; not Don't Fragment */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XM_CHAN_MAX);
	__type(key, __u32);
	__type(value, struct xm_steer_slot);
} xm_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, XM_CHAN_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xm_xsks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XM_STEER__COUNT);
	__type(key, __u32);
	__type(value, __u64);
} xm_verdicts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct xm_steer_conf);
} xm_conf SEC(".maps");

struct vlan_tag {
	__be16 tci;
	__be16 proto;
};

/* The first 16 bytes of struct xm_wire_frame.  Packed: behind 14 bytes of
 * Ethernet nothing is aligned. */
struct frame_head {
	__be16 magic;
	__u8 version, type, channel, flags, n_segs, block;
	__be64 cookie;
} __attribute__((packed));
_Static_assert(sizeof(struct frame_head) ==
		       __builtin_offsetof(struct xm_wire_frame, epoch),
	       "wire.h: what the XDP program looks at");

/* What is left to look at, and where it ends. */
struct cursor {
	void *at, *end;
};

/* The next @len bytes into @ret; 0 when the packet is shorter.  (A NULL would
 * be compared with a pointer, which the verifier allows to CAP_PERFMON only.) */
static __always_inline int take(struct cursor *c, __u32 len, void *ret)
{
	void *at = c->at;

	if (at + len > c->end)
		return 0;
	*(void **)ret = at;
	c->at = at + len;
	return 1;
}

/* Each parser moves the cursor behind its header and returns the verdict that
 * ends the parsing, or XM_STEER_REDIRECT to go on. */

static __always_inline enum xm_steer_verdict parse_eth(struct cursor *c,
						       __be16 *ret_proto)
{
	struct ethhdr *eth;
	struct vlan_tag *tag;

	if (!take(c, sizeof(*eth), &eth))
		return XM_STEER_PASS_RUNT;
	*ret_proto = eth->h_proto;
	if (eth->h_proto != bpf_htons(ETH_P_8021Q) &&
	    eth->h_proto != bpf_htons(ETH_P_8021AD))
		return XM_STEER_REDIRECT;
	if (!take(c, sizeof(*tag), &tag))
		return XM_STEER_PASS_RUNT;
	*ret_proto = tag->proto;
	return XM_STEER_REDIRECT;
}

static __always_inline enum xm_steer_verdict parse_ipv4(struct cursor *c)
{
	struct iphdr *ip;

	if (!take(c, sizeof(*ip), &ip))
		return XM_STEER_PASS_RUNT;
	if (ip->version != 4 || ip->ihl < 5)
		return XM_STEER_PASS_OTHER;
	if (ip->ihl > 5)
		return XM_STEER_PASS_OPTS;
	if (ip->frag_off & bpf_htons(IP_FRAG))
		return XM_STEER_PASS_FRAG;
	return ip->protocol == IPPROTO_UDP ? XM_STEER_REDIRECT :
					     XM_STEER_PASS_OTHER;
}

static __always_inline enum xm_steer_verdict parse_ipv6(struct cursor *c)
{
	struct ipv6hdr *ip;

	if (!take(c, sizeof(*ip), &ip))
		return XM_STEER_PASS_RUNT;
	if (ip->version != 6)
		return XM_STEER_PASS_OTHER;
	switch (ip->nexthdr) {
	case IPPROTO_UDP:
		return XM_STEER_REDIRECT;
	case IPPROTO_FRAGMENT:
		return XM_STEER_PASS_FRAG;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_AH:
		return XM_STEER_PASS_OPTS;
	default:
		return XM_STEER_PASS_OTHER;
	}
}

static __always_inline enum xm_steer_verdict parse_ip(struct cursor *c,
						      __be16 proto)
{
	if (proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(c);
	if (proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(c);
	return XM_STEER_PASS_OTHER;
}

/* The frame header against a slot that has its port. */
static __always_inline enum xm_steer_verdict
match(struct cursor *c, const struct xm_steer_slot *slot)
{
	struct frame_head *head;

	if (!take(c, sizeof(*head), &head))
		return XM_STEER_PASS_RUNT;
	if (head->magic != bpf_htons(XM_WIRE_MAGIC) ||
	    head->version != XM_WIRE_VERSION ||
	    head->channel != slot->channel || head->cookie != slot->cookie)
		return XM_STEER_PASS_MAGIC;
	return XM_STEER_REDIRECT;
}

/* A port that this queue's slot does not have: another queue's? */
static __always_inline enum xm_steer_verdict stray(struct cursor *c,
						   __be16 dport)
{
	__u32 zero = 0, home;
	struct xm_steer_conf *conf = bpf_map_lookup_elem(&xm_conf, &zero);
	struct xm_steer_slot *slot;
	enum xm_steer_verdict v;

	if (!conf)
		return XM_STEER_PASS_OTHER;
	home = conf->home[bpf_ntohs(dport) % XM_CHAN_MAX];
	slot = bpf_map_lookup_elem(&xm_slots, &home);
	if (!slot || slot->dport != dport)
		return XM_STEER_PASS_OTHER;
	v = match(c, slot);
	return v == XM_STEER_REDIRECT ? XM_STEER_WRONG_QUEUE : v;
}

static __always_inline enum xm_steer_verdict judge(struct xdp_md *ctx)
{
	struct cursor c = { (void *)(long)ctx->data,
			    (void *)(long)ctx->data_end };
	__u32 queue = ctx->rx_queue_index;
	struct xm_steer_slot *slot;
	enum xm_steer_verdict v;
	struct udphdr *udp;
	__be16 proto;

	v = parse_eth(&c, &proto);
	if (v == XM_STEER_REDIRECT)
		v = parse_ip(&c, proto);
	if (v != XM_STEER_REDIRECT)
		return v;
	if (!take(&c, sizeof(*udp), &udp))
		return XM_STEER_PASS_RUNT;
	if (!udp->dest) /* 0 marks a slot without a session */
		return XM_STEER_PASS_OTHER;
	slot = bpf_map_lookup_elem(&xm_slots, &queue);
	if (!slot || slot->dport != udp->dest)
		return stray(&c, udp->dest);
	v = match(&c, slot);
	if (v == XM_STEER_REDIRECT && !bpf_map_lookup_elem(&xm_xsks, &queue))
		return XM_STEER_PASS_SOCKET;
	return v;
}

SEC("xdp.frags")
int xm_steer(struct xdp_md *ctx)
{
	__u32 v = judge(ctx);
	__u64 *count = bpf_map_lookup_elem(&xm_verdicts, &v);

	if (count)
		(*count)++; /* this CPU's own, and XDP does not nest */
	switch (v) {
	case XM_STEER_REDIRECT:
		return bpf_redirect_map(&xm_xsks, ctx->rx_queue_index,
					XDP_PASS);
	case XM_STEER_WRONG_QUEUE:
		return XDP_DROP;
	default:
		return XDP_PASS;
	}
}

/* Never attached: user space runs it by BPF_PROG_TEST_RUN to learn whether a
 * queue has a socket, which the kernel tells to programs only.  The first four
 * bytes of the packet are the queue, in host order. */
SEC("xdp")
int xm_has_xsk(struct xdp_md *ctx)
{
	struct cursor c = { (void *)(long)ctx->data,
			    (void *)(long)ctx->data_end };
	__u32 *at, queue;

	if (!take(&c, sizeof(*at), &at))
		return 0;
	queue = *at;
	return bpf_map_lookup_elem(&xm_xsks, &queue) ? 1 : 0;
}

char LICENSE[] SEC("license") = "GPL";
