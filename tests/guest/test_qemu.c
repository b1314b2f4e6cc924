// SPDX-License-Identifier: GPL-2.0-or-later
/* test_qemu.c - what is found out about real guests */
#include "guest/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "t_qemu.h"

#define MIB   ((uint64_t)1 << 20)
#define MEMFD "-object memory-backend-memfd,share=on,"
#define FILE0 "-object memory-backend-file,share=on,mem-path=@/ram0,"
#define ONE   "-m 32 " MEMFD "id=ram0,size=32M -machine memory-backend=ram0 "

struct t_guest {
	struct t_qemu qemu;
	struct qemu q;
	struct guest_ram ram;
	struct xm_error e;
};

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct t_guest));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	struct t_guest *t = *state;

	guest_ram_close(&t->ram);
	qemu_close(&t->q);
	t_qemu_stop(&t->qemu);
	free(t);
	return 0;
}

static void t_start(struct t_guest *t, const char *args)
{
	t_qemu_start(&t->qemu, -1, args);
}

static void t_open(struct t_guest *t, bool is_target)
{
	if (qemu_open(&t->q, t->qemu.socket, is_target, &t->e))
		fail_msg("%s", t->e.msg);
}

static void t_map(struct t_guest *t, bool is_target)
{
	if (qemu_map_ram(&t->q, &t->ram, is_target, &t->e))
		fail_msg("%s", t->e.msg);
}

/* Write @value at guest-physical @gpa, by QEMU's own eyes at @hva. */
static void t_poke(const struct t_guest *t, uint64_t hva, uint64_t value)
{
	struct iovec here = { &value, sizeof(value) };
	struct iovec there = { (void *)(uintptr_t)hva, sizeof(value) };

	assert_int_equal(process_vm_writev(t->qemu.pid, &here, 1, &there, 1, 0),
			 sizeof(value));
}

/* Every block that was found is really that memory: what is written where
 * QEMU has it is read here. */
static void t_same_memory(struct t_guest *t)
{
	unsigned int i;

	assert_int_equal(t->ram.map.n_blocks, t->q.n_blocks);
	for (i = 0; i < t->q.n_blocks; i++) {
		uint64_t off = t->q.block[i].len - 64, value = 0;

		t_poke(t, t->q.block[i].hva + off, 0x1234560 + i);
		memcpy(&value, t->ram.map.block[i].hva + off, sizeof(value));
		assert_int_equal(value, 0x1234560 + i);
	}
}

/* -- identity --------------------------------------------------------------- */

static void qemu_open__tells_who_it_is(void **state)
{
	static const uint8_t uuid[16] = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc,
					  0xde, 0xf0, 1,    2,    3,    4,
					  5,    6,    7,    8 };
	struct t_guest *t = *state;
	unsigned int major = 0;

	t_start(t, ONE "-machine pc-q35-7.2 -smp 2 -name heart -uuid "
		       "12345678-9ABC-def0-0102-030405060708");
	t_open(t, false);
	assert_memory_equal(t->q.id.uuid, uuid, sizeof(uuid));
	assert_string_equal(t->q.id.name, "heart");
	assert_string_equal(t->q.id.machine, "pc-q35-7.2");
	assert_int_equal(sscanf(t->q.id.version, "%u.", &major), 1);
	assert_true(major >= 7);
	assert_true(t->q.id.has_device);
	assert_int_equal(t->q.id.n_blocks, 1);
	assert_string_equal(t->q.id.block[0].name, "ram0");
	assert_int_equal(t->q.id.block[0].len, 32 * MIB);
	assert_int_equal(t->q.id.block[0].page_size, 4096);
	assert_int_equal(t->q.pid, t->qemu.pid);
	assert_true(t->q.pidfd > 0);
	assert_int_equal(t->q.n_vcpus, 2);
	assert_int_not_equal(t->q.vcpu[0], t->q.vcpu[1]);
	assert_false(t->q.has_direct_io);
}

static void qemu_open__one_thread_for_all_cpus(void **state)
{
	struct t_guest *t = *state;

	t_start(t, ONE "-smp 3 -accel tcg,thread=single");
	t_open(t, false);
	assert_int_equal(t->q.n_vcpus, 1);
}

