// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_msg.c - messages of the control connection, as a peer may send them
 *
 * parses: userspace/core/msg.c
 *
 * The first byte of an input says what the rest is:
 *
 *   bit 0  a body only: the header before it is made right, with bits 4-7 as
 *          the type, and bit 1 for 16 more; else the input is the message
 */
#include <string.h>

#include "core/msg.h"

#include "fuzz.h"

static void check_hello(const struct xm_msg_hello *m)
{
	unsigned int i;

	FUZZ_CHECK(m->n_channels >= 1 && m->n_channels <= XM_CHAN_MAX);
	FUZZ_CHECK(m->n_blocks >= 1 && m->n_blocks <= XM_BLOCK_MAX);
	FUZZ_CHECK(m->port_base && m->port_base + XM_CHAN_MAX - 1 <= 65535);
	FUZZ_CHECK(m->ip_max >= XM_MTU_MIN && m->ip_max <= XM_MTU_MAX);
	FUZZ_CHECK(m->max_pages);
	for (i = 0; i < m->n_blocks; i++) {
		FUZZ_CHECK(memchr(m->block[i].name, '\0', XM_BLOCK_NAME));
		FUZZ_CHECK(m->block[i].name[0]);
		FUZZ_CHECK(!m->block[i].page_size ||
			   (m->block[i].page_size >= XM_PAGE_SIZE &&
			    !(m->block[i].page_size &
			      (m->block[i].page_size - 1))));
	}
	FUZZ_CHECK(memchr(m->machine, '\0', sizeof(m->machine)));
	FUZZ_CHECK(memchr(m->name, '\0', sizeof(m->name)));
}

/* What a DEVICE points at lies in the message, which has @len bytes. */
static void check_device(const struct xm_msg_device *m, const uint8_t *msg,
			 size_t len)
{
	FUZZ_CHECK(m->len >= 1 && m->len <= XM_DEVICE_CHUNK);
	FUZZ_CHECK(m->offset + m->len > m->offset);
	FUZZ_CHECK(m->data >= msg + XM_MSG_HEADER &&
		   m->data + m->len <= msg + len);
}

static void check_values(const struct xm_msg *m)
{
	if (m->type == XM_MSG_HELLO)
		check_hello(&m->hello);
	if (m->type == XM_MSG_WELCOME)
		FUZZ_CHECK(m->welcome.n_channels >= 1 &&
			   m->welcome.n_channels <= XM_CHAN_MAX &&
			   m->welcome.port_base && m->welcome.max_pages);
	if (m->type >= XM_MSG_EPOCH_BEGIN && m->type <= XM_MSG_EPOCH_DONE)
		FUZZ_CHECK(m->epoch.n_channels <= XM_CHAN_MAX &&
			   m->epoch.is_final <= 1);
	if (m->type == XM_MSG_ABORT)
		FUZZ_CHECK(m->abort.reason > XM_REASON_NONE &&
			   m->abort.reason < XM_REASON__COUNT &&
			   memchr(m->abort.text, '\0', XM_MSG_TEXT));
	if (m->type == XM_MSG_DEVICE_END)
		FUZZ_CHECK(m->device_end.runs <= 1);
	if (m->type == XM_MSG_HASHES)
		FUZZ_CHECK(m->hashes.n >= 1 && m->hashes.n <= XM_HASHES_CHUNK);
}

/* As many bytes as an older peer's HELLO lacks when all it appends is empty. */
static size_t hello_lacks(const struct xm_msg *m)
{
	return m->type == XM_MSG_HELLO ? 2 + 2 + 4u * m->hello.n_blocks : 0;
}

/* A name or text with a NUL inside is shorter when it is written again. */
static void check_again(const struct xm_msg *m, size_t len)
{
	static uint8_t buf[XM_MSG_MAX], copy[XM_MSG_MAX];
	static struct xm_msg again, thrice;
	size_t got = xm_msg_put(buf, m);

	FUZZ_CHECK(got <= len + hello_lacks(m));
	FUZZ_CHECK(xm_msg_get(&again, buf, got) == 0);
	FUZZ_CHECK(again.type == m->type);
	FUZZ_CHECK(xm_msg_put(copy, &again) == got);
	FUZZ_CHECK(!memcmp(buf, copy, got));
	FUZZ_CHECK(xm_msg_get(&thrice, buf, got) == 0);
	FUZZ_CHECK(!memcmp(&again, &thrice, sizeof(again)));
}

static void fuzz_message(const uint8_t *data, size_t len)
{
	static struct xm_msg m;
	size_t body;
	int r;

	if (len >= XM_MSG_HEADER && xm_msg_peek(data, &body) == 0)
		FUZZ_CHECK(body <= XM_MSG_MAX - XM_MSG_HEADER);
	r = xm_msg_get(&m, data, len);
	FUZZ_CHECK(r >= 0 && r <= XM_MSG_E_VALUE);
	if (r)
		return;
	FUZZ_CHECK(strcmp(xm_msg_name(m.type), "unknown") != 0);
	check_values(&m);
	if (m.type == XM_MSG_DEVICE)
		check_device(&m.device, data, len);
	check_again(&m, len);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = size ? size - 1 : 0, skip;
	uint8_t *copy;

	if (!size || len > XM_MSG_MAX - XM_MSG_HEADER)
		return 0;
	skip = data[0] & 1 ? XM_MSG_HEADER : 0;
	copy = malloc(skip + len ? skip + len : 1);
	if (!copy)
		return 0;
	memcpy(copy + skip, data + 1, len);
	if (skip) {
		copy[0] = XM_MSG_MAGIC >> 8;
		copy[1] = XM_MSG_MAGIC & 0xff;
		copy[2] = XM_MSG_VERSION;
		copy[3] = (uint8_t)(data[0] >> 4 | (data[0] & 2) << 3);
		copy[4] = 0;
		copy[5] = (uint8_t)(len >> 16);
		copy[6] = (uint8_t)(len >> 8);
		copy[7] = (uint8_t)len;
	}
	fuzz_message(copy, skip + len);
	free(copy);
	return 0;
}
