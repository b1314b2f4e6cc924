// SPDX-License-Identifier: GPL-2.0-or-later
/* tls.c - the control connection as TLS 1.3, over another stream
 *
 * GnuTLS and not OpenSSL: both can do all that is needed; GnuTLS may be linked
 * by a program under GPL-2 (OpenSSL 3 only by one under GPL-3), its priority
 * strings say in a line what is allowed, reading and writing go through two
 * functions of ours, a cut is another result than an end, and it is what QEMU
 * uses, so a host has one TLS library to keep up to date.
 *
 * What is allowed (docs/protocol.md 6.6):
 *
 *   version       TLS 1.3 only: no renegotiation, no compression, no CBC
 *   key exchange  with a pre-shared key only psk_dhe_ke, so that a key which
 *                 is stolen later does not open what was recorded before
 *   resumption    none: no tickets are issued, so there is no 0-RTT either,
 *                 whose data could be replayed
 *   who           both ends: a key proves itself; a certificate must have been
 *                 signed by the CA, be in its time, be for this purpose, and
 *                 have the name that is demanded.  No peer goes without.
 *   ALPN          "xdpmig/1", demanded by both: a certificate of this CA that
 *                 serves something else is not taken for a receiver, nor does
 *                 another protocol's client get in
 *
 *              ctl_secure()              handshake done
 *   plain TCP ------------> SHAKING ----------------------> OPEN ----> BROKEN
 *                              |                              anything fatal
 *                              '-----> FAILED: an alert was sent; what the
 *                                      peer sends is thrown away, so that it
 *                                      can read the alert before a reset
 *
 * Reading and writing drive the handshake, too; but conductors drive it alone
 * first (ctl_handshake) and do nothing else for a peer before it is done.
 *
 * One end with TLS, the other without: the first byte tells, since no record of
 * TLS begins with the magic of a message.  A plain peer is told in its own
 * language, by an ABORT.
 *
 * What the library writes goes into a buffer of ours first, and from there to the
 * stream below.  So it never has a record that is written in part, which it
 * could not tell from the next when the peer asks for new keys in between.
 * There is never more than a record or a flight of a handshake in it: nothing
 * is encrypted before the last is gone.
 */
#include "trust_priv.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#define PRIORITY_BOTH                                             \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-X25519:" \
	"+GROUP-SECP256R1:-KX-ALL:-CIPHER-ALL:"
/* A pre-shared key has one hash, SHA-256: so have these ciphers' suites. */
#define PRIORITY_PSK PRIORITY_BOTH "+ECDHE-PSK:+AES-128-GCM:+CHACHA20-POLY1305"
#define PRIORITY_X509               \
	PRIORITY_BOTH               \
	"+ECDHE-ECDSA:+ECDHE-RSA:+" \
	"AES-256-GCM:+AES-128-GCM:+CHACHA20-POLY1305"
#define SHAKES_MAX 16 /* turns without news from the socket, at a time */

enum tls_state { TLS_SHAKING, TLS_OPEN, TLS_FAILED, TLS_BROKEN };

struct tls {
	struct ctl_stream s;
	struct ctl_stream *inner;
	gnutls_session_t session;
	gnutls_typed_vdata_st must[2]; /* what its certificate must be */
	enum tls_state state;
	bool is_client, is_psk;
	bool has_heard; /* a byte of the peer's */
	bool is_plain;  /* the peer speaks no TLS but our messages */
	bool is_ending; /* after what is in out, the stream below ends */
	bool is_dry;    /* there is nothing to read now */
	bool has_ended; /* the stream below did, rightly or not */
	struct {
		uint8_t *data;
		size_t head, tail, cap;
	} out; /* encrypted, to be written */
	struct xm_error inner_error;
	struct xm_error why; /* BROKEN */
	char peer[64];
};

static struct tls *tls_of(struct ctl_stream *s)
{
	return (struct tls *)s;
}

/* -- below: the other stream ---------------------------------------------------- */

static ssize_t tls_errno(struct tls *t, ssize_t n)
{
	gnutls_transport_set_errno(t->session, n == -EAGAIN ? EAGAIN : EIO);
	return -1;
}

