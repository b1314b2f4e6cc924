// SPDX-License-Identifier: GPL-2.0-or-later
/* qemu.c - what an unmodified QEMU says of its guest
 *
 * Everything here is read-only: a QEMU that was described is as it was.
 *
 *   identity     query-version, query-uuid, query-name; the machine type is the
 *                QOM type of /machine without "-machine"
 *   RAM          qemu_mem.c (by QMP), qemu_proc.c (by /proc)
 *   vCPU threads query-cpus-fast; several vCPUs may share one thread (TCG)
 *   run state    query-status; query-migrate: nobody else may be at it
 *
 * What stands in the way.  The dirty log sees what QEMU's process writes
 * through its page tables: its own threads', KVM's, and vhost's in the kernel,
 * which borrows them.  It does not see
 *
 *   another process with a mapping of its own     vhost-user-*, ivshmem,
 *                                                 x-pci-proxy-dev
 *   a device that writes by DMA                   vfio-*, vhost-vdpa, nvme://
 *   the kernel, into pages it pinned              vhost-scsi
 *                                                 disks with cache.direct=on,
 *                                                 passed-through SCSI
 *
 * and of an encrypted guest (SEV, TDX) what is read means nothing elsewhere.
 * All but the disks are refused: nothing can be done about them from outside.
 * A disk's direct reads are over when QEMU has drained it, which "stop" does,
 * so has_direct_io only says that harvests need that.
 *
 * Devices are looked for by QOM type, where -device and device_add put them
 * (/machine/peripheral and peripheral-anon) and among -object's; netdevs are no
 * QOM objects, and the human monitor's "info network" is what lists them.
 */
#include "qemu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guardian.h"
#include "qemu_priv.h"
#include "util/fd.h"

#define QEMU_TIMEOUT_MS 5000 /* an answer takes micro-, a busy QEMU seconds */

int qemu_ask_human(struct qemu *q, const char *line, char **ret_text,
		   struct xm_error *e)
{
	json_t *result = NULL;
	char *text = NULL;
	int r;

	r = qmp_run(q->qmp, "human-monitor-command",
		    json_pack("{s:s}", "command-line", line), &result, e);
	if (r)
		return r;
	if (json_is_string(result))
		text = strdup(json_string_value(result));
	json_decref(result);
	if (!text)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "%s: no memory for '%s'", qmp_path(q->qmp),
			       line);
	*ret_text = text;
	return 0;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* -- identity --------------------------------------------------------------- */

