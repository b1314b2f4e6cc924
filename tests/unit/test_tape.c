// SPDX-License-Identifier: GPL-2.0-or-later
/* test_tape.c - frames kept for later are the frames that were put there */
#include "../lib/tape.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define N 3000 /* more than the first room */

struct t_tape {
	struct tape tape;
	char path[32];
};

static int setup(void **state)
{
	struct t_tape *t = calloc(1, sizeof(*t));
	int fd;

	if (!t)
		return -1;
	strcpy(t->path, "/tmp/xm-tape-XXXXXX");
	fd = mkstemp(t->path);
	*state = t;
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	struct t_tape *t = *state;

	tape_fini(&t->tape);
	unlink(t->path);
	free(t);
	return 0;
}

/* Frame @i; its length differs from its neighbours'. */
static uint32_t frame_make(uint8_t data[300], uint32_t i)
{
	memset(data, (int)(i * 7), 300);
	memcpy(data, &i, sizeof(i));
	return 4 + i % 296;
}

static void expect_all(const struct tape *t)
{
	uint8_t data[300];
	uint32_t i;

	assert_int_equal(t->n, N);
	assert_int_equal(t->next, 0);
	for (i = 0; i < N; i++) {
		assert_int_equal(t->frame[i].len, frame_make(data, i));
		assert_memory_equal(t->frame[i].data, data, t->frame[i].len);
	}
}

static void tape_add__many(void **state)
{
	struct t_tape *t = *state;
	uint8_t data[300];
	uint32_t i, len;

	for (i = 0; i < N; i++) {
		len = frame_make(data, i);
		assert_int_equal(tape_add(&t->tape, data, len), 0);
	}
	expect_all(&t->tape);
}

static void tape_load__what_was_put(void **state)
{
	struct t_tape *t = *state;
	FILE *f = tape_file(t->path);
	uint8_t data[300];
	uint32_t i, len;

	assert_non_null(f);
	for (i = 0; i < N; i++) {
		len = frame_make(data, i);
		tape_put(f, 1234567890123456789 + i, data, len);
	}
	assert_int_equal(fclose(f), 0);
	assert_int_equal(tape_load(&t->tape, t->path), 0);
	expect_all(&t->tape);
}

static void tape_load__no_such_file(void **state)
{
	struct t_tape *t = *state;

	unlink(t->path);
	assert_int_equal(tape_load(&t->tape, t->path), -ENOENT);
}

static void tape_load__not_a_tape(void **state)
{
	struct t_tape *t = *state;
	FILE *f = fopen(t->path, "w");

	assert_non_null(f);
	fputs("any text that is longer than the header of a file", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(tape_load(&t->tape, t->path), -EINVAL);
}

static void tape_load__cut_off(void **state)
{
	struct t_tape *t = *state;
	FILE *f = tape_file(t->path);
	uint8_t data[300];
	long end;

	assert_non_null(f);
	tape_put(f, 0, data, frame_make(data, 1));
	tape_put(f, 0, data, frame_make(data, 200));
	end = ftell(f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(truncate(t->path, end - 1), 0);
	assert_int_equal(tape_load(&t->tape, t->path), -EINVAL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(tape_add__many),          T(tape_load__what_was_put),
		T(tape_load__no_such_file), T(tape_load__not_a_tape),
		T(tape_load__cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
