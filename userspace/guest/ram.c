// SPDX-License-Identifier: GPL-2.0-or-later
/* ram.c - guest RAM as files of shared memory
 *
 * What a file may be, by fstatfs():
 *
 *   file system   source                destination
 *   tmpfs, memfd  part of the UMEM      yes
 *   hugetlbfs     part of the UMEM      yes, pages reserved at once
 *   any other     staged engine only    refused
 *
 * Pages of a disk file cannot be pinned for long (GUP refuses FOLL_LONGTERM on
 * a file that needs dirty tracking), so the source reads them like anybody
 * else, and a destination that wrote them would be timed by the disk.  A
 * pinned page must be writable, even for sending (FOLL_WRITE is
 * unconditional), so shared memory must be open for writing and not sealed.
 *
 * The source maps read-only: a bug here cannot change a guest that may have to
 * go on.  Its UMEM has mappings of its own, made from the descriptor.
 *
 * Nothing here touches a page.  MAP_NORESERVE keeps a sparse guest from being
 * charged in full, but for a destination on hugetlbfs, where the reservation is
 * what turns a later SIGBUS into an error now.  MADV_DONTFORK and DONTDUMP
 * keep guest memory out of children and core dumps.
 *
 * What a running QEMU has open comes as a descriptor and a part of a file
 * (guest_ram_open_fd()).  It is opened a second time through /proc/self/fd, for
 * a lock and a lifetime of its own; nothing of it is ever removed.
 *
 * A file that guest_ram_create() made is removed again by guest_ram_discard(),
 * if the path still leads to it: device and inode are compared.
 */
#include "ram.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extents.h"
#include "ram_file.h"

/* -- opening ---------------------------------------------------------------- */

static int set_path(struct guest_block *b, const char *path, struct xm_error *e)
{
	if (strlen(path) >= sizeof(b->path))
		return xm_fail(e, -ENAMETOOLONG, XM_REASON_MEMORY,
			       "%.40s...: path longer than %zu bytes", path,
			       sizeof(b->path) - 1);
	strcpy(b->path, path);
	return 0;
}

/* Open for writing, or a disk file that cannot be written for reading. */
static int open_source(struct guest_block *b, struct xm_error *e)
{
	const int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int r;

	b->fd = open(b->path, O_RDWR | flags);
	if (b->fd >= 0)
		return ram_file_learn(b, e);
	if (errno != EACCES && errno != EPERM && errno != EROFS)
		return ram_file_errno(e, b->path, "open");
	b->fd = open(b->path, O_RDONLY | flags);
	if (b->fd < 0)
		return ram_file_errno(e, b->path, "open");
	r = ram_file_learn(b, e);
	if (r)
		return r;
	if (b->can_pin)
		return xm_fail(e, -EACCES, XM_REASON_PERMISSION,
			       "%s: no right to write; pinning shared memory "
			       "needs it, also for sending",
			       b->path);
	return 0;
}

/* -- mapping ---------------------------------------------------------------- */

static int map_file(const struct guest_block *b, uint64_t len, int prot,
		    int flags, uint8_t **ret_hva, struct xm_error *e)
{
	void *hva = mmap(NULL, len, prot, MAP_SHARED | flags, b->fd,
			 (off_t)b->file_off);

	if (hva == MAP_FAILED && errno == ENOMEM && b->page_size > XM_PAGE_SIZE)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "%s: not enough free hugepages of %zu KiB for "
			       "%" PRIu64 " MiB; see /proc/sys/vm/nr_hugepages",
			       b->path, b->page_size >> 10, len >> 20);
	if (hva == MAP_FAILED)
		return ram_file_errno(e, b->path, "mmap");
	(void)madvise(hva, len, MADV_DONTFORK); /* only hints, both */
	(void)madvise(hva, len, MADV_DONTDUMP);
	*ret_hva = hva;
	return 0;
}

/* Append the block; the only step that changes @ram. */
static int add_block(struct guest_ram *ram, const struct guest_block *b,
		     const char *name, uint64_t len, uint8_t *hva,
		     struct xm_error *e)
{
	unsigned int i = ram->map.n_blocks;
	int r = xm_map_add(&ram->map, name, len, hva);

	if (r == -EEXIST)
		return xm_fail(e, r, XM_REASON_USAGE,
			       "%s: there is a block called %s already; give "
			       "each block a name of its own",
			       b->path, name);
	if (r == -ENOSPC)
		return xm_fail(e, r, XM_REASON_MEMORY,
			       "%s: more than %d RAM blocks", b->path,
			       XM_BLOCK_MAX);
	if (r)
		return xm_fail(e, r, XM_REASON_USAGE,
			       "%s: a block's name has 1 to %d bytes", b->path,
			       XM_BLOCK_NAME - 1);
	ram->block[i] = *b;
	return 0;
}

