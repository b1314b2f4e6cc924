/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_attach.h - a device to attach to, for tests of the steering driver
 *
 * Each test gets a network namespace of its own with a veth pair of 4 queues
 * and an empty directory at /sys/fs/bpf; those about pins mount a bpffs there.
 */
#ifndef T_ATTACH_H
#define T_ATTACH_H

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include "xsk/steer.h"

#define BPFFS "/sys/fs/bpf"

/* -- world ------------------------------------------------------------------ */

static inline void sh(const char *cmd)
{
	if (system(cmd))
		fail_msg("command failed: %s", cmd);
}

static inline int world_setup(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET))
		return -1;
	sh("ip link add v0 numrxqueues 4 numtxqueues 4 type veth"
	   " peer name v1 numrxqueues 4 numtxqueues 4");
	sh("ip link set v0 mtu 9000 up; ip link set v1 mtu 9000 up");
	return 0;
}

static inline uint32_t foreign_attach(const char *ifname, uint32_t flags)
{
	static const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K,
		  .dst_reg = BPF_REG_0,
		  .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_XDP,
		    .prog_flags = 1U << 5 /* BPF_F_XDP_HAS_FRAGS */);
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "their_pass", "GPL", pass, 2,
			       &opts);

	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	assert_int_equal(bpf_xdp_attach((int)if_nametoindex(ifname), fd, flags,
					NULL),
			 0);
	close(fd);
	return info.id;
}

static inline uint32_t xdp_id(const char *ifname)
{
	uint32_t id = 0;

	assert_int_equal(bpf_xdp_query_id((int)if_nametoindex(ifname), 0, &id),
			 0);
	return id;
}

static inline void attach(void)
{
	struct steer_info info;
	struct xm_error e = { 0 };

	if (steer_attach(&info, "v0", STEER_AUTO, 0, 0, &e))
		fail_msg("%s", e.msg);
}

static inline void open_v0(struct steer *s)
{
	struct xm_error e = { 0 };

	if (steer_open(s, "v0", &e))
		fail_msg("%s", e.msg);
}

static inline void says(const struct xm_error *e, const char *what)
{
	if (!strstr(e->msg, what))
		fail_msg("'%s' is not in '%s'", what, e->msg);
}

static inline int group_setup(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", BPFFS, "tmpfs", 0, NULL))
		return -1;
	return 0;
}

/* For main(): 0 when there is nothing that can be run. */
static inline bool can_run(void)
{
	if (!geteuid())
		return true;
	puts("1..0 # SKIP attaching XDP programs needs root");
	return false;
}

#define CASE(f) cmocka_unit_test_setup(f, world_setup)

#endif
