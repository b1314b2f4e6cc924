// SPDX-License-Identifier: GPL-2.0-or-later
#include "procmaps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "start-end perms offset major:minor inode      path" */
static int parse(char *line, struct procmap *map)
{
	int at = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line,
		   "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64
		   " %n",
		   &map->start, &map->end, map->perms, &map->file_off,
		   &map->major, &map->minor, &map->inode, &at) != 7 ||
	    !at)
		return -EIO;
	map->path = line + at;
	return 0;
}

int procmaps_each(pid_t pid, int (*cb)(void *arg, const struct procmap *map),
		  void *arg, struct xm_error *e)
{
	struct procmap map;
	char path[64], *line = NULL;
	unsigned int n = 0;
	size_t size = 0;
	int r = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "re");
	if (!f) {
		r = errno == ENOENT ? -ESRCH :
		    errno == EACCES ? -EPERM :
				      -errno;
		return xm_fail(e, r,
			       r == -EPERM ? XM_REASON_PERMISSION :
					     XM_REASON_MEMORY,
			       "%s: %s", path, strerror(-r));
	}
	while (!r && getline(&line, &size, f) >= 0) {
		n++;
		r = parse(line, &map);
		if (r)
			xm_fail(e, r, XM_REASON_INTERNAL,
				"%s: line not understood: %s", path, line);
		else
			r = cb(arg, &map);
	}
	if (!r && ferror(f))
		r = xm_fail(e, -errno ?: -EIO, XM_REASON_MEMORY, "%s: %s", path,
			    strerror(errno));
	else if (!n)
		r = xm_fail(e, -ESRCH, XM_REASON_MEMORY,
			    "process %d has ended: it has no memory any more",
			    (int)pid);
	free(line);
	fclose(f);
	return r;
}
