// SPDX-License-Identifier: GPL-2.0-or-later
/* test_xsk_umem.c - what can be registered as a UMEM, and what that pins
 *
 * The kernel's part by bare setsockopt(), ours through chan.h on a veth.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "t_mem.h"
#include "t_veth.h"
#include "t_xsk.h"
#include "xsk/chan_priv.h"
#include "xsk/compat.h"

#define PAGE 4096u
#define MIB  ((uint64_t)1 << 20)
#define HUGE (2 * MIB)

#define TX_METADATA_LEN_FLAG (1 << 2)

/* struct xdp_umem_reg of Linux 6.8; shorter before */
struct t_umem_reg {
	uint64_t addr, len;
	uint32_t chunk_size, headroom, flags, tx_metadata_len;
};

/* XDP_UMEM_REG on a socket that is closed again: 0 or -errno. */
static int t_reg(void *addr, uint64_t len, uint32_t chunk, uint32_t headroom)
{
	struct xdp_umem_reg reg = { (uintptr_t)addr, len, chunk, headroom, 0 };
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0), r;

	assert_true(fd >= 0);
	r = setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) ? -errno :
								       0;
	close(fd);
	return r;
}

static bool t_has(struct xsk_chan *c, uint8_t block, uint64_t offset)
{
	struct xsk_seg seg;

	return xsk_seg_guest(c, block, &offset, 1, PAGE, &seg);
}

/* -- which memory -------------------------------------------------------------- */

static void reg__anonymous_memory(void **state)
{
	void *p = t_map(-1, 16 * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS);

	(void)state;
	assert_int_equal(t_reg(p, 16 * PAGE, PAGE, 0), 0);
	munmap(p, 16 * PAGE);
}

