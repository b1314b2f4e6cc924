// SPDX-License-Identifier: GPL-2.0-or-later
/* replay.c - run a fuzz target over its corpus, without a fuzzer
 *
 *   fuzz-frame-replay DIRECTORY|FILE...
 *
 * So what fuzzing found once is tried by every compiler on every change.
 * Each input lies in a heap block of its own size: under the address
 * sanitizer, or valgrind, one byte too far is seen.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static void die(const char *path, const char *what)
{
	(void)fprintf(stderr, "%s: %s\n", path, what);
	exit(1);
}

static void replay_file(const char *path, size_t size)
{
	uint8_t *data = malloc(size ? size : 1);
	FILE *f = fopen(path, "rb");

	if (!data || !f || fread(data, 1, size, f) != size)
		die(path, "cannot be read");
	(void)fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
}

/* Files replayed. */
static unsigned int replay(const char *path)
{
	unsigned int n = 0;
	struct dirent *entry;
	struct stat st;
	char sub[4096];
	DIR *dir;

	if (stat(path, &st))
		die(path, strerror(errno));
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path, (size_t)st.st_size);
		return 1;
	}
	dir = opendir(path);
	if (!dir)
		die(path, strerror(errno));
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(sub, sizeof(sub), "%s/%s", path, entry->d_name);
		n += replay(sub);
	}
	(void)closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	unsigned int n = 0;
	int i;

	LLVMFuzzerInitialize(&argc, &argv);
	for (i = 1; i < argc; i++)
		n += replay(argv[i]);
	(void)printf("%u inputs replayed\n", n);
	return n ? 0 : 1; /* an empty corpus tests nothing */
}
