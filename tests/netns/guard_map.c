// SPDX-License-Identifier: GPL-2.0-or-later
/* guard_map.c - LD_PRELOAD: memory that is shared and written has nothing beside it
 *
 * Guest memory is what a process maps shared and writable from a file, and chooses no
 * address for.  It is put in the middle of GUARD bytes on either side that nobody can
 * touch: a write that misses it, by a length or an offset too much, ends the
 * process.  The guards stay when the memory is unmapped.  (xdpmig is built with 64-bit
 * file offsets, so this is its mmap.)
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define GUARD ((size_t)1 << 30)

static void *guarded(size_t len, int prot, int flags, int fd, off_t offset)
{
	uint8_t *p = mmap64(NULL, len + 2 * GUARD, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return p;
	return mmap64(p + GUARD, len, prot, flags | MAP_FIXED, fd, offset);
}

void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	static void *(*real)(void *, size_t, int, int, int, off_t);
	struct stat st;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "mmap64");
	if (!addr && flags & MAP_SHARED && prot & PROT_WRITE && fd >= 0 &&
	    !fstat(fd, &st) && S_ISREG(st.st_mode))
		return guarded(len, prot, flags, fd, offset);
	return real(addr, len, prot, flags, fd, offset);
}
