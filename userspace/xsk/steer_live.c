// SPDX-License-Identifier: GPL-2.0-or-later
/* steer_live.c - what sessions do with an attached program
 *
 * A queue belongs to whoever has a socket in the XSKMAP entry.  The entry is
 * taken with BPF_NOEXIST, which the kernel decides, so that two processes
 * cannot both get it; and the kernel empties it when the socket closes, also
 * of a process that was killed.  The slot beside it is only what the program
 * compares with.  From that follow the orders:
 *
 *   live     entry (or -EBUSY), home hint, slot
 *   unlive   slot, entry
 *
 * In between the worst is a frame of ours that passes to the kernel, or one of
 * the last owner's that reaches the new socket, where its cookie gives it
 * away.  A slot whose entry is empty was left behind by a killed process: it
 * catches no frame (PASS_SOCKET), and the next session overwrites it.
 *
 * User space cannot look into an XSKMAP, only programs can.  To say which
 * queues are live, a program of one lookup is run by BPF_PROG_TEST_RUN.
 */
#include "steer.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "keeper.h"
#include "ntuple.h"
#include "steer_dev.h"
#include "util/fd.h"

/* -- opening ----------------------------------------------------------------- */

static const struct steer_map {
	const char *name;
	uint32_t type, value_size, max_entries;
	size_t fd_off; /* in struct steer */
} steer_maps[] = {
	{ "xm_slots", BPF_MAP_TYPE_ARRAY, sizeof(struct xm_steer_slot),
	  XM_CHAN_MAX, offsetof(struct steer, slots_fd) },
	{ "xm_xsks", BPF_MAP_TYPE_XSKMAP, sizeof(uint32_t), XM_CHAN_MAX,
	  offsetof(struct steer, xsks_fd) },
	{ "xm_verdicts", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(uint64_t),
	  XM_STEER__COUNT, offsetof(struct steer, verdicts_fd) },
	{ "xm_conf", BPF_MAP_TYPE_ARRAY, sizeof(struct xm_steer_conf), 1,
	  offsetof(struct steer, conf_fd) },
};

static int open_other_version(const struct steer_dev *dev, struct xm_error *e)
{
	return xm_fail(
		e, -EPROTO, XM_REASON_STEERING,
		"%s: another version of xdpmig attached program %u there; run `xdpmig detach %s`, then attach again",
		dev->ifname, dev->prog_id, dev->ifname);
}

static int open_map(struct steer *s, const struct steer_dev *dev,
		    const struct steer_map *want, struct xm_error *e)
{
	struct bpf_map_info info;
	int fd fd_cleanup = steer_dev_map(dev, want->name, &info);

	if (fd == -ENOENT)
		return open_other_version(dev, e);
	if (fd < 0)
		return xm_fail(e, fd,
			       fd == -EPERM ? XM_REASON_PERMISSION :
					      XM_REASON_STEERING,
			       "%s: cannot open map %s of program %u: %s",
			       dev->ifname, want->name, dev->prog_id,
			       strerror(-fd));
	if (info.type != want->type || info.value_size != want->value_size ||
	    info.max_entries != want->max_entries)
		return open_other_version(dev, e);
	*(int *)((char *)s + want->fd_off) = fd_steal(&fd);
	return 0;
}

static int open_conf(struct steer *s, const struct steer_dev *dev,
		     struct xm_error *e)
{
	void *at = mmap(NULL, (size_t)getpagesize(), PROT_READ | PROT_WRITE,
			MAP_SHARED, s->conf_fd, 0);
	int err = -errno;

	if (at == MAP_FAILED)
		return xm_fail(e, err, XM_REASON_STEERING,
			       "%s: cannot map xm_conf of program %u: %s",
			       dev->ifname, dev->prog_id, strerror(-err));
	s->conf = at;
	if (s->conf->version != XM_STEER_VERSION)
		return open_other_version(dev, e);
	s->info.first_queue = s->conf->first_queue;
	s->info.n_queues = s->conf->n_queues;
	return 0;
}

