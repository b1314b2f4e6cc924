// SPDX-License-Identifier: GPL-2.0-or-later
/* test_run_next.c - whatever clients do, the migration goes on and those who
 * behave are served */
#include "t_run.h"

#include <sys/resource.h>

/* -- requests ------------------------------------------------------------------------ */

static void run_next__nobody(void **state)
{
	struct t *t = *state;

	assert_false(has_more(t));
	assert_nothing(t);
}

static void run_next__requests(void **state)
{
	static const struct {
		const char *text;
		struct run_request want;
	} cases[] = {
		{ "{\"ask\":\"status\"}", { .ask = RUN_STATUS } },
		{ "{\"ask\":\"cancel\"}", { .ask = RUN_CANCEL } },
		{ "{\"ask\":\"continue\"}", { .ask = RUN_CONTINUE } },
		{ "{\"ask\":\"set\",\"bandwidth\":5000000000}",
		  { .ask = RUN_SET,
		    .has_bandwidth = true,
		    .bandwidth = 5000000000 } },
		{ "{\"ask\":\"set\",\"bandwidth\":0}",
		  { .ask = RUN_SET, .has_bandwidth = true } },
		{ "{\"ask\":\"set\",\"max_downtime_ns\":1,\"bandwidth\":2}",
		  { .ask = RUN_SET,
		    .has_bandwidth = true,
		    .bandwidth = 2,
		    .has_max_downtime = true,
		    .max_downtime_ns = 1 } },
		/* what a newer command might add */
		{ " {\"ask\":\"status\", \"more\": [1, {}]}\n",
		  { .ask = RUN_STATUS } },
	};
	struct t *t = *state;
	int fd = join("vm1");
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct run_request *want = &cases[i].want;
		struct run_request req;

		say(fd, cases[i].text, strlen(cases[i].text));
		assert_true(has_more(t));
		run_next(t->run, &req);
		assert_int_equal(req.ask, want->ask);
		assert_int_equal(req.has_bandwidth, want->has_bandwidth);
		assert_int_equal(req.bandwidth, want->bandwidth);
		assert_int_equal(req.has_max_downtime, want->has_max_downtime);
		assert_int_equal(req.max_downtime_ns, want->max_downtime_ns);
		run_answer(t->run, NULL, NULL);
		assert_false(was_hung_up(fd));
	}
	close(fd);
}

static void run_next__one_after_the_other(void **state)
{
	struct t *t = *state;
	struct run_request req;
	int a = join("vm1"), b = join("vm1");

	say(a, "{\"ask\":\"cancel\"}", 16);
	say(b, "{\"ask\":\"continue\"}", 18);
	run_next(t->run, &req);
	assert_int_equal(req.ask, RUN_CANCEL);
	run_answer(t->run, NULL, "not now");
	run_next(t->run, &req);
	assert_int_equal(req.ask, RUN_CONTINUE);
	run_answer(t->run, NULL, "nor that");
	/* each has its own */
	assert_refused(a, "not now");
	assert_refused(b, "nor that");
	assert_nothing(t);
	close(a);
	close(b);
}

#define TEXT(x)                  \
	{                        \
		x, sizeof(x) - 1 \
	}

static void run_next__nonsense_is_refused(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
		TEXT("x"),
		TEXT("{}"),
		TEXT("[]"),
		TEXT("1"),
		TEXT("null"),
		TEXT("\0\0\0\0"),
		TEXT("\xff\xfe{"),
		TEXT("{\"ask\""),
		TEXT("{\"ask\":1}"),
		TEXT("{\"ask\":null}"),
		TEXT("{\"ask\":\"fly\"}"),
		TEXT("{\"ask\":\"status\0\"}"),
		TEXT("{\"ask\":\"status\"} {\"ask\":\"status\"}"),
		TEXT("{\"ask\":\"status\",\"ask\":\"cancel\"}"),
		TEXT("[{\"ask\":\"cancel\"}]"),
		TEXT("{\"ask\":\"set\"}"),
		TEXT("{\"ask\":\"set\",\"bandwidth\":-1}"),
		TEXT("{\"ask\":\"set\",\"bandwidth\":\"5G\"}"),
		TEXT("{\"ask\":\"set\",\"bandwidth\":1.5}"),
		TEXT("{\"ask\":\"set\",\"bandwidth\":99999999999999999999}"),
		TEXT("{\"ask\":\"set\",\"bandwidth\":5,"
		     "\"max_downtime_ns\":-5}"),
		TEXT("{\"ask\":\"set\",\"max_downtime_ns\":true}"),
	};
	struct t *t = *state;
	int fd = join("vm1");
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		say(fd, cases[i].text, cases[i].len);
		assert_nothing(t);
		assert_refused(fd, "no request this version knows");
	}
	assert_served(t, fd); /* and all is well again */
	close(fd);
}

static void run_next__nested_too_deep(void **state)
{
	struct t *t = *state;
	int fd = join("vm1");
	char text[16384];

	memset(text, '[', sizeof(text));
	say(fd, text, sizeof(text));
	assert_nothing(t);
	assert_refused(fd, "no request");
	close(fd);
}

