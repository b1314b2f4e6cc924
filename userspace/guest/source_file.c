// SPDX-License-Identifier: GPL-2.0-or-later
/* source_file.c - memory that nobody writes, as a guest to send
 *
 * A file of guest memory whose QEMU is paused or gone.  There is nothing to
 * track, to pause or to bring back, so the life of this source is one map();
 * what is begun is done one turn later, as with any other guest.
 *
 * Whether somebody writes the file all the same cannot be seen here.  The CRCs
 * of the last epoch tell: they are taken of what was sent, and a page that
 * changes meanwhile does not match.
 */
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "news.h"

struct source_file {
	struct guest_source s; /* first: the ops cast it back */
	char path[256];
	char name[XM_BLOCK_NAME];
	struct guest_news news;
};

static struct source_file *to_file(struct guest_source *s)
{
	return (struct source_file *)s;
}

static int file_map(struct guest_source *s, struct guest_ram *ram,
		    struct xm_error *e)
{
	struct source_file *f = to_file(s);
	int r = guest_ram_open(ram, f->path, f->name, e);

	if (r)
		return r;
	strcpy(s->id.block[0].name, f->name);
	s->id.block[0].len = ram->map.block[ram->map.n_blocks - 1].len;
	s->id.block[0].page_size =
		(uint32_t)ram->block[ram->map.n_blocks - 1].page_size;
	s->id.n_blocks = 1;
	return 0;
}

static int file_pause(struct guest_source *s, struct xm_error *e)
{
	(void)e; /* it cannot fail */
	news_post(&to_file(s)->news, GUEST_PAUSED);
	return 0;
}

static int file_hand_over(struct guest_source *s, struct xm_error *e)
{
	(void)e; /* it cannot fail */
	news_post(&to_file(s)->news, GUEST_DEVICE_END);
	return 0;
}

static unsigned int file_fds(struct guest_source *s, struct pollfd *fds)
{
	fds[0] = news_pollfd(&to_file(s)->news);
	return 1;
}

static int file_turn(struct guest_source *s, unsigned int *ret_news,
		     struct xm_error *e)
{
	(void)e; /* it cannot fail */
	*ret_news = news_take(&to_file(s)->news);
	return 0;
}

static struct guest_source *file_close(struct guest_source *s)
{
	news_close(&to_file(s)->news);
	free(s);
	return NULL;
}

static const struct guest_source_ops file_ops = {
	.kind = "file",
	.map = file_map,
	.pause = file_pause,
	.hand_over = file_hand_over,
	.fds = file_fds,
	.turn = file_turn,
	.close = file_close,
};

int guest_source_file(struct guest_source **ret_s, const char *path,
		      const char *name, struct xm_error *e)
{
	struct source_file *f;
	int r;

	if (strlen(path) >= sizeof(f->path))
		return xm_fail(e, -ENAMETOOLONG, XM_REASON_MEMORY,
			       "%.40s...: path longer than %zu bytes", path,
			       sizeof(f->path) - 1);
	if (!*name || strlen(name) >= sizeof(f->name))
		return xm_fail(e, -EINVAL, XM_REASON_USAGE,
			       "%s: a block's name has 1 to %d bytes", path,
			       XM_BLOCK_NAME - 1);
	f = calloc(1, sizeof(*f));
	if (!f)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "no memory to describe %s", path);
	f->s.ops = &file_ops;
	strcpy(f->path, path);
	strcpy(f->name, name);
	r = news_open(&f->news, e);
	if (r) {
		free(f);
		return r;
	}
	*ret_s = &f->s;
	return 0;
}
