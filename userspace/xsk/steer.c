// SPDX-License-Identifier: GPL-2.0-or-later
/* steer.c - attaching and detaching the XDP steering program
 *
 * Files: steer.c      attach, detach
 *        steer_put.c  the program itself; alone knows the skeleton
 *        steer_dev.c  what is on a device: the only memory of an attach
 *        steer_live.c open, counters, a session's queues
 *        steer_pin.c  pins, for those who may not look up ids
 *        steer_talk.c what the libraries say, for error texts
 *        keeper.c     hands maps and sockets to a user who may do nothing
 *        ntuple.c     rules in the NIC
 *
 * An attach outlives the process that made it, or it would be of no use: the
 * program is attached by netlink, or inside a dispatcher whose links libxdp
 * pins.  Therefore everything can be found again, and removed, by somebody who
 * knows the device's name only, after any number of kill -9.
 *
 * Two ways onto the device (steer_put.c):
 *
 *   joined  by libxdp's dispatcher, a program with slots for ten others that
 *           are put in by freplace.  Programs of other tools live on beside
 *           ours.  Takes a bpffs, and a kernel that permits freplace.
 *   alone   directly.  The first to come has the device; we never replace a
 *           foreign program, nor does libxdp replace ours.
 *
 * libxdp itself falls back from joined to alone, saying so at debug level
 * only.  So the outcome is read from the device.  It may also have loaded our
 * program as an extension before it gave up, and that strips the flag for
 * frames of several buffers: such an attach is undone and made again alone.
 *
 * Frames larger than a page pass a dispatcher only when every program in it
 * takes them.  Ours does; if another does not, the attach fails, because a
 * migration would later lose its large frames without a trace.
 *
 * AUTO tries native mode, and on any failure that generic mode could cure,
 * generic; info.why_generic has the kernel's words.
 */
#include "steer.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "caps.h"
#include "keeper.h"
#include "ntuple.h"
#include "steer_dev.h"
#include "util/fd.h"

_Static_assert(sizeof(((struct xm_error *)0)->msg) ==
		       sizeof(((struct steer_info *)0)->why_generic),
	       "texts are copied whole");

/* -- attaching ----------------------------------------------------------------- */

static int fail_put(const struct steer_dev *dev, enum steer_mode mode, int err,
		    struct xm_error *e)
{
	const char *why = steer_talk_kernel();

	if (err == -EPERM)
		return xm_fail(
			e, err, XM_REASON_PERMISSION,
			"%s: not allowed to attach an XDP program: run as root, or with CAP_NET_ADMIN and CAP_BPF",
			dev->ifname);
	if (!why[0] && err != -ENODEV)
		why = steer_talk_library();
	return xm_fail(e, err, XM_REASON_STEERING,
		       "%s: cannot attach in %s mode: %s%s", dev->ifname,
		       steer_mode_name(mode), strerror(-err), why);
}

/* libxdp fell back, but only after it had made an extension of the program. */
static int put_again(const struct steer_dev *dev, enum steer_mode mode,
		     struct steer_put *ret_put, struct xm_error *e)
{
	int r = steer_take(dev, e);

	if (r)
		return r;
	r = steer_put_alone(dev->ifindex, mode, ret_put);
	return r ? fail_put(dev, mode, r, e) : 0;
}

static int fail_frags(const struct steer_dev *dev, struct xm_error *e)
{
	int r = steer_take(dev, e);

	if (r)
		return r;
	return xm_fail(
		e, -EOPNOTSUPP, XM_REASON_STEERING,
		"%s: another XDP program in the dispatcher does not take frames larger than a page (see `xdp-loader status %s`); unload it, or load one built with xdp.frags",
		dev->ifname, dev->ifname);
}

/* What is on the device now: what was put there, if it cannot be looked at. */
static int look_again(struct steer_dev *dev, struct steer_put *put,
		      struct xm_error *e)
{
	struct xm_error why = { 0 };
	struct steer_dev now;
	int r = steer_dev_find(&now, dev->ifname, &why);

