// SPDX-License-Identifier: GPL-2.0-or-later
/* t_veth.c - namespaces, devices and the smallest XDP program for tests */
#include "t_veth.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "xsk/caps.h"

#ifndef BPF_F_XDP_HAS_FRAGS
#define BPF_F_XDP_HAS_FRAGS (1U << 5)
#endif

#define SLOTS 64

char t_va[16], t_vb[16];

bool t_netns_enter(void)
{
	if (geteuid() || unshare(CLONE_NEWNET | CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("sysfs", "/sys", "sysfs", 0, NULL)) {
		printf("1..0 # SKIP needs root, to make a network namespace\n");
		return false;
	}
	/* Router solicitations would be redirected into the tests' sockets. */
	t_run("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
	snprintf(t_va, sizeof(t_va), "a%d", getpid());
	snprintf(t_vb, sizeof(t_vb), "b%d", getpid());
	return true;
}

void t_run(const char *fmt, ...)
{
	char cmd[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd))
		fail_msg("command failed: %s", cmd);
}

bool t_wait(int64_t *start_ms)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	struct timespec ts;
	int64_t ms;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ms = ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	if (!*start_ms)
		*start_ms = ms;
	nanosleep(&nap, NULL);
	return ms - *start_ms < 5000;
}

void t_carrier_wait(const char *ifname)
{
	struct xsk_caps caps = { 0 };
	int64_t start = 0;

	while (xsk_caps_get(&caps, ifname, NULL) || !caps.is_up)
		if (!t_wait(&start))
			fail_msg("%s has no carrier", ifname);
}

void t_veth_add(const char *a, const char *b, unsigned int queues,
		unsigned int mtu)
{
	t_run("ip link add %s mtu %u numtxqueues %u numrxqueues %u type veth peer name %s mtu %u numtxqueues %u numrxqueues %u",
	      a, mtu, queues, queues, b, mtu, queues, queues);
	t_run("ip link set %s up", a);
	t_run("ip link set %s up", b);
	t_carrier_wait(a);
	t_carrier_wait(b);
}

void t_veth_del(const char *a)
{
	t_run("ip link del %s", a);
}

int t_veth_setup(void **state)
{
	(void)state;
	t_veth_add(t_va, t_vb, 4, 9000);
	return 0;
}

int t_veth_teardown(void **state)
{
	(void)state;
	t_veth_del(t_va);
	return 0;
}

int t_redirect(const char *ifname)
{
	int map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "t_xsks", 4, 4, SLOTS,
				 NULL);
	struct bpf_insn prog[] = {
		/* r2 = ctx->rx_queue_index; r1 = map; r3 = XDP_PASS */
		{ BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1,
		  offsetof(struct xdp_md, rx_queue_index), 0 },
		{ BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0,
		  map },
		{ 0 },
		{ BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, XDP_PASS },
		{ BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map },
		{ BPF_JMP | BPF_EXIT, 0, 0, 0, 0 },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts,
		    .prog_flags = BPF_F_XDP_HAS_FRAGS);
	int fd;

	assert_true(map >= 0);
	fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "t_redirect", "GPL", prog,
			   sizeof(prog) / sizeof(prog[0]), &opts);
	assert_true(fd >= 0);
	assert_int_equal(bpf_xdp_attach((int)if_nametoindex(ifname), fd,
					XDP_FLAGS_DRV_MODE, NULL),
			 0);
	close(fd); /* the device holds it */
	t_carrier_wait(ifname);
	return map;
}

void t_redirect_set(int map_fd, uint32_t slot, int xsk_fd)
{
	assert_int_equal(bpf_map_update_elem(map_fd, &slot, &xsk_fd, BPF_ANY),
			 0);
}

void t_redirect_clear(int map_fd, uint32_t slot)
{
	assert_int_equal(bpf_map_delete_elem(map_fd, &slot), 0);
}
