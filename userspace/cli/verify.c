// SPDX-License-Identifier: GPL-2.0-or-later
/* verify.c - all of guest memory in hashes, and what differs
 *
 *   source                              destination
 *   VERIFY ---------------------------->
 *   the chief looks for holes           the same, at the same time
 *   threads hash stripe after stripe
 *                      <--------------- HASHES, HASHES, ...
 *   compares
 *
 * A round is a thread, the chief: it asks the file systems which pages have
 * memory behind them now, whatever was known before, because what nobody told us
 * of is what is looked for here: a hole that a balloon punched after its page was
 * sent, a byte that somebody wrote into the target's memory.  Then it hashes,
 * with as many other threads as there are channels and CPUs for: each takes the
 * next stripe that nobody has.  The conductor sees the end by a descriptor, and
 * goes on with its heartbeats until then.
 *
 * The channels' own threads have nothing to do meanwhile, and sleep.
 *
 * All memory that this takes is there when the migration begins: a bit for each
 * page and two hashes for each stripe.
 */
#include "verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cli.h"
#include "clock.h"
#include "guest/hash.h"
#include "near.h"
#include "util/fd.h"

/* Words with a bit for each page, and no more: others' bitmaps may not have one
 * more. */
static size_t bitmap_bytes(const struct verify *v, unsigned int block)
{
	uint64_t last = (v->ram->map.block[block].len - 1) >> XM_PAGE_SHIFT;

	return (last / 64 + 1) * sizeof(uint64_t);
}

int verify_open(struct verify *v, const struct guest_ram *ram,
		unsigned int n_channels, int numa_node, struct xm_error *e)
{
	const struct xm_map *map = &ram->map;
	unsigned int cpus = xm_cpus();
	bool is_whole;
	unsigned int i;

	v->ram = ram;
	v->n_threads = cpus < n_channels ? cpus : n_channels;
	v->numa_node = numa_node;
	v->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->ours = calloc(map->n_stripes, sizeof(*v->ours));
	v->theirs = calloc(map->n_stripes, sizeof(*v->theirs));
	is_whole = v->done_fd >= 0 && v->ours && v->theirs;
	for (i = 0; i < map->n_blocks; i++) {
		v->populated[i] = calloc(1, bitmap_bytes(v, i));
		is_whole = is_whole && v->populated[i];
	}
	return is_whole ? 0 :
			  xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
				  "no memory to verify with");
}

/* -- the threads -------------------------------------------------------------------- */

static void hash_stripes(struct verify *v)
{
	const struct xm_map *map = &v->ram->map;
	uint64_t bytes = 0, first, end;
	unsigned int block = 0;
	uint32_t stripe;

	while (!atomic_load(&v->must_stop)) {
		stripe = atomic_fetch_add(&v->next, 1);
		if (stripe >= map->n_stripes)
			break;
		block = xm_map_stripe_block(map, block, stripe);
		xm_map_stripe_pages(map, block, stripe, &first, &end);
		v->ours[stripe] = guest_hash_pages(map->block[block].hva,
						   v->populated[block], first,
						   end, &bytes);
	}
	atomic_fetch_add(&v->read, bytes);
}

static void *helper_main(void *arg)
{
	hash_stripes(arg);
	return NULL;
}

/* Fewer threads take longer, and no more. */
static void hash_all(struct verify *v)
{
	pthread_t helper[XM_CHAN_MAX];
	unsigned int n = 0;

	while (n + 1 < v->n_threads && n < XM_CHAN_MAX &&
	       !pthread_create(&helper[n], NULL, helper_main, v))
		n++;
	hash_stripes(v);
	while (n)
		(void)pthread_join(helper[--n], NULL);
}

static void *chief_main(void *arg)
{
	struct verify *v = arg;
	struct xm_time begun = xm_clock();
	uint64_t one = 1;
	unsigned int i;
	int r = 0;

	near_node(v->numa_node);
	for (i = 0; !r && i < v->ram->map.n_blocks; i++) {
		memset(v->populated[i], 0, bitmap_bytes(v, i));
		r = guest_ram_mark(v->ram, i, v->populated[i], &v->err);
	}
	if (!r)
		hash_all(v);
	v->ns += xm_time_sub(xm_clock(), begun);
	/* Fails only when the counter is full: then it is readable anyway. */
	(void)!write(v->done_fd, &one, sizeof(one));
	return NULL;
}

/* -- a round ------------------------------------------------------------------------ */

int verify_begin(struct verify *v, struct xm_error *e)
{
	int r;

	v->n_rounds++;
	v->n_theirs = 0;
	v->is_done = false;
	atomic_store(&v->next, 0);
	r = pthread_create(&v->chief, NULL, chief_main, v);
	if (r)
		return xm_fail(e, -r, XM_REASON_MEMORY,
			       "cannot make a thread to verify memory with: %s",
			       strerror(r));
	v->is_busy = true;
	return 0;
}

