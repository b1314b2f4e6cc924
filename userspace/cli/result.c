// SPDX-License-Identifier: GPL-2.0-or-later
/* result.c - events and the result on stdout
 *
 * --json prints one object a line, each begins with "event" and "schema".
 * Within a schema fields are only added.  The result is the last line, also
 * after a failure, so a script needs no other source:
 *
 *   {"event":"result","schema":1,"status":"failed","exit_status":3,
 *    "reason":"refused","message":"...", ...what the command counted}
 *
 * Without --json the same tree is printed for people.  Which unit a number
 * has is read off its name, the only place where it is written down:
 *
 *   total_ms: 812                 total            812 ms
 *   ram_bytes_sent: 4294967296    ram sent         4.00 GiB
 *   gbit_per_s: 11.2              rate             11.20 Gbit/s
 *   channels: [{...}, {...}]      a table when the objects are flat
 *   drops: {bad_magic: 0, ...}    indented; zeros are not shown
 */
#include "opt.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/reason.h"

#define SCHEMA 1
#define COLUMN 20 /* where values begin */
#define NAME   40
#define VALUE  512

/* -- memory ---------------------------------------------------------------- */

static bool is_short;

static void *json_memory(size_t size)
{
	void *p = malloc(size);

	is_short |= !p;
	return p;
}

void cli_out_watch_memory(void)
{
	json_set_alloc_funcs(json_memory, free);
}

bool cli_out_is_short(void)
{
	return is_short;
}

/* -- fields ---------------------------------------------------------------- */

static void put(json_t *o, const char *name, json_t *v)
{
	(void)json_object_set_new(o, name, v); /* out.h: left out */
}

void cli_put_u64(json_t *o, const char *name, uint64_t v)
{
	put(o, name, json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v));
}

void cli_put_int(json_t *o, const char *name, int64_t v)
{
	put(o, name, json_integer(v));
}

void cli_put_real(json_t *o, const char *name, double v)
{
	char text[400];

	/* "11.234", not 11.233999999999999: round by way of the text */
	snprintf(text, sizeof(text), "%.3f", v);
	put(o, name, json_real(strtod(text, NULL)));
}

void cli_put_ms(json_t *o, const char *name, struct xm_time from,
		struct xm_time to)
{
	if (from.ns && to.ns)
		cli_put_real(o, name, (double)xm_time_sub(to, from) / XM_MS);
}

void cli_put_bool(json_t *o, const char *name, bool v)
{
	put(o, name, json_boolean(v));
}

void cli_put_str(json_t *o, const char *name, const char *v)
{
	json_t *s = v ? json_string(v) : json_null();
	char ascii[VALUE], *p;

	if (!s) { /* not UTF-8: a file name may be anything */
		snprintf(ascii, sizeof(ascii), "%s", v);
		for (p = ascii; *p; p++)
			if ((unsigned char)*p >= 0x80)
				*p = '?';
		s = json_string(ascii);
	}
	put(o, name, s);
}

json_t *cli_put_object(json_t *o, const char *name)
{
	json_t *v = json_object();

	return json_object_set_new(o, name, v) ? NULL : v;
}

json_t *cli_put_array(json_t *o, const char *name)
{
	json_t *v = json_array();

	return json_object_set_new(o, name, v) ? NULL : v;
}

json_t *cli_add_object(json_t *array)
{
	json_t *v = json_object();

	return json_array_append_new(array, v) ? NULL : v;
}

/* -- events ---------------------------------------------------------------- */

json_t *cli_event_new(const char *event)
{
	json_t *o = json_object();

	cli_put_str(o, "event", event);
	cli_put_u64(o, "schema", SCHEMA);
	return o;
}

struct text {
	char *p;
	size_t len, size;
	bool failed;
};

/* jansson does not always hear of a failure here, and goes on. */
static int text_add(const char *buf, size_t len, void *data)
{
	struct text *t = data;
	size_t size = t->size ? t->size : 4096;
	char *p;

	while (size < t->len + len)
		size *= 2;
	p = t->failed ? NULL : size == t->size ? t->p : realloc(t->p, size);
	t->failed |= !p;
	if (!p)
		return -1;
	t->p = p;
	t->size = size;
	memcpy(p + t->len, buf, len);
	t->len += len;
	return 0;
}

/* A whole line, or none. */
static void json_print(struct cli_out *out, const json_t *o)
{
	/* ASCII: C1 controls, which a terminal obeys, are text to JSON */
	size_t flags = JSON_REAL_PRECISION(15) | JSON_ENSURE_ASCII;
	struct text t = { 0 };

	flags |= out->pretty ? JSON_INDENT(2) : JSON_COMPACT;
	if (json_dump_callback(o, text_add, &t, flags) ||
	    text_add("\n", 1, &t) || t.failed)
		is_short = true;
	else
		(void)fwrite(t.p, 1, t.len, out->out);
	free(t.p);
	fflush(out->out);
}

