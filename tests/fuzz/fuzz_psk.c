// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_psk.c - key files
 *
 * parses: userspace/ctl/psk.c
 */
#include <string.h>

#include "ctl/psk.h"
#include "ctl/secret.h"

#include "fuzz.h"

static const uint8_t *text;
static size_t text_len;

/* In the place of the file, by the linker. */
ssize_t __wrap_secret_read(const char *path, void *buf, size_t max,
			   mode_t forbidden, struct xm_error *e);

ssize_t __wrap_secret_read(const char *path, void *buf, size_t max,
			   mode_t forbidden, struct xm_error *e)
{
	(void)path;
	(void)forbidden;
	(void)e;
	FUZZ_CHECK(text_len < max);
	memcpy(buf, text, text_len);
	return (ssize_t)text_len;
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
	struct psk psk;
	int r;

	if (size >= 4096)
		return 0;
	text = data;
	text_len = size;
	r = psk_load(&psk, "file", &e);
	FUZZ_CHECK(r ? e.err == r && e.msg[0] : !e.err);
	FUZZ_CHECK(memchr(psk.name, '\0', sizeof(psk.name)));
	if (r)
		return 0;
	FUZZ_CHECK(psk.name[0] && psk.id_len <= sizeof(psk.id));
	FUZZ_CHECK(!memcmp(psk.id + 2, psk.name, strlen(psk.name)));
	return 0;
}
