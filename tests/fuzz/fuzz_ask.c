// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_ask.c - what others on this host ask a migration, and what it answers
 *
 * parses: userspace/cli/run.c userspace/cli/run_list.c
 *
 * Each line of an input is a packet.  One that begins with "?" goes to a
 * migration, as a request; one that begins with "!" is the answer of one, when
 * it is asked for its status; "#" is a record.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/run.h"

#include "fuzz.h"

static char dir[40];
static struct run *run;
static int client = -1;

static void path_of(char *path, size_t len, const char *file)
{
	(void)snprintf(path, len, "%s/%s", dir, file);
}

/* -- requests ----------------------------------------------------------------------- */

static void connect_client(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	path_of(sa.sun_path, sizeof(sa.sun_path), "m.sock");
	client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	FUZZ_CHECK(client >= 0 &&
		   !connect(client, (struct sockaddr *)&sa, sizeof(sa)));
}

static void check_request(const struct run_request *req)
{
	FUZZ_CHECK(req->ask <= RUN_SET);
	if (req->ask == RUN_SET) {
		FUZZ_CHECK(req->has_bandwidth || req->has_max_downtime);
		FUZZ_CHECK(!(req->bandwidth >> 63) &&
			   !(req->max_downtime_ns >> 63));
	}
}

static void request(const char *text, size_t len)
{
	struct run_request req;
	char answer[256];

	if (client < 0)
		connect_client();
	if (send(client, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* longer than a packet */
	run_next(run, &req);
	check_request(&req);
	if (req.ask != RUN_NOTHING)
		run_answer(run, NULL, req.ask == RUN_SET ? "no" : NULL);
	if (recv(client, answer, sizeof(answer), MSG_DONTWAIT) > 0)
		return;
	FUZZ_CHECK(!len || len > 16384); /* each has an answer, and at once */
	client = close(client);
	client = -1;
}

/* -- answers and records -------------------------------------------------------------- */

/* In the place of a migration's socket, by the linker. */
static int asked[2];
static bool is_listing; /* we cannot answer while we ask */
int __real_connect(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len);

int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	if (is_listing) {
		errno = ECONNREFUSED;
		return -1;
	}
	if (asked[0] < 0)
		return __real_connect(fd, sa, len);
	FUZZ_CHECK(dup2(asked[0], fd) == fd);
	return 0;
}

static void check_asked(json_t *answer, int r, const struct xm_error *e)
{
	FUZZ_CHECK(!r == (answer != NULL));
	FUZZ_CHECK(r ? e->err == r && e->msg[0] : !e->err);
	FUZZ_CHECK(!answer || !json_object_get(answer, "ok"));
	json_decref(answer);
}

static void answer(const char *text, size_t len)
{
	struct xm_error e = { 0 };
	json_t *o = NULL;
	int r;

	FUZZ_CHECK(
		!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, asked));
	(void)!send(asked[1], text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)shutdown(asked[1], SHUT_WR);
	r = run_ask_one("other", NULL, &o, &e);
	close(asked[0]);
	close(asked[1]);
	asked[0] = -1;
	check_asked(o, r, &e);
}

static void record(const char *text, size_t len)
{
	json_t *list = json_array();
	struct xm_error e = { 0 };
	char path[80];
	FILE *f;

	path_of(path, sizeof(path), "r.send.json");
	f = fopen(path, "w");
	FUZZ_CHECK(f);
	(void)fwrite(text, 1, len, f);
	(void)fclose(f);
	is_listing = true;
	FUZZ_CHECK(!run_list(list, &e) && !e.err);
	is_listing = false;
	FUZZ_CHECK(json_array_size(list) <= 1);
	json_decref(list);
	(void)unlink(path);
}

/* -- all of it ------------------------------------------------------------------------- */

static void tidy_up(void)
{
	run_close(run);
	(void)rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct xm_error e = { 0 };

	(void)argc;
	(void)argv;
	asked[0] = -1;
	strcpy(dir, "/tmp/xdpmig-fuzz-XXXXXX");
	FUZZ_CHECK(mkdtemp(dir));
	FUZZ_CHECK(!run_set_dir(dir) && !run_open(&run, "m", &e));
	(void)atexit(tidy_up);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *line = (const char *)data, *nl;
	size_t len;

	for (; size; line += len, size -= len) {
		nl = memchr(line, '\n', size);
		len = nl ? (size_t)(nl - line) + 1 : size;
		if (*line == '?')
			request(line + 1, len - 1);
		else if (*line == '!')
			answer(line + 1, len - 1);
		else if (*line == '#')
			record(line + 1, len - 1);
	}
	if (client >= 0)
		client = close(client) - 1;
	return 0;
}
