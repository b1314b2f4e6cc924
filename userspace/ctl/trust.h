/* SPDX-License-Identifier: GPL-2.0-or-later */
/* trust.h - who may be the peer of a control connection
 *
 * Made from files before anything is done, used for each connection.  Its
 * secrets are in pages that are in no core dump and not in forked processes.
 */
#ifndef XM_CTL_TRUST_H
#define XM_CTL_TRUST_H

#include <stdbool.h>

#include "ctl.h"

struct ctl_trust;

/* Files; NULL for those that are not said.  Either key, or cert, private_key
 * and ca. */
struct ctl_trust_files {
	const char *key;                     /* pre-shared, see psk.h */
	const char *cert, *private_key, *ca; /* PEM */
	/* With certificates: the name that the peer's must have, a host name or
	 * an address; NULL: any that the CA has signed. */
	const char *peer_name;
};

/* Read and check them all.  From here on the process leaves no core dump.  0, or
 * -errno with @e (reason USAGE). */
int ctl_trust_open(struct ctl_trust **ret, const struct ctl_trust_files *files,
		   struct xm_error *e);
/* Wipes all keys.  Connections that were made secure with it must have been
 * closed.  NULL is fine.  Returns NULL. */
struct ctl_trust *ctl_trust_close(struct ctl_trust *t);

/* Make the key file @path; @ret_name (at least 65 bytes): what the key is called.
 * 0 or -errno with @e. */
int ctl_keygen(const char *path, char *ret_name, struct xm_error *e);

/* From now on @ctl, of which nothing was sent or received yet, is TLS.
 * @is_client: the side that connected.  Nothing of a message crosses before the
 * handshake is done: see ctl_handshake().  0 or -errno with @e; then @ctl is to
 * be closed. */
int ctl_secure(struct ctl *ctl, struct ctl_trust *t, bool is_client,
	       struct xm_error *e);

/* Drive the handshake.  0: done, or there is none (plain TCP): now the peer is
 * who it must be.  -EAGAIN without @e: wait for POLLIN, and POLLOUT if
 * ctl_wants_write(), and call again.  Else with @e why not: -EACCES, it is not
 * (REFUSED: the text says who refused whom); -EPROTO, it does not speak TLS, or
 * not ours (REFUSED); -EPIPE, it closed (PEER_LOST).  After that the peer may
 * still have to read why: ctl_end(), and ctl_recv() until it is not -EAGAIN. */
int ctl_handshake(struct ctl *ctl, struct xm_error *e);

/* The same, waiting at most @timeout_ms (then -ETIMEDOUT, CONNECT); -ECANCELED
 * without @e as soon as @cancel_fd is readable: may be called again. */
int ctl_handshake_unless(struct ctl *ctl, int timeout_ms, int cancel_fd,
			 struct xm_error *e);

/* Keys of this session for something else than the control connection (RFC 8446,
 * 7.5): @len bytes that both ends get for the same @label and @context, and
 * nobody else.  After the handshake.  0, or with @e -ENOTSUP: plain TCP. */
int ctl_export(const struct ctl *ctl, const char *label, const void *context,
	       size_t context_len, void *out, size_t len, struct xm_error *e);

/* The label for the keys of data frames (docs/protocol.md 6.6). */
#define CTL_EXPORT_FRAMES "EXPORTER-xdpmig-1-frames"

#endif
