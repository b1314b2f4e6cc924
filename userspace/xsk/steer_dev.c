// SPDX-License-Identifier: GPL-2.0-or-later
/* steer_dev.c - finding the steering program on a device
 *
 * State lives in the kernel alone: no file says what is attached.  The way
 * from a device's name to the maps, which works in any mount namespace:
 *
 *   device -> id of its XDP program (netlink)
 *     is it xm_steer?            it is alone there
 *     is it xdp_dispatcher?      libxdp's: each program in it is held by a
 *                                link whose target is the dispatcher; walk the
 *                                links and look for xm_steer
 *     anything else              foreign
 *   program -> ids of its maps -> maps, by name
 *
 * libxdp itself finds a dispatcher's programs through its pins below
 * /sys/fs/bpf/xdp, which `ip netns exec` hides; the links are always there.
 *
 * Looking up ids takes CAP_SYS_ADMIN.  Without it the pins of steer_pin.c are
 * the way, or the keeper (keeper.c), provided that its program is the attached
 * one.
 */
#include "steer_dev.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <xdp/prog_dispatcher.h>

#include "util/fd.h"

#define DISPATCHER "xdp_dispatcher"
#define MAPS_MAX   16 /* of a program; ours has 4, the dispatcher 1 */
#define RETRIES    10 /* a program may be replaced while we look */

static int prog_info(int fd, struct bpf_prog_info *ret_info, uint32_t *map_ids,
		     unsigned int n_ids)
{
	struct bpf_prog_info info = { .map_ids = (uintptr_t)map_ids,
				      .nr_map_ids = n_ids };
	uint32_t len = sizeof(info);
	int r = bpf_obj_get_info_by_fd(fd, &info, &len);

	if (r)
		return r;
	*ret_info = info;
	return 0;
}

uint32_t steer_prog_id(int fd)
{
	struct bpf_prog_info info;

	return prog_info(fd, &info, NULL, 0) ? 0 : info.id;
}

/* A new fd of the program's map @name, or of any if NULL. */
static int prog_map(int prog_fd, const char *name,
		    struct bpf_map_info *ret_info)
{
	uint32_t ids[MAPS_MAX], i;
	struct bpf_prog_info info;
	int r = prog_info(prog_fd, &info, ids, MAPS_MAX);

	if (r)
		return r;
	for (i = 0; i < info.nr_map_ids && i < MAPS_MAX; i++) {
		struct bpf_map_info map = { 0 };
		uint32_t len = sizeof(map);
		int fd fd_cleanup = bpf_map_get_fd_by_id(ids[i]);

		if (fd < 0)
			return fd;
		r = bpf_obj_get_info_by_fd(fd, &map, &len);
		if (r)
			return r;
		if (name && strcmp(map.name, name))
			continue;
		*ret_info = map;
		return fd_steal(&fd);
	}
	return -ENOENT;
}

/* By name and by the names of two maps: another's xm_steer is not taken for
 * ours, and ours is recognised whatever its version.  1, 0, or -errno: not being
 * able to tell is not "no", or detach would leave the program and say it is gone. */
static int prog_is_ours(int fd)
{
	struct bpf_map_info map;
	struct bpf_prog_info info;
	int slots fd_cleanup = -1, xsks fd_cleanup = -1;
	int r = prog_info(fd, &info, NULL, 0);

	if (r)
		return r;
	if (strcmp(info.name, STEER_PROG) ||
	    (info.type != BPF_PROG_TYPE_XDP && info.type != BPF_PROG_TYPE_EXT))
		return 0;
	slots = prog_map(fd, "xm_slots", &map);
	xsks = slots < 0 ? slots : prog_map(fd, "xm_xsks", &map);
	if (xsks < 0)
		return xsks == -ENOENT ? 0 : xsks;
	return map.type == BPF_MAP_TYPE_XSKMAP;
}

/* -- inside libxdp's dispatcher -------------------------------------------- */

/* The dispatcher keeps its configuration in its only map, read-only data. */
static bool dispatcher_has_frags(int fd)
{
	struct xdp_dispatcher_config conf;
	struct bpf_map_info info;
	uint32_t key = 0;
	int map fd_cleanup = prog_map(fd, NULL, &info);

	return map >= 0 && info.value_size == sizeof(conf) &&
	       !bpf_map_lookup_elem(map, &key, &conf) &&
	       conf.magic == XDP_DISPATCHER_MAGIC &&
	       conf.dispatcher_version == XDP_DISPATCHER_VERSION &&
	       conf.is_xdp_frags;
}

/* The program that link @id puts into dispatcher @main_id: 1, 0 if it does not
 * (any more), or -errno. */
