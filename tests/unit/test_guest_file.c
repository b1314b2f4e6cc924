// SPDX-License-Identifier: GPL-2.0-or-later
/* A file as a guest at either end: what it says of itself, what it refuses, and
 * that what is begun is reported one turn later. */
#include "guest/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LEN (3u << 20)

struct t_file {
	char dir[64];
	char from[96], to[96];
	struct guest_ram ram;
	struct guest_source *s;
	struct guest_target *t;
	struct xm_error e;
};

static int t_setup(void **state)
{
	struct t_file *t = calloc(1, sizeof(*t));
	int fd;

	assert_non_null(t);
	strcpy(t->dir, "/dev/shm/xdpmig-guest_file-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->from, sizeof(t->from), "%s/from", t->dir);
	snprintf(t->to, sizeof(t->to), "%s/to", t->dir);
	fd = open(t->from, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, LEN), 0);
	close(fd);
	*state = t;
	return 0;
}

static int t_teardown(void **state)
{
	struct t_file *t = *state;

	guest_ram_close(&t->ram);
	guest_source_close(t->s);
	guest_target_close(t->t);
	unlink(t->from);
	unlink(t->to);
	rmdir(t->dir);
	free(t);
	return 0;
}

static void t_source(struct t_file *t)
{
	assert_int_equal(guest_source_file(&t->s, t->from, "pc.ram", &t->e), 0);
}

static void t_target(struct t_file *t)
{
	assert_int_equal(guest_target_file(&t->t, t->to, &t->e), 0);
}

static void t_want(struct guest_identity *want)
{
	memset(want, 0, sizeof(*want));
	strcpy(want->block[0].name, "pc.ram");
	want->block[0].len = LEN;
	want->n_blocks = 1;
}

/* What a poller would do: wait for a descriptor, then look. */
static unsigned int t_source_news(struct t_file *t)
{
	struct pollfd fds[GUEST_FDS_MAX];
	unsigned int news, n = guest_source_fds(t->s, fds);

	if (poll(fds, n, 0) <= 0)
		return 0;
	assert_int_equal(guest_source_turn(t->s, &news, &t->e), 0);
	return news;
}

static unsigned int t_target_news(struct t_file *t)
{
	struct pollfd fds[GUEST_FDS_MAX];
	unsigned int news, n = guest_target_fds(t->t, fds);

	if (poll(fds, n, 0) <= 0)
		return 0;
	assert_int_equal(guest_target_turn(t->t, &news, &t->e), 0);
	return news;
}

static void guest_source_file__is_one_block_without_devices(void **state)
{
	struct t_file *t = *state;

	t_source(t);
	assert_int_equal(guest_source_map(t->s, &t->ram, &t->e), 0);
	assert_string_equal(t->s->ops->kind, "file");
	assert_false(t->s->is_live);
	assert_false(t->s->id.has_device);
	assert_int_equal(t->s->id.n_blocks, 1);
	assert_string_equal(t->s->id.block[0].name, "pc.ram");
	assert_int_equal(t->s->id.block[0].len, LEN);
	assert_int_equal(t->s->id.block[0].page_size, 4096);
	assert_int_equal(t->ram.map.n_blocks, 1);
}

static void guest_source_file__absent_is_said_when_mapped(void **state)
{
	struct t_file *t = *state;

	unlink(t->from);
	t_source(t);
	assert_int_equal(guest_source_map(t->s, &t->ram, &t->e), -ENOENT);
	assert_non_null(strstr(t->e.msg, t->from));
	assert_int_equal(t->s->id.n_blocks, 0);
}

static void guest_source_file__refuses_a_name_too_long(void **state)
{
	struct t_file *t = *state;
	char name[XM_BLOCK_NAME + 1];

	memset(name, 'n', XM_BLOCK_NAME);
	name[XM_BLOCK_NAME] = 0;
	assert_int_equal(guest_source_file(&t->s, t->from, name, &t->e),
			 -EINVAL);
	assert_null(t->s);
}

static void guest_source_file__pause_comes_at_the_next_turn(void **state)
{
	struct t_file *t = *state;

	t_source(t);
	assert_int_equal(t_source_news(t), 0);
	assert_int_equal(guest_source_pause(t->s, &t->e), 0);
	assert_int_equal(t_source_news(t), GUEST_PAUSED);
	assert_int_equal(t_source_news(t), 0);
}

static void guest_source_file__life_without_device_state(void **state)
{
	struct t_file *t = *state;
	uint64_t bits = 0, pages = 7, *dirty[] = { &bits };
	char byte;

	t_source(t);
	assert_int_equal(guest_source_track(t->s, &t->e), 0);
	assert_int_equal(guest_source_harvest(t->s, dirty, &pages, &t->e), 0);
	assert_int_equal(pages, 0);
	assert_int_equal(guest_source_hand_over(t->s, &t->e), 0);
	assert_int_equal(guest_source_read_device(t->s, &byte, 1, &t->e), 0);
	assert_int_equal(t_source_news(t), GUEST_DEVICE_END);
	assert_int_equal(guest_source_commit(t->s, &t->e), 0);
	guest_source_done(t->s);
	assert_int_equal(guest_source_resume(t->s, &t->e), 0);
}