static int open_found(struct steer *s, const struct steer_dev *dev,
		      struct xm_error *e)
{
	unsigned int i;
	int r = 0;

	if (!dev->prog_id)
		return xm_fail(
			e, -ENOENT, XM_REASON_STEERING,
			"%s: xdpmig is not attached%s%s; run `xdpmig attach %s`",
			dev->ifname,
			dev->main_id ? ", but this XDP program is: " : "",
			dev->main_name, dev->ifname);
	s->ifindex = dev->ifindex;
	s->main_id = dev->main_id;
	s->prog_fd = fcntl(dev->prog_fd, F_DUPFD_CLOEXEC, 3);
	memcpy(s->info.ifname, dev->ifname, sizeof(s->info.ifname));
	s->info.ifindex = dev->ifindex;
	s->info.mode = dev->mode;
	s->info.has_dispatcher = dev->is_dispatcher;
	s->info.has_frags = dev->has_frags;
	s->info.prog_id = dev->prog_id;
	for (i = 0; !r && i < sizeof(steer_maps) / sizeof(steer_maps[0]); i++)
		r = open_map(s, dev, &steer_maps[i], e);
	if (!r)
		r = open_conf(s, dev, e);
	return r;
}

int steer_open(struct steer *ret_steer, const char *ifname, struct xm_error *e)
{
	struct steer s = { .prog_fd = -1,
			   .slots_fd = -1,
			   .xsks_fd = -1,
			   .verdicts_fd = -1,
			   .conf_fd = -1,
			   .probe_fd = -1 };
	struct steer_dev dev;
	int r;

	steer_talk_begin();
	r = steer_dev_find(&dev, ifname, e);
	if (!r)
		r = open_found(&s, &dev, e);
	if (!r)
		r = steer_refresh(&s, e);
	steer_dev_close(&dev);
	steer_talk_end();
	if (r)
		steer_close(&s);
	else
		*ret_steer = s;
	return r;
}

void steer_close(struct steer *s)
{
	if (s->conf)
		(void)munmap(s->conf, (size_t)getpagesize());
	s->conf = NULL;
	s->prog_fd = fd_close(s->prog_fd);
	s->slots_fd = fd_close(s->slots_fd);
	s->xsks_fd = fd_close(s->xsks_fd);
	s->verdicts_fd = fd_close(s->verdicts_fd);
	s->conf_fd = fd_close(s->conf_fd);
	s->probe_fd = fd_close(s->probe_fd);
}

/* What the device runs is still what it ran: then so is all that is in it, since
 * a dispatcher never changes.  Who may not look at it can see that. */
static int renew_look(const struct steer *s, bool *ret_is_same,
		      struct xm_error *e)
{
	struct steer_dev dev;
	int r = steer_dev_peek(&dev, s->info.ifname, e);

	*ret_is_same = !r && dev.ifindex == s->ifindex &&
		       dev.main_id == s->main_id;
	if (r || *ret_is_same)
		return r;
	r = steer_dev_find(&dev, s->info.ifname, e);
	*ret_is_same = !r && dev.ifindex == s->ifindex &&
		       dev.prog_id == s->info.prog_id;
	steer_dev_close(&dev);
	return r;
}

int steer_renew(struct steer *s, struct xm_error *e)
{
	struct steer now;
	bool is_same;
	int r;

	steer_talk_begin();
	r = renew_look(s, &is_same, e);
	steer_talk_end();
	if (r || is_same)
		return r;
	r = steer_open(&now, s->info.ifname, e);
	if (r)
		return r;
	steer_close(s);
	*s = now;
	return STEER_E_OTHER;
}

/* -- reading --------------------------------------------------------------------- */

static int fail_map(const struct steer *s, const char *map, int err,
		    struct xm_error *e)
{
	return xm_fail(e, err, XM_REASON_STEERING,
		       "%s: map %s of program %u: %s", s->info.ifname, map,
		       s->info.prog_id, strerror(-err));
}

