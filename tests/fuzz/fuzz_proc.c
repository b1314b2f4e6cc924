// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_proc.c - the mappings of another process, whose files' names are its own
 *
 * parses: userspace/guest/procmaps.c
 *
 * An input is the text of a /proc/PID/maps.
 */
#include <errno.h>
#include <string.h>

#include "guest/procmaps.h"

#include "fuzz.h"

static const uint8_t *text;
static size_t text_len;

/* In the place of the file system, by the linker; the other name is the same for
 * who wants large files.  The fuzzer reads files as well. */
FILE *__real_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode);

FILE *__wrap_fopen64(const char *path, const char *mode)
{
	if (strcmp(path, "/proc/7/maps") != 0)
		return __real_fopen64(path, mode);
	FUZZ_CHECK(!strcmp(mode, "re"));
	return fmemopen((void *)(uintptr_t)text, text_len, "r");
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
	return __wrap_fopen64(path, mode);
}

static int each(void *arg, const struct procmap *map)
{
	unsigned int *left = arg;

	FUZZ_CHECK(strlen(map->perms) <= 4 && strlen(map->path) <= text_len);
	FUZZ_CHECK(!strchr(map->path, '\n'));
	return --*left ? 0 : 1;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xm_error e = { 0 };
	unsigned int left = 100;
	int r;

	if (!size)
		return 0; /* fmemopen() has nothing to open */
	text = data;
	text_len = size;
	r = procmaps_each(7, each, &left, &e);
	FUZZ_CHECK(r == 0 || r == 1 || (e.err == r && e.msg[0]));
	return 0;
}
