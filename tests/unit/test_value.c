// SPDX-License-Identifier: GPL-2.0-or-later
#include "t_cli.h"

#include <errno.h>

static char why[200];

/* What @text means for an option whose field is a uint64_t. */
static uint64_t good(int which, const char *text)
{
	uint64_t v = 77;

	assert_int_equal(cli_value_parse(&t_table[which], text, &v, why,
					 sizeof(why)),
			 0);
	return v;
}

/* @text is refused and the field left alone; says why. */
static const char *bad(int which, const char *text)
{
	unsigned char field[16], before[16];

	memset(field, 0x5a, sizeof(field));
	memcpy(before, field, sizeof(field));
	memset(why, 0, sizeof(why));
	assert_int_equal(cli_value_parse(&t_table[which], text, field, why,
					 sizeof(why)),
			 -EINVAL);
	assert_memory_equal(field, before, sizeof(field));
	assert_true(*why);
	return why;
}

static unsigned int number(const char *text)
{
	unsigned int v = 0;

	assert_int_equal(cli_value_parse(&t_table[T_NUMBER], text, &v, why,
					 sizeof(why)),
			 0);
	return v;
}

static struct cli_queues queues(const char *text)
{
	struct cli_queues q = { 99, 99 };

	assert_int_equal(cli_value_parse(&t_table[T_QUEUES], text, &q, why,
					 sizeof(why)),
			 0);
	return q;
}

static void cli_value_parse__number_in_its_bounds(void **state)
{
	(void)state;
	assert_int_equal(number("2"), 2);
	assert_int_equal(number("64"), 64);
	assert_int_equal(number("007"), 7);
}

static void cli_value_parse__word_for_zero(void **state)
{
	(void)state;
	assert_int_equal(number("auto"), 0);
	assert_int_equal(number("0"), 0);
	assert_int_equal(good(T_RATE, "none"), 0);
}

static void cli_value_parse__number_out_of_bounds_names_them(void **state)
{
	(void)state;
	assert_string_equal(bad(T_NUMBER, "65"),
			    "must be auto or from 2 to 64");
	bad(T_NUMBER, "1");
	bad(T_NUMBER, "4294967298"); /* 2 after a wrap of 32 bits */
	bad(T_NUMBER, "18446744073709551618");
}

static void cli_value_parse__number_is_no_junk(void **state)
{
	(void)state;
	bad(T_NUMBER, "");
	bad(T_NUMBER, " 8");
	bad(T_NUMBER, "8 ");
	bad(T_NUMBER, "+8");
	bad(T_NUMBER, "-8");
	bad(T_NUMBER, "0x8");
	bad(T_NUMBER, "8.0");
	bad(T_NUMBER, "8K");
	bad(T_NUMBER, "8,");
	assert_has(bad(T_NUMBER, "eight"), "not a whole number, or auto");
}

static void cli_value_parse__bytes(void **state)
{
	(void)state;
	assert_int_equal(good(T_SIZE, "4096"), 4096);
	assert_int_equal(good(T_SIZE, "512K"), 512 << 10);
	assert_int_equal(good(T_SIZE, "512k"), 512 << 10);
	assert_int_equal(good(T_SIZE, "10M"), 10 << 20);
	assert_int_equal(good(T_SIZE, "10MiB"), 10 << 20);
	assert_int_equal(good(T_SIZE, "4G"), 4ull << 30);
	assert_int_equal(good(T_SIZE, "2T"), 2ull << 40);
	assert_int_equal(good(T_SIZE, "1.5G"), 3ull << 29);
	assert_int_equal(good(T_SIZE, "0"), 0);
}

