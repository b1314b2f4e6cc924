/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_mem.h - memory for a UMEM; what fails ends the test */
#ifndef XM_TESTS_T_MEM_H
#define XM_TESTS_T_MEM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static inline void *t_map(int fd, uint64_t len, int prot, int flags)
{
	void *p = mmap(NULL, len, prot, flags, fd, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static inline int t_memfd(uint64_t len, unsigned int flags)
{
	int fd = memfd_create("t_guest", MFD_CLOEXEC | flags);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	return fd;
}

#endif