static int learn_version(struct qemu *q, struct xm_error *e)
{
	json_t *v = NULL;
	json_int_t n[3] = { 0 };
	int r = qmp_run(q->qmp, "query-version", NULL, &v, e);

	if (r)
		return r;
	(void)json_unpack(v, "{s:{s:I, s:I, s:I}}", "qemu", "major", &n[0],
			  "minor", &n[1], "micro", &n[2]);
	json_decref(v);
	snprintf(q->id.version, sizeof(q->id.version), "%d.%d.%d", (int)n[0],
		 (int)n[1], (int)n[2]);
	return 0;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* 32 digits, hyphens anywhere. */
static bool parse_uuid(const char *text, uint8_t *ret_uuid)
{
	unsigned int n = 0;

	for (; *text; text++) {
		int digit = hex(*text);

		if (*text == '-')
			continue;
		if (digit < 0 || n == 32)
			return false;
		ret_uuid[n / 2] = (uint8_t)(ret_uuid[n / 2] << 4 | digit);
		n++;
	}
	return n == 32;
}

static int learn_uuid(struct qemu *q, struct xm_error *e)
{
	json_t *v = NULL;
	int r = qmp_run(q->qmp, "query-uuid", NULL, &v, e);

	if (r)
		return r;
	if (!parse_uuid(text_of(v, "UUID"), q->id.uuid))
		r = xm_fail(e, -EPROTO, XM_REASON_MEMORY,
			    "%s: query-uuid: '%.50s' is no UUID",
			    qmp_path(q->qmp), text_of(v, "UUID"));
	json_decref(v);
	return r;
}

static int learn_machine(struct qemu *q, struct xm_error *e)
{
	static const char suffix[] = "-machine";
	const char *type;
	json_t *v = NULL;
	size_t len;
	int r;

	r = qmp_run(q->qmp, "qom-get",
		    json_pack("{s:s, s:s}", "path", "/machine", "property",
			      "type"),
		    &v, e);
	if (r)
		return r;
	type = json_string_value(v);
	len = type ? strlen(type) : 0;
	if (len > sizeof(suffix) - 1 &&
	    !strcmp(type + len - (sizeof(suffix) - 1), suffix))
		len -= sizeof(suffix) - 1;
	if (!len || len >= sizeof(q->id.machine))
		r = xm_fail(e, -EPROTO, XM_REASON_MEMORY,
			    "%s: '%.60s' is no machine type", qmp_path(q->qmp),
			    type ? type : "");
	else
		memcpy(q->id.machine, type, len);
	json_decref(v);
	return r;
}

static int learn_name(struct qemu *q, struct xm_error *e)
{
	json_t *v = NULL;
	int r = qmp_run(q->qmp, "query-name", NULL, &v, e);

	if (r)
		return r;
	snprintf(q->id.name, sizeof(q->id.name), "%s", text_of(v, "name"));
	json_decref(v);
	return 0;
}

/* -- run state -------------------------------------------------------------- */

int qemu_run_state(struct qemu *q, char *ret_state, size_t len,
		   struct xm_error *e)
{
	json_t *v = NULL;
	int r = qmp_run(q->qmp, "query-status", NULL, &v, e);

	if (r)
		return r;
	snprintf(ret_state, len, "%s", text_of(v, "status"));
	json_decref(v);
	return 0;
}

static int check_target_state(const struct qemu *q, const char *state,
			      const json_t *migration, struct xm_error *e)
{
	const char *path = qmp_path(q->qmp);

	if (strcmp(state, "inmigrate"))
		return xm_fail(e, -EBUSY, XM_REASON_USAGE,
			       "%s: its guest is %s, not waiting to be "
			       "migrated in; start this QEMU with -incoming "
			       "defer",
			       path, state);
	/* It listens somewhere already, or a migration has failed. */
	if (json_object_size(migration))
		return xm_fail(e, -EBUSY, XM_REASON_USAGE,
			       "%s: waits for another migration%s%s; start "
			       "this QEMU anew with -incoming defer",
			       path, *text_of(migration, "status") ? ", " : "",
			       text_of(migration, "status"));
	return 0;
}

/* Where such a guest runs is not for us to say: XM_REASON_UNKNOWN_OUTCOME. */
static int check_source_state(const struct qemu *q, const char *state,
			      const json_t *migration, struct xm_error *e)
{
	static const char *const idle[] = { "", "none", "cancelled", "failed",
					    "completed" };
	const char *status = text_of(migration, "status");
	const char *path = qmp_path(q->qmp);
	unsigned int i;

	if (!strcmp(state, "inmigrate"))
		return xm_fail(e, -EBUSY, XM_REASON_USAGE,
			       "%s: waits for a guest itself (-incoming); "
			       "nothing to send",
			       path);
	for (i = 0; i < sizeof(idle) / sizeof(*idle); i++)
		if (!strcmp(status, idle[i]))
			break;
	if (i == sizeof(idle) / sizeof(*idle))
		return xm_fail(e, -EBUSY, XM_REASON_UNKNOWN_OUTCOME,
			       "%s: QEMU migrates this guest already (%s); "
			       "wait for it, or say migrate_cancel",
			       path, status);
	if (!strcmp(state, "postmigrate") && !strcmp(status, "completed"))
		return xm_fail(e, -EBUSY, XM_REASON_UNKNOWN_OUTCOME,
			       "%s: its guest was migrated away already; it "
			       "may run elsewhere",
			       path);
	return 0;
}

int qemu_check_source(struct qemu *q, char *ret_state, size_t len,
		      struct xm_error *e)
{
	json_t *migration = NULL;
	int r = qemu_run_state(q, ret_state, len, e);

	if (!r)
		r = qmp_run(q->qmp, "query-migrate", NULL, &migration, e);
	if (!r)
		r = check_source_state(q, ret_state, migration, e);
	json_decref(migration);
	return r;
}

static int check_state(struct qemu *q, bool is_target, struct xm_error *e)
{
	json_t *migration = NULL;
	char state[32];
	int r;

	r = qemu_run_state(q, state, sizeof(state), e);
	if (!r)
		r = qmp_run(q->qmp, "query-migrate", NULL, &migration, e);
	if (!r && is_target)
		r = check_target_state(q, state, migration, e);
	else if (!r)
		r = check_source_state(q, state, migration, e);
	json_decref(migration);
	return r;
}

int qemu_check_target(struct qemu *q, struct xm_error *e)
{
	return check_state(q, true, e);
}

void qemu_free_cancelled(struct qmp *qmp)
{
	(void)qmp_run(qmp, "migrate-continue",
		      json_pack("{s:s}", "state", "cancelling"), NULL, NULL);
}

void qemu_close_stream(struct qmp *qmp)
{
	(void)qmp_run(qmp, "closefd", json_pack("{s:s}", "fdname", QEMU_STREAM),
		      NULL, NULL);
}

/* -- what stands in the way ----------------------------------------------------- */

struct obstacle {
	const char *prefix; /* of a QOM type */
	const char *why;
};

static const struct obstacle obstacles[] = {
	{ "vfio-", "a passed-through device, which writes memory by itself" },
	{ "vhost-user-",
	  "a vhost-user device, whose own process writes memory" },
	{ "cryptodev-vhost-user",
	  "vhost-user, whose own process writes memory" },
	{ "vhost-vdpa", "a vDPA device, which writes memory by itself" },
	{ "vhost-scsi", "vhost-scsi, which writes memory behind QEMU's back" },
	{ "ivshmem-", "memory shared with others, who write it" },
	{ "pvrdma", "an RDMA device, whose NIC writes memory by itself" },
	{ "x-pci-proxy-dev",
	  "a device in another process, which writes memory" },
	{ "sev-", "an encrypted guest, whose memory means nothing elsewhere" },
	{ "tdx-", "an encrypted guest, whose memory means nothing elsewhere" },
};

static int refuse(const struct qemu *q, const char *name, const char *type,
		  const char *why, struct xm_error *e)
{
	return xm_fail(e, -EOPNOTSUPP, XM_REASON_MEMORY,
		       "%s: %s (%s) is %s: not to be migrated live; remove it "
		       "first (device_del, or for the move)",
		       qmp_path(q->qmp), name, type, why);
}

/* Best effort: what is not noted is not known when it goes. */
static void note_device(struct qemu *q, const char *path, const char *name)
{
	char key[256];

	if (!q->seen)
		q->seen = json_object();
	snprintf(key, sizeof(key), "%s/%s", path, name);
	(void)json_object_set_new(q->seen, key, json_true());
}

bool qemu_forget_device(struct qemu *q, const char *path)
{
	return !json_object_del(q->seen, path);
}

/* Children of @path, "child<TYPE>" each. */
static int check_children(struct qemu *q, const char *path, struct xm_error *e)
{
	json_t *list = NULL, *item;
	size_t i;
	int r;

	r = qmp_run(q->qmp, "qom-list", json_pack("{s:s}", "path", path), &list,
		    e);
	if (r)
		return r;
	json_array_foreach(list, i, item)
	{
		const char *type = text_of(item, "type");
		unsigned int n;

		if (strncmp(type, "child<", 6))
			continue;
		type += 6;
		note_device(q, path, text_of(item, "name"));
		if (!strncmp(type, "scsi-generic", 12) ||
		    !strncmp(type, "scsi-block", 10))
			q->has_direct_io = true;
		for (n = 0; n < sizeof(obstacles) / sizeof(*obstacles); n++) {
			if (strncmp(type, obstacles[n].prefix,
				    strlen(obstacles[n].prefix)))
				continue;
			r = refuse(q, text_of(item, "name"),
				   obstacles[n].prefix, obstacles[n].why, e);
			break;
		}
		if (r)
			break;
	}
	json_decref(list);
	return r;
}

static int check_network(struct qemu *q, struct xm_error *e)
{
	static const char *const bad[] = { "vhost-user", "vhost-vdpa" };
	char *text = NULL;
	char type[32];
	unsigned int i;
	int r;

	r = qemu_ask_human(q, "info network", &text, e);
	for (i = 0; !r && i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(type, sizeof(type), ",type=%s", bad[i]);
		if (strstr(text, type))
			r = refuse(q, "a netdev", bad[i],
				   "a network whose other end writes memory",
				   e);
	}
	free(text);
	return r;
}

/* May the kernel write what it reads from this disk straight into the guest's
 * memory?  Then it does so without a page fault, and no log sees it. */
static bool disk_is_direct(const struct qemu *q, const json_t *node)
{
	static const char *const files[] = { "file", "host_device",
					     "host_cdrom" };
	const char *drv = text_of(node, "drv");
	unsigned int i;

	if (json_is_true(
		    json_object_get(json_object_get(node, "cache"), "direct")))
		return true;
	for (i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (!strcmp(drv, files[i]))
			return !qemu_file_is_cached(q, text_of(node, "file"));
	return false; /* formats, and what comes over a socket */
}

static int check_disks(struct qemu *q, struct xm_error *e)
{
	json_t *list = NULL, *node;
	size_t i;
	int r;

	r = qmp_run(q->qmp, "query-named-block-nodes",
		    json_pack("{s:b}", "flat", 1), &list, e);
	if (r)
		return r;
	json_array_foreach(list, i, node)
	{
		const char *drv = text_of(node, "drv");

		q->has_direct_io = q->has_direct_io || disk_is_direct(q, node);
		if (!strcmp(drv, "nvme") || !strncmp(drv, "virtio-blk-v", 12)) {
			r = refuse(q, text_of(node, "node-name"), drv,
				   "a disk that writes memory by itself", e);
			break;
		}
	}
	json_decref(list);
	return r;
}

static int check_obstacles(struct qemu *q, struct xm_error *e)
{
	static const char *const where[] = { "/machine/peripheral",
					     "/machine/peripheral-anon",
					     "/objects" };
	unsigned int i;
	int r = 0;

	for (i = 0; !r && i < sizeof(where) / sizeof(*where); i++)
		r = check_children(q, where[i], e);
	return r ? r : check_network(q, e);
}

int qemu_check_devices(struct qemu *q, struct xm_error *e)
{
	int r = check_obstacles(q, e);

	return r ? r : check_disks(q, e);
}

/* -- virtual CPUs ----------------------------------------------------------- */

static int add_vcpu(struct qemu *q, pid_t tid, struct xm_error *e)
{
	unsigned int i;

	for (i = 0; i < q->n_vcpus; i++)
		if (q->vcpu[i] == tid)
			return 0;
	if (!qemu_has_thread(q, tid))
		return xm_fail(e, -ESRCH, XM_REASON_MEMORY,
			       "%s: process %d has no thread %d for a virtual "
			       "CPU; run xdpmig in QEMU's pid namespace",
			       qmp_path(q->qmp), (int)q->pid, (int)tid);
	q->vcpu[q->n_vcpus++] = tid;
	return 0;
}

static int learn_vcpus(struct qemu *q, struct xm_error *e)
{
	json_t *list = NULL, *cpu;
	size_t i;
	int r;

	r = qmp_run(q->qmp, "query-cpus-fast", NULL, &list, e);
	if (r)
		return r;
	q->vcpu = calloc(json_array_size(list) + 1, sizeof(*q->vcpu));
	if (!q->vcpu)
		r = xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			    "%s: no memory for its CPUs", qmp_path(q->qmp));
	json_array_foreach(list, i, cpu)
	{
		if (r)
			break;
		r = add_vcpu(q,
			     (pid_t)json_integer_value(
				     json_object_get(cpu, "thread-id")),
			     e);
	}
	json_decref(list);
	return r;
}

/* -- all of it -------------------------------------------------------------- */

static void fill_identity(struct qemu *q)
{
	unsigned int i;

	q->id.has_device = true;
	q->id.n_blocks = q->n_blocks;
	for (i = 0; i < q->n_blocks; i++) {
		strcpy(q->id.block[i].name, q->block[i].name);
		q->id.block[i].len = q->block[i].len;
		q->id.block[i].page_size = (uint32_t)q->block[i].page_size;
	}
}

int qemu_open(struct qemu *q, const char *socket, bool is_target,
	      struct xm_error *e)
{
	int r;

	memset(q, 0, sizeof(*q));
	q->pidfd = -1;
	r = qmp_open(&q->qmp, socket, QEMU_TIMEOUT_MS, e);
	if (!r && !is_target) /* else its state is taken for a mystery */
		r = guardian_check(qmp_pid(q->qmp), socket, e);
	if (!r)
		r = learn_version(q, e);
	if (!r)
		r = check_state(q, is_target, e);
	if (!r)
		r = learn_uuid(q, e);
	if (!r)
		r = learn_name(q, e);
	if (!r)
		r = learn_machine(q, e);
	if (!r)
		r = check_obstacles(q, e);
	if (!r)
		r = qemu_find_ram(q, e);
	if (!r)
		r = qemu_find_process(q, e);
	if (!r)
		r = check_disks(q, e);
	if (!r)
		r = learn_vcpus(q, e);
	if (r)
		qemu_close(q);
	else
		fill_identity(q);
	return r;
}

void qemu_close(struct qemu *q)
{
	unsigned int i;

	for (i = 0; i < q->n_blocks; i++)
		fd_close(q->block[i].fd);
	if (q->pidfd > 0)
		fd_close(q->pidfd);
	free(q->vcpu);
	json_decref(q->seen);
	qmp_close(q->qmp);
	memset(q, 0, sizeof(*q));
}

int qemu_map_ram(const struct qemu *q, struct guest_ram *ram, bool is_target,
		 struct xm_error *e)
{
	unsigned int i;
	int r = 0;

	for (i = 0; !r && i < q->n_blocks; i++) {
		const struct qemu_block *b = &q->block[i];

		r = guest_ram_open_fd(ram,
				      &(struct guest_lent){
					      .name = b->name,
					      .label = b->path,
					      .fd = b->fd,
					      .file_off = b->file_off,
					      .len = b->len,
					      .for_writing = is_target,
				      },
				      e);
	}
	return r;
}
