/* SPDX-License-Identifier: GPL-2.0-or-later */
/* evil.h - a peer that keeps to the protocol up to one point, and there does not
 *
 * Theory in evil.c.  One process is one session and one lie; when the session is
 * over, however it came to that, the process exits.
 */
#ifndef EVIL_H
#define EVIL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/geometry.h"
#include "core/probe.h"
#include "core/rx.h"
#include "core/session.h"
#include "ctl/ctl.h"
#include "ctl/frame_keys.h"
#include "ctl/trust.h"
#include "xsk/route.h"

enum evil_role { EVIL_SOURCE, EVIL_TARGET };

/* What is not true, or when. */
enum evil_at {
	AT_NEVER,
	/* Bytes of what would be true otherwise: each message of this type, */
	AT_HELLO,
	AT_WELCOME,
	AT_BEGIN,
	AT_READY,
	AT_END,
	AT_DONE,
	/* or of frames: header and payload of the first HEADER of an epoch,
	 * the header of the first DATA, and those of each ACK and PROBE */
	AT_HEADER_HEAD,
	AT_HEADER,
	AT_DATA_HEAD,
	AT_ACK_HEAD,
	AT_ACK,
	AT_PROBE,
	/* Or something is done: in place of HELLO or WELCOME (the source, the
	 * target), */
	WHEN_MET,
	WHEN_PROVING, /* before the first PROBE */
	WHEN_PROVEN,  /* no epoch is open */
	WHEN_OPEN,    /* in place of EPOCH_READY, or of the first frame */
	WHEN_TAKING,  /* target: frames of the source come */
	WHEN_SENT,    /* source: all is acknowledged; EPOCH_END would follow */
	WHEN_FINAL,   /* source: the final epoch is done; VERIFY would follow */
	WHEN_HASHED,  /* source: all HASHES have come; target: in their place */
	WHEN_STREAM,  /* source: in place of the first DEVICE */
	WHEN_WRITTEN, /* source: in place of DEVICE_END */
	WHEN_ENDED,   /* target: in place of EPOCH_DONE */
	WHEN_DONE,    /* source: COMMIT would follow */
	WHEN_DEVICE,  /* target: in place of the first DEVICE_ACK */
	WHEN_LOADING, /* target: in place of LOADED */
	WHEN_COMMIT,  /* target: in place of COMMITTED */
};

struct evil;

struct evil_lie {
	const char *name;
	enum evil_role role;
	enum evil_at at;
	uint16_t offset, size; /* of the bytes; or */
	uint64_t value;
	void (*tell)(struct evil *); /* returns, and the session goes on */
	/* What the process under test does: "completed"; a reason (it ends by
	 * itself); "late": "stalled", when half a minute has passed since "told";
	 * "waits", recv, for another source; "on": it goes on until it is
	 * cancelled, and can be */
	const char *result;
	const char *says; /* extended regular expression: its message */
	const char *sentence;
	unsigned int channels; /* 0: one */
};

/* Those of the source, of the source's frames, of the target, of either about
 * verification, of the source to a QEMU; each ends with one that has no name.
 * A name that begins with "live-" is of a guest with devices; one with "verify-" in
 * it, of memory that is compared. */
extern const struct evil_lie evil_source_lies[], evil_frame_lies[],
	evil_target_lies[], evil_verify_lies[], evil_live_lies[];

#define EVIL_RAM (4u << 20) /* bytes of the source's guest, if nobody says */

struct evil_chan {
	struct xm_seal seal;
	struct frame_keys *keys;
	struct xm_probe probe;
	struct xm_path path;
	/* source */
	uint32_t n_frames; /* of the epoch, SYNC included */
	uint32_t cum;      /* what the peer acknowledged */
	struct xm_rx_totals totals;
	/* target */
	struct xm_rx *rx;
};

