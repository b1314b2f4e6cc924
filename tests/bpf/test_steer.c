// SPDX-License-Identifier: GPL-2.0-or-later
/* test_steer.c - every verdict of bpf/steer.bpf.c, by BPF_PROG_TEST_RUN
 *
 * The program runs in the kernel on packets built here, as if they had come
 * to a receive queue of our choice: for that it wants a device with so many
 * queues, which is made in a network namespace that dies with this process.
 * Sockets in the XSKMAP are real, but never bound.
 */
#include "t_steer.h"

/* -- redirected --------------------------------------------------------------- */

static void xm_steer__redirects_ipv4(void **state)
{
	(void)state;
	expect(pkt_good4(), QUEUE, XM_STEER_REDIRECT);
}

static void xm_steer__redirects_ipv6(void **state)
{
	(void)state;
	expect(pkt_good6(), QUEUE, XM_STEER_REDIRECT);
}

static void xm_steer__redirects_8021q(void **state)
{
	struct t_pkt p;

	(void)state;
	pkt_eth(&p, ETH_P_8021Q);
	pkt_tag(&p, ETH_P_IP);
	pkt_ipv4(&p);
	pkt_frame(&p, 0);
	expect(&p, QUEUE, XM_STEER_REDIRECT);
}

static void xm_steer__redirects_8021ad_ipv6(void **state)
{
	struct t_pkt p;

	(void)state;
	pkt_eth(&p, ETH_P_8021AD);
	pkt_tag(&p, ETH_P_IPV6);
	pkt_ipv6(&p);
	pkt_frame(&p, 0);
	expect(&p, QUEUE, XM_STEER_REDIRECT);
}

static void xm_steer__redirects_every_type(void **state)
{
	struct t_pkt *p = pkt_good4();

	(void)state;
	frame_of(p)->type = XM_WIRE_HEADER;
	expect(p, QUEUE, XM_STEER_REDIRECT);
	frame_of(p)->type = XM_WIRE_ACK;
	expect(p, QUEUE, XM_STEER_REDIRECT);
	frame_of(p)->type = XM_WIRE_PROBE;
	expect(p, QUEUE, XM_STEER_REDIRECT);
}

/* Larger than a page: the kernel makes a packet of several buffers of it, and
 * the program sees the first. */
static void xm_steer__redirects_jumbo(void **state)
{
	struct t_pkt p;

	(void)state;
	pkt_eth(&p, ETH_P_IP);
	pkt_ipv4(&p);
	pkt_frame(&p, 8900);
	expect(&p, QUEUE, XM_STEER_REDIRECT);
}

static void xm_steer__redirects_without_dont_fragment(void **state)
{
	struct t_pkt *p = pkt_good4();

	(void)state;
	ip4(p)->frag_off = 0;
	expect(p, QUEUE, XM_STEER_REDIRECT);
}

/* -- passed: not ours ------------------------------------------------------------ */

static void xm_steer__passes_arp(void **state)
{
	struct t_pkt p;

	(void)state;
	pkt_eth(&p, ETH_P_ARP);
	pkt_push(&p, 28);
	expect(&p, QUEUE, XM_STEER_PASS_OTHER);
}

static void xm_steer__passes_two_tags(void **state)
{
	struct t_pkt p;

	(void)state;
	pkt_eth(&p, ETH_P_8021AD);
	pkt_tag(&p, ETH_P_8021Q);
	pkt_tag(&p, ETH_P_IP);
	pkt_ipv4(&p);
	pkt_frame(&p, 0);
	expect(&p, QUEUE, XM_STEER_PASS_OTHER);
}

static void xm_steer__passes_tcp(void **state)
{
	struct t_pkt *p4 = pkt_good4(), *p6 = pkt_good6();

	(void)state;
	ip4(p4)->protocol = IPPROTO_TCP;
	expect(p4, QUEUE, XM_STEER_PASS_OTHER);
	ip6(p6)->nexthdr = IPPROTO_TCP;
	expect(p6, QUEUE, XM_STEER_PASS_OTHER);
}

static void xm_steer__passes_icmp(void **state)
{
	struct t_pkt *p4 = pkt_good4(), *p6 = pkt_good6();

	(void)state;
	ip4(p4)->protocol = IPPROTO_ICMP;
	expect(p4, QUEUE, XM_STEER_PASS_OTHER);
	ip6(p6)->nexthdr = IPPROTO_ICMPV6;
	expect(p6, QUEUE, XM_STEER_PASS_OTHER);
}

