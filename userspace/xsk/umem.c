// SPDX-License-Identifier: GPL-2.0-or-later
/* umem.c - laying out one channel's UMEM
 *
 * A descriptor can only name bytes of its socket's UMEM, and a UMEM is one
 * range of virtual addresses.  So that a frame can be a header of ours and
 * pages of the guest's, both are mapped side by side into a range that is
 * reserved first:
 *
 *   resv     base                                                 base + len
 *    |        |slots|bufs|stages| rx    |extent|extent| ... |extent|      |
 *    |PROT_   |<------ arena --------->|<---- guest memory ------->|PROT_ |
 *    |NONE    |  anonymous, private     |  MAP_SHARED of the guest's |NONE |
 *
 *   part    unit               owner
 *   slots   XSK_SLOT_LEN       core's header ring; the kernel reads a slot
 *                              between put and completion of its HEADER frame
 *   bufs    XSK_BUF_LEN        free list -> _get -> _put -> TX ring ->
 *                              completion ring -> free list; or _run_get, _run_put
 *   stages  stage_len          the same
 *   rx      4096-byte chunk    fill ring -> RX ring -> lent by xsk_rx ->
 *                              xsk_rx_done -> fill ring
 *   guest   4096-byte page     the guest, always; the kernel only reads it, as
 *                              do we, to look for zeros and to sum
 *
 * Registration pins every page of [base, base + len) and faults in what is
 * absent.  Therefore only populated extents are mapped, one right after the
 * other: a hole of a sparse guest is not in the range and is not allocated.
 * A hole in the range itself would make the registration fail.
 *
 * Each extent may cost a VMA, of which a process has 65,530.  A fragmented
 * guest can have more extents; then the largest are mapped and the rest is
 * left out, as is what exceeds the lock limit or the kernel's 16,777,215
 * chunks.  What is left out is not lost: umem_find() says no and the sender
 * stages those pages.
 *
 * Hugepages can only be mapped where address, offset and length are multiples
 * of their size.  Instead of padding the arena, which would be locked memory
 * for nothing, the arena is laid so that it ends on such an address, and
 * hugetlb extents come first behind it.
 *
 * Forked children must not get copies of pinned pages: MADV_DONTFORK.
 */
#include "umem.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#define ALIGN_UP(x, a) (((x) + (a)-1) / (a) * (a))

static uint64_t umem_slots_len(const struct xsk_chan_opts *opts)
{
	return ALIGN_UP((uint64_t)opts->n_slots * XSK_SLOT_LEN, XSK_CHUNK_LEN);
}

static uint64_t umem_bufs_len(const struct xsk_chan_opts *opts)
{
	return ALIGN_UP((uint64_t)opts->n_bufs * XSK_BUF_LEN, XSK_CHUNK_LEN);
}

static uint64_t umem_stages_len(const struct xsk_chan_opts *opts)
{
	return (uint64_t)opts->n_stages * opts->stage_len;
}

uint64_t umem_arena_len(const struct xsk_chan_opts *opts)
{
	return umem_slots_len(opts) + umem_bufs_len(opts) +
	       umem_stages_len(opts) +
	       (uint64_t)opts->rx_chunks * XSK_CHUNK_LEN;
}

/* Size of the pages behind @fd when they are hugetlb pages, else 0. */
static uint64_t umem_huge_size(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st) || (uint64_t)st.f_type != HUGETLBFS_MAGIC)
		return 0;
	return (uint64_t)st.f_bsize;
}

/* Cut a hugetlb extent to whole hugepages; false when nothing remains. */
static bool umem_trim_huge(struct umem_map *m, uint64_t size)
{
	uint64_t skip = ALIGN_UP(m->file_off, size) - m->file_off;

	if (skip >= m->len)
		return false;
	m->offset += skip;
	m->file_off += skip;
	m->len = (m->len - skip) / size * size;
	m->is_huge = true;
	return m->len;
}

/* Does @m continue @prev, so that one mapping holds both? */
static bool umem_joins(const struct umem_map *prev, const struct umem_map *m)
{
	return prev->fd == m->fd && prev->block == m->block &&
	       prev->is_huge == m->is_huge &&
	       prev->offset + prev->len == m->offset &&
	       prev->file_off + prev->len == m->file_off;
}

