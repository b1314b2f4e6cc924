// SPDX-License-Identifier: GPL-2.0-or-later
/* test_tls_stream.c - bytes under TLS: slow, cut, forged, from who speaks none */
#include "ctl/trust.h"

#include "../lib/t_tls.h"

#define BIG ((uint32_t)XM_MSG_MAX - XM_MSG_HEADER)

/* Until @n messages of @type are there, in order, each @body long. */
static void t_take(struct t_tls *t, struct ctl *from, struct ctl *to,
		   uint8_t type, uint32_t body, unsigned int n)
{
	const void *got;
	unsigned int i;
	size_t len;
	uint8_t *m = t_msg_make(type, body);
	int r;

	(void)t;
	for (i = 0; n && i < 10000000; i++) {
		assert_int_equal(ctl_flush(from, NULL), 0);
		r = ctl_recv(to, &got, &len, NULL);
		if (r == -EAGAIN)
			continue;
		assert_int_equal(r, 0);
		assert_int_equal(len, XM_MSG_HEADER + body);
		assert_memory_equal(got, m, len);
		n--;
	}
	assert_int_equal(n, 0);
	free(m);
}

static void read__messages_of_every_size(void **state)
{
	static const uint32_t size[] = { 0,     1,     8,     16375,
					 16376, 16377, 40000, BIG };
	struct t_tls *t = *state;
	size_t i;

	t_connect_key(t);
	for (i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
		assert_int_equal(t_msg_send(t->c.ctl, 3, size[i], NULL), 0);
		t_take(t, t->c.ctl, t->s.ctl, 3, size[i], 1);
		assert_int_equal(t_msg_send(t->s.ctl, 4, size[i], NULL), 0);
		t_take(t, t->s.ctl, t->c.ctl, 4, size[i], 1);
	}
}

/* More than the sockets hold: records are written in parts, and go on. */
static void write__in_parts(void **state)
{
	struct t_tls *t = *state;
	unsigned int i;

	t_connect_key(t);
	t->c.sock->step = 1000;
	for (i = 0; i < 30; i++)
		assert_int_equal(t_msg_send(t->c.ctl, 5, BIG, NULL), 0);
	assert_true(ctl_wants_write(t->c.ctl));
	/* nothing comes twice, nothing is missing; also what was queued later */
	t_take(t, t->c.ctl, t->s.ctl, 5, BIG, 10);
	for (i = 0; i < 10; i++)
		assert_int_equal(t_msg_send(t->c.ctl, 5, BIG, NULL), 0);
	t_take(t, t->c.ctl, t->s.ctl, 5, BIG, 30);
	assert_false(ctl_wants_write(t->c.ctl));
}

static void handshake__a_byte_at_a_time(void **state)
{
	struct t_tls *t = *state;

	t_trust_key(t, &t->c, 'a');
	t_trust_key(t, &t->s, 'a');
	t_secure(t);
	t->c.sock->step = t->s.sock->step = 1;
	t_shake(t);
	assert_int_equal(t->c.r, 0);
	assert_int_equal(t->s.r, 0);
	assert_int_equal(t_msg_send(t->c.ctl, 6, 500, NULL), 0);
	t_take(t, t->c.ctl, t->s.ctl, 6, 500, 1);
}

/* Of who is slow nothing is lost, and nobody waits for him. */
static void handshake__slow_peer_is_waited_for(void **state)
{
	struct t_tls *t = *state;
	struct xm_error e = { 0 };

	t_trust_key(t, &t->c, 'a');
	t_trust_key(t, &t->s, 'a');
	t_secure(t);
	assert_int_equal(ctl_handshake(t->s.ctl, &e), -EAGAIN);
	assert_false(ctl_wants_write(t->s.ctl));
	/* while it goes on nothing of a message crosses */
	assert_int_equal(t_msg_send(t->s.ctl, 1, 10, &e), 0);
	assert_int_equal(t_recv_err(t->s.ctl, &e), -EAGAIN);
	assert_int_equal(ctl_handshake_unless(t->s.ctl, 30, -1, &e),
			 -ETIMEDOUT);
	assert_int_equal(e.reason, XM_REASON_CONNECT);
	t_shake(t);
	assert_int_equal(t->c.r, 0);
	assert_int_equal(ctl_flush(t->s.ctl, NULL), 0);
	t_msg_expect(t->c.ctl, 1, 10);
}

