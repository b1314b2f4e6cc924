/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_steer.h - packets for bpf/steer.bpf.c, and the program run on them
 *
 * Included by one test only, which thereby owns the one program @t.
 */
#ifndef T_STEER_H
#define T_STEER_H

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <endian.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_xdp.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <net/if.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "steer.skel.h"
#include "xdpmig/limits.h"
#include "xdpmig/steer.h"
#include "xdpmig/wire.h"

#define QUEUE  5 /* where the session's channel lives */
#define OTHER  2 /* a queue of the same device without a session */
#define CHAN   3 /* differs from the queue on purpose */
#define PORT   (XM_PORT_DATA + CHAN)
#define COOKIE 0x1122334455667788ULL

struct t_steer {
	struct steer_bpf *skel;
	struct xm_steer_conf *conf; /* the map's memory */
	int ifindex;
	int xsk; /* with a receive ring, not bound */
};

static struct t_steer t;

/* -- packets ------------------------------------------------------------- */

struct t_pkt {
	uint8_t data[16384];
	size_t len;
	size_t ip, udp, frame; /* where they start */
};

static void *pkt_push(struct t_pkt *p, size_t len)
{
	void *at = p->data + p->len;

	memset(at, 0, len);
	p->len += len;
	return at;
}

static void pkt_eth(struct t_pkt *p, uint16_t proto)
{
	struct ethhdr *eth;

	p->len = 0;
	eth = pkt_push(p, sizeof(*eth));
	eth->h_proto = htons(proto);
}

static void pkt_tag(struct t_pkt *p, uint16_t proto)
{
	uint16_t *tag = pkt_push(p, 4);

	tag[0] = htons(100);
	tag[1] = htons(proto);
}

static void pkt_ipv4(struct t_pkt *p)
{
	struct iphdr *ip;

	p->ip = p->len;
	ip = pkt_push(p, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->frag_off =
		htons(0x4000); /* Don't Fragment, as the sender sets it */
}

static void pkt_ipv6(struct t_pkt *p)
{
	struct ipv6hdr *ip;

	p->ip = p->len;
	ip = pkt_push(p, sizeof(*ip));
	ip->version = 6;
	ip->nexthdr = IPPROTO_UDP;
	ip->hop_limit = 64;
}

/* UDP, a frame header of the session, and @payload bytes. */
static void pkt_frame(struct t_pkt *p, size_t payload)
{
	struct udphdr *udp;
	struct xm_wire_frame *frame;

	p->udp = p->len;
	udp = pkt_push(p, sizeof(*udp));
	udp->source = htons(40000);
	udp->dest = htons(PORT);
	p->frame = p->len;
	frame = pkt_push(p, sizeof(*frame));
	frame->magic = htons(XM_WIRE_MAGIC);
	frame->version = XM_WIRE_VERSION;
	frame->type = XM_WIRE_DATA;
	frame->channel = CHAN;
	frame->cookie = htobe64(COOKIE);
	pkt_push(p, payload);
}

static struct t_pkt *pkt_good4(void)
{
	static struct t_pkt p;

	pkt_eth(&p, ETH_P_IP);
	pkt_ipv4(&p);
	pkt_frame(&p, 100);
	return &p;
}

static struct t_pkt *pkt_good6(void)
{
	static struct t_pkt p;

	pkt_eth(&p, ETH_P_IPV6);
	pkt_ipv6(&p);
	pkt_frame(&p, 100);
	return &p;
}

static struct iphdr *ip4(struct t_pkt *p)
{
	return (void *)(p->data + p->ip);
}

static struct ipv6hdr *ip6(struct t_pkt *p)
{
	return (void *)(p->data + p->ip);
}

static struct udphdr *udp_of(struct t_pkt *p)
{
	return (void *)(p->data + p->udp);
}

static struct xm_wire_frame *frame_of(struct t_pkt *p)
{
	return (void *)(p->data + p->frame);
}

/* -- the program ------------------------------------------------------------ */

static uint64_t verdict_count(uint32_t v)
{
	int i, n = libbpf_num_possible_cpus();
	uint64_t *per_cpu = calloc((size_t)n, sizeof(*per_cpu)), sum = 0;

	assert_non_null(per_cpu);
	assert_int_equal(
		bpf_map_lookup_elem(bpf_map__fd(t.skel->maps.xm_verdicts), &v,
				    per_cpu),
		0);
	for (i = 0; i < n; i++)
		sum += per_cpu[i];
	free(per_cpu);
	return sum;
}

static uint32_t run(const struct t_pkt *p, uint32_t queue)
{
	struct xdp_md ctx = { .data_end = (uint32_t)p->len,
			      .ingress_ifindex = (uint32_t)t.ifindex,
			      .rx_queue_index = queue };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = p->data,
		    .data_size_in = (uint32_t)p->len, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1);

	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(t.skel->progs.xm_steer),
				       &opts),
		0);
	return opts.retval;
}

