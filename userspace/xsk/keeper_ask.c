// SPDX-License-Identifier: GPL-2.0-or-later
/* keeper_ask.c - asking a keeper (theory in keeper.c)
 *
 * Who answers must be root's, as the folder is: a socket in a folder that only
 * root writes to was made by it.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "keeper_priv.h"
#include "util/fd.h"
#include "util/fd_pass.h"

#define ANSWER_S 5
#define QUIT_MS  2000

static const char keeper_dir[] = "/run/xdpmig-keeper";

static unsigned long netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) ? 0 : (unsigned long)st.st_ino;
}

struct keeper_path keeper_path(int ifindex)
{
	struct keeper_path p;

	if (ifindex)
		(void)snprintf(p.s, sizeof(p.s), "%s/%lu-%d.sock", keeper_dir,
			       netns(), ifindex);
	else
		(void)snprintf(p.s, sizeof(p.s), "%s", keeper_dir);
	return p;
}

/* -- asking --------------------------------------------------------------------------- */

struct who {
	char s[64];
};

static struct who who_is(uid_t uid)
{
	const struct passwd *pw = getpwuid(uid);
	struct who w;

	(void)snprintf(w.s, sizeof(w.s), "%.40s", pw ? pw->pw_name : "");
	if (!pw)
		(void)snprintf(w.s, sizeof(w.s), "user %u", uid);
	return w;
}

static int fail_connect(const char *path, int err, struct xm_error *e)
{
	struct stat st;

	if (err == ENOENT || err == ECONNREFUSED) /* was killed */
		return -ENOENT;
	if ((err == EACCES || err == EPERM) && !lstat(path, &st))
		return xm_fail(e, -EACCES, XM_REASON_PERMISSION,
			       "%s: the device was attached for %s, not for "
			       "%s: 'attach --user' says whose it is",
			       path, who_is(st.st_uid).s, who_is(geteuid()).s);
	return xm_fail(e, -err, XM_REASON_PERMISSION, "%s: %s", path,
		       strerror(err));
}

/* A connected socket, or -errno; -ENOENT: nobody is there, without @e. */
static int keeper_connect(const char *path, struct xm_error *e)
{
	int sock fd_cleanup = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = ANSWER_S };
	struct ucred who = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(who);

	strcpy(sa.sun_path, path);
	if (sock < 0)
		return xm_fail(e, -errno, XM_REASON_INTERNAL, "socket: %s",
			       strerror(errno));
	(void)setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(sock, (struct sockaddr *)&sa, sizeof(sa)))
		return fail_connect(path, errno, e);
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &len) || who.uid)
		return xm_fail(e, -EPERM, XM_REASON_PERMISSION,
			       "%s: who listens there is not root's", path);
	return fd_steal(&sock);
}

static int keeper_talk(const char *path, const struct keeper_request *req,
		       struct keeper_answer *a, int *fds, unsigned int max,
		       struct xm_error *e)
{
	int sock fd_cleanup = keeper_connect(path, e);
	unsigned int n = 0;
	ssize_t got;
	int r;

	if (sock < 0)
		return sock;
	got = fd_pass_send(sock, req, sizeof(*req), NULL, 0);
	if (got >= 0)
		got = fd_pass_recv(sock, a, sizeof(*a), 0, fds, max, &n);
	r = got < 0 ? (int)got : got != sizeof(*a) ? -EPROTO : a->err;
	if (!r && (a->n != n || a->version != KEEPER_VERSION))
		r = -EPROTO; /* also: no room for so many descriptors */
	while (r && n)
		(void)fd_close(fds[--n]);
	return r ? xm_fail(e, r, XM_REASON_PERMISSION,
			   "%s: the keeper gives nothing: %s%s", path,
			   strerror(-r),
			   r == -EPROTO ? "; more open files may be needed "
					  "(ulimit -n)" :
					  "") :
		   0;
}

