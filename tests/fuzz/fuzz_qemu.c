// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_qemu.c - what QEMU answers, however it answers
 *
 * parses: userspace/guest/qemu.c userspace/guest/qemu_mem.c userspace/guest/qemu_match.c userspace/guest/settings.c
 *
 * The first line of an input says what is asked for: bit 0 of its first byte a
 * target, bit 1 the settings instead of the description.  Each line after it
 * is the JSON of an answer, given to one command after the other; a line that
 * is no JSON is a refusal.  A line that begins with ">" is a string, of what the
 * human monitor says, in which "|" ends a line.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "guest/qemu_priv.h"
#include "guest/settings.h"

#include "fuzz.h"

enum { TARGET = 1, SETTINGS = 2 };

static const char *answers; /* those that are not given yet */
static const char *answers_end;

/* -- in the place of what asks, by the linker ------------------------------------ */

int __wrap_qmp_open(struct qmp **ret_qmp, const char *path, int timeout_ms,
		    struct xm_error *e);
int __wrap_qmp_run(struct qmp *qmp, const char *command, json_t *args,
		   json_t **ret_result, struct xm_error *e);
const char *__wrap_qmp_path(const struct qmp *qmp);
pid_t __wrap_qmp_pid(const struct qmp *qmp);
struct qmp *__wrap_qmp_close(struct qmp *qmp);
int __wrap_qemu_find_process(struct qemu *q, struct xm_error *e);
bool __wrap_qemu_has_thread(const struct qemu *q, pid_t tid);
int __wrap_guardian_check(pid_t qemu, const char *monitor, struct xm_error *e);

int __wrap_qmp_open(struct qmp **ret_qmp, const char *path, int timeout_ms,
		    struct xm_error *e)
{
	(void)path;
	(void)timeout_ms;
	(void)e;
	*ret_qmp = NULL;
	return 0;
}

static json_t *human(const char *text, size_t len)
{
	char *copy = malloc(len + 1), *p;
	json_t *v;

	FUZZ_CHECK(copy);
	memcpy(copy, text, len);
	copy[len] = '\0';
	for (p = copy; (p = strchr(p, '|'));)
		*p = '\n';
	v = json_string(copy);
	free(copy);
	return v;
}

