/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tape.h - frames kept, to be sent once more: in memory, or as a pcap file */
#ifndef T_TAPE_H
#define T_TAPE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct tape_frame {
	uint8_t *data;
	uint32_t len;
};

struct tape {
	struct tape_frame *frame;
	size_t n, room;
	size_t next; /* to be sent once more */
};

/* Keep a copy.  0 or -ENOMEM. */
int tape_add(struct tape *t, const void *data, uint32_t len);

/* All frames of a file that tape_file() made, behind those in @t.  0, -errno, or
 * -EINVAL: not such a file. */
int tape_load(struct tape *t, const char *path);

void tape_fini(struct tape *t);

/* A new file; NULL and errno. */
FILE *tape_file(const char *path);

/* Put a frame there, as come at @ns.  Errors show at fclose(). */
void tape_put(FILE *f, int64_t ns, const void *data, uint32_t len);

#endif
