// SPDX-License-Identifier: GPL-2.0-or-later
/* tcp.c - the control connection's byte stream, over TCP
 *
 * What TCP is asked for, and why:
 *
 *   TCP_NODELAY       messages are whole when they are sent; one of them is
 *                     COMMIT, and the guest stands still while it travels
 *   keepalive         a peer whose host died says nothing: noticed after
 *                     XM_CTL_STALL_MS, as the heartbeat would
 *   TCP_USER_TIMEOUT  the same while data of ours is unacknowledged; without
 *                     it the kernel retransmits for 15 minutes
 *
 * The connection belongs to no device: the kernel routes it as it likes.  The
 * data plane follows its addresses, not the other way round.
 *
 * Failures to connect are told apart, for each of them has another remedy:
 * nobody listens, no route, no answer, an address that is not ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "stream.h"
#include "trust.h"
#include "util/fd.h"
#include "util/now.h"
#include "xdpmig/limits.h"

#define KEEPALIVE_IDLE_S 4
#define KEEPALIVE_EACH_S 2
#define KEEPALIVE_PROBES \
	((XM_CTL_STALL_MS / 1000 - KEEPALIVE_IDLE_S) / KEEPALIVE_EACH_S)
#define BACKLOG 64 /* one peer is served; the others are told so */

/* -- the stream --------------------------------------------------------------- */

static int tcp_lost(const struct ctl_stream *s, int err, struct xm_error *e)
{
	char peer[64];

	return xm_fail(e, -err, XM_REASON_PEER_LOST,
		       "control connection to %s is lost: %s",
		       ctl_addr_text(&s->peer, peer, sizeof(peer)),
		       strerror(err));
}

static ssize_t tcp_read(struct ctl_stream *s, void *buf, size_t len,
			struct xm_error *e)
{
	ssize_t n;

	do
		n = recv(s->fd, buf, len, 0);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN ? -EAGAIN : tcp_lost(s, errno, e);
}

static ssize_t tcp_write(struct ctl_stream *s, const void *buf, size_t len,
			 struct xm_error *e)
{
	ssize_t n;

	do
		n = send(s->fd, buf, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN ? -EAGAIN : tcp_lost(s, errno, e);
}

static void tcp_end(struct ctl_stream *s)
{
	(void)shutdown(s->fd, SHUT_WR); /* the peer is gone: as good as ended */
}

/* What TCP has to send on its own is the kernel's business. */
static bool tcp_wants_write(const struct ctl_stream *s)
{
	(void)s;
	return false;
}

static void tcp_close(struct ctl_stream *s)
{
	s->fd = fd_close(s->fd);
	free(s);
}

static const struct ctl_stream_ops tcp_ops = {
	.read = tcp_read,
	.write = tcp_write,
	.end = tcp_end,
	.wants_write = tcp_wants_write,
	.close = tcp_close,
};

/* An IPv4 peer of a socket that listens on "::" is an IPv4 peer: the data
 * plane must write IPv4 headers to it. */
static void addr_unmap(struct ctl_addr *a)
{
	struct sockaddr_in6 six;
	struct sockaddr_in four = { .sin_family = AF_INET };

	if (a->ss.ss_family != AF_INET6)
		return;
	memcpy(&six, &a->ss, sizeof(six));
	if (!IN6_IS_ADDR_V4MAPPED(&six.sin6_addr))
		return;
	four.sin_port = six.sin6_port;
	memcpy(&four.sin_addr, &six.sin6_addr.s6_addr[12], 4);
	memset(&a->ss, 0, sizeof(a->ss));
	memcpy(&a->ss, &four, sizeof(four));
	a->len = sizeof(four);
}

static int tcp_tune(int fd)
{
	static const struct {
		int level, name, value;
	} opt[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EACH_S },
		{ IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, XM_CTL_STALL_MS },
	};
	size_t i;

	for (i = 0; i < sizeof(opt) / sizeof(opt[0]); i++)
		if (setsockopt(fd, opt[i].level, opt[i].name, &opt[i].value,
			       sizeof(opt[i].value)))
			return -errno;
	return 0;
}

int ctl_tcp_wrap(struct ctl_stream **ret_stream, int fd, struct xm_error *e)
{
	struct ctl_stream *s = calloc(1, sizeof(*s));
	int r = -ENOMEM;

	if (!s)
		goto err_close;
	s->ops = &tcp_ops;
	s->fd = fd;
	s->peer.len = sizeof(s->peer.ss);
	s->local.len = sizeof(s->local.ss);
	if (getpeername(fd, (struct sockaddr *)&s->peer.ss, &s->peer.len) ||
	    getsockname(fd, (struct sockaddr *)&s->local.ss, &s->local.len)) {
		r = -errno;
		goto err_free;
	}
	addr_unmap(&s->peer);
	addr_unmap(&s->local);
	r = tcp_tune(fd);
	if (r)
		goto err_free;
	*ret_stream = s;
	return 0;
err_free:
	free(s);
err_close:
	fd_close(fd);
	return xm_fail(e, r, XM_REASON_CONNECT,
		       "cannot set up the control connection: %s",
		       strerror(-r));
}

/* -- connecting --------------------------------------------------------------- */

static int connect_failed(const struct ctl_addr *peer, int err,
			  struct xm_error *e)
{
	char text[64];
	const char *hint;

	switch (err) {
	case ECONNREFUSED:
		hint = "; is 'xdpmig recv' running there, on this port?";
		break;
	case ENETUNREACH:
		hint = "; there is no route to it, see 'ip route get'";
		break;
	case EHOSTUNREACH:
		hint = "; it does not answer on its link, or a router or "
		       "firewall refused";
		break;
	case ETIMEDOUT:
		hint = "; no answer: is the address right, and the port open "
		       "in the firewall?";
		break;
	case EINTR:
		return xm_fail(e, -err, XM_REASON_CANCELLED,
			       "interrupted while connecting to %s",
			       ctl_addr_text(peer, text, sizeof(text)));
	default:
		hint = "";
	}
	return xm_fail(e, -err, XM_REASON_CONNECT, "cannot connect to %s: %s%s",
		       ctl_addr_text(peer, text, sizeof(text)), strerror(err),
		       hint);
}

