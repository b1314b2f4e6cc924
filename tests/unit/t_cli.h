/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_cli.h - a command with one option of each type, and text caught in memory
 */
#ifndef T_CLI_H
#define T_CLI_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/opt.h"

#include <cmocka.h>

struct t_opts {
	bool flag;
	const char *name, *where, *pos;
	unsigned int number;
	uint64_t size, rate, time, poll;
	int kind;
	struct cli_queues queues;
};

static const char *const t_kinds[] = { "apple", "pear", NULL };

#define T_AT(field) offsetof(struct t_opts, field)
enum {
	T_FLAG,
	T_NAME,
	T_NUMBER,
	T_SIZE,
	T_RATE,
	T_TIME,
	T_POLL,
	T_KIND,
	T_QUEUES
};

static const struct cli_opt t_table[] = {
	[T_FLAG] = { "flag", 'f', .type = CLI_FLAG, .offset = T_AT(flag),
		     .help = "a flag" },
	[T_NAME] = { "name", .alias = "title", .type = CLI_STR, .arg = "NAME",
		     .offset = T_AT(name), .max = 8, .def_str = "joe",
		     .help = "a name" },
	[T_NUMBER] = { "number", .type = CLI_UINT, .arg = "N",
		       .offset = T_AT(number), .min = 2, .max = 64, .def = 8,
		       .zero = "auto", .help = "a number" },
	[T_SIZE] = { "size", .type = CLI_BYTES, .arg = "BYTES",
		     .offset = T_AT(size), .def = 10 << 20, .help = "a size" },
	[T_RATE] = { "rate", .type = CLI_RATE, .arg = "RATE",
		     .offset = T_AT(rate), .zero = "none", .help = "a rate" },
	[T_TIME] = { "time", .type = CLI_DURATION, .arg = "TIME",
		     .offset = T_AT(time), .def = 10000000000ull,
		     .help = "a time" },
	[T_POLL] = { "poll", .type = CLI_DURATION, .arg = "TIME",
		     .offset = T_AT(poll), .zero = "off", .bare = "50us",
		     .help = "a time that need not be said" },
	[T_KIND] = { "kind", .type = CLI_ENUM, .names = t_kinds, .def = 1,
		     .offset = T_AT(kind), .help = "a kind" },
	[T_QUEUES] = { "queues", .type = CLI_QUEUES, .arg = "N|A-B",
		       .offset = T_AT(queues), .max = 1023, .zero = "all",
		       .help = "some queues" },
	{ 0 },
};

static const struct cli_opt t_pos[] = {
	{ "pos", .type = CLI_STR, .arg = "POS", .offset = T_AT(pos),
	  .required = true, .help = "what is done to" },
	{ 0 },
};

static const struct cli_group t_groups[] = { { "Options", t_table }, { 0 } };

static const struct cli_spec t_spec = {
	.name = "frob",
	.help = "frob it",
	.pos = t_pos,
	.groups = t_groups,
	.size = sizeof(struct t_opts),
};

/* Another command, for options that frob does not have. */
static const struct cli_opt t_other_table[] = {
	{ "other", .type = CLI_UINT, .arg = "N", .help = "not frob's" },
	{ 0 },
};
static const struct cli_group t_other_groups[] = { { "Options", t_other_table },
						   { 0 } };
static const struct cli_spec t_other = {
	.name = "brew",
	.help = "brew it",
	.groups = t_other_groups,
	.size = sizeof(unsigned int),
};

/* A FILE that is a string. */
struct t_text {
	FILE *f;
	char *text;
	size_t len;
};

static inline FILE *t_text_open(struct t_text *t)
{
	*t = (struct t_text){ 0 };
	t->f = open_memstream(&t->text, &t->len);
	assert_non_null(t->f);
	return t->f;
}

static inline const char *t_text(struct t_text *t)
{
	fflush(t->f);
	return t->text;
}

static inline void t_text_close(struct t_text *t)
{
	if (t->f)
		fclose(t->f);
	free(t->text);
}

/* A command's streams, for cmocka. */
struct t_said {
	struct cli_ctx cli;
	struct t_text out, err;
};

static inline int t_said_setup(void **state)
{
	static struct t_said t;

	memset(&t, 0, sizeof(t));
	cli_out_open(&t.cli.out, t_text_open(&t.out), t_text_open(&t.err));
	*state = &t;
	return 0;
}

static inline int t_said_teardown(void **state)
{
	struct t_said *t = *state;

	cli_out_close(&t->cli.out);
	t_text_close(&t->out);
	t_text_close(&t->err);
	return 0;
}

#define assert_has(text, part)     assert_non_null(strstr(text, part))
#define assert_has_not(text, part) assert_null(strstr(text, part))

#endif