static void qemu_open__paused(void **state)
{
	struct t_guest *t = *state;
	char now[32];

	t_start(t, ONE "-S");
	t_open(t, false);
	assert_int_equal(qemu_run_state(&t->q, now, sizeof(now), &t->e), 0);
	assert_string_equal(now, "prelaunch");
	json_decref(t_qemu_run(&t->qemu, "cont", NULL));
	t_qemu_wait(&t->qemu, "query-status", "running");
	assert_int_equal(qemu_run_state(&t->q, now, sizeof(now), &t->e), 0);
	assert_string_equal(now, "running");
}

static void qemu_open__a_target_that_waits(void **state)
{
	struct t_guest *t = *state;

	t_start(t, ONE "-incoming defer");
	t_open(t, true);
	t_map(t, true);
	assert_non_null(t->ram.map.block[0].dirtied);
}

/* -- RAM -------------------------------------------------------------------- */

static void qemu_map_ram__memfd(void **state)
{
	struct t_guest *t = *state;

	t_start(t, ONE);
	t_open(t, false);
	t_map(t, false);
	t_same_memory(t);
	assert_true(t->ram.block[0].can_pin);
	assert_null(t->ram.map.block[0].dirtied);
}

static void qemu_map_ram__file(void **state)
{
	struct t_guest *t = *state;

	t_start(t,
		"-m 32 " FILE0 "id=ram0,size=32M -machine memory-backend=ram0");
	t_open(t, false);
	assert_non_null(strstr(t->q.block[0].path, "/ram0"));
	t_map(t, false);
	t_same_memory(t);
}

static void qemu_map_ram__file_without_a_name(void **state)
{
	struct t_guest *t = *state;

	/* QEMU makes a file in a directory, and removes its name. */
	t_start(t, "-m 32 -object memory-backend-file,share=on,mem-path=@,"
		   "id=ram0,size=32M -machine memory-backend=ram0");
	t_open(t, false);
	t_map(t, false);
	t_same_memory(t);
}

static void qemu_map_ram__file_replaced_by_another(void **state)
{
	struct t_guest *t = *state;
	char path[64];
	int fd;

	t_start(t,
		"-m 32 " FILE0 "id=ram0,size=32M -machine memory-backend=ram0");
	snprintf(path, sizeof(path), "%s/ram0", t->qemu.dir);
	assert_int_equal(unlink(path), 0);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	close(fd);
	t_open(t, false);
	t_map(t, false);
	t_same_memory(t);
}

static void qemu_map_ram__numa_of_equal_memfds(void **state)
{
	struct t_guest *t = *state;

	t_start(t, "-m 64 -smp 2 " MEMFD "id=zwei,size=32M " MEMFD
		   "id=eins,size=32M -object memory-backend-ram,id=spare,"
		   "size=1M -numa node,memdev=zwei,cpus=0 "
		   "-numa node,memdev=eins,cpus=1");
	t_open(t, false);
	assert_int_equal(t->q.n_blocks, 2);
	assert_string_equal(t->q.block[0].name, "eins");
	assert_string_equal(t->q.block[1].name, "zwei");
	t_map(t, false);
	t_same_memory(t);
}

static void qemu_map_ram__dimm_plugged_while_it_ran(void **state)
{
	struct t_guest *t = *state;

	t_start(t, "-m 32,slots=2,maxmem=256M " FILE0
		   "id=ram0,size=32M -machine memory-backend=ram0");
	json_decref(t_qemu_run(&t->qemu, "object-add",
			       "{\"qom-type\": \"memory-backend-file\", "
			       "\"id\": \"more\", \"size\": 134217728, "
			       "\"share\": true, \"mem-path\": \"@/more\"}"));
	json_decref(t_qemu_run(&t->qemu, "device_add",
			       "{\"driver\": \"pc-dimm\", \"id\": \"d0\", "
			       "\"memdev\": \"more\"}"));
	t_open(t, false);
	assert_int_equal(t->q.n_blocks, 2);
	assert_string_equal(t->q.block[0].name, "more");
	assert_int_equal(t->q.block[0].len, 128 * MIB);
	t_map(t, false);
	t_same_memory(t);
}

