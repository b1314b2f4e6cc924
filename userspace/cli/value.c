// SPDX-License-Identifier: GPL-2.0-or-later
/* value.c - one value of an option, from text and back
 *
 * Numbers are plain decimal, with a fraction where a unit follows ("2.5G").
 * Anything else is junk and is refused whole: no sign, no hex, no blank, no
 * trailing letter that is not a unit of the type.  Memory counts in powers of
 * 1024 and rates in powers of 1000, as everywhere else in networking; "KB"
 * could be either and is refused.  A duration has a unit, since nobody
 * remembers which one a bare number would have.
 *
 * What cli_value_text() prints, cli_value_parse() reads back to the same
 * value: the echo of --dry-run can be pasted into a configuration file.
 */
#include "opt.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "xdpmig/limits.h"

#define FRACTION_DIGITS 6 /* 10^6 * 2^40 fits 64 bits */

struct unit {
	const char *name;
	uint64_t factor;
};

/* The first name of a factor is the one that is printed. */
static const struct unit plain_units[] = { { "", 1 }, { 0 } };
static const struct unit bytes_units[] = {
	{ "", 1 },
	{ "K", 1ull << 10 },
	{ "M", 1ull << 20 },
	{ "G", 1ull << 30 },
	{ "T", 1ull << 40 },
	{ "k", 1ull << 10 },
	{ "KiB", 1ull << 10 },
	{ "MiB", 1ull << 20 },
	{ "GiB", 1ull << 30 },
	{ "TiB", 1ull << 40 },
	{ 0 },
};
static const struct unit rate_units[] = {
	{ "", 1 },
	{ "K", 1000ull },
	{ "M", 1000000ull },
	{ "G", 1000000000ull },
	{ "T", 1000000000000ull },
	{ "k", 1000ull },
	{ "bit", 1 },
	{ "kbit", 1000ull },
	{ "Kbit", 1000ull },
	{ "Mbit", 1000000ull },
	{ "Gbit", 1000000000ull },
	{ "Tbit", 1000000000000ull },
	{ 0 },
};
static const struct unit duration_units[] = {
	{ "ns", 1 },
	{ "us", 1000ull },
	{ "ms", 1000000ull },
	{ "s", 1000000000ull },
	{ "min", 60000000000ull },
	{ 0 },
};

static const struct unit *value_units(enum cli_type type)
{
	switch (type) {
	case CLI_BYTES:
		return bytes_units;
	case CLI_RATE:
		return rate_units;
	case CLI_DURATION:
		return duration_units;
	case CLI_UINT:
	case CLI_FLAG:
	case CLI_STR:
	case CLI_ENUM:
	case CLI_QUEUES:
		break;
	}
	return plain_units;
}

static const char *value_example(enum cli_type type)
{
	switch (type) {
	case CLI_BYTES:
		return "a number of bytes, such as 512K, 10M or 4G";
	case CLI_RATE:
		return "a rate in bits per second, such as 500M or 80G";
	case CLI_DURATION:
		return "a duration with its unit, such as 50us, 300ms, 10s or "
		       "2min";
	case CLI_QUEUES:
		return "a number of queues or a range, such as 4 or 0-15";
	case CLI_FLAG:
		return "yes or no";
	case CLI_UINT:
		return "a whole number";
	case CLI_STR:
	case CLI_ENUM:
		break;
	}
	return "a value";
}

/* Digits at @s into @ret; where they end, or NULL: none, or too many. */
static const char *value_digits(const char *s, uint64_t *ret)
{
	uint64_t v = 0;
	const char *p;

	for (p = s; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, *p - '0', &v))
			return NULL;
	}
	if (p == s)
		return NULL;
	*ret = v;
	return p;
}

/* Digits after a decimal point, as a part of @scale. */
static const char *value_fraction(const char *s, uint64_t *ret_part,
				  uint64_t *ret_scale)
{
	uint64_t part, scale = 1;
	const char *p = value_digits(s, &part);

	if (!p || p - s > FRACTION_DIGITS)
		return NULL;
	for (; s < p; s++)
		scale *= 10;
	*ret_part = part;
	*ret_scale = scale;
	return p;
}

