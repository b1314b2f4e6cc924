// SPDX-License-Identifier: GPL-2.0-or-later
/* test_xsk_probe.c - what the driver takes for granted about AF_XDP, asked of
 * the kernel it runs on: sending, receiving, binding
 *
 * A veth pair t_va - t_vb of four queues, MTU 9000 unless a test says
 * otherwise; every frame is an Ethernet header with an experimental type and
 * filler.  Registration is probed in test_xsk_umem.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/if_packet.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "t_veth.h"
#include "t_xsk.h"
#include "xsk/compat.h"

#define ETH_TYPE 0x88b5 /* local experimental */

static int setup_large(void **state)
{
	(void)state;
	t_veth_add(t_va, t_vb, 1, 65535);
	return 0;
}

/* Ethernet header at the start of TX chunk @chunk, filler up to @len. */
static struct xdp_desc t_head(struct t_xsk *x, unsigned int chunk, uint32_t len)
{
	uint8_t *p = x->umem.base + t_tx_addr(chunk, 0);

	memset(p, 0xff, 12);
	p[12] = ETH_TYPE >> 8;
	p[13] = ETH_TYPE & 0xff;
	memset(p + 14, (int)chunk + 1, len - 14);
	return (struct xdp_desc){ .addr = t_tx_addr(chunk, 0), .len = len };
}

/* @len bytes of filler that begin @off bytes into TX chunk @chunk. */
static struct xdp_desc t_body(struct t_xsk *x, unsigned int chunk, uint32_t off,
			      uint32_t len)
{
	memset(x->umem.base + t_tx_addr(chunk, off), (int)chunk + 1, len);
	return (struct xdp_desc){ .addr = t_tx_addr(chunk, off), .len = len };
}

static int t_send(struct t_xsk *x, const struct xdp_desc *d, unsigned int n)
{
	t_xsk_write(x, d, n);
	t_xsk_publish(x, n);
	return t_xsk_kick(x);
}

