// SPDX-License-Identifier: GPL-2.0-or-later
/* keeper.c - a process that hands a device's sockets to a user
 *
 * An AF_XDP socket takes CAP_NET_RAW, and only to be made.  So that one user
 * can migrate guests over one device without any capability, 'attach --user'
 * leaves a process that has it:
 *
 *   /run/xdpmig-keeper/<network namespace>-<ifindex>.sock
 *                          mode 0660, the user's and group root's (so that
 *                          root needs no capability to end it): others are
 *                          refused by the kernel, and once more by who it says
 *                          has connected
 *
 *   WHO           -> who is there
 *   GIVE_MAPS     -> the program and its four maps: what bpffs's pins would give,
 *                    whose folder systemd shuts for everybody but root
 *   GIVE_SOCKETS  -> so many AF_XDP sockets, at most XM_CHAN_MAX
 *   QUIT          -> root's: 'detach'
 *
 * A request is a packet of 16 bytes and has one answer; then the connection
 * ends.  One client at a time is looked at and nobody is waited for longer than
 * a second, so that a silent one keeps no other out.
 *
 * The keeper holds CAP_NET_RAW and CAP_NET_ADMIN (for a socket's send buffer and
 * busy polling), and can use neither for anything else: its system calls are
 * those above (util/priv_filter.c): the only sockets it makes are AF_XDP.  It reads
 * nothing of the network.  It was forked by 'attach', has no file but its socket,
 * the maps, and a netlink socket which wakes it when a device goes; if that is
 * ours, it ends.
 *
 * What it gives away is gone: 'detach' takes no socket back, as it does not from
 * anybody.  And a socket says nothing of a device before it is bound: the user can
 * bind it to any queue of any device in this network namespace that no one else has,
 * and send what he likes there.  That is what --user trusts him with
 * (docs/security.md).
 *
 * No state outlives it but the socket's name, which whoever attaches or detaches
 * removes.
 */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "keeper_priv.h"
#include "util/fd.h"
#include "util/fd_pass.h"
#include "util/priv.h"

_Static_assert(XM_CHAN_MAX <= FD_PASS_MAX, "all sockets go with one answer");

#define CLIENT_S 1 /* to ask, and to take the answer */
#define BACKLOG  16

struct keeping {
	int listen_fd, link_fd, ready_fd;
	int maps[KEEPER_MAPS];
	int ifindex;
	uid_t user;
	struct keeper_path path;
};

/* -- the keeper ----------------------------------------------------------------- */

static int give_sockets(const struct keeping *k,
			const struct keeper_request *req, int *fds,
			unsigned int *ret_n)
{
	const struct xsk_stock_opts want = {
		.ifname = "keeper",
		.ifindex = k->ifindex,
		.n = 1,
		.busy_poll_us = req->busy_poll_us,
	};
	int fd;

	if (!req->n || req->n > XM_CHAN_MAX || req->busy_poll_us > 1000000)
		return -EINVAL;
	while (*ret_n < req->n) {
		fd = xsk_stock_socket(&want, NULL);
		if (fd < 0)
			return fd;
		fds[(*ret_n)++] = fd;
	}
	return 0;
}

static void answer(const struct keeping *k, int sock,
		   const struct keeper_request *req, bool is_root)
{
	struct keeper_answer a = { .version = KEEPER_VERSION,
				   .pid = getpid(),
				   .user = k->user };
	int made[XM_CHAN_MAX];
	const int *fds = made;
	unsigned int n = 0, i;

	switch ((enum keeper_ask)req->ask) {
	case KEEPER_WHO:
		break;
	case KEEPER_GIVE_MAPS:
		fds = k->maps;
		a.n = KEEPER_MAPS;
		break;
	case KEEPER_GIVE_SOCKETS:
		a.err = give_sockets(k, req, made, &n);
		a.n = a.err ? 0 : n;
		break;
	case KEEPER_QUIT:
		a.err = is_root ? 0 : -EPERM;
		break;
	default:
		a.err = -EINVAL;
	}
	/* Who does not take it has asked in vain. */
	(void)fd_pass_send(sock, &a, sizeof(a), fds, a.n);
	for (i = 0; i < n; i++)
		(void)fd_close(made[i]);
}

/* True: it is the end. */
static bool serve(const struct keeping *k)
{
	int sock fd_cleanup = accept4(k->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct timeval limit = { .tv_sec = CLIENT_S };
	struct keeper_request req = { 0 };
	struct ucred who = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(who);
	bool is_root;

	if (sock < 0 || getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &len) ||
	    (who.uid && who.uid != k->user) ||
	    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    recv(sock, &req, sizeof(req), 0) != sizeof(req) ||
	    req.version != KEEPER_VERSION)
		return false;
	is_root = !who.uid;
	if (req.ask == KEEPER_QUIT && is_root)
		(void)unlink(k->path.s); /* before it is said */
	answer(k, sock, &req, is_root);
	return req.ask == KEEPER_QUIT && is_root;
}

/* Something happened to some device: is ours there? */
static bool has_device(const struct keeping *k)
{
	struct ifreq ifr = { .ifr_ifindex = k->ifindex };
	char news[8192];

	while (recv(k->link_fd, news, sizeof(news), MSG_DONTWAIT) > 0)
		; /* only the wake-up counts */
	return !ioctl(k->link_fd, SIOCGIFNAME, &ifr) || errno != ENODEV;
}