/* Extents to maps: checked, hugepages trimmed, neighbours joined. */
static int umem_take(struct umem *u, const struct xsk_chan_opts *opts,
		     uint64_t *ret_align, struct xm_error *e)
{
	const struct xsk_extent *last = NULL;
	uint64_t huge = 0;
	int huge_fd = -1;
	size_t i;

	*ret_align = XSK_CHUNK_LEN;
	for (i = 0; i < opts->n_extents; last = &opts->extents[i++]) {
		const struct xsk_extent *x = &opts->extents[i];
		struct umem_map m = { x->offset, x->len,   0,    x->file_off,
				      x->fd,     x->block, false };

		if (!x->len ||
		    (x->offset | x->file_off | x->len) % XSK_CHUNK_LEN ||
		    (last && (last->block > x->block ||
			      (last->block == x->block &&
			       last->offset + last->len > x->offset))))
			return xm_fail(
				e, -EINVAL, XM_REASON_INTERNAL,
				"guest memory extent %zu (block %u, offset 0x%" PRIx64
				", %" PRIu64
				" bytes) is unaligned or out of order",
				i, x->block, x->offset, x->len);
		if (x->fd != huge_fd) {
			huge_fd = x->fd;
			huge = umem_huge_size(x->fd);
		}
		if (huge && !umem_trim_huge(&m, huge)) {
			u->left_out += x->len;
			continue;
		}
		u->left_out += x->len - m.len;
		if (huge > *ret_align)
			*ret_align = huge;
		if (u->n_maps && umem_joins(&u->maps[u->n_maps - 1], &m))
			u->maps[u->n_maps - 1].len += m.len;
		else
			u->maps[u->n_maps++] = m;
	}
	return 0;
}

static int umem_by_len(const void *a, const void *b)
{
	const struct umem_map *x = a, *y = b;

	return x->len != y->len ? (x->len < y->len) - (x->len > y->len) :
				  (x->addr > y->addr) - (x->addr < y->addr);
}