int steer_refresh_verdicts(struct steer *s, struct xm_error *e)
{
	int i, r = 0, n = libbpf_num_possible_cpus();
	uint64_t *per_cpu;
	uint32_t v;

	if (n < 0)
		return fail_map(s, "xm_verdicts", n, e);
	per_cpu = calloc((size_t)n, sizeof(*per_cpu));
	if (!per_cpu)
		return fail_map(s, "xm_verdicts", -ENOMEM, e);
	for (v = 0; v < XM_STEER__COUNT; v++) {
		r = bpf_map_lookup_elem(s->verdicts_fd, &v, per_cpu);
		if (r) {
			(void)fail_map(s, "xm_verdicts", r, e);
			break;
		}
		s->info.verdicts[v] = 0;
		for (i = 0; i < n; i++)
			s->info.verdicts[v] += per_cpu[i];
	}
	free(per_cpu);
	return r;
}

/* 1, 0, or -errno. */
static int queue_has_xsk(struct steer *s, uint32_t queue)
{
	uint8_t data[ETH_HLEN] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = data,
		    .data_size_in = sizeof(data), .repeat = 1);
	int r;

	if (s->probe_fd < 0) {
		r = steer_probe_load(s->xsks_fd);
		if (r < 0)
			return r;
		s->probe_fd = r;
	}
	memcpy(data, &queue, sizeof(queue));
	r = bpf_prog_test_run_opts(s->probe_fd, &run);
	return r ? r : (int)run.retval;
}

static int refresh_live(struct steer *s, struct xm_error *e)
{
	struct xm_steer_slot slot;
	uint64_t live = 0;
	uint32_t q;
	int r;

	for (q = 0; q < XM_CHAN_MAX; q++) {
		r = bpf_map_lookup_elem(s->slots_fd, &q, &slot);
		if (r)
			return fail_map(s, "xm_slots", r, e);
		if (!slot.dport)
			continue;
		r = queue_has_xsk(s, q);
		/* Without the right to load programs a slot that is set is
		 * taken for live. */
		if (r < 0 && r != -EPERM)
			return fail_map(s, "xm_xsks", r, e);
		if (r)
			live |= 1ULL << q;
	}
	s->info.live = live;
	return 0;
}

/* For information: that there is none is no failure. */
static void refresh_keeper(struct steer *s)
{
	struct keeper k = { 0 };

	if (keeper_look(s->ifindex, &k, NULL))
		k.pid = 0;
	s->info.keeper = k.pid;
	s->info.user = k.user;
}

int steer_refresh(struct steer *s, struct xm_error *e)
{
	int r;

	steer_talk_begin();
	r = steer_refresh_verdicts(s, e);
	if (!r)
		r = refresh_live(s, e);
	if (!r) {
		r = ntuple_count(s->info.ifname);
		s->info.n_rules = r < 0 ? 0 : (unsigned int)r;
		r = !steer_is_short(r) ?
			    0 :
			    xm_fail(e, r, XM_REASON_DEVICE,
				    "%s: cannot list its rules: %s",
				    s->info.ifname, strerror(-r));
		if (!r)
			refresh_keeper(s);
	}
	steer_talk_end();
	return r;
}

/* 1 ours, 0 not, or -errno. */
static int list_is_ours(const char *ifname, struct xm_error *e)
{
	struct xm_error gone = { 0 };
	struct steer_dev dev;
	int r = steer_dev_find(&dev, ifname, &gone);

	if (r == -ENODEV)
		return 0; /* went away between two looks */
	if (r)
		return xm_fail(e, r, gone.reason, "%s", gone.msg);
	r = dev.prog_id != 0;
	steer_dev_close(&dev);
	return r;
}

