// SPDX-License-Identifier: GPL-2.0-or-later
/* test_doc_frame.c - the frame in hex of docs/protocol.md, section 11
 *
 * Its bytes are read out of the document itself, up to the payload, which is
 * abridged there, and compared with what the codecs write and read.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/crc32c.h"
#include "core/encap.h"
#include "core/frame.h"

#define PAGE 4096

struct t_doc {
	uint8_t frame[14 + 20 + 8 + 80 + 2 * PAGE];
	size_t len;
};

/* Bytes at the beginning of @line: pairs of digits, one space between them. */
static void read_line(struct t_doc *d, const char *line)
{
	char *end;

	while (isxdigit((unsigned char)line[0]) &&
	       isxdigit((unsigned char)line[1]) &&
	       (line[2] == ' ' || line[2] == '\n')) {
		assert_in_range(d->len, 0, sizeof(d->frame) - 1);
		d->frame[d->len++] = (uint8_t)strtoul(line, &end, 16);
		line = end + 1;
	}
}

/* The block of section 11, but for the line of the payload. */
static int setup(void **state)
{
	struct t_doc *d = calloc(1, sizeof(*d));
	FILE *f = fopen(XM_PROTOCOL, "r");
	bool is_section = false;
	unsigned int fences = 0;
	char line[1024];

	assert_non_null(d);
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "## ", 3))
			is_section = !strncmp(line, "## 11.", 6);
		else if (is_section && !strncmp(line, "```", 3))
			fences++;
		else if (is_section && fences == 1 && !strstr(line, "..."))
			read_line(d, line);
	}
	assert_int_equal(fclose(f), 0);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* What the text above the block says. */
static void make_payload(uint8_t *payload)
{
	memset(payload, 0x55, PAGE);
	memset(payload + PAGE, 0xff, PAGE);
}

static void doc_frame__is_complete_up_to_the_payload(void **state)
{
	struct t_doc *d = *state;

	assert_int_equal(d->len, 14 + 20 + 8 + 48 + 2 * 8 + 16);
}

static void doc_frame__is_what_the_codecs_write(void **state)
{
	const struct xm_path path = {
		.src_mac = { 2, 0, 0, 0, 0, 1 },
		.dst_mac = { 2, 0, 0, 0, 0, 2 },
		.src = { 198, 18, 0, 1 },
		.dst = { 198, 18, 0, 2 },
		.sport = 61955,
		.dport = 61955,
	};
	const struct xm_frame f = {
		.type = XM_WIRE_DATA,
		.channel = 3,
		.cookie = 0x1122334455667788,
		.epoch = 1,
		.seq = 5,
		.packet = 0,
		.page = 8,
		.n_segs = 2,
		.seg_len = PAGE,
		.len = 2 * PAGE,
		.block = 0,
		.tx_us = 1000000,
		.seg = { 0x600000, 0x602000 },
	};
	uint8_t want[XM_ENCAP_MAX + XM_WIRE_HEADER_MAX], payload[2 * PAGE];
	struct t_doc *d = *state;
	size_t at, len;

	make_payload(payload);
	at = xm_encap_put(want, &path, 48 + 2 * 8 + 16 + sizeof(payload));
	len = at + xm_frame_put(want + at, &f);
	xm_frame_sum(want + at, xm_crc32c(0, payload, sizeof(payload)));
	assert_int_equal(d->len, len);
	assert_memory_equal(d->frame, want, len);
}

static void doc_frame__is_what_the_codecs_read(void **state)
{
	struct t_doc *d = *state;
	struct xm_encap encap;
	struct xm_frame f;
	size_t hdr_len;

	make_payload(d->frame + d->len);
	assert_int_equal(xm_encap_get(&encap, d->frame, sizeof(d->frame),
				      sizeof(d->frame)),
			 XM_DROP_NONE);
	assert_int_equal(encap.ip_len, 8300);
	assert_int_equal(encap.dport, 61955);
	assert_int_equal(xm_frame_get(&f, &hdr_len, d->frame + encap.payload,
				      encap.len, encap.len),
			 XM_DROP_NONE);
	assert_int_equal(f.seg[1], 0x602000);
	assert_int_equal(xm_crc32c(0, d->frame + d->len, f.len), f.payload_crc);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(doc_frame__is_complete_up_to_the_payload),
		T(doc_frame__is_what_the_codecs_write),
		T(doc_frame__is_what_the_codecs_read),
	};

	return cmocka_run_group_tests_name("doc_frame", tests, NULL, NULL);
}
