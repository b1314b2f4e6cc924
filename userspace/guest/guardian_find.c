// SPDX-License-Identifier: GPL-2.0-or-later
/* guardian_find.c - which guardian has a guest?
 *
 * The lock on a guest does not tell whose it is.  But a guardian that acts has a
 * name of its own and a pidfd of QEMU's, and /proc shows both to whoever may
 * look into it.  Only told to people: nothing depends on it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guardian.h"

static bool is_acting(const char *pid)
{
	char path[300], name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	(void)!fgets(name, sizeof(name), f);
	fclose(f);
	return !strcmp(name, GUARDIAN_ACTS "\n");
}

/* Is @path, of fdinfo, a pidfd of @qemu's? */
static bool is_pidfd(const char *path, pid_t qemu)
{
	FILE *f = fopen(path, "re");
	bool is_it = false;
	char line[64];
	int pid;

	while (f && !is_it && fgets(line, sizeof(line), f))
		is_it = sscanf(line, "Pid: %d", &pid) == 1 && pid == qemu;
	if (f)
		fclose(f);
	return is_it;
}

static bool has_pidfd(const char *pid, pid_t qemu)
{
	struct dirent *entry;
	bool has = false;
	char path[600];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fdinfo", pid);
	dir = opendir(path);
	while (dir && !has && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid,
			 entry->d_name);
		has = entry->d_name[0] != '.' && is_pidfd(path, qemu);
	}
	if (dir)
		closedir(dir);
	return has;
}

static pid_t guardian_of(pid_t qemu)
{
	struct dirent *entry;
	pid_t found = 0;
	DIR *dir = opendir("/proc");

	while (dir && !found && (entry = readdir(dir)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
		    is_acting(entry->d_name) && has_pidfd(entry->d_name, qemu))
			found = (pid_t)strtol(entry->d_name, NULL, 10);
	if (dir)
		closedir(dir);
	return found;
}

int guardian_check(pid_t qemu, const char *monitor, struct xm_error *e)
{
	pid_t guardian = qemu > 0 ? guardian_of(qemu) : 0;

	if (!guardian)
		return 0;
	return xm_fail(e, -EBUSY, XM_REASON_UNKNOWN_OUTCOME,
		       "%s: a send of this guest ended too early, and its "
		       "guardian (process %d) still tries to let it run here, "
		       "or to put QEMU's migration settings back; see 'xdpmig "
		       "status', and wait for its end",
		       monitor, (int)guardian);
}
