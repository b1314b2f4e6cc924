/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_pair.h - two channels over a veth pair, and frames from one to the other
 *
 *   guest memfd --- channel a == t_va - t_vb == channel b --- checked here
 *                   sender                      receiver
 *
 * Both are as the planner says.  A frame is 64 bytes of header (its
 * number, its first page, how many) and then pages, whose content tells which
 * page they are.  With the queueing discipline pfifo nothing may get lost;
 * the receiver's memory is respected as the protocol does, by credit.
 *
 * What goes wrong fails the test.
 */
#ifndef XM_TESTS_T_PAIR_H
#define XM_TESTS_T_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "xsk/chan.h"

#define T_PAGE      4096u
#define T_GUEST     512u /* pages; the last 64 are a hole */
#define T_POPULATED 448u
#define T_HEAD      64u
#define T_FRAME_MAX 65600u
#define T_FRAMES    6000u /* the most a test sends */

struct t_pair {
	struct xsk_chan *a, *b; /* sender, receiver */
	int map_a, map_b, guest_fd;
	uint64_t *guest;
	unsigned int max_pages; /* a frame can carry */
	uint32_t credit;
	uint32_t sent, received, completed;
	uint32_t lost; /* of those sent */
	uint64_t copied;
	bool staged;   /* send pages as a copy, not by descriptor */
	bool may_drop; /* the device may, as kicks_dropped tells */
	uint8_t seen[T_FRAMES], done[T_FRAMES];
	struct xm_error e;
};

/* Devices (t_va is the sender's) with this MTU, t_va with the queueing discipline @qdisc
 * (NULL: the default), and the channels.  @zc_segs: the sender's frames are those for a
 * card that joins so many pieces without a copy (engine zc-sg), and this kernel is to
 * take them in copy mode; 0: as the planner says of a veth. */
struct t_pair *t_pair_new(unsigned int mtu, const char *qdisc,
			  unsigned int busy_poll_us, unsigned int zc_segs);
void t_pair_free(struct t_pair *t);

/* A frame's header at @dst: its @number, its @first page, how many. */
void t_write_head(void *dst, uint32_t number, uint32_t first,
		  unsigned int pages);
/* Put frame number t->sent.  False when there is no buffer or no room. */
bool t_put(struct t_pair *t, struct xsk_chan *from, unsigned int pages);
/* Put @n frames of two pages or as many as there is room for; nobody receives. */
void t_post(struct t_pair *t, uint32_t n);
void t_kick(struct t_pair *t, struct xsk_chan *at);

/* All pieces of @f in a row, in @buf of T_FRAME_MAX bytes.  Its length. */
uint32_t t_join(const struct xsk_frame *f, uint8_t *buf);
/* Take, and check, what has arrived; what has been completed.  How many. */
unsigned int t_receive(struct t_pair *t, struct xsk_chan *at);
unsigned int t_complete(struct t_pair *t, struct xsk_chan *at);

/* Send until frame number @end, of 0 to @max_pages pages each, and see all of
 * them completed and received. */
void t_transfer(struct t_pair *t, uint32_t end, unsigned int max_pages);

#endif