static int t_by_addr(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* -- descriptors ---------------------------------------------------------------- */

static void tx__header_and_whole_pages(void **state)
{
	uint8_t buf[16384];
	uint64_t addr[3];
	struct t_xsk a, b;
	struct xdp_desc d[3];
	int map = t_redirect(t_vb);

	(void)state;
	t_xsk_open(&a, t_va, 0);
	t_xsk_open(&b, t_vb, 0);
	t_redirect_set(map, 0, b.s.fd);
	d[0] = t_head(&a, 0, 64);
	d[1] = t_body(&a, 7, 0, 4096);
	d[2] = t_body(&a, 3, 0, 4096);
	assert_int_equal(t_send(&a, d, 3), 0);
	assert_int_equal(t_xsk_recv_wait(&b, buf, sizeof(buf)), 64 + 2 * 4096);
	assert_int_equal(buf[63], 1);
	assert_int_equal(buf[64], 8);
	assert_int_equal(buf[64 + 4095], 8);
	assert_int_equal(buf[64 + 4096], 4);
	t_xsk_reap_all(&a, addr, 3);
	assert_int_equal(addr[0], d[0].addr); /* in order, header first */
	assert_int_equal(addr[1], d[1].addr);
	assert_int_equal(addr[2], d[2].addr);
	assert_int_equal(t_xsk_tx_invalid(&a), 0);
	t_xsk_close(&a);
	t_xsk_close(&b);
	close(map);
}

static void tx__18_descriptors_arrive(void **state)
{
	static uint8_t buf[70000];
	uint64_t addr[18];
	struct t_xsk a, b;
	struct xdp_desc d[18];
	int map = t_redirect(t_vb), i, k;

	(void)state;
	t_xsk_open(&a, t_va, 0);
	t_xsk_open(&b, t_vb, 0);
	t_redirect_set(map, 0, b.s.fd);
	d[0] = t_head(&a, 0, 64);
	for (i = 1; i < 18; i++)
		d[i] = t_body(&a, (unsigned int)i, 32, 3500);
	assert_int_equal(t_send(&a, d, 18), 0);
	assert_int_equal(t_xsk_recv_wait(&b, buf, sizeof(buf)), 64 + 17 * 3500);
	for (i = 1; i < 18; i++)
		for (k = 0; k < 3500; k++)
			assert_int_equal(buf[64 + (i - 1) * 3500 + k], i + 1);
	t_xsk_reap_all(&a, addr, 18);
	for (i = 0; i < 18; i++)
		assert_int_equal(addr[i], d[i].addr);
	t_xsk_close(&a);
	t_xsk_close(&b);
	close(map);
}

/* Rejected, and since 6.18 all of its addresses come back; before, they were
 * lost.  Either way the next frame goes out. */
static void tx__19_descriptors_are_rejected(void **state)
{
	static uint8_t buf[70000];
	uint64_t addr[20];
	struct t_xsk a, b;
	struct xdp_desc d[19], next;
	int map = t_redirect(t_vb), i;
	int64_t start = 0;
	unsigned int n = 0;

	(void)state;
	t_xsk_open(&a, t_va, 0);
	t_xsk_open(&b, t_vb, 0);
	t_redirect_set(map, 0, b.s.fd);
	d[0] = t_head(&a, 0, 64);
	for (i = 1; i < 19; i++)
		d[i] = t_body(&a, (unsigned int)i, 0, 2000);
	(void)t_send(&a, d, 19); /* reports one error or another */
	next = t_head(&a, 20, 99);
	while (t_send(&a, &next, 1) && t_wait(&start))
		;
	assert_int_equal(t_xsk_recv_wait(&b, buf, sizeof(buf)), 99);
	while (!n || addr[n - 1] != next.addr) {
		n += t_xsk_reap(&a, addr + n, 20 - n);
		assert_true(t_wait(&start));
	}
	if (n != 1) {
		assert_int_equal(n, 20);
		qsort(addr, 19, sizeof(*addr), t_by_addr);
		for (i = 0; i < 19; i++)
			assert_int_equal(addr[i], d[i].addr);
	}
	assert_true(t_xsk_tx_invalid(&a) > 0);
	t_xsk_close(&a);
	t_xsk_close(&b);
	close(map);
}

static void tx__an_odd_address_completes_as_the_even_one(void **state)
{
	struct t_xsk a;
	struct xdp_desc d;
	uint64_t addr;

	(void)state;
	t_xsk_open(&a, t_va, 0);
	d = t_head(&a, 0, 100);
	d.addr |= 1;
	(void)t_send(&a, &d, 1); /* nobody takes it at the other end */
	t_xsk_reap_all(&a, &addr, 1);
	assert_int_equal(addr, d.addr & ~1ull);
	t_xsk_close(&a);
}

/* -- completions under pressure --------------------------------------------------- */

#define N_PRESSED 400 /* the ring of a veth holds 256 */

/* The peer's NAPI poll is moved to a thread, and that to CPU 0, where it does
 * not run while we are there with a real-time priority and do not sleep. */
static void t_hold_peer(void)
{
	struct sched_param prio = { .sched_priority = 10 };
	cpu_set_t cpu0;

	CPU_ZERO(&cpu0);
	CPU_SET(0, &cpu0);
	t_run("echo 1 > /sys/class/net/%s/threaded", t_vb);
	t_run("pgrep '^napi/%s-' | xargs -r -n1 taskset -p 1 >/dev/null", t_vb);
	t_run("pgrep '^napi/%s-' >/dev/null", t_vb);
	assert_int_equal(sched_setaffinity(0, sizeof(cpu0), &cpu0), 0);
	assert_int_equal(sched_setscheduler(0, SCHED_FIFO, &prio), 0);
}

static void t_release_peer(void)
{
	struct sched_param prio = { 0 };
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &prio), 0);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

struct t_pressed {
	unsigned int again, busy, received;
	uint64_t posted[N_PRESSED], got[N_PRESSED];
};

static void t_press_kick(struct t_pressed *t, struct t_xsk *a)
{
	int r = t_xsk_kick(a);

	t->again += r == -EAGAIN;
	t->busy += r == -EBUSY;
	assert_true(!r || r == -EAGAIN || r == -EBUSY);
}

/* Post N_PRESSED frames against a held peer, let it go, and see everything
 * come back. */
static void t_press(struct t_pressed *t, const char *qdisc)
{
	int map = t_redirect(t_vb);
	struct xdp_desc d;
	struct t_xsk a, b;
	uint8_t buf[128];
	unsigned int i;
	int64_t start = 0;

	memset(t, 0, sizeof(*t));
	if (qdisc)
		t_run("tc qdisc add dev %s root %s", t_va, qdisc);
	t_xsk_open(&a, t_va, 0);
	t_xsk_open(&b, t_vb, 0);
	t_redirect_set(map, 0, b.s.fd);
	for (i = 0; i < N_PRESSED; i++) {
		d = t_head(&a, i, 60);
		t->posted[i] = d.addr;
		t_xsk_write(&a, &d, 1);
	}
	t_xsk_publish(&a, N_PRESSED);
	t_hold_peer();
	for (i = 0; i < N_PRESSED; i++)
		t_press_kick(t, &a);
	t_release_peer();
	for (i = 0; i < N_PRESSED;) {
		t_press_kick(t, &a);
		i += t_xsk_reap(&a, t->got + i, N_PRESSED - i);
		if (!t_wait(&start))
			fail_msg("%u of %u completions", i, N_PRESSED);
	}
	while (t->received + t->busy < N_PRESSED && t_wait(&start))
		while (t_xsk_recv(&b, buf, sizeof(buf)))
			t->received++;
	t_xsk_close(&a);
	t_xsk_close(&b);
	close(map);
}

