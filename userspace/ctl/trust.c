// SPDX-License-Identifier: GPL-2.0-or-later
/* trust.c - who may be the peer: keys and certificates, from their files
 *
 * Files are read, and tried, before anything is done to a guest, so that a
 * mistake costs nothing.  What the TLS library makes of them lives on its heap,
 * so that is made late, by the process that needs it: send forks its guardian
 * in between, and the guardian shall have none of it, nor of what was left of the
 * trial.
 *
 * Whoever uses a struct ctl_trust has said how: one pre-shared key at both
 * ends, or certificates at both ends.  The two are never mixed: with a key no
 * certificate is accepted, and with certificates no key.
 */
#include "trust.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "secret.h"
#include "trust_priv.h"

/* The library wipes most of what was secret, but not a private key on an elliptic
 * curve as it was read. */
static void trust_free_wiped(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

/* The library, before it hears of a secret. */
static void trust_hush_library(void)
{
	gnutls_free = trust_free_wiped;
	/* the environment may have told it to say what it does, and with what */
	gnutls_global_set_log_level(0);
}

static int trust_memory(struct xm_error *e)
{
	return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
		       "no memory for keys and certificates");
}

/* A file that is no secret. */
static int trust_read(gnutls_datum_t *ret, const char *path, struct xm_error *e)
{
	ssize_t n;

	ret->data = malloc(TRUST_PEM_MAX);
	if (!ret->data)
		return trust_memory(e);
	n = secret_read(path, ret->data, TRUST_PEM_MAX, 0022, e);
	if (n < 0)
		return (int)n;
	ret->size = (unsigned int)n;
	return 0;
}

/* @n: what the library returned for @path. */
static int trust_bad(const char *path, const char *what, int n,
		     struct xm_error *e)
{
	return xm_fail(e, -EINVAL, XM_REASON_USAGE, "%s: %s: %s", path, what,
		       n < 0 ? gnutls_strerror(n) : "none found in it");
}

/* @files may be NULL: they were good when they were read. */
static int trust_make_x509(struct ctl_trust *t,
			   const struct ctl_trust_files *files,
			   struct xm_error *e)
{
	gnutls_datum_t key = { (unsigned char *)t->private_key,
			       (unsigned int)strlen(t->private_key) };
	int n = gnutls_certificate_allocate_credentials(&t->x509);

	if (n < 0)
		return trust_memory(e);
	n = gnutls_certificate_set_x509_trust_mem(t->x509, &t->ca,
						  GNUTLS_X509_FMT_PEM);
	if (n <= 0)
		return trust_bad(files ? files->ca : "--ca",
				 "no certificate of a CA (PEM)", n, e);
	n = gnutls_certificate_set_x509_key_mem2(t->x509, &t->cert, &key,
						 GNUTLS_X509_FMT_PEM, NULL, 0);
	if (n < 0)
		return trust_bad(files ? files->cert : "--cert",
				 "no certificate (PEM) that goes with the "
				 "private key",
				 n, e);
	return 0;
}

static void trust_drop_x509(struct ctl_trust *t)
{
	if (t->x509)
		gnutls_certificate_free_credentials(t->x509);
	t->x509 = NULL;
}

static int trust_open_x509(struct ctl_trust *t,
			   const struct ctl_trust_files *files,
			   struct xm_error *e)
{
	ssize_t n = secret_read(files->private_key, t->private_key,
				sizeof(t->private_key), 0027, e);
	int r;

	if (n < 0)
		return (int)n;
	t->private_key[n] = '\0';
	r = trust_read(&t->cert, files->cert, e);
	if (!r)
		r = trust_read(&t->ca, files->ca, e);
	if (!r)
		r = trust_make_x509(t, files, e);
	trust_drop_x509(t);
	return r;
}

int ctl_trust_open(struct ctl_trust **ret, const struct ctl_trust_files *files,
		   struct xm_error *e)
{
	struct ctl_trust *t;
	int r;

	secret_keep_process();
	trust_hush_library();
	t = secret_new(sizeof(*t));
	if (!t)
		return trust_memory(e);
	t->is_psk = files->key != NULL;
	if (files->peer_name) {
		t->peer_name = strdup(files->peer_name);
		if (!t->peer_name) {
			ctl_trust_close(t);
			return trust_memory(e);
		}
	}
	r = t->is_psk ? psk_load(&t->psk, files->key, e) :
			trust_open_x509(t, files, e);
	if (r)
		ctl_trust_close(t);
	else
		*ret = t;
	return r;
}

struct ctl_trust *ctl_trust_close(struct ctl_trust *t)
{
	if (!t)
		return NULL;
	trust_drop_x509(t);
	if (t->psk_client)
		gnutls_psk_free_client_credentials(t->psk_client);
	if (t->psk_server)
		gnutls_psk_free_server_credentials(t->psk_server);
	free(t->cert.data);
	free(t->ca.data);
	free(t->peer_name);
	return secret_free(t, sizeof(*t));
}

int ctl_keygen(const char *path, char *ret_name, struct xm_error *e)
{
	secret_keep_process();
	return psk_make(path, ret_name, e);
}

/* -- a session's credentials ------------------------------------------------------ */

/* The library frees what it is given, and wipes it. */
static int trust_datum(gnutls_datum_t *ret, const void *p, size_t len)
{
	ret->data = gnutls_malloc(len);
	if (!ret->data)
		return -1;
	memcpy(ret->data, p, len);
	ret->size = (unsigned int)len;
	return 0;
}

static int trust_client_key(gnutls_session_t session, gnutls_datum_t *id,
			    gnutls_datum_t *key)
{
	const struct ctl_trust *t = gnutls_session_get_ptr(session);

	if (trust_datum(id, t->psk.id, t->psk.id_len))
		return -1;
	return trust_datum(key, t->psk.key, sizeof(t->psk.key));
}

/* 1: there is no such key; the library goes on with a random one, so that the
 * peer learns nothing but that it is not let in. */
static int trust_server_key(gnutls_session_t session, const gnutls_datum_t *id,
			    gnutls_datum_t *key)
{
	const struct ctl_trust *t = gnutls_session_get_ptr(session);

	if (id->size != t->psk.id_len || memcmp(id->data, t->psk.id, id->size))
		return 1;
	return trust_datum(key, t->psk.key, sizeof(t->psk.key));
}

static int trust_lend_psk(struct ctl_trust *t, gnutls_session_t session,
			  bool is_client)
{
	int r = 0;

	if (is_client && !t->psk_client) {
		r = gnutls_psk_allocate_client_credentials(&t->psk_client);
		if (r)
			return r;
		gnutls_psk_set_client_credentials_function2(t->psk_client,
							    trust_client_key);
	}
	if (!is_client && !t->psk_server) {
		r = gnutls_psk_allocate_server_credentials(&t->psk_server);
		if (r)
			return r;
		gnutls_psk_set_server_credentials_function2(t->psk_server,
							    trust_server_key);
	}
	return gnutls_credentials_set(session, GNUTLS_CRD_PSK,
				      is_client ? (void *)t->psk_client :
						  (void *)t->psk_server);
}

int trust_lend(struct ctl_trust *t, gnutls_session_t session, bool is_client,
	       struct xm_error *e)
{
	int r = 0;

	gnutls_session_set_ptr(session, t);
	if (t->is_psk) {
		r = trust_lend_psk(t, session, is_client);
	} else {
		if (!t->x509 && trust_make_x509(t, NULL, e)) {
			trust_drop_x509(t);
			return -EINVAL;
		}
		r = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE,
					   t->x509);
	}
	return r ? trust_memory(e) : 0;
}