static void cli_value_parse__bytes_are_no_junk(void **state)
{
	(void)state;
	assert_has(bad(T_SIZE, "10X"), "not a number of bytes");
	bad(T_SIZE, "10KB"); /* 1000 or 1024? */
	bad(T_SIZE, "10MB");
	bad(T_SIZE, "10m"); /* minutes? milli? */
	bad(T_SIZE, "10 M");
	bad(T_SIZE, "10MM");
	bad(T_SIZE, "M");
	bad(T_SIZE, "1.5");
	bad(T_SIZE, "1.G");
	bad(T_SIZE, ".5G");
	bad(T_SIZE, "1.0000001G");
	bad(T_SIZE, "1.5.5G");
	bad(T_SIZE, "1e9");
	bad(T_SIZE, "16777216T"); /* 2^64 */
	bad(T_SIZE, "18446744073709551616");
}

static void cli_value_parse__rate(void **state)
{
	(void)state;
	assert_int_equal(good(T_RATE, "80G"), 80000000000ull);
	assert_int_equal(good(T_RATE, "2.5G"), 2500000000ull);
	assert_int_equal(good(T_RATE, "100Mbit"), 100000000ull);
	assert_int_equal(good(T_RATE, "1000000"), 1000000);
	assert_has(bad(T_RATE, "80Gi"), "rate in bits per second");
	bad(T_RATE, "80GB");
	bad(T_RATE, "all");
}

static void cli_value_parse__duration_has_a_unit(void **state)
{
	(void)state;
	assert_int_equal(good(T_TIME, "50us"), 50000);
	assert_int_equal(good(T_TIME, "300ms"), 300000000);
	assert_int_equal(good(T_TIME, "10s"), 10000000000ull);
	assert_int_equal(good(T_TIME, "0.5s"), 500000000);
	assert_int_equal(good(T_TIME, "2min"), 120000000000ull);
	assert_int_equal(good(T_TIME, "0"), 0);
	assert_has(bad(T_TIME, "10"), "a duration with its unit");
	bad(T_TIME, "10m");
	bad(T_TIME, "10S");
	bad(T_TIME, "1h");
	bad(T_TIME, "307445735min"); /* 2^64 ns */
}

static void cli_value_parse__queues(void **state)
{
	(void)state;
	assert_int_equal(queues("16").first, 0);
	assert_int_equal(queues("16").n, 16);
	assert_false(queues("16").is_range);
	assert_true(queues("0-15").is_range);
	assert_int_equal(queues("0-15").n, 16);
	assert_int_equal(queues("4-7").first, 4);
	assert_int_equal(queues("4-7").n, 4);
	assert_int_equal(queues("5-5").n, 1);
	assert_int_equal(queues("1023-1023").first, 1023);
	assert_int_equal(queues("all").n, 0);
}

static void cli_value_parse__queues_are_no_junk(void **state)
{
	(void)state;
	assert_has(bad(T_QUEUES, "0"), "from 1 to 64 queues");
	assert_has(bad(T_QUEUES, "65"), "from 1 to 64 queues");
	assert_has(bad(T_QUEUES, "0-64"), "from 1 to 64 queues");
	assert_has(bad(T_QUEUES, "7-4"), "from a lower to a higher");
	assert_has(bad(T_QUEUES, "1020-1024"), "at most 1023");
	bad(T_QUEUES, "0-18446744073709551615");
	bad(T_QUEUES, "-4");
	bad(T_QUEUES, "4-");
	bad(T_QUEUES, "4-7-9");
	bad(T_QUEUES, "0,1");
	bad(T_QUEUES, "");
}

static void cli_value_parse__enum(void **state)
{
	int v = -1;

	(void)state;
	assert_int_equal(cli_value_parse(&t_table[T_KIND], "pear", &v, why,
					 sizeof(why)),
			 0);
	assert_int_equal(v, 1);
	assert_string_equal(bad(T_KIND, "pea"), "must be one of apple, pear");
	bad(T_KIND, "Pear");
	bad(T_KIND, "");
}

