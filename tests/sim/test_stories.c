// SPDX-License-Identifier: GPL-2.0-or-later
/* test_stories.c - what the data plane does, told as traces
 *
 * Each story has one channel at MTU 9000 (two pages a frame) over a clean wire
 * of 50 us each way, and one thing that goes wrong.  Time is virtual, in
 * microseconds since the first harvest; EPOCH_BEGIN and EPOCH_READY take the
 * first 100.  Eight pages are one packet: header 0, data 1-4; then comes SYNC.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "story.h"

/* What most stories are about. */
#define FRAMES                                                        \
	(SIM_SHOW(SEND) | SIM_SHOW(STAGE) | SIM_SHOW(LOST) |          \
	 SIM_SHOW(TAIL_PROBE) | SIM_SHOW(TIMEOUT) | SIM_SHOW(PLACE) | \
	 SIM_SHOW(DROP) | SIM_SHOW(ACK) | SIM_SHOW(INSTALLED) | SIM_NOTE_NET)

static struct world_opts eight_pages(uint32_t show)
{
	struct world_opts o = world_defaults();

	o.guest.pages[0] = 8;
	o.show = show;
	return o;
}

static void loss__one_frame_is_resent_with_its_number(void **state)
{
	struct world_opts o = eight_pages(FRAMES);

	(void)state;
	o.up.pick[o.up.n_picks++] = (struct sim_pick){ .what = SIM_DROP,
						       .type = XM_WIRE_DATA,
						       .seq = 2 };
	story(&o, WORLD_SAME,
	      "[   100] src > send 0-4\n"
	      "[   100] net > drop data 2\n"
	      "[   150] dst > place 0-1 3-4\n"
	      "[   200] src > acked below 2, 4 new\n"
	      "[   225] src > lost 2\n"
	      "[   225] src > resend 2\n"
	      "[   275] dst > place 2\n"
	      "[   325] src > acked below 5, 1 new\n"
	      "[   325] src > send 5\n"
	      "[   375] dst > place 5\n"
	      "[   375] dst > epoch 1 installed\n"
	      "[   425] src > acked below 6, 1 new\n");
}

static void loss__the_last_frames_are_found_by_tail_probes(void **state)
{
	struct world_opts o = eight_pages(FRAMES);

	(void)state;
	o.up.pick[o.up.n_picks++] =
		(struct sim_pick){ .what = SIM_DROP, .seq = 4 };
	o.up.pick[o.up.n_picks++] =
		(struct sim_pick){ .what = SIM_DROP, .seq = 5 };
	story(&o, WORLD_SAME,
	      "[   100] src > send 0-4\n"
	      "[   100] net > drop data 4\n"
	      "[   150] dst > place 0-3\n"
	      "[   400] src > acked below 4, 4 new\n"
	      "[  1400] src > tail probe 4\n"
	      "[  1400] src > lost 4\n"
	      "[  1400] src > resend 4\n"
	      "[  1450] dst > place 4\n"
	      "[  1700] src > acked below 5, 1 new\n"
	      "[  1700] src > send 5\n"
	      "[  1700] net > drop header 5\n"
	      "[  2700] src > tail probe 5\n"
	      "[  2700] src > lost 5\n"
	      "[  2700] src > resend 5\n"
	      "[  2750] dst > place 5\n"
	      "[  2750] dst > epoch 1 installed\n"
	      "[  2800] src > acked below 6, 1 new\n");
}

static void write_all(struct world *w, uint32_t epoch, bool is_final)
{
	uint8_t byte = (uint8_t)epoch;
	uint32_t page;

	(void)is_final;
	for (page = 0; epoch > 1 && page < w->guest.block[0].n_pages; page++)
		guest_write(&w->guest, 0, page, 100, &byte, 1);
}

