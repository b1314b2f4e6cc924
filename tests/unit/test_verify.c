// SPDX-License-Identifier: GPL-2.0-or-later
/* test_verify.c - two copies of a guest, hashed in threads and compared */
#include "cli/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB      (1ul << 20)
#define CHANNELS 3

/* Two blocks, of 5 and 2 MiB: stripes 0 to 2, and 3. */
static const struct {
	const char *name;
	size_t len;
} block[] = { { "ram0", 5 * MIB }, { "ram1", 2 * MIB } };

struct end {
	struct guest_ram ram;
	struct verify v;
	uint64_t *bits[XM_BLOCK_MAX]; /* todo or populated, as needed */
	uint64_t *more[XM_BLOCK_MAX];
};

struct t_verify {
	char dir[64];
	struct end src, dst;
	struct xm_error e;
};

static const char *path_of(struct t_verify *t, const char *end, unsigned int i)
{
	static char path[100];

	snprintf(path, sizeof(path), "%s/%s%u", t->dir, end, i);
	return path;
}

static void put(const char *path, off_t at, int byte, size_t len)
{
	int fd = open(path, O_RDWR);
	char *buf = malloc(len);

	assert_true(fd >= 0 && buf);
	memset(buf, byte, len);
	assert_int_equal(pwrite(fd, buf, len, at), len);
	free(buf);
	close(fd);
}

static void punch(const char *path, off_t at, off_t len)
{
	int fd = open(path, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(fallocate(fd,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   at, len),
			 0);
	close(fd);
}

static void make_end(struct t_verify *t, struct end *end, const char *name)
{
	unsigned int i;
	int fd;

	for (i = 0; i < 2; i++) {
		fd = open(path_of(t, name, i), O_RDWR | O_CREAT, 0600);
		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, (off_t)block[i].len), 0);
		close(fd);
		put(path_of(t, name, i), 64 << 10, 'a' + (int)i, 256 << 10);
		put(path_of(t, name, i), (off_t)block[i].len - 8192, 'z', 8192);
		assert_int_equal(
			end == &t->src ?
				guest_ram_open(&end->ram, path_of(t, name, i),
					       block[i].name, &t->e) :
				guest_ram_create(&end->ram, path_of(t, name, i),
						 block[i].name, block[i].len,
						 &t->e),
			0);
		end->bits[i] = calloc(block[i].len >> 15, 1);
		end->more[i] = calloc(block[i].len >> 15, 1);
	}
	assert_int_equal(xm_map_shard(&end->ram.map, CHANNELS), 0);
	assert_int_equal(verify_open(&end->v, &end->ram, CHANNELS, -1, &t->e),
			 0);
}

static int setup(void **state)
{
	struct t_verify *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	strcpy(t->dir, "/dev/shm/xm-verify-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	make_end(t, &t->src, "src");
	make_end(t, &t->dst, "dst");
	*state = t;
	return 0;
}

static void close_end(struct t_verify *t, struct end *end, const char *name)
{
	unsigned int i;

	verify_close(&end->v);
	guest_ram_close(&end->ram);
	for (i = 0; i < 2; i++) {
		(void)unlink(path_of(t, name, i));
		free(end->bits[i]);
		free(end->more[i]);
	}
}

static int teardown(void **state)
{
	struct t_verify *t = *state;

	close_end(t, &t->src, "src");
	close_end(t, &t->dst, "dst");
	rmdir(t->dir);
	free(t);
	return 0;
}

static void hash(struct t_verify *t, struct end *end)
{
	struct pollfd fd;
	int r;

	assert_int_equal(verify_fds(&end->v, &fd), 0);
	assert_int_equal(verify_check(&end->v, &t->e), VERIFY_E_BUSY);
	assert_int_equal(verify_begin(&end->v, &t->e), 0);
	do {
		assert_int_equal(verify_fds(&end->v, &fd), 1);
		assert_int_equal(poll(&fd, 1, 20000), 1);
		r = verify_check(&end->v, &t->e);
	} while (r == VERIFY_E_BUSY);
	assert_int_equal(r, 0);
	assert_int_equal(verify_check(&end->v, &t->e), VERIFY_E_BUSY);
}

/* A round; stripes that differ. */
static uint32_t compare(struct t_verify *t)
{
	static struct xm_msg msg;
	uint32_t first;

	hash(t, &t->src);
	assert_false(verify_is_complete(&t->src.v));
	hash(t, &t->dst);
	for (first = 0; verify_put(&t->dst.v, first, &msg);
	     first += msg.hashes.n)
		verify_take(&t->src.v, &msg.hashes);
	assert_int_equal(first, 4);
	assert_true(verify_is_complete(&t->src.v));
	return verify_compare(&t->src.v, t->src.bits, t->src.more);
}

static bool is_set(uint64_t *const *bits, unsigned int i, uint64_t offset)
{
	uint64_t page = offset / XM_PAGE_SIZE;

	return bits[i][page / 64] >> page % 64 & 1;
}

static off_t blocks(struct t_verify *t, const char *end)
{
	struct stat st;
	off_t sum = 0;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(stat(path_of(t, end, i), &st), 0);
		sum += st.st_blocks;
	}
	return sum;
}

static void compare__copies_that_are_the_same(void **state)
{
	struct t_verify *t = *state;

	assert_int_equal(compare(t), 0);
	assert_int_equal(t->src.v.n_pages, 0);
	assert_false(is_set(t->src.bits, 0, 64 << 10));
	assert_int_equal(compare(t), 0); /* and again */
}

