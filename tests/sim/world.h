/* SPDX-License-Identifier: GPL-2.0-or-later */
/* world.h - two hosts, a network and a guest, in one process and from one seed
 *
 *   guest -> src[i] -> dev[i] --+                      +-> dst[i] -> guest copy
 *    dirty    core tx   TX ring  \  up: nodes of net.h /    fill ring, core rx
 *    log                          +-------------------+
 *            src[i] <---------------- down <--------------- dst[i]  ACKs
 *
 *   session src <------- ctl.h: a stream that can be cut ------> session dst
 *
 * Every channel is a real sender and a real receiver of the core, and both
 * session machines are real; what is simulated is what the core is given:
 * time, memory, devices, wire, and the conductor that cli/ is.
 *
 * The world conducts as the program does: prove the paths, harvest, push by
 * channel, flush(N/2) when a ring is full (or the other drains), then flush(0), SYNC, flush(0) on
 * every channel, compare the totals, next epoch; the last one with the guest
 * paused; then the guest is handed over.  After every step the invariants of
 * whatever was touched are checked, and that the guest runs in one place at
 * most.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "core/converge.h"
#include "core/dst.h"
#include "core/probe.h"
#include "core/rx.h"
#include "core/src.h"
#include "core/tx.h"

#include "cipher.h"
#include "ctl.h"
#include "dev.h"
#include "device.h"
#include "fault.h"
#include "guest.h"
#include "log.h"
#include "net.h"
#include "verify.h"

/* One direction of the network, from the sender on; what is 0 is left out. */
struct sim_path_opts {
	struct sim_pick pick[SIM_PICKS_MAX];
	unsigned int n_picks;
	uint32_t loss_ppm, dup_ppm, corrupt_ppm, reorder_ppm;
	struct sim_gilbert gilbert;
	int64_t reorder_ns; /* at most, also of a duplicate's way */
	struct sim_window cut[SIM_WINDOWS_MAX];
	uint64_t rate, queue, ecn; /* see sim_rate() */
	unsigned int narrow;       /* see sim_narrow() */
	int64_t delay_ns;
	int64_t longer_ns, longer_at_ns; /* see sim_reroute() */
};

struct world;

struct world_opts {
	uint64_t seed;
	unsigned int n_channels;
	unsigned int mtu;
	unsigned int max_pages; /* a frame; 0 = as many as fit */
	bool ipv6;
	uint16_t vlan; /* 0 = untagged */
	uint32_t n_slots;
	enum xm_drain drain;
	unsigned int packet_pages; /* at most, in a packet */
	uint32_t credit;
	unsigned int rx_frames; /* the fill ring really has; 0 = credit */
	int64_t rx_ns;          /* the receiver takes for a frame */
	unsigned int rx_batch;
	struct sim_window rx_stall[SIM_WINDOWS_MAX]; /* it does nothing */
	int64_t rx_late_min_ns, rx_late_max_ns; /* its thread wakes up late */
	int64_t stall_ns;
	uint64_t rate; /* of each channel's --bandwidth */
	enum sim_keys keys;
	uint64_t count; /* of each end's first transmission: keys change soon */
	struct sim_dev_opts dev;
	struct sim_guest_opts guest;
	struct sim_path_opts up, down;
	struct sim_device_opts device;
	struct sim_verify_opts verify;
	uint32_t live_epochs; /* before the guest is paused, */
	bool converges;       /* or core/converge.c decides when that is */
	struct xm_converge_opts converge;
	bool probe; /* prove the paths first; else they are */
	bool rss;   /* no steering rules: a hash of the ports decides */
	struct sim_ctl_opts ctl;
	int64_t take_ns;  /* the destination takes so long to start the guest */
	bool take_fails;  /* and then cannot */
	int64_t limit_ns; /* virtual time the run may take */
	bool unchecked;   /* no invariants after each step: for large rings */
	uint32_t show;    /* SIM_SHOW() bits, for golden traces */

	/* called when an epoch's harvest is about to be made */
	void (*on_epoch)(struct world *w, uint32_t epoch, bool is_final);

	/* rules of the protocol, broken on purpose */
	bool clear_late;  /* 1: dirty bits are cleared after posting */
	bool forget;      /* 2: in the end it is forgotten what was installed */
	bool never_close; /* 3: receivers stay open between epochs */
	bool sum_pinned;  /* 4: the sum is made of what the device pinned */
	int64_t tell_late_ns; /* 3: EPOCH_READY is said before receivers know */
	bool never_stage;     /* live pages: always zero-copy */
	bool complete_early;  /* release: completions come at posting */
};

enum world_verdict {
	WORLD_SAME,    /* migrated, all memory is there, every check held */
	WORLD_BROKEN,  /* an invariant does not hold */
	WORLD_TOTALS,  /* the barrier's totals do not match */
	WORLD_RAM,     /* memory differs */
	WORLD_TOUCHED, /* a page that had to stay a hole was touched */
	WORLD_ENDED,   /* the sessions ended otherwise: see their outcomes */
	WORLD_STUCK,   /* the time limit passed, or nothing happens any more */
};

enum src_step {
	SRC_IDLE,
	SRC_PAGES, /* pushing packets */
	SRC_DRAIN, /* flush(0) before SYNC */
	SRC_SYNC,  /* flush(0) after SYNC */
	SRC_DONE,
};

struct sim_page {
	unsigned int block;
	uint32_t page;
};

/* A channel's path being proven, at one side. */
struct sim_prober {
	struct xm_probe probe;
	bool is_on;
};