static void run_next__largest_packet(void **state)
{
	struct t *t = *state;
	struct run_request req;
	int fd = join("vm1");
	char text[16384];

	memset(text, ' ', sizeof(text));
	memcpy(text, "{\"ask\":\"status\"}", 16);
	say(fd, text, sizeof(text));
	run_next(t->run, &req);
	assert_int_equal(req.ask, RUN_STATUS);
	run_answer(t->run, NULL, NULL);
	assert_false(was_hung_up(fd));
	close(fd);
}

/* Its beginning may not count as a request. */
static void run_next__oversize_packet(void **state)
{
	struct t *t = *state;
	int fd = join("vm1"), other = join("vm1");
	char text[16385];

	memset(text, ' ', sizeof(text));
	memcpy(text, "{\"ask\":\"cancel\"}", 16);
	say(fd, text, sizeof(text));
	assert_nothing(t);
	assert_true(was_hung_up(fd));
	assert_served(t, other);
	close(fd);
	close(other);
}

static void run_next__silent_clients(void **state)
{
	struct t *t = *state;
	int silent[RUN_CLIENTS - 1], fd;
	unsigned int i;

	for (i = 0; i < RUN_CLIENTS - 1; i++)
		silent[i] = join("vm1");
	assert_nothing(t);
	assert_false(has_more(t)); /* nobody waits for them */
	fd = join("vm1");
	assert_served(t, fd);
	assert_served(t, silent[3]); /* late, but not too late */
	close(fd);
	for (i = 0; i < RUN_CLIENTS - 1; i++)
		close(silent[i]);
	assert_nothing(t);
	assert_false(has_more(t));
}

static void run_next__the_oldest_client_makes_room(void **state)
{
	struct t *t = *state;
	int fd[3 * RUN_CLIENTS];
	unsigned int i, n = sizeof(fd) / sizeof(fd[0]);

	for (i = 0; i < n; i++) {
		fd[i] = join("vm1");
		assert_nothing(t);
		assert_false(has_more(t));
		if (i >= RUN_CLIENTS)
			assert_true(was_hung_up(fd[i - RUN_CLIENTS]));
	}
	for (i = n - RUN_CLIENTS; i < n; i++)
		assert_served(t, fd[i]);
	for (i = 0; i < n; i++)
		close(fd[i]);
}

static void run_next__client_that_leaves(void **state)
{
	struct t *t = *state;
	struct run_request req;
	int fd = join("vm1");

	close(fd); /* before it was seen, */
	assert_nothing(t);
	fd = join("vm1");
	assert_nothing(t);
	close(fd); /* after that, */
	assert_nothing(t);
	fd = join("vm1");
	say(fd, "{\"ask\":\"status\"}", 16);
	run_next(t->run, &req);
	assert_int_equal(req.ask, RUN_STATUS);
	close(fd); /* and with its answer under way */
	run_answer(t->run, NULL, NULL);
	assert_nothing(t);
	assert_false(has_more(t));
}

/* The migration must go on in between. */
static void run_next__flood_of_nonsense(void **state)
{
	struct t *t = *state;
	int fd = join("vm1");
	unsigned int i, rounds = 0, answers = 0;
	char text[256];

	for (i = 0; i < 150; i++)
		say(fd, "x", 1);
	while (has_more(t)) {
		assert_nothing(t);
		rounds++;
		while (recv(fd, text, sizeof(text), MSG_DONTWAIT) > 0)
			answers++;
	}
	assert_true(rounds > 1);
	assert_int_equal(answers, 150);
	assert_served(t, fd);
	close(fd);
}

/* accept() fails, and the client stays in the queue. */
static void run_next__no_descriptor_is_left(void **state)
{
	struct t *t = *state;
	struct rlimit was, none;
	int fd = join("vm1"), next = dup(fd);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	close(next); /* the lowest free one */
	none = was;
	none.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_nothing(t);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_served(t, fd);
	close(fd);
}

static void run_answer__client_that_does_not_read(void **state)
{
	struct t *t = *state;
	struct run_request req;
	char text[8192];
	int fd = join("vm1"), other = join("vm1");
	unsigned int i;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (i = 0; i < 1000; i++) { /* many times what a socket holds */
		say(fd, "{\"ask\":\"status\"}", 16);
		run_next(t->run, &req);
		assert_int_equal(req.ask, RUN_STATUS);
		run_answer(t->run, json_pack("{s:s}", "text", text), NULL);
	}
	assert_served(t, other);
	close(fd);
	close(other);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, t_setup, t_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(run_next__nobody),
		CASE(run_next__requests),
		CASE(run_next__one_after_the_other),
		CASE(run_next__nonsense_is_refused),
		CASE(run_next__nested_too_deep),
		CASE(run_next__largest_packet),
		CASE(run_next__oversize_packet),
		CASE(run_next__silent_clients),
		CASE(run_next__the_oldest_client_makes_room),
		CASE(run_next__client_that_leaves),
		CASE(run_next__flood_of_nonsense),
		CASE(run_next__no_descriptor_is_left),
		CASE(run_answer__client_that_does_not_read),
	};

	return cmocka_run_group_tests(tests, t_dir_make, t_dir_remove);
}