/* -- source ----------------------------------------------------------------- */

/* A destination has its file for itself, a source shares it with sources: so
 * no two migrations write one file, and none writes what another reads. */
static int lock_file(const struct guest_block *b, int how, struct xm_error *e)
{
	if (!flock(b->fd, how | LOCK_NB))
		return 0;
	if (errno != EWOULDBLOCK)
		return ram_file_errno(e, b->path, "flock");
	return xm_fail(e, -EBUSY, XM_REASON_MEMORY,
		       "%s: another xdpmig is %s it", b->path,
		       how == LOCK_EX ? "using" : "receiving into");
}

int guest_ram_open(struct guest_ram *ram, const char *path, const char *name,
		   struct xm_error *e)
{
	struct guest_block b = { .fd = -1 };
	uint8_t *hva = NULL;
	struct stat st;
	int r;

	r = set_path(&b, path, e);
	if (r)
		return r;
	if (stat(path, &st))
		return ram_file_errno(e, path, "guest memory");
	r = ram_file_check_type(path, &st, e);
	if (!r)
		r = open_source(&b, e);
	if (!r && b.can_pin)
		r = ram_file_check_seals(&b, e);
	if (!r)
		r = lock_file(&b, LOCK_SH, e);
	if (!r && fstat(b.fd, &st))
		r = ram_file_errno(e, path, "fstat");
	if (!r && (!st.st_size || st.st_size % XM_PAGE_SIZE))
		r = xm_fail(e, -EINVAL, XM_REASON_MEMORY,
			    "%s: has %jd bytes; guest memory is a multiple of "
			    "%d and not empty",
			    path, (intmax_t)st.st_size, XM_PAGE_SIZE);
	if (!r)
		r = map_file(&b, (uint64_t)st.st_size, PROT_READ, MAP_NORESERVE,
			     &hva, e);
	if (!r)
		r = add_block(ram, &b, name, (uint64_t)st.st_size, hva, e);
	if (!r)
		return 0;
	if (hva)
		munmap(hva, (size_t)st.st_size);
	if (b.fd >= 0)
		close(b.fd);
	return r;
}

/* -- destination -------------------------------------------------------------- */

/* Remove the file at @b->path, if it is still the one that is open. */
static void unlink_created(const struct guest_block *b)
{
	struct stat mine, there;

	if (!b->created || fstat(b->fd, &mine) || stat(b->path, &there))
		return;
	if (mine.st_dev == there.st_dev && mine.st_ino == there.st_ino)
		(void)unlink(b->path); /* best effort: nobody can do more */
}

/* Open what is there, or create an empty file. */
static int open_target(struct guest_block *b, struct xm_error *e)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	struct stat st;
	int r;

	if (!stat(b->path, &st)) {
		r = ram_file_check_type(b->path, &st, e);
		if (r)
			return r;
		b->fd = open(b->path, flags);
	} else if (errno == ENOENT) {
		b->fd = open(b->path, flags | O_CREAT | O_EXCL, 0600);
		b->created = b->fd >= 0;
	}
	if (b->fd < 0)
		return ram_file_errno(e, b->path, "guest memory");
	r = ram_file_check_shared(b, e);
	if (r)
		return r;
	r = lock_file(b, LOCK_EX, e);
	return r ? r : ram_file_check_seals(b, e);
}

/* Give a new file its size; an old one must have it. */
static int size_target(const struct guest_block *b, uint64_t len,
		       struct xm_error *e)
{
	struct stat st;

	if (!len || len % b->page_size)
		return xm_fail(e, -EINVAL, XM_REASON_MEMORY,
			       "%s: the guest has %" PRIu64 " bytes, which is "
			       "not a multiple of the pages here (%zu bytes)",
			       b->path, len, b->page_size);
	if (b->created && ftruncate(b->fd, (off_t)len))
		return ram_file_errno(e, b->path, "ftruncate");
	if (fstat(b->fd, &st))
		return ram_file_errno(e, b->path, "fstat");
	if ((uint64_t)st.st_size != len)
		return xm_fail(e, -EINVAL, XM_REASON_MEMORY,
			       "%s: has %jd bytes, the guest %" PRIu64
			       "; make it the same, or remove it and it will "
			       "be created",
			       b->path, (intmax_t)st.st_size, len);
	return 0;
}