/* Wait for the outcome of a connect() in progress.  0 or a positive errno. */
static int connect_wait(int fd, int timeout_ms, int cancel_fd)
{
	int64_t end = now_ms() + timeout_ms, left;
	struct pollfd p[] = { { .fd = fd, .events = POLLOUT },
			      { .fd = cancel_fd, .events = POLLIN } };
	socklen_t len = sizeof(int);
	int r, err = 0;

	left = timeout_ms;
	do
		r = poll(p, 2, left > INT_MAX ? INT_MAX : (int)left);
	while (!r && (left = end - now_ms()) > 0);
	if (r < 0)
		return errno;
	if (!r)
		return ETIMEDOUT;
	if (p[1].revents)
		return ECANCELED;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
		return errno;
	return err;
}

int ctl_connect(struct ctl **ret_ctl, const struct ctl_addr *peer,
		const struct ctl_addr *src, int timeout_ms, struct xm_error *e)
{
	return ctl_connect_unless(ret_ctl, peer, src, timeout_ms, -1, e);
}

int ctl_connect_unless(struct ctl **ret_ctl, const struct ctl_addr *peer,
		       const struct ctl_addr *src, int timeout_ms,
		       int cancel_fd, struct xm_error *e)
{
	int fd fd_cleanup = -1;
	struct ctl_stream *s = NULL;
	char text[64];
	int r;

	fd = socket(peer->ss.ss_family,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return connect_failed(peer, errno, e);
	if (src && bind(fd, (const struct sockaddr *)&src->ss, src->len))
		return xm_fail(e, -errno, XM_REASON_CONNECT,
			       "cannot connect from %s: %s",
			       ctl_addr_text(src, text, sizeof(text)),
			       strerror(errno));
	r = 0;
	if (connect(fd, (const struct sockaddr *)&peer->ss, peer->len))
		r = errno == EINPROGRESS ?
			    connect_wait(fd, timeout_ms, cancel_fd) :
			    errno;
	if (r == ECANCELED)
		return -r;
	if (r)
		return connect_failed(peer, r, e);
	r = ctl_tcp_wrap(&s, fd_steal(&fd), e);
	return r ? r : ctl_new(ret_ctl, s, e);
}

int ctl_handshake_unless(struct ctl *ctl, int timeout_ms, int cancel_fd,
			 struct xm_error *e)
{
	int64_t end = now_ms() + timeout_ms, left = timeout_ms;
	struct pollfd p[] = { { .fd = ctl_fd(ctl) },
			      { .fd = cancel_fd, .events = POLLIN } };
	char text[64];
	int r;

	while ((r = ctl_handshake(ctl, e)) == -EAGAIN) {
		if (left <= 0)
			return xm_fail(e, -ETIMEDOUT, XM_REASON_CONNECT,
				       "%s did not finish the TLS handshake in "
				       "time",
				       ctl_addr_text(ctl_peer(ctl), text,
						     sizeof(text)));
		p[0].events = ctl_wants_write(ctl) ? POLLIN | POLLOUT : POLLIN;
		r = poll(p, 2, left > INT_MAX ? INT_MAX : (int)left);
		if (r > 0 && p[1].revents)
			return -ECANCELED;
		left = end - now_ms();
	}
	return r;
}

/* -- listening ---------------------------------------------------------------- */

static int listen_failed(const struct ctl_addr *addr, int err,
			 struct xm_error *e)
{
	const char *hint = "";
	char text[64];

	if (err == EADDRINUSE)
		hint = "; another 'xdpmig recv' may be waiting there: choose "
		       "another port";
	else if (err == EADDRNOTAVAIL)
		hint = "; it is not an address of this host";
	return xm_fail(e, -err, XM_REASON_CONNECT, "cannot listen on %s: %s%s",
		       ctl_addr_text(addr, text, sizeof(text)), strerror(err),
		       hint);
}

int ctl_listen(int *ret_fd, const struct ctl_addr *addr, struct xm_error *e)
{
	int fd fd_cleanup = -1;
	int on = 1;

	fd = socket(addr->ss.ss_family,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (const struct sockaddr *)&addr->ss, addr->len) ||
	    listen(fd, BACKLOG))
		return listen_failed(addr, errno, e);
	*ret_fd = fd_steal(&fd);
	return 0;
}

/* accept(2): on Linux these are failures of the one connection, which is gone
 * already; the next may be better. */
static bool accept_is_transient(int err)
{
	switch (err) {
	case EAGAIN:
	case EINTR:
	case ECONNABORTED:
	case ENETDOWN:
	case EPROTO:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
		return true;
	default:
		return false;
	}
}

int ctl_accept(struct ctl **ret_ctl, int listen_fd, struct xm_error *e)
{
	struct xm_error failed = { 0 };
	struct ctl_stream *s = NULL;
	int fd, r;

	fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (accept_is_transient(errno))
			return -EAGAIN;
		return xm_fail(e, -errno, XM_REASON_CONNECT,
			       "cannot accept a control connection: %s",
			       strerror(errno));
	}
	r = ctl_tcp_wrap(&s, fd, &failed);
	if (r == -ENOTCONN) /* reset while it was waiting */
		return -EAGAIN;
	if (r)
		return xm_fail(e, r, failed.reason, "%s", failed.msg);
	return ctl_new(ret_ctl, s, e);
}
