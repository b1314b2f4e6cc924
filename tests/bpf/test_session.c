// SPDX-License-Identifier: GPL-2.0-or-later
/* test_session.c - sessions on an attached program, and its pins
 *
 * Sockets have a receive ring and are never bound.  What a killed session
 * leaves is made by a child that is killed.
 */
#include "t_attach.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <endian.h>
#include <linux/capability.h>
#include <linux/if_xdp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int xsk_open(void)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0), ring = 64;

	assert_true(fd >= 0);
	assert_int_equal(
		setsockopt(fd, SOL_XDP, XDP_RX_RING, &ring, sizeof(ring)), 0);
	return fd;
}

static struct xm_steer_slot slot(uint64_t cookie, uint16_t channel)
{
	return (struct xm_steer_slot){
		.cookie = htobe64(cookie),
		.dport = htons((uint16_t)(XM_PORT_DATA + channel)),
		.channel = channel,
	};
}

static void steer_detach__live_only_by_force(void **state)
{
	struct xm_steer_slot sl = slot(1, 0);
	struct xm_error e = { 0 };
	int xsk = xsk_open();
	struct steer s;

	(void)state;
	attach();
	open_v0(&s);
	assert_int_equal(steer_live(&s, 2, &sl, xsk, NULL), 0);
	assert_int_equal(steer_detach("v0", false, &e), -EBUSY);
	says(&e, "2");
	assert_int_not_equal(xdp_id("v0"), 0);
	assert_int_equal(steer_detach("v0", true, NULL), 0);
	assert_int_equal(xdp_id("v0"), 0);
	steer_close(&s);
	close(xsk);
}

/* -- sessions ------------------------------------------------------------------------------- */

static void steer_live__and_unlive(void **state)
{
	struct xm_steer_slot sl = slot(7, 3), got;
	uint32_t q = 1;
	int xsk = xsk_open();
	struct steer s;

	(void)state;
	attach();
	open_v0(&s);
	assert_int_equal(steer_live(&s, q, &sl, xsk, NULL), 0);
	assert_int_equal(bpf_map_lookup_elem(s.slots_fd, &q, &got), 0);
	assert_memory_equal(&got, &sl, sizeof(sl));
	assert_int_equal(s.conf->home[(XM_PORT_DATA + 3) % XM_CHAN_MAX], q);
	assert_int_equal(steer_refresh(&s, NULL), 0);
	assert_int_equal(s.info.live, 1 << 1);
	steer_unlive(&s, q);
	assert_int_equal(bpf_map_lookup_elem(s.slots_fd, &q, &got), 0);
	assert_int_equal(got.dport, 0);
	assert_int_equal(steer_refresh(&s, NULL), 0);
	assert_int_equal(s.info.live, 0);
	steer_unlive(&s, q); /* twice is fine */
	assert_int_equal(steer_live(&s, q, &sl, xsk, NULL), 0);
	steer_close(&s);
	close(xsk);
}

static void steer_live__another_session_is_there(void **state)
{
	struct xm_steer_slot first = slot(1, 0), second = slot(2, 0), got;
	struct xm_error e = { 0 };
	int a = xsk_open(), b = xsk_open();
	struct steer s, t;
	uint32_t q = 0;

	(void)state;
	attach();
	open_v0(&s);
	open_v0(&t);
	assert_int_equal(steer_live(&s, q, &first, a, NULL), 0);
	assert_int_equal(steer_live(&t, q, &second, b, &e), -EBUSY);
	says(&e, "queue 0");
	steer_unlive(&t, q); /* must not end the other's */
	assert_int_equal(bpf_map_lookup_elem(s.slots_fd, &q, &got), 0);
	assert_memory_equal(&got, &first, sizeof(got));
	assert_int_equal(steer_live(&t, 1, &second, b, NULL), 0);
	assert_int_equal(steer_refresh(&s, NULL), 0);
	assert_int_equal(s.info.live, 3);
	steer_close(&s);
	steer_close(&t);
	close(a);
	close(b);
}

