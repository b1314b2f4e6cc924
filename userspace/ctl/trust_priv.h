/* SPDX-License-Identifier: GPL-2.0-or-later */
/* trust_priv.h - what trust.c lends to tls.c, and tls.c to tests */
#ifndef XM_CTL_TRUST_PRIV_H
#define XM_CTL_TRUST_PRIV_H

#include <gnutls/gnutls.h>

#include "psk.h"
#include "stream.h"
#include "trust.h"

#define TRUST_PEM_MAX (64 << 10) /* bytes of a private key's file */

/* All of it in memory of secret_new(). */
struct ctl_trust {
	bool is_psk;
	struct psk psk;
	char private_key[TRUST_PEM_MAX];
	gnutls_datum_t cert, ca; /* PEM, no secrets, malloc()ed */
	char *peer_name;         /* or NULL */
	/* Made of the above when the first connection needs them, which is
	 * after the guardian was forked: they are on the library's heap. */
	gnutls_psk_client_credentials_t psk_client;
	gnutls_psk_server_credentials_t psk_server;
	gnutls_certificate_credentials_t x509;
};

/* Give @session, which is @t's, its credentials; what it must verify follows
 * in tls.c.  0 or -errno with @e. */
int trust_lend(struct ctl_trust *t, gnutls_session_t session, bool is_client,
	       struct xm_error *e);

/* The session of a @ctl that is TLS, for tests to do what no peer of ours
 * does. */
gnutls_session_t ctl_tls_session(const struct ctl *ctl);

#endif
