// SPDX-License-Identifier: GPL-2.0-or-later
/* steer_put.c - the steering program onto a device, and off it
 *
 * The two ways are told in steer.c.  An attach may have worked though it is reported
 * to have failed: memory can be short when the kernel's answer comes.  So whoever puts
 * it there takes it away after any failure: what is not ours stays.
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
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "steer.skel.h"
#include "steer_dev.h"
#include "util/fd.h"

#define LIBXDP_DIR "/sys/fs/bpf/xdp"

static enum xdp_attach_mode mode_libxdp(enum steer_mode mode)
{
	return mode == STEER_GENERIC ? XDP_MODE_SKB : XDP_MODE_NATIVE;
}

static uint32_t mode_flags(enum steer_mode mode)
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
	keeper_close_maps(ret);
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
		    struct steer_put *ret_put)
{
	struct steer_bpf *skel = skel_open(false);
	int r, fd;

	if (!skel)
		return -errno;
	r = steer_bpf__load(skel);
	if (!r) {
		fd = bpf_program__fd(skel->progs.xm_steer);
		ret_put->id = steer_prog_id(fd);
		ret_put->frags = true;
		skel_keep(skel, &ret_put->mine);
		r = bpf_xdp_attach(
			ifindex, fd,
			mode_flags(mode) | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
	}
	steer_bpf__destroy(skel);
	return r;
}

/* By libxdp.  @ret_put->frags: the flag survived its fallback, if it took that.
 * Where libxdp keeps its pins it makes a folder before it knows whether it
 * will need one; an empty one that was not there before goes again. */
int steer_put_joined(int ifindex, enum steer_mode mode,
		     struct steer_put *ret_put)
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
						mode_libxdp(mode), 0);
		ret_put->id = steer_prog_id(xdp_program__fd(prog));
		ret_put->frags = bpf_program__flags(skel->progs.xm_steer) &
				 BPF_F_XDP_HAS_FRAGS;
		skel_keep(skel, &ret_put->mine);
		xdp_program__close(prog);
	}
	steer_bpf__destroy(skel);
	if (!had_dir)
		(void)rmdir(LIBXDP_DIR); /* fails if it is in use */
	return r;
}

/* -- off the device ------------------------------------------------------------ */

static int take_alone(const struct steer_dev *dev)
{
	/* Only if it still is ours that is attached. */
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = dev->prog_fd);

	return bpf_xdp_detach(dev->ifindex, mode_flags(dev->mode), &opts);
}

/* libxdp knows a dispatcher's programs by their pins only.  `ip netns exec`
 * hides those, so show it where somebody else sees them. */
static int take_joined(const struct steer_dev *dev)
{
	struct xdp_program *prog = NULL;
	struct xdp_multiprog *mp;
	char bpffs[64];
	int r;

	r = steer_pin_find_dispatcher(dev, bpffs, sizeof(bpffs));
	if (r <= 0)
		return r ? r : -EXDEV;
	if (setenv(XDP_BPFFS_ENVVAR, bpffs, 1))
		return -errno;
	mp = xdp_multiprog__get_from_ifindex(dev->ifindex);
	r = (int)libxdp_get_error(mp);
	if (r)
		return r;
	r = -EXDEV;
	while ((prog = xdp_multiprog__next_prog(prog, mp)))
		if (xdp_program__id(prog) == dev->prog_id) {
			r = xdp_program__detach(prog, dev->ifindex,
						mode_libxdp(dev->mode), 0);
			break;
		}
	xdp_multiprog__close(mp);
	return r;
}

int steer_take(const struct steer_dev *dev, struct xm_error *e)
{
	int r = dev->is_dispatcher ? take_joined(dev) : take_alone(dev);

	if (r == -EXDEV)
		return xm_fail(
			e, r, XM_REASON_STEERING,
			"%s: program %u is in libxdp's dispatcher, whose pins no process here can see; run detach where /sys/fs/bpf/xdp shows them",
			dev->ifname, dev->prog_id);
	if (r)
		return xm_fail(e, r, XM_REASON_STEERING,
			       "%s: cannot detach program %u: %s%s",
			       dev->ifname, dev->prog_id, strerror(-r),
			       steer_talk_kernel());
	return 0;
}

/* Nothing that was put there stays after a failure, whether or not it is known to
 * be there: an answer of the kernel's may have been lost. */
void steer_put_undo(const struct steer_dev *dev, enum steer_mode mode,
		    struct steer_put *put)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);
	struct steer_dev now;
	int fd = put->mine.prog;

	put->mine.prog = -1;
	if (fd < 0 && put->id)
		fd = bpf_prog_get_fd_by_id(put->id);
	opts.old_prog_fd = fd;
	if (fd >= 0 && bpf_xdp_detach(dev->ifindex, mode_flags(mode), &opts) &&
	    !steer_dev_find(&now, dev->ifname, NULL)) {
		if (now.prog_id == put->id)
			(void)steer_take(&now, NULL);
		steer_dev_close(&now);
	}
	if (fd >= 0)
		close(fd);
	keeper_close_maps(&put->mine);
	put->id = 0;
}