static void handshake__cancelled(void **state)
{
	struct t_tls *t = *state;
	int fd[2];

	t_trust_key(t, &t->c, 'a');
	t_trust_key(t, &t->s, 'a');
	t_secure(t);
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], "x", 1), 1);
	assert_int_equal(ctl_handshake_unless(t->c.ctl, 5000, fd[0], NULL),
			 -ECANCELED);
	t_shake(t); /* and may go on */
	assert_int_equal(t->c.r, 0);
	assert_int_equal(t->s.r, 0);
	close(fd[0]);
	close(fd[1]);
}

/* -- who speaks no TLS ------------------------------------------------------------------ */

/* A raw peer of the server: it says @p, and hangs up if it @leaves. */
static int t_raw(struct t_tls *t, const void *p, size_t len, bool leaves)
{
	unsigned int i;
	int r = -EAGAIN;

	t_trust_key(t, &t->s, 'a');
	t_sockets(t);
	assert_int_equal(ctl_secure(t->s.ctl, t->s.trust, false, NULL), 0);
	if (len)
		assert_int_equal(send(ctl_fd(t->c.ctl), p, len, 0), len);
	if (leaves)
		shutdown(ctl_fd(t->c.ctl), SHUT_WR);
	for (i = 0; i < 1000 && r == -EAGAIN; i++)
		r = ctl_handshake(t->s.ctl, &t->s.e);
	return r;
}

static void handshake__garbage(void **state)
{
	static const char *const junk[] = {
		"GET / HTTP/1.1\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n",
		"\x16\x03\x01\x00\x05hello world",
		"\x17\x03\x03\x40\x00xxxxxxxxxxxx",
		"\x80\x2e\x01\x03\x01_______________"
	};
	struct t_tls *t = *state;
	size_t i;
	int r;

	for (i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
		memset(&t->s.e, 0, sizeof(t->s.e));
		r = t_raw(t, junk[i], i == 2 ? 16 : strlen(junk[i]), true);
		assert_true(r == -EPROTO || r == -EACCES || r == -EPIPE);
		assert_true(t->s.e.msg[0]);
		/* nothing more comes of it */
		assert_int_equal(t_msg_send(t->s.ctl, 1, 1, NULL), -EPIPE);
		while ((r = t_recv_err(t->s.ctl, NULL)) == -EAGAIN)
			;
		assert_int_equal(r, -EPIPE);
		ctl_close(t->c.ctl);
		ctl_close(t->s.ctl);
		ctl_trust_close(t->s.trust);
		t->s.trust = NULL;
		t->c.ctl = t->s.ctl = NULL;
	}
}

/* A record that is announced and never comes holds no memory worth mentioning. */
static void handshake__half_a_record(void **state)
{
	struct t_tls *t = *state;

	assert_int_equal(t_raw(t, "\x16\x03\x01\x40\x00\x01", 6, false),
			 -EAGAIN);
	shutdown(ctl_fd(t->c.ctl), SHUT_WR);
	assert_int_equal(ctl_handshake(t->s.ctl, &t->s.e), -EPIPE);
	assert_int_equal(t->s.e.reason, XM_REASON_PEER_LOST);
}

static void handshake__peer_leaves(void **state)
{
	struct t_tls *t = *state;

	assert_int_equal(t_raw(t, "", 0, true), -EPIPE);
	assert_non_null(strstr(t->s.e.msg, "before it had said who it is"));
}