static int link_prog_in(uint32_t id, uint32_t main_id, uint32_t *ret_prog)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd fd_cleanup = bpf_link_get_fd_by_id(id), r;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = bpf_obj_get_info_by_fd(fd, &info, &len);
	if (r)
		return r;
	*ret_prog = info.prog_id;
	return info.type == BPF_LINK_TYPE_TRACING &&
	       info.tracing.target_obj_id == main_id;
}

static int dispatcher_find_ours(struct steer_dev *dev)
{
	uint32_t link = 0, id = 0;
	int r;

	while (!(r = bpf_link_get_next_id(link, &link))) {
		int fd fd_cleanup = -1;

		r = link_prog_in(link, dev->main_id, &id);
		if (r < 0)
			return r;
		if (!r)
			continue;
		fd = bpf_prog_get_fd_by_id(id);
		r = fd < 0 ? fd : prog_is_ours(fd);
		if (r < 0 && r != -ENOENT)
			return r;
		if (r <= 0)
			continue;
		dev->prog_id = id;
		dev->prog_fd = fd_steal(&fd);
		return 0;
	}
	return r == -ENOENT ? 0 : r;
}

/* -- the device --------------------------------------------------------------- */

static int dev_query(struct steer_dev *dev, struct xm_error *e)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	int r = bpf_xdp_query(dev->ifindex, 0, &q);

	if (r == -ENODEV)
		return xm_fail(e, r, XM_REASON_DEVICE,
			       "%s: no such network device any more",
			       dev->ifname);
	if (r)
		return xm_fail(e, r, XM_REASON_DEVICE,
			       "%s: cannot ask for its XDP program: %s",
			       dev->ifname, strerror(-r));
	/* An offloaded program (hw) does not stand in our way. */
	dev->main_id = q.drv_prog_id ? q.drv_prog_id : q.skb_prog_id;
	dev->mode = q.drv_prog_id ? STEER_NATIVE :
		    q.skb_prog_id ? STEER_GENERIC :
				    STEER_AUTO;
	return 0;
}

static int fail_look(const struct steer_dev *dev, struct xm_error *e)
{
	return xm_fail(
		e, -EPERM, XM_REASON_PERMISSION,
		"%s: not allowed to look at its XDP program (id %u): run as root, or with CAP_SYS_ADMIN and CAP_NET_ADMIN, or let root `xdpmig attach --user` it",
		dev->ifname, dev->main_id);
}

/* From pins or from the keeper; @ret_by: which. */
static int dev_prog(struct steer_dev *dev, bool **ret_by, struct xm_error *e)
{
	int fd = steer_pinned(dev->ifindex, STEER_PROG), r;

	*ret_by = &dev->by_pins;
	if (fd >= 0)
		return fd;
	r = keeper_maps(dev->ifindex, &dev->kept, e);
	if (r == -ENOENT)
		return fail_look(dev, e);
	if (r)
		return r;
	*ret_by = &dev->by_gift;
	return dev->kept.prog;
}

/* Without the right to look up ids. */
static int dev_find_given(struct steer_dev *dev, struct xm_error *e)
{
	struct bpf_prog_info info = { 0 };
	bool *by;
	int fd = dev_prog(dev, &by, e), r = 0;

	if (fd < 0)
		return fd;
	if (prog_info(fd, &info, NULL, 0) ||
	    (info.type == BPF_PROG_TYPE_XDP && info.id != dev->main_id))
		r = fail_look(dev, e);
	*by = true;
	if (r && by == &dev->by_pins)
		(void)fd_close(fd);
	if (r)
		return r;
	dev->is_dispatcher = info.type == BPF_PROG_TYPE_EXT;
	dev->has_frags = true; /* attach saw to it */
	dev->prog_id = info.id;
	dev->prog_fd = fd;
	return 0;
}

static int dev_find_by_id(struct steer_dev *dev, int main_fd,
			  struct xm_error *e)
{
	int fd fd_cleanup = main_fd;
	struct bpf_prog_info info = { 0 };
	int r = prog_info(fd, &info, NULL, 0), ours = r ? r : prog_is_ours(fd);

	if (!r)
		memcpy(dev->main_name, info.name, sizeof(dev->main_name));
	if (ours > 0) {
		dev->has_frags = true; /* attach loads it in no other way */
		dev->prog_id = info.id;
		dev->prog_fd = fd_steal(&fd);
	} else if (!ours && !strcmp(info.name, DISPATCHER)) {
		dev->is_dispatcher = true;
		dev->has_frags = dispatcher_has_frags(fd);
		ours = dispatcher_find_ours(dev);
	}
	if (ours < 0)
		return xm_fail(e, ours, XM_REASON_STEERING,
			       "%s: XDP program %u: %s", dev->ifname,
			       dev->main_id, strerror(-ours));
	return 0;
}

