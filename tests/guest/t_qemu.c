// SPDX-License-Identifier: GPL-2.0-or-later
#include "t_qemu.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define QEMU "qemu-system-x86_64"

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static void look_again(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

bool t_qemu_is_there(void)
{
	char path[512];
	const char *p = getenv("PATH");

	while (p && *p) {
		size_t len = strcspn(p, ":");

		snprintf(path, sizeof(path), "%.*s/" QEMU, (int)len, p);
		if (!access(path, X_OK))
			return true;
		p += len + (p[len] == ':');
	}
	return false;
}

/* -- starting and ending ------------------------------------------------------ */

void t_qemu_prepare(struct t_qemu *t)
{
	if (t->dir[0])
		return;
	strcpy(t->dir, "/dev/shm/t-qemu-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->socket, sizeof(t->socket), "%s/qmp", t->dir);
}

static char *expand(const struct t_qemu *t, const char *args)
{
	size_t len = strlen(args), n = 0;
	char *out;

	for (const char *p = args; *p; p++)
		len += *p == '@' ? strlen(t->dir) : 0;
	out = calloc(1, len + 1);
	assert_non_null(out);
	for (; *args; args++)
		if (*args == '@')
			n += (size_t)sprintf(out + n, "%s", t->dir);
		else
			out[n++] = *args;
	return out;
}

/* The child: becomes QEMU. */
static void exec_qemu(const struct t_qemu *t, int listener, const char *args)
{
	const char *argv[96] = { QEMU, "-nodefaults", "-display", "none" };
	char mon[128], look[128], log[64];
	char *text, *save = NULL;
	unsigned int n = 4;
	int fd;

	if (!strstr(args, "-accel ")) {
		argv[n++] = "-accel";
		argv[n++] = "tcg,thread=multi";
	}
	if (listener >= 0)
		snprintf(mon, sizeof(mon),
			 "socket,id=m,fd=%d,server=on,wait=off", dup(listener));
	else
		snprintf(mon, sizeof(mon),
			 "socket,id=m,path=%s,server=on,wait=off", t->socket);
	snprintf(look, sizeof(look), "unix:%s/look,server=on,wait=off", t->dir);
	argv[n++] = "-chardev";
	argv[n++] = mon;
	argv[n++] = "-mon";
	argv[n++] = "chardev=m,mode=control";
	argv[n++] = "-qmp";
	argv[n++] = look;
	text = expand(t, args);
	for (text = strtok_r(text, " ", &save); text && n < 95;
	     text = strtok_r(NULL, " ", &save))
		argv[n++] = text;
	snprintf(log, sizeof(log), "%s/log", t->dir);
	fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(QEMU, (char **)(uintptr_t)argv);
	_exit(127);
}

static void fail_with_log(const struct t_qemu *t)
{
	char path[64], text[2048] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/log", t->dir);
	f = fopen(path, "re");
	if (f) {
		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		fclose(f);
	}
	fail_msg(QEMU " does not start: %s", text);
}

void t_qemu_start(struct t_qemu *t, int listener, const char *args)
{
	time_t until = now() + T_SECONDS;
	char look[48];
	struct xm_error e;

	t_qemu_prepare(t);
	t->pid = fork();
	assert_true(t->pid >= 0);
	if (!t->pid)
		exec_qemu(t, listener, args);
	snprintf(look, sizeof(look), "%s/look", t->dir);
	/* The other monitor was made first, so it is there too. */
	for (;;) {
		e = (struct xm_error){ 0 };
		if (!qmp_open(&t->qmp, look, T_SECONDS * 1000, &e))
			return;
		if (waitpid(t->pid, NULL, WNOHANG) == t->pid || now() > until) {
			t->pid = 0;
			fail_with_log(t);
		}
		look_again();
	}
}

static void remove_dir(const char *dir)
{
	char path[320];
	struct dirent *entry;
	DIR *d = opendir(dir);

	while (d && (entry = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (entry->d_name[0] != '.')
			(void)unlink(path);
	}
	if (d)
		closedir(d);
	(void)rmdir(dir);
}

void t_qemu_stop(struct t_qemu *t)
{
	t->qmp = qmp_close(t->qmp);
	if (t->pid > 0)
		t_reap(t->pid);
	if (t->dir[0])
		remove_dir(t->dir);
	memset(t, 0, sizeof(*t));
}

/* -- asking ------------------------------------------------------------------- */

json_t *t_qemu_run(struct t_qemu *t, const char *command, const char *args)
{
	struct xm_error e = { 0 };
	json_t *result = NULL, *a = NULL;
	char *text;

	if (args) {
		text = expand(t, args);
		a = json_loads(text, 0, NULL);
		assert_non_null(a);
		free(text);
	}
	if (qmp_run(t->qmp, command, a, &result, &e))
		fail_msg("%s", e.msg);
	return result;
}

void t_qemu_status(struct t_qemu *t, const char *query, char ret_status[32])
{
	json_t *v = t_qemu_run(t, query, NULL);
	const char *status = json_string_value(json_object_get(v, "status"));

	snprintf(ret_status, 32, "%s", status ? status : "");
	json_decref(v);
}

void t_qemu_wait(struct t_qemu *t, const char *query, const char *status)
{
	time_t until = now() + T_SECONDS;
	char is[32];

	for (;;) {
		t_qemu_status(t, query, is);
		if (!strcmp(is, status))
			return;
		if (now() > until)
			fail_msg("%s: still %s, not %s", query, is, status);
		look_again();
	}
}

/* -- processes at the other end of a socket ----------------------------------- */

pid_t t_listen(const char *path, void (*serve)(int fd, const void *arg),
	       const void *arg)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 4), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* So that the kernel names this process. */
		(void)listen(fd, 4);
		serve(accept4(fd, NULL, NULL, SOCK_CLOEXEC), arg);
		_exit(0);
	}
	close(fd);
	return pid;
}