static void xm_steer__passes_wrong_ip_version(void **state)
{
	struct t_pkt *p4 = pkt_good4(), *p6 = pkt_good6();

	(void)state;
	ip4(p4)->version = 5;
	expect(p4, QUEUE, XM_STEER_PASS_OTHER);
	ip6(p6)->version = 4;
	expect(p6, QUEUE, XM_STEER_PASS_OTHER);
}

static void xm_steer__passes_short_ihl(void **state)
{
	struct t_pkt *p = pkt_good4();

	(void)state;
	ip4(p)->ihl = 4;
	expect(p, QUEUE, XM_STEER_PASS_OTHER);
}

static void xm_steer__passes_next_port(void **state)
{
	struct t_pkt *p = pkt_good4();

	(void)state;
	udp_of(p)->dest = htons(PORT + 1);
	expect(p, QUEUE, XM_STEER_PASS_OTHER);
	udp_of(p)->dest = htons(PORT - 1);
	expect(p, QUEUE, XM_STEER_PASS_OTHER);
}

/* Same place in the table of homes, other port. */
static void xm_steer__passes_port_64_further(void **state)
{
	struct t_pkt *p = pkt_good4();

	(void)state;
	udp_of(p)->dest = htons(PORT + XM_CHAN_MAX);
	expect(p, QUEUE, XM_STEER_PASS_OTHER);
	udp_of(p)->dest = htons(PORT - XM_CHAN_MAX);
	expect(p, OTHER, XM_STEER_PASS_OTHER);
}

/* Port 0 must not match the slots that hold no session. */
static void xm_steer__passes_port_zero(void **state)
{
	struct t_pkt *p = pkt_good4();

	(void)state;
	udp_of(p)->dest = 0;
	expect(p, OTHER, XM_STEER_PASS_OTHER);
	expect(p, QUEUE, XM_STEER_PASS_OTHER);
}

static void xm_steer__passes_source_port_only(void **state)
{
	struct t_pkt *p = pkt_good4();

	(void)state;
	udp_of(p)->source = htons(PORT);
	udp_of(p)->dest = htons(40000);
	expect(p, QUEUE, XM_STEER_PASS_OTHER);
}

static void xm_steer__passes_without_session(void **state)
{
	(void)state;
	slot_set(QUEUE, 0, 0);
	expect(pkt_good4(), QUEUE, XM_STEER_PASS_OTHER);
	expect(pkt_good4(), OTHER, XM_STEER_PASS_OTHER);
}

/* -- passed: what the sender never makes ---------------------------------------- */

static void xm_steer__passes_first_fragment(void **state)
{
	struct t_pkt *p = pkt_good4();

	(void)state;
	ip4(p)->frag_off = htons(0x2000); /* More Fragments, offset 0 */
	expect(p, QUEUE, XM_STEER_PASS_FRAG);
}

static void xm_steer__passes_last_fragment(void **state)
{
	struct t_pkt *p = pkt_good4();

	(void)state;
	ip4(p)->frag_off = htons(0x0001);
	expect(p, QUEUE, XM_STEER_PASS_FRAG);
	ip4(p)->frag_off = htons(0x1fff);
	expect(p, QUEUE, XM_STEER_PASS_FRAG);
}

static void xm_steer__passes_ipv6_fragment(void **state)
{
	struct t_pkt *p = pkt_good6();

	(void)state;
	ip6(p)->nexthdr = IPPROTO_FRAGMENT;
	expect(p, QUEUE, XM_STEER_PASS_FRAG);
}

static void xm_steer__passes_ip_options(void **state)
{
	struct t_pkt p;

	(void)state;
	pkt_eth(&p, ETH_P_IP);
	pkt_ipv4(&p);
	ip4(&p)->ihl = 6;
	pkt_push(&p, 4);
	pkt_frame(&p, 0);
	expect(&p, QUEUE, XM_STEER_PASS_OPTS);
}

static void xm_steer__passes_ipv6_extensions(void **state)
{
	struct t_pkt *p = pkt_good6();

	(void)state;
	ip6(p)->nexthdr = IPPROTO_HOPOPTS;
	expect(p, QUEUE, XM_STEER_PASS_OPTS);
	ip6(p)->nexthdr = IPPROTO_ROUTING;
	expect(p, QUEUE, XM_STEER_PASS_OPTS);
	ip6(p)->nexthdr = IPPROTO_DSTOPTS;
	expect(p, QUEUE, XM_STEER_PASS_OPTS);
	ip6(p)->nexthdr = IPPROTO_AH;
	expect(p, QUEUE, XM_STEER_PASS_OPTS);
}

/* -- passed: our port, but not our session ---------------------------------------- */