static void qemu_map_ram__names_of_old_machines(void **state)
{
	struct t_guest *t = *state;

	t_start(t, "-machine pc-q35-3.1 -m 32 " MEMFD
		   "id=ram0,size=32M -numa node,memdev=ram0");
	t_open(t, false);
	assert_string_equal(t->q.block[0].name, "ram0");
	t_map(t, false);
	t_same_memory(t);
}

static void qemu_map_ram__target_knows_what_is_populated(void **state)
{
	struct t_guest *t = *state;
	uint64_t last = 32 * MIB / 4096 - 1;

	t_start(t, ONE "-incoming defer");
	t_open(t, true);
	t_poke(t, t->q.block[0].hva + last * 4096, 1);
	t_map(t, true);
	assert_true(t->ram.map.block[0].dirtied[last / 64] >> last % 64 & 1);
	assert_false(t->ram.map.block[0].dirtied[last / 64] >> (last - 1) % 64 &
		     1);
	t->ram.map.block[0].hva[0] = 7; /* it may be written */
}

static void qemu_map_ram__a_second_xdpmig_is_kept_out(void **state)
{
	struct t_guest *t = *state;
	struct guest_ram other = { 0 };

	t_start(t, ONE "-incoming defer");
	t_open(t, true);
	t_map(t, true);
	assert_int_equal(qemu_map_ram(&t->q, &other, true, &t->e), -EBUSY);
	assert_int_equal(other.map.n_blocks, 0);
	/* Who closed it holds it no more. */
	guest_ram_close(&t->ram);
	t->e = (struct xm_error){ 0 };
	t_map(t, true);
}

/* -- disks ------------------------------------------------------------------ */

static void t_disk(struct t_guest *t)
{
	/* Not tmpfs, which has no direct I/O: where the build runs. */
	int fd = open("t_qemu.img", O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	(void)t;
}

static void qemu_open__direct_io(void **state)
{
	struct t_guest *t = *state;

	t_disk(t);
	t_start(t,
		ONE "-drive file=t_qemu.img,format=raw,if=virtio,cache=none");
	(void)unlink("t_qemu.img");
	t_open(t, false);
	assert_true(t->q.has_direct_io);
}

static void qemu_open__buffered_io(void **state)
{
	struct t_guest *t = *state;

	t_disk(t);
	t_start(t, ONE "-drive file=t_qemu.img,format=raw,if=virtio");
	t_open(t, false);
	(void)unlink("t_qemu.img");
	assert_false(t->q.has_direct_io);
}

/* -- the process ------------------------------------------------------------ */

/* The kernel names this test as the one that listens. */
static void qemu_open__a_launcher_made_the_socket(void **state)
{
	struct t_guest *t = *state;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	t_qemu_prepare(&t->qemu);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", t->qemu.socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 1), 0);
	t_qemu_start(&t->qemu, fd, ONE);
	/* QEMU 7.2 calls listen() again, which makes it the one; not all do. */
	assert_int_equal(listen(fd, 1), 0);
	t_open(t, false);
	assert_int_equal(qmp_pid(t->q.qmp), getpid());
	assert_int_equal(t->q.pid, t->qemu.pid);
	close(fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(qemu_open__tells_who_it_is),
		T(qemu_open__one_thread_for_all_cpus),
		T(qemu_open__paused),
		T(qemu_open__a_target_that_waits),
		T(qemu_map_ram__memfd),
		T(qemu_map_ram__file),
		T(qemu_map_ram__file_without_a_name),
		T(qemu_map_ram__file_replaced_by_another),
		T(qemu_map_ram__numa_of_equal_memfds),
		T(qemu_map_ram__dimm_plugged_while_it_ran),
		T(qemu_map_ram__names_of_old_machines),
		T(qemu_map_ram__target_knows_what_is_populated),
		T(qemu_map_ram__a_second_xdpmig_is_kept_out),
		T(qemu_open__direct_io),
		T(qemu_open__buffered_io),
		T(qemu_open__a_launcher_made_the_socket),
	};

	if (!t_qemu_is_there()) {
		puts("1..0 # SKIP no qemu-system-x86_64");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