/* A number with a unit of @units; false when it is none. */
static bool value_number(const struct unit *units, const char *text,
			 uint64_t *ret)
{
	uint64_t whole, v, part = 0, scale = 1;
	const char *p = value_digits(text, &whole);

	if (p && *p == '.')
		p = value_fraction(p + 1, &part, &scale);
	if (!p)
		return false;
	if (!*p && !whole && scale == 1) { /* 0 needs no unit */
		*ret = 0;
		return true;
	}
	for (; units->name; units++)
		if (!strcmp(p, units->name))
			break;
	if (!units->name || (scale > 1 && units->factor == 1))
		return false;
	if (__builtin_mul_overflow(whole, units->factor, &v) ||
	    __builtin_add_overflow(v, part * units->factor / scale, &v))
		return false;
	*ret = v;
	return true;
}

/* The largest unit that leaves a whole number. */
static const char *number_text(enum cli_type type, uint64_t v, char *buf,
			       size_t len)
{
	const struct unit *u, *best = value_units(type);

	for (u = best; v && u->name; u++)
		if (v % u->factor == 0 && u->factor > best->factor)
			best = u;
	snprintf(buf, len, "%" PRIu64 "%s", v / best->factor,
		 v ? best->name : "");
	return buf;
}

static int number_parse(const struct cli_opt *opt, const char *text,
			uint64_t *ret, char *why, size_t len)
{
	uint64_t v, max = opt->max ? opt->max : UINT64_MAX;
	char a[32], b[32];

	if (opt->type == CLI_UINT && max > UINT32_MAX)
		max = UINT32_MAX;
	if (opt->zero && !strcmp(text, opt->zero)) {
		v = 0;
	} else if (!value_number(value_units(opt->type), text, &v)) {
		snprintf(why, len, "not %s%s%s", value_example(opt->type),
			 opt->zero ? ", or " : "", opt->zero ? opt->zero : "");
		return -EINVAL;
	}
	if (v > max || (v < opt->min && !(opt->zero && !v))) {
		number_text(opt->type, opt->min, a, sizeof(a));
		number_text(opt->type, max, b, sizeof(b));
		snprintf(why, len, "must be %s%sfrom %s to %s",
			 opt->zero ? opt->zero : "", opt->zero ? " or " : "", a,
			 b);
		return -EINVAL;
	}
	*ret = v;
	return 0;
}

static int queues_parse(const struct cli_opt *opt, const char *text,
			struct cli_queues *ret, char *why, size_t len)
{
	uint64_t first = 0, n, last;
	bool is_range = false;
	const char *p;

	if (opt->zero && !strcmp(text, opt->zero)) {
		*ret = (struct cli_queues){ 0 };
		return 0;
	}
	p = value_digits(text, &n);
	if (p && *p == '-') {
		is_range = true;
		first = n;
		p = value_digits(p + 1, &last);
		if (p && (last < first || last > opt->max)) {
			snprintf(why, len,
				 "a range runs from a lower to a higher queue "
				 "number, at most %" PRIu64,
				 opt->max);
			return -EINVAL;
		}
		n = p ? last - first + 1 : 0;
	}
	if (!p || *p) {
		snprintf(why, len, "not %s", value_example(CLI_QUEUES));
		return -EINVAL;
	}
	if (n < 1 || n > XM_CHAN_MAX) {
		snprintf(why, len, "must be from 1 to %d queues", XM_CHAN_MAX);
		return -EINVAL;
	}
	ret->first = (unsigned int)first;
	ret->n = (unsigned int)n;
	ret->is_range = is_range;
	return 0;
}

