/* SPDX-License-Identifier: GPL-2.0-or-later */
/* msg.h - messages of the control connection (docs/protocol.md 6)
 *
 * On the stream a message is an 8-byte header (magic, version, type, length
 * of the body) and a body of fixed layout for its type and version.  All
 * integers big endian.  A body may be longer than this version knows: what
 * follows is ignored, which is how later versions add fields.
 */
#ifndef XM_CORE_MSG_H
#define XM_CORE_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "rx.h"
#include "xdpmig/limits.h"
#include "xdpmig/reason.h"

#define XM_MSG_MAGIC   0x584d
#define XM_MSG_HEADER  8           /* bytes */
#define XM_MSG_MAX     (64 * 1024) /* bytes of a whole message */
#define XM_MSG_VERSION 1   /* spoken here; N-1 is accepted when there is one */
#define XM_MSG_TEXT    200 /* bytes of ABORT's text, NUL included */
#define XM_MSG_NAME    64  /* of HELLO's machine and name, NUL included */

/* Features: offered in HELLO, in force when WELCOME has them too. */
#define XM_FEATURE_DEVICE  (1ull << 0) /* device state follows the memory */
#define XM_FEATURE_VERIFY  (1ull << 1) /* all memory is hashed and compared */
#define XM_FEATURE_ENCRYPT (1ull << 2) /* frames' payloads are encrypted */

enum xm_msg_type {
	XM_MSG_HELLO = 1,       /* source: who I am, what I want to send */
	XM_MSG_WELCOME = 2,     /* destination: agreed, with cookies */
	XM_MSG_PROVEN = 3,      /* either: all my channels' paths are proven */
	XM_MSG_EPOCH_BEGIN = 4, /* source: take frames of this epoch only */
	XM_MSG_EPOCH_READY = 5, /* destination: I do */
	XM_MSG_EPOCH_END = 6,   /* source: all is acknowledged; these totals */
	XM_MSG_EPOCH_DONE = 7,  /* destination: mine are the same */
	XM_MSG_COMMIT = 8,      /* source: the guest is yours */
	XM_MSG_COMMITTED = 9,   /* destination: it is */
	XM_MSG_ABORT = 10,      /* either: why this migration ends */
	XM_MSG_HEARTBEAT = 11,  /* either: still here */
	XM_MSG_DEVICE = 12,     /* source: a piece of the device state */
	XM_MSG_DEVICE_ACK = 13, /* destination: so much of it is in QEMU */
	XM_MSG_DEVICE_END = 14, /* source: that was all of it */
	XM_MSG_LOADED = 15,     /* destination: the guest is ready to run */
	XM_MSG_VERIFY = 16,     /* source: hash all memory, as I do */
	XM_MSG_HASHES = 17,     /* destination: of some stripes, in order */
};

struct xm_msg_hello {
	uint16_t version_min, version_max;
	uint64_t features;   /* XM_FEATURE_ bits; unknown ones are ignored */
	uint8_t session[16]; /* random; names the migration in logs */
	uint8_t uuid[16];    /* the guest's, all zero when not known */
	uint16_t n_channels;
	uint16_t port_base; /* where the source listens for ACKs */
	uint32_t ip_max;    /* largest frame the source can carry */
	uint16_t max_pages; /* whole pages it can put into a frame */
	uint16_t n_blocks;
	struct {
		char name[XM_BLOCK_NAME];
		uint64_t len;
		uint32_t page_size; /* of its backing, bytes; 0 unknown */
	} block[XM_BLOCK_MAX];
	/* An older peer's is empty, and its page sizes are 0. */
	char machine[XM_MSG_NAME]; /* machine type, "pc-q35-7.2" */
	char name[XM_MSG_NAME];    /* of the guest; for people */
};

struct xm_msg_welcome {
	uint16_t version;
	uint64_t features;   /* those of HELLO's that are in force */
	uint16_t n_channels; /* as asked, or refused */
	uint16_t port_base;
	uint32_t ip_max;    /* at most the source's */
	uint16_t max_pages; /* at most the source's */
	uint32_t credit;    /* frames a channel, to begin with */
	uint64_t cookie[XM_CHAN_MAX];
};

struct xm_msg_epoch {
	uint32_t epoch;
	uint8_t is_final;    /* EPOCH_BEGIN: the guest is paused */
	uint16_t n_channels; /* EPOCH_END */
	struct xm_rx_totals totals[XM_CHAN_MAX];
};

/* Device state is a stream of bytes; a message carries a piece of it. */
struct xm_msg_device {
	uint64_t offset;     /* of the first byte */
	uint32_t len;        /* 1 .. XM_DEVICE_CHUNK */
	const uint8_t *data; /* borrowed: xm_msg_put() reads from it,
			      * xm_msg_get() points it into the raw message */
};

struct xm_msg_device_ack {
	uint64_t bytes; /* handed to QEMU so far, from the first on */
};

struct xm_msg_device_end {
	uint64_t total; /* bytes of the whole stream */
	uint8_t runs;   /* the guest ran before it was paused: 0 or 1 */
};

struct xm_msg_hashes {
	uint32_t first; /* stripe */
	uint16_t n;     /* 1 .. XM_HASHES_CHUNK */
	uint64_t hash[XM_HASHES_CHUNK];
};

struct xm_msg_abort {
	enum xm_reason reason;
	char text[XM_MSG_TEXT];
};

struct xm_msg {
	enum xm_msg_type type;
	union {
		struct xm_msg_hello hello;
		struct xm_msg_welcome welcome;
		struct xm_msg_epoch epoch; /* BEGIN, READY, END, DONE */
		struct xm_msg_abort abort;
		struct xm_msg_device device;
		struct xm_msg_device_ack device_ack;
		struct xm_msg_device_end device_end;
		struct xm_msg_hashes hashes;
	};
};

/* Encode to @dst (XM_MSG_MAX bytes).  Returns the whole message's length. */
size_t xm_msg_put(void *dst, const struct xm_msg *msg);

/* Positive outcomes of xm_msg_get(). */
enum {
	XM_MSG_E_MAGIC = 1, /* not our protocol at all */
	XM_MSG_E_VERSION,   /* a version we cannot read */
	XM_MSG_E_TYPE,      /* unknown: ignore the message */
	XM_MSG_E_LENGTH,    /* body too short, or counts that contradict it */
	XM_MSG_E_VALUE,     /* a value out of range */
};

/* Body length a header of XM_MSG_HEADER bytes announces: 0 with @ret_len, or
 * XM_MSG_E_MAGIC, or XM_MSG_E_LENGTH (whole message above XM_MSG_MAX). */
int xm_msg_peek(const void *src, size_t *ret_len);

/* Decode one whole message.  0 or an outcome above.  What a DEVICE carries
 * is not copied: @src must outlive its use. */
int xm_msg_get(struct xm_msg *ret_msg, const void *src, size_t len);

const char *xm_msg_name(enum xm_msg_type type);

#endif