static int umem_by_place(const void *a, const void *b)
{
	const struct umem_map *x = a, *y = b;

	if (x->block != y->block)
		return x->block - y->block;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Keep the largest maps, at most @max_maps of them and @room bytes. */
static void umem_limit(struct umem *u, uint32_t max_maps, uint64_t room)
{
	uint64_t sum = 0;
	uint32_t i, n = 0;

	for (i = 0; i < u->n_maps; i++) {
		sum += u->maps[i].len;
		u->maps[i].addr = i; /* makes the sort by length stable */
	}
	if (u->n_maps <= max_maps && sum <= room)
		return;
	qsort(u->maps, u->n_maps, sizeof(*u->maps), umem_by_len);
	for (i = 0; i < u->n_maps; i++) {
		struct umem_map *m = &u->maps[i];
		uint64_t len = m->len < room ? m->len : room;

		if (m->is_huge && len < m->len) /* all or nothing: simple */
			len = 0;
		if (n == max_maps)
			len = 0;
		u->left_out += m->len - len;
		room -= len;
		if (len) {
			u->maps[n] = *m;
			u->maps[n++].len = len;
		}
	}
	u->n_maps = n;
	qsort(u->maps, n, sizeof(*u->maps), umem_by_place);
}

/* Hugepages first, where they are aligned; the lookup table keeps its order. */
static void umem_place(struct umem *u)
{
	uint64_t addr = u->guest_addr;
	uint32_t i;
	int pass;

	for (pass = 1; pass >= 0; pass--)
		for (i = 0; i < u->n_maps; i++) {
			if (u->maps[i].is_huge != (pass == 1))
				continue;
			u->maps[i].addr = addr;
			addr += u->maps[i].len;
		}
	u->len = addr;
}

static int umem_map_one(const struct umem *u, const struct umem_map *m,
			struct xm_error *e)
{
	void *p = mmap(u->base + m->addr, m->len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED | MAP_NORESERVE, m->fd,
		       (off_t)m->file_off);
	int err = errno;
	char what[128];

	if (p != MAP_FAILED)
		return 0;
	umem_describe(u, m->addr, what, sizeof(what));
	return xm_fail(e, -err, XM_REASON_MEMORY,
		       "cannot map %" PRIu64 " bytes of %s: %s%s", m->len, what,
		       strerror(err),
		       err == ENOMEM ? "; raise the sysctl vm.max_map_count" :
		       err == EACCES ? "; the file must be open for writing" :
				       "");
}

/* Reserve addresses and map everything at its place. */
static int umem_build(struct umem *u, uint64_t align, struct xm_error *e)
{
	uint64_t arena = u->guest_addr;
	uintptr_t guest;
	uint32_t i;
	int r;

	u->resv_len = u->len + align;
	u->resv = mmap(NULL, u->resv_len, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (u->resv == MAP_FAILED) {
		u->resv = NULL;
		return xm_fail(e, -errno, XM_REASON_MEMORY,
			       "cannot reserve %zu bytes of addresses: %s",
			       u->resv_len, strerror(errno));
	}
	guest = ALIGN_UP((uintptr_t)u->resv + arena, align);
	u->base = (uint8_t *)(guest - arena);
	if (mmap(u->base, arena, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return xm_fail(e, -errno, XM_REASON_MEMORY,
			       "cannot map %" PRIu64 " bytes of buffers: %s",
			       arena, strerror(errno));
	for (i = 0; i < u->n_maps; i++) {
		r = umem_map_one(u, &u->maps[i], e);
		if (r)
			return r;
	}
	if (madvise(u->base, u->len, MADV_DONTFORK))
		return xm_fail(e, -errno, XM_REASON_MEMORY,
			       "madvise(MADV_DONTFORK) on %" PRIu64
			       " bytes: %s",
			       u->len, strerror(errno));
	return 0;
}

int umem_open(struct umem *ret_umem, const struct xsk_chan_opts *opts,
	      struct xm_error *e)
{
	uint64_t limit = (uint64_t)XSK_CHUNKS_MAX * XSK_CHUNK_LEN, align;
	struct umem u = { 0 };
	int r;

	if (opts->max_locked && opts->max_locked < limit)
		limit = opts->max_locked;
	u.bufs_addr = umem_slots_len(opts);
	u.stages_addr = u.bufs_addr + umem_bufs_len(opts);
	u.rx_addr = u.stages_addr + umem_stages_len(opts);
	u.guest_addr = umem_arena_len(opts);
	if (!u.guest_addr || u.guest_addr > limit)
		return xm_fail(e, -EINVAL, XM_REASON_INTERNAL,
			       "an arena of %" PRIu64
			       " bytes does not fit a limit of %" PRIu64,
			       u.guest_addr, limit);
	u.maps = calloc(opts->n_extents + 1, sizeof(*u.maps));
	if (!u.maps)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "out of memory for %zu extents",
			       opts->n_extents);
	r = umem_take(&u, opts, &align, e);
	if (!r) {
		umem_limit(&u, opts->max_maps ? opts->max_maps : UINT32_MAX,
			   limit - u.guest_addr);
		umem_place(&u);
		r = umem_build(&u, align, e);
	}
	if (r) {
		umem_close(&u);
		return r;
	}
	*ret_umem = u;
	return 0;
}

void umem_close(struct umem *u)
{
	if (u->resv)
		munmap(u->resv, u->resv_len);
	free(u->maps);
	memset(u, 0, sizeof(*u));
}

/* The last map that starts at or before (block, offset), or n_maps. */
static uint32_t umem_search(const struct umem *u, uint8_t block,
			    uint64_t offset)
{
	uint32_t lo = 0, hi = u->n_maps, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (u->maps[mid].block < block ||
		    (u->maps[mid].block == block &&
		     u->maps[mid].offset <= offset))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? lo - 1 : u->n_maps;
}

uint64_t umem_look(struct umem *u, uint8_t block, uint64_t offset, uint32_t len)
{
	const struct umem_map *m;

	/* A channel goes through its memory in order: it is the map behind the
	 * last, or a page behind a hole. */
	if (u->hit + 1 < u->n_maps &&
	    umem_map_has(&u->maps[u->hit + 1], block, offset, len))
		u->hit++;
	else
		u->hit = umem_search(u, block, offset);
	if (u->hit == u->n_maps)
		return UMEM_NONE;
	m = &u->maps[u->hit];
	return umem_map_has(m, block, offset, len) ?
		       m->addr + (offset - m->offset) :
		       UMEM_NONE;
}

const struct umem_map *umem_map_at(const struct umem *u, uint8_t block,
				   uint64_t offset)
{
	uint32_t i = umem_search(u, block, offset);

	return i < u->n_maps && umem_map_has(&u->maps[i], block, offset, 1) ?
		       &u->maps[i] :
		       NULL;
}

void umem_describe(const struct umem *u, uint64_t addr, char *ret, size_t size)
{
	char fd[32], path[64];
	ssize_t len;
	uint32_t i;

	for (i = 0; i < u->n_maps; i++)
		if (addr >= u->maps[i].addr &&
		    addr - u->maps[i].addr < u->maps[i].len)
			break;
	if (i == u->n_maps) {
		snprintf(ret, size, "buffers");
		return;
	}
	snprintf(fd, sizeof(fd), "/proc/self/fd/%d", u->maps[i].fd);
	len = readlink(fd, path, sizeof(path) - 1);
	path[len > 0 ? len : 0] = '\0';
	snprintf(ret, size, "guest memory %s (block %u, offset 0x%" PRIx64 ")",
		 path, u->maps[i].block,
		 u->maps[i].offset + (addr - u->maps[i].addr));
}
