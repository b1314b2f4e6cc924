/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify.h - all of guest memory in hashes, and what differs (theory in verify.c)
 *
 * A struct verify starts zeroed; verify_open() makes it, verify_close() undoes
 * what there is.
 */
#ifndef XM_CLI_VERIFY_H
#define XM_CLI_VERIFY_H

#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/msg.h"
#include "core/pages.h"
#include "guest/ram.h"

struct verify {
	const struct guest_ram *ram; /* NULL: not open */
	unsigned int n_threads;
	int numa_node;                     /* to run on, -1 any */
	uint64_t *populated[XM_BLOCK_MAX]; /* as it was hashed */
	uint64_t *ours, *theirs;           /* hashes, one a stripe */
	uint32_t n_theirs;                 /* that have come */

	/* the threads' */
	pthread_t chief;
	bool is_busy; /* there is a chief */
	bool is_done; /* ours[] is what memory is */
	int done_fd;
	atomic_bool must_stop;
	_Atomic uint32_t next; /* stripe that nobody has taken */
	_Atomic uint64_t read; /* bytes */
	struct xm_error err;

	/* figures, of all rounds */
	unsigned int n_rounds;
	int64_t ns;
	uint32_t n_differ; /* stripes, in the last round; at the source */
	uint32_t n_found;  /* in the first */
	uint64_t n_pages;  /* of the last round's */
};

/* @ram, sharded, stays where it is and as it is until verify_close().  0 or
 * -ENOMEM with @e. */
int verify_open(struct verify *v, const struct guest_ram *ram,
		unsigned int n_channels, int numa_node, struct xm_error *e);

/* Hash all of it, in threads of its own, while nobody writes it.  0 or -errno
 * with @e. */
int verify_begin(struct verify *v, struct xm_error *e);

/* What to wait for while it does; returns how many, at most 1. */
unsigned int verify_fds(const struct verify *v, struct pollfd *fds);

#define VERIFY_E_BUSY 1 /* not done, or not begun */

/* 0 once when it is done, VERIFY_E_BUSY, or -errno with @e. */
int verify_check(struct verify *v, struct xm_error *e);

/* Destination, when it is done: hashes from @first on into @msg, as many as it
 * takes.  False: there are no more. */
bool verify_put(const struct verify *v, uint32_t first, struct xm_msg *msg);
/* Destination, when it is done: what was found to be populated may hold
 * something, whoever wrote it. */
void verify_note_dirtied(const struct verify *v, struct xm_map *map);

/* Source: hashes came, the next ones (the core has seen to that). */
void verify_take(struct verify *v, const struct xm_msg_hashes *m);
/* Source: are both sides' complete? */
bool verify_is_complete(const struct verify *v);
/* Source, then: stripes that differ.  Their pages' bits are set in @todo, and
 * @populated (both by block) becomes what was found. */
uint32_t verify_compare(struct verify *v, uint64_t *const *todo,
			uint64_t *const *populated);
/* The first of them, for people: "ram0 at 0x200000". */
const char *verify_where(const struct verify *v, char *buf, size_t len);

/* The result's fields; none while it hashes. */
void verify_report(const struct verify *v, bool is_source, json_t *o);

/* Stop; before the memory goes. */
void verify_close(struct verify *v);

#endif
