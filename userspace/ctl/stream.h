/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stream.h - one ordered byte stream, whatever carries it
 *
 * ctl.c frames messages on it and knows no more than this.  A stream owns its
 * descriptor.  Nothing here blocks: what cannot be done now is -EAGAIN, and
 * the descriptor becomes readable, or writable if wants_write() says that
 * this is what the stream waits for (TLS may need to write in order to read).
 */
#ifndef XM_CTL_STREAM_H
#define XM_CTL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "ctl.h"

struct ctl_stream;

struct ctl_stream_ops {
	/* Bytes read, 0 when the peer ended the stream, -EAGAIN without @e, or
	 * -errno with @e filled. */
	ssize_t (*read)(struct ctl_stream *s, void *buf, size_t len,
			struct xm_error *e);
	/* Bytes taken, at least one; -EAGAIN without @e; -errno with @e. */
	ssize_t (*write)(struct ctl_stream *s, const void *buf, size_t len,
			 struct xm_error *e);
	/* Nothing more will be written: the peer reads what was, and then the
	 * end.  Reading goes on.  What cannot be written yet is flush()ed. */
	void (*end)(struct ctl_stream *s);
	/* Does the stream itself have something to write? */
	bool (*wants_write)(const struct ctl_stream *s);
	/* Close and free. */
	void (*close)(struct ctl_stream *s);
	/* The rest is NULL for a stream that has nothing of its own to say. */
	/* As ctl_handshake(). */
	int (*handshake)(struct ctl_stream *s, struct xm_error *e);
	/* Write what the stream itself has to write.  0, -EAGAIN without @e
	 * when there is more, -errno with @e. */
	int (*flush)(struct ctl_stream *s, struct xm_error *e);
	/* As ctl_export(). */
	int (*export_keys)(const struct ctl_stream *s, const char *label,
			   const void *context, size_t context_len, void *out,
			   size_t len, struct xm_error *e);
};

/* Embedded first in the implementation's own struct. */
struct ctl_stream {
	const struct ctl_stream_ops *ops;
	int fd;
	struct ctl_addr peer, local;
};

/* Messages over @s, which is owned by the result; closed on failure too. */
int ctl_new(struct ctl **ret_ctl, struct ctl_stream *s, struct xm_error *e);

/* To put a stream over the one that there is. */
struct ctl_stream *ctl_get_stream(const struct ctl *ctl);
void ctl_set_stream(struct ctl *ctl, struct ctl_stream *s);

/* A connected or accepted TCP socket as a stream; closes @fd on failure. */
int ctl_tcp_wrap(struct ctl_stream **ret_stream, int fd, struct xm_error *e);

#endif
