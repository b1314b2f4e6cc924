// SPDX-License-Identifier: GPL-2.0-or-later
/* steer_pin.c - pins of the steering program and its maps
 *
 *   /sys/fs/bpf/xdpmig/<network namespace>-<ifindex>/{xm_steer,xm_slots,...}
 *
 * A privileged command finds everything through the attached program's id
 * (steer_dev.c) and needs no pin.  Pins are there for those who may not look
 * up ids: without CAP_SYS_ADMIN, but with the right to open the file.  So it
 * is no failure when none can be made, and we never mount a bpffs.
 *
 * One bpffs serves many network namespaces and each has its device 2: hence
 * the namespace's inode number in the name.  Pins keep maps alive, so those of
 * a device that went away without a detach are swept by the next attach or
 * detach in the same namespace.
 *
 * Who detaches may not see what was pinned: `ip netns exec` gives every
 * command a mount namespace with a fresh /sys.  But some process is in the one
 * where the pins are, if only the shell that it was typed into, and
 * /proc/PID/root shows that process's view.  So pins are removed from every
 * bpffs that any process has at /sys/fs/bpf.
 */
#include "steer_dev.h"

#include <bpf/bpf.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
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

#define ROOTS_MAX 32 /* different bpffs at PIN_ROOT; two are many */

struct pin_path {
	char s[160];
};

/* Where a mount namespace begins: "" or "/proc/PID/root". */
struct pin_root {
	char s[32];
	dev_t dev; /* of the bpffs there */
};

static unsigned long pin_netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) ? 0 : (unsigned long)st.st_ino;
}

/* Without @name the directory.  All of it fits: names are ours, below 16. */
static struct pin_path pin_path(const char *root, int ifindex, const char *name)
{
	struct pin_path p;

	(void)snprintf(p.s, sizeof(p.s), "%s" PIN_DIR "/%lu-%d%s%s", root,
		       pin_netns(), ifindex, name ? "/" : "", name ? name : "");
	return p;
}

