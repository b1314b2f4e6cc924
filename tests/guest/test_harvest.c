// SPDX-License-Identifier: GPL-2.0-or-later
/* While a real QEMU's guest runs: its writes are harvested, a guest with a disk
 * that the kernel reads straight into its memory is stopped for each harvest
 * and runs on, also if the disk was plugged meanwhile, its disk is one QEMU's at
 * a time, and the throttle takes its time away. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "t_move.h"

#define DISK_DIR "/var/tmp" /* not tmpfs, which older kernels refuse */

static char disk[64];

static bool t_make_disk(void)
{
	int fd;

	strcpy(disk, DISK_DIR "/xdpmig-disk-XXXXXX");
	fd = mkstemp(disk);
	if (fd < 0)
		return false;
	if (ftruncate(fd, 4 << 20)) {
		close(fd);
		return false;
	}
	close(fd);
	fd = open(disk, O_RDWR | O_DIRECT);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* -- buffered disks, or none -------------------------------------------------------- */

static void guest_source_harvest__finds_what_the_guest_wrote(void **state)
{
	static const struct t_vm_opts opts = { .pace = 100 };
	struct t_move *m = *state;
	uint64_t pages, first, i, found = 0;

	t_vm_start(&m->a, &opts);
	t_move_open(m);
	T_OK(guest_source_track(m->s, &m->e));
	assert_false(m->s->has_drain);
	t_vm_goes_on(&m->a); /* a whole round */
	T_OK(guest_source_harvest(m->s, m->dirty, &pages, &m->e));
	first = (1 << 20) / 4096;
	for (i = first; i < first + m->a.pages; i++)
		found += m->dirty[0][i / 64] >> i % 64 & 1;
	assert_int_equal(found, m->a.pages);
	assert_true(pages >= found);
	assert_int_equal(t_vm_stops(&m->a), 0);
	assert_true(m->s->drain_ns == 0);
	assert_true(m->s->harvest_ns > 0);
}

static void guest_source_harvest__of_a_paused_guest_finds_nothing(void **state)
{
	static const struct t_vm_opts opts = { .pace = 100 };
	struct t_move *m = *state;
	uint64_t pages;

	t_vm_start(&m->a, &opts);
	t_vm_tell(&m->a, "stop");
	t_move_open(m);
	T_OK(guest_source_track(m->s, &m->e));
	T_OK(guest_source_harvest(m->s, m->dirty, &pages, &m->e));
	assert_int_equal(pages, 0);
	t_vm_rests(&m->a, "paused");
}

/* -- direct I/O --------------------------------------------------------------------- */

static void guest_source_harvest__drains_direct_io(void **state)
{
	const struct t_vm_opts opts = { .pace = 100, .disk = disk };
	struct t_move *m = *state;
	int64_t to_track;
	uint64_t pages;

	t_vm_start(&m->a, &opts);
	t_move_open(m);
	assert_true(m->s->has_drain);
	T_OK(guest_source_track(m->s, &m->e));
	to_track = m->s->drain_ns;
	assert_true(to_track > 0);
	assert_int_equal(t_vm_stops(&m->a), 1);
	t_vm_goes_on(&m->a);
	T_OK(guest_source_harvest(m->s, m->dirty, &pages, &m->e));
	assert_true(pages >= m->a.pages);
	assert_int_equal(t_vm_stops(&m->a), 2);
	t_vm_goes_on(&m->a);
	assert_true(m->s->drain_ns > to_track);
	assert_true(m->s->harvest_ns > 0);
}

static void guest_source_harvest__does_not_start_a_paused_guest(void **state)
{
	const struct t_vm_opts opts = { .pace = 100, .disk = disk };
	struct t_move *m = *state;
	uint64_t pages;

	t_vm_start(&m->a, &opts);
	t_vm_tell(&m->a, "stop");
	t_move_open(m);
	T_OK(guest_source_track(m->s, &m->e));
	T_OK(guest_source_harvest(m->s, m->dirty, &pages, &m->e));
	t_vm_rests(&m->a, "paused");
}

/* Has a QEMU the disk, as who writes it?  Its locks are above byte 100. */
static bool t_disk_is_had(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_start = 100, .l_len = 200 };
	int fd = open(disk, O_RDWR | O_CLOEXEC);

	assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
	close(fd);
	return lock.l_type != F_UNLCK;
}

/* Through QEMU, which aborts if its disk was not activated. */
static void t_write_disk(struct t_vm *vm)
{
	char byte = 0;
	int fd;

	json_decref(t_qemu_run(&vm->q, "human-monitor-command",
			       "{\"command-line\": "
			       "\"qemu-io d \\\"write -P 42 1M 4k\\\"\"}"));
	fd = open(disk, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, &byte, 1, 1 << 20), 1);
	close(fd);
	assert_int_equal(byte, 42);
}