void cli_event_emit(struct cli_ctx *cli, json_t *event)
{
	if (cli->out.json && event)
		json_print(&cli->out, event);
	json_decref(event);
}

json_t *cli_result(struct cli_ctx *cli)
{
	if (!cli->out.result)
		cli->out.result = json_object();
	return cli->out.result;
}

/* Details are for --json, and for those who ask. */
static void drop_details(json_t *o)
{
	void *it, *next;

	for (it = json_object_iter(o); it; it = next) {
		const char *key = json_object_iter_key(it);

		next = json_object_iter_next(o, it);
		if (!strncmp(key, "per_", 4))
			json_object_del(o, key);
	}
}

static const char *status_word(enum xm_reason reason, enum cli_exit status)
{
	if (status == CLI_EXIT_DONE)
		return "completed";
	if (status == CLI_EXIT_UNKNOWN)
		return "unknown";
	if (reason == XM_REASON_CANCELLED || reason == XM_REASON_PEER_CANCELLED)
		return "cancelled";
	return "failed";
}

void cli_result_emit(struct cli_ctx *cli, enum cli_exit status)
{
	struct cli_out *out = &cli->out;
	const struct xm_error *e = &cli->err;
	bool is_own_word = json_object_get(out->result, "status");
	bool has_fields = json_object_size(out->result) > 0;
	json_t *o = cli_event_new("result");

	cli_put_str(o, "status", status_word(e->reason, status));
	cli_put_u64(o, "exit_status", status);
	if (status != CLI_EXIT_DONE) {
		json_object_del(out->result, "status");
		cli_put_str(o, "reason", xm_reason_name(e->reason));
		cli_put_str(o, "message", e->msg);
	}
	(void)json_object_update(o, out->result);
	if (out->json) {
		json_print(out, o);
	} else if (has_fields) {
		json_object_del(o, "event");
		json_object_del(o, "schema");
		json_object_del(o, "exit_status");
		json_object_del(o, "message"); /* stderr said it */
		if (status == CLI_EXIT_DONE && !is_own_word)
			json_object_del(o, "status"); /* figures say more */
		if (out->level < CLI_DEBUG)
			drop_details(o);
		cli_result_text(out->out, o);
		fflush(out->out);
	}
	json_decref(o);
}

/* -- text: names and values ------------------------------------------------ */

static bool ends_with(const char *s, const char *tail)
{
	size_t n = strlen(s), m = strlen(tail);

	return n >= m && !strcmp(s + n - m, tail);
}

/* A field's name without its unit, blanks for underscores. */
static void name_text(const char *name, char *buf, size_t len)
{
	char *p;

	if (!strcmp(name, "gbit_per_s"))
		name = "rate";
	snprintf(buf, len, "%s", name);
	if (ends_with(buf, "_ms"))
		buf[strlen(buf) - 3] = '\0';
	p = strstr(buf, "bytes_");
	if (p)
		memmove(p, p + 6, strlen(p + 6) + 1);
	else if (ends_with(buf, "_bytes"))
		buf[strlen(buf) - 6] = '\0';
	for (p = buf; *p; p++)
		if (*p == '_')
			*p = ' ';
}

static void bytes_text(json_int_t bytes, char *buf, size_t len)
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes;
	unsigned int i;

	/* an MTU of 65535 is not "64.00 KiB" */
	if (bytes < 1 << 20 && bytes % 1024)
		i = 0;
	else
		for (i = 0; i < 4 && v >= 1024; i++)
			v /= 1024;
	snprintf(buf, len, "%.*f %s", i ? 2 : 0, v, unit[i]);
}

static void integer_text(const char *name, json_int_t v, char *buf, size_t len)
{
	if (strstr(name, "bytes"))
		bytes_text(v, buf, len);
	else if (ends_with(name, "_ms") && v >= 10000)
		snprintf(buf, len, "%.1f s", (double)v / 1000);
	else
		snprintf(buf, len, "%" JSON_INTEGER_FORMAT "%s", v,
			 ends_with(name, "_ms") ? " ms" : "");
}

/* One scalar; strings with their control characters made harmless. */
static void scalar_text(const char *name, const json_t *v, char *buf,
			size_t len)
{
	switch (json_typeof(v)) {
	case JSON_INTEGER:
		integer_text(name, json_integer_value(v), buf, len);
		break;
	case JSON_REAL:
		snprintf(buf, len, "%.2f%s", json_real_value(v),
			 ends_with(name, "gbit_per_s") ? " Gbit/s" :
			 ends_with(name, "_ms")        ? " ms" :
							 "");
		break;
	case JSON_STRING:
		snprintf(buf, len, "%s", json_string_value(v));
		cli_make_printable(buf);
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		snprintf(buf, len, json_is_true(v) ? "yes" : "no");
		break;
	case JSON_NULL:
	case JSON_OBJECT:
	case JSON_ARRAY:
		snprintf(buf, len, "-");
		break;
	}
}