static void loss__without_acks_the_timer_doubles(void **state)
{
	struct world_opts o = eight_pages(FRAMES | SIM_SHOW(CUT));

	(void)state;
	o.live_epochs = 1; /* which measures the round trip */
	o.on_epoch = write_all;
	o.down.pick[o.down.n_picks++] = (struct sim_pick){
		.what = SIM_DROP,
		.type = XM_WIRE_ACK,
		.epoch = 2,
		.all_seqs = true,
		.from = 1,
		.n = 4,
	};
	story(&o, WORLD_SAME,
	      "[   100] src > send 0-4\n"
	      "[   150] dst > place 0-4\n"
	      "[   400] src > acked below 5, 5 new\n"
	      "[   400] src > send 5\n"
	      "[   450] dst > place 5\n"
	      "[   450] dst > epoch 1 installed\n"
	      "[   500] src > acked below 6, 1 new\n"
	      "[   700] src > send 0-4\n"
	      "[   750] dst > place 0-4\n"
	      "[   950] net > drop ack 5\n"
	      "[  1700] src > tail probe 4\n"
	      "[  1700] src > lost 4\n"
	      "[  1700] src > resend 4\n"
	      "[  1750] dst > drop duplicate 4\n"
	      "[  1750] net > drop ack 5\n"
	      "[  3700] src > lost 0-4\n"
	      "[  3700] src > timeout at 0, next in 4000 us\n"
	      "[  3700] src > window 4 frames\n"
	      "[  3700] src > resend 0-3\n"
	      "[  3750] dst > drop duplicate 0-3\n"
	      "[  3750] net > drop ack 5\n"
	      "[  7700] src > lost 0-3\n"
	      "[  7700] src > timeout at 0, next in 8000 us\n"
	      "[  7700] src > stage 4\n"
	      "[  7700] src > resend 4 0\n"
	      "[  7700] src > stage 1\n"
	      "[  7700] src > resend 1\n"
	      "[  7700] src > stage 2\n"
	      "[  7700] src > resend 2\n"
	      "[  7750] dst > drop duplicate 4 0-2\n"
	      "[  7750] net > drop ack 5\n"
	      "[ 15700] src > lost 4 0-2\n"
	      "[ 15700] src > timeout at 0, next in 16000 us\n"
	      "[ 15700] src > stage 3\n"
	      "[ 15700] src > resend 3\n"
	      "[ 15700] src > stage 4\n"
	      "[ 15700] src > resend 4 0\n"
	      "[ 15700] src > stage 1\n"
	      "[ 15700] src > resend 1\n"
	      "[ 15750] dst > drop duplicate 3-4 0-1\n"
	      "[ 15800] src > acked below 5, 5 new\n"
	      "[ 15800] src > send 5\n"
	      "[ 15850] dst > place 5\n"
	      "[ 15850] dst > epoch 2 installed\n"
	      "[ 15900] src > acked below 6, 1 new\n");
}

static void reorder__a_late_original_is_a_duplicate(void **state)
{
	struct world_opts o = eight_pages(FRAMES);

	(void)state;
	o.up.pick[o.up.n_picks++] = (struct sim_pick){
		.what = SIM_HOLD,
		.type = XM_WIRE_DATA,
		.seq = 2,
		.hold_ns = 200 * XM_US,
	};
	story(&o, WORLD_SAME,
	      "[   100] src > send 0-4\n"
	      "[   100] net > hold back data 2\n"
	      "[   150] dst > place 0-1 3-4\n"
	      "[   200] src > acked below 2, 4 new\n"
	      "[   225] src > lost 2\n"
	      "[   225] src > resend 2\n"
	      "[   275] dst > place 2\n"
	      "[   300] net > let go of data 2\n"
	      "[   325] src > acked below 5, 1 new\n"
	      "[   325] src > send 5\n"
	      "[   350] dst > drop duplicate 2\n"
	      "[   375] dst > place 5\n"
	      "[   375] dst > epoch 1 installed\n"
	      "[   400] src > acked below 5, 0 new\n"
	      "[   425] src > acked below 6, 1 new\n");
}

