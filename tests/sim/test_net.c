// SPDX-License-Identifier: GPL-2.0-or-later
/* test_net.c - the network's nodes do what the other tests rely on
 *
 * A hundred numbered packets, one a microsecond, go through one node into a
 * recorder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fault.h"
#include "net.h"

#define N 100

struct recorder {
	struct sim_node node;
	unsigned int n;
	uint32_t number[4 * N];
	int64_t at_ns[4 * N];
	unsigned int n_damaged;
};

/* Bytes that any damage shows in; the first four are the number. */
static void fill(uint8_t *data, uint32_t number)
{
	unsigned int i;

	memcpy(data, &number, 4);
	for (i = 4; i < 200; i++)
		data[i] = (uint8_t)(i * 7 + number);
}

static void record(struct sim_node *n, struct sim_pkt *p)
{
	struct recorder *r = (struct recorder *)n;
	uint8_t want[200];
	uint32_t number = 0;

	if (p->len >= 4)
		memcpy(&number, p->data, 4);
	fill(want, number);
	r->n_damaged += p->len != sizeof(want) || number >= N ||
			memcmp(p->data, want, sizeof(want));
	r->number[r->n] = number;
	r->at_ns[r->n++] = n->sim->now.ns;
	sim_pkt_free(p);
}

struct source {
	struct sim_node node;
	unsigned int n;
};

static struct xm_time source_at(const struct sim_node *n)
{
	const struct source *s = (const struct source *)n;

	if (s->n == N)
		return XM_TIME_NEVER;
	return (struct xm_time){ s->n * XM_US };
}

static void source_run(struct sim_node *n, struct xm_time now)
{
	struct source *s = (struct source *)n;
	uint8_t data[200];

	(void)now;
	fill(data, s->n++);
	n->out->forward(n->out, sim_pkt_new(data, sizeof(data), 0));
}

struct bench {
	struct sim sim;
	struct source source;
	struct recorder recorder;
};

static void bench_init(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	sim_init(&b->sim, 42);
	b->source.node.next_at = source_at;
	b->source.node.run = source_run;
	sim_add(&b->sim, &b->source.node);
	b->recorder.node.forward = record;
	sim_add(&b->sim, &b->recorder.node);
}

static void bench_run(struct bench *b, struct sim_node *node)
{
	b->source.node.out = node;
	node->out = &b->recorder.node;
	while (sim_step(&b->sim))
		;
	sim_fini(&b->sim);
}

static bool is_in_order(const struct recorder *r)
{
	unsigned int i;

	for (i = 1; i < r->n; i++)
		if (r->number[i] <= r->number[i - 1])
			return false;
	return true;
}

static void sim_delay__keeps_order_and_distance(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	bench_run(&b, sim_delay(&b.sim, 50 * XM_US));
	assert_int_equal(b.recorder.n, N);
	assert_true(is_in_order(&b.recorder));
	assert_int_equal(b.recorder.at_ns[0], 50 * XM_US);
	assert_int_equal(b.recorder.at_ns[N - 1], (50 + N - 1) * XM_US);
}

static void sim_reorder__loses_nothing_but_order(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	bench_run(&b, sim_reorder(&b.sim, SIM_PPM / 2, 20 * XM_US));
	assert_int_equal(b.recorder.n, N);
	assert_false(is_in_order(&b.recorder));
	assert_int_equal(b.recorder.n_damaged, 0);
}

static void sim_rate__spaces_and_drops_what_does_not_fit(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	/* 200 bytes in 2 us, room for ten: half of them come too early */
	bench_run(&b, sim_rate(&b.sim, 100000000, 2000, 0));
	assert_in_range(b.recorder.n, N / 2, N / 2 + 10);
	assert_true(is_in_order(&b.recorder));
	assert_int_equal(b.recorder.at_ns[1] - b.recorder.at_ns[0], 2 * XM_US);
	assert_int_equal(b.recorder.n_damaged, 0);
}

static void sim_loss__is_as_frequent_as_asked(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	bench_run(&b, sim_loss(&b.sim, SIM_PPM * 3 / 10));
	assert_in_range(b.recorder.n, 55, 85);
}

static void sim_gilbert__loses_in_bursts(void **state)
{
	struct sim_gilbert g = { .good_ns = 10 * XM_US,
				 .bad_ns = 10 * XM_US,
				 .loss_bad_ppm = SIM_PPM };
	unsigned int i, gaps = 0;
	struct bench b;

	(void)state;
	bench_init(&b);
	bench_run(&b, sim_gilbert(&b.sim, &g));
	for (i = 1; i < b.recorder.n; i++)
		gaps += b.recorder.number[i] != b.recorder.number[i - 1] + 1;
	assert_in_range(b.recorder.n, 20, 80);
	assert_in_range(gaps, 2, 12);
}

static void sim_dup__repeats(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	bench_run(&b, sim_dup(&b.sim, SIM_PPM, 10 * XM_US));
	assert_int_equal(b.recorder.n, 2 * N);
	assert_int_equal(b.recorder.n_damaged, 0);
}

static void sim_corrupt__always_damages(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	bench_run(&b, sim_corrupt(&b.sim, SIM_PPM));
	assert_int_equal(b.recorder.n, N);
	assert_int_equal(b.recorder.n_damaged, N);
}

static void sim_cut__passes_nothing_in_its_window(void **state)
{
	struct sim_window w[SIM_WINDOWS_MAX] = { { 10 * XM_US, 30 * XM_US } };
	struct bench b;

	(void)state;
	bench_init(&b);
	bench_run(&b, sim_cut(&b.sim, w));
	assert_int_equal(b.recorder.n, N - 20);
	assert_int_equal(b.recorder.number[9], 9);
	assert_int_equal(b.recorder.number[10], 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sim_delay__keeps_order_and_distance),
		cmocka_unit_test(sim_reorder__loses_nothing_but_order),
		cmocka_unit_test(sim_rate__spaces_and_drops_what_does_not_fit),
		cmocka_unit_test(sim_loss__is_as_frequent_as_asked),
		cmocka_unit_test(sim_gilbert__loses_in_bursts),
		cmocka_unit_test(sim_dup__repeats),
		cmocka_unit_test(sim_corrupt__always_damages),
		cmocka_unit_test(sim_cut__passes_nothing_in_its_window),
	};

	return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