	if (r == -EPERM)
		r = steer_dev_given(&now, dev->ifname, &put->mine, e);
	else if (r)
		(void)xm_fail(e, r, why.reason, "%s", why.msg);
	if (r)
		return r;
	steer_dev_close(dev);
	*dev = now;
	/* libbpf asks the kernel once whether objects may have names, and takes
	 * any failure for "no". */
	if (!dev->prog_id && dev->main_id && dev->main_id == put->id)
		return xm_fail(
			e, -ENOMEM, XM_REASON_STEERING,
			"%s: the kernel did not take the program by its name, as it does when memory is short; try again",
			dev->ifname);
	if (!dev->prog_id)
		return xm_fail(e, -EAGAIN, XM_REASON_STEERING,
			       "%s: somebody detached the program at once",
			       dev->ifname);
	return 0;
}

/* It was put there.  Is it what it should be? */
static int attach_look(struct steer_dev *dev, enum steer_mode mode,
		       struct steer_put *put, struct xm_error *e)
{
	int r = look_again(dev, put, e);

	if (!r && dev->is_dispatcher && !dev->has_frags)
		return fail_frags(dev, e);
	if (!r && !dev->is_dispatcher && !put->frags) {
		r = put_again(dev, mode, put, e);
		if (!r)
			r = look_again(dev, put, e);
	}
	return r;
}

/* Attach in one mode.  Leaves what is on the device in @dev. */
static int attach_mode(struct steer_dev *dev, enum steer_mode mode,
		       struct xm_error *e)
{
	struct steer_put put = STEER_PUT_NOTHING;
	int r = steer_put_joined(dev->ifindex, mode, &put);

	/* With programs of others in a dispatcher there is no other way. */
	if (r && !dev->is_dispatcher && r != -EPERM && r != -ENODEV) {
		steer_put_undo(dev, mode, &put);
		r = steer_put_alone(dev->ifindex, mode, &put);
	}
	r = r ? fail_put(dev, mode, r, e) : attach_look(dev, mode, &put, e);
	if (r)
		steer_put_undo(dev, mode, &put);
	keeper_close_maps(&put.mine);
	return r;
}

static int attach_modes(struct steer_dev *dev, enum steer_mode mode,
			struct steer_info *info, struct xm_error *e)
{
	struct xm_error native = { 0 };
	int r;

	/* All programs of a dispatcher share its mode. */
	if (mode == STEER_AUTO && dev->is_dispatcher)
		mode = dev->mode;
	if (mode != STEER_AUTO)
		return attach_mode(dev, mode, e);
	r = attach_mode(dev, STEER_NATIVE, &native);
	switch (r) {
	case 0:
		return 0;
	case -EPERM:
	case -ENODEV:
	case -EBUSY:
	case -EEXIST:
		return xm_fail(e, r, native.reason, "%s", native.msg);
	default:
		memcpy(info->why_generic, native.msg,
		       sizeof(info->why_generic));
		return attach_mode(dev, STEER_GENERIC, e);
	}
}

static int attach_check(const struct steer_dev *dev, struct xm_error *e)
{
	if (dev->prog_id)
		return xm_fail(
			e, -EEXIST, XM_REASON_STEERING,
			"%s: xdpmig is attached already, program %u in %s mode; `xdpmig detach %s` first to change it",
			dev->ifname, dev->prog_id, steer_mode_name(dev->mode),
			dev->ifname);
	if (dev->main_id && !dev->is_dispatcher)
		return xm_fail(
			e, -EBUSY, XM_REASON_STEERING,
			"%s: XDP program %s (id %u) is there, without libxdp's dispatcher, and will not be replaced; detach it with the tool that attached it, or load it by xdp-loader",
			dev->ifname, dev->main_name, dev->main_id);
	return 0;
}