static void guest_target_file__makes_the_block(void **state)
{
	struct t_file *t = *state;
	struct guest_identity want;

	t_target(t);
	t_want(&want);
	assert_int_equal(guest_target_make(t->t, &want, &t->ram, &t->e), 0);
	assert_int_equal(t->ram.map.block[0].len, LEN);
	assert_string_equal(t->ram.map.block[0].name, "pc.ram");
	assert_non_null(t->ram.map.block[0].dirtied);
}

static void guest_target_file__refuses_two_blocks(void **state)
{
	struct t_file *t = *state;
	struct guest_identity want;

	t_target(t);
	t_want(&want);
	want.n_blocks = 2;
	assert_int_equal(guest_target_make(t->t, &want, &t->ram, &t->e),
			 -EINVAL);
	assert_int_equal(t->e.reason, XM_REASON_REFUSED);
	assert_non_null(strstr(t->e.msg, "2 RAM blocks, --ram takes one"));
	assert_int_equal(access(t->to, F_OK), -1);
}

static void guest_target_file__refuses_a_guest_with_devices(void **state)
{
	struct t_file *t = *state;
	struct guest_identity want;

	t_target(t);
	t_want(&want);
	want.has_device = true;
	assert_int_equal(guest_target_make(t->t, &want, &t->ram, &t->e),
			 -EINVAL);
	assert_int_equal(t->e.reason, XM_REASON_REFUSED);
	assert_int_equal(access(t->to, F_OK), -1);
}

static void guest_target_file__loads_and_runs_at_the_next_turn(void **state)
{
	struct t_file *t = *state;

	t_target(t);
	assert_int_equal(guest_target_begin(t->t, &t->e), 0);
	assert_int_equal(t_target_news(t), 0);
	assert_int_equal(guest_target_end_device(t->t, &t->e), 0);
	assert_int_equal(t_target_news(t), GUEST_LOADED);
	assert_int_equal(guest_target_run(t->t, false, &t->e), 0);
	assert_int_equal(t_target_news(t), GUEST_RUNS);
}

static void guest_target_file__takes_no_device_state(void **state)
{
	struct t_file *t = *state;

	t_target(t);
	assert_int_equal(guest_target_write_device(t->t, "x", 1, &t->e),
			 -EPROTO);
	assert_int_equal(t->e.reason, XM_REASON_PROTOCOL);
}

static void t_lent(struct t_file *t, int fd)
{
	assert_int_equal(guest_target_lent(&t->t, "lent memory", fd, &t->e), 0);
}

static void guest_target_lent__takes_sizes_in_turn_and_keeps_it(void **state)
{
	struct t_file *t = *state;
	struct guest_identity want;
	int fd = memfd_create("t", MFD_CLOEXEC);
	struct stat st;

	assert_true(fd >= 0);
	t_want(&want);
	t_lent(t, fd);
	assert_int_equal(guest_target_make(t->t, &want, &t->ram, &t->e), 0);
	memset(t->ram.map.block[0].hva, 7, XM_PAGE_SIZE);
	guest_ram_discard(&t->ram);
	t->t = guest_target_close(t->t);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, LEN);
	assert_int_equal(st.st_blocks, XM_PAGE_SIZE / 512);

	want.block[0].len = 2 * LEN;
	t_lent(t, fd);
	assert_int_equal(guest_target_make(t->t, &want, &t->ram, &t->e), 0);
	assert_int_equal(t->ram.map.block[0].len, 2 * LEN);
	/* what came before is not taken for a hole */
	assert_true(t->ram.map.block[0].dirtied[0] & 1);
	assert_false(t->ram.map.block[0].dirtied[0] & 2);
	close(fd);
}

static void guest_target_lent__refuses_a_guest_with_devices(void **state)
{
	struct t_file *t = *state;
	struct guest_identity want;
	int fd = memfd_create("t", MFD_CLOEXEC);
	struct stat st;

	t_want(&want);
	want.has_device = true;
	t_lent(t, fd);
	assert_int_equal(guest_target_make(t->t, &want, &t->ram, &t->e),
			 -EINVAL);
	assert_int_equal(t->e.reason, XM_REASON_REFUSED);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 0);
	close(fd);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, t_setup, t_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(guest_source_file__is_one_block_without_devices),
		CASE(guest_source_file__absent_is_said_when_mapped),
		CASE(guest_source_file__refuses_a_name_too_long),
		CASE(guest_source_file__pause_comes_at_the_next_turn),
		CASE(guest_source_file__life_without_device_state),
		CASE(guest_target_file__makes_the_block),
		CASE(guest_target_file__refuses_two_blocks),
		CASE(guest_target_file__refuses_a_guest_with_devices),
		CASE(guest_target_file__loads_and_runs_at_the_next_turn),
		CASE(guest_target_file__takes_no_device_state),
		CASE(guest_target_lent__takes_sizes_in_turn_and_keeps_it),
		CASE(guest_target_lent__refuses_a_guest_with_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
