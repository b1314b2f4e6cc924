// SPDX-License-Identifier: GPL-2.0-or-later
/* record.c - a file that says where a guest runs
 *
 * It is written to a new file beside it, which then takes the name.
 */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fd.h"

/* As ISO 8601 has it. */
static void put_time(json_t *o)
{
	char text[32] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (gmtime_r(&now, &tm))
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	(void)json_object_set_new(o, "time", json_string(text));
}

struct to {
	int fd, err;
};

/* jansson goes on after some failures, and a record must be whole. */
static int put_text(const char *buf, size_t len, void *data)
{
	struct to *to = data;
	ssize_t n = to->err ? -1 : write(to->fd, buf, len);

	if (n != (ssize_t)len && !to->err)
		to->err = n < 0 ? errno : ENOSPC;
	return to->err ? -1 : 0;
}

/* 0 or an errno. */
static int put_record(int fd, const json_t *o)
{
	struct to to = { .fd = fd };

	if (json_dump_callback(o, put_text, &to, JSON_COMPACT) && !to.err)
		to.err = ENOMEM;
	return to.err ? to.err : fsync(fd) ? errno : 0;
}

int record_write(const char *path, json_t *o, struct xm_error *e)
{
	char fresh[PATH_MAX];
	int fd, err, r = 0;

	(void)snprintf(fresh, sizeof(fresh), "%s.new", path);
	put_time(o);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	err = fd < 0 ? errno : put_record(fd, o);
	if (!err && rename(fresh, path))
		err = errno;
	if (err) {
		r = xm_fail(e, -err, XM_REASON_PERMISSION,
			    "%s: cannot write down where the guest runs: %s",
			    path, strerror(err));
		(void)unlink(fresh);
	}
	(void)fd_close(fd);
	return r;
}