/* Files of which nobody read a hole have the blocks they had. */
static void compare__leaves_holes_alone(void **state)
{
	struct t_verify *t = *state;
	off_t src = blocks(t, "src"), dst = blocks(t, "dst");

	(void)compare(t);
	assert_int_equal(blocks(t, "src"), src);
	assert_int_equal(blocks(t, "dst"), dst);
	assert_int_equal(t->src.v.read, src * 512);
	assert_int_equal(t->dst.v.read, dst * 512);
}

static void compare__zeros_are_a_hole(void **state)
{
	struct t_verify *t = *state;

	put(path_of(t, "dst", 0), 3 << 20, 0, 64 << 10);
	assert_int_equal(compare(t), 0);
}

static void compare__a_byte_in_the_last_page_of_a_block(void **state)
{
	struct t_verify *t = *state;
	char buf[300];

	put(path_of(t, "dst", 0), 5 * MIB - 1, 'y', 1);
	assert_int_equal(compare(t), 1);
	assert_int_equal(t->src.v.n_pages, 256); /* its stripe's half */
	assert_true(is_set(t->src.bits, 0, 4 * MIB));
	assert_true(is_set(t->src.bits, 0, 5 * MIB - 1));
	assert_false(is_set(t->src.bits, 0, 4 * MIB - 1));
	assert_false(is_set(t->src.bits, 1, 0));
	assert_string_equal(verify_where(&t->src.v, buf, sizeof(buf)),
			    "ram0 at 0x400000");
}

static void compare__a_hole_of_which_nobody_knew(void **state)
{
	struct t_verify *t = *state;

	punch(path_of(t, "src", 1), 64 << 10, 8192);
	assert_int_equal(compare(t), 1);
	assert_true(is_set(t->src.bits, 1, 64 << 10));
	assert_false(is_set(t->src.more, 1, 64 << 10)); /* a hole, now */
	assert_true(is_set(t->src.more, 1, 72 << 10));
}

static void note_dirtied__what_somebody_wrote_into_a_hole(void **state)
{
	struct t_verify *t = *state;
	struct xm_block *b = &t->dst.ram.map.block[0];
	uint64_t page = 3 * MIB / XM_PAGE_SIZE;

	put(path_of(t, "dst", 0), 3 * MIB + 17, 'q', 1);
	assert_false(b->dirtied[page / 64] >> page % 64 & 1);
	assert_int_equal(compare(t), 1);
	verify_note_dirtied(&t->dst.v, &t->dst.ram.map);
	assert_true(b->dirtied[page / 64] >> page % 64 & 1);
	assert_false(b->dirtied[page / 64] >> (page % 64 + 1) & 1);
}

static void report__counts_both_rounds(void **state)
{
	struct t_verify *t = *state;
	json_t *o = json_object();

	verify_report(&t->src.v, true, o);
	assert_int_equal(json_object_size(o), 0);
	put(path_of(t, "dst", 0), 64 << 10, 'y', 1);
	put(path_of(t, "dst", 1), 64 << 10, 'y', 1);
	assert_int_equal(compare(t), 2);
	put(path_of(t, "dst", 0), 64 << 10, 'a', 1);
	assert_int_equal(compare(t), 1);
	verify_report(&t->src.v, true, o);
#define FIELD(name) json_integer_value(json_object_get(o, name))
	assert_int_equal(FIELD("verify_rounds"), 2);
	assert_int_equal(FIELD("verify_stripes"), 4);
	assert_int_equal(FIELD("verify_stripes_differed"), 2);
	assert_int_equal(FIELD("verify_stripes_repaired"), 1);
	assert_int_equal(FIELD("verify_bytes_hashed"),
			 2 * blocks(t, "src") * 512);
	assert_true(json_real_value(json_object_get(o, "verify_hash_ms")) > 0);
	json_decref(o);
}

/* Whatever it is doing. */
static void close__stops_it(void **state)
{
	struct t_verify *t = *state;

	assert_int_equal(verify_begin(&t->src.v, &t->e), 0);
	verify_close(&t->src.v);
	verify_close(&t->src.v);
}

static void check__what_cannot_be_looked_at(void **state)
{
	struct t_verify *t = *state;
	struct pollfd fd;

	(void)close(t->dst.ram.block[0].fd);
	t->dst.ram.block[0].fd = open(path_of(t, "dst", 0), O_PATH | O_CLOEXEC);
	assert_int_equal(verify_begin(&t->dst.v, &t->e), 0);
	assert_int_equal(verify_fds(&t->dst.v, &fd), 1);
	assert_int_equal(poll(&fd, 1, 20000), 1);
	assert_int_equal(verify_check(&t->dst.v, &t->e), -EBADF);
	assert_non_null(strstr(t->e.msg, "cannot find its holes"));
	assert_false(verify_is_complete(&t->dst.v));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(compare__copies_that_are_the_same),
		T(compare__leaves_holes_alone),
		T(compare__zeros_are_a_hole),
		T(compare__a_byte_in_the_last_page_of_a_block),
		T(compare__a_hole_of_which_nobody_knew),
		T(note_dirtied__what_somebody_wrote_into_a_hole),
		T(report__counts_both_rounds),
		T(close__stops_it),
		T(check__what_cannot_be_looked_at),
	};

	return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