int keeper_look(int ifindex, struct keeper *ret_keeper, struct xm_error *e)
{
	const struct keeper_request req = { .version = KEEPER_VERSION,
					    .ask = KEEPER_WHO };
	struct keeper_answer a = { 0 };
	int r = keeper_talk(keeper_path(ifindex).s, &req, &a, NULL, 0, e);

	if (!r)
		*ret_keeper = (struct keeper){ .pid = a.pid, .user = a.user };
	return r;
}

int keeper_maps(int ifindex, struct keeper_maps *ret_maps, struct xm_error *e)
{
	const struct keeper_request req = { .version = KEEPER_VERSION,
					    .ask = KEEPER_GIVE_MAPS };
	struct keeper_answer a = { 0 };
	int fds[KEEPER_MAPS];
	int r = keeper_talk(keeper_path(ifindex).s, &req, &a, fds, KEEPER_MAPS,
			    e);

	if (!r)
		*ret_maps = (struct keeper_maps){ fds[0], fds[1], fds[2],
						  fds[3], fds[4] };
	return r;
}

void keeper_close_maps(struct keeper_maps *m)
{
	fd_closep(&m->prog);
	fd_closep(&m->slots);
	fd_closep(&m->xsks);
	fd_closep(&m->verdicts);
	fd_closep(&m->conf);
}

int keeper_sockets(const struct xsk_stock_opts *o, int *ret_fds,
		   struct xm_error *e)
{
	const struct keeper_request req = { .version = KEEPER_VERSION,
					    .ask = KEEPER_GIVE_SOCKETS,
					    .n = o->n,
					    .busy_poll_us = o->busy_poll_us };
	struct keeper_answer a = { 0 };

	return keeper_talk(keeper_path(o->ifindex).s, &req, &a, ret_fds,
			   XM_CHAN_MAX, e);
}

/* -- its end ------------------------------------------------------------------------------ */

/* One that does not hear is killed: the kernel says who listens there. */
static void keeper_quit(const char *path)
{
	const struct keeper_request req = { .version = KEEPER_VERSION,
					    .ask = KEEPER_QUIT };
	int sock fd_cleanup = keeper_connect(path, NULL);
	struct ucred who = { .pid = -1 };
	socklen_t len = sizeof(who);
	struct pollfd p = { .events = POLLIN };
	int pidfd fd_cleanup = -1;

	if (sock < 0 || getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &len))
		return;
	pidfd = pidfd_open(who.pid, 0);
	if (pidfd < 0)
		return;
	p.fd = pidfd;
	if (fd_pass_send(sock, &req, sizeof(req), NULL, 0) > 0 &&
	    poll(&p, 1, QUIT_MS) > 0)
		return;
	(void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	(void)poll(&p, 1, QUIT_MS);
}

bool keeper_end(int ifindex)
{
	struct keeper_path path = keeper_path(ifindex);
	bool had = !access(path.s, F_OK);

	if (!had)
		return false;
	keeper_quit(path.s);
	(void)unlink(path.s);    /* of one that was killed */
	(void)rmdir(keeper_dir); /* fails while others are there */
	return true;
}

unsigned int keeper_sweep(void)
{
	DIR *in = opendir(keeper_dir);
	char name[IF_NAMESIZE], *end;
	unsigned long ns, ifindex;
	struct dirent *d;
	unsigned int n = 0;

	while (in && (d = readdir(in))) {
		if (!isdigit((unsigned char)d->d_name[0]))
			continue;
		ns = strtoul(d->d_name, &end, 10);
		if (ns != netns() || *end != '-')
			continue;
		ifindex = strtoul(end + 1, &end, 10);
		if (strcmp(end, ".sock") || ifindex > INT_MAX ||
		    if_indextoname((unsigned int)ifindex, name))
			continue;
		n += keeper_end((int)ifindex);
	}
	if (in)
		(void)closedir(in);
	return n;
}
