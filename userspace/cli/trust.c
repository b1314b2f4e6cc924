// SPDX-License-Identifier: GPL-2.0-or-later
/* trust.c - what the user said about who may be the peer, and connecting so */
#include "trust.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "xdpmig/limits.h"

#define CONNECT_MS 5000

#define TRUST(field) offsetof(struct cli_trust_opts, field)

const struct cli_opt cli_trust_opts[] = {
	{ "key", .type = CLI_STR, .arg = "FILE", .offset = TRUST(key),
	  .help = "pre-shared key, the same file at both ends; 'xdpmig keygen' "
		  "makes one" },
	{ "cert", .type = CLI_STR, .arg = "FILE", .offset = TRUST(cert),
	  .help = "or certificates: ours, with those between it and the CA "
		  "(PEM)" },
	{ "private-key", .type = CLI_STR, .arg = "FILE",
	  .offset = TRUST(private_key),
	  .help = "the key of our certificate (PEM)" },
	{ "ca", .type = CLI_STR, .arg = "FILE", .offset = TRUST(ca),
	  .help = "the CA that signed the peer's (PEM)" },
	{ "peer-name", .type = CLI_STR, .arg = "NAME",
	  .offset = TRUST(peer_name), .max = 255,
	  .help = "name or address that the peer's certificate must have; "
		  "send: PEER if nothing is said" },
	{ "insecure", .type = CLI_FLAG, .offset = TRUST(insecure),
	  .help = "or plain TCP: nobody is authenticated, everybody can read; "
		  "at both ends" },
	{ "encrypt", .type = CLI_FLAG, .offset = TRUST(encrypt),
	  .help = "encrypt the guest's memory as well, which costs a copy and "
		  "AES; recv: take none that is not" },
	{ 0 },
};

enum way { WAY_KEY = 1, WAY_CERT = 2, WAY_INSECURE = 4 };

static unsigned int trust_ways(const struct cli_trust_opts *o)
{
	bool is_cert = o->cert || o->private_key || o->ca;

	return (o->key ? WAY_KEY : 0) | (is_cert ? WAY_CERT : 0) |
	       (o->insecure ? WAY_INSECURE : 0);
}

/* Those the command line names. */
static unsigned int trust_flagged(const struct cli_ctx *cli)
{
	static const struct {
		const char *name;
		enum way way;
	} opt[] = { { "key", WAY_KEY },
		    { "cert", WAY_CERT },
		    { "private-key", WAY_CERT },
		    { "ca", WAY_CERT },
		    { "insecure", WAY_INSECURE } };
	unsigned int ways = 0;
	size_t i;

	for (i = 0; i < sizeof(opt) / sizeof(opt[0]); i++)
		if (cli_origin(cli, opt[i].name) == CLI_FLAGGED)
			ways |= opt[i].way;
	return ways;
}

static int trust_which(const struct cli_ctx *cli,
		       const struct cli_trust_opts *o, unsigned int *ret_way,
		       struct xm_error *e)
{
	unsigned int ways = trust_ways(o), said = ways & trust_flagged(cli);

	if (said)
		ways = said;
	*ret_way = ways;
	if (!ways)
		return xm_fail(e, -EINVAL, XM_REASON_USAGE,
			       "who may be the peer? --key FILE, the same at "
			       "both ends ('xdpmig keygen FILE' makes one); or "
			       "--cert, --private-key and --ca; or --insecure, "
			       "which protects from nobody");
	if (ways & (ways - 1))
		return xm_fail(e, -EINVAL, XM_REASON_USAGE,
			       "one of --key, --cert (with --private-key and "
			       "--ca) and --insecure, not several");
	if (ways == WAY_CERT && !(o->cert && o->private_key && o->ca))
		return xm_fail(e, -EINVAL, XM_REASON_USAGE,
			       "--cert, --private-key and --ca belong "
			       "together: --%s is missing",
			       !o->cert        ? "cert" :
			       !o->private_key ? "private-key" :
						 "ca");
	if (ways != WAY_CERT && o->peer_name &&
	    cli_origin(cli, "peer-name") == CLI_FLAGGED)
		return xm_fail(e, -EINVAL, XM_REASON_USAGE,
			       "--peer-name is a certificate's: a key has no "
			       "name in it");
	if (ways == WAY_INSECURE && o->encrypt)
		return xm_fail(e, -EINVAL, XM_REASON_USAGE,
			       "--encrypt takes its keys from TLS: use --key "
			       "or --cert instead of --insecure");
	return 0;
}

int trust_open(struct trust *t, struct cli_ctx *cli,
	       const struct cli_trust_opts *o, const char *peer,
	       struct xm_error *e)
{
	struct ctl_trust_files files = { 0 };
	char host[256];
	unsigned int way;
	int r = trust_which(cli, o, &way, e);

	if (r)
		return r;
	if (way == WAY_INSECURE) {
		cli_warn(cli, "--insecure: whoever reaches this host's network "
			      "can read and change the guest, take it, or put "
			      "another in its place");
		return 0;
	}
	if (way == WAY_KEY) {
		files.key = o->key;
		return ctl_trust_open(&t->keys, &files, e);
	}
	files.cert = o->cert;
	files.private_key = o->private_key;
	files.ca = o->ca;
	files.peer_name = o->peer_name;
	if (!files.peer_name && peer) {
		r = ctl_addr_host(host, peer, e);
		files.peer_name = host;
	}
	return r ? r : ctl_trust_open(&t->keys, &files, e);
}

const char *trust_name(const struct trust *t, const struct cli_trust_opts *o)
{
	if (!t->keys)
		return "none";
	return o->key ? "key" : "certificate";
}

int trust_reach(struct trust *t, struct ctl **ret_ctl,
		const struct ctl_addr *peer, int cancel_fd, struct xm_error *e)
{
	int64_t left;
	int r = 0;

	if (!t->coming) {
		r = ctl_connect_unless(&t->coming, peer, NULL, CONNECT_MS,
				       cancel_fd, e);
		t->end = xm_time_add(xm_clock(), XM_HANDSHAKE_MS * XM_MS);
		if (!r && t->keys)
			r = ctl_secure(t->coming, t->keys, true, e);
	}
	left = xm_time_sub(t->end, xm_clock()) / XM_MS;
	if (!r)
		r = ctl_handshake_unless(t->coming, left > 0 ? (int)left : 0,
					 cancel_fd, e);
	if (r == -ECANCELED)
		return r;
	if (r) {
		t->coming = ctl_close(t->coming);
		return r;
	}
	*ret_ctl = t->coming;
	t->coming = NULL;
	return 0;
}

void trust_close(struct trust *t)
{
	t->coming = ctl_close(t->coming);
	t->keys = ctl_trust_close(t->keys);
}
