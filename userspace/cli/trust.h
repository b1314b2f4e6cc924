/* SPDX-License-Identifier: GPL-2.0-or-later */
/* trust.h - what the user said about who may be the peer, and connecting so */
#ifndef XM_CLI_TRUST_H
#define XM_CLI_TRUST_H

#include "cli.h"
#include "core/time.h"
#include "ctl/trust.h"

/* --key and so on. */
struct cli_trust_opts {
	const char *key, *cert, *private_key, *ca, *peer_name;
	bool insecure;
	bool encrypt;
};

extern const struct cli_opt cli_trust_opts[];

struct trust {
	struct ctl_trust *keys; /* NULL: --insecure, plain TCP */
	struct ctl *coming;     /* trust_reach(): connected, not let in yet */
	struct xm_time end;     /* not longer than that */
};

/* Read what the options name; exactly one way must be said, and of those the
 * command line says none is the file's.  @peer: whom send connects to, which is
 * what its certificate must say unless --peer-name does; NULL at recv.  Says
 * loudly that there is no protection.  0 or -errno with @e. */
int trust_open(struct trust *t, struct cli_ctx *cli,
	       const struct cli_trust_opts *o, const char *peer,
	       struct xm_error *e);
/* "key", "certificate" or "none". */
const char *trust_name(const struct trust *t, const struct cli_trust_opts *o);

/* Connect to @peer and let it prove who it is.  0; -ECANCELED without @e:
 * @cancel_fd is readable, look and call again; else -errno with @e. */
int trust_reach(struct trust *t, struct ctl **ret_ctl,
		const struct ctl_addr *peer, int cancel_fd, struct xm_error *e);

/* After all connections were closed. */
void trust_close(struct trust *t);

#endif
