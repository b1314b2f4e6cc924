/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz.h - what a fuzz target is
 *
 * A target checks by FUZZ_CHECK() what must hold for every input; the
 * sanitizers see the rest.  The same source is linked with libFuzzer
 * (-Dfuzz=true, clang), which looks for new inputs, and with replay.c, which
 * runs the corpus as an ordinary test.
 */
#ifndef XM_TESTS_FUZZ_H
#define XM_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_CHECK(what)                                               \
	do {                                                           \
		if (!(what)) {                                         \
			(void)fprintf(stderr, "%s:%d: %s\n", __FILE__, \
				      __LINE__, #what);                \
			abort();                                       \
		}                                                      \
	} while (0)

/* libFuzzer's names. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