static void guest__with_direct_io_moves(void **state)
{
	struct t_vm_opts opts = { .pace = 100, .disk = disk };
	struct t_move *m = *state;

	t_vm_start(&m->a, &opts);
	opts.is_target = true;
	t_vm_start(&m->b, &opts);
	t_move_to(m, T_COMMIT);
	/* late-block-activate was put back, and has done its work. */
	assert_false(t_disk_is_had());
	t_move_step(m, T_MOVED);
	assert_true(t_disk_is_had());
	t_write_disk(&m->b);
	t_vm_goes_on(&m->b);
	t_vm_rests(&m->a, "postmigrate");
	t_vm_tell(&m->b, "stop");
	t_vm_check(&m->b);
}

/* The target is loaded; the disk is the source's until it is told to run. */
static void guest__with_direct_io_comes_back_when_loaded(void **state)
{
	struct t_vm_opts opts = { .pace = 100, .disk = disk };
	struct t_move *m = *state;

	t_vm_start(&m->a, &opts);
	opts.is_target = true;
	t_vm_start(&m->b, &opts);
	t_move_to(m, T_LOADED);
	T_OK(guest_source_resume(m->s, &m->e));
	t_vm_goes_on(&m->a);
	t_vm_rests(&m->b, "paused");
}

/* The disk is somebody's (QEMU's locks are above byte 100): "cont" is refused. */
static void guest_target_run__refused_it_quits(void **state)
{
	struct flock lock = { .l_type = F_WRLCK, .l_start = 100, .l_len = 200 };
	struct t_vm_opts opts = { .pace = 100, .disk = disk };
	struct t_move *m = *state;
	int fd;

	t_vm_start(&m->a, &opts);
	opts.is_target = true;
	t_vm_start(&m->b, &opts);
	t_move_to(m, T_COMMIT);
	fd = open(disk, O_RDWR | O_CLOEXEC);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	assert_int_equal(guest_target_run(m->t, false, &m->e), -EREMOTEIO);
	assert_non_null(strstr(m->e.msg, "lock"));
	t_vm_has_quit(&m->b);
	close(fd);
	memset(&m->e, 0, sizeof(m->e));
	T_OK(guest_source_resume(m->s, &m->e));
	t_vm_goes_on(&m->a);
}

static _Noreturn void t_harvest_for_ever(struct t_move *m, int said)
{
	uint64_t pages;

	alarm(60);
	t_move_to(m, T_TRACK);
	(void)!write(said, "x", 1);
	for (;;)
		T_OK(guest_source_harvest(m->s, m->dirty, &pages, &m->e));
}

/* Killed anywhere in a harvest: mostly while the guest is stopped. */
static void t_killed_harvesting(struct t_move *m, useconds_t later)
{
	int said[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(said), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(said[0]);
		t_harvest_for_ever(m, said[1]);
	}
	close(said[1]);
	assert_int_equal(read(said[0], &byte, 1), 1);
	close(said[0]);
	usleep(later); /* any moment is as good */
	t_reap(pid);
	T_UNTIL(!strcmp(t_vm_state(&m->a), "running"));
	t_vm_goes_on(&m->a);
}

static void guest__runs_when_we_are_killed_in_a_harvest(void **state)
{
	const struct t_vm_opts opts = { .pace = 100, .disk = disk };
	struct t_move *m = *state;
	useconds_t later;

	t_vm_start(&m->a, &opts);
	for (later = 1000; later < 20000; later += 3700)
		t_killed_harvesting(m, later);
	t_vm_tell(&m->a, "stop");
	t_vm_check(&m->a);
}

/* -- what is plugged meanwhile --------------------------------------------------- */

static void t_run(struct t_move *m, const char *command, const char *args)
{
	json_decref(t_qemu_run(&m->a.q, command, args));
}

/* A disk with cache.direct=on, as device_add has it. */
static void t_plug_disk(struct t_move *m)
{
	char args[256];

	snprintf(args, sizeof(args),
		 "{\"driver\": \"file\", \"node-name\": \"late\", "
		 "\"filename\": \"%s\", \"cache\": {\"direct\": true}}",
		 disk);
	t_run(m, "blockdev-add", args);
	t_run(m, "device_add",
	      "{\"driver\": \"virtio-blk-pci\", \"id\": \"late\", "
	      "\"drive\": \"late\"}");
}

/* Memory shared with others; its master QEMU would migrate. */
static void t_plug_window(struct t_move *m)
{
	t_run(m, "object-add",
	      "{\"qom-type\": \"memory-backend-memfd\", \"id\": \"late\", "
	      "\"size\": 1048576, \"share\": true}");
	t_run(m, "device_add",
	      "{\"driver\": \"ivshmem-plain\", \"id\": \"window\", "
	      "\"memdev\": \"late\", \"master\": \"on\"}");
}

