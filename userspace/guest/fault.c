// SPDX-License-Identifier: GPL-2.0-or-later
/* fault.c - SIGBUS in guest memory
 *
 * The handler does two system calls and an atomic store: it maps an anonymous
 * page over the one that failed, writable, and remembers the address.  The
 * instruction is then run again and succeeds.  Whoever conducts the migration
 * asks guest_fault_check() before saying that an epoch is good.
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

struct range {
	uintptr_t first, end;
	size_t page;
};

/* Written before the handler is installed, read by it. */
static struct range fault_range[XM_BLOCK_MAX];
static unsigned int fault_n;
static _Atomic uintptr_t fault_at;

static void fault_handler(int sig, siginfo_t *info, void *context)
{
	uintptr_t addr = (uintptr_t)info->si_addr;
	unsigned int i;
	void *page;

	(void)context;
	for (i = 0; i < fault_n; i++) {
		const struct range *r = &fault_range[i];

		if (addr < r->first || addr >= r->end)
			continue;
		page = (void *)(addr & ~(uintptr_t)(r->page - 1));
		if (mmap(page, r->page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			 0) == MAP_FAILED)
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

	fault_n = 0;
	atomic_store(&fault_at, 0);
	for (i = 0; i < ram->map.n_blocks; i++)
		fault_range[i] = (struct range){
			(uintptr_t)ram->map.block[i].hva,
			(uintptr_t)ram->map.block[i].hva +
				ram->map.block[i].len,
			ram->block[i].page_size,
		};
	fault_n = ram->map.n_blocks;
	if (sigaction(SIGBUS, &sa, NULL))
		return xm_fail(e, -errno, XM_REASON_INTERNAL, "SIGBUS: %s",
			       strerror(errno));
	return 0;
}

int guest_fault_check(const struct guest_ram *ram, struct xm_error *e)
{
	uintptr_t at = atomic_load(&fault_at);
	unsigned int i;

	if (!at)
		return 0;
	for (i = 0; i < fault_n; i++)
		if (at >= fault_range[i].first && at < fault_range[i].end)
			break;
	return xm_fail(e, -ENOSPC, XM_REASON_MEMORY,
		       "%s: no memory behind offset %" PRIuPTR
		       ": the file system is full, or the file was cut short",
		       i < fault_n ? ram->block[i].path : "guest memory",
		       i < fault_n ? at - fault_range[i].first : at);
}
