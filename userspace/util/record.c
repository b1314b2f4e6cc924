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

int record_write(const char *path, json_t *o, struct xm_error *e)
{
	char fresh[PATH_MAX];
	int fd, r = 0;

	(void)snprintf(fresh, sizeof(fresh), "%s.new", path);
	put_time(o);
	errno = 0;
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || json_dumpfd(o, fd, JSON_COMPACT) || fsync(fd) ||
	    rename(fresh, path)) {
		r = xm_fail(e, errno ? -errno : -EIO, XM_REASON_PERMISSION,
			    "%s: cannot write down where the guest runs: %s",
			    path, strerror(errno));
		(void)unlink(fresh);
	}
	(void)fd_close(fd);
	return r;
}
