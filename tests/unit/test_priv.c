// SPDX-License-Identifier: GPL-2.0-or-later
/* test_priv.c - what is given up is gone
 *
 * For good, so each case is a child that says by its status how it went.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/priv.h"

#define BROKEN 100 /* the child's status when nothing can be told */

static char t_said[4096]; /* what the last child wrote to stderr */

/* Run @fn in a child that was confined as @role: its status. */
static int t_confined(enum priv_role role, uint64_t keep, int (*fn)(void))
{
	size_t len = 0;
	ssize_t n;
	int pair[2], status;
	pid_t pid;

	assert_int_equal(pipe(pair), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(pair[1], STDERR_FILENO);
		if (priv_confine(role, keep, NULL))
			_exit(BROKEN);
		_exit(fn());
	}
	close(pair[1]);
	while ((n = read(pair[0], t_said + len, sizeof(t_said) - 1 - len)) > 0)
		len += (size_t)n;
	t_said[len] = '\0';
	close(pair[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status)); /* refused, not killed */
	return WEXITSTATUS(status);
}

/* What the filter must have done with a call that came back as @r. */
static int refused(long r)
{
	return r == -1 && errno == EPERM ? 0 : 1;
}

static int try_execve(void)
{
	char *argv[] = { (char *)"true", NULL }, *env[] = { NULL };

	return refused(execve("/bin/true", argv, env));
}

static int try_fork(void)
{
	return refused(fork());
}

static int try_packet_socket(void)
{
	return refused(socket(AF_PACKET, SOCK_RAW, 0));
}

static int try_setuid(void)
{
	return refused(syscall(SYS_setuid, 0));
}

static int try_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return refused(p == MAP_FAILED ? -1 : 0);
}

static int try_traceme(void)
{
	return refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int try_poke(void)
{
	return refused(ptrace(PTRACE_POKEDATA, getppid(), NULL, NULL));
}

static int try_limit(void)
{
	const struct rlimit lim = { 0, 0 };

	return refused(setrlimit(RLIMIT_CORE, &lim));
}

static int try_mount(void)
{
	return refused(syscall(SYS_mount, "x", "/", "tmpfs", 0, NULL));
}

static int try_dumpable(void)
{
	return refused(prctl(PR_SET_DUMPABLE, 1));
}

static int try_open(void)
{
	return refused(open("/dev/null", O_RDONLY));
}

static int try_inet(void)
{
	return refused(socket(AF_INET, SOCK_STREAM, 0));
}

static void priv_confine__refuses_and_says_so_once(void **state)
{
	static const struct {
		int (*fn)(void);
		long nr;
	} calls[] = {
		{ try_execve, SYS_execve },
		{ try_fork, SYS_clone },
		{ try_packet_socket, SYS_socket },
		{ try_setuid, SYS_setuid },
		{ try_code, SYS_mmap },
		{ try_traceme, SYS_ptrace },
		{ try_poke, SYS_ptrace },
		{ try_limit, SYS_prlimit64 },
		{ try_mount, SYS_mount },
		{ try_dumpable, SYS_prctl },
	};
	char want[80];
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		snprintf(want, sizeof(want),
			 "xdpmig: sandbox: system call %ld refused",
			 calls[i].nr);
		if (t_confined(PRIV_MIGRATION, 0, calls[i].fn))
			fail_msg("call %ld was not refused", calls[i].nr);
		if (!strstr(t_said, want))
			fail_msg("'%s' is not in '%s'", want, t_said);
	}
}

static int try_twice(void)
{
	return try_mount() || try_mount();
}

static void priv_confine__says_a_call_once(void **state)
{
	(void)state;
	assert_int_equal(t_confined(PRIV_MIGRATION, 0, try_twice), 0);
	assert_non_null(strstr(t_said, "refused"));
	assert_null(strstr(strchr(t_said, '\n') + 1, "refused"));
}

static int try_xdp_socket(void)
{
	return refused(socket(AF_XDP, SOCK_RAW, 0));
}

static void priv_confine__is_silent_about_what_is_only_tried(void **state)
{
	(void)state;
	assert_int_equal(t_confined(PRIV_MIGRATION, 0, try_xdp_socket), 0);
	assert_string_equal(t_said, "");
}

/* The lists of the others are shorter. */
static void priv_confine__guardian_and_keeper_have_less(void **state)
{
	(void)state;
	assert_int_equal(t_confined(PRIV_GUARDIAN, 0, try_inet), 0);
	assert_int_equal(t_confined(PRIV_KEEPER, 0, try_inet), 0);
	assert_int_equal(t_confined(PRIV_KEEPER, 0, try_open), 0);
	assert_int_equal(t_confined(PRIV_KEEPER, 0, try_execve), 0);
	assert_int_equal(t_confined(PRIV_GUARDIAN, 0, try_execve), 0);
}