unsigned int verify_fds(const struct verify *v, struct pollfd *fds)
{
	if (!v->is_busy)
		return 0;
	fds[0] = (struct pollfd){ .fd = v->done_fd, .events = POLLIN };
	return 1;
}

int verify_check(struct verify *v, struct xm_error *e)
{
	uint64_t n;

	if (!v->is_busy || read(v->done_fd, &n, sizeof(n)) != sizeof(n))
		return VERIFY_E_BUSY;
	(void)pthread_join(v->chief, NULL);
	v->is_busy = false;
	v->is_done = !v->err.err;
	if (v->err.err)
		return xm_fail(e, v->err.err, v->err.reason, "%s", v->err.msg);
	return 0;
}

bool verify_put(const struct verify *v, uint32_t first, struct xm_msg *msg)
{
	uint32_t left = v->ram->map.n_stripes - first;

	memset(msg, 0, sizeof(*msg));
	msg->type = XM_MSG_HASHES;
	msg->hashes.first = first;
	msg->hashes.n =
		(uint16_t)(left < XM_HASHES_CHUNK ? left : XM_HASHES_CHUNK);
	memcpy(msg->hashes.hash, v->ours + first,
	       msg->hashes.n * sizeof(*v->ours));
	return left;
}

void verify_note_dirtied(const struct verify *v, struct xm_map *map)
{
	unsigned int i;
	size_t k;

	for (i = 0; i < map->n_blocks; i++)
		for (k = 0; k < bitmap_bytes(v, i) / 8; k++)
			map->block[i].dirtied[k] |= v->populated[i][k];
}

void verify_take(struct verify *v, const struct xm_msg_hashes *m)
{
	memcpy(v->theirs + m->first, m->hash, m->n * sizeof(*m->hash));
	v->n_theirs += m->n;
}

bool verify_is_complete(const struct verify *v)
{
	return v->is_done && v->n_theirs == v->ram->map.n_stripes;
}

static void set_bits(uint64_t *bits, uint64_t first, uint64_t end)
{
	for (; first < end; first++)
		bits[first / 64] |= 1ull << (first % 64);
}

uint32_t verify_compare(struct verify *v, uint64_t *const *todo,
			uint64_t *const *populated)
{
	const struct xm_map *map = &v->ram->map;
	uint64_t first, end;
	unsigned int i;
	uint32_t s;

	v->n_differ = 0;
	v->n_pages = 0;
	for (i = 0; i < map->n_blocks; i++)
		memcpy(populated[i], v->populated[i], bitmap_bytes(v, i));
	for (i = 0, s = 0; s < map->n_stripes; s++) {
		if (v->ours[s] == v->theirs[s])
			continue;
		i = xm_map_stripe_block(map, i, s);
		xm_map_stripe_pages(map, i, s, &first, &end);
		set_bits(todo[i], first, end);
		v->n_differ++;
		v->n_pages += end - first;
	}
	if (v->n_rounds == 1)
		v->n_found = v->n_differ;
	return v->n_differ;
}

const char *verify_where(const struct verify *v, char *buf, size_t len)
{
	const struct xm_map *map = &v->ram->map;
	uint64_t first = 0, end;
	unsigned int i;
	uint32_t s = 0;

	while (s + 1 < map->n_stripes && v->ours[s] == v->theirs[s])
		s++;
	i = xm_map_stripe_block(map, 0, s);
	xm_map_stripe_pages(map, i, s, &first, &end);
	(void)snprintf(buf, len, "%s at 0x%" PRIx64, map->block[i].name,
		       first << XM_PAGE_SHIFT);
	return buf;
}

/* -- ends ------------------------------------------------------------------------------ */

void verify_report(const struct verify *v, bool is_source, json_t *o)
{
	if (!v->n_rounds || v->is_busy)
		return; /* a round that was not ended has no figures */
	cli_put_u64(o, "verify_rounds", v->n_rounds);
	cli_put_real(o, "verify_hash_ms", (double)v->ns / XM_MS);
	cli_put_u64(o, "verify_bytes_hashed", v->read);
	if (!is_source)
		return;
	cli_put_u64(o, "verify_stripes", v->ram->map.n_stripes);
	cli_put_u64(o, "verify_stripes_differed", v->n_found);
	cli_put_u64(o, "verify_stripes_repaired",
		    v->n_rounds > 1 ? v->n_found - v->n_differ : 0);
}

void verify_close(struct verify *v)
{
	unsigned int i;

	if (!v->ram)
		return;
	if (v->is_busy) {
		atomic_store(&v->must_stop, true);
		(void)pthread_join(v->chief, NULL);
		v->is_busy = false;
	}
	for (i = 0; i < XM_BLOCK_MAX; i++)
		free(v->populated[i]);
	free(v->ours);
	free(v->theirs);
	fd_closep(&v->done_fd);
	memset(v, 0, sizeof(*v));
}
