// SPDX-License-Identifier: GPL-2.0-or-later
/* test_qemu_refused.c - real guests that cannot be moved, and what is said
 *
 * Each must fail before anything is done, with a text that names the object
 * and what to do about it.
 */
#include "guest/qemu.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "t_qemu.h"

#define MEMFD "-object memory-backend-memfd,share=on,"
#define ONE   "-m 32 " MEMFD "id=ram0,size=32M -machine memory-backend=ram0 "

struct t_guest {
	struct t_qemu qemu;
	pid_t helper;
	struct qmp *busy;
};

static int setup(void **state)
{
	struct t_guest *t = calloc(1, sizeof(*t));

	if (!t)
		return -1;
	t_qemu_prepare(&t->qemu);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct t_guest *t = *state;

	qmp_close(t->busy);
	t_qemu_stop(&t->qemu);
	if (t->helper > 0)
		t_reap(t->helper);
	free(t);
	return 0;
}

/* It is refused with @err, and with each of the words of @say (by commas). */
static void t_refused_at(const char *socket, bool is_target, int err,
			 const char *say)
{
	struct xm_error e = { 0 };
	char words[128], *word, *save = NULL;
	struct qemu q;

	assert_int_equal(qemu_open(&q, socket, is_target, &e), err);
	assert_int_equal(e.err, err);
	assert_null(q.qmp);
	assert_int_equal(q.n_blocks, 0);
	snprintf(words, sizeof(words), "%s", say);
	for (word = strtok_r(words, ",", &save); word;
	     word = strtok_r(NULL, ",", &save))
		if (!strstr(e.msg, word))
			fail_msg("'%s' does not say '%s'", e.msg, word);
}

static void t_refused(struct t_guest *t, const char *args, int err,
		      const char *say)
{
	t_qemu_start(&t->qemu, -1, args);
	t_refused_at(t->qemu.socket, false, err, say);
}

/* -- memory ----------------------------------------------------------------- */

static void qemu_open__plain_memory(void **state)
{
	t_refused(*state, "-m 32", -EOPNOTSUPP,
		  "pc.ram,memory-backend-memfd,share=on,memory-backend=ram0");
}

static void qemu_open__anonymous_backend(void **state)
{
	t_refused(*state,
		  "-m 32 -object memory-backend-ram,id=r,size=32M,share=on "
		  "-machine memory-backend=r",
		  -EOPNOTSUPP, "RAM r ,memory-backend-memfd");
}

static void qemu_open__private_file(void **state)
{
	t_refused(
		*state,
		"-m 32 -object memory-backend-file,id=r,size=32M,mem-path=@/r "
		"-machine memory-backend=r",
		-EOPNOTSUPP, "RAM r ,share=on,memory-backend-file");
}

static void qemu_open__private_memfd(void **state)
{
	t_refused(*state,
		  "-m 32 -object memory-backend-memfd,id=r,size=32M,share=off "
		  "-machine memory-backend=r",
		  -EOPNOTSUPP, "RAM r ,share=on,memory-backend-memfd");
}

static void qemu_open__private_dimm(void **state)
{
	t_refused(*state,
		  "-m 32,slots=1,maxmem=256M " MEMFD
		  "id=ram0,size=32M -machine memory-backend=ram0 "
		  "-object memory-backend-ram,id=more,size=128M "
		  "-device pc-dimm,memdev=more",
		  -EOPNOTSUPP, "RAM more ,memory-backend-memfd");
}

static void qemu_open__file_on_a_disk(void **state)
{
	struct t_guest *t = *state;
	char args[4500], dir[4096];

	/* Where the build runs is no tmpfs, or the test says nothing. */
	assert_non_null(getcwd(dir, sizeof(dir)));
	snprintf(args, sizeof(args),
		 "-m 32 -object memory-backend-file,id=r,size=32M,share=on,"
		 "mem-path=%s -machine memory-backend=r",
		 dir);
	if (!strncmp(dir, "/dev/shm", 8))
		return;
	t_refused(t, args, -EOPNOTSUPP, "disk file system,/dev/shm");
}

/* -- devices ---------------------------------------------------------------- */

static void qemu_open__ivshmem(void **state)
{
	t_refused(*state,
		  ONE MEMFD "id=s,size=1M -device "
			    "ivshmem-plain,id=window,memdev=s",
		  -EOPNOTSUPP, "window,ivshmem,device_del");
}

static void t_vhost_user(struct t_guest *t)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/vu", t->qemu.dir);
	t->helper = t_listen(path, t_serve_vhost_user, NULL);
}

