// SPDX-License-Identifier: GPL-2.0-or-later
/* test_rules.c - the rules that make it right to read guest memory again
 *
 * docs/protocol.md 5 says why a retransmission may be made from guest memory
 * that the guest is writing: under four rules, and one for checksums.  For each
 * there is a world that keeps it, and the same world with the rule broken,
 * which must come to grief.  A rule whose breaking went unnoticed would be a
 * rule without a reason, or a test without teeth.
 *
 * Rules are broken in the world around the core (world.h, fault.h): a log that
 * is cleared late, frames that get a new number or pass for another epoch on
 * the wire, a page replaced under its pin.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <errno.h>

#include <cmocka.h>

#include "story.h"

/* Eight pages in one packet: header 0, data 1-4, SYNC 5. */
static struct world_opts eight_pages(void)
{
	struct world_opts o = world_defaults();

	o.guest.pages[0] = 8;
	return o;
}

/* -- 1: the harvest is complete before any page of its epoch is posted -------------- */

static struct world_opts rule_1(void)
{
	struct world_opts o = eight_pages();

	o.live_epochs = 3;
	o.guest.write_ns = 20 * XM_US;
	return o;
}

static void rule_1__log_cleared_before_posting_keeps_every_write(void **state)
{
	struct world_opts o = rule_1();
	struct world w;

	(void)state;
	story_must_pass(&w, &o);
	world_fini(&w);
}

static void rule_1__log_cleared_after_posting_loses_writes(void **state)
{
	struct world_opts o = rule_1();
	struct world w;

	(void)state;
	o.clear_late = true;
	assert_int_equal(story_run(&w, &o), WORLD_RAM);
	world_fini(&w);
}

/* -- 2: a retransmission keeps its number, each number is installed once ------------- */

/* The original of frame 2 is lost from sight until the destination runs the
 * guest.  Receivers stay open, so that nothing but its number protects it. */
static struct world_opts rule_2(void)
{
	struct world_opts o = eight_pages();

	o.never_close = true;
	o.up.pick[o.up.n_picks++] = (struct sim_pick){
		.what = SIM_HOLD,
		.type = XM_WIRE_DATA,
		.seq = 2,
		.until_epoch = SIM_AFTER_ALL,
	};
	return o;
}

/* The guest writes at the destination, then the original arrives.  True when
 * what the guest wrote is still there. */
static bool survives_the_original(struct world *w, const struct world_opts *o)
{
	uint8_t *page = NULL;
	unsigned int i;

	world_init(w, o);
	assert_int_equal(world_run(w), WORLD_SAME);
	page = w->guest.block[0].dst + 2 * XM_PAGE_SIZE; /* in frame 2 */
	memset(page, 0x77, XM_PAGE_SIZE);
	world_drain(w);
	for (i = 0; i < XM_PAGE_SIZE; i++)
		if (page[i] != 0x77)
			return false;
	return true;
}

static void rule_2__a_late_original_is_not_installed(void **state)
{
	struct world_opts o = rule_2();
	struct world w;

	(void)state;
	assert_true(survives_the_original(&w, &o));
	assert_int_equal(world_rx_stats(&w).drops.n[XM_DROP_DUPLICATE], 1);
	world_fini(&w);
}

static void rule_2__a_receiver_that_forgets_installs_it(void **state)
{
	struct world_opts o = rule_2();
	struct world w;

	(void)state;
	o.forget = true;
	assert_false(survives_the_original(&w, &o));
	world_fini(&w);
}

/* Had the retransmission taken a number of its own, the original would come
 * with one that nobody counted.  After SYNC there is no room for it ... */
static void rule_2__a_second_number_is_beyond_sync(void **state)
{
	struct world_opts o = rule_2();
	struct world w;

	(void)state;
	o.up.pick[0].renumber = true;
	o.up.pick[0].new_seq = 6;
	assert_true(survives_the_original(&w, &o));
	assert_int_equal(world_rx_stats(&w).drops.n[XM_DROP_BEYOND_WINDOW], 1);
	world_fini(&w);
}

/* ... and before it the account does not balance: no barrier is passed. */
static void rule_2__a_second_number_stops_the_epoch(void **state)
{
	struct world_opts o = rule_2();
	struct world w;

	(void)state;
	o.up.pick[0].renumber = true;
	o.up.pick[0].new_seq = 6;
	o.up.pick[0].until_epoch = 0;
	o.up.pick[0].hold_ns = 200 * XM_US;
	assert_int_equal(story_run(&w, &o), WORLD_ENDED);
	assert_int_equal(w.ses_src.outcome.home, XM_HOME_SOURCE);
	assert_true(world_tx_stats(&w).drops.n[XM_DROP_BAD_ACK] > 0);
	world_fini(&w);
}

/* -- 3: nothing of epoch k+1 before all of epoch k; only the current epoch ------------ */

static void write_all(struct world *w, uint32_t epoch, bool is_final)
{
	uint8_t byte = (uint8_t)epoch;
	uint32_t page;

	(void)is_final;
	for (page = 0; epoch > 1 && page < w->guest.block[0].n_pages; page++)
		guest_write(&w->guest, 0, page, 100, &byte, 1);
}