static void t_press_check(struct t_pressed *t)
{
	qsort(t->got, N_PRESSED, sizeof(*t->got), t_by_addr);
	assert_memory_equal(t->got, t->posted, sizeof(t->got));
	assert_int_equal(t->received + t->busy, N_PRESSED);
}

static void completion__noqueue_drops_and_completes(void **state)
{
	static struct t_pressed t;

	(void)state;
	t_press(&t, NULL);
	t_press_check(&t);
	assert_true(t.busy > 0);
}

static void completion__pfifo_pushes_back_and_loses_nothing(void **state)
{
	static struct t_pressed t;

	(void)state;
	t_press(&t, "pfifo");
	t_press_check(&t);
	assert_int_equal(t.busy, 0);
	assert_true(t.again > 0);
}

static void completion__mq_pushes_back_too(void **state)
{
	static struct t_pressed t;

	(void)state;
	t_press(&t, "mq");
	t_press_check(&t);
	assert_int_equal(t.busy, 0);
	assert_true(t.again > 0);
}

/* -- options ---------------------------------------------------------------------- */

static int t_budget(struct t_xsk *x, int budget)
{
	return setsockopt(x->s.fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget,
			  sizeof(budget)) ?
		       -errno :
		       0;
}

static void budget__is_32_to_the_rings_size(void **state)
{
	struct t_xsk a;
	int r;

	(void)state;
	t_xsk_open(&a, t_va, 0);
	r = t_budget(&a, 32);
	if (r) {
		assert_int_equal(r, -ENOPROTOOPT); /* before 6.17 */
	} else {
		assert_int_equal(t_budget(&a, 31), -EACCES);
		assert_int_equal(t_budget(&a, T_RING), 0);
		assert_int_equal(t_budget(&a, T_RING + 1), -EACCES);
	}
	t_xsk_close(&a);
}

/* -- binding ------------------------------------------------------------------------ */

/* Try to bind queue @queue, on a UMEM of its own. */
static int t_bind(unsigned int queue, bool zero_copy, struct xm_error *e)
{
	struct xsk_chan_opts opts = {
		.ifname = t_va,
		.ifindex = (int)if_nametoindex(t_va),
		.queue = queue,
		.force_zero_copy = zero_copy,
		.max_descs = 18,
		.tx_ring = 64,
		.rx_ring = 64,
		.rx_chunks = 64,
	};
	struct umem umem;
	struct xsk_sock s;
	int r;

	memset(e, 0, sizeof(*e));
	assert_int_equal(umem_open(&umem, &opts, e), 0);
	assert_int_equal(xsk_sock_open(&s, &opts, e), 0);
	assert_int_equal(xsk_sock_register(&s, &umem, &opts, e), 0);
	r = xsk_sock_bind(&s, &opts, e);
	if (!r)
		assert_int_equal(s.is_zero_copy, zero_copy);
	xsk_sock_close(&s);
	umem_close(&umem);
	return r;
}

static void bind__veth_has_no_zero_copy(void **state)
{
	struct xm_error e;

	(void)state;
	assert_int_equal(t_bind(0, true, &e), -EOPNOTSUPP);
	assert_int_equal(e.reason, XM_REASON_ZERO_COPY);
	assert_int_equal(t_bind(0, false, &e), 0);
}

static void bind__a_queue_that_is_not_there(void **state)
{
	struct xm_error e;
	char want[64];

	(void)state;
	snprintf(want, sizeof(want), "%s has no queue 4: 4 are in use", t_va);
	assert_int_equal(t_bind(4, false, &e), -EINVAL);
	assert_non_null(strstr(e.msg, want));
	assert_int_equal(t_bind(3, false, &e), 0);
}

static void bind__a_queue_that_is_taken(void **state)
{
	struct xm_error e;
	struct t_xsk a;

	(void)state;
	t_xsk_open(&a, t_va, 1);
	assert_int_equal(t_bind(1, false, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "queue 1 already has an AF_XDP socket"));
	assert_int_equal(t_bind(2, false, &e), 0);
	t_xsk_close(&a);
}

/* The kernel gives the queue back a little after close(): a bind that did not
 * try again would fail now and then. */