static _Noreturn void keep(const struct keeping *k)
{
	struct pollfd p[] = { { .fd = k->listen_fd, .events = POLLIN },
			      { .fd = k->link_fd, .events = POLLIN } };

	for (;;) {
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents && !has_device(k)) {
			(void)unlink(k->path.s);
			_exit(0);
		}
		if (p[0].revents && serve(k))
			_exit(0);
	}
}

/* All of the child but what it is for; does not return. */
static _Noreturn void be_keeper(struct keeping *k)
{
	int *fds[] = { &k->listen_fd, &k->link_fd, &k->ready_fd, &k->maps[0],
		       &k->maps[1],   &k->maps[2], &k->maps[3],  &k->maps[4] };
	const unsigned int n = sizeof(fds) / sizeof(fds[0]);
	const uint64_t caps = PRIV_CAP(CAP_NET_RAW) | PRIV_CAP(CAP_NET_ADMIN);
	struct xm_error e = { 0 };
	unsigned int i;
	int null;

	(void)setsid(); /* it cannot fail in a child */
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_NAME, "xdpmig-keeper");
	(void)prctl(PR_SET_DUMPABLE, 0); /* nobody takes its descriptors */
	for (i = 0; i < n; i++)          /* out of the way */
		*fds[i] = fcntl(*fds[i], F_DUPFD, 3 + (int)n);
	for (i = 0; i < n; i++)
		*fds[i] = dup2(*fds[i], 3 + (int)i);
	(void)close_range(3 + n, ~0u, 0);
	null = open("/dev/null", O_RDWR);
	for (i = 0; i < 3; i++)
		(void)dup2(null, (int)i);
	(void)fd_close(null);
	if (chdir("/"))
		_exit(1);
	/* Not before the fork: it is the listener whom clients are told of. */
	if (listen(k->listen_fd, BACKLOG))
		(void)xm_fail(&e, -errno, XM_REASON_INTERNAL, "%s: listen: %s",
			      k->path.s, strerror(errno));
	else
		(void)priv_confine(PRIV_KEEPER, caps, &e);
	/* @ready says that it is there, or why not. */
	(void)!write(k->ready_fd, &e, sizeof(e));
	k->ready_fd = fd_close(k->ready_fd);
	if (e.err)
		_exit(1);
	keep(k);
}

/* -- attach ----------------------------------------------------------------------- */

static int make_listener(struct keeping *k, struct xm_error *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct keeper_path dir = keeper_path(0);

	k->path = keeper_path(k->ifindex);
	strcpy(sa.sun_path, k->path.s);
	if (mkdir(dir.s, 0755) ? errno != EEXIST : chmod(dir.s, 0755))
		return xm_fail(e, -errno, XM_REASON_PERMISSION, "%s: %s", dir.s,
			       strerror(errno));
	(void)unlink(sa.sun_path); /* of a keeper that was killed */
	k->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	/* Nobody can connect before the keeper listens, and then the mode is
	 * right. */
	if (k->listen_fd < 0 ||
	    bind(k->listen_fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    chmod(sa.sun_path, 0660) || lchown(sa.sun_path, k->user, 0))
		return xm_fail(e, -errno, XM_REASON_PERMISSION,
			       "%s: cannot listen there for user %u: %s",
			       sa.sun_path, k->user, strerror(errno));
	return 0;
}

static int make_link_watch(struct keeping *k, struct xm_error *e)
{
	const struct sockaddr_nl sa = { .nl_family = AF_NETLINK,
					.nl_groups = RTMGRP_LINK };

	k->link_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (k->link_fd < 0 ||
	    bind(k->link_fd, (const struct sockaddr *)&sa, sizeof(sa)))
		return xm_fail(e, -errno, XM_REASON_INTERNAL,
			       "keeper: netlink: %s", strerror(errno));
	return 0;
}

static int fork_keeper(struct keeping *k, struct xm_error *e)
{
	struct xm_error its = { 0 };
	int pair[2];
	ssize_t n;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC))
		return xm_fail(e, -errno, XM_REASON_INTERNAL, "keeper: %s",
			       strerror(errno));
	k->ready_fd = pair[1];
	pid = fork();
	if (!pid)
		be_keeper(k);
	(void)fd_close(pair[1]);
	n = pid < 0 ? -errno : read(pair[0], &its, sizeof(its));
	(void)fd_close(pair[0]);
	if (n < 0)
		return xm_fail(e, (int)n, XM_REASON_MEMORY,
			       "no process for the keeper: %s",
			       strerror((int)-n));
	if (n != sizeof(its))
		return xm_fail(e, -EPIPE, XM_REASON_INTERNAL,
			       "the keeper (process %d) ended at once",
			       (int)pid);
	return its.err ? xm_fail(e, its.err, its.reason, "%s", its.msg) : 0;
}

int keeper_start(const struct steer *s, uid_t user, struct xm_error *e)
{
	struct keeping k = { .listen_fd = -1,
			     .link_fd = -1,
			     .maps = { s->prog_fd, s->slots_fd, s->xsks_fd,
				       s->verdicts_fd, s->conf_fd },
			     .ifindex = s->ifindex,
			     .user = user };
	const struct xsk_stock_opts try = { .ifname = s->info.ifname, .n = 1 };
	int fd, r;

	fd = xsk_stock_socket(&try, e); /* what it will be asked for */
	if (fd < 0)
		return fd;
	(void)fd_close(fd);
	r = make_listener(&k, e);
	if (!r)
		r = make_link_watch(&k, e);
	if (!r)
		r = fork_keeper(&k, e);
	if (r)
		(void)unlink(k.path.s);
	(void)fd_close(k.listen_fd);
	(void)fd_close(k.link_fd);
	return r;
}