static void *say(void *arg)
{
	return arg;
}

/* What everything needs: files, memory, threads, other sockets. */
static int work(void)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	void *p = malloc(8 << 20), *said = NULL;
	pthread_t t;

	if (fd < 0 || !p || write(fd, p, 4096) != 4096)
		return 1;
	free(p);
	if (pthread_create(&t, NULL, say, &fd) || pthread_join(t, &said) ||
	    said != &fd)
		return 2;
	return socket(AF_INET6, SOCK_STREAM, 0) < 0 ||
	       socket(AF_NETLINK, SOCK_RAW, 0) < 0;
}

static void priv_confine__leaves_what_is_needed(void **state)
{
	(void)state;
	assert_int_equal(t_confined(PRIV_MIGRATION, 0, work), 0);
	assert_string_equal(t_said, "");
}

/* abort() must end it: a handler for SIGSYS is not one for SIGABRT. */
static void priv_confine__abort_still_ends_it(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		const struct rlimit none = { 0, 0 };

		if (setrlimit(RLIMIT_CORE, &none) ||
		    priv_confine(PRIV_MIGRATION, 0, NULL))
			_exit(BROKEN);
		abort();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* -- capabilities ---------------------------------------------------------------- */

static uint64_t status_set(const char *key)
{
	unsigned long long bits = ~0ull;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			bits = strtoull(line + strlen(key), NULL, 16);
	if (f)
		fclose(f);
	return bits;
}

#define KEPT (PRIV_CAP(CAP_IPC_LOCK) | PRIV_CAP(CAP_SYS_PTRACE))

/* Also the privileged: with all of them there is something to give up. */
static uint64_t had;

static int look_at_sets(void)
{
	if (status_set("CapPrm:") != (KEPT & had) ||
	    status_set("CapEff:") != (KEPT & had))
		return 1;
	if (status_set("CapInh:") || status_set("CapAmb:"))
		return 2;
	if (had & PRIV_CAP(CAP_SETPCAP) && status_set("CapBnd:") & ~KEPT)
		return 3;
	return status_set("NoNewPrivs:") != 1;
}

static void priv_confine__keeps_what_it_is_told_at_most(void **state)
{
	(void)state;
	had = priv_permitted();
	assert_int_equal(t_confined(PRIV_MIGRATION, KEPT, look_at_sets), 0);
}

static int look_at_filter(void)
{
	return status_set("Seccomp:") != 2;
}

static void priv_confine__filters(void **state)
{
	(void)state;
	assert_int_equal(t_confined(PRIV_MIGRATION, 0, look_at_filter), 0);
}

/* -- what is needed --------------------------------------------------------------- */

static void priv_reaches__what_its_user_may(void **state)
{
	char dir[] = "/tmp/xm-priv-XXXXXX", path[64], file[64];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/new", dir);
	snprintf(file, sizeof(file), "%s/old", dir);
	fd = open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_true(priv_reaches(path));
	assert_true(priv_reaches(file));
	/* Not by the mode, whatever capabilities there are. */
	assert_int_equal(chmod(file, 0), 0);
	assert_false(priv_reaches(file));
	assert_int_equal(chmod(dir, 0500), 0);
	assert_false(priv_reaches(path));
	assert_int_equal(chmod(dir, 0700), 0);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void priv_turn_off__and_nothing_is_given_up(void **state)
{
	uint64_t caps = priv_permitted(), nnp = status_set("NoNewPrivs:"),
		 filters = status_set("Seccomp_filters:");
	pid_t pid = fork();
	int status;

	(void)state;
	if (!pid) {
		priv_turn_off();
		if (priv_confine(PRIV_MIGRATION, 0, NULL))
			_exit(BROKEN);
		_exit(priv_permitted() != caps ||
		      status_set("NoNewPrivs:") != nnp ||
		      status_set("Seccomp_filters:") != filters);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	static const struct CMUnitTest filter[] = {
		cmocka_unit_test(priv_confine__refuses_and_says_so_once),
		cmocka_unit_test(priv_confine__says_a_call_once),
		cmocka_unit_test(
			priv_confine__is_silent_about_what_is_only_tried),
		cmocka_unit_test(priv_confine__guardian_and_keeper_have_less),
		cmocka_unit_test(priv_confine__leaves_what_is_needed),
		cmocka_unit_test(priv_confine__abort_still_ends_it),
		cmocka_unit_test(priv_confine__keeps_what_it_is_told_at_most),
		cmocka_unit_test(priv_confine__filters),
		cmocka_unit_test(priv_reaches__what_its_user_may),
		cmocka_unit_test(priv_turn_off__and_nothing_is_given_up),
	};

	if (!priv_has_filter()) {
		puts("1..0 # SKIP sanitizers: this build has no filter");
		return 0;
	}
	return cmocka_run_group_tests(filter, NULL, NULL);
}
