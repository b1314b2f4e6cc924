// SPDX-License-Identifier: GPL-2.0-or-later
/* corrupt_damage.c - the ways in which a frame is damaged
 *
 * What a 32-bit CRC promises decides which of them may be asked to be found
 * always.  CRC32C finds every burst of up to 32 bits, every odd number of bits
 * (its polynomial has the factor x + 1), and up to three bits wherever they are
 * in a frame of ours (Castagnoli, Braeuer, Herrmann 1993: distance 4 up to
 * 2^31 bits; 6 up to 5,243, which a header is far below).  Anything else is
 * missed once in 2^32.  A header in a session with keys has a tag of 128 bits,
 * and nothing is missed.
 *
 * So of the payload there are two classes, "payload_sure" and "payload_any".  All
 * the others change the header, the segment table, the tag, or lengths.
 *
 * "around" is different: Ethernet, IP and UDP carry nothing that is believed.  Who
 * changes a hop limit there, or an address, has changed nothing of the frame, and
 * it is taken as it was sent.  corrupt.c sees to that.
 */
#include <string.h>

#include "core/be.h"
#include "core/crc32c.h"

#include "corrupt.h"

#define FRAME_LEN sizeof(struct xm_wire_frame)

static uint32_t below(struct corrupt_work *w, uint64_t n)
{
	return (uint32_t)sim_rng_below(w->rng, n);
}

static void touch(struct corrupt_work *w, uint32_t from, uint32_t to)
{
	if (from < w->lo)
		w->lo = from;
	if (to > w->hi)
		w->hi = to;
}

static void flip(struct corrupt_work *w, uint64_t bit)
{
	uint32_t at = (uint32_t)(bit / 8);

	w->data[at] ^= (uint8_t)(1u << bit % 8);
	touch(w, at, at + 1);
}

/* Up to @n bits of [@from, @to), none of them twice. */
static void flip_some(struct corrupt_work *w, uint32_t from, uint32_t to,
		      unsigned int n)
{
	uint64_t bits = (uint64_t)(to - from) * 8, bit[16], k;
	unsigned int i, done = 0;

	while (n--) {
		k = sim_rng_below(w->rng, bits);
		for (i = 0; i < done && bit[i] != k; i++)
			;
		if (i < done)
			continue;
		bit[done++] = k;
		flip(w, from * 8ull + k);
	}
}

/* Of [@from, @to) a run of up to @most bytes, and its first byte for sure. */
static void run(struct corrupt_work *w, uint32_t from, uint32_t to,
		uint32_t most)
{
	uint32_t at = from + below(w, to - from), i, n = 1 + below(w, most);

	if (n > to - at)
		n = to - at;
	for (i = 0; i < n; i++)
		w->data[at + i] ^= (uint8_t)(below(w, 256) | !i);
	touch(w, at, at + n);
}

/* -- the header, the segment table, the tag ------------------------------------- */

static void dmg_head_bits(struct corrupt_work *w)
{
	flip_some(w, w->f->at, w->f->payload, 1 + below(w, 16));
}

static void dmg_head_run(struct corrupt_work *w)
{
	run(w, w->f->at, w->f->payload, 64);
}

static void dmg_segments(struct corrupt_work *w)
{
	uint32_t from = w->f->at + FRAME_LEN;
	uint32_t to = w->f->payload - XM_WIRE_TAG_LEN;

	if (from == to)
		dmg_head_bits(w);
	else
		run(w, from, to, 8);
}

static void dmg_tag(struct corrupt_work *w)
{
	run(w, w->f->payload - XM_WIRE_TAG_LEN, w->f->payload, XM_WIRE_TAG_LEN);
}

#define FIELD(f)                                               \
	{                                                      \
		offsetof(struct xm_wire_frame, f),             \
			sizeof(((struct xm_wire_frame *)0)->f) \
	}
static const struct {
	uint32_t at, len;
} field[] = {
	FIELD(magic),       FIELD(version), FIELD(type),     FIELD(channel),
	FIELD(flags),       FIELD(n_segs),  FIELD(block),    FIELD(cookie),
	FIELD(epoch),       FIELD(seq),     FIELD(packet),   FIELD(page),
	FIELD(seg_len),     FIELD(len),     FIELD(count_hi), FIELD(tx_us),
	FIELD(payload_crc), FIELD(count),
};
#define N_FIELDS (sizeof(field) / sizeof(field[0]))

