// SPDX-License-Identifier: GPL-2.0-or-later
/* steer_put.c - loading the steering program, onto a device or beside it
 *
 * steer.c says which way is taken when.  The object has two programs, of which
 * one is loaded: that for devices, or the one that user space asks which queues
 * have a socket.
 *
 * Who loads a program has its descriptor, and those of its maps: copies of
 * them spare who has no right to look up ids (CAP_SYS_ADMIN) to do that.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <stdlib.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "steer.skel.h"
#include "steer_dev.h"

#define LIBXDP_DIR "/sys/fs/bpf/xdp"

enum xdp_attach_mode steer_mode_libxdp(enum steer_mode mode)
{
	return mode == STEER_GENERIC ? XDP_MODE_SKB : XDP_MODE_NATIVE;
}

uint32_t steer_mode_flags(enum steer_mode mode)
{
	return mode == STEER_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
}

/* The object with one of its two programs to be loaded. */
static struct steer_bpf *skel_open(bool probe)
{
	struct steer_bpf *skel = steer_bpf__open();

	if (!skel)
		return NULL;
	/* These cannot fail on an object that is not loaded. */
	(void)bpf_program__set_autoload(skel->progs.xm_steer, !probe);
	(void)bpf_program__set_autoload(skel->progs.xm_has_xsk, probe);
	return skel;
}

int steer_probe_load(int xsks_fd)
{
	struct steer_bpf *skel = skel_open(true);
	struct bpf_map *map;
	int fd = -1, r;

	if (!skel)
		return -errno;
	r = bpf_map__reuse_fd(skel->maps.xm_xsks, xsks_fd);
	bpf_object__for_each_map(map, skel->obj) if (map != skel->maps.xm_xsks)(
		void) bpf_map__set_autocreate(map, false);
	if (!r)
		r = steer_bpf__load(skel);
	if (!r) {
		fd = dup(bpf_program__fd(skel->progs.xm_has_xsk));
		r = fd < 0 ? -errno : 0;
	}
	steer_bpf__destroy(skel);
	return r ? r : fd;
}

/* -- onto the device --------------------------------------------------------- */

/* What was loaded, for who may not look it up by its id: copies. */
static void skel_keep(const struct steer_bpf *skel, struct keeper_maps *ret)
{
	ret->prog = fcntl(bpf_program__fd(skel->progs.xm_steer),
			  F_DUPFD_CLOEXEC, 3);
	ret->slots =
		fcntl(bpf_map__fd(skel->maps.xm_slots), F_DUPFD_CLOEXEC, 3);
	ret->xsks = fcntl(bpf_map__fd(skel->maps.xm_xsks), F_DUPFD_CLOEXEC, 3);
	ret->verdicts =
		fcntl(bpf_map__fd(skel->maps.xm_verdicts), F_DUPFD_CLOEXEC, 3);
	ret->conf = fcntl(bpf_map__fd(skel->maps.xm_conf), F_DUPFD_CLOEXEC, 3);
}

/* Alone: fails with -EBUSY or -EEXIST when something is there. */
int steer_put_alone(int ifindex, enum steer_mode mode,
		    struct keeper_maps *ret_mine)
{
	struct steer_bpf *skel = skel_open(false);
	int r;

	if (!skel)
		return -errno;
	r = steer_bpf__load(skel);
	if (!r)
		r = bpf_xdp_attach(
			ifindex, bpf_program__fd(skel->progs.xm_steer),
			steer_mode_flags(mode) | XDP_FLAGS_UPDATE_IF_NOEXIST,
			NULL);
	if (!r)
		skel_keep(skel, ret_mine);
	steer_bpf__destroy(skel);
	return r;
}

/* By libxdp.  @ret_frags: the flag survived its fallback, if it took that.
 * Where libxdp keeps its pins it makes a folder before it knows whether it
 * will need one; an empty one that was not there before goes again. */
int steer_put_joined(int ifindex, enum steer_mode mode, bool *ret_frags,
		     struct keeper_maps *ret_mine)
{
	struct steer_bpf *skel = skel_open(false);
	struct xdp_program_opts opts = { .sz = sizeof(opts),
					 .prog_name = STEER_PROG };
	bool had_dir = !access(LIBXDP_DIR, F_OK);
	struct xdp_program *prog;
	int r;

	if (!skel)
		return -errno;
	opts.obj = skel->obj;
	prog = xdp_program__create(&opts);
	r = (int)libxdp_get_error(prog);
	if (!r) {
		/* libbpf 1.1 honours the section's name only while loading,
		 * too late for libxdp, which asks before. */
		r = xdp_program__set_xdp_frags_support(prog, true);
		if (!r)
			r = xdp_program__attach(prog, ifindex,
						steer_mode_libxdp(mode), 0);
		*ret_frags = bpf_program__flags(skel->progs.xm_steer) &
			     BPF_F_XDP_HAS_FRAGS;
		if (!r)
			skel_keep(skel, ret_mine);
		xdp_program__close(prog);
	}
	steer_bpf__destroy(skel);
	if (!had_dir)
		(void)rmdir(LIBXDP_DIR); /* fails if it is in use */
	return r;
}