static int enum_parse(const struct cli_opt *opt, const char *text, int *ret,
		      char *why, size_t len)
{
	size_t used;
	int i;

	for (i = 0; opt->names[i]; i++) {
		if (!strcmp(text, opt->names[i])) {
			*ret = i;
			return 0;
		}
	}
	used = (size_t)snprintf(why, len, "must be one of");
	for (i = 0; opt->names[i] && used < len; i++)
		used += (size_t)snprintf(why + used, len - used, "%s %s",
					 i ? "," : "", opt->names[i]);
	return -EINVAL;
}

static int flag_parse(const char *text, bool *ret, char *why, size_t len)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };
	unsigned int i;

	for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (!strcmp(text, yes[i]) || !strcmp(text, no[i])) {
			*ret = !strcmp(text, yes[i]);
			return 0;
		}
	}
	snprintf(why, len, "not %s", value_example(CLI_FLAG));
	return -EINVAL;
}

static int str_parse(const struct cli_opt *opt, const char *text,
		     const char **ret, char *why, size_t len)
{
	if (!*text) {
		snprintf(why, len, "may not be empty");
		return -EINVAL;
	}
	if (opt->max && strlen(text) > opt->max) {
		snprintf(why, len, "longer than %" PRIu64 " characters",
			 opt->max);
		return -EINVAL;
	}
	*ret = text;
	return 0;
}

int cli_value_parse(const struct cli_opt *opt, const char *text, void *field,
		    char *why, size_t len)
{
	uint64_t v;
	int r;

	switch (opt->type) {
	case CLI_FLAG:
		return flag_parse(text, field, why, len);
	case CLI_STR:
		return str_parse(opt, text, field, why, len);
	case CLI_ENUM:
		return enum_parse(opt, text, field, why, len);
	case CLI_QUEUES:
		return queues_parse(opt, text, field, why, len);
	case CLI_UINT:
		r = number_parse(opt, text, &v, why, len);
		if (!r)
			*(unsigned int *)field = (unsigned int)v;
		return r;
	case CLI_BYTES:
	case CLI_RATE:
	case CLI_DURATION:
		return number_parse(opt, text, field, why, len);
	}
	assert(!"a type of option without a parser");
	return -EINVAL;
}

void cli_value_default(const struct cli_opt *opt, void *field)
{
	switch (opt->type) {
	case CLI_FLAG:
		*(bool *)field = opt->def;
		break;
	case CLI_STR:
		*(const char **)field = opt->def_str;
		break;
	case CLI_ENUM:
		*(int *)field = (int)opt->def;
		break;
	case CLI_QUEUES:
		*(struct cli_queues *)field =
			(struct cli_queues){ .n = (unsigned int)opt->def };
		break;
	case CLI_UINT:
		*(unsigned int *)field = (unsigned int)opt->def;
		break;
	case CLI_BYTES:
	case CLI_RATE:
	case CLI_DURATION:
		*(uint64_t *)field = opt->def;
		break;
	}
}

static const char *queues_text(const struct cli_queues *q, char *buf,
			       size_t len)
{
	if (q->is_range)
		snprintf(buf, len, "%u-%u", q->first, q->first + q->n - 1);
	else
		snprintf(buf, len, "%u", q->n);
	return buf;
}

const char *cli_value_text(const struct cli_opt *opt, const void *field,
			   char *buf, size_t len)
{
	const struct cli_queues *q = field;
	uint64_t v = 0;

	switch (opt->type) {
	case CLI_FLAG:
		return *(const bool *)field ? "yes" : "no";
	case CLI_STR:
		return *(char *const *)field ? *(char *const *)field : "";
	case CLI_ENUM:
		return opt->names[*(const int *)field];
	case CLI_QUEUES:
		return q->n || !opt->zero ? queues_text(q, buf, len) :
					    opt->zero;
	case CLI_UINT:
		v = *(const unsigned int *)field;
		break;
	case CLI_BYTES:
	case CLI_RATE:
	case CLI_DURATION:
		v = *(const uint64_t *)field;
		break;
	}
	return !v && opt->zero ? opt->zero :
				 number_text(opt->type, v, buf, len);
}