/* A field has another value: near, at an end, or any. */
static void dmg_field(struct corrupt_work *w)
{
	unsigned int k = below(w, N_FIELDS), kind = below(w, 5), i;
	uint32_t at = w->f->at + field[k].at, last = at + field[k].len - 1;

	for (i = 0; i < field[k].len; i++) {
		if (kind == 0)
			w->data[at + i] = 0;
		else if (kind == 1)
			w->data[at + i] = 0xff;
		else if (kind == 2)
			w->data[at + i] = (uint8_t)below(w, 256);
	}
	if (kind == 3)
		w->data[last]++;
	else if (kind == 4)
		w->data[last]--;
	touch(w, at, last + 1);
}

/* A field, or several, of another frame of this channel. */
static void dmg_field_of_another(struct corrupt_work *w)
{
	unsigned int n = 1 + below(w, 4), k;
	uint32_t at;

	while (n--) {
		k = below(w, N_FIELDS);
		at = w->f->at + field[k].at;
		memcpy(w->data + at,
		       w->other->data + w->other->at + field[k].at,
		       field[k].len);
		touch(w, at, at + field[k].len);
	}
}

/* As much as fits of @from, behind byte @at. */
static void paste(struct corrupt_work *w, uint32_t at, const uint8_t *from,
		  uint32_t n)
{
	if (n > w->f->len - at)
		n = w->f->len - at;
	memcpy(w->data + at, from, n);
	touch(w, at, at + n);
}

/* The head of one on the payload of another; all of it, or its tag only. */
static void dmg_head_of_another(struct corrupt_work *w)
{
	const struct corrupt_frame *o = below(w, 2) ? w->stale : w->other;

	paste(w, w->f->at, o->data + o->at, o->payload - o->at);
}

static void dmg_tag_of_another(struct corrupt_work *w)
{
	const struct corrupt_frame *o = below(w, 2) ? w->stale : w->other;

	paste(w, w->f->payload - XM_WIRE_TAG_LEN,
	      o->data + o->payload - XM_WIRE_TAG_LEN, XM_WIRE_TAG_LEN);
}

/* What a stranger can do who sees frames and has no key: a field changed, and
 * sums made right, as in a session without keys. */
static void dmg_forged(struct corrupt_work *w)
{
	uint32_t crc = xm_be32_get(w->data + w->f->at +
				   offsetof(struct xm_wire_frame, payload_crc));
	unsigned int n_segs =
		w->data[w->f->at + offsetof(struct xm_wire_frame, n_segs)];

	dmg_field(w);
	w->data[w->f->at + offsetof(struct xm_wire_frame, n_segs)] =
		(uint8_t)n_segs;
	xm_frame_sum(w->data + w->f->at, crc);
	touch(w, w->f->at, w->f->payload);
}

/* -- the payload -------------------------------------------------------------------- */

/* Found by every CRC32C: a burst of 32 bits, up to three bits, an odd number. */
static void dmg_payload_sure(struct corrupt_work *w)
{
	uint32_t from = w->f->payload, to = w->f->len, i;
	uint64_t bit, burst;

	switch (below(w, 3)) {
	case 0:
		bit = sim_rng_below(w->rng, (to - from) * 8ull - 31);
		burst = sim_rng_next(w->rng) | 1;
		for (i = 0; i < 32; i++)
			if (burst >> i & 1)
				flip(w, from * 8ull + bit + i);
		break;
	case 1:
		flip_some(w, from, to, 1 + below(w, 3));
		break;
	default: /* that many differ, for sure: one in each of as many parts */
		for (i = 0; i < 15; i++)
			flip(w, (from + (to - from) / 15 * i) * 8ull +
					sim_rng_below(w->rng,
						      (to - from) / 15 * 8));
		break;
	}
}

/* Whatever happens to bytes: runs, zeros, pieces in each other's place, those of
 * another frame. */