/* The client is plain: it is told in its own language, and can read that. */
static void handshake__plain_client(void **state)
{
	struct t_tls *t = *state;
	static struct xm_msg msg;
	const void *raw;
	size_t len;

	t_trust_key(t, &t->s, 'a');
	t_sockets(t);
	assert_int_equal(ctl_secure(t->s.ctl, t->s.trust, false, NULL), 0);
	assert_int_equal(t_msg_send(t->c.ctl, 1, 3000, NULL), 0);
	assert_int_equal(ctl_handshake(t->s.ctl, &t->s.e), -EPROTO);
	assert_int_equal(t->s.e.reason, XM_REASON_REFUSED);
	assert_non_null(strstr(t->s.e.msg, "--insecure"));
	ctl_end(t->s.ctl);
	assert_int_equal(ctl_recv(t->c.ctl, &raw, &len, NULL), 0);
	assert_int_equal(xm_msg_get(&msg, raw, len), 0);
	assert_int_equal(msg.type, XM_MSG_ABORT);
	assert_int_equal(msg.abort.reason, XM_REASON_REFUSED);
	assert_non_null(strstr(msg.abort.text, "TLS"));
	/* what it has said is thrown away until it hangs up */
	assert_int_equal(t_recv_err(t->s.ctl, NULL), -EAGAIN);
	shutdown(ctl_fd(t->c.ctl), SHUT_WR);
	assert_int_equal(t_recv_err(t->s.ctl, NULL), -EPIPE);
}

static void handshake__plain_server(void **state)
{
	struct t_tls *t = *state;
	struct xm_error e = { 0 };

	t_trust_key(t, &t->c, 'a');
	t_sockets(t);
	assert_int_equal(ctl_secure(t->c.ctl, t->c.trust, true, NULL), 0);
	assert_int_equal(ctl_handshake(t->c.ctl, &t->c.e), -EAGAIN);
	/* it takes the ClientHello for a message */
	assert_int_equal(t_recv_err(t->s.ctl, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "speaks TLS"));
	assert_non_null(strstr(e.msg, "--insecure"));
	shutdown(ctl_fd(t->s.ctl), SHUT_WR);
	assert_int_equal(ctl_handshake(t->c.ctl, &t->c.e), -EPIPE);
	assert_non_null(strstr(t->c.e.msg, "started with --insecure?"));
}

static void handshake__plain_server_that_talks(void **state)
{
	struct t_tls *t = *state;

	t_trust_key(t, &t->c, 'a');
	t_sockets(t);
	assert_int_equal(ctl_secure(t->c.ctl, t->c.trust, true, NULL), 0);
	assert_int_equal(t_msg_send(t->s.ctl, 10, 5, NULL), 0);
	assert_int_equal(ctl_handshake(t->c.ctl, &t->c.e), -EPROTO);
	assert_non_null(strstr(t->c.e.msg, "speaks plain TCP"));
}

/* A client with the right key that is none of ours: of @alpn, or none.  How its
 * handshake ended; the server's is in t->s. */
static int t_foreign(struct t_tls *t, const char *alpn)
{
	gnutls_datum_t name = { (unsigned char *)alpn, 0 };
	gnutls_session_t c;
	int i, r = GNUTLS_E_AGAIN;

	t_trust_key(t, &t->c, 'a');
	t_trust_key(t, &t->s, 'a');
	t_sockets(t);
	assert_int_equal(ctl_secure(t->s.ctl, t->s.trust, false, NULL), 0);
	t->s.r = -EAGAIN;
	assert_int_equal(gnutls_init(&c, GNUTLS_CLIENT | GNUTLS_NONBLOCK), 0);
	assert_int_equal(gnutls_priority_set_direct(
				 c, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+ECDHE-PSK",
				 NULL),
			 0);
	assert_int_equal(trust_lend(t->c.trust, c, true, NULL), 0);
	if (alpn) {
		name.size = (unsigned int)strlen(alpn);
		assert_int_equal(gnutls_alpn_set_protocols(c, &name, 1, 0), 0);
	}
	assert_int_equal(fcntl(ctl_fd(t->c.ctl), F_SETFL, O_NONBLOCK), 0);
	gnutls_transport_set_int(c, ctl_fd(t->c.ctl));
	for (i = 0; i < 1000 && (r == GNUTLS_E_AGAIN || t->s.r == -EAGAIN);
	     i++) {
		if (r == GNUTLS_E_AGAIN)
			r = gnutls_handshake(c);
		t_turn(&t->s);
	}
	gnutls_deinit(c);
	return r;
}

