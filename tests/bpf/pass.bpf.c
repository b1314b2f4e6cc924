// SPDX-License-Identifier: GPL-2.0-or-later
/* pass.bpf.c - somebody else's XDP program, for tests of living beside it */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int their_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