static void dmg_payload_any(struct corrupt_work *w)
{
	uint32_t from = w->f->payload, n = w->f->len - from, half = n / 2, at;
	const struct corrupt_frame *o = w->other;

	at = from + below(w, half);
	switch (below(w, 4)) {
	case 0:
		run(w, from, w->f->len, 1500);
		break;
	case 1:
		memset(w->data + at, below(w, 2) ? 0 : 0xff, half);
		touch(w, at, at + half);
		break;
	case 2: /* turned by some bytes */
		at = 1 + below(w, n - 1);
		memcpy(w->data + from, w->f->data + from + at, n - at);
		memcpy(w->data + from + n - at, w->f->data + from, at);
		touch(w, from, w->f->len);
		break;
	default:
		paste(w, from, o->data + o->payload, o->len - o->payload);
		break;
	}
}

/* -- lengths -------------------------------------------------------------------------- */

/* IP and UDP say what is there now. */
static void fix_lengths(struct corrupt_work *w)
{
	uint32_t udp = w->f->at - 8, ip_len, i, sum = 0;
	bool ipv6 = udp - w->f->ip == 40;
	uint8_t *ip = w->data + w->f->ip;

	if (w->len < w->f->at)
		return;
	ip_len = w->len - w->f->ip;
	touch(w, w->f->ip, w->f->at);
	xm_be16_put(w->data + udp + 4, (uint16_t)(w->len - udp));
	if (ipv6) {
		xm_be16_put(ip + 4, (uint16_t)(ip_len - 40));
		return;
	}
	xm_be16_put(ip + 2, (uint16_t)ip_len);
	xm_be16_put(ip + 10, 0);
	for (i = 0; i < 20; i += 2)
		sum += xm_be16_get(ip + i);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	xm_be16_put(ip + 10, (uint16_t)~sum);
}

static void dmg_cut(struct corrupt_work *w)
{
	w->len = below(w, 2) ? below(w, w->f->len) :
			       w->f->at + below(w, w->f->len - w->f->at);
	if (below(w, 2))
		fix_lengths(w);
}

static void dmg_longer(struct corrupt_work *w)
{
	uint32_t n = 1 + below(w, CHAN_ROOM), i;

	for (i = 0; i < n; i++)
		w->data[w->f->len + i] = (uint8_t)below(w, 256);
	w->len = w->f->len + n;
	if (below(w, 4)) /* else it is padding */
		fix_lengths(w);
}

/* -- all of it ------------------------------------------------------------------------ */

static void dmg_around(struct corrupt_work *w)
{
	if (below(w, 2))
		flip_some(w, 0, w->f->at, 1 + below(w, 8));
	else
		run(w, 0, w->f->at, 16);
}

static void dmg_anywhere(struct corrupt_work *w)
{
	dmg_head_bits(w);
	dmg_around(w);
	run(w, w->f->at, w->f->len, 64);
}

/* Only what the XDP program looks at is as it should be. */
static void dmg_noise(struct corrupt_work *w)
{
	uint32_t from = w->f->at + offsetof(struct xm_wire_frame, epoch);
	uint32_t to = w->f->len < from + 1024 ? w->f->len : from + 1024, i;

	for (i = from; i + 8 <= to; i += 8)
		xm_be64_put(w->data + i, sim_rng_next(w->rng));
	touch(w, from, to);
}

const struct corrupt_class corrupt_class[] = {
	{ "head_bits", dmg_head_bits, false, false },
	{ "head_run", dmg_head_run, false, false },
	{ "segments", dmg_segments, false, false },
	{ "tag", dmg_tag, false, false },
	{ "field", dmg_field, false, false },
	{ "field_of_another", dmg_field_of_another, false, false },
	{ "head_of_another", dmg_head_of_another, true, false },
	{ "tag_of_another", dmg_tag_of_another, false, false },
	{ "forged", dmg_forged, false, true },
	{ "payload_sure", dmg_payload_sure, false, false },
	{ "payload_any", dmg_payload_any, true, false },
	{ "cut", dmg_cut, false, false },
	{ "longer", dmg_longer, false, false },
	{ "around", dmg_around, false, false },
	{ "anywhere", dmg_anywhere, false, false },
	{ "noise", dmg_noise, false, false },
};
const unsigned int corrupt_n_classes =
	sizeof(corrupt_class) / sizeof(corrupt_class[0]);