static int mark_dirtied(void *arg, uint64_t offset, uint64_t len)
{
	uint64_t page = offset >> XM_PAGE_SHIFT;
	uint64_t end = (offset + len) >> XM_PAGE_SHIFT;
	uint64_t *bits = arg;

	for (; page < end && page % 64; page++)
		bits[page / 64] |= 1ULL << page % 64;
	for (; page + 64 <= end; page += 64)
		bits[page / 64] = ~0ULL;
	for (; page < end; page++)
		bits[page / 64] |= 1ULL << page % 64;
	return 0;
}

/* The part of a file's extents that is in a block. */
struct clip {
	uint64_t first, end; /* of the block, in the file */
	guest_extent_fn *cb;
	void *arg;
};

static int clip_extent(void *arg, uint64_t offset, uint64_t len)
{
	const struct clip *c = arg;
	uint64_t end = offset + len < c->end ? offset + len : c->end;

	if (offset < c->first)
		offset = c->first;
	return offset < end ? c->cb(c->arg, offset - c->first, end - offset) :
			      0;
}

/* The extents of a block; the text for when they cannot be had. */
static int walk(const struct guest_block *b, uint64_t len, guest_extent_fn *cb,
		void *arg, struct xm_error *e)
{
	size_t hugepage = b->page_size > XM_PAGE_SIZE ? b->page_size : 0;
	struct clip clip = { b->file_off, b->file_off + len, cb, arg };
	struct stat st;
	int r;

	if (fstat(b->fd, &st))
		return ram_file_errno(e, b->path, "fstat");
	if (!b->file_off && (uint64_t)st.st_size == len)
		r = guest_extents_walk(b->fd, len, hugepage, cb, arg);
	else
		r = guest_extents_walk(b->fd, (uint64_t)st.st_size, hugepage,
				       clip_extent, &clip);
	if (r < 0 && hugepage)
		return xm_fail(e, r, XM_REASON_MEMORY,
			       "%s: cannot find out which hugepages are "
			       "populated (userfaultfd: %s); allow it, or "
			       "populate all (QEMU: prealloc=on)",
			       b->path, strerror(-r));
	if (r < 0)
		return xm_fail(e, r, XM_REASON_MEMORY,
			       "%s: cannot find its holes: %s", b->path,
			       strerror(-r));
	return r;
}

static int make_dirtied(const struct guest_block *b, uint64_t len,
			uint64_t **ret_bits, struct xm_error *e)
{
	uint64_t n_words = ((len - 1) >> XM_PAGE_SHIFT) / 64 + 1;
	uint64_t *bits = calloc(n_words, sizeof(*bits));
	int r;

	if (!bits)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "%s: no memory for a bitmap of its pages",
			       b->path);
	r = walk(b, len, mark_dirtied, bits, e);
	if (r) {
		free(bits);
		return r;
	}
	*ret_bits = bits;
	return 0;
}

int guest_ram_create(struct guest_ram *ram, const char *path, const char *name,
		     uint64_t len, struct xm_error *e)
{
	struct guest_block b = { .fd = -1 };
	uint64_t *dirtied = NULL;
	uint8_t *hva = NULL;
	int r;

	r = set_path(&b, path, e);
	if (r)
		return r;
	r = open_target(&b, e);
	if (!r)
		r = size_target(&b, len, e);
	if (!r)
		r = map_file(&b, len, PROT_READ | PROT_WRITE,
			     b.page_size > XM_PAGE_SIZE ? 0 : MAP_NORESERVE,
			     &hva, e);
	if (!r)
		r = make_dirtied(&b, len, &dirtied, e);
	if (!r)
		r = add_block(ram, &b, name, len, hva, e);
	if (!r) {
		ram->map.block[ram->map.n_blocks - 1].dirtied = dirtied;
		return 0;
	}
	free(dirtied);
	if (hva)
		munmap(hva, len);
	if (b.fd >= 0) {
		unlink_created(&b);
		close(b.fd);
	}
	return r;
}

/* -- lent ------------------------------------------------------------------- */

