// SPDX-License-Identifier: GPL-2.0-or-later
/* run_list.c - all migrations of this host
 *
 * Those under way answer at their sockets; of those that ended, or were killed,
 * there may be a record (run.c has both).
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"
#include "run_priv.h"

/* A guardian that was killed writes nothing down any more. */
static void run_check_guardian(json_t *o)
{
	json_t *pid = json_object_get(o, "guardian_pid");
	char path[40], name[32] = "";
	FILE *f;

	if (!pid)
		return;
	(void)snprintf(path, sizeof(path), "/proc/%d/comm",
		       (int)json_integer_value(pid));
	f = fopen(path, "re");
	if (f) {
		(void)!fgets(name, sizeof(name), f);
		(void)fclose(f);
	}
	if (strncmp(name, "xdpmig-", 7))
		(void)json_object_set_new(o, "guardian", json_string("killed"));
}

static json_t *run_read_record(const char *file)
{
	char path[RUN_RECORD + RUN_NAME];
	json_t *o;

	(void)snprintf(path, sizeof(path), "%s/%s", run_get_dir(NULL), file);
	o = json_load_file(path, 0, NULL);
	run_check_guardian(o);
	return o;
}

/* @record: a file's name, or NULL: it has a socket. */
static void run_list_add(json_t *list, const char *name, const char *record)
{
	struct xm_error e = { 0 };
	json_t *o = NULL, *row;
	int r = run_ask_one(name, NULL, &o, &e);

	if (record && r != -ENOENT) {
		json_decref(o); /* it is listed by its socket */
		return;
	}
	if (record)
		o = run_read_record(record);
	else if (r && r != -ENOENT) /* that: of a process that was killed */
		o = json_pack("{s:s}", "error", e.msg);
	if (!o)
		return;
	row = json_pack("{s:s, s:b}", "name", name, "under_way", !record);
	(void)json_object_update_missing(row, o);
	(void)json_array_append_new(list, row);
	json_decref(o);
}

/* Is @file a name and @suffix?  Then @ret_name. */
static bool run_parse_name(const char *file, const char *suffix,
			   char ret_name[RUN_NAME])
{
	size_t len = strlen(file), tail = strlen(suffix);

	if (len <= tail || len - tail >= RUN_NAME ||
	    strcmp(file + len - tail, suffix))
		return false;
	(void)snprintf(ret_name, RUN_NAME, "%.*s", (int)(len - tail), file);
	return true;
}

int run_list(json_t *list, struct xm_error *e)
{
	struct dirent **entry;
	char name[RUN_NAME];
	const char *file;
	struct xm_error why = { 0 };
	const char *dir = run_get_dir(&why);
	int i, n;

	if (!dir && why.err != -EPERM)
		return 0; /* then there are none */
	if (!dir)
		return xm_fail(e, why.err, why.reason, "%s", why.msg);
	n = scandir(dir, &entry, NULL, alphasort);
	if (n < 0)
		return errno == ENOENT ?
			       0 :
			       xm_fail(e, -errno, XM_REASON_PERMISSION,
				       "%s: %s", dir, strerror(errno));
	for (i = 0; i < n; i++) {
		file = entry[i]->d_name;
		if (run_parse_name(file, ".sock", name))
			run_list_add(list, name, NULL);
		else if (run_parse_name(file, ".send.json", name) ||
			 run_parse_name(file, ".recv.json", name))
			run_list_add(list, name, file);
		free(entry[i]);
	}
	free(entry);
	return 0;
}