static ssize_t tls_pull(gnutls_transport_ptr_t ptr, void *buf, size_t len)
{
	struct tls *t = ptr;
	ssize_t n = t->inner->ops->read(t->inner, buf, len, &t->inner_error);

	t->is_dry = n == -EAGAIN;
	t->has_ended = !n;
	if (n < 0)
		return tls_errno(t, n);
	if (n && !t->has_heard) {
		t->has_heard = true;
		t->is_plain = *(const uint8_t *)buf == XM_MSG_MAGIC >> 8;
		if (t->is_plain)
			return tls_errno(t, -EPROTO);
	}
	return n;
}

/* Always takes all of it. */
static ssize_t tls_push(gnutls_transport_ptr_t ptr, const void *buf, size_t len)
{
	struct tls *t = ptr;
	size_t need = t->out.tail + len;
	uint8_t *data;

	if (need > t->out.cap) {
		data = realloc(t->out.data, need);
		if (!data) {
			gnutls_transport_set_errno(t->session, ENOMEM);
			return -1;
		}
		t->out.data = data;
		t->out.cap = need;
	}
	memcpy(t->out.data + t->out.tail, buf, len);
	t->out.tail += len;
	return (ssize_t)len;
}

static bool tls_has_out(const struct tls *t)
{
	return t->out.head != t->out.tail;
}

/* 0: all is written; -EAGAIN; or -errno with @e. */
static int tls_drain_out(struct tls *t, struct xm_error *e)
{
	ssize_t n;

	while (tls_has_out(t)) {
		n = t->inner->ops->write(t->inner, t->out.data + t->out.head,
					 t->out.tail - t->out.head, e);
		if (n < 0)
			return (int)n;
		t->out.head += (size_t)n;
	}
	t->out.head = t->out.tail = 0;
	if (t->is_ending) {
		t->is_ending = false;
		t->inner->ops->end(t->inner);
	}
	return 0;
}

/* -- what went wrong, in words ----------------------------------------------------- */

/* The peer said so.  With TLS 1.3 a certificate is refused when its owner has
 * long begun to talk, so this may come at any time. */
static int tls_alerted(const struct tls *t, struct xm_error *e)
{
	gnutls_alert_description_t a = gnutls_alert_get(t->session);
	const char *name = gnutls_alert_get_name(a), *hint;

	switch ((int)a) {
	case GNUTLS_A_NO_APPLICATION_PROTOCOL:
		hint = "it speaks no protocol of ours";
		break;
	case GNUTLS_A_PROTOCOL_VERSION:
		hint = "it does not speak TLS 1.3";
		break;
	case GNUTLS_A_INTERNAL_ERROR:
		hint = "see what it says there";
		break;
	default:
		hint = t->is_psk ?
			       "has it the same --key?" :
			       "it does not accept our certificate (its "
			       "--ca, --peer-name; our dates), or has --key "
			       "where we have --cert";
	}
	return xm_fail(e, -EACCES, XM_REASON_REFUSED,
		       "%s refused us: %s (TLS alert '%s')", t->peer, hint,
		       name ? name : "unknown");
}

static int tls_bad_certificate(const struct tls *t, struct xm_error *e)
{
	unsigned int status = gnutls_session_get_verify_cert_status(t->session);
	const struct ctl_trust *trust = gnutls_session_get_ptr(t->session);
	const char *name = trust->peer_name;
	gnutls_datum_t text = { 0 };
	bool is_name = status & GNUTLS_CERT_UNEXPECTED_OWNER && name;

	(void)gnutls_certificate_verification_status_print(
		status, GNUTLS_CRT_X509, &text, 0);
	xm_fail(e, -EACCES, XM_REASON_REFUSED,
		"%s is not trusted: %.120s%s%.60s%s", t->peer,
		text.data ? (const char *)text.data : "bad certificate",
		is_name ? " It must be '" : "", is_name ? name : "",
		is_name ? "' (--peer-name)." : "");
	gnutls_free(text.data);
	return -EACCES;
}

static int tls_is_plain(const struct tls *t, struct xm_error *e)
{
	return xm_fail(e, -EPROTO, XM_REASON_REFUSED,
		       "%s speaks plain TCP: it was started with --insecure, "
		       "this end was not",
		       t->peer);
}