static const struct steer_dev dev_none = {
	.prog_fd = -1,
	.kept = KEEPER_NO_MAPS,
};

static int dev_name(struct steer_dev *dev, const char *ifname,
		    struct xm_error *e)
{
	dev->ifindex = (int)if_nametoindex(ifname);
	if (!dev->ifindex && steer_is_short(-errno))
		return xm_fail(e, -errno, XM_REASON_DEVICE,
			       "%s: cannot look for this device: %s", ifname,
			       strerror(errno));
	if (!dev->ifindex)
		return xm_fail(
			e, -ENODEV, XM_REASON_DEVICE,
			"%s: no such network device in this network namespace (see `ip link`)",
			ifname);
	(void)snprintf(dev->ifname, sizeof(dev->ifname), "%s", ifname);
	return 0;
}

int steer_dev_peek(struct steer_dev *ret_dev, const char *ifname,
		   struct xm_error *e)
{
	int r;

	*ret_dev = dev_none;
	r = dev_name(ret_dev, ifname, e);
	return r ? r : dev_query(ret_dev, e);
}

int steer_dev_find(struct steer_dev *ret_dev, const char *ifname,
		   struct xm_error *e)
{
	struct steer_dev dev = dev_none;
	unsigned int i;
	int fd = -ENOENT, r;

	*ret_dev = dev;
	r = dev_name(&dev, ifname, e);
	if (r)
		return r;
	for (i = 0; i < RETRIES && fd == -ENOENT; i++) {
		r = dev_query(&dev, e);
		if (r || !dev.main_id)
			goto out;
		fd = bpf_prog_get_fd_by_id(dev.main_id);
	}
	if (fd >= 0)
		r = dev_find_by_id(&dev, fd, e);
	else if (fd == -EPERM)
		r = dev_find_given(&dev, e);
	else
		r = xm_fail(e, fd, XM_REASON_STEERING, "%s: XDP program %u: %s",
			    ifname, dev.main_id, strerror(-fd));
out:
	if (r)
		steer_dev_close(&dev);
	else
		*ret_dev = dev;
	return r;
}

void steer_dev_close(struct steer_dev *dev)
{
	if (!dev->by_gift) /* else it is one of these */
		(void)fd_close(dev->prog_fd);
	dev->prog_fd = -1;
	keeper_close_maps(&dev->kept);
}

int steer_dev_given(struct steer_dev *ret_dev, const char *ifname,
		    struct keeper_maps *maps, struct xm_error *e)
{
	struct bpf_prog_info info;
	int r = steer_dev_peek(ret_dev, ifname, e);

	if (r)
		return r;
	if (prog_info(maps->prog, &info, NULL, 0) ||
	    info.id != ret_dev->main_id)
		return fail_look(ret_dev, e);
	ret_dev->has_frags = true;
	ret_dev->prog_id = info.id;
	ret_dev->prog_fd = maps->prog;
	ret_dev->kept = *maps;
	ret_dev->by_gift = true;
	*maps = (struct keeper_maps)KEEPER_NO_MAPS;
	return 0;
}

/* A copy of what was given. */
static int kept_map(const struct steer_dev *dev, const char *name)
{
	const struct keeper_maps *k = &dev->kept;
	const struct {
		const char *name;
		int fd;
	} maps[] = { { "xm_slots", k->slots },
		     { "xm_xsks", k->xsks },
		     { "xm_verdicts", k->verdicts },
		     { "xm_conf", k->conf } };
	unsigned int i;
	int fd;

	for (i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		if (strcmp(maps[i].name, name))
			continue;
		fd = fcntl(maps[i].fd, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? -errno : fd;
	}
	return -ENOENT;
}

int steer_dev_map(const struct steer_dev *dev, const char *name,
		  struct bpf_map_info *ret_info)
{
	uint32_t len = sizeof(*ret_info);
	int fd, r;

	if (!dev->by_pins && !dev->by_gift)
		return prog_map(dev->prog_fd, name, ret_info);
	fd = dev->by_gift ? kept_map(dev, name) :
			    steer_pinned(dev->ifindex, name);
	if (fd < 0)
		return fd;
	memset(ret_info, 0, sizeof(*ret_info));
	r = bpf_obj_get_info_by_fd(fd, ret_info, &len);
	if (r) {
		fd_close(fd);
		return r;
	}
	return fd;
}
