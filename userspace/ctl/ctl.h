/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl.h - the control connection: messages over one byte stream
 *
 * The stream is a struct ctl_stream: TCP, and TLS over it (trust.h).  This
 * layer frames messages (type, version, length) and knows nothing of what
 * they say: that is core/msg.h.
 */
#ifndef XM_CTL_CTL_H
#define XM_CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/msg.h"
#include "util/error.h"

struct ctl_addr {
	struct sockaddr_storage ss;
	socklen_t len;
};

/* Most bytes that may wait for a peer that does not read. */
#define CTL_QUEUE_MAX (4 << 20)

/* "host", "host:port", "[v6]:port", "v6"; numeric or a name (this may block
 * in the resolver).  @port is the default.  0, or with @e: -EINVAL for a text
 * that is no address, -ENOENT for a name that is not found. */
int ctl_addr_parse(struct ctl_addr *ret_addr, const char *text, uint16_t port,
		   struct xm_error *e);
/* Only the host that such a text names, without brackets; @host has at least 256
 * bytes.  0, or -EINVAL with @e. */
int ctl_addr_host(char *host, const char *text, struct xm_error *e);
/* "[fd00::1]:61951"; @buf has at least 64 bytes. */
const char *ctl_addr_text(const struct ctl_addr *addr, char *buf, size_t len);

struct ctl;

/* All sockets are non-blocking and close-on-exec.  Connecting is finished when
 * ctl_connect() returns; @src (may be NULL) is the local address.  0, or with
 * @e: -ECONNREFUSED, -ENETUNREACH, -EHOSTUNREACH, -ETIMEDOUT as it was, -EINTR
 * when a signal was handled meanwhile, other -errno. */
int ctl_connect(struct ctl **ret_ctl, const struct ctl_addr *peer,
		const struct ctl_addr *src, int timeout_ms, struct xm_error *e);
/* The same, but -ECANCELED, without @e, as soon as @cancel_fd is readable. */
int ctl_connect_unless(struct ctl **ret_ctl, const struct ctl_addr *peer,
		       const struct ctl_addr *src, int timeout_ms,
		       int cancel_fd, struct xm_error *e);
int ctl_listen(int *ret_fd, const struct ctl_addr *addr, struct xm_error *e);
/* 0; -EAGAIN, without @e, when nobody is waiting (any more). */
int ctl_accept(struct ctl **ret_ctl, int listen_fd, struct xm_error *e);
/* Everything is flushed and nothing more will be sent.  Closing at once would
 * reset the connection if something of the peer's is unread, and take what was
 * flushed away from it: so end, read until -EPIPE, then close. */
void ctl_end(struct ctl *ctl);
/* Closes and frees; what is still queued is lost: flush first, until
 * ctl_wants_write() is false.  NULL is fine.  Returns NULL. */
struct ctl *ctl_close(struct ctl *ctl);

int ctl_fd(const struct ctl *ctl);
const struct ctl_addr *ctl_peer(const struct ctl *ctl);
const struct ctl_addr *ctl_local(const struct ctl *ctl);
bool ctl_wants_write(const struct ctl *ctl); /* poll for POLLOUT too */

/* Queue one encoded message (core/msg.h: header and body, together at most
 * XM_MSG_MAX) and send what the socket takes.  0 or -errno with @e: -EPIPE and
 * friends when the peer is gone; -ENOBUFS when more than CTL_QUEUE_MAX would
 * wait, then nothing of @msg was queued.  A peer that left may have said why:
 * after a failure call ctl_recv() once more before closing. */
int ctl_send(struct ctl *ctl, const void *msg, size_t len, struct xm_error *e);
int ctl_flush(struct ctl *ctl, struct xm_error *e); /* on POLLOUT */

/* The next whole message, header and body.  0 with @ret_msg (borrowed until
 * the next call) and @ret_len; -EAGAIN: not yet.  Call until it says so, since
 * several may have come with one POLLIN.  Else with @e: -EPIPE: the peer
 * closed, between messages or within one (the text says which); -EMSGSIZE: a
 * length above XM_MSG_MAX; -EBADMSG: not our magic; other -errno: the
 * connection broke.  The version byte is not looked at. */
int ctl_recv(struct ctl *ctl, const void **ret_msg, size_t *ret_len,
	     struct xm_error *e);

#endif