static void qemu_open__vhost_user_network(void **state)
{
	t_vhost_user(*state);
	t_refused(*state,
		  ONE "-chardev socket,id=c,path=@/vu -netdev "
		      "vhost-user,id=n,chardev=c -device "
		      "virtio-net-pci,netdev=n",
		  -EOPNOTSUPP, "vhost-user,netdev");
}

static void qemu_open__vhost_user_device(void **state)
{
	t_vhost_user(*state);
	t_refused(*state,
		  ONE "-chardev socket,id=c,path=@/vu -device "
		      "vhost-user-fs-pci,id=share,chardev=c,tag=x",
		  -EOPNOTSUPP, "share,vhost-user-,device_del");
}

/* -- states ----------------------------------------------------------------- */

static void qemu_open__source_that_waits_itself(void **state)
{
	t_refused(*state, ONE "-incoming defer", -EBUSY, "-incoming");
}

static void qemu_open__source_that_is_migrating(void **state)
{
	struct t_guest *t = *state;

	t_qemu_start(&t->qemu, -1, ONE);
	json_decref(
		t_qemu_run(&t->qemu, "migrate-set-capabilities",
			   "{\"capabilities\": [{\"capability\": "
			   "\"pause-before-switchover\", \"state\": true}]}"));
	json_decref(t_qemu_run(&t->qemu, "migrate",
			       "{\"uri\": \"exec:cat >/dev/null\"}"));
	t_qemu_wait(&t->qemu, "query-migrate", "pre-switchover");
	t_refused_at(t->qemu.socket, false, -EBUSY,
		     "pre-switchover,migrate_cancel");
	json_decref(t_qemu_run(&t->qemu, "migrate-continue",
			       "{\"state\": \"pre-switchover\"}"));
	t_qemu_wait(&t->qemu, "query-status", "postmigrate");
	t_refused_at(t->qemu.socket, false, -EBUSY, "migrated away");
}

static void qemu_open__target_that_runs(void **state)
{
	struct t_guest *t = *state;

	t_qemu_start(&t->qemu, -1, ONE);
	t_qemu_wait(&t->qemu, "query-status", "running");
	t_refused_at(t->qemu.socket, true, -EBUSY, "running,-incoming defer");
}

static void qemu_open__target_that_listens_already(void **state)
{
	struct t_guest *t = *state;

	t_qemu_start(&t->qemu, -1, ONE "-incoming tcp:127.0.0.1:0");
	t_refused_at(t->qemu.socket, true, -EBUSY, "-incoming defer");
}

/* -- monitors --------------------------------------------------------------- */

static void qemu_open__monitor_in_use(void **state)
{
	struct t_guest *t = *state;
	struct xm_error e = { 0 };

	t_qemu_start(&t->qemu, -1, ONE);
	assert_int_equal(qmp_open(&t->busy, t->qemu.socket, 10000, &e), 0);
	t_refused_at(t->qemu.socket, false, -ETIMEDOUT,
		     "another client,second -qmp");
}

static void qemu_open__nobody_there(void **state)
{
	struct t_guest *t = *state;

	t_refused_at(t->qemu.socket, false, -ENOENT, "no such socket,-qmp");
}

/* Behind a relay, QEMU is nobody that the kernel or /proc would name. */
static void qemu_open__process_not_to_be_found(void **state)
{
	struct t_guest *t = *state;
	char path[64];

	t_qemu_start(&t->qemu, -1, ONE);
	snprintf(path, sizeof(path), "%s/relay", t->qemu.dir);
	t->helper = t_listen(path, t_serve_relay, t->qemu.socket);
	t_refused_at(path, false, -ESRCH, "RAM,/proc,namespace");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(qemu_open__plain_memory),
		T(qemu_open__anonymous_backend),
		T(qemu_open__private_file),
		T(qemu_open__private_memfd),
		T(qemu_open__private_dimm),
		T(qemu_open__file_on_a_disk),
		T(qemu_open__ivshmem),
		T(qemu_open__vhost_user_network),
		T(qemu_open__vhost_user_device),
		T(qemu_open__source_that_waits_itself),
		T(qemu_open__source_that_is_migrating),
		T(qemu_open__target_that_runs),
		T(qemu_open__target_that_listens_already),
		T(qemu_open__monitor_in_use),
		T(qemu_open__nobody_there),
		T(qemu_open__process_not_to_be_found),
	};

	if (!t_qemu_is_there()) {
		puts("1..0 # SKIP no qemu-system-x86_64");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