/* Has this root a bpffs, and which?  1, 0, or -errno: no telling. */
static int pin_has_bpffs(struct pin_root *root)
{
	char path[sizeof(root->s) + sizeof(PIN_ROOT)];
	struct statfs fs;
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s" PIN_ROOT, root->s);
	if (statfs(path, &fs) || stat(path, &st))
		return steer_is_short(-errno) ? -errno : 0;
	root->dev = st.st_dev;
	return (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

static int roots_add(struct pin_root *roots, unsigned int *n, const char *s)
{
	struct pin_root root;
	unsigned int i;
	int r;

	(void)snprintf(root.s, sizeof(root.s), "%s", s);
	if (*n == ROOTS_MAX)
		return 0;
	r = pin_has_bpffs(&root);
	if (r <= 0)
		return r;
	for (i = 0; i < *n; i++)
		if (roots[i].dev == root.dev)
			return 0;
	roots[(*n)++] = root;
	return 0;
}

/* Every bpffs that can be seen through some process, ours first.  Returns how
 * many; @ret_err: 0, or why there may be more. */
static unsigned int roots_find(struct pin_root *roots, int *ret_err)
{
	DIR *proc = opendir("/proc");
	int r, err = proc ? 0 : -errno;
	struct dirent *d;
	unsigned int n = 0;
	char s[32];

	r = roots_add(roots, &n, "");
	err = err ? err : r;
	while (proc && (d = readdir(proc))) {
		if (!isdigit((unsigned char)d->d_name[0]))
			continue;
		(void)snprintf(s, sizeof(s), "/proc/%.10s/root", d->d_name);
		r = roots_add(roots, &n, s);
		err = err ? err : r;
	}
	if (proc)
		(void)closedir(proc);
	*ret_err = err;
	return n;
}

static int pin_mkdir(const char *dir)
{
	return mkdir(dir, 0700) && errno != EEXIST ? -errno : 0;
}

/* -- one bpffs ---------------------------------------------------------------- */

/* Unlink what can be in a directory of ours, and it.  1, 0 if it was not there,
 * or -errno. */
static int pin_rmdir(const struct pin_root *root, int ifindex)
{
	unsigned int i;

	if (!pin_netns())
		return -errno;
	(void)unlink(pin_path(root->s, ifindex, STEER_PROG).s); /* if there */
	for (i = 0; i < N_PIN_MAPS; i++)
		(void)unlink(pin_path(root->s, ifindex, pin_maps[i]).s);
	if (!rmdir(pin_path(root->s, ifindex, NULL).s))
		return 1;
	return errno == ENOENT ? 0 : -errno;
}

/* The id of the program pinned in @file; 0: none. */
static uint32_t pin_id(const char *file)
{
	int fd fd_cleanup = bpf_obj_get(file);

	return fd < 0 ? 0 : steer_prog_id(fd);
}

/* The device that a directory is for, by its name; 0: not of this network
 * namespace, or not ours. */
static int dir_ifindex(const char *name)
{
	unsigned long netns, ifindex;
	char *end;

	if (!isdigit((unsigned char)name[0]))
		return 0;
	netns = strtoul(name, &end, 10);
	if (netns != pin_netns() || *end != '-')
		return 0;
	ifindex = strtoul(end + 1, &end, 10);
	return *end || ifindex > INT_MAX ? 0 : (int)ifindex;
}

/* -- libxdp's pins, of a dispatcher whose device is gone ----------------------- */

#define DISPATCH_MAX 10 /* programs in a dispatcher */

static struct pin_path dispatch_path(const struct pin_root *root,
				     const char *dir)
{
	struct pin_path p;

	(void)snprintf(p.s, sizeof(p.s), "%.31s" PIN_ROOT "/xdp/%.60s", root->s,
		       dir);
	return p;
}

/* Is program @id pinned in this directory of libxdp's? */
static bool dispatch_has(const struct pin_path *dir, uint32_t id)
{
	char file[sizeof(dir->s) + 16];
	unsigned int i;

	for (i = 0; i < DISPATCH_MAX; i++) {
		(void)snprintf(file, sizeof(file), "%s/prog%u-prog", dir->s, i);
		if (pin_id(file) == id)
			return true;
	}
	return false;
}

static void dispatch_rmdir(const struct pin_path *dir)
{
	char file[sizeof(dir->s) + 16];
	unsigned int i;

	for (i = 0; i < DISPATCH_MAX; i++) {
		(void)snprintf(file, sizeof(file), "%s/prog%u-link", dir->s, i);
		(void)unlink(file); /* if there */
		(void)snprintf(file, sizeof(file), "%s/prog%u-prog", dir->s, i);
		(void)unlink(file);
	}
	(void)rmdir(dir->s);
}

/* libxdp does not notice that a device is gone, and its own clean-up looks at
 * ifindexes without regard to network namespaces.  The directory that has our
 * very program is of the device that is gone, and so is all in it. */
static void dispatcher_sweep(const struct pin_root *root, int ifindex)
{
	uint32_t id = pin_id(pin_path(root->s, ifindex, STEER_PROG).s);
	struct pin_path path = dispatch_path(root, "");
	DIR *in = id ? opendir(path.s) : NULL;
	char prefix[32];
	struct dirent *d;

	if (!in)
		return;
	(void)snprintf(prefix, sizeof(prefix), "dispatch-%d-", ifindex);
	while ((d = readdir(in))) {
		if (strncmp(d->d_name, prefix, strlen(prefix)) != 0)
			continue;
		path = dispatch_path(root, d->d_name);
		if (dispatch_has(&path, id))
			dispatch_rmdir(&path);
	}
	(void)closedir(in);
}

/* Remove directories whose device is gone, and our folder when nothing is left
 * in it.  Returns how many, or -errno. */
static int pin_sweep(const struct pin_root *root)
{
	int n = 0, err;
	char dir[sizeof(root->s) + sizeof(PIN_DIR)], name[IF_NAMESIZE];
	struct dirent *d;
	int ifindex;
	DIR *in;

	(void)snprintf(dir, sizeof(dir), "%s" PIN_DIR, root->s);
	in = opendir(dir);
	if (!in) {
		err = -errno;
		(void)rmdir(dir);
		return steer_is_short(err) ? err : 0;
	}
	while ((d = readdir(in))) {
		ifindex = dir_ifindex(d->d_name);
		if (!ifindex || if_indextoname((unsigned int)ifindex, name) ||
		    errno != ENXIO)
			continue;
		dispatcher_sweep(root, ifindex);
		n += pin_rmdir(root, ifindex) > 0;
	}
	(void)closedir(in);
	(void)rmdir(dir); /* fails while others have pins there */
	return n;
}

/* -- all of them ---------------------------------------------------------------- */

int steer_pin_sweep(void)
{
	struct pin_root roots[ROOTS_MAX];
	int r, err, swept = 0;
	unsigned int i, n = roots_find(roots, &err);

	for (i = 0; i < n; i++) {
		r = pin_sweep(&roots[i]);
		err = err || r >= 0 ? err : r;
		swept += r > 0 ? r : 0;
	}
	return err ? err : swept;
}

int steer_unpin(int ifindex)
{
	struct pin_root roots[ROOTS_MAX];
	int r, err, had = 0;
	unsigned int i, n = roots_find(roots, &err);

	for (i = 0; i < n; i++) {
		r = pin_rmdir(&roots[i], ifindex);
		had |= r > 0;
		if (r >= 0)
			r = pin_sweep(&roots[i]);
		err = err || r >= 0 ? err : r;
	}
	return err ? err : had;
}

/* -- ours: what this process sees ------------------------------------------------- */

static int pin_map(const struct steer_dev *dev, const char *name)
{
	struct bpf_map_info info;
	int fd fd_cleanup = steer_dev_map(dev, name, &info);

	if (fd < 0)
		return fd;
	return bpf_obj_pin(fd, pin_path("", dev->ifindex, name).s);
}

int steer_pin(const struct steer_dev *dev)
{
	struct pin_root here = { "" };
	unsigned int i;
	int r;

	if (pin_has_bpffs(&here) <= 0 || !pin_netns())
		return -ENOENT;
	r = pin_mkdir(PIN_DIR);
	if (r)
		return r;
	r = pin_mkdir(pin_path("", dev->ifindex, NULL).s);
	if (!r)
		r = bpf_obj_pin(dev->prog_fd,
				pin_path("", dev->ifindex, STEER_PROG).s);
	for (i = 0; !r && i < N_PIN_MAPS; i++)
		r = pin_map(dev, pin_maps[i]);
	if (r)
		(void)steer_unpin(dev->ifindex);
	return r;
}

int steer_pinned(int ifindex, const char *name)
{
	return bpf_obj_get(pin_path("", ifindex, name).s);
}

/* -- where libxdp's are --------------------------------------------------------- */

int steer_pin_find_dispatcher(const struct steer_dev *dev, char *ret_bpffs,
			      size_t len)
{
	struct pin_root roots[ROOTS_MAX];
	int err;
	unsigned int i, n = roots_find(roots, &err);
	char dir[48];

	(void)snprintf(dir, sizeof(dir), "dispatch-%d-%u", dev->ifindex,
		       dev->main_id);
	for (i = 0; i < n; i++) {
		if (access(dispatch_path(&roots[i], dir).s, F_OK))
			continue;
		(void)snprintf(ret_bpffs, len, "%.31s" PIN_ROOT, roots[i].s);
		return 1;
	}
	return err;
}