static void cli_value_parse__flag(void **state)
{
	bool v = false;

	(void)state;
	assert_int_equal(cli_value_parse(&t_table[T_FLAG], "yes", &v, why,
					 sizeof(why)),
			 0);
	assert_true(v);
	assert_int_equal(cli_value_parse(&t_table[T_FLAG], "off", &v, why,
					 sizeof(why)),
			 0);
	assert_false(v);
	assert_string_equal(bad(T_FLAG, "2"), "not yes or no");
	bad(T_FLAG, "");
}

static void cli_value_parse__string(void **state)
{
	const char *v = NULL;

	(void)state;
	assert_int_equal(cli_value_parse(&t_table[T_NAME], "12345678", &v, why,
					 sizeof(why)),
			 0);
	assert_string_equal(v, "12345678");
	assert_string_equal(bad(T_NAME, "123456789"),
			    "longer than 8 characters");
	assert_string_equal(bad(T_NAME, ""), "may not be empty");
}

/* @text is read, and printed as @text again. */
static void same(int which, const char *text)
{
	char buf[64];
	union {
		uint64_t align;
		unsigned char field[16];
	} u;

	assert_int_equal(cli_value_parse(&t_table[which], text, u.field, why,
					 sizeof(why)),
			 0);
	assert_string_equal(cli_value_text(&t_table[which], u.field, buf,
					   sizeof(buf)),
			    text);
}

static void cli_value_text__is_what_parse_reads(void **state)
{
	(void)state;
	same(T_FLAG, "yes");
	same(T_FLAG, "no");
	same(T_NAME, "joe");
	same(T_NUMBER, "auto");
	same(T_NUMBER, "12");
	same(T_SIZE, "0");
	same(T_SIZE, "4097");
	same(T_SIZE, "512K");
	same(T_SIZE, "3T");
	same(T_RATE, "none");
	same(T_RATE, "80G");
	same(T_RATE, "1500M");
	same(T_TIME, "50us");
	same(T_TIME, "1500ms");
	same(T_TIME, "2min");
	same(T_TIME, "7ns");
	same(T_KIND, "apple");
	same(T_QUEUES, "all");
	same(T_QUEUES, "16");
	same(T_QUEUES, "4-7");
	same(T_QUEUES, "0-3");
}

static void cli_value_default__comes_from_the_table(void **state)
{
	struct cli_queues q = { 9, 9 };
	const char *name = NULL;
	unsigned int n = 0;
	uint64_t size = 0;
	bool flag = true;
	int kind = 0;

	(void)state;
	cli_value_default(&t_table[T_FLAG], &flag);
	cli_value_default(&t_table[T_NAME], &name);
	cli_value_default(&t_table[T_NUMBER], &n);
	cli_value_default(&t_table[T_SIZE], &size);
	cli_value_default(&t_table[T_KIND], &kind);
	cli_value_default(&t_table[T_QUEUES], &q);
	assert_false(flag);
	assert_string_equal(name, "joe");
	assert_int_equal(n, 8);
	assert_int_equal(size, 10 << 20);
	assert_int_equal(kind, 1);
	assert_int_equal(q.first, 0);
	assert_int_equal(q.n, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(cli_value_parse__number_in_its_bounds),
		cmocka_unit_test(cli_value_parse__word_for_zero),
		cmocka_unit_test(
			cli_value_parse__number_out_of_bounds_names_them),
		cmocka_unit_test(cli_value_parse__number_is_no_junk),
		cmocka_unit_test(cli_value_parse__bytes),
		cmocka_unit_test(cli_value_parse__bytes_are_no_junk),
		cmocka_unit_test(cli_value_parse__rate),
		cmocka_unit_test(cli_value_parse__duration_has_a_unit),
		cmocka_unit_test(cli_value_parse__queues),
		cmocka_unit_test(cli_value_parse__queues_are_no_junk),
		cmocka_unit_test(cli_value_parse__enum),
		cmocka_unit_test(cli_value_parse__flag),
		cmocka_unit_test(cli_value_parse__string),
		cmocka_unit_test(cli_value_text__is_what_parse_reads),
		cmocka_unit_test(cli_value_default__comes_from_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
