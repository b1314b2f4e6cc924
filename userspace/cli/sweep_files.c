// SPDX-License-Identifier: GPL-2.0-or-later
/* sweep_files.c - the files that a sweep was told to write */
#include "sweep_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"

static int file_open(struct sweep_file *ret, const char *path,
		     struct xm_error *e)
{
	const int flags = O_WRONLY | O_CREAT | O_CLOEXEC;
	int fd;

	if (!path)
		return 0;
	fd = open(path, flags | O_EXCL, 0666);
	ret->is_new = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = open(path, flags, 0666);
	ret->f = fd < 0 ? NULL : fdopen(fd, "w");
	if (ret->f)
		return 0;
	(void)xm_fail(e, -errno, XM_REASON_USAGE, "%s: cannot be written: %s",
		      path, strerror(errno));
	(void)fd_close(fd);
	return -EINVAL;
}

static bool file_is_same(const struct stat *a, const struct stat *b)
{
	return S_ISREG(a->st_mode) && a->st_dev == b->st_dev &&
	       a->st_ino == b->st_ino;
}

/* One would be written over the other, or over the memory that is sent. */
static int files_check(const struct cli_sweep_opts *o, struct xm_error *e)
{
	const char *const path[] = { o->x.ram, o->csv, o->svg, o->html };
	struct stat st[4];
	unsigned int i, k;

	for (i = 0; i < 4; i++) {
		if (!path[i] || stat(path[i], &st[i]))
			memset(&st[i], 0, sizeof(st[i]));
		for (k = 0; k < i; k++)
			if (file_is_same(&st[i], &st[k]))
				return xm_fail(e, -EINVAL, XM_REASON_USAGE,
					       "%s: given twice", path[i]);
	}
	return 0;
}

int sweep_files_open(struct sweep_files *f, const struct cli_sweep_opts *opts,
		     struct xm_error *e)
{
	int r = file_open(&f->csv, opts->csv, e);

	f->opts = opts;
	if (!r)
		r = file_open(&f->svg, opts->svg, e);
	if (!r)
		r = file_open(&f->html, opts->html, e);
	return r ? r : files_check(opts, e);
}

/* What it held before goes; a pipe holds nothing. */
static FILE *file_cut(FILE *f)
{
	if (f)
		(void)!ftruncate(fileno(f), 0);
	return f;
}

void sweep_files_put(struct sweep_files *f, const struct sweep_grid *g,
		     const char *title, const char *note)
{
	f->is_put = true;
	if (file_cut(f->csv.f))
		sweep_put_csv(f->csv.f, g);
	if (file_cut(f->svg.f))
		sweep_put_svg(f->svg.f, g, title, note);
	if (file_cut(f->html.f))
		sweep_put_html(f->html.f, g, title, note);
}

static int file_close(struct sweep_file *s, bool is_put, const char *path,
		      struct xm_error *e)
{
	int r = 0;

	if (!s->f)
		return 0;
	if (fflush(s->f))
		r = -errno;
	else if (ferror(s->f))
		r = -EIO;
	if (fclose(s->f) && !r)
		r = -errno;
	if (s->is_new && !is_put)
		(void)unlink(path);
	return r ? xm_fail(e, r, XM_REASON_INTERNAL,
			   "%s: could not be written: %s", path, strerror(-r)) :
		   0;
}

int sweep_files_close(struct sweep_files *f, struct xm_error *e)
{
	const struct cli_sweep_opts *o = f->opts;
	int csv, svg, html;

	if (!o)
		return 0;
	csv = file_close(&f->csv, f->is_put, o->csv, e);
	svg = file_close(&f->svg, f->is_put, o->svg, e);
	html = file_close(&f->html, f->is_put, o->html, e);
	memset(f, 0, sizeof(*f));
	return csv ?: svg ?: html;
}
