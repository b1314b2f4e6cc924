// SPDX-License-Identifier: GPL-2.0-or-later
/* test_dispatcher.c - beside other XDP programs, in libxdp's dispatcher
 *
 * Runs where the kernel permits freplace, as Debian's do; elsewhere the whole
 * program is skipped.  Somebody else's program is tests/bpf/pass.bpf.c.  Pins
 * that are hidden from who detaches are a matter of tests/netns/steer.sh, since
 * libxdp looks for its folder once in a process.
 */
#include "t_attach.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <xdp/libxdp.h>

#define DISPATCHED BPFFS "/xdp"

/* libxdp makes its folder once in a process, here before the first mount. */
static int dispatcher_setup(void **state)
{
	if (mount("bpf", BPFFS, "bpf", 0, "mode=0700") ||
	    mkdir(DISPATCHED, 0700))
		return -1;
	return world_setup(state);
}

static int dispatcher_teardown(void **state)
{
	(void)state;
	return umount(BPFFS);
}

/* By libxdp, as another tool would. */
static uint32_t their_attach(bool frags)
{
	struct xdp_program *prog =
		xdp_program__open_file(T_PASS_BPF, "xdp.frags", NULL);
	uint32_t id;

	assert_int_equal(libxdp_get_error(prog), 0);
	if (frags)
		assert_int_equal(xdp_program__set_xdp_frags_support(prog, true),
				 0);
	assert_int_equal(xdp_program__attach(prog, (int)if_nametoindex("v0"),
					     XDP_MODE_NATIVE, 0),
			 0);
	id = xdp_program__id(prog);
	xdp_program__close(prog);
	return id;
}

/* Programs in the dispatcher on v0, the number of those called @name. */
static unsigned int dispatched(const char *name, unsigned int *ret_all)
{
	struct xdp_multiprog *mp =
		xdp_multiprog__get_from_ifindex((int)if_nametoindex("v0"));
	struct xdp_program *prog = NULL;
	unsigned int n = 0;

	*ret_all = 0;
	if (libxdp_get_error(mp))
		return 0;
	while ((prog = xdp_multiprog__next_prog(prog, mp))) {
		++*ret_all;
		n += !strcmp(xdp_program__name(prog), name);
	}
	xdp_multiprog__close(mp);
	return n;
}

static void steer_attach__makes_a_dispatcher(void **state)
{
	struct steer_info info;
	unsigned int all;

	(void)state;
	assert_int_equal(steer_attach(&info, "v0", STEER_AUTO, 0, 0, NULL), 0);
	assert_true(info.has_dispatcher);
	assert_true(info.has_frags);
	assert_int_not_equal(info.prog_id, xdp_id("v0"));
	assert_int_equal(dispatched("xm_steer", &all), 1);
	assert_int_equal(all, 1);
	assert_int_equal(steer_attach(&info, "v0", STEER_AUTO, 0, 0, NULL),
			 -EEXIST);
	assert_int_equal(steer_detach("v0", false, NULL), 0);
	assert_int_equal(xdp_id("v0"), 0);
	assert_int_equal(rmdir(DISPATCHED), 0); /* empty */
}

static void steer_attach__joins_theirs(void **state)
{
	struct steer_info info;
	unsigned int all;

	(void)state;
	their_attach(true);
	assert_int_equal(steer_attach(&info, "v0", STEER_AUTO, 0, 0, NULL), 0);
	assert_true(info.has_dispatcher);
	assert_true(info.has_frags);
	assert_int_equal(dispatched("their_pass", &all), 1);
	assert_int_equal(all, 2);
	assert_int_equal(steer_detach("v0", false, NULL), 0);
	assert_int_equal(dispatched("their_pass", &all), 1);
	assert_int_equal(all, 1);
	assert_int_equal(steer_detach("v0", false, NULL), -ENOENT);
}

static void steer_attach__theirs_joins(void **state)
{
	struct steer_info info;
	unsigned int all;
	struct steer s;

	(void)state;
	assert_int_equal(steer_attach(&info, "v0", STEER_AUTO, 1, 2, NULL), 0);
	their_attach(true);
	assert_int_equal(dispatched("xm_steer", &all), 1);
	assert_int_equal(all, 2);
	open_v0(&s); /* in a new dispatcher, with the same maps */
	assert_int_equal(s.info.prog_id, info.prog_id);
	assert_int_equal(s.info.first_queue, 1);
	assert_true(s.info.has_frags);
	steer_close(&s);
	assert_int_equal(steer_detach("v0", false, NULL), 0);
	assert_int_equal(dispatched("their_pass", &all), 1);
	assert_int_equal(all, 1);
}

static void steer_attach__theirs_lacks_frags(void **state)
{
	struct steer_info info;
	struct xm_error e = { 0 };
	unsigned int all;

	(void)state;
	sh("ip link set v0 mtu 1500; ip link set v1 mtu 1500");
	their_attach(false);
	assert_int_equal(steer_attach(&info, "v0", STEER_AUTO, 0, 0, &e),
			 -EOPNOTSUPP);
	says(&e, "larger than a page");
	assert_int_equal(dispatched("their_pass", &all), 1);
	assert_int_equal(all, 1);
}

/* It came after us: reported, since a session must know. */
static void steer_open__theirs_lacks_frags(void **state)
{
	struct steer_info info;
	struct steer s;

	(void)state;
	sh("ip link set v0 mtu 1500; ip link set v1 mtu 1500");
	assert_int_equal(steer_attach(&info, "v0", STEER_AUTO, 0, 0, NULL), 0);
	their_attach(false);
	open_v0(&s);
	assert_false(s.info.has_frags);
	steer_close(&s);
}

/* Its pins and those of libxdp, which would keep all of it loaded. */
static void steer_detach__sweeps_pins_of_gone_devices(void **state)
{
	struct steer_info info;

	(void)state;
	their_attach(true);
	assert_int_equal(steer_attach(&info, "v0", STEER_AUTO, 0, 0, NULL), 0);
	sh("ip link del v0");
	assert_int_equal(steer_detach("v0", false, NULL), -ENODEV);
	assert_int_not_equal(access(BPFFS "/xdpmig", F_OK), 0);
	assert_int_equal(rmdir(DISPATCHED), 0); /* empty */
}

/* The kernel's opinion of freplace, by a first attach in a child, since libxdp
 * remembers. */
static bool has_freplace(void)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		struct steer_info info = { 0 };
		void *state = NULL;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (group_setup(&state) || dispatcher_setup(&state) ||
		    steer_attach(&info, "v0", STEER_AUTO, 0, 0, NULL))
			_exit(2);
		_exit(info.has_dispatcher);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 1;
}

static int silent(enum libxdp_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

static int silent_too(enum libbpf_print_level level, const char *fmt,
		      va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

#define JOIN(f)                                              \
	cmocka_unit_test_setup_teardown(f, dispatcher_setup, \
					dispatcher_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOIN(steer_attach__makes_a_dispatcher),
		JOIN(steer_attach__joins_theirs),
		JOIN(steer_attach__theirs_joins),
		JOIN(steer_attach__theirs_lacks_frags),
		JOIN(steer_open__theirs_lacks_frags),
		JOIN(steer_detach__sweeps_pins_of_gone_devices),
	};

	if (!can_run())
		return 0;
	if (!has_freplace()) {
		puts("1..0 # SKIP this kernel refuses freplace programs");
		return 0;
	}
	libxdp_set_print(silent);
	libbpf_set_print(silent_too);
	return cmocka_run_group_tests_name("dispatcher", tests, group_setup,
					   NULL);
}
