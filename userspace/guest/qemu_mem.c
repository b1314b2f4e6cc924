// SPDX-License-Identifier: GPL-2.0-or-later
/* qemu_mem.c - which of QEMU's memory is the guest's RAM, and where it is
 *
 * QEMU has memory backends (query-memdev) and RAM blocks ("info ramblock"), and
 * the truth is where the two meet:
 *
 *   backend and block   guest RAM: -machine memory-backend=, -numa memdev=, a
 *                       DIMM.  Ours to move, so it must be shared
 *   backend alone       an -object that no device uses: not part of the guest
 *   block alone         firmware, ROMs, video memory, ACPI tables: small, and
 *                       sent by QEMU with the devices
 *
 * A block of a backend is called like it, or "/objects/ID" (machine types up to
 * 4.0), or "DEVICE/ID": the id is what follows the last slash, as ids have none.
 * A plain -m is a private backend called pc.ram.
 *
 * Why share=on, in a file or memfd: only such memory can be mapped a second
 * time, here, and only such memory is left out of QEMU's own stream by
 * x-ignore-shared.  Memory in a disk's file system is refused: the dirty log
 * does not work on it.
 *
 * Where: QEMU tells a block's host address only since 8.1, and several memfds
 * of one size look all the same in /proc.  But "info mtree -f" says at which
 * guest address a part of each backend is, and "gpa2hva" at which host address
 * that is:
 *
 *   0000000000100000-0000000007ffffff (prio 0, ram): ram0 @0000000000100000
 *   Host virtual address for 0x100000 (ram0) is 0x7fad53f00000
 *
 * so byte 0 of ram0 is at 0x7fad53e00000.  qemu_proc.c compares that with
 * /proc/PID/maps before anything is believed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_priv.h"

#define WHAT_TO_PASS                                                          \
	"start QEMU with -object memory-backend-memfd,id=ram0,size=SIZE,"     \
	"share=on -machine memory-backend=ram0 (or memory-backend-file with " \
	"a mem-path in /dev/shm)"

static const char *last_part(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

/* -- backends --------------------------------------------------------------- */

static int object_get(struct qemu *q, const char *id, const char *property,
		      char *ret_text, size_t len, struct xm_error *e)
{
	char path[XM_BLOCK_NAME + 16];
	json_t *v = NULL;
	int r;

	snprintf(path, sizeof(path), "/objects/%s", id);
	r = qmp_run(q->qmp, "qom-get",
		    json_pack("{s:s, s:s}", "path", path, "property", property),
		    &v, e);
	if (r)
		return r;
	snprintf(ret_text, len, "%s",
		 json_is_string(v) ? json_string_value(v) : "");
	json_decref(v);
	return 0;
}

/* May backend @dev, which is the guest's RAM, be mapped here? */
static int check_backend(struct qemu *q, const char *id, const json_t *dev,
			 struct qemu_block *b, struct xm_error *e)
{
	const char *path = qmp_path(q->qmp);
	char type[64] = "";
	int r;

	r = object_get(q, id, "type", type, sizeof(type), e);
	if (r)
		return r;
	if (!strcmp(type, "memory-backend-ram"))
		return xm_fail(e, -EOPNOTSUPP, XM_REASON_MEMORY,
			       "%s: RAM %.40s is in no file (plain -m, or "
			       "memory-backend-ram); " WHAT_TO_PASS,
			       path, id);
	if (strcmp(type, "memory-backend-file") &&
	    strcmp(type, "memory-backend-memfd") &&
	    strcmp(type, "memory-backend-shm"))
		return xm_fail(e, -EOPNOTSUPP, XM_REASON_MEMORY,
			       "%s: RAM %.40s is a %s; " WHAT_TO_PASS, path, id,
			       type);
	if (!json_is_true(json_object_get(dev, "share")))
		return xm_fail(e, -EOPNOTSUPP, XM_REASON_MEMORY,
			       "%s: RAM %.40s is private to QEMU; add share=on "
			       "to its %s",
			       path, id, type);
	if (strcmp(type, "memory-backend-file")) {
		snprintf(b->path, sizeof(b->path), "memory of %.200s", id);
		return 0;
	}
	return object_get(q, id, "mem-path", b->path, sizeof(b->path), e);
}