int __wrap_qmp_run(struct qmp *qmp, const char *command, json_t *args,
		   json_t **ret_result, struct xm_error *e)
{
	const char *line = answers, *end;
	json_t *v = NULL;
	size_t len;

	(void)qmp;
	json_decref(args);
	if (line < answers_end) {
		len = (size_t)(answers_end - line);
		end = memchr(line, '\n', len);
		len = end ? (size_t)(end - line) : len;
		answers = line + len + (end != NULL);
		v = len && *line == '>' ?
			    human(line + 1, len - 1) :
			    json_loadb(line, len,
				       JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	}
	if (!v)
		return xm_fail(e, -EREMOTEIO, XM_REASON_MEMORY,
			       "QEMU refused %s", command);
	if (ret_result)
		*ret_result = v;
	else
		json_decref(v);
	return 0;
}

const char *__wrap_qmp_path(const struct qmp *qmp)
{
	(void)qmp;
	return "socket";
}

pid_t __wrap_qmp_pid(const struct qmp *qmp)
{
	(void)qmp;
	return getpid();
}

struct qmp *__wrap_qmp_close(struct qmp *qmp)
{
	(void)qmp;
	return NULL;
}

int __wrap_qemu_find_process(struct qemu *q, struct xm_error *e)
{
	(void)e;
	q->pid = getpid();
	return 0;
}

bool __wrap_qemu_has_thread(const struct qemu *q, pid_t tid)
{
	(void)q;
	return tid > 0 && tid < 100;
}

int __wrap_guardian_check(pid_t qemu, const char *monitor, struct xm_error *e)
{
	(void)qemu;
	(void)monitor;
	(void)e;
	return 0;
}

/* -- the description --------------------------------------------------------------- */

static void check_blocks(const struct qemu *q)
{
	unsigned int i;

	FUZZ_CHECK(q->n_blocks >= 1 && q->n_blocks <= XM_BLOCK_MAX);
	for (i = 0; i < q->n_blocks; i++) {
		FUZZ_CHECK(memchr(q->block[i].name, '\0', XM_BLOCK_NAME));
		FUZZ_CHECK(q->block[i].name[0] && q->block[i].len);
		FUZZ_CHECK(memchr(q->block[i].path, '\0',
				  sizeof(q->block[i].path)));
		if (i)
			FUZZ_CHECK(strcmp(q->block[i - 1].name,
					  q->block[i].name) < 0);
	}
}

static void check_identity(const struct qemu *q)
{
	const struct guest_identity *id = &q->id;

	FUZZ_CHECK(memchr(id->machine, '\0', sizeof(id->machine)));
	FUZZ_CHECK(memchr(id->name, '\0', sizeof(id->name)));
	FUZZ_CHECK(memchr(id->version, '\0', sizeof(id->version)));
	FUZZ_CHECK(id->machine[0] && id->has_device);
	FUZZ_CHECK(id->n_blocks == q->n_blocks);
}

/* A guest that differs in one thing is not taken for this one. */
static void check_match(struct qemu *q)
{
	struct guest_identity same = q->id, other[7];
	struct xm_error e = { 0 };
	unsigned int i;

	for (i = 0; i < 7; i++)
		other[i] = same;
	other[0].has_device = false;
	other[1].uuid[7] ^= 1;
	other[2].machine[0] ^= 1;
	other[3].n_blocks++;
	other[4].block[0].name[0] ^= 1;
	other[5].block[0].len++;
	other[6].block[0].page_size = 2 << 20;
	FUZZ_CHECK(!qemu_match(q, &same, &e) && !e.err);
	for (i = 0; i < 7; i++) {
		e = (struct xm_error){ 0 };
		FUZZ_CHECK(qemu_match(q, &other[i], &e) == -EINVAL &&
			   e.reason == XM_REASON_REFUSED && e.msg[0]);
	}
	FUZZ_CHECK(!qemu_match(q, &same, NULL));
}

/* What QEMU says later of the guest that we have. */
static void look_again(struct qemu *q)
{
	struct xm_error e = { 0 };
	char state[32];

	check_match(q);
	if (qemu_check_ram(q, &e))
		FUZZ_CHECK(e.err && e.msg[0]);
	(void)qemu_check_devices(q, NULL);
	(void)qemu_check_source(q, state, sizeof(state), NULL);
	(void)qemu_check_target(q, NULL);
	(void)qemu_forget_device(q, "/machine/peripheral/nic");
}

static void describe(bool is_target)
{
	struct xm_error e = { 0 };
	static struct qemu q;
	int r = qemu_open(&q, "socket", is_target, &e);

	FUZZ_CHECK(r ? e.err == r && e.msg[0] : !e.err);
	if (r)
		return;
	check_blocks(&q);
	check_identity(&q);
	look_again(&q);
	qemu_close(&q);
}

/* -- the settings ------------------------------------------------------------------- */

static void settle(bool is_target)
{
	struct settings old = { 0 }, ours = { 0 }, copy = { 0 };
	struct xm_error e = { 0 };
	char *text;
	int r = settings_plan(&old, &ours, NULL, is_target, &e);

	FUZZ_CHECK(r ? e.err == r && e.msg[0] : !e.err);
	FUZZ_CHECK(!r || (!settings_any(&old) && !settings_any(&ours)));
	text = settings_dump(&old);
	FUZZ_CHECK(text);
	settings_load(&copy, text);
	FUZZ_CHECK(settings_any(&copy) == settings_any(&old));
	FUZZ_CHECK(json_equal(copy.capabilities, old.capabilities) ||
		   (!copy.capabilities && !old.capabilities));
	free(text);
	settings_forget(&copy);
	(void)settings_change(&old, &ours, NULL, NULL);
	(void)settings_restore(&old, NULL, NULL);
	(void)settings_watch(&old, NULL, NULL);
	settings_forget(&old);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nl = size ? memchr(data, '\n', size) : NULL;

	if (!nl)
		return 0;
	answers = (const char *)nl + 1;
	answers_end = (const char *)data + size;
	if (data[0] & SETTINGS)
		settle(data[0] & TARGET);
	else
		describe(data[0] & TARGET);
	return 0;
}