static void t_track_running(struct t_move *m)
{
	static const struct t_vm_opts opts = { .pace = 100 };

	t_vm_start(&m->a, &opts);
	t_move_to(m, T_TRACK);
	assert_false(m->s->has_drain);
	t_vm_goes_on(&m->a);
}

static void t_comes_back(struct t_move *m)
{
	memset(&m->e, 0, sizeof(m->e));
	T_OK(guest_source_resume(m->s, &m->e));
	t_vm_goes_on(&m->a);
}

/* The harvest that finds it is drained already: a read may be under way. */
static void guest_source_harvest__drains_a_disk_plugged_later(void **state)
{
	struct t_move *m = *state;
	uint64_t pages;

	t_track_running(m);
	t_plug_disk(m);
	T_OK(guest_source_harvest(m->s, m->dirty, &pages, &m->e));
	assert_true(pages >= m->a.pages);
	assert_true(m->s->has_drain);
	assert_int_equal(t_vm_stops(&m->a), 1);
	t_vm_goes_on(&m->a);
	T_OK(guest_source_harvest(m->s, m->dirty, &pages, &m->e));
	assert_int_equal(t_vm_stops(&m->a), 2);
	t_comes_back(m);
}

static void guest_source_track__drains_a_disk_plugged_since_open(void **state)
{
	static const struct t_vm_opts opts = { .pace = 100 };
	struct t_move *m = *state;

	t_vm_start(&m->a, &opts);
	t_move_open(m);
	t_plug_disk(m);
	T_OK(guest_source_track(m->s, &m->e));
	assert_true(m->s->has_drain);
	assert_int_equal(t_vm_stops(&m->a), 1);
	t_vm_goes_on(&m->a);
}

/* It cannot be drained any more: QEMU is about to stop the guest by itself. */
static void
guest_source_harvest__refuses_a_disk_plugged_at_the_end(void **state)
{
	struct t_move *m = *state;
	uint64_t pages;

	t_track_running(m);
	T_OK(guest_source_pause(m->s, &m->e));
	/* QEMU plugs no device now, but changes those it has. */
	t_run(m, "blockdev-add",
	      "{\"driver\": \"null-co\", \"node-name\": \"late\", "
	      "\"cache\": {\"direct\": true}}");
	assert_int_equal(guest_source_harvest(m->s, m->dirty, &pages, &m->e),
			 -ESTALE);
	assert_non_null(strstr(m->e.msg, "migrate it again"));
	t_comes_back(m);
}

static void guest_source_harvest__refuses_what_was_plugged_later(void **state)
{
	struct t_move *m = *state;
	uint64_t pages;

	t_track_running(m);
	t_plug_window(m);
	assert_int_equal(guest_source_harvest(m->s, m->dirty, &pages, &m->e),
			 -EOPNOTSUPP);
	assert_non_null(strstr(m->e.msg, "window"));
	t_comes_back(m);
}

static void guest_source_pause__refuses_what_was_plugged_later(void **state)
{
	struct t_move *m = *state;

	t_track_running(m);
	t_plug_window(m);
	assert_int_equal(guest_source_pause(m->s, &m->e), -EOPNOTSUPP);
	assert_non_null(strstr(m->e.msg, "window"));
	t_comes_back(m);
}

static void t_plug_tablet(struct t_move *m)
{
	t_run(m, "device_add",
	      "{\"driver\": \"usb-tablet\", \"id\": \"tablet\"}");
}

/* QEMU says so a moment after it is gone. */
static void t_unplug_tablet(struct t_move *m)
{
	const char *id = NULL;
	json_t *event = NULL;

	t_run(m, "device_del", "{\"id\": \"tablet\"}");
	while (!id || strcmp(id, "tablet")) {
		json_decref(event);
		event = NULL;
		T_UNTIL(!qmp_event(m->a.q.qmp, &event, NULL));
		id = json_string_value(json_object_get(
			json_object_get(event, "data"), "device"));
	}
	json_decref(event);
}

/* One that goes is one that was looked at, or nobody knows what it wrote. */
static void guest_source_turn__refuses_what_came_and_went(void **state)
{
	struct t_move *m = *state;
	unsigned int news;
	uint64_t pages;

	t_track_running(m);
	t_run(m, "device_add", "{\"driver\": \"qemu-xhci\"}");
	t_plug_tablet(m);
	T_OK(guest_source_harvest(m->s, m->dirty, &pages, &m->e));
	t_unplug_tablet(m);
	T_OK(guest_source_turn(m->s, &news, &m->e));
	T_OK(guest_source_harvest(m->s, m->dirty, &pages, &m->e));
	T_OK(guest_source_turn(m->s, &news, &m->e));
	t_plug_tablet(m);
	t_unplug_tablet(m);
	T_OK(guest_source_harvest(m->s, m->dirty, &pages, &m->e));
	assert_int_equal(guest_source_turn(m->s, &news, &m->e), -ESTALE);
	assert_non_null(strstr(m->e.msg, "tablet"));
	t_comes_back(m);
}