/* What was asked, fitted to the device.  @ret_rx: receive queues it has. */
static int attach_queues(const struct steer_dev *dev, struct steer_info *info,
			 unsigned int *ret_rx, struct xm_error *e)
{
	struct xsk_caps caps;
	int r = xsk_caps_get(&caps, dev->ifname, e);

	if (r)
		return r;
	if (!caps.is_ethernet)
		return xm_fail(
			e, -EOPNOTSUPP, XM_REASON_DEVICE,
			"%s: is no Ethernet device, and frames of a migration are Ethernet frames; attach to the one that leads to the peer",
			dev->ifname);
	*ret_rx = caps.rx_queues;
	if (!info->n_queues && info->first_queue < caps.rx_queues &&
	    info->first_queue < XM_CHAN_MAX) {
		info->n_queues = caps.rx_queues < XM_CHAN_MAX ? caps.rx_queues :
								XM_CHAN_MAX;
		info->n_queues -= info->first_queue;
	}
	if (!info->n_queues ||
	    info->first_queue + info->n_queues > caps.rx_queues)
		return xm_fail(
			e, -ERANGE, XM_REASON_DEVICE,
			"%s: queues up to %u were asked for, but it has %u receive queues in use (0-%u); ask for fewer, or `ethtool -L` may give it more",
			dev->ifname,
			info->first_queue +
				(info->n_queues ? info->n_queues - 1 : 0),
			caps.rx_queues, caps.rx_queues - 1);
	if (info->first_queue + info->n_queues > XM_CHAN_MAX)
		return xm_fail(
			e, -ERANGE, XM_REASON_USAGE,
			"%s: queue %u was asked for, but only queues 0-%u can be served",
			dev->ifname, info->first_queue + info->n_queues - 1,
			XM_CHAN_MAX - 1);
	return 0;
}

static int attach_conf(const struct steer_dev *dev,
		       const struct steer_info *info, struct xm_error *e)
{
	struct xm_steer_conf conf = { .version = XM_STEER_VERSION,
				      .first_queue = (__u8)info->first_queue,
				      .n_queues = (__u8)info->n_queues };
	struct bpf_map_info map;
	uint32_t key = 0;
	int r, fd fd_cleanup = steer_dev_map(dev, "xm_conf", &map);

	r = fd < 0 ? fd : bpf_map_update_elem(fd, &key, &conf, BPF_ANY);
	if (r)
		return xm_fail(e, r, XM_REASON_STEERING,
			       "%s: cannot configure program %u: %s",
			       dev->ifname, dev->prog_id, strerror(-r));
	return 0;
}

static void attach_rules(const struct steer_dev *dev, struct steer_info *info,
			 unsigned int rx_queues)
{
	struct xm_error why = { 0 };

	(void)ntuple_remove(dev->ifname); /* of an attach that was lost */
	if (rx_queues > 1)
		(void)ntuple_insert(dev->ifname, info->first_queue,
				    info->n_queues, &why);
	memcpy(info->why_no_rules, why.msg, sizeof(info->why_no_rules));
}

/* The program is there: all that belongs to it, and a look from outside. */
static int attach_finish(const struct steer_dev *dev, struct steer_info *info,
			 unsigned int rx_queues, struct xm_error *e)
{
	struct steer_info asked = *info;
	struct steer s;
	int r = attach_conf(dev, info, e);

	if (r)
		return r;
	(void)keeper_end(dev->ifindex); /* of an attach that was lost */
	(void)keeper_sweep();
	attach_rules(dev, &asked, rx_queues);
	(void)steer_unpin(dev->ifindex); /* of an attach that was lost */
	(void)steer_pin(dev);            /* a convenience, see steer_pin.c */
	r = steer_open(&s, dev->ifname, e);
	if (r)
		return r;
	*info = s.info;
	memcpy(info->why_generic, asked.why_generic, sizeof(info->why_generic));
	memcpy(info->why_no_rules, asked.why_no_rules,
	       sizeof(info->why_no_rules));
	steer_close(&s);
	return 0;
}

/* Everything but the program.  1 when there was anything, 0, or -errno: there may
 * be more. */
static int clean(const struct steer_dev *dev)
{
	int rules = ntuple_remove(dev->ifname);
	bool kept = keeper_end(dev->ifindex);
	int pins = steer_unpin(dev->ifindex);

	(void)keeper_sweep();
	if (steer_is_short(rules))
		return rules;
	return pins < 0 ? pins : pins || rules > 0 || kept;
}