static void xm_steer__passes_wrong_cookie(void **state)
{
	struct t_pkt *p = pkt_good4();

	(void)state;
	frame_of(p)->cookie ^= htobe64(1);
	expect(p, QUEUE, XM_STEER_PASS_MAGIC);
	frame_of(p)->cookie = htobe64(COOKIE ^ (1ULL << 63));
	expect(p, QUEUE, XM_STEER_PASS_MAGIC);
}

static void xm_steer__passes_wrong_magic(void **state)
{
	struct t_pkt *p = pkt_good4();

	(void)state;
	frame_of(p)->magic = htons(XM_WIRE_MAGIC ^ 0x0100);
	expect(p, QUEUE, XM_STEER_PASS_MAGIC);
}

static void xm_steer__passes_wrong_version(void **state)
{
	struct t_pkt *p = pkt_good4();

	(void)state;
	frame_of(p)->version = XM_WIRE_VERSION + 1;
	expect(p, QUEUE, XM_STEER_PASS_MAGIC);
}

static void xm_steer__passes_wrong_channel(void **state)
{
	struct t_pkt *p = pkt_good4();

	(void)state;
	frame_of(p)->channel = CHAN + 1;
	expect(p, QUEUE, XM_STEER_PASS_MAGIC);
}

static void xm_steer__passes_when_socket_is_gone(void **state)
{
	uint32_t q = QUEUE;

	(void)state;
	bpf_map_delete_elem(bpf_map__fd(t.skel->maps.xm_xsks), &q);
	expect(pkt_good4(), QUEUE, XM_STEER_PASS_SOCKET);
	xsk_set(OTHER); /* another queue's socket does not help */
	expect(pkt_good4(), QUEUE, XM_STEER_PASS_SOCKET);
}

/* The kernel itself empties the entry of a socket that closes: nothing is left
 * to redirect to when a session is killed. */
static void xm_steer__passes_after_socket_closed(void **state)
{
	uint32_t q = QUEUE, ring = 64;
	int xsk = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	(void)state;
	assert_true(xsk >= 0);
	assert_int_equal(
		setsockopt(xsk, SOL_XDP, XDP_RX_RING, &ring, sizeof(ring)), 0);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(t.skel->maps.xm_xsks),
					     &q, &xsk, BPF_ANY),
			 0);
	expect(pkt_good4(), QUEUE, XM_STEER_REDIRECT);
	close(xsk);
	expect(pkt_good4(), QUEUE, XM_STEER_PASS_SOCKET);
}

/* -- a frame on the wrong queue ------------------------------------------------------ */

static void xm_steer__drops_wrong_queue(void **state)
{
	(void)state;
	expect(pkt_good4(), OTHER, XM_STEER_WRONG_QUEUE);
	expect(pkt_good6(), OTHER, XM_STEER_WRONG_QUEUE);
}

/* Another channel of the same session lives on that queue. */
static void xm_steer__drops_wrong_queue_of_live_one(void **state)
{
	(void)state;
	slot_set(OTHER, PORT + 1, CHAN + 1);
	xsk_set(OTHER);
	expect(pkt_good4(), OTHER, XM_STEER_WRONG_QUEUE);
}

static void xm_steer__passes_wrong_queue_wrong_cookie(void **state)
{
	struct t_pkt *p = pkt_good4();

	(void)state;
	frame_of(p)->cookie ^= htobe64(1);
	expect(p, OTHER, XM_STEER_PASS_MAGIC);
}

static void xm_steer__passes_wrong_queue_runt(void **state)
{
	struct t_pkt *p = pkt_good4();

	(void)state;
	p->len = p->frame + 15;
	expect(p, OTHER, XM_STEER_PASS_RUNT);
}

/* home[] is a hint: one that points elsewhere costs the count, no more. */
static void xm_steer__passes_when_home_is_unknown(void **state)
{
	(void)state;
	t.conf->home[PORT % XM_CHAN_MAX] = OTHER + 1;
	expect(pkt_good4(), OTHER, XM_STEER_PASS_OTHER);
	t.conf->home[PORT % XM_CHAN_MAX] = 255;
	expect(pkt_good4(), OTHER, XM_STEER_PASS_OTHER);
	expect(pkt_good4(), QUEUE, XM_STEER_REDIRECT);
}

/* -- truncated ------------------------------------------------------------------------- */

/* BPF_PROG_TEST_RUN wants an Ethernet header; from there on every length. */
static void truncate_all(struct t_pkt *p)
{
	size_t need = p->frame + offsetof(struct xm_wire_frame, epoch), len;

	for (len = ETH_HLEN; len < need; len++) {
		p->len = len;
		expect(p, QUEUE, XM_STEER_PASS_RUNT);
	}
	for (; len <= p->frame + sizeof(struct xm_wire_frame); len++) {
		p->len = len;
		expect(p, QUEUE, XM_STEER_REDIRECT);
	}
}