struct sim_src {
	struct sim_node node;
	struct world *w;
	unsigned int idx;
	struct xm_tx *tx;
	void *mem;
	uint8_t *hdr_ring;
	struct sim_side side;
	struct sim_dev dev;
	struct sim_prober prober;
	struct xm_seal seal;
	struct sim_cipher cipher;
	struct xm_path path;
	enum src_step step;
	struct sim_page *page; /* of this epoch, guest.n_pages entries */
	uint32_t n_pages, next_page;
	bool wants_space;                     /* a push met a full ring */
	bool has_copied;                      /* since a flush was done */
	uint32_t n_packets, n_normal, n_zero; /* pushed in this epoch */
	bool is_touched;
	struct xm_time begun, done; /* the epoch: its first page, its barrier */
};

struct sim_dst {
	struct sim_node node;
	struct world *w;
	unsigned int idx;
	struct xm_rx *rx;
	void *mem;
	struct sim_side side;
	struct sim_prober prober;
	struct xm_encap_last last;
	struct xm_seal seal;
	struct sim_cipher cipher;
	struct xm_path path;
	struct sim_pkt **ring; /* arrived, not looked at yet */
	unsigned int ring_n, ring_head, ring_cap;
	struct xm_time free_at; /* the receiver is busy, or asleep, until then */
	int64_t late_ns;        /* so late it wakes up for its next timer */
	uint64_t n_overflow;    /* found no free frame in the fill ring */
	bool is_touched;
};

struct world {
	struct sim sim; /* first */
	struct world_opts opts;
	struct sim_log log;
	struct sim_guest guest;
	struct xm_geometry geo;
	struct sim_src *src; /* n_channels */
	struct sim_dst *dst;
	struct sim_node up_end, down_end;
	uint32_t n_cuts;     /* of all channels: see xm_tx_couple() */
	struct xm_time wire; /* of all devices: free from then on */

	/* sessions and their conductor (conduct.c) */
	struct xm_src ses_src;
	struct xm_dst ses_dst;
	struct sim_side ses_side[2];
	struct sim_ctl ctl;
	struct sim_node src_clock, dst_clock, teller, taker;
	struct xm_time tell_at, take_at;
	bool src_is_proven, dst_is_proven;
	bool dst_runs; /* the guest, at the destination */
	struct sim_phase phase;
	uint32_t epoch; /* harvested last */
	bool is_final;
	struct sim_device device;
	struct sim_verify verify;
	struct xm_converge converge;
	struct xm_time epoch_at; /* when the harvest was made */
	uint64_t epoch_bytes;    /* sent until then */
	uint32_t epoch_pages;

	uint64_t n_unsteered; /* packets for nobody here */
	void *other;          /* who uses the network, too (cubic.h) */
	enum world_verdict verdict;
	char why[200];
};

/* What most tests want: one channel, MTU 9000, a clean wire of 50 us. */
struct world_opts world_defaults(void);

void world_init(struct world *w, const struct world_opts *opts);
void world_fini(struct world *w);

/* Migrate.  Ends when both sessions are over; memory is compared when the
 * destination is about to take the guest. */
enum world_verdict world_run(struct world *w);

/* Let everything arrive that is still on its way. */
void world_drain(struct world *w);

/* Sums over the channels. */
struct xm_tx_stats world_tx_stats(struct world *w);
struct xm_rx_stats world_rx_stats(const struct world *w);

/* -- between world.c, conduct.c and the channels ------------------------------------ */

__attribute__((format(printf, 3, 4))) void
world_fail(struct world *w, enum world_verdict v, const char *fmt, ...);

/* Compare the guest's memory; world_fail() when it differs. */
void world_compare(struct world *w);

/* What the sender announced against what the receiver has. */
void world_check_totals(struct world *w);

void conduct_init(struct world *w);
void conduct_start(struct world *w);
void conduct_settle(struct world *w); /* between two steps of the loop */
bool conduct_is_over(const struct world *w);
void conduct_cancel_src(struct world *w, enum xm_reason reason,
			const char *text);
void conduct_cancel_dst(struct world *w, enum xm_reason reason,
			const char *text);
void conduct_src_event(struct world *w, const struct xm_event *ev);
/* An event of a side's conductor, with what it brings. */
void conduct_src_msg(struct world *w, enum xm_event_kind kind,
		     const struct xm_msg *msg);
void conduct_dst_msg(struct world *w, enum xm_event_kind kind,
		     const struct xm_msg *msg);
void conduct_deliver(struct world *w, enum sim_ctl_end end,
		     const struct xm_msg *msg); /* NULL: contact is lost */
void conduct_cancel(struct world *w, enum sim_ctl_end end); /* by the user */

void prober_init(struct sim_prober *p, const struct world *w, unsigned int idx,
		 struct xm_seal *seal);
void prober_fill(struct sim_prober *p, struct world *w, struct xm_path *path,
		 struct sim_node *wire);
void prober_packet(struct sim_prober *p, struct world *w,
		   const struct xm_encap *e, const struct xm_frame *f,
		   const void *payload);
struct xm_time prober_expiry(const struct sim_prober *p, struct xm_time now);

void src_init(struct sim_src *c, struct world *w, unsigned int idx,
	      struct sim_node *wire);
void src_fini(struct sim_src *c);
void src_begin(struct sim_src *c, uint32_t epoch); /* with guest.harvest */
void src_packet(struct sim_src *c, struct sim_pkt *p);
bool src_check(struct sim_src *c);
void src_stop(struct sim_src *c); /* send nothing any more */

void dst_init(struct sim_dst *d, struct world *w, unsigned int idx,
	      struct sim_node *wire);
void dst_fini(struct sim_dst *d);
void dst_epoch(struct sim_dst *d, uint32_t epoch);
void dst_close(struct sim_dst *d);
void dst_packet(struct sim_dst *d, struct sim_pkt *p);
bool dst_check(struct sim_dst *d);

#endif