/* Backend @id is RAM block of @used bytes. */
static int add_block(struct qemu *q, const char *id, const json_t *dev,
		     uint64_t used, struct xm_error *e)
{
	uint64_t size =
		(uint64_t)json_integer_value(json_object_get(dev, "size"));
	struct qemu_block *b = &q->block[q->n_blocks];
	unsigned int i;
	int r;

	for (i = 0; i < q->n_blocks; i++)
		if (!strcmp(q->block[i].name, id))
			return xm_fail(e, -EPROTO, XM_REASON_MEMORY,
				       "%s: two RAM blocks are of backend %s",
				       qmp_path(q->qmp), id);
	if (q->n_blocks == XM_BLOCK_MAX || strlen(id) >= sizeof(b->name))
		return xm_fail(e, -ENOSPC, XM_REASON_MEMORY,
			       "%s: more than %d memory backends, or a name of "
			       "more than %d bytes",
			       qmp_path(q->qmp), XM_BLOCK_MAX,
			       XM_BLOCK_NAME - 1);
	if (!size || size != used)
		return xm_fail(e, -EPROTO, XM_REASON_MEMORY,
			       "%s: RAM %.40s has %" PRIu64
			       " bytes, its backend %" PRIu64,
			       qmp_path(q->qmp), id, used, size);
	r = check_backend(q, id, dev, b, e);
	if (r)
		return r;
	strcpy(b->name, id);
	b->len = size;
	b->fd = -1;
	q->n_blocks++;
	return 0;
}

/* -- blocks ----------------------------------------------------------------- */

/* One line: [NAME] PSIZE UNIT 0xOFFSET 0xUSED 0xTOTAL.  A block without a name
 * is none that QEMU would migrate.  False: no line of a named block. */
static bool parse_block(const char *line, char *ret_name, uint64_t *ret_used)
{
	return sscanf(line, "%255s %*u %*[KMGT]iB 0x%*x 0x%" SCNx64, ret_name,
		      ret_used) == 2;
}

static const json_t *find_backend(const json_t *list, const char *id)
{
	const char *its;
	json_t *dev;
	size_t i;

	json_array_foreach(list, i, dev)
	{
		its = json_string_value(json_object_get(dev, "id"));
		if (its && !strcmp(its, id))
			return dev;
	}
	return NULL;
}

static int add_blocks(struct qemu *q, char *text, const json_t *list,
		      struct xm_error *e)
{
	char name[XM_BLOCK_NAME];
	char *line, *save = NULL;
	const json_t *dev;
	uint64_t used;
	int r = 0;

	for (line = strtok_r(text, "\r\n", &save); line && !r;
	     line = strtok_r(NULL, "\r\n", &save)) {
		if (!parse_block(line, name, &used))
			continue;
		dev = find_backend(list, last_part(name));
		if (dev)
			r = add_block(q, last_part(name), dev, used, e);
	}
	if (!r && !q->n_blocks)
		r = xm_fail(
			e, -EOPNOTSUPP, XM_REASON_MEMORY,
			"%s: its guest's RAM has no memory backend; " WHAT_TO_PASS,
			qmp_path(q->qmp));
	return r;
}

/* -- where ------------------------------------------------------------------ */

/* A line of "info mtree -f" that shows some of backend @id: guest address and
 * offset of its first byte. */
static bool parse_range(const char *line, const char *id, uint64_t *ret_gpa,
			uint64_t *ret_off)
{
	char name[XM_BLOCK_NAME];
	uint64_t gpa, off = 0;
	int at = 0; /* of the name: all before it is there */

	if (sscanf(line, "%" SCNx64 "-%*x (prio %*d, %*[^)]): %n", &gpa, &at) !=
		    1 ||
	    !at)
		return false;
	if (sscanf(line + at, "%255s @%" SCNx64, name, &off) < 1 ||
	    strcmp(last_part(name), id))
		return false;
	*ret_gpa = gpa;
	*ret_off = off;
	return true;
}

/* Cut the text down to the view of all the guest's memory. */
static char *memory_view(char *text)
{
	char *view = strstr(text, "AS \"memory\"");
	char *end;

	if (!view)
		return text;
	end = strstr(view, "FlatView #");
	if (end)
		*end = '\0';
	return view;
}

static int ask_hva(struct qemu *q, struct qemu_block *b, uint64_t gpa,
		   uint64_t off, struct xm_error *e)
{
	char line[64], name[XM_BLOCK_NAME];
	char *text = NULL;
	uint64_t hva = 0;
	int r;

	snprintf(line, sizeof(line), "gpa2hva 0x%" PRIx64, gpa);
	r = qemu_ask_human(q, line, &text, e);
	if (r)
		return r;
	if (sscanf(text,
		   "Host virtual address for 0x%*x (%255[^)]) is 0x%" SCNx64,
		   name, &hva) != 2 ||
	    strcmp(last_part(name), b->name) || hva < off)
		r = xm_fail(e, -EPROTO, XM_REASON_MEMORY,
			    "%s: %s: QEMU says '%.120s'", qmp_path(q->qmp),
			    line, text);
	else
		b->hva = hva - off;
	free(text);
	return r;
}

