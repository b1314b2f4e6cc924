// SPDX-License-Identifier: GPL-2.0-or-later
/* test_xsk_lock.c - locked memory, as a user without CAP_IPC_LOCK meets it
 *
 * Channels are opened in a child that has a user id of its own and every
 * capability but that one: the kernel counts locked memory by user.  The
 * limits here stay below 8 MiB, which is what a process gets by default.
 */
#include <errno.h>
#include <linux/capability.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "t_mem.h"
#include "t_veth.h"
#include "xsk/plan.h"

#define PAGE 4096u
#define MIB  ((uint64_t)1 << 20)

/* Become a user of our own that may do everything but lock memory. */
static int t_drop_ipc_lock(unsigned int nth, uint64_t memlock)
{
	struct rlimit lim = { memlock, memlock };
	uid_t uid = 200000000u + (uid_t)getppid() * 16 + nth;
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct cap[2];

	if (prctl(PR_SET_KEEPCAPS, 1) || setresuid(uid, uid, uid) ||
	    syscall(SYS_capget, &hdr, cap))
		return -1;
	cap[0].permitted &= ~(1u << CAP_IPC_LOCK);
	cap[0].effective = cap[0].permitted;
	cap[1].effective = cap[1].permitted;
	return syscall(SYS_capset, &hdr, cap) ||
			       setrlimit(RLIMIT_MEMLOCK, &lim) ?
		       -1 :
		       0;
}

struct t_child {
	struct xm_error e;
	int r; /* of the first open that failed, else 0 */
	unsigned int opened;
};

/* In a child with @memlock bytes: open @n channels on queues 0 and up. */
static struct t_child t_open_limited(unsigned int nth, uint64_t memlock,
				     struct xsk_chan_opts o, unsigned int n)
{
	struct t_child *shared = t_map(-1, sizeof(*shared),
				       PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS);
	struct t_child ret;
	struct xsk_chan *c;
	pid_t pid = fork();
	int status;

	if (!pid) {
		shared->r = t_drop_ipc_lock(nth, memlock);
		for (; !shared->r && shared->opened < n; shared->opened++) {
			o.queue = shared->opened;
			shared->r = xsk_chan_open(&c, &o, &shared->e);
			if (shared->r)
				break;
		}
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	ret = *shared;
	munmap(shared, sizeof(*shared));
	return ret;
}

/* A channel's plan for @budget bytes in all, and a slice of @slice. */
static struct xsk_plan t_plan(uint64_t budget, uint64_t slice, bool is_sender,
			      unsigned int n_channels)
{
	struct xsk_wish wish = {
		.is_sender = is_sender,
		.n_channels = n_channels,
		.in_flight = XM_IN_FLIGHT,
		.lock_budget = budget,
		.slice_max = slice,
		.rx_memory = XM_RX_MEMORY,
		.ip_max = 9000,
		.is_native = true,
	};
	struct xsk_plan plan;
	struct xsk_caps caps;
	struct xm_error e = { 0 };

	assert_int_equal(xsk_caps_get(&caps, t_va, &e), 0);
	if (xsk_plan_make(&plan, &caps, &wish, &e))
		fail_msg("%s", e.msg);
	plan.opts.ifname = t_va;
	plan.opts.ifindex = caps.ifindex;
	return plan;
}

static void memlock__the_error_says_what_helps(void **state)
{
	struct xsk_plan p = t_plan(0, 0, false, 4);
	struct t_child t = t_open_limited(1, 16 * PAGE, p.opts, 1);
	char bytes[32];

	(void)state;
	assert_int_equal(t.r, -ENOBUFS);
	assert_int_equal(t.e.reason, XM_REASON_PERMISSION);
	snprintf(bytes, sizeof(bytes), "%llu bytes",
		 (unsigned long long)p.locked);
	if (!strstr(t.e.msg, bytes) ||
	    !strstr(t.e.msg, "RLIMIT_MEMLOCK is 65536") ||
	    !strstr(t.e.msg, "CAP_IPC_LOCK") ||
	    !strstr(t.e.msg, "--lock-budget"))
		fail_msg("%d: %s", t.r, t.e.msg);
}

/* With the limit at what was planned all channels open; with a page less the
 * last does not: the plan is what is pinned, to the page. */
static void t_exact(unsigned int nth, const struct xsk_plan *p, unsigned int n)
{
	struct t_child t;

	t = t_open_limited(nth, n * p->locked, p->opts, n);
	if (t.r)
		fail_msg("%d: %s", t.r, t.e.msg);
	assert_int_equal(t.opened, n);
	t = t_open_limited(nth + 1, n * p->locked - PAGE, p->opts, n);
	assert_int_equal(t.r, -ENOBUFS);
	assert_int_equal(t.opened, n - 1);
}

static void budget__of_512k_a_channel_is_kept(void **state)
{
	struct xsk_plan p = t_plan(4 * MIB / 2, 64 * MIB, true, 4);

	(void)state;
	assert_int_equal(p.opts.engine, XSK_COPY_STAGED);
	assert_false(p.maps_guest);
	assert_true(p.locked <= MIB / 2);
	t_exact(2, &p, 4);
}

static void budget__of_a_receiver_is_kept(void **state)
{
	struct xsk_plan p = t_plan(4 * MIB / 2, 0, false, 4);

	(void)state;
	assert_true(p.locked <= MIB / 2);
	t_exact(4, &p, 4);
}

static void budget__that_holds_the_guest_is_kept(void **state)
{
	struct xsk_plan p = t_plan(7 * MIB, 2 * MIB, true, 2);
	int fd = t_memfd(2 * MIB, 0);
	struct xsk_extent x = { .fd = fd, .len = 2 * MIB };

	(void)state;
	assert_int_equal(p.opts.engine, XSK_COPY_SG);
	assert_true(p.maps_guest);
	assert_true(p.locked <= 7 * MIB / 2);
	p.opts.extents = &x;
	p.opts.n_extents = 1;
	t_exact(6, &p, 2);
	close(fd);
}

/* A guest that grew since it was planned: the rest is left out. */
static void budget__is_kept_when_the_guest_grows(void **state)
{
	struct xsk_plan p = t_plan(7 * MIB, 2 * MIB, true, 2);
	int fd = t_memfd(3 * MIB, 0);
	struct xsk_extent x = { .fd = fd, .len = 3 * MIB };
	struct t_child t;

	(void)state;
	p.opts.extents = &x;
	p.opts.n_extents = 1;
	t = t_open_limited(8, 7 * MIB, p.opts, 2);
	if (t.r)
		fail_msg("%d: %s", t.r, t.e.msg);
	close(fd);
}

int main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(name, t_veth_setup, t_veth_teardown)
	const struct CMUnitTest tests[] = {
		T(memlock__the_error_says_what_helps),
		T(budget__of_512k_a_channel_is_kept),
		T(budget__of_a_receiver_is_kept),
		T(budget__that_holds_the_guest_is_kept),
		T(budget__is_kept_when_the_guest_grows),
	};

	if (!t_netns_enter())
		return 0;
	return cmocka_run_group_tests_name("xsk_lock", tests, NULL, NULL);
}