/* -- text: tables and trees ------------------------------------------------ */

static bool is_container(const json_t *v)
{
	return json_is_object(v) || json_is_array(v);
}

static bool is_flat(json_t *o)
{
	void *it;

	for (it = json_object_iter(o); it; it = json_object_iter_next(o, it))
		if (is_container(json_object_iter_value(it)))
			return false;
	return json_is_object(o);
}

/* None that @first lacks. */
static bool has_fields_of(json_t *o, json_t *first)
{
	void *it;

	for (it = json_object_iter(o); it; it = json_object_iter_next(o, it))
		if (!json_object_get(first, json_object_iter_key(it)))
			return false;
	return true;
}

/* All elements are objects without objects in them; the first one's fields
 * are the columns, and no other has more. */
static bool is_table(const json_t *array)
{
	size_t i, n = json_array_size(array);
	json_t *o;

	for (i = 0; i < n; i++) {
		o = json_array_get(array, i);
		if (!is_flat(o) || !has_fields_of(o, json_array_get(array, 0)))
			return false;
	}
	return n > 0;
}

static int column_width(const json_t *array, const char *key)
{
	char text[VALUE];
	size_t i, max;

	name_text(key, text, sizeof(text));
	max = strlen(text);
	for (i = 0; i < json_array_size(array); i++) {
		json_t *v = json_object_get(json_array_get(array, i), key);

		if (v)
			scalar_text(key, v, text, sizeof(text));
		if (v && strlen(text) > max)
			max = strlen(text);
	}
	return (int)max;
}

/* One line of a table: the names when @row is NULL. */
static void table_line(FILE *f, int indent, const json_t *array,
		       const json_t *row)
{
	json_t *first = json_array_get(array, 0);
	size_t n, last = json_object_size(first);
	void *it = json_object_iter(first);
	char text[VALUE];
	int width;

	fprintf(f, "%*s", indent, "");
	for (n = 1; it; it = json_object_iter_next(first, it), n++) {
		const char *key = json_object_iter_key(it);
		const json_t *cell = row ? json_object_get(row, key) : NULL;

		if (!row)
			name_text(key, text, sizeof(text));
		else if (cell)
			scalar_text(key, cell, text, sizeof(text));
		else
			snprintf(text, sizeof(text), "-");
		width = column_width(array, key);
		if (json_is_string(json_object_iter_value(it)))
			width = n < last ? -width :
					   0; /* no blanks at the end */
		fprintf(f, "%*s%s", width, text, n < last ? "  " : "\n");
	}
}

static void object_text(FILE *f, int indent, json_t *o);

static void array_text(FILE *f, int indent, const json_t *array)
{
	size_t i, n = json_array_size(array);
	bool has_columns = is_table(array);
	char text[VALUE];

	if (!n)
		fprintf(f, "%*snone\n", indent, "");
	if (has_columns)
		table_line(f, indent, array, NULL);
	for (i = 0; i < n; i++) {
		json_t *v = json_array_get(array, i);

		if (has_columns) {
			table_line(f, indent, array, v);
		} else if (json_is_object(v)) {
			object_text(f, indent, v);
			fputs(i + 1 < n ? "\n" : "", f);
		} else {
			scalar_text("", v, text, sizeof(text));
			fprintf(f, "%*s%s\n", indent, "", text);
		}
	}
}

/* Nothing but whole numbers: many, most of them zero, are a set of counters
 * like the drops by reason. */
static bool is_counters(json_t *o)
{
	void *it;

	for (it = json_object_iter(o); it; it = json_object_iter_next(o, it))
		if (!json_is_integer(json_object_iter_value(it)))
			return false;
	return true;
}

static void field_text(FILE *f, int indent, const char *key, json_t *v)
{
	char name[NAME], text[VALUE];

	name_text(key, name, sizeof(name));
	if (is_container(v)) {
		fprintf(f, "%*s%s:\n", indent, "", name);
		if (json_is_object(v))
			object_text(f, indent + 2, v);
		else
			array_text(f, indent + 2, v);
	} else {
		scalar_text(key, v, text, sizeof(text));
		fprintf(f, "%*s%-*s %s\n", indent, "", COLUMN - indent, name,
			text);
	}
}

static void object_text(FILE *f, int indent, json_t *o)
{
	bool hides_zeros = indent > 0 && is_counters(o);
	bool has_line = false;
	void *it;

	for (it = json_object_iter(o); it; it = json_object_iter_next(o, it)) {
		json_t *v = json_object_iter_value(it);

		if (hides_zeros && !json_integer_value(v))
			continue;
		has_line = true;
		field_text(f, indent, json_object_iter_key(it), v);
	}
	if (!has_line)
		fprintf(f, "%*snone\n", indent, "");
}

void cli_result_text(FILE *f, json_t *result)
{
	object_text(f, 0, result);
}