static void epoch__a_frame_held_back_is_stale(void **state)
{
	struct world_opts o = eight_pages(FRAMES | SIM_NOTE_EPOCH);

	(void)state;
	o.live_epochs = 1;
	o.on_epoch = write_all;
	o.up.pick[o.up.n_picks++] = (struct sim_pick){
		.what = SIM_HOLD,
		.type = XM_WIRE_DATA,
		.epoch = 1,
		.seq = 2,
		.until_epoch = 2,
	};
	story(&o, WORLD_SAME,
	      "[     0] guest > harvest 1: 8 pages\n"
	      "[   100] src > send 0-4\n"
	      "[   100] net > hold back data 2\n"
	      "[   150] dst > place 0-1 3-4\n"
	      "[   200] src > acked below 2, 4 new\n"
	      "[   225] src > lost 2\n"
	      "[   225] src > resend 2\n"
	      "[   275] dst > place 2\n"
	      "[   325] src > acked below 5, 1 new\n"
	      "[   325] src > send 5\n"
	      "[   375] dst > place 5\n"
	      "[   375] dst > epoch 1 installed\n"
	      "[   425] src > acked below 6, 1 new\n"
	      "[   525] ctl > epoch 1 is installed\n"
	      "[   525] guest > paused, harvest 2: 8 pages\n"
	      "[   575] net > let go of data 2\n"
	      "[   625] src > send 0-4\n"
	      "[   625] dst > drop stale_epoch 2\n"
	      "[   675] dst > place 0-4\n"
	      "[   925] src > acked below 5, 5 new\n"
	      "[   925] src > send 5\n"
	      "[   975] dst > place 5\n"
	      "[   975] dst > epoch 2 installed\n"
	      "[  1025] src > acked below 6, 1 new\n"
	      "[  1125] ctl > epoch 2 is installed\n");
}

static void flush__space_drains_half_and_the_barrier_all(void **state)
{
	struct world_opts o = eight_pages(SIM_SHOW(SEND) | SIM_SHOW(RELEASE) |
					  SIM_SHOW(INSTALLED) | SIM_NOTE_FLUSH);

	(void)state;
	o.guest.pages[0] = 12;
	o.packet_pages = 2; /* six packets of two frames, four slots */
	o.credit = 4;       /* an ACK for every frame */
	story(&o, WORLD_SAME,
	      "[   100] src > ring full, flush(2)\n"
	      "[   100] src > send 0-3\n"
	      "[   200] src > release slot 0, 3 pending\n"
	      "[   200] src > release slot 1, 2 pending\n"
	      "[   200] src > flush(2) done\n"
	      "[   200] src > flush(0) before sync\n"
	      "[   200] src > send 4-7\n"
	      "[   300] src > release slot 2, 3 pending\n"
	      "[   300] src > release slot 3, 2 pending\n"
	      "[   300] src > send 8-11\n"
	      "[   400] src > release slot 0, 1 pending\n"
	      "[   400] src > release slot 1, 0 pending\n"
	      "[   400] src > sync, flush(0)\n"
	      "[   400] src > send 12\n"
	      "[   450] dst > epoch 1 installed\n"
	      "[   500] src > release slot 2, 0 pending\n"
	      "[   500] src > barrier\n");
}

static void write_hot(struct world *w, uint32_t epoch, bool is_final)
{
	w->guest.turn = 3;
	(void)epoch;
	(void)is_final;
}

