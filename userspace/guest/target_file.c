// SPDX-License-Identifier: GPL-2.0-or-later
/* target_file.c - a file of shared memory that receives a guest
 *
 * The file is the guest: nothing runs here.  One path is one block, so a guest
 * with more of them is refused, and so is one with device state, which would
 * have nowhere to go.  Whoever starts the guest from the file does so when
 * this program has said that all of it is there.
 *
 * Memory that is lent (guest_target_lent()) gets the size of each guest in turn,
 * and keeps what came, for who lent it to throw away.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "news.h"

struct target_file {
	struct guest_target t; /* first: the ops cast it back */
	char path[256];
	int lent; /* memory, the caller's; -1: path */
	struct guest_news news;
};

static struct target_file *to_file(struct guest_target *t)
{
	return (struct target_file *)t;
}

static int file_resize(const struct target_file *f,
		       const struct guest_identity *want, struct guest_ram *ram,
		       struct xm_error *e)
{
	const struct guest_lent lent = {
		.name = want->block[0].name,
		.label = f->path,
		.fd = f->lent,
		.len = want->block[0].len,
		.for_writing = true,
	};

	if (ftruncate(f->lent, (off_t)lent.len))
		return xm_fail(e, -errno, XM_REASON_MEMORY,
			       "%s: cannot have %" PRIu64 " bytes: %s", f->path,
			       lent.len, strerror(errno));
	return guest_ram_open_fd(ram, &lent, e);
}

static int file_make(struct guest_target *t, const struct guest_identity *want,
		     struct guest_ram *ram, struct xm_error *e)
{
	const char *path = to_file(t)->path;

	if (want->has_device)
		return xm_fail(e, -EINVAL, XM_REASON_REFUSED,
			       "%s: the source is a guest with devices, --ram "
			       "takes memory only; receive it into a QEMU with "
			       "--qmp",
			       path);
	if (want->n_blocks != 1)
		return xm_fail(e, -EINVAL, XM_REASON_REFUSED,
			       "%s: the source has %u RAM blocks, --ram takes "
			       "one",
			       path, want->n_blocks);
	if (to_file(t)->lent >= 0)
		return file_resize(to_file(t), want, ram, e);
	return guest_ram_create(ram, path, want->block[0].name,
				want->block[0].len, e);
}

static int file_end_device(struct guest_target *t, struct xm_error *e)
{
	(void)e; /* it cannot fail */
	news_post(&to_file(t)->news, GUEST_LOADED);
	return 0;
}

static int file_run(struct guest_target *t, bool paused, struct xm_error *e)
{
	(void)paused; /* a file neither runs nor rests */
	(void)e;      /* it cannot fail */
	news_post(&to_file(t)->news, GUEST_RUNS);
	return 0;
}

static unsigned int file_fds(struct guest_target *t, struct pollfd *fds)
{
	fds[0] = news_pollfd(&to_file(t)->news);
	return 1;
}

static int file_turn(struct guest_target *t, unsigned int *ret_news,
		     struct xm_error *e)
{
	(void)e; /* it cannot fail */
	*ret_news = news_take(&to_file(t)->news);
	return 0;
}

static struct guest_target *file_close(struct guest_target *t)
{
	news_close(&to_file(t)->news);
	free(t);
	return NULL;
}

static const struct guest_target_ops file_ops = {
	.kind = "file",
	.make = file_make,
	.end_device = file_end_device,
	.run = file_run,
	.fds = file_fds,
	.turn = file_turn,
	.close = file_close,
};

static int file_new(struct guest_target **ret_t, const char *path, int lent,
		    struct xm_error *e)
{
	struct target_file *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "no memory to describe %s", path);
	f->t.ops = &file_ops;
	f->lent = lent;
	strcpy(f->path, path);
	r = news_open(&f->news, e);
	if (r) {
		free(f);
		return r;
	}
	*ret_t = &f->t;
	return 0;
}

int guest_target_lent(struct guest_target **ret_t, const char *label, int fd,
		      struct xm_error *e)
{
	return file_new(ret_t, label, fd, e);
}

int guest_target_file(struct guest_target **ret_t, const char *path,
		      struct xm_error *e)
{
	struct target_file *f;
	int r;

	if (strlen(path) >= sizeof(f->path))
		return xm_fail(e, -ENAMETOOLONG, XM_REASON_MEMORY,
			       "%.40s...: path longer than %zu bytes", path,
			       sizeof(f->path) - 1);
	r = guest_ram_check_path(path, e);
	return r ? r : file_new(ret_t, path, -1, e);
}
