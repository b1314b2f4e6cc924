// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_qmp.c - whatever may answer at a monitor's socket
 *
 * parses: userspace/guest/qmp.c
 *
 * Byte 0 of an input, bit 0: an adopted connection instead of an opened one.
 * The rest is what QEMU says; in it
 *
 *   0x01   the id of the command under way, which no fuzzer would find out
 *   0x02   a pause: what follows is there when the next command is given
 *
 * For each pause a command is given, and all events are taken after it.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/qmp.h"
#include "guest/qmp_priv.h"

#include "fuzz.h"

enum { ADOPT = 1 };
enum { ID = 1, PAUSE = 2 };
#define SAYS_MAX 65536 /* bytes that a socket takes without a reader */

static int ours, theirs;        /* ends of the connection */
static unsigned int n_commands; /* as qmp.c counts them */

/* In the place of a connection, by the linker. */
int __wrap_qmp_connect(const char *path, int timeout_ms, struct xm_error *e);

int __wrap_qmp_connect(const char *path, int timeout_ms, struct xm_error *e)
{
	(void)path;
	(void)timeout_ms;
	(void)e;
	return ours;
}

/* In the place of /proc: who is silent has no excuse, and no guardian. */
int __wrap_guardian_check(pid_t qemu, const char *monitor, struct xm_error *e);
const char *__wrap_tracee_why_silent(pid_t pid, const char *or_else);

int __wrap_guardian_check(pid_t qemu, const char *monitor, struct xm_error *e)
{
	(void)qemu;
	(void)monitor;
	(void)e;
	return 0;
}

const char *__wrap_tracee_why_silent(pid_t pid, const char *or_else)
{
	(void)pid;
	return or_else;
}

/* Up to a pause; how many bytes of @data that took. */
static size_t say(const uint8_t *data, size_t size)
{
	char text[SAYS_MAX], id[48];
	size_t n = 0, i;

	(void)snprintf(id, sizeof(id), "xdpmig-%d-%u", (int)getpid(),
		       n_commands + 1);
	for (i = 0; i < size && data[i] != PAUSE; i++) {
		if (n + sizeof(id) > sizeof(text))
			break;
		if (data[i] == ID)
			n += (size_t)snprintf(text + n, sizeof(id), "%s", id);
		else
			text[n++] = (char)data[i];
	}
	if (n)
		(void)!send(theirs, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	return i < size ? i + 1 : i;
}

/* What we said, so that it does not fill the socket. */
static void hear(void)
{
	char junk[4096];

	while (recv(theirs, junk, sizeof(junk), MSG_DONTWAIT) > 0)
		;
}

static void check(const struct qmp *qmp, int r, const struct xm_error *e)
{
	FUZZ_CHECK(r <= 0);
	FUZZ_CHECK(r ? e->err == r && e->msg[0] : !e->err);
	FUZZ_CHECK(!qmp_broken(qmp) || qmp_broken(qmp) < 0);
}

static void take_events(struct qmp *qmp)
{
	struct xm_error e = { 0 };
	json_t *event;
	int r;

	while (!(r = qmp_event(qmp, &event, &e))) {
		FUZZ_CHECK(json_object_get(event, "event"));
		json_decref(event);
	}
	if (r != -EAGAIN)
		check(qmp, r, &e);
}

static void run(struct qmp *qmp)
{
	int was_broken = qmp_broken(qmp);
	struct xm_error e = { 0 };
	json_t *result = NULL;
	int r;

	r = qmp_run(qmp, "query-status", NULL, &result, &e);
	n_commands++;
	check(qmp, r, &e);
	FUZZ_CHECK(!r == (result != NULL));
	FUZZ_CHECK(!was_broken || r == was_broken);
	json_decref(result);
}

static void fuzz_one(const uint8_t *data, size_t size, bool adopt)
{
	size_t at = say(data, size);
	struct xm_error e = { 0 };
	struct qmp *qmp = NULL;
	int r;

	if (adopt) {
		r = qmp_adopt(&qmp, ours, "socket", 0, &e);
	} else {
		r = qmp_open(&qmp, "socket", 0, &e);
		/* it said qmp_capabilities, if it was greeted by QEMU */
		if (recv(theirs, &(char){ 0 }, 1, MSG_DONTWAIT) == 1)
			n_commands++;
	}
	FUZZ_CHECK(!r == (qmp != NULL));
	if (r) {
		FUZZ_CHECK(e.err == r && e.msg[0]);
		return;
	}
	for (; at < size; at += say(data + at, size - at)) {
		run(qmp);
		take_events(qmp);
		hear();
	}
	(void)shutdown(theirs, SHUT_WR);
	run(qmp);
	take_events(qmp);
	qmp_close(qmp);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int pair[2];

	if (!size || size > SAYS_MAX / 2)
		return 0;
	FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	ours = pair[0];
	theirs = pair[1];
	fuzz_one(data + 1, size - 1, data[0] & ADOPT);
	close(theirs);
	return 0;
}
