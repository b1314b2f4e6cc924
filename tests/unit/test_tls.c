// SPDX-License-Identifier: GPL-2.0-or-later
/* test_tls.c - the control connection as TLS: who gets in, and what crosses */
#include "ctl/trust.h"

#include <sys/prctl.h>

#include "../lib/t_tls.h"

#define refused(end, err, text)                                             \
	do {                                                                \
		assert_int_equal((end).r, err);                             \
		if (!strstr((end).e.msg, text))                             \
			fail_msg("'%s' is not in '%s'", text, (end).e.msg); \
		assert_int_equal((end).e.reason, XM_REASON_REFUSED);        \
	} while (0)

/* Messages both ways, as far as @body bytes of it cross a socket's buffer. */
static void t_both_ways(struct t_tls *t, uint32_t body)
{
	assert_int_equal(t_msg_send(t->c.ctl, 1, body, &t->c.e), 0);
	t_msg_expect(t->s.ctl, 1, body);
	assert_int_equal(t_msg_send(t->s.ctl, 2, body, &t->s.e), 0);
	t_msg_expect(t->c.ctl, 2, body);
}

/* -- pre-shared keys -------------------------------------------------------------- */

static void key__same(void **state)
{
	struct t_tls *t = *state;
	gnutls_session_t c, s;

	t_connect_key(t);
	t_both_ways(t, 100);
	c = ctl_tls_session(t->c.ctl);
	s = ctl_tls_session(t->s.ctl);
	assert_int_equal(gnutls_protocol_get_version(c), GNUTLS_TLS1_3);
	assert_int_equal(gnutls_auth_get_type(s), GNUTLS_CRD_PSK);
	/* a key agreed upon, for forward secrecy */
	assert_int_equal(gnutls_kx_get(c), GNUTLS_KX_ECDHE_PSK);
	assert_int_equal(gnutls_group_get(c), GNUTLS_GROUP_X25519);
	assert_int_equal(gnutls_group_get(s), GNUTLS_GROUP_X25519);
	assert_false(gnutls_session_is_resumed(s));
	assert_int_equal(gnutls_session_get_flags(c) &
				 (GNUTLS_SFLAGS_SESSION_TICKET |
				  GNUTLS_SFLAGS_EARLY_DATA),
			 0);
}