/* It was cut, in a record or between two, and no alert said so. */
static int tls_ended(const struct tls *t, struct xm_error *e)
{
	const char *how = "%s closed the connection before it had said who "
			  "it is";

	if (t->state == TLS_OPEN)
		how = "the control connection to %s is lost: it was cut, not "
		      "ended";
	else if (t->is_client && !t->has_heard)
		how = "%s closed the connection instead of speaking TLS; was "
		      "it started with --insecure?";
	return xm_fail(e, -EPIPE, XM_REASON_PEER_LOST, how, t->peer);
}

/* The handshake, or later the session, ended with @r of the library's. */
static int tls_explain(const struct tls *t, int r, struct xm_error *e)
{
	const struct xm_error *in = &t->inner_error;

	if (t->is_plain)
		return tls_is_plain(t, e);
	if (in->err)
		return xm_fail(e, in->err, in->reason, "%s", in->msg);
	if (t->has_ended)
		return tls_ended(t, e);
	switch (r) {
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		return tls_alerted(t, e);
	case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
	case GNUTLS_E_CERTIFICATE_ERROR:
		return tls_bad_certificate(t, e);
	case GNUTLS_E_NO_CERTIFICATE_FOUND:
	case GNUTLS_E_CERTIFICATE_REQUIRED:
		return xm_fail(e, -EACCES, XM_REASON_REFUSED,
			       "%s is not trusted: it shows no certificate",
			       t->peer);
	case GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER:
	case GNUTLS_E_INSUFFICIENT_CREDENTIALS:
	case GNUTLS_E_NO_CIPHER_SUITES:
	case GNUTLS_E_DECRYPTION_FAILED:
		if (t->is_psk && t->state == TLS_SHAKING)
			return xm_fail(e, -EACCES, XM_REASON_REFUSED,
				       "%s is not trusted: it has not the key "
				       "of our --key, or --cert instead",
				       t->peer);
		break;
	default:
		break;
	}
	return xm_fail(
		e, t->state == TLS_OPEN ? -EBADMSG : -EPROTO,
		t->state == TLS_OPEN ? XM_REASON_PROTOCOL : XM_REASON_REFUSED,
		"%s: no TLS 1.3 as ours: %s", t->peer, gnutls_strerror(r));
}

/* -- the handshake -------------------------------------------------------------------- */

/* Tell a plain peer why. */
static void tls_tell_plain(struct tls *t)
{
	struct xm_msg *msg = calloc(1, sizeof(*msg));
	uint8_t *wire = malloc((size_t)XM_MSG_MAX);
	size_t len;

	if (msg && wire) {
		msg->type = XM_MSG_ABORT;
		msg->abort.reason = XM_REASON_REFUSED;
		strcpy(msg->abort.text, "TLS is spoken here, plain TCP is not: "
					"give --key or certificates, not "
					"--insecure");
		len = xm_msg_put(wire, msg);
		(void)tls_push(t, wire, len);
	}
	free(msg);
	free(wire);
}

static int tls_fail(struct tls *t, int r, struct xm_error *e)
{
	int err = tls_explain(t, r, e);

	if (t->is_plain && !t->is_client)
		tls_tell_plain(t);
	else if (!t->is_plain && !t->inner_error.err)
		(void)gnutls_alert_send_appropriate(t->session, r);
	(void)tls_drain_out(t, NULL);
	t->state = TLS_FAILED;
	return err;
}

/* A server that does not know ALPN says nothing of it. */
static bool tls_has_alpn(const struct tls *t)
{
	gnutls_datum_t got = { 0 };

	return !gnutls_alpn_get_selected_protocol(t->session, &got) &&
	       got.size == strlen(PSK_CONTEXT) &&
	       !memcmp(got.data, PSK_CONTEXT, got.size);
}