static void live_page__a_reject_is_resent_from_a_staging_copy(void **state)
{
	struct world_opts o = eight_pages(FRAMES | SIM_NOTE_EPOCH);

	(void)state;
	o.live_epochs = 1;
	o.guest.pattern = SIM_HOT; /* page 3, in frame 2 */
	o.guest.write_ns = 5 * XM_US;
	o.dev.dma_ns = 20 * XM_US;
	o.on_epoch = write_hot;
	story(&o, WORLD_SAME,
	      "[     0] guest > harvest 1: 8 pages\n"
	      "[   100] src > send 0-4\n"
	      "[   170] dst > place 0-1\n"
	      "[   170] dst > drop bad_payload_crc 2\n"
	      "[   170] dst > place 3-4\n"
	      "[   220] src > acked below 2, 4 new\n"
	      "[   220] src > lost 2\n"
	      "[   220] src > stage 2\n"
	      "[   220] src > resend 2\n"
	      "[   290] dst > place 2\n"
	      "[   340] src > acked below 5, 1 new\n"
	      "[   340] src > send 5\n"
	      "[   410] dst > place 5\n"
	      "[   410] dst > epoch 1 installed\n"
	      "[   460] src > acked below 6, 1 new\n"
	      "[   560] ctl > epoch 1 is installed\n"
	      "[   560] guest > paused, harvest 2: 1 pages\n"
	      "[   660] src > send 0-1\n"
	      "[   730] dst > place 0-1\n"
	      "[   980] src > acked below 2, 2 new\n"
	      "[   980] src > send 2\n"
	      "[  1050] dst > place 2\n"
	      "[  1050] dst > epoch 2 installed\n"
	      "[  1100] src > acked below 3, 1 new\n"
	      "[  1200] ctl > epoch 2 is installed\n");
}

static void credit__a_stalled_receiver_is_waited_for(void **state)
{
	struct world_opts o = eight_pages(FRAMES | SIM_SHOW(ACK_SENT));

	(void)state;
	o.guest.pages[0] = 32;
	o.credit = 8;
	o.rx_stall[0] = (struct sim_window){ 300 * XM_US, 3 * XM_MS };
	story(&o, WORLD_SAME,
	      "[   100] src > send 0-7\n"
	      "[   150] dst > place 0-7\n"
	      "[   150] dst > ack below 8, credit 8\n"
	      "[   200] src > acked below 8, 8 new\n"
	      "[   200] src > send 8-15\n"
	      "[  1200] src > tail probe 15\n"
	      "[  1200] src > lost 15\n"
	      "[  1200] src > resend 15\n"
	      "[  2900] dst > place 8-15\n"
	      "[  2900] dst > ack below 16, credit 8\n"
	      "[  2950] src > acked below 16, 8 new\n"
	      "[  2950] src > send 16\n"
	      "[  3000] dst > place 16\n"
	      "[  3200] dst > ack below 17, credit 8\n"
	      "[  3250] src > acked below 17, 1 new\n"
	      "[  3250] src > send 17\n"
	      "[  3300] dst > place 17\n"
	      "[  3300] dst > epoch 1 installed\n"
	      "[  3300] dst > ack below 18, credit 8\n"
	      "[  3350] src > acked below 18, 1 new\n");
}

static void ecn__marks_cut_the_window(void **state)
{
	struct world_opts o =
		eight_pages(SIM_SHOW(SEND) | SIM_SHOW(ACK) | SIM_SHOW(CUT));

	(void)state;
	o.guest.pages[0] = 128;
	o.up.pick[o.up.n_picks++] = (struct sim_pick){
		.what = SIM_CE,
		.type = XM_WIRE_DATA,
		.all_seqs = true,
		.from = 1,
		.n = 16,
	};
	story(&o, WORLD_SAME,
	      "[   100] src > send 0-31\n"
	      "[   200] src > acked below 32, 32 new\n"
	      "[   200] src > window 16 frames\n"
	      "[   200] src > send 32-46\n"
	      "[   500] src > acked below 47, 15 new\n"
	      "[   500] src > send 47-62\n"
	      "[   800] src > acked below 63, 16 new\n"
	      "[   800] src > send 63-64\n"
	      "[  1100] src > acked below 65, 2 new\n"
	      "[  1100] src > send 65\n"
	      "[  1200] src > acked below 66, 1 new\n");
}