static void reg__a_shared_memfd(void **state)
{
	int fd = t_memfd(16 * PAGE, 0);
	void *p = t_map(fd, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	(void)state;
	assert_int_equal(t_reg(p, 16 * PAGE, PAGE, 0), 0);
	munmap(p, 16 * PAGE);
	close(fd);
}

static void reg__a_read_only_mapping_is_efault(void **state)
{
	int fd = t_memfd(16 * PAGE, 0);
	void *p = t_map(fd, 16 * PAGE, PROT_READ, MAP_SHARED);

	(void)state;
	assert_int_equal(t_reg(p, 16 * PAGE, PAGE, 0), -EFAULT);
	munmap(p, 16 * PAGE);
	close(fd);
}

static void reg__sizes_and_alignment(void **state)
{
	uint8_t *p = t_map(-1, 16 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS);

	(void)state;
	assert_int_equal(t_reg(p, 16 * PAGE, 2048, 0), 0);
	assert_int_equal(t_reg(p, 16 * PAGE, 8192, 0), -EINVAL);
	assert_int_equal(t_reg(p, 16 * PAGE, 1024, 0), -EINVAL);
	assert_int_equal(t_reg(p, 16 * PAGE, 3000, 0), -EINVAL);
	assert_int_equal(t_reg(p + 64, 8 * PAGE, PAGE, 0), -EINVAL);
	assert_int_equal(t_reg(p, 8 * PAGE + 2048, PAGE, 0), -EINVAL);
	assert_int_equal(t_reg(p, 16 * PAGE, PAGE, 3392), 0);
	assert_int_equal(t_reg(p, 16 * PAGE, PAGE, 3841), -EINVAL);
	munmap(p, 16 * PAGE);
}

/* -- one range -------------------------------------------------------------------- */

static void reg__a_hole_fails(void **state)
{
	uint8_t *p = t_map(-1, 16 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS);

	(void)state;
	munmap(p + 8 * PAGE, PAGE);
	assert_int_equal(t_reg(p, 16 * PAGE, PAGE, 0), -ENOMEM);
	assert_int_equal(t_reg(p, 8 * PAGE, PAGE, 0), 0);
	munmap(p, 16 * PAGE);
}

/* Channel options with a small arena and no guest. */
static struct xsk_chan_opts t_opts(unsigned int queue)
{
	return (struct xsk_chan_opts){
		.ifname = t_va,
		.ifindex = (int)if_nametoindex(t_va),
		.queue = queue,
		.max_descs = 3,
		.tx_ring = 64,
		.rx_ring = 64,
		.rx_chunks = 32,
		.n_slots = 5,
		.n_bufs = 20,
		.n_stages = 4,
		.stage_len = 3 * PAGE,
	};
}

static void chan__arena_and_extents_are_one_umem(void **state)
{
	int fd = t_memfd(64 * PAGE, 0);
	struct xsk_extent x[] = {
		{ fd, 0, 2 * PAGE, 2 * PAGE, 3 * PAGE },
		{ fd, 0, 60 * PAGE, 60 * PAGE, 4 * PAGE },
	};
	struct xsk_chan_opts o = t_opts(0);
	struct xsk_chan *c;
	struct xm_error e = { 0 };

	(void)state;
	o.extents = x;
	o.n_extents = 2;
	assert_int_equal(xsk_chan_open(&c, &o, &e), 0);
	assert_true(t_has(c, 0, 61 * PAGE));
	assert_false(t_has(c, 0, 5 * PAGE));
	assert_false(xsk_chan_is_zero_copy(c));
	/* 5 slots: 3 pages, 20 buffers: 2, 4 stages: 12, receive chunks: 32 */
	assert_int_equal(xsk_chan_locked(c), (49 + 7) * PAGE);
	xsk_chan_close(c);
	close(fd);
}

/* Registration pins, and pinning allocates: it must only meet what is there. */
static void chan__a_sparse_guest_stays_sparse(void **state)
{
	int fd = t_memfd(64 * MIB, 0), i;
	struct xsk_chan_opts o = t_opts(0);
	struct xsk_extent x[16];
	struct xsk_chan *c;
	struct xm_error e = { 0 };
	struct stat before, after;

	(void)state;
	for (i = 0; i < 16; i++) {
		uint64_t off = (uint64_t)i * 4 * MIB + 3 * PAGE;

		assert_int_equal(pwrite(fd, &i, sizeof(i), (off_t)off),
				 sizeof(i));
		x[i] = (struct xsk_extent){ fd, 0, off, off, PAGE };
	}
	o.extents = x;
	o.n_extents = 16;
	assert_int_equal(fstat(fd, &before), 0);
	assert_int_equal(before.st_blocks, 16 * PAGE / 512);
	assert_int_equal(xsk_chan_open(&c, &o, &e), 0);
	assert_int_equal(fstat(fd, &after), 0);
	assert_int_equal(after.st_blocks, before.st_blocks);
	xsk_chan_close(c);
	close(fd);
}

/* A file system that keeps track of dirty pages, or NULL. */
static const char *t_disk_dir(void)
{
	static const char *const dir[] = { "/var/tmp", "/tmp", "." };
	struct statfs st;
	size_t i;

	for (i = 0; i < 3; i++)
		if (!statfs(dir[i], &st) && (st.f_type == EXT4_SUPER_MAGIC ||
					     st.f_type == XFS_SUPER_MAGIC ||
					     st.f_type == BTRFS_SUPER_MAGIC))
			return dir[i];
	return NULL;
}

static void chan__a_file_on_a_disk_is_named(void **state)
{
	struct xsk_chan_opts o = t_opts(0);
	struct xsk_extent x = { .block = 3, .len = 8 * PAGE };
	const char *dir = t_disk_dir();
	struct xm_error e = { 0 };
	struct xsk_chan *c;
	char path[64];

	(void)state;
	if (!dir) {
		print_message("no disk file system here: nothing to refuse\n");
		return;
	}
	snprintf(path, sizeof(path), "%s/xdpmig-test-%d", dir, getpid());
	x.fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(x.fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ftruncate(x.fd, 8 * PAGE), 0);
	o.extents = &x;
	o.n_extents = 1;
	assert_int_equal(xsk_chan_open(&c, &o, &e), -EFAULT);
	assert_int_equal(e.reason, XM_REASON_MEMORY);
	if (!strstr(e.msg, path) || !strstr(e.msg, "block 3, offset 0x0"))
		fail_msg("%s", e.msg);
	close(x.fd);
}

/* Free hugepages are borrowed from the system for the time of a test. */
static long t_hugepages(long change)
{
	const char *path = "/proc/sys/vm/nr_hugepages";
	FILE *f = fopen(path, "re");
	long n = 0, got = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld", &n), 1);
	fclose(f);
	t_run("echo %ld > %s", n + change, path);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld", &got), 1);
	fclose(f);
	return got - n;
}

static void chan__hugepages_need_no_padding(void **state)
{
	struct xsk_chan_opts o = t_opts(0);
	int small = t_memfd(8 * PAGE, 0), huge;
	struct xsk_extent x[2] = { { .fd = small, .len = 8 * PAGE },
				   { .block = 1, .len = 2 * HUGE } };
	struct xm_error e = { 0 };
	struct xsk_chan *c;
	long n = t_hugepages(2);

	(void)state;
	if (n < 2) {
		t_hugepages(-n);
		print_message("no memory for hugepages: not tried\n");
		return;
	}
	huge = t_memfd(2 * HUGE, MFD_HUGETLB);
	x[1].fd = huge;
	o.extents = x;
	o.n_extents = 2;
	if (xsk_chan_open(&c, &o, &e)) {
		t_hugepages(-n);
		fail_msg("%s", e.msg);
	}
	assert_int_equal(xsk_chan_locked(c), (49 + 8) * PAGE + 2 * HUGE);
	assert_true(t_has(c, 1, 2 * HUGE - PAGE));
	assert_true(t_has(c, 0, 7 * PAGE));
	assert_int_equal(xsk_chan_left_out(c), 0);
	xsk_chan_close(c);
	close(huge);
	close(small);
	t_hugepages(-n);
}

/* -- metadata ---------------------------------------------------------------------- */

/* A socket for sending only, with a UMEM as @reg says; -1 when the kernel does
 * not know such a UMEM. */
static int t_tx_socket(const struct t_umem_reg *reg, struct xdp_desc **ret_desc,
		       uint32_t **ret_producer)
{
	struct sockaddr_xdp sa = {
		.sxdp_family = AF_XDP,
		.sxdp_ifindex = if_nametoindex(t_va),
		.sxdp_flags = XDP_COPY,
	};
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0), n = 64;
	struct xdp_mmap_offsets off;
	socklen_t len = sizeof(off);
	uint8_t *ring;

	if (setsockopt(fd, SOL_XDP, XDP_UMEM_REG, reg, sizeof(*reg))) {
		close(fd);
		return -1;
	}
	assert_int_equal(
		setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &n, sizeof(n)), 0);
	assert_int_equal(setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &n,
				    sizeof(n)),
			 0);
	assert_int_equal(setsockopt(fd, SOL_XDP, XDP_TX_RING, &n, sizeof(n)),
			 0);
	assert_int_equal(getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &len),
			 0);
	ring = mmap(NULL, off.tx.desc + 64 * sizeof(**ret_desc),
		    PROT_READ | PROT_WRITE, MAP_SHARED, fd, XDP_PGOFF_TX_RING);
	assert_ptr_not_equal(ring, MAP_FAILED);
	*ret_desc = (struct xdp_desc *)(ring + off.tx.desc);
	*ret_producer = (uint32_t *)(ring + off.tx.producer);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* Send [@addr, @addr + @len); how many descriptors the kernel rejected. */
