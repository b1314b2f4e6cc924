// SPDX-License-Identifier: GPL-2.0-or-later
/* run.c - a migration under way, as others on this host see it
 *
 *   /run/xdpmig/NAME.lock   locked (flock) by the process that has the name;
 *                           the kernel unlocks it however that process ends
 *   /run/xdpmig/NAME.sock   where it can be asked: one JSON object a packet
 *                           (SOCK_SEQPACKET), one object back
 *   /run/xdpmig/NAME.send.json, NAME.recv.json
 *                           where the guest may run, once that was in doubt
 *
 *   {"ask": "status"}                         -> {"ok": true, ...}
 *   {"ask": "cancel"}, {"ask": "continue"}    -> {"ok": false, "error": "..."}
 *   {"ask": "set", "bandwidth": 5000000000}
 *
 * /run and not a network namespace: commands find each other from any of them.
 * The directory is root's alone, and that is all there is to permissions; who is
 * not root has one below XDG_RUNTIME_DIR.  One that somebody else made first, or
 * may write to, is not used: he could answer in a migration's place.
 *
 * A client may connect and say nothing, or not read its answer: nobody waits
 * for it.  There are RUN_CLIENTS at most; the next one takes the place of the
 * one that has been there longest.  However many they are and whatever they
 * say, run_next() comes to an end: the migration goes on in between.
 *
 * The record (util/record.c) has the time, and the session's id: a guest moves
 * more than once, and an answer about another of its moves would be a wrong
 * one.  So the record of the last goes when the next one begins, and a guest
 * that came and went on has one of each.
 *
 * A source that is killed, or cannot let its guest run, leaves both lock and
 * record to its guardian (guest/guardian.c): the name stays taken, and the
 * record says "trying", until the guest is back.
 */
#include "run.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "run_priv.h"
#include "util/fd.h"
#include "util/record.h"

#define RUN_DIR    "/run/xdpmig"
#define RUN_PACKET 16384 /* bytes of a request or an answer */
#define RUN_TURNS  64    /* clients and packets looked at, at a time */
#define RUN_PATH   sizeof(((struct sockaddr_un *)0)->sun_path)

static_assert(RUN_RECORD == RUN_PATH, "a record's path is one of ours");

struct run {
	char name[RUN_NAME];
	int lock_fd, listen_fd, epoll_fd;
	int client[RUN_CLIENTS]; /* a ring: the oldest at `next` */
	unsigned int next;
	int asking;   /* who waits for run_answer() */
	bool is_left; /* somebody else has the lock, too */
};

/* "": not looked for yet.  So long that a name and the longest suffix fit. */
static char run_dir[RUN_PATH - RUN_NAME - sizeof(".send.json.new")];

int run_set_dir(const char *dir)
{
	if (strlen(dir) >= sizeof(run_dir))
		return -ENAMETOOLONG;
	strcpy(run_dir, dir);
	return 0;
}

/* Where names are: of root, or of this user. */
static int run_name_dir(struct xm_error *e)
{
	const char *home;
	int n = -1;

	if (!geteuid())
		return run_set_dir(RUN_DIR);
	home = secure_getenv("XDG_RUNTIME_DIR");
	if (home)
		n = snprintf(run_dir, sizeof(run_dir), "%s/xdpmig", home);
	if (n > 0 && (size_t)n < sizeof(run_dir))
		return 0;
	run_dir[0] = '\0';
	return xm_fail(e, -EACCES, XM_REASON_PERMISSION,
		       "no place for the migration's name: be root, or set "
		       "XDG_RUNTIME_DIR to a directory of yours whose name "
		       "has at most %zu bytes",
		       sizeof(run_dir) - sizeof("/xdpmig"));
}

/* What is not there yet, or no folder, whoever uses it will hear of. */
static int run_check_dir(struct xm_error *e)
{
	struct stat st;

	if (lstat(run_dir, &st) ||
	    (st.st_uid == geteuid() &&
	     (!S_ISDIR(st.st_mode) || !(st.st_mode & 0022))))
		return 0;
	return xm_fail(e, -EPERM, XM_REASON_PERMISSION,
		       "%s: it belongs to user %u and has mode %04o, so others "
		       "could say what they like in it; remove it",
		       run_dir, st.st_uid, st.st_mode & 07777);
}

static int run_find_dir(struct xm_error *e)
{
	int r = run_dir[0] ? 0 : run_name_dir(e);

	return r ? r : run_check_dir(e);
}

const char *run_get_dir(struct xm_error *e)
{
	return run_find_dir(e) ? NULL : run_dir;
}