/* The packet on @queue must end with @want, counted once and nowhere else. */
static void expect(const struct t_pkt *p, uint32_t queue,
		   enum xm_steer_verdict want)
{
	static const uint32_t action[XM_STEER__COUNT] = {
		[XM_STEER_REDIRECT] = XDP_REDIRECT,
		[XM_STEER_PASS_OTHER] = XDP_PASS,
		[XM_STEER_PASS_FRAG] = XDP_PASS,
		[XM_STEER_PASS_RUNT] = XDP_PASS,
		[XM_STEER_PASS_OPTS] = XDP_PASS,
		[XM_STEER_PASS_MAGIC] = XDP_PASS,
		[XM_STEER_PASS_SOCKET] = XDP_PASS,
		[XM_STEER_WRONG_QUEUE] = XDP_DROP,
	};
	uint64_t before[XM_STEER__COUNT];
	uint32_t v, got;

	for (v = 0; v < XM_STEER__COUNT; v++)
		before[v] = verdict_count(v);
	got = run(p, queue);
	for (v = 0; v < XM_STEER__COUNT; v++)
		if (verdict_count(v) != before[v] + (v == want))
			fail_msg("verdict %u counted %ld times, wanted %u", v,
				 (long)(verdict_count(v) - before[v]), want);
	assert_int_equal(got, action[want]);
}

static void slot_set(uint32_t queue, uint16_t port, uint16_t channel)
{
	struct xm_steer_slot slot = { .cookie = htobe64(COOKIE),
				      .dport = htons(port),
				      .channel = channel };

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(t.skel->maps.xm_slots),
					     &queue, &slot, BPF_ANY),
			 0);
	t.conf->home[port % XM_CHAN_MAX] = (uint8_t)queue;
}

static void xsk_set(uint32_t queue)
{
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(t.skel->maps.xm_xsks),
					     &queue, &t.xsk, BPF_ANY),
			 0);
}

/* A session lives on QUEUE, all else is empty. */
static int session_setup(void **state)
{
	struct xm_steer_slot none = { 0 };
	uint32_t q;

	(void)state;
	for (q = 0; q < XM_CHAN_MAX; q++) {
		bpf_map_update_elem(bpf_map__fd(t.skel->maps.xm_slots), &q,
				    &none, BPF_ANY);
		bpf_map_delete_elem(bpf_map__fd(t.skel->maps.xm_xsks), &q);
	}
	memset(t.conf->home, 0, sizeof(t.conf->home));
	slot_set(QUEUE, PORT, CHAN);
	xsk_set(QUEUE);
	return 0;
}

/* -- the device and the program ------------------------------------------ */

static int group_setup(void **state)
{
	uint32_t ring = 64;

	(void)state;
	if (unshare(CLONE_NEWNET) ||
	    system("ip link add t0 numrxqueues 8 numtxqueues 8 type veth"
		   " peer name t1 numrxqueues 8 numtxqueues 8") != 0)
		return -1;
	t.ifindex = (int)if_nametoindex("t0");
	t.skel = steer_bpf__open_and_load();
	if (!t.ifindex || !t.skel)
		return -1;
	t.conf = mmap(NULL, (size_t)getpagesize(), PROT_READ | PROT_WRITE,
		      MAP_SHARED, bpf_map__fd(t.skel->maps.xm_conf), 0);
	if (t.conf == MAP_FAILED)
		return -1;
	t.xsk = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	return setsockopt(t.xsk, SOL_XDP, XDP_RX_RING, &ring, sizeof(ring));
}

static int group_teardown(void **state)
{
	(void)state;
	munmap(t.conf, (size_t)getpagesize());
	close(t.xsk);
	steer_bpf__destroy(t.skel);
	return 0;
}

#endif