static uint64_t t_rejected(struct t_umem_reg reg, uint64_t addr, uint32_t len)
{
	struct xdp_statistics st = { 0 };
	socklen_t st_len = sizeof(st);
	struct xdp_desc *desc;
	uint32_t *producer;
	int fd = t_tx_socket(&reg, &desc, &producer);

	if (fd < 0)
		return UINT64_MAX;
	desc[0] = (struct xdp_desc){ .addr = addr, .len = len };
	__atomic_store_n(producer, 1, __ATOMIC_RELEASE);
	(void)sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
	assert_int_equal(getsockopt(fd, SOL_XDP, XDP_STATISTICS, &st, &st_len),
			 0);
	close(fd);
	return st.tx_invalid_descs;
}

/* A UMEM with room for TX metadata cannot send a whole page, nor the first
 * bytes of one: that is why ours has none. */
static void tx__metadata_forbids_whole_pages(void **state)
{
	struct t_umem_reg reg = { .len = 64 * PAGE, .chunk_size = PAGE };
	void *p = t_map(-1, 64 * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS);
	uint64_t n;

	(void)state;
	reg.addr = (uintptr_t)p;
	assert_int_equal(t_rejected(reg, 4 * PAGE, PAGE), 0);
	reg.flags = TX_METADATA_LEN_FLAG;
	reg.tx_metadata_len = 16;
	t_veth_del(t_va); /* a queue that is free at once */
	t_veth_add(t_va, t_vb, 4, 9000);
	n = t_rejected(reg, 4 * PAGE, PAGE);
	if (n != UINT64_MAX) /* else before 6.8: there is no such UMEM */
		assert_int_equal(n, 1);
	munmap(p, 64 * PAGE);
}

/* -- descriptors ---------------------------------------------------------------------- */

/* Behind the back of xsk_tx_put(), which takes no such thing. */
static void chan__a_rejected_descriptor_is_told(void **state)
{
	struct xsk_chan_opts o = t_opts(0);
	struct xm_error e = { 0 };
	struct xsk_ring_prod *tx;
	struct xsk_chan *c;
	uint32_t idx = 0;

	(void)state;
	assert_int_equal(xsk_chan_open(&c, &o, &e), 0);
	assert_int_equal(xsk_chan_check(c, &e), 0);
	tx = &c->sock.tx;
	assert_int_equal(xsk_ring_prod__reserve(tx, 1, &idx), 1);
	*xsk_ring_prod__tx_desc(tx, idx) =
		(struct xdp_desc){ .addr = 4000, .len = 200 };
	xsk_ring_prod__submit(tx, 1);
	(void)sendto(xsk_chan_fd(c), NULL, 0, MSG_DONTWAIT, NULL, 0);
	assert_int_equal(xsk_chan_check(c, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "rejected 1 descriptors"));
	xsk_chan_close(c);
}

int main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(name, t_veth_setup, t_veth_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reg__anonymous_memory),
		cmocka_unit_test(reg__a_shared_memfd),
		cmocka_unit_test(reg__a_read_only_mapping_is_efault),
		cmocka_unit_test(reg__sizes_and_alignment),
		cmocka_unit_test(reg__a_hole_fails),
		T(chan__arena_and_extents_are_one_umem),
		T(chan__a_sparse_guest_stays_sparse),
		T(chan__a_file_on_a_disk_is_named),
		T(chan__hugepages_need_no_padding),
		T(tx__metadata_forbids_whole_pages),
		T(chan__a_rejected_descriptor_is_told),
	};

	if (!t_netns_enter())
		return 0;
	return cmocka_run_group_tests_name("xsk_umem", tests, NULL, NULL);
}