struct evil {
	enum evil_role role;
	const struct evil_lie *lie;
	const char *dev, *key, *addr;
	uint16_t port_base, peer_base;
	const char *watch_file;
	int watch; /* process that is watched; 0: none */
	/* source: the guest that it says it has */
	const char *block;
	uint64_t ram;
	const uint8_t *stream; /* its devices', as its QEMU wrote it */
	size_t stream_len;
	int qemu; /* process of the target's; 0: none */
	int64_t end_ns;

	struct ctl_trust *trust;
	struct ctl *ctl;
	bool is_mute; /* no HEARTBEATs: silent unless something is said */
	bool is_deaf; /* nothing is read from the control connection */
	bool is_dumb; /* no frame is sent or answered */
	bool is_saying;
	bool is_over;  /* the peer has closed, or there is nobody to talk to */
	bool has_told; /* the lie is told */
	bool has_lied; /* bytes were changed, in this epoch */
	int64_t beat_ns;
	struct xm_msg msg; /* the last that came */

	struct xm_msg_hello hello;
	struct xm_msg_welcome welcome;
	uint8_t secret[FRAME_SECRET_LEN];
	struct xm_map map;
	struct route route;
	int net_fd;
	unsigned int n_chans;
	struct evil_chan chan[XM_CHAN_MAX];
	uint8_t page[XM_PAGE_SIZE];
	uint32_t epoch;
	bool is_final;
	void (*then)(struct evil *); /* source: after the first epoch */
	bool keeps_acks;             /* target: acknowledges nothing */
	unsigned int n_wrong;  /* target: so many rounds of hashes are wrong */
	uint64_t given, acked; /* source: bytes of device state */

	/* what was seen of the process that is watched */
	int64_t look_ns;
	unsigned long hwm_kib, locked_kib;
	unsigned int fds, threads;
};

/* -- evil.c ---------------------------------------------------------------------- */

void evil_die(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));
/* The session is over: say what was seen and exit. */
void evil_exit(struct evil *ev) __attribute__((noreturn));
/* The lie, if it is one of moments and this is the moment. */
void evil_moment(struct evil *ev, enum evil_at when);
/* Change the bytes, if it is one of bytes and these are they. */
bool evil_poke(struct evil *ev, enum evil_at at, uint8_t *bytes);
void evil_told(struct evil *ev);
/* From now on the process of --watch is looked at. */
void evil_watch(struct evil *ev);
/* Look after everything else: time, HEARTBEAT, the watched process. */
void evil_tick(struct evil *ev);

/* -- evil_ctl.c ------------------------------------------------------------------- */

void evil_meet(struct evil *ev); /* connect or accept, handshake */
/* Say @ev->msg-independent @msg, with its lie.  False: the peer is gone. */
bool evil_say(struct evil *ev, const struct xm_msg *msg);
bool evil_say_type(struct evil *ev, enum xm_msg_type type);
bool evil_say_epoch(struct evil *ev, enum xm_msg_type type, uint32_t epoch,
		    bool is_final);
/* Bytes as they are. */
bool evil_say_raw(struct evil *ev, const void *bytes, size_t len);
/* A message's header, with a body of @len bytes announced. */
void evil_put_head(uint8_t *dst, uint8_t type, uint32_t len);
/* Has a message come?  Into ev->msg.  HEARTBEATs are passed over; at the end of the
 * connection or ABORT the process exits. */
bool evil_hear_any(struct evil *ev);
/* Wait for one of @type, while the network is looked after. */
void evil_hear(struct evil *ev, enum xm_msg_type type);
/* Nothing is said any more, but HEARTBEATs, until the peer ends it. */
void evil_rest(struct evil *ev) __attribute__((noreturn));
/* A message without anything in it, or one of these, out of turn; then rest. */
void evil_say_and_rest(struct evil *ev, enum xm_msg_type type)
	__attribute__((noreturn));
