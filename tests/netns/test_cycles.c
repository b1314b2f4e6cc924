// SPDX-License-Identifier: GPL-2.0-or-later
/* test_cycles.c - set up and torn down again and again, nothing grows
 *
 * One process does what a session does to the kernel and gives it back: CYCLES times,
 * 40 if that is not in the environment.  (10,000 take twenty minutes, see
 * docs/testing.md.)  After the first ones, which fill caches, its descriptors, threads
 * and mappings must stay the same to the last one, and its memory within a quarter of
 * a MiB.
 *
 * It has no right to lock more memory than it is allowed to, which is little more than
 * one cycle takes: what a UMEM locked and did not give back would soon be missed.
 * What is left in the kernel keeps the number of BPF maps growing, and is seen in a
 * long run, since others make some, too.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <linux/capability.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/trust.h"
#include "t_veth.h"
#include "xsk/chan.h"
#include "xsk/steer.h"

#define PAGE    4096u
#define GUEST   (64 * PAGE)
#define CYCLES  40
#define MEMLOCK (1024 * 1024) /* bytes; a cycle takes half of it */
#define GROWTH  256           /* KiB of memory, however many cycles */
#define MAPS    5             /* of the program */

static const char dev[] = "cycles0", peer[] = "cycles1";

/* Everything but the right to lock memory. */
static void drop_ipc_lock(void)
{
	struct rlimit lim = { MEMLOCK, MEMLOCK };
	uid_t uid = 210000000u + (uid_t)getpid();
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct cap[2];

	assert_int_equal(prctl(PR_SET_KEEPCAPS, 1), 0);
	assert_int_equal(setresuid(uid, uid, uid), 0);
	assert_int_equal(syscall(SYS_capget, &hdr, cap), 0);
	cap[0].permitted &= ~(1u << CAP_IPC_LOCK);
	cap[0].effective = cap[0].permitted;
	cap[1].effective = cap[1].permitted;
	assert_int_equal(syscall(SYS_capset, &hdr, cap), 0);
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &lim), 0);
}

/* -- a cycle ------------------------------------------------------------------- */

static void must(int r, const struct xm_error *e)
{
	if (r)
		fail_msg("%s", e->msg);
}

/* A channel with some of a guest in it, live on queue 0, and gone again. */
static void cycle_channel(int guest_fd)
{
	const struct xsk_extent x = { guest_fd, 0, 0, 0, GUEST };
	const struct xsk_chan_opts o = {
		.ifname = dev,
		.ifindex = (int)if_nametoindex(dev),
		.max_descs = 3,
		.tx_ring = 64,
		.rx_ring = 64,
		.rx_chunks = 32,
		.n_slots = 5,
		.n_bufs = 20,
		.n_stages = 4,
		.stage_len = 3 * PAGE,
		.extents = &x,
		.n_extents = 1,
	};
	const struct xm_steer_slot slot = {
		.cookie = htobe64(1),
		.dport = htobe16(XM_PORT_DATA),
	};
	struct xm_error e = { 0 };
	struct steer_info info;
	struct xsk_chan *c;
	struct steer s;

	must(steer_attach(&info, dev, STEER_NATIVE, 0, 1, &e), &e);
	must(steer_open(&s, dev, &e), &e);
	must(xsk_chan_open(&c, &o, &e), &e);
	must(steer_live(&s, 0, &slot, xsk_chan_fd(c), &e), &e);
	must(steer_refresh(&s, &e), &e);
	assert_int_equal(s.info.live, 1);
	steer_unlive(&s, 0);
	xsk_chan_close(c);
	steer_close(&s);
	must(steer_detach(dev, false, &e), &e);
}

static bool shakes(struct ctl *ctl)
{
	struct xm_error e = { 0 };
	int r = ctl_handshake(ctl, &e);

	if (r && r != -EAGAIN)
		fail_msg("%s", e.msg);
	return r != 0;
}