static int tls_handshake(struct ctl_stream *s, struct xm_error *e)
{
	struct tls *t = tls_of(s);
	unsigned int i;
	int r = 0;

	switch (t->state) {
	case TLS_OPEN:
		return 0;
	case TLS_SHAKING:
		break;
	case TLS_FAILED:
	case TLS_BROKEN:
		return xm_fail(e, -EPIPE, XM_REASON_PEER_LOST,
			       "%s was not let in", t->peer);
	}
	for (i = 0; i < SHAKES_MAX; i++) {
		r = gnutls_handshake(t->session);
		if (!r || r == GNUTLS_E_AGAIN || gnutls_error_is_fatal(r))
			break;
	}
	if (!r && !tls_has_alpn(t))
		return tls_fail(t, GNUTLS_E_NO_APPLICATION_PROTOCOL, e);
	if (r && gnutls_error_is_fatal(r))
		return tls_fail(t, r, e);
	if (!r)
		t->state = TLS_OPEN;
	/* a peer that left may have said why: that is read first */
	(void)tls_drain_out(t, NULL);
	return r ? -EAGAIN : 0;
}

/* -- the stream -------------------------------------------------------------------------- */

/* For good; everybody is told the same from now on. */
static int tls_break(struct tls *t, int r, struct xm_error *e)
{
	(void)tls_explain(t, r, &t->why);
	t->state = TLS_BROKEN;
	return xm_fail(e, t->why.err, t->why.reason, "%s", t->why.msg);
}

/* What a peer that was refused still sends; the end comes soon. */
static ssize_t tls_drain(struct tls *t)
{
	uint8_t junk[4096];
	ssize_t n;

	(void)tls_drain_out(t, NULL);
	n = t->inner->ops->read(t->inner, junk, sizeof(junk), NULL);

	return n > 0 ? -EAGAIN : n;
}

/* Can bytes cross?  0, -EAGAIN, or -errno with @e. */
static int tls_ready(struct tls *t, struct xm_error *e)
{
	if (t->state == TLS_BROKEN)
		return xm_fail(e, t->why.err, t->why.reason, "%s", t->why.msg);
	return t->state == TLS_OPEN ? 0 : tls_handshake(&t->s, e);
}

static ssize_t tls_read(struct ctl_stream *s, void *buf, size_t len,
			struct xm_error *e)
{
	struct tls *t = tls_of(s);
	unsigned int i;
	ssize_t n;

	if (t->state == TLS_FAILED)
		return tls_drain(t);
	n = tls_ready(t, e);
	if (n)
		return n;
	/* records that are not data (new keys) say "again", too */
	n = GNUTLS_E_AGAIN;
	t->is_dry = false;
	for (i = 0; i < SHAKES_MAX && !t->is_dry && n < 0 &&
		    !gnutls_error_is_fatal((int)n);
	     i++)
		n = gnutls_record_recv(t->session, buf, len);
	if (n >= 0)
		return n;
	return gnutls_error_is_fatal((int)n) ? tls_break(t, (int)n, e) :
					       -EAGAIN;
}

static ssize_t tls_write(struct ctl_stream *s, const void *buf, size_t len,
			 struct xm_error *e)
{
	struct tls *t = tls_of(s);
	ssize_t n = tls_ready(t, e);

	if (!n)
		n = tls_drain_out(t, e); /* the last is gone, or wait */
	if (n)
		return n;
	n = gnutls_record_send(t->session, buf, len);
	if (n < 0)
		return tls_break(t, (int)n, e);
	/* a failure shows at the next */
	(void)tls_drain_out(t, NULL);
	return n;
}

static int tls_flush(struct ctl_stream *s, struct xm_error *e)
{
	struct tls *t = tls_of(s);

	if (t->state == TLS_SHAKING)
		return tls_handshake(s, e);
	return tls_drain_out(t, e);
}

/* That nothing more will come is said (close_notify) by us, and not by whoever
 * cuts the connection. */
static void tls_end(struct ctl_stream *s)
{
	struct tls *t = tls_of(s);

	if (t->state == TLS_OPEN)
		(void)gnutls_bye(t->session, GNUTLS_SHUT_WR);
	t->is_ending = true;
	(void)tls_drain_out(t, NULL);
}

static bool tls_wants_write(const struct ctl_stream *s)
{
	return tls_has_out((const struct tls *)s);
}

