/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_tls.h - two ends of a control connection over a socketpair, and what they are
 * given to trust
 */
#ifndef T_TLS_H
#define T_TLS_H

#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "ctl/stream.h"
#include "ctl/trust_priv.h"
#include "t_cert.h"
#include "t_msg.h"

/* A socketpair's end as a stream. */
struct t_sock {
	struct ctl_stream s;
	size_t step; /* bytes a write takes at most, and a read gives */
};

static inline ssize_t t_sock_read(struct ctl_stream *s, void *buf, size_t len,
				  struct xm_error *e)
{
	size_t step = ((struct t_sock *)s)->step;
	ssize_t n = recv(s->fd, buf, len < step ? len : step, MSG_DONTWAIT);

	if (n >= 0 || errno == EAGAIN)
		return n < 0 ? -EAGAIN : n;
	return xm_fail(e, -errno, XM_REASON_PEER_LOST, "read: %s",
		       strerror(errno));
}

static inline ssize_t t_sock_write(struct ctl_stream *s, const void *buf,
				   size_t len, struct xm_error *e)
{
	size_t step = ((struct t_sock *)s)->step;
	ssize_t n = send(s->fd, buf, len < step ? len : step,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n >= 0 || errno == EAGAIN)
		return n < 0 ? -EAGAIN : n;
	return xm_fail(e, -errno, XM_REASON_PEER_LOST, "write: %s",
		       strerror(errno));
}

static inline void t_sock_end(struct ctl_stream *s)
{
	shutdown(s->fd, SHUT_WR);
}

static inline bool t_sock_wants_write(const struct ctl_stream *s)
{
	(void)s;
	return false;
}

static inline void t_sock_close(struct ctl_stream *s)
{
	close(s->fd);
	free(s);
}

static const struct ctl_stream_ops t_sock_ops = {
	.read = t_sock_read,
	.write = t_sock_write,
	.end = t_sock_end,
	.wants_write = t_sock_wants_write,
	.close = t_sock_close,
};

static inline struct ctl *t_sock_ctl(int fd)
{
	struct t_sock *s = calloc(1, sizeof(*s));
	struct ctl *ctl;

	assert_non_null(s);
	s->s.ops = &t_sock_ops;
	s->s.fd = fd;
	s->step = SIZE_MAX;
	assert_int_equal(ctl_new(&ctl, &s->s, NULL), 0);
	return ctl;
}

/* One end, its trust, and how its handshake went. */
struct t_end {
	struct ctl *ctl;
	struct t_sock *sock;
	struct ctl_trust *trust;
	int r;
	struct xm_error e;
};

struct t_tls {
	char dir[64];
	struct t_end c, s; /* client, server */
	bool has_ca;
	struct t_ca ca, other_ca;
	struct t_cert client, server;
};

static inline int t_tls_setup(void **state)
{
	struct t_tls *t = calloc(1, sizeof(*t));

	strcpy(t->dir, "/tmp/xm-tls-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	*state = t;
	return 0;
}

static inline int t_tls_teardown(void **state)
{
	struct t_tls *t = *state;
	char line[100];

	ctl_close(t->c.ctl);
	ctl_close(t->s.ctl);
	ctl_trust_close(t->c.trust);
	ctl_trust_close(t->s.trust);
	if (t->has_ca) {
		t_ca_free(&t->ca);
		t_ca_free(&t->other_ca);
	}
	snprintf(line, sizeof(line), "rm -r %s", t->dir);
	assert_int_equal(system(line), 0);
	free(t);
	return 0;
}

static inline const char *t_path(const struct t_tls *t, const char *name)
{
	static char path[2][128];
	static int i;

	i ^= 1;
	snprintf(path[i], sizeof(path[i]), "%s/%s", t->dir, name);
	return path[i];
}

static inline void t_trust(struct t_end *end, const struct ctl_trust_files *f)
{
	struct xm_error e = { 0 };

	if (ctl_trust_open(&end->trust, f, &e))
		fail_msg("%s", e.msg);
}

/* A key file of @digit, which is its name too. */
static inline const char *t_key(const struct t_tls *t, const char *name,
				char digit)
{
	char line[80];
	const char *path = t_path(t, name);

	snprintf(line, sizeof(line), "name-%c:", digit);
	memset(line + 7, digit, 64);
	line[71] = '\n';
	t_file(path, 0600, line, 72);
	return path;
}

static inline void t_trust_key(struct t_tls *t, struct t_end *end, char digit)
{
	struct ctl_trust_files f = { .key = t_key(t, "key", digit) };

	t_trust(end, &f);
}

static inline void t_make_ca(struct t_tls *t)
{
	t_ca_make(&t->ca, t->dir, "ca");
	t_ca_make(&t->other_ca, t->dir, "other-ca");
	t->has_ca = true;
}

static inline void t_sockets(struct t_tls *t)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	t->c.ctl = t_sock_ctl(fd[0]);
	t->s.ctl = t_sock_ctl(fd[1]);
	t->c.sock = (struct t_sock *)ctl_get_stream(t->c.ctl);
	t->s.sock = (struct t_sock *)ctl_get_stream(t->s.ctl);
}

static inline void t_secure(struct t_tls *t)
{
	t_sockets(t);
	assert_int_equal(ctl_secure(t->c.ctl, t->c.trust, true, &t->c.e), 0);
	assert_int_equal(ctl_secure(t->s.ctl, t->s.trust, false, &t->s.e), 0);
	t->c.r = t->s.r = -EAGAIN;
}

static inline void t_turn(struct t_end *end)
{
	if (end->r == -EAGAIN)
		end->r = ctl_handshake(end->ctl, &end->e);
}

/* Both, until nothing moves any more. */
static inline void t_shake(struct t_tls *t)
{
	unsigned int i;

	for (i = 0; i < 20000 && (t->c.r == -EAGAIN || t->s.r == -EAGAIN);
	     i++) {
		t_turn(&t->c);
		t_turn(&t->s);
		/* one that failed hangs up, when it has said why */
		if (t->c.r && t->c.r != -EAGAIN && t->s.r == -EAGAIN)
			ctl_end(t->c.ctl);
		if (t->s.r && t->s.r != -EAGAIN && t->c.r == -EAGAIN)
			ctl_end(t->s.ctl);
	}
}

static inline void t_connect(struct t_tls *t)
{
	t_secure(t);
	t_shake(t);
	if (t->c.r || t->s.r)
		fail_msg("client %d (%s), server %d (%s)", t->c.r, t->c.e.msg,
			 t->s.r, t->s.e.msg);
}

/* Like t_connect(), with the same key. */
static inline void t_connect_key(struct t_tls *t)
{
	t_trust_key(t, &t->c, 'a');
	t_trust_key(t, &t->s, 'a');
	t_connect(t);
}

#endif