int steer_attach(struct steer_info *ret_info, const char *ifname,
		 enum steer_mode mode, unsigned int first_queue,
		 unsigned int n_queues, struct xm_error *e)
{
	struct steer_info info = { .first_queue = first_queue,
				   .n_queues = n_queues };
	unsigned int rx_queues = 0;
	struct steer_dev dev;
	int r;

	steer_talk_begin();
	r = steer_dev_find(&dev, ifname, e);
	if (!r)
		r = attach_check(&dev, e);
	if (!r)
		r = attach_queues(&dev, &info, &rx_queues, e);
	if (!r)
		r = attach_modes(&dev, mode, &info, e);
	if (!r) {
		r = attach_finish(&dev, &info, rx_queues, e);
		if (r) {
			(void)clean(&dev);
			(void)steer_take(&dev,
					 NULL); /* @e has the first failure */
		}
	}
	steer_dev_close(&dev);
	steer_talk_end();
	if (!r)
		*ret_info = info;
	return r;
}

/* -- detaching ------------------------------------------------------------------- */

static int detach_check(const struct steer_dev *dev, struct xm_error *e)
{
	struct xm_error other = { 0 };
	struct steer s;
	int r = steer_open(&s, dev->ifname, &other);

	/* Of another version?  Then there is no telling. */
	if (r == -EPROTO)
		return 0;
	if (r)
		return xm_fail(e, r, other.reason, "%s", other.msg);
	if (s.info.live)
		r = xm_fail(
			e, -EBUSY, XM_REASON_STEERING,
			"%s: a session is live (queue %d%s); let it end, or detach with --force, and it will fail",
			dev->ifname, __builtin_ctzll(s.info.live),
			s.info.live & (s.info.live - 1) ? " and others" : "");
	steer_close(&s);
	return r;
}

static int detach_found(const struct steer_dev *dev, bool force,
			struct xm_error *e)
{
	int r = dev->prog_id && !force ? detach_check(dev, e) : 0;

	if (!r && dev->prog_id)
		r = steer_take(dev, e);
	if (r)
		return r;
	r = clean(dev);
	if (r < 0)
		return xm_fail(
			e, r, XM_REASON_STEERING,
			"%s: no program is attached any more, but pins or rules may be left: %s; run `xdpmig detach %s` again",
			dev->ifname, strerror(-r), dev->ifname);
	if (r || dev->prog_id)
		return 0;
	if (dev->main_id)
		return xm_fail(
			e, -ENOENT, XM_REASON_STEERING,
			"%s: xdpmig is not attached; XDP program %s (id %u) is not ours and stays",
			dev->ifname, dev->main_name, dev->main_id);
	return xm_fail(e, -ENOENT, XM_REASON_STEERING,
		       "%s: xdpmig is not attached, nothing to detach",
		       dev->ifname);
}

/* It took the program along, but not the pins.  Which of them were its own is
 * not to be told from its name. */
static int detach_gone(const char *ifname, struct xm_error *e)
{
	int n = steer_pin_sweep();
	char swept[80] = "";

	(void)keeper_sweep(); /* a name, if it was killed, too */
	if (n > 0)
		(void)snprintf(swept, sizeof(swept),
			       "; removed the pins of %d device%s that %s gone",
			       n, n > 1 ? "s" : "", n > 1 ? "are" : "is");
	return xm_fail(
		e, -ENODEV, XM_REASON_DEVICE,
		"%s: no such network device in this network namespace (see `ip link`)%s",
		ifname, swept);
}

int steer_detach(const char *ifname, bool force, struct xm_error *e)
{
	struct xm_error why = { 0 };
	struct steer_dev dev;
	int r;

	steer_talk_begin();
	r = steer_dev_find(&dev, ifname, &why);
	if (!r)
		r = detach_found(&dev, force, e);
	else if (r == -ENODEV)
		r = detach_gone(ifname, e);
	else
		r = xm_fail(e, r, why.reason, "%s", why.msg);
	steer_dev_close(&dev);
	steer_talk_end();
	return r;
}