static int tls_export(const struct ctl_stream *s, const char *label,
		      const void *context, size_t context_len, void *out,
		      size_t len, struct xm_error *e)
{
	const struct tls *t = (const struct tls *)s;
	int r = t->state == TLS_OPEN ?
			gnutls_prf_rfc5705(t->session, strlen(label), label,
					   context_len, context, len, out) :
			GNUTLS_E_INVALID_REQUEST;

	return r ? xm_fail(e, -EIO, XM_REASON_INTERNAL,
			   "no keys of the session with %s: %s", t->peer,
			   gnutls_strerror(r)) :
		   0;
}

static void tls_close(struct ctl_stream *s)
{
	struct tls *t = tls_of(s);

	if (t->session)
		gnutls_deinit(t->session);
	t->inner->ops->close(t->inner);
	free(t->out.data);
	free(t);
}

static const struct ctl_stream_ops tls_ops = {
	.read = tls_read,
	.write = tls_write,
	.end = tls_end,
	.wants_write = tls_wants_write,
	.close = tls_close,
	.handshake = tls_handshake,
	.flush = tls_flush,
	.export_keys = tls_export,
};

/* -- beginning ------------------------------------------------------------------------------ */

static void tls_demand(struct tls *t, const struct ctl_trust *trust)
{
	const char *purpose = t->is_client ? GNUTLS_KP_TLS_WWW_SERVER :
					     GNUTLS_KP_TLS_WWW_CLIENT;

	t->must[0].type = GNUTLS_DT_KEY_PURPOSE_OID;
	t->must[0].data = (unsigned char *)purpose;
	t->must[1].type = GNUTLS_DT_DNS_HOSTNAME;
	t->must[1].data = (unsigned char *)trust->peer_name;
	gnutls_session_set_verify_cert2(t->session, t->must,
					trust->peer_name ? 2 : 1, 0);
	if (!t->is_client)
		gnutls_certificate_server_set_request(t->session,
						      GNUTLS_CERT_REQUIRE);
}

static int tls_begin(struct tls *t, struct ctl_trust *trust, struct xm_error *e)
{
	const gnutls_datum_t alpn = { (unsigned char *)PSK_CONTEXT,
				      strlen(PSK_CONTEXT) };
	int r = gnutls_init(&t->session,
			    (t->is_client ? GNUTLS_CLIENT : GNUTLS_SERVER) |
				    GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL |
				    GNUTLS_NO_TICKETS);

	if (!r)
		r = gnutls_priority_set_direct(
			t->session, t->is_psk ? PRIORITY_PSK : PRIORITY_X509,
			NULL);
	if (!r)
		r = gnutls_alpn_set_protocols(t->session, &alpn, 1,
					      GNUTLS_ALPN_MANDATORY);
	if (r)
		return xm_fail(e, -EIO, XM_REASON_INTERNAL,
			       "TLS cannot be set up: %s; what does the "
			       "system's configuration of GnuTLS forbid?",
			       gnutls_strerror(r));
	r = trust_lend(trust, t->session, t->is_client, e);
	if (r)
		return r;
	if (!t->is_psk)
		tls_demand(t, trust);
	/* not even for who has SSLKEYLOGFILE in his environment */
	gnutls_session_set_keylog_function(t->session, NULL);
	gnutls_transport_set_ptr(t->session, t);
	gnutls_transport_set_pull_function(t->session, tls_pull);
	gnutls_transport_set_push_function(t->session, tls_push);
	return 0;
}

int ctl_secure(struct ctl *ctl, struct ctl_trust *trust, bool is_client,
	       struct xm_error *e)
{
	struct ctl_stream *inner = ctl_get_stream(ctl);
	struct tls *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "no memory for TLS");
	t->s = *inner;
	t->s.ops = &tls_ops;
	t->inner = inner;
	t->is_client = is_client;
	t->is_psk = trust->is_psk;
	ctl_addr_text(&inner->peer, t->peer, sizeof(t->peer));
	r = tls_begin(t, trust, e);
	if (r) {
		if (t->session)
			gnutls_deinit(t->session);
		free(t);
		return r;
	}
	ctl_set_stream(ctl, &t->s);
	return 0;
}

gnutls_session_t ctl_tls_session(const struct ctl *ctl)
{
	return tls_of(ctl_get_stream(ctl))->session;
}