static void guest_source_pause__refuses_what_came_and_went(void **state)
{
	struct t_move *m = *state;

	t_track_running(m);
	t_run(m, "device_add", "{\"driver\": \"qemu-xhci\"}");
	t_plug_tablet(m);
	t_unplug_tablet(m);
	assert_int_equal(guest_source_pause(m->s, &m->e), -ESTALE);
	assert_non_null(strstr(m->e.msg, "tablet"));
	t_comes_back(m);
}

/* -- throttle ----------------------------------------------------------------------- */

/* Is one of its threads held, as by a debugger? */
static bool t_is_held(pid_t pid)
{
	char name[64], state = 0;
	bool is_held = false;
	struct dirent *entry;
	DIR *dir;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/task", (int)pid);
	dir = opendir(name);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		snprintf(name, sizeof(name), "/proc/%d/task/%.12s/stat",
			 (int)pid, entry->d_name);
		f = *entry->d_name == '.' ? NULL : fopen(name, "re");
		if (!f)
			continue;
		if (fscanf(f, "%*d (%*[^)]) %c", &state) == 1 && state == 't')
			is_held = true;
		(void)fclose(f);
	}
	closedir(dir);
	return is_held;
}

/* How often of a hundred looks, over a second or more, whose distance does not
 * divide the period. */
static unsigned int t_held(pid_t pid)
{
	unsigned int i, n = 0;

	for (i = 0; i < 100; i++) {
		usleep(7300);
		n += t_is_held(pid);
	}
	return n;
}

static void guest_source_throttle__takes_half_of_its_time(void **state)
{
	static const struct t_vm_opts opts = { .pace = 0 };
	struct t_move *m = *state;
	unsigned int held;

	t_vm_start(&m->a, &opts);
	t_move_open(m);
	assert_int_equal(t_held(m->a.q.pid), 0);
	T_OK(guest_source_throttle(m->s, 50, &m->e));
	held = t_held(m->a.q.pid);
	if (held < 10 || held > 90) /* a busy machine is late, either way */
		fail_msg("held at %u of 100 looks", held);
	t_vm_goes_on(&m->a);
	T_OK(guest_source_throttle(m->s, 0, &m->e));
	assert_int_equal(t_held(m->a.q.pid), 0);
	t_vm_goes_on(&m->a);
}

static void guest_source_pause__ends_the_throttle(void **state)
{
	struct t_vm_opts opts = { .pace = 100 };
	struct t_move *m = *state;

	t_vm_start(&m->a, &opts);
	opts.is_target = true;
	t_vm_start(&m->b, &opts);
	t_move_to(m, T_TRACK);
	T_OK(guest_source_throttle(m->s, 99, &m->e));
	t_move_epoch(m);
	T_OK(guest_source_pause(m->s, &m->e));
	t_move_await(m, GUEST_PAUSED);
	T_OK(guest_source_resume(m->s, &m->e));
	t_vm_goes_on(&m->a);
}

#define CASE(f) \
	cmocka_unit_test_setup_teardown(f, t_move_setup_none, t_move_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(guest_source_harvest__finds_what_the_guest_wrote),
		CASE(guest_source_harvest__of_a_paused_guest_finds_nothing),
		CASE(guest_source_harvest__drains_direct_io),
		CASE(guest_source_harvest__does_not_start_a_paused_guest),
		CASE(guest__with_direct_io_moves),
		CASE(guest__with_direct_io_comes_back_when_loaded),
		CASE(guest_target_run__refused_it_quits),
		CASE(guest__runs_when_we_are_killed_in_a_harvest),
		CASE(guest_source_harvest__drains_a_disk_plugged_later),
		CASE(guest_source_track__drains_a_disk_plugged_since_open),
		CASE(guest_source_harvest__refuses_a_disk_plugged_at_the_end),
		CASE(guest_source_harvest__refuses_what_was_plugged_later),
		CASE(guest_source_pause__refuses_what_was_plugged_later),
		CASE(guest_source_turn__refuses_what_came_and_went),
		CASE(guest_source_pause__refuses_what_came_and_went),
		CASE(guest_source_throttle__takes_half_of_its_time),
		CASE(guest_source_pause__ends_the_throttle),
	};
	int failed;

	if (!t_vm_possible())
		return 0;
	if (!t_make_disk()) {
		if (*disk)
			unlink(disk);
		printf("1..0 # SKIP no O_DIRECT on a file in " DISK_DIR "\n");
		return 0;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(disk);
	return failed;
}