/* the library's sessions' keys are where it likes */
static void key__process_leaves_no_dump(void **state)
{
	struct t_tls *t = *state;

	assert_int_equal(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
	t_connect_key(t);
	assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
}

static void key__another_name(void **state)
{
	struct t_tls *t = *state;

	t_trust_key(t, &t->c, 'a');
	t_trust_key(t, &t->s, 'b');
	t_secure(t);
	t_shake(t);
	refused(t->s, -EACCES, "has not the key");
	refused(t->c, -EACCES, "has it the same --key?");
}

static void key__same_name_other_bytes(void **state)
{
	struct t_tls *t = *state;
	char line[72] = "name-a:";
	struct ctl_trust_files f = { .key = t_path(t, "other") };

	memset(line + 7, 'b', 64);
	t_file(f.key, 0600, line, 71);
	t_trust(&t->c, &f);
	t_trust_key(t, &t->s, 'a');
	t_secure(t);
	t_shake(t);
	refused(t->s, -EACCES, "has not the key");
	refused(t->c, -EACCES, "has it the same --key?");
}

/* -- certificates ------------------------------------------------------------------- */

/* @name: what the peer must be called, or NULL. */
static void t_trust_cert(struct t_end *end, const struct t_cert *c,
			 const struct t_ca *ca, const char *name)
{
	struct ctl_trust_files f = {
		.cert = c->cert,
		.private_key = c->key,
		.ca = ca->path,
		.peer_name = name,
	};

	t_trust(end, &f);
}

/* Client and server as @c and @s say; both trust "ca"; who they must be. */
static void t_certs(struct t_tls *t, const struct t_cert_opts *c,
		    const struct t_cert_opts *s, const char *c_wants,
		    const char *s_wants)
{
	t_make_ca(t);
	t_cert_make(&t->client, &t->ca, t->dir, "client", c);
	t_cert_make(&t->server, &t->ca, t->dir, "server", s);
	t_trust_cert(&t->c, &t->client, &t->ca, c_wants);
	t_trust_cert(&t->s, &t->server, &t->ca, s_wants);
}

static const struct t_cert_opts good_client = { .name = "client.test" };
static const struct t_cert_opts good_server = { .name = "server.test",
						.ip = "198.18.0.2" };

static void cert__right_names(void **state)
{
	struct t_tls *t = *state;

	t_certs(t, &good_client, &good_server, "server.test", "client.test");
	t_connect(t);
	t_both_ways(t, 100);
}

static void cert__any_name(void **state)
{
	struct t_tls *t = *state;

	t_certs(t, &good_client, &good_server, NULL, NULL);
	t_connect(t);
}

static void cert__address_for_a_name(void **state)
{
	struct t_tls *t = *state;

	t_certs(t, &good_client, &good_server, "198.18.0.2", NULL);
	t_connect(t);
}

static void cert__wrong_address(void **state)
{
	struct t_tls *t = *state;

	t_certs(t, &good_client, &good_server, "198.18.0.3", NULL);
	t_secure(t);
	t_shake(t);
	refused(t->c, -EACCES, "198.18.0.3");
}

static void cert__wrong_name_of_the_server(void **state)
{
	struct t_tls *t = *state;

	t_certs(t, &good_client, &good_server, "other.test", NULL);
	t_secure(t);
	t_shake(t);
	refused(t->c, -EACCES, "It must be 'other.test' (--peer-name)");
	refused(t->s, -EACCES, "does not accept our certificate");
}

/* The server's word comes after the client's last flight: it is in the first
 * thing read. */
static void t_refused_late(struct t_tls *t, const char *why)
{
	struct xm_error e = { 0 };

	t_secure(t);
	t_shake(t);
	refused(t->s, -EACCES, why);
	assert_int_equal(t->c.r, 0);
	assert_int_equal(t_recv_err(t->c.ctl, &e), -EACCES);
	assert_non_null(strstr(e.msg, "refused us"));
	assert_int_equal(e.reason, XM_REASON_REFUSED);
	/* and it stays so */
	assert_int_equal(t_recv_err(t->c.ctl, NULL), -EACCES);
	assert_int_equal(t_msg_send(t->c.ctl, 1, 1, NULL), -EACCES);
}

static void cert__wrong_name_of_the_client(void **state)
{
	struct t_tls *t = *state;

	t_certs(t, &good_client, &good_server, NULL, "other.test");
	t_refused_late(t, "It must be 'other.test'");
}

static void cert__client_has_none(void **state)
{
	struct t_tls *t = *state;

	t_certs(t, &good_client, &good_server, NULL, NULL);
	t_secure(t);
	/* as a client that says it has none that fits */
	gnutls_credentials_clear(ctl_tls_session(t->c.ctl));
	{
		gnutls_certificate_credentials_t none;

		assert_int_equal(gnutls_certificate_allocate_credentials(&none),
				 0);
		gnutls_certificate_set_x509_trust_file(none, t->ca.path,
						       GNUTLS_X509_FMT_PEM);
		gnutls_credentials_set(ctl_tls_session(t->c.ctl),
				       GNUTLS_CRD_CERTIFICATE, none);
		t_shake(t);
		refused(t->s, -EACCES, "no certificate");
		ctl_close(t->c.ctl);
		t->c.ctl = NULL;
		gnutls_certificate_free_credentials(none);
	}
}

static void cert__expired_client(void **state)
{
	struct t_cert_opts old = { .name = "client.test",
				   .from = time(NULL) - 7200,
				   .to = time(NULL) - 3600 };
	struct t_tls *t = *state;

	t_certs(t, &old, &good_server, NULL, NULL);
	t_refused_late(t, "expired");
}

static void cert__expired_server(void **state)
{
	struct t_cert_opts old = { .name = "server.test",
				   .from = time(NULL) - 7200,
				   .to = time(NULL) - 3600 };
	struct t_tls *t = *state;

	t_certs(t, &good_client, &old, "server.test", NULL);
	t_secure(t);
	t_shake(t);
	refused(t->c, -EACCES, "expired");
}

static void cert__not_yet_valid(void **state)
{
	struct t_cert_opts young = { .name = "client.test",
				     .from = time(NULL) + 3600,
				     .to = time(NULL) + 7200 };
	struct t_tls *t = *state;

	t_certs(t, &young, &good_server, NULL, NULL);
	t_refused_late(t, "not yet");
}

static void cert__for_another_purpose(void **state)
{
	struct t_cert_opts c = { .name = "client.test",
				 .purpose = GNUTLS_KP_TLS_WWW_SERVER };
	struct t_tls *t = *state;

	t_certs(t, &c, &good_server, NULL, NULL);
	t_refused_late(t, "purpose");
}

static void cert__client_of_another_ca(void **state)
{
	struct t_tls *t = *state;
	struct t_cert c = { 0 };

	t_certs(t, &good_client, &good_server, NULL, NULL);
	t_cert_make(&c, &t->other_ca, t->dir, "foreign", &good_client);
	ctl_trust_close(t->c.trust);
	t_trust_cert(&t->c, &c, &t->ca, NULL);
	t_secure(t);
	t_shake(t);
	/* a client sends no certificate of a CA that was not asked for */
	assert_int_equal(t->s.r, -EACCES);
	assert_int_equal(t->s.e.reason, XM_REASON_REFUSED);
	assert_int_equal(t_recv_err(t->c.ctl, NULL), -EACCES);
}

static void cert__server_of_another_ca(void **state)
{
	struct t_tls *t = *state;
	struct t_cert s = { 0 };

	t_certs(t, &good_client, &good_server, NULL, NULL);
	t_cert_make(&s, &t->other_ca, t->dir, "foreign", &good_server);
	ctl_trust_close(t->s.trust);
	t_trust_cert(&t->s, &s, &t->ca, NULL);
	t_secure(t);
	t_shake(t);
	refused(t->c, -EACCES, "NOT trusted");
}

static void cert__against_a_key(void **state)
{
	struct t_tls *t = *state;

	t_certs(t, &good_client, &good_server, NULL, NULL);
	ctl_trust_close(t->s.trust);
	t_trust_key(t, &t->s, 'a');
	t_secure(t);
	t_shake(t);
	refused(t->s, -EACCES, "has not the key");
	refused(t->c, -EACCES, "has --key where we have --cert");
}

static void cert__files_that_do_not_fit(void **state)
{
	struct t_tls *t = *state;
	struct ctl_trust_files f;
	struct xm_error e = { 0 };

	t_certs(t, &good_client, &good_server, NULL, NULL);
	f = (struct ctl_trust_files){ .cert = t->client.cert,
				      .private_key = t->server.key,
				      .ca = t->ca.path };
	ctl_trust_close(t->c.trust);
	t->c.trust = NULL;
	assert_int_equal(ctl_trust_open(&t->c.trust, &f, &e), -EINVAL);
	assert_non_null(strstr(e.msg, f.cert));
	f.private_key = t->client.key;
	f.ca = t->client.key;
	assert_int_equal(ctl_trust_open(&t->c.trust, &f, NULL), -EINVAL);
	f.ca = t->ca.path;
	assert_int_equal(chmod(t->client.key, 0644), 0);
	assert_int_equal(ctl_trust_open(&t->c.trust, &f, NULL), -EPERM);
	assert_int_equal(chmod(t->client.key, 0600), 0);
	assert_int_equal(ctl_trust_open(&t->c.trust, &f, NULL), 0);
}

/* -- exported keys ------------------------------------------------------------------------ */

static void export__both_ends_and_nobody_else(void **state)
{
	struct t_tls *t = *state;
	uint8_t c[32], s[32], other[32];

	t_connect_key(t);
	assert_int_equal(ctl_export(t->c.ctl, CTL_EXPORT_FRAMES, "x", 1, c, 32,
				    NULL),
			 0);
	assert_int_equal(ctl_export(t->s.ctl, CTL_EXPORT_FRAMES, "x", 1, s, 32,
				    NULL),
			 0);
	assert_memory_equal(c, s, 32);
	assert_int_equal(ctl_export(t->s.ctl, CTL_EXPORT_FRAMES, "y", 1, other,
				    32, NULL),
			 0);
	assert_memory_not_equal(c, other, 32);
	assert_int_equal(ctl_export(t->s.ctl, "EXPORTER-other", "x", 1, other,
				    32, NULL),
			 0);
	assert_memory_not_equal(c, other, 32);
	/* another session of the same key */
	ctl_close(t->c.ctl);
	ctl_close(t->s.ctl);
	t_connect(t);
	assert_int_equal(ctl_export(t->s.ctl, CTL_EXPORT_FRAMES, "x", 1, other,
				    32, NULL),
			 0);
	assert_memory_not_equal(c, other, 32);
}

static void export__needs_a_finished_handshake(void **state)
{
	struct t_tls *t = *state;
	uint8_t out[32];

	t_trust_key(t, &t->c, 'a');
	t_trust_key(t, &t->s, 'a');
	t_sockets(t);
	assert_int_equal(ctl_export(t->c.ctl, "EXPORTER-x", NULL, 0, out, 32,
				    NULL),
			 -ENOTSUP);
	assert_int_equal(ctl_handshake(t->c.ctl, NULL), 0); /* plain */
	assert_int_equal(ctl_secure(t->c.ctl, t->c.trust, true, NULL), 0);
	assert_int_equal(ctl_export(t->c.ctl, "EXPORTER-x", NULL, 0, out, 32,
				    NULL),
			 -EIO);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, t_tls_setup, t_tls_teardown)
	const struct CMUnitTest tests[] = {
		T(key__same),
		T(key__process_leaves_no_dump),
		T(key__another_name),
		T(key__same_name_other_bytes),
		T(cert__right_names),
		T(cert__any_name),
		T(cert__address_for_a_name),
		T(cert__wrong_address),
		T(cert__wrong_name_of_the_server),
		T(cert__wrong_name_of_the_client),
		T(cert__client_has_none),
		T(cert__expired_client),
		T(cert__expired_server),
		T(cert__not_yet_valid),
		T(cert__for_another_purpose),
		T(cert__client_of_another_ca),
		T(cert__server_of_another_ca),
		T(cert__against_a_key),
		T(cert__files_that_do_not_fit),
		T(export__both_ends_and_nobody_else),
		T(export__needs_a_finished_handshake),
	};

	return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