static void run_path(char path[static RUN_PATH], const char *name,
		     const char *suffix)
{
	(void)snprintf(path, RUN_PATH, "%s/%.*s.%s", run_dir, RUN_NAME - 1,
		       name, suffix);
}

/* @role: "send" or "recv". */
static void run_record_path(char path[static RUN_PATH], const char *name,
			    const char *role)
{
	char suffix[sizeof("send.json")];

	(void)snprintf(suffix, sizeof(suffix), "%.4s.json", role);
	run_path(path, name, suffix);
}

static bool name_is_good(const char *name)
{
	static const char may[] = "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	size_t len = strlen(name);

	return len && len < RUN_NAME && name[0] != '.' && name[0] != '-' &&
	       strspn(name, may) == len;
}

static int check_name(const char *name, struct xm_error *e)
{
	return name_is_good(name) ?
		       0 :
		       xm_fail(e, -EINVAL, XM_REASON_USAGE,
			       "'%.80s' is no name for a migration: up to %d "
			       "letters, digits, '_', '.' and '-'",
			       name, RUN_NAME - 1);
}

/* -- having a name ------------------------------------------------------------- */

/* The file is locked, or another's.  Is it still there? 1, 0, or -errno. */
static int run_is_there(int fd, const char *path)
{
	struct stat have, there;

	if (fstat(fd, &have))
		return -errno;
	if (stat(path, &there))
		return errno == ENOENT ? 0 : -errno;
	return have.st_ino == there.st_ino;
}

/* The kernel could not lock it, or say whether it did: take away what was made,
 * but nobody else's. */
static int run_lock_failed(struct run *run, const char *path, int err,
			   struct xm_error *e)
{
	if (!flock(run->lock_fd, LOCK_EX | LOCK_NB) &&
	    run_is_there(run->lock_fd, path) > 0)
		(void)unlink(path);
	return xm_fail(e, err, XM_REASON_INTERNAL, "%s: cannot be locked: %s",
		       path, strerror(-err));
}

/* Open and lock the lock file; whoever gives it up removes it, so what was
 * locked may no longer be what the path names. */
static int run_lock(struct run *run, struct xm_error *e)
{
	char path[RUN_PATH];
	int r;

	run_path(path, run->name, "lock");
	for (;;) {
		run->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (run->lock_fd < 0)
			return xm_fail(e, -errno, XM_REASON_PERMISSION,
				       "%s: %s", path, strerror(errno));
		r = flock(run->lock_fd, LOCK_EX | LOCK_NB) ?
			    -errno :
			    run_is_there(run->lock_fd, path);
		if (r > 0)
			return 0;
		if (r == -EWOULDBLOCK)
			return xm_fail(e, -EADDRINUSE, XM_REASON_USAGE,
				       "a migration called '%s' is under way "
				       "('xdpmig status'): choose another "
				       "--name",
				       run->name);
		if (r)
			return run_lock_failed(run, path, r, e);
		fd_closep(&run->lock_fd);
	}
}

static int run_listen(struct run *run, struct xm_error *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct epoll_event ev = { .events = EPOLLIN };

	run_path(sa.sun_path, run->name, "sock");
	(void)unlink(sa.sun_path); /* of a process that was killed */
	run->listen_fd = socket(
		AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	run->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ev.data.fd = run->listen_fd;
	if (run->listen_fd < 0 || run->epoll_fd < 0 ||
	    bind(run->listen_fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    listen(run->listen_fd, RUN_CLIENTS) ||
	    epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, run->listen_fd, &ev))
		return xm_fail(e, -errno, XM_REASON_PERMISSION, "%s: %s",
			       sa.sun_path, strerror(errno));
	return 0;
}

int run_open(struct run **ret_run, const char *name, struct xm_error *e)
{
	struct run *run;
	unsigned int i;
	int r = check_name(name, e);

	if (!r)
		r = run_find_dir(e);
	if (r)
		return r;
	if (mkdir(run_dir, 0700) && errno != EEXIST)
		return xm_fail(e, -errno, XM_REASON_PERMISSION, "%s: %s",
			       run_dir, strerror(errno));
	run = calloc(1, sizeof(*run));
	if (!run)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY, "out of memory");
	strcpy(run->name, name); /* its length was checked */
	run->lock_fd = run->listen_fd = run->epoll_fd = run->asking = -1;
	for (i = 0; i < RUN_CLIENTS; i++)
		run->client[i] = -1;
	r = run_lock(run, e);
	if (r) {
		fd_closep(&run->lock_fd); /* another's: not to be removed */
		free(run);
		return r;
	}
	r = run_listen(run, e);
	if (r) {
		run_close(run);
		return r;
	}
	*ret_run = run;
	return 0;
}