void t_reap(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void t_serve_vhost_user(int fd, const void *arg)
{
	struct {
		uint32_t request, flags, size;
	} h;
	uint64_t body[64];

	(void)arg;
	while (recv(fd, &h, sizeof(h), MSG_WAITALL) == sizeof(h)) {
		if (h.size > sizeof(body) ||
		    (h.size &&
		     recv(fd, body, h.size, MSG_WAITALL) != (ssize_t)h.size))
			return;
		switch (h.request) {
		case 1: /* GET_FEATURES: VIRTIO_F_VERSION_1, and 15 is there */
			body[0] = UINT64_C(1) << 32 | 1u << 30;
			break;
		case 15: /* GET_PROTOCOL_FEATURES: 17 is there */
			body[0] = 1;
			break;
		case 17: /* GET_QUEUE_NUM */
			body[0] = 8;
			break;
		default:
			continue;
		}
		h.flags = 1 | 4; /* version, reply */
		h.size = sizeof(*body);
		if (send(fd, &h, sizeof(h), MSG_MORE) < 0 ||
		    send(fd, body, sizeof(*body), 0) < 0)
			return;
	}
}

void t_serve_relay(int fd, const void *arg)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int to = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), i;
	struct pollfd p[2] = { { fd, POLLIN, 0 }, { to, POLLIN, 0 } };
	char buf[4096];
	ssize_t n;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", (const char *)arg);
	if (connect(to, (struct sockaddr *)&sun, sizeof(sun)))
		return;
	while (poll(p, 2, -1) > 0)
		for (i = 0; i < 2; i++) {
			if (!p[i].revents)
				continue;
			n = recv(p[i].fd, buf, sizeof(buf), 0);
			if (n <= 0 || send(p[!i].fd, buf, (size_t)n, 0) != n)
				return;
		}
}