/* The socket of @s closes without an unlive; @t takes over; a late unlive of
 * @s must not end the new session. */
static void steer_unlive__after_a_takeover(void **state)
{
	struct xm_steer_slot first = slot(1, 0), second = slot(2, 0), got;
	int a = xsk_open(), b = xsk_open();
	struct steer s, t;
	uint32_t q = 0;

	(void)state;
	attach();
	open_v0(&s);
	open_v0(&t);
	assert_int_equal(steer_live(&s, q, &first, a, NULL), 0);
	close(a);
	assert_int_equal(steer_refresh(&s, NULL), 0);
	assert_int_equal(s.info.live, 0); /* slot set, but no socket */
	assert_int_equal(steer_live(&t, q, &second, b, NULL), 0);
	steer_unlive(&s, q);
	assert_int_equal(bpf_map_lookup_elem(t.slots_fd, &q, &got), 0);
	assert_memory_equal(&got, &second, sizeof(got));
	assert_int_equal(steer_refresh(&t, NULL), 0);
	assert_int_equal(t.info.live, 1);
	steer_close(&s);
	steer_close(&t);
	close(b);
}

static void steer_live__queue_not_served(void **state)
{
	struct xm_steer_slot sl = slot(1, 0);
	struct steer_info info;
	struct xm_error e = { 0 };
	int xsk = xsk_open();
	struct steer s;

	(void)state;
	assert_int_equal(steer_attach(&info, "v0", STEER_AUTO, 1, 2, NULL), 0);
	open_v0(&s);
	assert_int_equal(steer_live(&s, 0, &sl, xsk, &e), -ERANGE);
	says(&e, "queues 1-2");
	assert_int_equal(steer_live(&s, 3, &sl, xsk, NULL), -ERANGE);
	assert_int_equal(steer_live(&s, 64, &sl, xsk, NULL), -ERANGE);
	assert_int_equal(steer_live(&s, 2, &sl, xsk, NULL), 0);
	steer_close(&s);
	close(xsk);
}