static void bind__again_right_after_close(void **state)
{
	struct xm_error e;
	struct t_xsk a;
	int i;

	(void)state;
	for (i = 0; i < 10; i++) {
		t_xsk_open(&a, t_va, 1);
		t_xsk_close(&a);
		assert_int_equal(t_bind(1, false, &e), 0);
	}
}

/* -- steering ------------------------------------------------------------------------- */

static void steer__queue_i_is_queue_i(void **state)
{
	int map = t_redirect(t_vb), i;
	struct t_xsk a[4], b[4];
	struct xdp_desc d;
	uint8_t buf[256];

	(void)state;
	for (i = 0; i < 4; i++) {
		t_xsk_open(&a[i], t_va, (unsigned int)i);
		t_xsk_open(&b[i], t_vb, (unsigned int)i);
		t_redirect_set(map, (uint32_t)i, b[i].s.fd);
	}
	for (i = 3; i >= 0; i--) {
		d = t_head(&a[i], 0, 60 + (uint32_t)i);
		assert_int_equal(t_send(&a[i], &d, 1), 0);
		assert_int_equal(t_xsk_recv_wait(&b[i], buf, sizeof(buf)),
				 60 + i);
	}
	for (i = 0; i < 4; i++) {
		assert_int_equal(t_xsk_recv(&b[i], buf, sizeof(buf)), 0);
		t_xsk_close(&a[i]);
		t_xsk_close(&b[i]);
	}
	close(map);
}

/* What reaches the stack of t_vb, as a packet socket sees it. */
static int t_sniff(void)
{
	struct sockaddr_ll sll = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_TYPE),
		.sll_ifindex = (int)if_nametoindex(t_vb),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_TYPE));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sll, sizeof(sll)), 0);
	return fd;
}

static void steer__an_empty_slot_passes(void **state)
{
	int map = t_redirect(t_vb), sniff = t_sniff();
	int64_t start = 0;
	struct xdp_desc d;
	struct t_xsk a;
	uint8_t buf[256];

	(void)state;
	t_xsk_open(&a, t_va, 2);
	d = t_head(&a, 0, 77);
	assert_int_equal(t_send(&a, &d, 1), 0);
	while (recv(sniff, buf, sizeof(buf), 0) != 77)
		assert_true(t_wait(&start));
	t_xsk_close(&a);
	close(sniff);
	close(map);
}

static void steer__a_socket_of_another_queue_drops(void **state)
{
	int map = t_redirect(t_vb), sniff = t_sniff();
	struct t_xsk a, b;
	struct xdp_desc d;
	uint8_t buf[256];
	uint64_t addr;

	(void)state;
	t_xsk_open(&a, t_va, 2);
	t_xsk_open(&b, t_vb, 1);
	t_redirect_set(map, 2, b.s.fd);
	d = t_head(&a, 0, 77);
	assert_int_equal(t_send(&a, &d, 1), 0);
	t_xsk_reap_all(&a, &addr, 1); /* t_vb is done with it */
	assert_int_equal(t_xsk_recv(&b, buf, sizeof(buf)), 0);
	assert_int_equal(recv(sniff, buf, sizeof(buf), 0), -1);
	/* and the next one, with the slot empty, does come through */
	t_redirect_clear(map, 2);
	assert_int_equal(t_send(&a, &d, 1), 0);
	t_xsk_reap_all(&a, &addr, 1);
	assert_int_equal(recv(sniff, buf, sizeof(buf), 0), 77);
	t_xsk_close(&a);
	t_xsk_close(&b);
	close(sniff);
	close(map);
}

int main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(name, t_veth_setup, t_veth_teardown)
#define T_LARGE(name) \
	cmocka_unit_test_setup_teardown(name, setup_large, t_veth_teardown)
	const struct CMUnitTest tests[] = {
		T(tx__header_and_whole_pages),
		T_LARGE(tx__18_descriptors_arrive),
		T_LARGE(tx__19_descriptors_are_rejected),
		T(tx__an_odd_address_completes_as_the_even_one),
		T(completion__noqueue_drops_and_completes),
		T(completion__pfifo_pushes_back_and_loses_nothing),
		T(completion__mq_pushes_back_too),
		T(budget__is_32_to_the_rings_size),
		T(bind__veth_has_no_zero_copy),
		T(bind__a_queue_that_is_not_there),
		T(bind__a_queue_that_is_taken),
		T(bind__again_right_after_close),
		T(steer__queue_i_is_queue_i),
		T(steer__an_empty_slot_passes),
		T(steer__a_socket_of_another_queue_drops),
	};

	if (!t_netns_enter())
		return 0;
	return cmocka_run_group_tests_name("xsk_probe", tests, NULL, NULL);
}