int steer_list(char (*ret)[16], unsigned int max, struct xm_error *e)
{
	struct if_nameindex *all = if_nameindex(), *i;
	int n = 0, r = 0, err = -errno;

	if (!all)
		return xm_fail(e, err, XM_REASON_DEVICE,
			       "cannot list network devices: %s",
			       strerror(-err));
	steer_talk_begin();
	for (i = all; r >= 0 && i->if_name; i++) {
		r = list_is_ours(i->if_name, e);
		if (r <= 0)
			continue;
		if ((unsigned int)n < max)
			(void)snprintf(ret[n], sizeof(ret[n]), "%s",
				       i->if_name);
		n++;
	}
	steer_talk_end();
	if_freenameindex(all);
	return r < 0 ? r : n;
}

/* -- a session ---------------------------------------------------------------------- */

static int live_claim(struct steer *s, uint32_t queue, int xsk_fd,
		      struct xm_error *e)
{
	int r = bpf_map_update_elem(s->xsks_fd, &queue, &xsk_fd, BPF_NOEXIST);

	if (r == -EEXIST)
		return xm_fail(
			e, -EBUSY, XM_REASON_STEERING,
			"%s: another session is live on queue %u; wait until it ends (see `xdpmig status %s`) or use other queues",
			s->info.ifname, queue, s->info.ifname);
	if (r)
		return fail_map(s, "xm_xsks", r, e);
	return 0;
}

int steer_live(struct steer *s, unsigned int queue,
	       const struct xm_steer_slot *slot, int xsk_fd, struct xm_error *e)
{
	int r;

	if (queue < s->info.first_queue ||
	    queue >= s->info.first_queue + s->info.n_queues)
		return xm_fail(
			e, -ERANGE, XM_REASON_STEERING,
			"%s: queue %u is not served, queues %u-%u are; detach and attach with other --queues",
			s->info.ifname, queue, s->info.first_queue,
			s->info.first_queue + s->info.n_queues - 1);
	r = live_claim(s, queue, xsk_fd, e);
	if (r)
		return r;
	s->conf->home[ntohs(slot->dport) % XM_CHAN_MAX] = (__u8)queue;
	r = bpf_map_update_elem(s->slots_fd, &queue, slot, BPF_ANY);
	if (r) {
		(void)bpf_map_delete_elem(s->xsks_fd, &queue);
		return fail_map(s, "xm_slots", r, e);
	}
	s->mine |= 1ULL << queue;
	s->cookie[queue] = slot->cookie;
	return 0;
}

void steer_unlive(struct steer *s, unsigned int queue)
{
	struct xm_steer_slot slot, none = { 0 };

	if (queue >= XM_CHAN_MAX || !(s->mine & 1ULL << queue))
		return;
	s->mine &= ~(1ULL << queue);
	/* The socket closed too early and somebody took over? */
	if (bpf_map_lookup_elem(s->slots_fd, &queue, &slot) ||
	    slot.cookie != s->cookie[queue])
		return;
	/* Both only fail on arguments that steer_live() has proved good. */
	(void)bpf_map_update_elem(s->slots_fd, &queue, &none, BPF_ANY);
	(void)bpf_map_delete_elem(s->xsks_fd, &queue);
}

/* -- names ------------------------------------------------------------------------------ */

const char *steer_mode_name(enum steer_mode mode)
{
	switch (mode) {
	case STEER_AUTO:
		return "auto";
	case STEER_NATIVE:
		return "native";
	case STEER_GENERIC:
		return "generic";
	}
	return "?";
}

const char *steer_verdict_name(enum xm_steer_verdict v)
{
	switch (v) {
	case XM_STEER_REDIRECT:
		return "redirect";
	case XM_STEER_PASS_OTHER:
		return "pass_other";
	case XM_STEER_PASS_FRAG:
		return "pass_frag";
	case XM_STEER_PASS_RUNT:
		return "pass_runt";
	case XM_STEER_PASS_OPTS:
		return "pass_opts";
	case XM_STEER_PASS_MAGIC:
		return "pass_magic";
	case XM_STEER_PASS_SOCKET:
		return "pass_socket";
	case XM_STEER_WRONG_QUEUE:
		return "wrong_queue";
	case XM_STEER__COUNT:
		break;
	}
	return "?";
}