/* Every page is dirty in both epochs, so frame 2 is the same pages in both;
 * that of epoch 1 is held back until epoch 2 is open. */
static struct world_opts rule_3(bool broken)
{
	struct world_opts o = eight_pages();

	o.live_epochs = 1;
	o.on_epoch = write_all;
	o.up.pick[o.up.n_picks++] = (struct sim_pick){
		.what = SIM_HOLD,
		.type = XM_WIRE_DATA,
		.epoch = 1,
		.seq = 2,
		.until_epoch = 2,
		.any_epoch = broken,
	};
	return o;
}

static void rule_3__a_frame_of_the_epoch_before_is_stale(void **state)
{
	struct world_opts o = rule_3(false);
	struct world w;

	(void)state;
	story_must_pass(&w, &o);
	assert_int_equal(world_rx_stats(&w).drops.n[XM_DROP_STALE_EPOCH], 1);
	world_fini(&w);
}

/* The older page takes the newer one's number: every total agrees, and only
 * the memory is wrong. */
static void rule_3__a_receiver_of_any_epoch_installs_older_pages(void **state)
{
	struct world_opts o = rule_3(true);
	struct world w;

	(void)state;
	assert_int_equal(story_run(&w, &o), WORLD_RAM);
	world_fini(&w);
}

/* The sender's half. */
static void rule_3__no_epoch_begins_while_a_packet_is_unreleased(void **state)
{
	struct world_opts o = eight_pages();
	struct world w;

	(void)state;
	world_init(&w, &o);
	conduct_start(&w);
	while (w.src[0].step != SRC_DRAIN) {
		assert_true(sim_step(&w.sim));
		conduct_settle(&w);
	}
	assert_int_equal(xm_tx_epoch(w.src[0].tx, 2, w.sim.now), -EBUSY);
	assert_int_equal(xm_tx_sync(w.src[0].tx), -EBUSY);
	world_fini(&w);
}

/* Receivers that learn of an epoch late cost time, and nothing else. */
static void rule_3__a_receiver_that_is_late_only_delays(void **state)
{
	struct world_opts o = rule_3(false);
	struct world w;

	(void)state;
	o.tell_late_ns = 2 * XM_MS;
	story_must_pass(&w, &o);
	assert_true(world_rx_stats(&w).drops.n[XM_DROP_STALE_EPOCH] > 1);
	world_fini(&w);
}

/* Between epochs and after the last one nothing is taken. */
static void rule_3__a_closed_receiver_takes_nothing(void **state)
{
	struct world_opts o = rule_2();
	struct world w;

	(void)state;
	o.never_close = false;
	assert_true(survives_the_original(&w, &o));
	assert_int_equal(world_rx_stats(&w).drops.n[XM_DROP_STALE_EPOCH], 1);
	world_fini(&w);
}

/* -- 4: pinned pages stay the guest's pages ---------------------------------------------- */

static void replace_page_3(struct world *w, uint32_t epoch, bool is_final)
{
	(void)epoch;
	if (is_final)
		guest_replace(&w->guest, 0, 3);
}

/* The same writes without the replacement. */
static void write_page_3(struct world *w, uint32_t epoch, bool is_final)
{
	static const uint8_t data[XM_PAGE_SIZE] = { 1, 2, 3 };

	(void)epoch;
	if (is_final)
		guest_write(&w->guest, 0, 3, 0, data, sizeof(data));
}

static void rule_4__a_page_that_stays_needs_no_staging(void **state)
{
	struct world_opts o = eight_pages();
	struct world w;

	(void)state;
	o.live_epochs = 1;
	o.on_epoch = write_page_3;
	story_must_pass(&w, &o);
	assert_int_equal(world_tx_stats(&w).frames_staged, 0);
	world_fini(&w);
}

/* The sum is made of the guest's page, the device sends the old one: the
 * paused guest's last epoch has a reject, which shows it, and the staging copy
 * is right. */
static void rule_4__a_replaced_page_is_noticed_by_its_sum(void **state)
{
	struct world_opts o = eight_pages();
	struct world w;

	(void)state;
	o.live_epochs = 1;
	o.on_epoch = replace_page_3;
	story_must_pass(&w, &o);
	assert_int_equal(world_rx_stats(&w).drops.n[XM_DROP_BAD_PAYLOAD_CRC],
			 1);
	assert_int_equal(world_tx_stats(&w).frames_staged, 1);
	world_fini(&w);
}

/* A sum made of what the device reads, as a NIC would make it, notices
 * nothing. */
static void rule_4__a_replaced_page_summed_by_the_device_is_lost(void **state)
{
	struct world_opts o = eight_pages();
	struct world w;

	(void)state;
	o.live_epochs = 1;
	o.on_epoch = replace_page_3;
	o.sum_pinned = true;
	assert_int_equal(story_run(&w, &o), WORLD_RAM);
	world_fini(&w);
}

/* -- live pages: after a reject, a staging copy ------------------------------------------- */