static void handshake__our_alpn(void **state)
{
	struct t_tls *t = *state;

	assert_int_equal(t_foreign(t, "xdpmig/1"), 0);
	assert_int_equal(t->s.r, 0);
}

/* Of another protocol that uses the same keys. */
static void handshake__other_alpn(void **state)
{
	struct t_tls *t = *state;

	assert_int_equal(t_foreign(t, "h2"), GNUTLS_E_FATAL_ALERT_RECEIVED);
	assert_int_equal(t->s.r, -EPROTO);
	assert_int_equal(t->s.e.reason, XM_REASON_REFUSED);
}

static void handshake__no_alpn(void **state)
{
	struct t_tls *t = *state;

	(void)t_foreign(t, NULL);
	assert_int_equal(t->s.r, -EPROTO);
	assert_int_equal(t_msg_send(t->s.ctl, 1, 1, NULL), -EPIPE);
}

/* Both ends have the key, and the client wants TLS as @priority has it. */
static void t_expect_no_tls(struct t_tls *t, const char *priority)
{
	t_trust_key(t, &t->c, 'a');
	t_trust_key(t, &t->s, 'a');
	t_secure(t);
	assert_int_equal(gnutls_priority_set_direct(ctl_tls_session(t->c.ctl),
						    priority, NULL),
			 0);
	t_shake(t);
	assert_true(t->s.r < 0 && t->s.r != -EAGAIN);
	assert_true(t->c.r < 0 && t->c.r != -EAGAIN);
}

static void handshake__tls_1_2(void **state)
{
	t_expect_no_tls(
		*state,
		"NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-PSK:+PSK");
}

/* A key without (EC)DHE would be TLS 1.3 all right, but not for us. */
static void handshake__no_forward_secrecy(void **state)
{
	t_expect_no_tls(*state, "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+PSK");
}

/* -- ends ------------------------------------------------------------------------------------ */

static void end__said(void **state)
{
	struct t_tls *t = *state;
	struct xm_error e = { 0 };

	t_connect_key(t);
	assert_int_equal(t_msg_send(t->c.ctl, 1, 10, NULL), 0);
	ctl_end(t->c.ctl);
	t_msg_expect(t->s.ctl, 1, 10);
	assert_int_equal(t_recv_err(t->s.ctl, &e), -EPIPE);
	assert_non_null(strstr(e.msg, "closed the control connection"));
	/* the other way is open */
	assert_int_equal(t_msg_send(t->s.ctl, 2, 10, NULL), 0);
	t_msg_expect(t->c.ctl, 2, 10);
}

static void end__cut(void **state)
{
	struct t_tls *t = *state;
	struct xm_error e = { 0 };

	t_connect_key(t);
	assert_int_equal(t_msg_send(t->c.ctl, 1, 10, NULL), 0);
	shutdown(ctl_fd(t->c.ctl), SHUT_WR);
	t_msg_expect(t->s.ctl, 1, 10);
	assert_int_equal(t_recv_err(t->s.ctl, &e), -EPIPE);
	assert_non_null(strstr(e.msg, "it was cut"));
	assert_int_equal(e.reason, XM_REASON_PEER_LOST);
	assert_int_equal(t_recv_err(t->s.ctl, NULL), -EPIPE);
}

/* It waits for a socket that is full. */
static void end__behind_what_is_queued(void **state)
{
	struct t_tls *t = *state;
	struct xm_error e = { 0 };
	unsigned int i;

	t_connect_key(t);
	for (i = 0; i < 20; i++)
		assert_int_equal(t_msg_send(t->c.ctl, 5, BIG, NULL), 0);
	t_take(t, t->c.ctl, t->s.ctl, 5, BIG, 20);
	/* to the brim, with what is no record of ours to send */
	ctl_end(t->c.ctl);
	assert_int_equal(ctl_flush(t->c.ctl, NULL), 0);
	assert_false(ctl_wants_write(t->c.ctl));
	assert_int_equal(t_recv_err(t->s.ctl, &e), -EPIPE);
	assert_non_null(strstr(e.msg, "closed the control connection"));
}