/* Makes queues 0 and 1 live and is killed. */
static void session_killed(void)
{
	struct xm_steer_slot a = slot(1, 0), b = slot(2, 1);
	struct steer s;
	int ready[2], status;
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!steer_open(&s, "v0", NULL) &&
		    !steer_live(&s, 0, &a, xsk_open(), NULL) &&
		    !steer_live(&s, 1, &b, xsk_open(), NULL) &&
		    write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	open_v0(&s);
	assert_int_equal(s.info.live, 3);
	steer_close(&s);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void steer_live__after_a_killed_session(void **state)
{
	struct xm_steer_slot sl = slot(9, 0);
	int xsk = xsk_open();
	struct steer s;

	(void)state;
	attach();
	session_killed();
	open_v0(&s);
	assert_int_equal(s.info.live, 0);
	assert_int_equal(steer_live(&s, 0, &sl, xsk, NULL), 0);
	assert_int_equal(steer_refresh(&s, NULL), 0);
	assert_int_equal(s.info.live, 1);
	steer_close(&s);
	close(xsk);
}

static void steer_detach__after_a_killed_session(void **state)
{
	(void)state;
	attach();
	session_killed();
	assert_int_equal(steer_detach("v0", false, NULL), 0);
	assert_int_equal(xdp_id("v0"), 0);
}

/* -- pins ------------------------------------------------------------------------------------ */

static void bpffs_mount(void)
{
	assert_int_equal(mount("bpf", BPFFS, "bpf", 0, "mode=0700"), 0);
}

static int pins_teardown(void **state)
{
	(void)state;
	return umount(BPFFS);
}

/* Files and folders below our folder of pins. */
static unsigned int pins(void)
{
	DIR *d = opendir(BPFFS "/xdpmig");
	struct dirent *e;
	unsigned int n = 0;

	if (!d)
		return 0;
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n + 1;
}

static void steer_attach__pins_and_detach_unpins(void **state)
{
	(void)state;
	bpffs_mount();
	attach();
	assert_int_equal(pins(), 2); /* our folder, and one of the device */
	assert_int_equal(steer_detach("v0", false, NULL), 0);
	assert_int_equal(pins(), 0);
}

/* The device takes the program along, but pins keep it loaded: the next
 * detach in this namespace sweeps them, though it can only say ENODEV. */
static void steer_detach__sweeps_pins_of_gone_devices(void **state)
{
	(void)state;
	bpffs_mount();
	attach();
	sh("ip link del v0");
	assert_int_equal(pins(), 2);
	assert_int_equal(steer_detach("v0", false, NULL), -ENODEV);
	assert_int_equal(pins(), 0);
}

/* Somebody took the program off behind our back. */
static void steer_detach__removes_pins_without_program(void **state)
{
	(void)state;
	bpffs_mount();
	attach();
	sh("ip link set v0 xdp off");
	assert_int_equal(pins(), 2);
	assert_int_equal(steer_detach("v0", false, NULL), 0);
	assert_int_equal(pins(), 0);
	assert_int_equal(steer_detach("v0", false, NULL), -ENOENT);
}

static void steer_attach__replaces_stale_pins(void **state)
{
	struct steer s;

	(void)state;
	bpffs_mount();
	attach();
	sh("ip link set v0 xdp off");
	attach();
	assert_int_equal(pins(), 2);
	open_v0(&s);
	steer_close(&s);
	assert_int_equal(steer_detach("v0", false, NULL), 0);
	assert_int_equal(pins(), 0);
}

/* In a child without CAP_SYS_ADMIN, which looking up ids takes: the outcome of
 * steer_open(), and with 0 also of a session. */
static int open_unprivileged(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct caps[2] = { 0 };
	struct xm_steer_slot sl = slot(1, 0);
	struct steer s;
	int status, r;
	pid_t pid = fork();

	if (!pid) {
		int xsk = xsk_open();

		caps[0].effective = caps[0].permitted = 1u << CAP_NET_ADMIN;
		if (syscall(SYS_capset, &head, caps))
			_exit(255);
		r = steer_open(&s, "v0", NULL);
		if (!r)
			r = steer_live(&s, 0, &sl, xsk, NULL);
		if (!r)
			r = steer_refresh(&s, NULL);
		if (!r && s.info.live != 1)
			r = -EIO;
		_exit(-r);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void steer_open__by_pins(void **state)
{
	(void)state;
	bpffs_mount();
	attach();
	assert_int_equal(open_unprivileged(), 0);
}

static void steer_open__without_pins_or_rights(void **state)
{
	(void)state;
	attach();
	assert_int_equal(open_unprivileged(), -EPERM);
}

/* Pins of a program that is no longer the device's are not believed. */
static void steer_open__stale_pins(void **state)
{
	(void)state;
	bpffs_mount();
	attach();
	sh("ip link set v0 xdp off");
	foreign_attach("v0", 0);
	assert_int_equal(open_unprivileged(), -EPERM);
	assert_int_equal(steer_detach("v0", false, NULL), 0);
}

#define PINS(f) cmocka_unit_test_setup_teardown(f, world_setup, pins_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(steer_detach__live_only_by_force),
		CASE(steer_live__and_unlive),
		CASE(steer_live__another_session_is_there),
		CASE(steer_unlive__after_a_takeover),
		CASE(steer_live__queue_not_served),
		CASE(steer_live__after_a_killed_session),
		CASE(steer_detach__after_a_killed_session),
		PINS(steer_attach__pins_and_detach_unpins),
		PINS(steer_detach__sweeps_pins_of_gone_devices),
		PINS(steer_detach__removes_pins_without_program),
		PINS(steer_attach__replaces_stale_pins),
		PINS(steer_open__by_pins),
		CASE(steer_open__without_pins_or_rights),
		PINS(steer_open__stale_pins),
	};

	return can_run() ? cmocka_run_group_tests_name("session", tests,
						       group_setup, NULL) :
			   0;
}