void evil_say_commit(struct evil *ev);
void evil_say_committed(struct evil *ev);
void evil_say_loaded(struct evil *ev);
void evil_say_proven(struct evil *ev);
/* Messages in place of what TLS says by itself: new keys, please, again and again. */
void evil_flood_keys(struct evil *ev) __attribute__((noreturn));
/* As much of @bytes as the peer takes, again and again until it ends it. */
void evil_flood(struct evil *ev, const void *bytes, size_t len)
	__attribute__((noreturn));

/* Not even HEARTBEATs; no frames; the end of the connection.  Then rest. */
void evil_silence(struct evil *ev) __attribute__((noreturn));
void evil_no_frames(struct evil *ev) __attribute__((noreturn));
void evil_hangup(struct evil *ev) __attribute__((noreturn));
/* 64 KiB are announced, and none of them comes. */
void evil_say_half(struct evil *ev) __attribute__((noreturn));
/* Messages of one type (XM_MSG_*) that have a head only, without end. */
void evil_flood_heads(struct evil *ev, uint8_t type) __attribute__((noreturn));
/* Such that say nothing; of a type that nobody knows, as long as can be. */
void evil_flood_beats(struct evil *ev) __attribute__((noreturn));
void evil_flood_unknown(struct evil *ev) __attribute__((noreturn));

/* -- evil_more.c: verification and device state ------------------------------------- */

uint32_t evil_stripes(const struct evil *ev);
/* HASHES, of stripes @first on, that says it has @n and has @n_body: those of
 * our own memory; behind the last stripe, zeros. */
bool evil_say_hashes(struct evil *ev, uint32_t first, unsigned int n,
		     unsigned int n_body);
/* Source: VERIFY, and wait for all HASHES. */
void evil_verify(struct evil *ev);
/* DEVICE with @len bytes at @offset, whatever they are. */
bool evil_say_device(struct evil *ev, uint64_t offset, const uint8_t *bytes,
		     size_t len);
bool evil_say_device_end(struct evil *ev, uint64_t total);
/* Bytes of the stream up to @end, as there is room. */
void evil_give(struct evil *ev, size_t end);

/* -- evil_net.c --------------------------------------------------------------------- */

void evil_net_open(struct evil *ev);
/* A frame of channel @c, header at @frame as xm_frame_put() wrote it, @hdr_len
 * bytes, and its payload behind: lied about, sealed, sent. */
void evil_net_send(struct evil *ev, unsigned int c, uint8_t *frame,
		   size_t hdr_len, size_t len, enum evil_at head,
		   enum evil_at at);
/* The same of @f, with @payload copied. */
void evil_net_frame(struct evil *ev, unsigned int c, const struct xm_frame *f,
		    const void *payload, enum evil_at head, enum evil_at at);
/* As it is, and not sealed. */
void evil_net_put(struct evil *ev, unsigned int c, const uint8_t *frame,
		  size_t len, uint16_t sport);
/* Take what has come and answer it: PROBEs; ACKs at the source; frames at the
 * target, and what is due.  Waits for at most @ms for something to come. */
void evil_net_turn(struct evil *ev, int ms);
/* Prove all channels, at both ends. */
void evil_net_prove(struct evil *ev);
void evil_net_ack(struct evil *ev, unsigned int c);

/* -- the two courses ---------------------------------------------------------------- */

void evil_source(struct evil *ev) __attribute__((noreturn));
void evil_target(struct evil *ev) __attribute__((noreturn));
/* The whole epoch ev->epoch, ev->is_final. */
void evil_send_epoch(struct evil *ev);
/* Pages of this epoch: each stripe's first page of a packet, the rest zeros. */
void evil_send_pages(struct evil *ev);
/* One packet's HEADER of channel @c, number @seq: @n normal pages, the others of
 * the packet zero. */
void evil_send_header(struct evil *ev, unsigned int c, uint32_t seq,
		      uint32_t packet, uint64_t first, unsigned int n_normal,
		      unsigned int n_zero);
void evil_send_data(struct evil *ev, unsigned int c, uint32_t seq,
		    uint32_t packet, uint64_t offset);

#endif
