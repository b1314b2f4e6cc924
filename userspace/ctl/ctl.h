/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl.h - the control connection: messages over one byte stream
 *
 * The stream is a struct ctl_stream, today TCP; TLS will be another.  This
 * layer frames messages (type, version, length) and knows nothing of what
 * they say: that is core/msg.h.
 */
#ifndef XM_CTL_CTL_H
#define XM_CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "util/error.h"

struct ctl_addr {
	struct sockaddr_storage ss;
	socklen_t len;
};

/* "host", "host:port", "[v6]:port", "v6"; numeric or a name.  @port is the
 * default. */
int ctl_addr_parse(struct ctl_addr *ret_addr, const char *text, uint16_t port,
		   struct xm_error *e);
/* "[fd00::1]:61951"; @buf has at least 64 bytes. */
const char *ctl_addr_text(const struct ctl_addr *addr, char *buf, size_t len);

struct ctl;

/* All sockets are non-blocking and close-on-exec.  Connecting is finished when
 * ctl_connect() returns; @src (may be NULL) is the local address. */
int ctl_connect(struct ctl **ret_ctl, const struct ctl_addr *peer,
		int timeout_ms, struct xm_error *e);
int ctl_listen(int *ret_fd, const struct ctl_addr *addr, struct xm_error *e);
/* 0, or -EAGAIN when nobody is waiting. */
int ctl_accept(struct ctl **ret_ctl, int listen_fd, struct xm_error *e);
struct ctl *ctl_close(struct ctl *ctl);

int ctl_fd(const struct ctl *ctl);
const struct ctl_addr *ctl_peer(const struct ctl *ctl);
const struct ctl_addr *ctl_local(const struct ctl *ctl);
bool ctl_wants_write(const struct ctl *ctl); /* poll for POLLOUT too */

/* Queue one encoded message (core/msg.h: header and body) and send what the
 * socket takes.  0 or -errno with @e: -EPIPE and friends when the peer is
 * gone, -ENOBUFS when more than 4 MiB would wait. */
int ctl_send(struct ctl *ctl, const void *msg, size_t len, struct xm_error *e);
int ctl_flush(struct ctl *ctl, struct xm_error *e); /* on POLLOUT */

/* The next whole message.  0 with @ret_msg (borrowed until the next call) and
 * @ret_len; -EAGAIN: not yet; -EPIPE: the peer closed; -EMSGSIZE: a length
 * above XM_MSG_MAX.  @e is filled but for -EAGAIN. */
int ctl_recv(struct ctl *ctl, const void **ret_msg, size_t *ret_len,
	     struct xm_error *e);

#endif