/* What became of the last one of that name says nothing of this one. */
static int run_forget(const struct run *run, const char *command,
		      struct xm_error *e)
{
	char path[RUN_PATH];

	run_record_path(path, run->name, command);
	if (!unlink(path) || errno == ENOENT)
		return 0;
	return xm_fail(e, -errno, XM_REASON_PERMISSION,
		       "%s: cannot remove the record of the last migration: %m",
		       path);
}

int run_open_as(struct run **ret_run, const char *name, const char *guest,
		const char *command, struct xm_error *e)
{
	char text[RUN_NAME];
	int r = name ? run_open(ret_run, name, e) : -EINVAL;

	if (!name && guest[0])
		r = run_open(ret_run, guest, NULL);
	if (!name && r) {
		(void)snprintf(text, sizeof(text), "%.40s-%d",
			       guest[0] ? guest : command, (int)getpid());
		r = run_open(ret_run, text, e);
	}
	if (r)
		return r;
	r = run_forget(*ret_run, command, e);
	if (r)
		*ret_run = run_close(*ret_run);
	return r;
}

struct run *run_close(struct run *run)
{
	char path[RUN_PATH];
	unsigned int i;

	if (!run)
		return NULL;
	for (i = 0; i < RUN_CLIENTS; i++)
		fd_closep(&run->client[i]);
	fd_closep(&run->epoll_fd);
	fd_closep(&run->listen_fd);
	run_path(path, run->name, "sock");
	(void)unlink(path);
	run_path(path, run->name, "lock");
	if (!run->is_left)
		(void)unlink(path); /* while it is locked */
	fd_closep(&run->lock_fd);
	free(run);
	return NULL;
}

int run_fd(const struct run *run)
{
	return run->epoll_fd;
}

/* -- being asked ------------------------------------------------------------------ */

static void run_accept(struct run *run)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = accept4(run->listen_fd, NULL, NULL,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	fd_closep(&run->client[run->next]);
	ev.data.fd = fd;
	if (epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, fd, &ev)) {
		(void)close(fd);
		return;
	}
	run->client[run->next] = fd;
	run->next = (run->next + 1) % RUN_CLIENTS;
}

static void run_hang_up(struct run *run, int fd)
{
	unsigned int i;

	for (i = 0; i < RUN_CLIENTS; i++)
		if (run->client[i] == fd)
			fd_closep(&run->client[i]);
}

/* False: it is there, but no such number. */
static bool take_u64(const json_t *o, const char *key, bool *ret_has,
		     uint64_t *ret_v)
{
	const json_t *v = json_object_get(o, key);

	*ret_has = v != NULL;
	if (!v)
		return true;
	*ret_v = (uint64_t)json_integer_value(v);
	return json_is_integer(v) && json_integer_value(v) >= 0;
}

static enum run_ask run_parse_set(const json_t *o, struct run_request *req)
{
	return take_u64(o, "bandwidth", &req->has_bandwidth, &req->bandwidth) &&
			       take_u64(o, "max_downtime_ns",
					&req->has_max_downtime,
					&req->max_downtime_ns) &&
			       (req->has_bandwidth || req->has_max_downtime) ?
		       RUN_SET :
		       RUN_NOTHING;
}

static enum run_ask run_parse(const json_t *o, struct run_request *req)
{
	const char *ask = json_string_value(json_object_get(o, "ask"));

	if (!ask)
		return RUN_NOTHING;
	if (!strcmp(ask, "status"))
		return RUN_STATUS;
	if (!strcmp(ask, "cancel"))
		return RUN_CANCEL;
	if (!strcmp(ask, "continue"))
		return RUN_CONTINUE;
	if (!strcmp(ask, "set"))
		return run_parse_set(o, req);
	return RUN_NOTHING;
}

/* A request of client @fd; RUN_NOTHING when it has none, or left. */
static void run_read(struct run *run, int fd, struct run_request *req)
{
	char text[RUN_PACKET];
	ssize_t n = recv(fd, text, sizeof(text), MSG_TRUNC);
	json_t *o;

	if (n <= 0 || (size_t)n > sizeof(text)) {
		if (n >= 0 || errno != EAGAIN)
			run_hang_up(run, fd);
		return;
	}
	o = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
	req->ask = run_parse(o, req);
	json_decref(o);
	run->asking = fd;
	if (req->ask == RUN_NOTHING)
		run_answer(run, NULL, "that is no request this version knows");
}

