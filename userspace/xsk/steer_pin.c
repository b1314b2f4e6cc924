// SPDX-License-Identifier: GPL-2.0-or-later
/* steer_pin.c - pins of the steering program and its maps
 *
 *   /sys/fs/bpf/xdpmig/<network namespace>-<ifindex>/{xm_steer,xm_slots,...}
 *
 * A privileged command finds everything through the attached program's id
 * (steer_dev.c) and needs no pin; `ip netns exec`, which hides /sys/fs/bpf
 * behind a fresh /sys, can't even show one.  Pins are there for those who may
 * not look up ids: without CAP_SYS_ADMIN, but with the right to open the file.
 * So it is no failure when none can be made, and we never mount a bpffs.
 *
 * One bpffs serves many network namespaces and each has its device 2: hence
 * the namespace's inode number in the name.  Pins keep maps alive, so those of
 * a device that went away without a detach are swept by the next attach or
 * detach in the same namespace.
 */
#include "steer_dev.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/fd.h"

#define PIN_ROOT "/sys/fs/bpf"
#define PIN_DIR  PIN_ROOT "/xdpmig"

static const char *const pin_maps[] = { "xm_slots", "xm_xsks", "xm_verdicts",
					"xm_conf" };
#define N_PIN_MAPS (sizeof(pin_maps) / sizeof(pin_maps[0]))

struct pin_path {
	char s[128];
};

static unsigned long pin_netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) ? 0 : (unsigned long)st.st_ino;
}

static struct pin_path pin_dir(int ifindex)
{
	struct pin_path p;

	(void)snprintf(p.s, sizeof(p.s), PIN_DIR "/%lu-%d", pin_netns(),
		       ifindex); /* two numbers fit */
	return p;
}

static struct pin_path pin_file(int ifindex, const char *name)
{
	struct pin_path p;

	(void)snprintf(p.s, sizeof(p.s), PIN_DIR "/%lu-%d/%s", pin_netns(),
		       ifindex, name); /* names are ours, < 16 */
	return p;
}

static bool pin_has_bpffs(void)
{
	struct statfs fs;

	return !statfs(PIN_ROOT, &fs) &&
	       (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

static int pin_mkdir(const char *dir)
{
	return mkdir(dir, 0700) && errno != EEXIST ? -errno : 0;
}

/* Unlink what can be in a directory of ours, and it. */
static bool pin_rmdir(int ifindex)
{
	struct pin_path dir = pin_dir(ifindex);
	unsigned int i;

	(void)unlink(pin_file(ifindex, STEER_PROG).s); /* may not be there */
	for (i = 0; i < N_PIN_MAPS; i++)
		(void)unlink(pin_file(ifindex, pin_maps[i]).s);
	return rmdir(dir.s) == 0;
}

void steer_pin_sweep(void)
{
	unsigned long netns = pin_netns(), ns;
	char name[IF_NAMESIZE];
	struct dirent *d;
	DIR *dir = opendir(PIN_DIR);
	int ifindex;

	if (!dir)
		return;
	while ((d = readdir(dir)))
		if (sscanf(d->d_name, "%lu-%d", &ns, &ifindex) == 2 &&
		    ns == netns && !if_indextoname((unsigned int)ifindex, name))
			(void)pin_rmdir(ifindex);
	(void)closedir(dir);
	(void)rmdir(PIN_DIR); /* fails while others have pins there */
}

static int pin_map(const struct steer_dev *dev, const char *name)
{
	struct bpf_map_info info;
	int fd fd_cleanup = steer_dev_map(dev, name, &info);

	if (fd < 0)
		return fd;
	return bpf_obj_pin(fd, pin_file(dev->ifindex, name).s);
}

int steer_pin(const struct steer_dev *dev)
{
	unsigned int i;
	int r;

	if (!pin_has_bpffs() || !pin_netns())
		return -ENOENT;
	r = pin_mkdir(PIN_DIR);
	if (r)
		return r;
	r = pin_mkdir(pin_dir(dev->ifindex).s);
	if (!r)
		r = bpf_obj_pin(dev->prog_fd,
				pin_file(dev->ifindex, STEER_PROG).s);
	for (i = 0; !r && i < N_PIN_MAPS; i++)
		r = pin_map(dev, pin_maps[i]);
	if (r)
		(void)steer_unpin(dev->ifindex);
	return r;
}

bool steer_unpin(int ifindex)
{
	bool was;

	if (!pin_has_bpffs())
		return false;
	was = pin_rmdir(ifindex);
	steer_pin_sweep();
	return was;
}

int steer_pinned(int ifindex, const char *name)
{
	return bpf_obj_get(pin_file(ifindex, name).s);
}