static int find_hva(struct qemu *q, struct qemu_block *b, const char *view,
		    struct xm_error *e)
{
	uint64_t gpa = 0, off = 0;
	const char *line;

	for (line = view; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (parse_range(line, b->name, &gpa, &off))
			return ask_hva(q, b, gpa, off, e);
	}
	return xm_fail(e, -ENOENT, XM_REASON_MEMORY,
		       "%s: RAM %s is not in the guest's address space (info "
		       "mtree -f)",
		       qmp_path(q->qmp), b->name);
}

static int find_hvas(struct qemu *q, struct xm_error *e)
{
	char *text = NULL, *view;
	unsigned int i;
	int r;

	r = qemu_ask_human(q, "info mtree -f", &text, e);
	if (r)
		return r;
	view = memory_view(text);
	for (i = 0; !r && i < q->n_blocks; i++)
		r = find_hva(q, &q->block[i], view, e);
	free(text);
	return r;
}

/* QEMU's own order has to do with sizes, and with when a DIMM was plugged; both
 * sides shall have the same. */
static int by_name(const void *a, const void *b)
{
	const struct qemu_block *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int qemu_find_ram(struct qemu *q, struct xm_error *e)
{
	json_t *list = NULL;
	char *text = NULL;
	int r;

	r = qemu_ask_human(q, "info ramblock", &text, e);
	if (!r)
		r = qmp_run(q->qmp, "query-memdev", NULL, &list, e);
	if (!r)
		r = add_blocks(q, text, list, e);
	if (!r)
		r = find_hvas(q, e);
	qsort(q->block, q->n_blocks, sizeof(*q->block), by_name);
	free(text);
	json_decref(list);
	return r;
}

static const struct qemu_block *find_block(const struct qemu *q,
					   const char *name)
{
	unsigned int i;

	for (i = 0; i < q->n_blocks; i++)
		if (!strcmp(q->block[i].name, name))
			return &q->block[i];
	return NULL;
}

static int compare_ram(const struct qemu *was, const struct qemu *is,
		       struct xm_error *e)
{
	const struct qemu_block *b;
	unsigned int i;

	for (i = 0; i < is->n_blocks; i++) {
		b = find_block(was, is->block[i].name);
		if (!b || b->len != is->block[i].len ||
		    b->hva != is->block[i].hva)
			break;
	}
	if (i == is->n_blocks && is->n_blocks == was->n_blocks)
		return 0;
	return xm_fail(e, -EBUSY, XM_REASON_MEMORY,
		       "%s: RAM was plugged or unplugged during the migration "
		       "(%u blocks, now %u%s%.80s); do that before or after",
		       qmp_path(was->qmp), was->n_blocks, is->n_blocks,
		       i < is->n_blocks ? ": " : "",
		       i < is->n_blocks ? is->block[i].name : "");
}

int qemu_check_ram(const struct qemu *q, struct xm_error *e)
{
	struct qemu *now = calloc(1, sizeof(*now));
	int r;

	if (!now)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "%s: no memory to look at its RAM again",
			       qmp_path(q->qmp));
	now->qmp = q->qmp;
	r = qemu_find_ram(now, e);
	if (!r)
		r = compare_ram(q, now, e);
	free(now); /* it has no descriptors, and its monitor is another's */
	return r;
}

/* Locks of fcntl(), of our own open file each; those of flock() keep sources and
 * destinations apart (ram.c), and both may be held. */
int qemu_lock(const struct qemu *q, struct xm_error *e)
{
	const struct qemu_block *b;
	struct flock lock;

	for (b = q->block; b < q->block + q->n_blocks; b++) {
		lock = (struct flock){
			.l_type = F_WRLCK,
			.l_whence = SEEK_SET,
			.l_start = (off_t)b->file_off,
			.l_len = (off_t)b->len,
		};
		if (!fcntl(b->fd, F_OFD_SETLK, &lock))
			continue;
		if (errno == EAGAIN || errno == EACCES)
			return -EBUSY;
		return xm_fail(e, -errno, XM_REASON_MEMORY, "%s: locking: %s",
			       b->path, strerror(errno));
	}
	return 0;
}