/* A connection with TLS, from reading the key to wiping it. */
static void cycle_control(const char *key)
{
	const struct ctl_trust_files files = { .key = key };
	struct ctl *here, *there;
	struct ctl_trust *trust;
	struct xm_error e = { 0 };
	struct ctl_addr a;
	struct pollfd in = { .events = POLLIN };

	must(ctl_trust_open(&trust, &files, &e), &e);
	must(ctl_addr_parse(&a, "127.0.0.1", XM_PORT_CTL, &e), &e);
	must(ctl_listen(&in.fd, &a, &e), &e);
	must(ctl_connect(&here, &a, NULL, 5000, &e), &e);
	assert_int_equal(poll(&in, 1, 5000), 1);
	must(ctl_accept(&there, in.fd, &e), &e);
	must(ctl_secure(here, trust, true, &e), &e);
	must(ctl_secure(there, trust, false, &e), &e);
	while ((int)shakes(here) | (int)shakes(there)) /* both, each time */
		;
	ctl_close(here);
	ctl_close(there);
	close(in.fd);
	ctl_trust_close(trust);
}

/* -- what there is ---------------------------------------------------------------- */

struct figures {
	unsigned int fds, threads, maps;
	long rss; /* KiB */
};

static unsigned int entries_of(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static struct figures figures_now(void)
{
	struct figures f = { .fds = entries_of("/proc/self/fd"),
			     .threads = entries_of("/proc/self/task") };
	long rss = 0;
	FILE *file = fopen("/proc/self/maps", "re");
	int c;

	assert_non_null(file);
	while ((c = getc(file)) != EOF)
		f.maps += c == '\n';
	fclose(file);
	file = fopen("/proc/self/statm", "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*d %ld", &rss), 1);
	fclose(file);
	f.rss = rss * (PAGE / 1024);
	return f;
}

static unsigned int bpf_maps(void)
{
	uint32_t id = 0;
	unsigned int n = 0;

	while (!bpf_map_get_next_id(id, &id))
		n++;
	return n;
}

static void cycles__nothing_grows(void **state)
{
	unsigned int i, n = CYCLES, warm, maps = 0;
	const char *asked = getenv("CYCLES");
	char key[] = "/tmp/xm-cycles-key-XXXXXX", name[65];
	struct figures first = { 0 }, last;
	struct xm_error e = { 0 };
	int fd = memfd_create("guest", MFD_CLOEXEC);

	(void)state;
	if (asked)
		n = (unsigned int)strtoul(asked, NULL, 10);
	warm = n < 1000 ? n / 3 : 100;
	assert_int_equal(ftruncate(fd, GUEST), 0);
	assert_non_null(mkdtemp(key));
	assert_int_equal(chdir(key), 0);
	drop_ipc_lock();
	must(ctl_keygen("key", name, &e), &e);
	for (i = 0; i < n; i++) {
		if (i == warm) {
			first = figures_now();
			maps = bpf_maps();
		}
		cycle_channel(fd);
		cycle_control("key");
	}
	last = figures_now();
	printf("# %u cycles after %u: %u descriptors, %u threads, %u mappings; "
	       "%ld KiB, at first %ld; %u BPF maps of all the machine, at "
	       "first %u\n",
	       n - warm, warm, last.fds, last.threads, last.maps, last.rss,
	       first.rss, bpf_maps(), maps);
	assert_int_equal(last.fds, first.fds);
	assert_int_equal(last.threads, first.threads);
	assert_int_equal(last.maps, first.maps);
	assert_true(last.rss <= first.rss + GROWTH);
	if (n >= 1000)
		assert_true(bpf_maps() < maps + (n - warm) * MAPS / 4);
	assert_int_equal(unlink("key"), 0);
	assert_int_equal(rmdir(key), 0);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	t_veth_add(dev, peer, 1, 9000);
	t_run("ip link set lo up");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cycles__nothing_grows),
	};

	if (!t_netns_enter())
		return 0;
	return cmocka_run_group_tests(tests, setup, NULL);
}
