// SPDX-License-Identifier: GPL-2.0-or-later
/* fault.c - SIGBUS in guest memory
 *
 * The handler does system calls, one mostly, and an atomic store: it maps an
 * anonymous page over the one that failed, writable, and remembers the address.
 * The instruction is then run again and succeeds.  Whoever conducts the migration
 * asks guest_fault_check() before saying that an epoch is good.
 *
 * Guest memory is mapped once as a whole, and at a source once more, channel by
 * channel, where it is pinned and read.  Of the latter it is not known here which
 * file is behind an address: then the one is named that has become too short.
 *
 * A SIGBUS anywhere else is somebody's bug: the default action is put back and
 * the instruction raises it again.
 */
#include "fault.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct range {
	_Atomic uintptr_t first, end;
};

/* Read by the handler: blocks, then what channels have mapped. */
static struct range fault_range[XM_BLOCK_MAX + XM_CHAN_MAX];
static _Atomic uintptr_t fault_at;

static void range_set(struct range *r, const void *addr, size_t len)
{
	atomic_store(&r->end, 0); /* empty, while it changes */
	atomic_store(&r->first, (uintptr_t)addr);
	atomic_store(&r->end, (uintptr_t)addr + len);
}

static bool range_has(struct range *r, uintptr_t addr)
{
	return addr >= atomic_load(&r->first) && addr < atomic_load(&r->end);
}

/* Put a page there, of the size that the mapping has.  Where pages are huge a smaller
 * one is refused: with EINVAL, before Linux 6.12 with ENOMEM, which can mean other
 * things.  So a larger one is tried for whatever reason, but not beside @r. */
static bool fault_patch(struct range *r, uintptr_t addr)
{
	static const size_t size[] = { 1 << 12, 1 << 21, 1 << 30 };
	int err = errno; /* of whom we interrupted */
	void *page = MAP_FAILED;
	uintptr_t first;
	unsigned int i;

	for (i = 0; i < sizeof(size) / sizeof(*size); i++) {
		first = addr & ~(uintptr_t)(size[i] - 1);
		if (!range_has(r, first) || !range_has(r, first + size[i] - 1))
			break;
		page = mmap((void *)first, size[i], PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		if (page != MAP_FAILED)
			break;
	}
	errno = err;
	return page != MAP_FAILED;
}

static void fault_handler(int sig, siginfo_t *info, void *context)
{
	uintptr_t addr = (uintptr_t)info->si_addr;
	unsigned int i;

	(void)context;
	for (i = 0; i < XM_BLOCK_MAX + XM_CHAN_MAX; i++) {
		if (!range_has(&fault_range[i], addr))
			continue;
		if (!fault_patch(&fault_range[i], addr))
			break;
		atomic_store(&fault_at, addr);
		return;
	}
	signal(sig, SIG_DFL);
}

int guest_fault_catch(const struct guest_ram *ram, struct xm_error *e)
{
	struct sigaction sa = {
		.sa_sigaction = fault_handler,
		.sa_flags = SA_SIGINFO,
	};
	unsigned int i;

	atomic_store(&fault_at, 0);
	for (i = 0; i < ram->map.n_blocks; i++)
		range_set(&fault_range[i], ram->map.block[i].hva,
			  ram->map.block[i].len);
	for (; i < XM_BLOCK_MAX; i++)
		range_set(&fault_range[i], NULL, 0);
	if (sigaction(SIGBUS, &sa, NULL))
		return xm_fail(e, -errno, XM_REASON_INTERNAL, "SIGBUS: %s",
			       strerror(errno));
	return 0;
}

void guest_fault_watch(unsigned int channel, const void *addr, size_t len)
{
	range_set(&fault_range[XM_BLOCK_MAX + channel], addr, len);
}

/* The first block whose file ends before it does, and where; or n_blocks. */
static unsigned int fault_find_short(const struct guest_ram *ram,
				     uint64_t *ret_offset)
{
	unsigned int i;
	struct stat st;

	for (i = 0; i < ram->map.n_blocks; i++) {
		const struct guest_block *b = &ram->block[i];

		if (fstat(b->fd, &st) ||
		    (uint64_t)st.st_size >= b->file_off + ram->map.block[i].len)
			continue;
		*ret_offset = (uint64_t)st.st_size > b->file_off ?
				      (uint64_t)st.st_size - b->file_off :
				      0;
		break;
	}
	return i;
}

int guest_fault_check(const struct guest_ram *ram, struct xm_error *e)
{
	uintptr_t at = atomic_load(&fault_at);
	uint64_t offset = 0;
	unsigned int i;

	if (!at)
		return 0;
	for (i = 0; i < ram->map.n_blocks; i++)
		if (range_has(&fault_range[i], at))
			break;
	if (i < ram->map.n_blocks)
		offset = at - (uintptr_t)ram->map.block[i].hva;
	else
		i = fault_find_short(ram, &offset);
	if (i == ram->map.n_blocks)
		return xm_fail(
			e, -ENOSPC, XM_REASON_MEMORY,
			"%s: no memory behind a page of the guest's: the "
			"file system is full, or a hole was made",
			ram->block[0].path);
	return xm_fail(e, -ENOSPC, XM_REASON_MEMORY,
		       "%s: no memory behind offset %" PRIu64
		       ": the file system is full, or the file was cut short",
		       ram->block[i].path, offset);
}