static struct world_opts rule_live(void)
{
	struct world_opts o = eight_pages();

	o.live_epochs = 1;
	o.guest.pattern = SIM_HOT;
	o.guest.write_ns = XM_US;
	o.dev.dma_ns = 50 * XM_US;
	return o;
}

static void rule_live__a_hot_page_is_staged_and_gets_through(void **state)
{
	struct world_opts o = rule_live();
	struct world w;

	(void)state;
	story_must_pass(&w, &o);
	assert_int_equal(world_tx_stats(&w).frames_staged, 1);
	world_fini(&w);
}

static void rule_live__without_staging_it_never_does(void **state)
{
	struct world_opts o = rule_live();
	struct world w;

	(void)state;
	o.never_stage = true;
	o.stall_ns = 100 * XM_MS; /* a thousand writes a millisecond */
	assert_int_equal(story_run(&w, &o), WORLD_ENDED);
	assert_int_equal(w.ses_src.outcome.reason, XM_REASON_STALLED);
	assert_true(w.guest.running);
	world_fini(&w);
}

/* -- release: completed and acknowledged ------------------------------------------------------ */

/* One slot, two packets.  The ACK of the first comes while its retransmission
 * waits in the device, which reads the header two milliseconds later.  (The
 * timer runs from the completion, so where that comes early, so does the
 * retransmission.) */
static struct world_opts rule_release(int64_t after_rto_ns)
{
	struct world_opts o = eight_pages();

	o.n_slots = 1;
	o.packet_pages = 4;
	o.dev.dma_ns = 2 * XM_MS;
	o.down.pick[o.down.n_picks++] = (struct sim_pick){
		.what = SIM_HOLD,
		.type = XM_WIRE_ACK,
		.all_seqs = true,
		.hold_ns = XM_RTO_INIT_US * XM_US + after_rto_ns,
	};
	return o;
}

static void rule_release__a_posted_header_is_not_reused(void **state)
{
	struct world_opts o = rule_release(700 * XM_US);
	struct world w;

	(void)state;
	story_must_pass(&w, &o);
	assert_true(world_tx_stats(&w).frames_resent > 0);
	world_fini(&w);
}

static void rule_release__acknowledged_alone_is_too_early(void **state)
{
	struct world_opts o = rule_release(-1300 * XM_US);
	struct world w;

	(void)state;
	o.complete_early = true;
	assert_int_equal(story_run(&w, &o), WORLD_BROKEN);
	assert_non_null(strstr(w.why, "changed while posted"));
	world_fini(&w);
}

/* -- totals: what was placed is what was announced ---------------------------------------------- */

/* As many frames, as many bytes, and every CRC right: only a page has another
 * one's place. */
static void rule_totals__a_page_in_the_wrong_place_is_noticed(void **state)
{
	struct world_opts o = eight_pages();
	struct world w;

	(void)state;
	o.max_pages = 1;
	o.up.pick[o.up.n_picks++] = (struct sim_pick){ .what = SIM_MISPLACE,
						       .type = XM_WIRE_DATA,
						       .seq = 3 };
	assert_int_equal(story_run(&w, &o), WORLD_ENDED);
	assert_int_equal(w.ses_src.outcome.home, XM_HOME_SOURCE);
	assert_int_equal(w.ses_dst.outcome.reason, XM_REASON_INTEGRITY);
	assert_true(w.guest.running);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			rule_1__log_cleared_before_posting_keeps_every_write),
		cmocka_unit_test(
			rule_1__log_cleared_after_posting_loses_writes),
		cmocka_unit_test(rule_2__a_late_original_is_not_installed),
		cmocka_unit_test(rule_2__a_receiver_that_forgets_installs_it),
		cmocka_unit_test(rule_2__a_second_number_is_beyond_sync),
		cmocka_unit_test(rule_2__a_second_number_stops_the_epoch),
		cmocka_unit_test(rule_3__a_frame_of_the_epoch_before_is_stale),
		cmocka_unit_test(
			rule_3__a_receiver_of_any_epoch_installs_older_pages),
		cmocka_unit_test(
			rule_3__no_epoch_begins_while_a_packet_is_unreleased),
		cmocka_unit_test(rule_3__a_receiver_that_is_late_only_delays),
		cmocka_unit_test(rule_3__a_closed_receiver_takes_nothing),
		cmocka_unit_test(rule_4__a_page_that_stays_needs_no_staging),
		cmocka_unit_test(rule_4__a_replaced_page_is_noticed_by_its_sum),
		cmocka_unit_test(
			rule_4__a_replaced_page_summed_by_the_device_is_lost),
		cmocka_unit_test(
			rule_live__a_hot_page_is_staged_and_gets_through),
		cmocka_unit_test(rule_live__without_staging_it_never_does),
		cmocka_unit_test(rule_release__a_posted_header_is_not_reused),
		cmocka_unit_test(rule_release__acknowledged_alone_is_too_early),
		cmocka_unit_test(
			rule_totals__a_page_in_the_wrong_place_is_noticed),
	};

	return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