void run_next(struct run *run, struct run_request *req)
{
	struct epoll_event ev;
	unsigned int turns = RUN_TURNS;

	memset(req, 0, sizeof(*req));
	while (req->ask == RUN_NOTHING && turns-- &&
	       epoll_wait(run->epoll_fd, &ev, 1, 0) > 0) {
		if (ev.data.fd == run->listen_fd)
			run_accept(run);
		else
			run_read(run, ev.data.fd, req);
	}
}

void run_answer(struct run *run, json_t *o, const char *error)
{
	char *text;

	if (!o)
		o = json_object();
	(void)json_object_set_new(o, "ok", json_boolean(!error));
	if (error)
		(void)json_object_set_new(o, "error", json_string(error));
	text = json_dumps(o, JSON_COMPACT);
	/* Who does not read has no answer. */
	if (text && run->asking >= 0)
		(void)!send(run->asking, text, strlen(text), MSG_NOSIGNAL);
	run->asking = -1;
	free(text);
	json_decref(o);
}

void run_put_session(json_t *o, const uint8_t session[static 16])
{
	char text[33];
	unsigned int i;

	for (i = 0; i < 16; i++)
		(void)snprintf(text + (size_t)2 * i, 3, "%02x", session[i]);
	(void)json_object_set_new(o, "session", json_string(text));
}

int run_record(struct run *run, json_t *o, struct xm_error *e)
{
	const char *role = json_string_value(json_object_get(o, "command"));
	char path[RUN_PATH];
	int r;

	run_record_path(path, run->name, role);
	r = record_write(path, o, e);
	json_decref(o);
	return r;
}

int run_lend(const struct run *run, const char *command,
	     char ret_record[RUN_RECORD])
{
	run_record_path(ret_record, run->name, command);
	return run->lock_fd;
}

void run_leave(struct run *run)
{
	run->is_left = true;
}

/* -- asking ------------------------------------------------------------------------- */

static int run_connect(const char *name, struct xm_error *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = 5 };
	int fd, err;

	run_path(sa.sun_path, name, "sock");
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return xm_fail(e, -errno, XM_REASON_INTERNAL, "socket: %s",
			       strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return fd;
	err = errno == ECONNREFUSED ? ENOENT : errno; /* was killed */
	(void)close(fd);
	if (err == ENOENT)
		return xm_fail(e, -err, XM_REASON_USAGE,
			       "no migration called '%s' is under way here: "
			       "see 'xdpmig status'",
			       name);
	return xm_fail(e, -err, XM_REASON_PERMISSION, "%s: %s", sa.sun_path,
		       err == EAGAIN ? "nobody answers" : strerror(err));
}

static int run_talk(int fd, const char *name, const json_t *request,
		    json_t **ret_answer, struct xm_error *e)
{
	char *text = json_dumps(request, JSON_COMPACT), buf[RUN_PACKET];
	const char *error;
	json_t *answer = NULL;
	ssize_t n = -1;
	bool is_over;

	if (text && send(fd, text, strlen(text), MSG_NOSIGNAL) > 0)
		n = recv(fd, buf, sizeof(buf), 0);
	is_over = !n || (n < 0 && (errno == ECONNRESET || errno == EPIPE));
	free(text);
	if (is_over)
		return xm_fail(e, -ENOENT, XM_REASON_USAGE,
			       "migration '%s' has just ended: see 'xdpmig "
			       "status'",
			       name);
	if (n > 0)
		answer = json_loadb(buf, (size_t)n, 0, NULL);
	if (!answer)
		return xm_fail(e, -EREMOTEIO, XM_REASON_INTERNAL,
			       "migration '%s' gives no answer", name);
	if (!json_is_true(json_object_get(answer, "ok"))) {
		error = json_string_value(json_object_get(answer, "error"));
		(void)xm_fail(e, -EREMOTEIO, XM_REASON_USAGE,
			      "migration '%s': %s", name,
			      error ? error : "refused");
		json_decref(answer);
		return -EREMOTEIO;
	}
	(void)json_object_del(answer, "ok");
	if (ret_answer)
		*ret_answer = answer;
	else
		json_decref(answer);
	return 0;
}

int run_ask_one(const char *name, json_t *request, json_t **ret_answer,
		struct xm_error *e)
{
	int r = check_name(name, e), fd;

	if (!request)
		request = json_pack("{s:s}", "ask", "status");
	if (!r)
		r = run_find_dir(e);
	if (!r) {
		fd = run_connect(name, e);
		r = fd < 0 ? fd : run_talk(fd, name, request, ret_answer, e);
		(void)fd_close(fd);
	}
	json_decref(request);
	return r;
}