/* A descriptor of our own for @lent: flock() belongs to whoever opened. */
static int open_lent(struct guest_block *b, const struct guest_lent *lent,
		     struct xm_error *e)
{
	char self[40];
	int r;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", lent->fd);
	b->fd = open(self, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (b->fd < 0)
		return ram_file_errno(e, b->path, "open");
	r = ram_file_learn(b, e);
	if (r)
		return r;
	if (!b->can_pin)
		return xm_fail(e, -EOPNOTSUPP, XM_REASON_MEMORY,
			       "%s: is on a disk file system, where writes "
			       "cannot be logged; use shared memory (tmpfs "
			       "such as /dev/shm, memfd, hugetlbfs)",
			       b->path);
	r = ram_file_check_seals(b, e);
	return r ? r : lock_file(b, lent->for_writing ? LOCK_EX : LOCK_SH, e);
}

static int check_part(const struct guest_block *b,
		      const struct guest_lent *lent, struct xm_error *e)
{
	struct stat st;

	if (fstat(b->fd, &st))
		return ram_file_errno(e, b->path, "fstat");
	if (!lent->len || (lent->len | lent->file_off) % b->page_size ||
	    lent->file_off > (uint64_t)st.st_size ||
	    lent->len > (uint64_t)st.st_size - lent->file_off)
		return xm_fail(e, -EINVAL, XM_REASON_MEMORY,
			       "%s: %" PRIu64 " bytes at offset %" PRIu64
			       " are not whole pages of its %jd bytes",
			       b->path, lent->len, lent->file_off,
			       (intmax_t)st.st_size);
	return 0;
}

int guest_ram_open_fd(struct guest_ram *ram, const struct guest_lent *lent,
		      struct xm_error *e)
{
	struct guest_block b = { .fd = -1,
				 .lent = true,
				 .file_off = lent->file_off };
	bool w = lent->for_writing;
	uint64_t *dirtied = NULL;
	uint8_t *hva = NULL;
	int r;

	r = set_path(&b, lent->label, e);
	if (!r)
		r = open_lent(&b, lent, e);
	if (!r)
		r = check_part(&b, lent, e);
	if (!r)
		r = map_file(
			&b, lent->len, w ? PROT_READ | PROT_WRITE : PROT_READ,
			w && b.page_size > XM_PAGE_SIZE ? 0 : MAP_NORESERVE,
			&hva, e);
	if (!r && w)
		r = make_dirtied(&b, lent->len, &dirtied, e);
	if (!r)
		r = add_block(ram, &b, lent->name, lent->len, hva, e);
	if (!r) {
		ram->map.block[ram->map.n_blocks - 1].dirtied = dirtied;
		return 0;
	}
	free(dirtied);
	if (hva)
		munmap(hva, lent->len);
	if (b.fd >= 0)
		close(b.fd);
	return r;
}

/* -- both ------------------------------------------------------------------- */

int guest_ram_check(const struct guest_ram *ram, struct xm_error *e)
{
	struct stat here, there;
	unsigned int i;

	for (i = 0; i < ram->map.n_blocks; i++) {
		const struct guest_block *b = &ram->block[i];

		if (b->lent)
			continue;
		if (fstat(b->fd, &here))
			return ram_file_errno(e, b->path, "fstat");
		if (stat(b->path, &there) || here.st_dev != there.st_dev ||
		    here.st_ino != there.st_ino)
			return xm_fail(e, -ENOENT, XM_REASON_MEMORY,
				       "%s: was removed or replaced while it "
				       "was received into",
				       b->path);
	}
	return 0;
}

void guest_ram_close(struct guest_ram *ram)
{
	struct xm_block *block;
	unsigned int i;

	for (i = 0; i < ram->map.n_blocks; i++) {
		block = &ram->map.block[i];
		munmap(block->hva, block->len);
		free(block->dirtied);
		close(ram->block[i].fd);
	}
	memset(ram, 0, sizeof(*ram));
}

void guest_ram_unlink(const struct guest_ram *ram)
{
	unsigned int i;

	for (i = 0; i < ram->map.n_blocks; i++)
		unlink_created(&ram->block[i]);
}

void guest_ram_discard(struct guest_ram *ram)
{
	guest_ram_unlink(ram);
	guest_ram_close(ram);
}

int guest_ram_extents(const struct guest_ram *ram, unsigned int block,
		      int (*cb)(void *arg, uint64_t offset, uint64_t len),
		      void *arg, struct xm_error *e)
{
	if (block >= ram->map.n_blocks)
		return xm_fail(e, -EINVAL, XM_REASON_INTERNAL,
			       "no RAM block number %u", block);
	return walk(&ram->block[block], ram->map.block[block].len, cb, arg, e);
}

int guest_ram_mark(const struct guest_ram *ram, unsigned int block,
		   uint64_t *bits, struct xm_error *e)
{
	return guest_ram_extents(ram, block, mark_dirtied, bits, e);
}