/* One bit on the way. */
static void read__forged(void **state)
{
	struct t_tls *t = *state;
	struct xm_error e = { 0 };
	uint8_t raw[400];
	ssize_t n;

	t_connect_key(t);
	assert_int_equal(t_msg_send(t->c.ctl, 1, 100, NULL), 0);
	n = recv(ctl_fd(t->s.ctl), raw, sizeof(raw), MSG_DONTWAIT);
	assert_true(n > 100);
	raw[n / 2] ^= 1;
	assert_int_equal(send(ctl_fd(t->c.ctl), raw, (size_t)n, 0), n);
	assert_int_equal(t_recv_err(t->s.ctl, &e), -EBADMSG);
	assert_int_equal(e.reason, XM_REASON_PROTOCOL);
	assert_int_equal(t_recv_err(t->s.ctl, NULL), -EBADMSG);
}

/* The same record twice. */
static void read__replayed(void **state)
{
	struct t_tls *t = *state;
	uint8_t raw[400];
	ssize_t n;

	t_connect_key(t);
	assert_int_equal(t_msg_send(t->c.ctl, 1, 100, NULL), 0);
	n = recv(ctl_fd(t->s.ctl), raw, sizeof(raw), MSG_DONTWAIT);
	assert_true(n > 100);
	assert_int_equal(send(ctl_fd(t->c.ctl), raw, (size_t)n, 0), n);
	assert_int_equal(send(ctl_fd(t->c.ctl), raw, (size_t)n, 0), n);
	t_msg_expect(t->s.ctl, 1, 100);
	assert_int_equal(t_recv_err(t->s.ctl, NULL), -EBADMSG);
}

/* -- new keys -------------------------------------------------------------------------------- */

static void rekey__both_ways(void **state)
{
	struct t_tls *t = *state;
	unsigned int i;

	t_connect_key(t);
	for (i = 0; i < 3; i++) {
		assert_int_equal(
			gnutls_session_key_update(ctl_tls_session(t->c.ctl),
						  GNUTLS_KU_PEER),
			0);
		assert_int_equal(t_msg_send(t->c.ctl, 1, 40000, NULL), 0);
		t_take(t, t->c.ctl, t->s.ctl, 1, 40000, 1);
		assert_int_equal(t_msg_send(t->s.ctl, 2, 40000, NULL), 0);
		t_take(t, t->s.ctl, t->c.ctl, 2, 40000, 1);
	}
}

/* Asked for in the middle of a record that is written in part. */
static void rekey__while_sending(void **state)
{
	struct t_tls *t = *state;
	unsigned int i;

	t_connect_key(t);
	for (i = 0; i < 20; i++)
		assert_int_equal(t_msg_send(t->s.ctl, 5, BIG, NULL), 0);
	assert_true(ctl_wants_write(t->s.ctl));
	assert_int_equal(gnutls_session_key_update(ctl_tls_session(t->c.ctl),
						   GNUTLS_KU_PEER),
			 0);
	assert_int_equal(t_msg_send(t->c.ctl, 1, 10, NULL), 0);
	t_msg_expect(t->s.ctl, 1, 10);
	t_take(t, t->s.ctl, t->c.ctl, 5, BIG, 20);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, t_tls_setup, t_tls_teardown)
	const struct CMUnitTest tests[] = {
		T(read__messages_of_every_size),
		T(write__in_parts),
		T(handshake__a_byte_at_a_time),
		T(handshake__slow_peer_is_waited_for),
		T(handshake__cancelled),
		T(handshake__garbage),
		T(handshake__half_a_record),
		T(handshake__peer_leaves),
		T(handshake__plain_client),
		T(handshake__plain_server),
		T(handshake__plain_server_that_talks),
		T(handshake__our_alpn),
		T(handshake__other_alpn),
		T(handshake__no_alpn),
		T(handshake__tls_1_2),
		T(handshake__no_forward_secrecy),
		T(end__said),
		T(end__cut),
		T(end__behind_what_is_queued),
		T(read__forged),
		T(read__replayed),
		T(rekey__both_ways),
		T(rekey__while_sending),
	};

	return cmocka_run_group_tests_name("tls_stream", tests, NULL, NULL);
}