static void timeout__a_cut_is_survived(void **state)
{
	struct world_opts o = eight_pages(FRAMES);

	(void)state;
	o.live_epochs = 1;
	o.on_epoch = write_all;
	/* from the middle of the second epoch on, both ways */
	o.up.cut[0] = (struct sim_window){ 800 * XM_US, 5 * XM_MS };
	o.down.cut[0] = o.up.cut[0];
	story(&o, WORLD_SAME,
	      "[   100] src > send 0-4\n"
	      "[   150] dst > place 0-4\n"
	      "[   400] src > acked below 5, 5 new\n"
	      "[   400] src > send 5\n"
	      "[   450] dst > place 5\n"
	      "[   450] dst > epoch 1 installed\n"
	      "[   500] src > acked below 6, 1 new\n"
	      "[   700] src > send 0-4\n"
	      "[  1700] src > tail probe 4\n"
	      "[  1700] src > lost 4\n"
	      "[  1700] src > resend 4\n"
	      "[  3700] src > lost 0-4\n"
	      "[  3700] src > timeout at 0, next in 4000 us\n"
	      "[  3700] src > resend 0-3\n"
	      "[  7700] src > lost 0-3\n"
	      "[  7700] src > timeout at 0, next in 8000 us\n"
	      "[  7700] src > stage 4\n"
	      "[  7700] src > resend 4 0\n"
	      "[  7700] src > stage 1\n"
	      "[  7700] src > resend 1\n"
	      "[  7700] src > stage 2\n"
	      "[  7700] src > resend 2\n"
	      "[  7750] dst > place 4 0-2\n"
	      "[  7800] src > acked below 3, 4 new\n"
	      "[  7800] src > stage 3\n"
	      "[  7800] src > resend 3\n"
	      "[  7850] dst > place 3\n"
	      "[  7900] src > acked below 5, 1 new\n"
	      "[  7900] src > send 5\n"
	      "[  7950] dst > place 5\n"
	      "[  7950] dst > epoch 2 installed\n"
	      "[  8000] src > acked below 6, 1 new\n");
}

static void corrupt__a_damaged_payload_is_a_reject(void **state)
{
	struct world_opts o = eight_pages(FRAMES);

	(void)state;
	o.up.pick[o.up.n_picks++] = (struct sim_pick){ .what = SIM_FLIP,
						       .type = XM_WIRE_DATA,
						       .seq = 1 };
	story(&o, WORLD_SAME,
	      "[   100] src > send 0-4\n"
	      "[   100] net > damage data 1\n"
	      "[   150] dst > place 0\n"
	      "[   150] dst > drop bad_payload_crc 1\n"
	      "[   150] dst > place 2-4\n"
	      "[   200] src > acked below 1, 4 new\n"
	      "[   200] src > lost 1\n"
	      "[   200] src > stage 1\n"
	      "[   200] src > resend 1\n"
	      "[   250] dst > place 1\n"
	      "[   300] src > acked below 5, 1 new\n"
	      "[   300] src > send 5\n"
	      "[   350] dst > place 5\n"
	      "[   350] dst > epoch 1 installed\n"
	      "[   400] src > acked below 6, 1 new\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loss__one_frame_is_resent_with_its_number),
		cmocka_unit_test(
			loss__the_last_frames_are_found_by_tail_probes),
		cmocka_unit_test(loss__without_acks_the_timer_doubles),
		cmocka_unit_test(reorder__a_late_original_is_a_duplicate),
		cmocka_unit_test(epoch__a_frame_held_back_is_stale),
		cmocka_unit_test(flush__space_drains_half_and_the_barrier_all),
		cmocka_unit_test(
			live_page__a_reject_is_resent_from_a_staging_copy),
		cmocka_unit_test(credit__a_stalled_receiver_is_waited_for),
		cmocka_unit_test(ecn__marks_cut_the_window),
		cmocka_unit_test(timeout__a_cut_is_survived),
		cmocka_unit_test(corrupt__a_damaged_payload_is_a_reject),
	};

	return cmocka_run_group_tests_name("stories", tests, NULL, NULL);
}
