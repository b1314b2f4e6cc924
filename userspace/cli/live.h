/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live.h - what the source decides between epochs (theory in live.c) */
#ifndef XM_CLI_LIVE_H
#define XM_CLI_LIVE_H

#include "core/converge.h"
#include "guest/guest.h"
#include "side.h"
#include "verify.h"

enum live_state {
	LIVE_START,  /* no epoch yet */
	LIVE_COPY,   /* epochs are sent while the guest runs */
	LIVE_PAUSE,  /* it was asked to pause */
	LIVE_LAST,   /* it is paused: the final epoch */
	LIVE_HELD,   /* its memory is at the target; the user lets us go on */
	LIVE_VERIFY, /* its memory is hashed at both ends */
	LIVE_REPAIR, /* what differed is sent again */
	LIVE_DEVICE, /* its devices' state goes out */
	LIVE_COMMIT, /* it was handed over */
};

/* What the conductor is to do next. */
enum live_next {
	LIVE_WAIT,      /* nothing: for the guest, or for the user */
	LIVE_EPOCH,     /* send live->side->pages */
	LIVE_FINAL,     /* the same; the guest is paused */
	LIVE_COMPARE,   /* hash all memory; then live_compare() */
	LIVE_END,       /* device state is out: say so */
	LIVE_HAND_OVER, /* live_commit(), then COMMIT */
};

/* When things happened; 0: not (yet). */
struct live_times {
	struct xm_time pause;     /* the guest was asked to pause */
	struct xm_time stopped;   /* its virtual CPUs stopped */
	struct xm_time paused;    /* no virtual CPU ran any more */
	struct xm_time harvested; /* what was left was known */
	struct xm_time sent;      /* and acknowledged on every channel */
	struct xm_time installed; /* the target said so */
	struct xm_time let;       /* the user let us go on */
	struct xm_time handed;    /* device state was let go */
	struct xm_time loaded;    /* the target has it */
	struct xm_time taken;     /* the target runs it */
};

/* One epoch, as told to the user. */
struct live_epoch {
	uint32_t epoch;
	uint64_t pages;       /* to be sent, zero pages among them */
	uint64_t dirty_pages; /* written meanwhile */
	uint64_t bytes;       /* that were sent */
	int64_t ns, harvest_ns;
	unsigned int throttle; /* percent, while it was sent */
};

struct live {
	struct side *side;
	const struct cli_send_opts *opts;
	struct guest_source *guest;
	struct xm_converge converge;
	enum live_state state;
	bool may_go_on;  /* 'xdpmig continue' */
	bool is_tracked; /* the guest's writes are logged */
	bool was_asked;  /* to pause, perhaps in the middle of an epoch */
	bool is_paused;  /* and it did */

	uint64_t *dirty[XM_BLOCK_MAX]; /* written and not sent since */
	struct live_epoch now;         /* the one under way */
	struct xm_time epoch_begun;
	uint64_t bytes_before; /* sent in earlier epochs */
	struct live_times at;
	uint32_t epochs;
	uint64_t dirty_pages; /* all harvests */

	struct verify verify; /* with --verify, from the first epoch on */

	uint64_t device_bytes; /* read from the guest */
	uint8_t device[XM_DEVICE_CHUNK];
};

/* Do the options name one guest?  0 or -EINVAL with @e. */
int live_check_opts(const struct cli_send_opts *opts, struct xm_error *e);

/* Open the guest that they name and map its memory. */
int live_open(struct live *l, struct side *side,
	      const struct cli_send_opts *opts, struct xm_error *e);

/* Log its writes from now on: before its memory is scanned. */
int live_track(struct live *l, struct xm_error *e);

/* No epoch is open: what now? */
int live_decide(struct live *l, enum live_next *ret_next, struct xm_error *e);
/* Something happened at the guest: what now? */
int live_turn(struct live *l, enum live_next *ret_next, struct xm_error *e);
/* The user lets it go on.  -EINVAL: it does not wait for that. */
int live_continue(struct live *l, enum live_next *ret_next, struct xm_error *e);

/* Let go of the guest.  Before that it is written down that nobody knows where
 * it runs: from the return on our death brings it back no more. */
int live_commit(struct live *l, struct xm_error *e);

/* An epoch of side->pages begins; is on every channel; is installed. */
void live_epoch_begun(struct live *l, uint32_t epoch);
void live_epoch_sent(struct live *l);
void live_epoch_installed(struct live *l);

/* All hashes are there: the same?  If not, it is told, and what is to be sent
 * again is side->pages. */
bool live_compare(struct live *l);

/* Device state to carry, at most @room bytes, into l->device.  Bytes, or 0:
 * none now. */
ssize_t live_read_device(struct live *l, uint64_t room, struct xm_error *e);

/* What to wait for, when there is room for so many bytes of device state. */
unsigned int live_fds(struct live *l, uint64_t device_room, struct pollfd *fds);

/* It is over, and the guest may run where @home says.  0 or -errno with @e: it
 * could not be resumed here. */
int live_finish(struct live *l, enum xm_home home, struct xm_error *e);
void live_close(struct live *l);

/* -- live_tell.c ------------------------------------------------------------ */

const char *live_state_name(enum live_state state);

/* The event of an epoch that is done. */
void live_tell(const struct live *l);

/* The result's fields. */
void live_report(const struct live *l, json_t *o);
/* What 'xdpmig status' is told. */
json_t *live_status(const struct live *l);

#endif