static void xm_steer__passes_runts_ipv4(void **state)
{
	(void)state;
	truncate_all(pkt_good4());
}

static void xm_steer__passes_runts_ipv6(void **state)
{
	(void)state;
	truncate_all(pkt_good6());
}

static void xm_steer__passes_runts_vlan(void **state)
{
	struct t_pkt p;

	(void)state;
	pkt_eth(&p, ETH_P_8021Q);
	pkt_tag(&p, ETH_P_IP);
	pkt_ipv4(&p);
	pkt_frame(&p, 0);
	truncate_all(&p);
}

/* A short datagram to somebody else's port is no runt. */
static void xm_steer__passes_short_datagram_as_other(void **state)
{
	struct t_pkt *p = pkt_good4();

	(void)state;
	udp_of(p)->dest = htons(53);
	p->len = p->frame + 1;
	expect(p, QUEUE, XM_STEER_PASS_OTHER);
}

/* -- does a queue have a socket? ------------------------------------------------------------ */

static uint32_t has_xsk(uint32_t queue)
{
	uint8_t data[ETH_HLEN] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data,
		    .data_size_in = sizeof(data), .repeat = 1);

	memcpy(data, &queue, sizeof(queue));
	assert_int_equal(bpf_prog_test_run_opts(
				 bpf_program__fd(t.skel->progs.xm_has_xsk),
				 &opts),
			 0);
	return opts.retval;
}

static void xm_has_xsk__tells(void **state)
{
	uint32_t q = QUEUE;

	(void)state;
	assert_int_equal(has_xsk(QUEUE), 1);
	assert_int_equal(has_xsk(OTHER), 0);
	assert_int_equal(has_xsk(XM_CHAN_MAX), 0);
	bpf_map_delete_elem(bpf_map__fd(t.skel->maps.xm_xsks), &q);
	assert_int_equal(has_xsk(QUEUE), 0);
}

#define CASE(f) cmocka_unit_test_setup(f, session_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(xm_steer__redirects_ipv4),
		CASE(xm_steer__redirects_ipv6),
		CASE(xm_steer__redirects_8021q),
		CASE(xm_steer__redirects_8021ad_ipv6),
		CASE(xm_steer__redirects_every_type),
		CASE(xm_steer__redirects_jumbo),
		CASE(xm_steer__redirects_without_dont_fragment),
		CASE(xm_steer__passes_arp),
		CASE(xm_steer__passes_two_tags),
		CASE(xm_steer__passes_tcp),
		CASE(xm_steer__passes_icmp),
		CASE(xm_steer__passes_wrong_ip_version),
		CASE(xm_steer__passes_short_ihl),
		CASE(xm_steer__passes_next_port),
		CASE(xm_steer__passes_port_64_further),
		CASE(xm_steer__passes_port_zero),
		CASE(xm_steer__passes_source_port_only),
		CASE(xm_steer__passes_without_session),
		CASE(xm_steer__passes_first_fragment),
		CASE(xm_steer__passes_last_fragment),
		CASE(xm_steer__passes_ipv6_fragment),
		CASE(xm_steer__passes_ip_options),
		CASE(xm_steer__passes_ipv6_extensions),
		CASE(xm_steer__passes_wrong_cookie),
		CASE(xm_steer__passes_wrong_magic),
		CASE(xm_steer__passes_wrong_version),
		CASE(xm_steer__passes_wrong_channel),
		CASE(xm_steer__passes_when_socket_is_gone),
		CASE(xm_steer__passes_after_socket_closed),
		CASE(xm_steer__drops_wrong_queue),
		CASE(xm_steer__drops_wrong_queue_of_live_one),
		CASE(xm_steer__passes_wrong_queue_wrong_cookie),
		CASE(xm_steer__passes_wrong_queue_runt),
		CASE(xm_steer__passes_when_home_is_unknown),
		CASE(xm_steer__passes_runts_ipv4),
		CASE(xm_steer__passes_runts_ipv6),
		CASE(xm_steer__passes_runts_vlan),
		CASE(xm_steer__passes_short_datagram_as_other),
		CASE(xm_has_xsk__tells),
	};

	if (geteuid()) {
		puts("1..0 # SKIP loading BPF programs needs root");
		return 0;
	}
	return cmocka_run_group_tests_name("steer", tests, group_setup,
					   group_teardown);
}
