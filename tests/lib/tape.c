// SPDX-License-Identifier: GPL-2.0-or-later
/* tape.c - frames kept, to be sent once more
 *
 * The file is a pcap one (link type Ethernet, nanoseconds, this machine's byte
 * order), so that what was recorded can be looked at with the usual tools.
 */
#include "tape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PCAP_MAGIC_NS 0xa1b23c4du
#define PCAP_ETHERNET 1
#define LEN_MAX       (1 << 18)

struct pcap_file {
	uint32_t magic;
	uint16_t major, minor;
	int32_t zone;
	uint32_t accuracy, snaplen, link;
};

struct pcap_frame {
	uint32_t s, ns, len, wire_len;
};

int tape_add(struct tape *t, const void *data, uint32_t len)
{
	size_t room = t->room ? 2 * t->room : 1024;
	struct tape_frame *more;
	uint8_t *copy;

	if (t->n == t->room) {
		more = realloc(t->frame, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		t->frame = more;
		t->room = room;
	}
	copy = malloc(len);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, len);
	t->frame[t->n++] = (struct tape_frame){ copy, len };
	return 0;
}

static int load_frames(struct tape *t, FILE *f)
{
	static uint8_t data[LEN_MAX];
	struct pcap_frame h;
	int r = 0;

	while (!r && fread(&h, sizeof(h), 1, f) == 1) {
		if (h.len > LEN_MAX || fread(data, 1, h.len, f) != h.len)
			return -EINVAL;
		r = tape_add(t, data, h.len);
	}
	return r;
}

int tape_load(struct tape *t, const char *path)
{
	FILE *f = fopen(path, "r");
	struct pcap_file h;
	int r = -EINVAL;

	if (!f)
		return -errno;
	if (fread(&h, sizeof(h), 1, f) == 1 && h.magic == PCAP_MAGIC_NS &&
	    h.link == PCAP_ETHERNET)
		r = load_frames(t, f);
	fclose(f);
	return r;
}

void tape_fini(struct tape *t)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		free(t->frame[i].data);
	free(t->frame);
	memset(t, 0, sizeof(*t));
}

FILE *tape_file(const char *path)
{
	const struct pcap_file h = { .magic = PCAP_MAGIC_NS,
				     .major = 2,
				     .minor = 4,
				     .snaplen = LEN_MAX,
				     .link = PCAP_ETHERNET };
	FILE *f = fopen(path, "w");

	if (f)
		fwrite(&h, sizeof(h), 1, f);
	return f;
}

void tape_put(FILE *f, int64_t ns, const void *data, uint32_t len)
{
	const struct pcap_frame h = { .s = (uint32_t)(ns / 1000000000),
				      .ns = (uint32_t)(ns % 1000000000),
				      .len = len,
				      .wire_len = len };

	fwrite(&h, sizeof(h), 1, f);
	fwrite(data, 1, len, f);
}
