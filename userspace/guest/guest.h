/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guest.h - a guest at either end of a migration, whoever runs it
 *
 * A struct guest_source is where a guest runs: a QEMU (source_qemu.c), memory
 * without anybody (source_file.c), or a synthetic one for measurements
 * (source_synth.c).  A struct guest_target is where it shall run.  Both are
 * driven by one thread and never wait long: what takes time is begun, and
 * *_turn() says later that it is done.
 *
 * The order of a source's life:
 *
 *   open -> track -> harvest ... -> pause -> [PAUSED] -> harvest -> hand_over
 *        -> [DEVICE_END] -> commit -> done
 *
 * and from anywhere before done: resume, after which the guest runs as before
 * it was opened.  If this process dies before commit, however it dies, the
 * guest comes back by itself.
 */
#ifndef XM_GUEST_GUEST_H
#define XM_GUEST_GUEST_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/msg.h"
#include "ram.h"
#include "util/error.h"

/* Compared by the destination before the first byte. */
struct guest_identity {
	bool has_device; /* device state follows the memory */
	uint8_t uuid[16];
	char name[64];    /* for people; not compared */
	char machine[64]; /* machine type, "pc-q35-7.2"; "" unknown */
	char version[32]; /* of QEMU; not compared */
	struct {
		char name[XM_BLOCK_NAME];
		uint64_t len;
		uint32_t page_size; /* of the backing, 0 unknown */
	} block[XM_BLOCK_MAX];
	unsigned int n_blocks;
};

/* What happened, as flags. */
#define GUEST_PAUSED     0x01 /* source: no virtual CPU runs, I/O is drained */
#define GUEST_DEVICE_END 0x02 /* source: all device state was read */
#define GUEST_LOADED     0x04 /* target: device state is in, ready to run */
#define GUEST_RUNS       0x08 /* target: it runs (or stays paused, as agreed) */

#define GUEST_FDS_MAX 3

/* What is to be written down of a guest when we cannot do it any more. */
struct guest_note {
	const char *path; /* of the record (util/record.h), absolute */
	const char *text; /* what it says in any case: a JSON object */
	int lock;         /* kept open as long as it may be written; -1: none */
};

struct guest_source;
struct guest_target;

struct guest_source_ops {
	const char *kind; /* "qemu", "file", "synthetic" */
	int (*map)(struct guest_source *s, struct guest_ram *ram,
		   struct xm_error *e);
	int (*track)(struct guest_source *s, struct xm_error *e);
	int (*harvest)(struct guest_source *s, uint64_t *const *dirty,
		       uint64_t *ret_pages, struct xm_error *e);
	int (*pause)(struct guest_source *s, struct xm_error *e);
	int (*hand_over)(struct guest_source *s, struct xm_error *e);
	ssize_t (*read_device)(struct guest_source *s, void *buf, size_t len,
			       struct xm_error *e);
	int (*commit)(struct guest_source *s, struct xm_error *e);
	void (*done)(struct guest_source *s);
	int (*resume)(struct guest_source *s, struct xm_error *e);
	int (*note)(struct guest_source *s, const struct guest_note *note,
		    struct xm_error *e);
	int (*throttle)(struct guest_source *s, unsigned int percent,
			struct xm_error *e);
	unsigned int (*fds)(struct guest_source *s, struct pollfd *fds);
	int (*turn)(struct guest_source *s, unsigned int *ret_news,
		    struct xm_error *e);
	struct guest_source *(*close)(struct guest_source *s);
};

struct guest_source {
	const struct guest_source_ops *ops;
	struct guest_identity id;
	bool is_live;     /* it may write while we send: harvests matter */
	bool was_running; /* when it was opened: so it shall be at the target */
	bool has_drain;   /* each harvest stops it for a moment (direct I/O) */
	int64_t stopped_ns; /* CLOCK_MONOTONIC, when its virtual CPUs stopped
			     * for the switchover; 0: not known */
	int64_t drain_ns;   /* spent so, all harvests */
	int64_t harvest_ns; /* in all harvests, drains included */
	bool is_back;       /* resume() saw that it is as it was, whatever else
			     * failed */
	pid_t guardian;     /* resume() failed, and left the guest to this
			     * process, which goes on trying, and writes the
			     * record; 0: to nobody */
	bool is_choked; /* the driver's: device state cannot be taken now, so
			 * its descriptor is not waited for */
	bool is_others; /* a QEMU that runs as another user than we */
};

/* Find out what the kernel can do: for who is not root, before keys are read, which
 * shuts this process's own /proc. */
void guest_source_learn(void);

/* A running QEMU whose monitor is at @socket. */
int guest_source_qemu(struct guest_source **ret_s, const char *socket,
		      struct xm_error *e);
/* Memory that nobody writes: file @path, called block @name. */
int guest_source_file(struct guest_source **ret_s, const char *path,
		      const char *name, struct xm_error *e);
/* @len bytes of shared memory and a process that writes @rate bytes a second
 * of them: see guest_synth_parse(). */
struct guest_synth {
	uint64_t len;  /* bytes */
	uint64_t rate; /* bytes a second, 0 none */
	enum {
		GUEST_SYNTH_RANDOM,
		GUEST_SYNTH_SEQUENTIAL,
		GUEST_SYNTH_HOT
	} pattern;
};
/* "SIZE[,RATE[,PATTERN]]": "2G,50M,random".  A size in powers of 1024, a rate
 * in powers of 1000; without them nothing is written, at random.  0 or -EINVAL
 * with @e. */
int guest_synth_parse(struct guest_synth *ret_opts, const char *text,
		      struct xm_error *e);
/* Its memory is full and it runs when this returns: about a second per 2 GiB. */
int guest_source_synth(struct guest_source **ret_s,
		       const struct guest_synth *opts, struct xm_error *e);
/* Bytes a synthetic guest has written so far: its work. */
uint64_t guest_synth_written(const struct guest_source *s);
pid_t guest_synth_pid(const struct guest_source *s); /* 0 when it has ended */

/* -- a source's verbs (all but close may be left out by a kind: then 0) ----- */

/* Map its memory into @ram (read-only), which the caller closes first. */
int guest_source_map(struct guest_source *s, struct guest_ram *ram,
		     struct xm_error *e);
/* Log writes.  From the return on, a page that is written is reported by a
 * harvest that begins later. */
int guest_source_track(struct guest_source *s, struct xm_error *e);
/* Pages written since track() or the last harvest: their bits are set in
 * @dirty (per block; bits of pages not written are left alone).  @ret_pages:
 * how many the log reported.  Must be complete before any of them is posted. */
int guest_source_harvest(struct guest_source *s, uint64_t *const *dirty,
			 uint64_t *ret_pages, struct xm_error *e);
/* Ask it to stop for the switchover; GUEST_PAUSED comes when it did. */
int guest_source_pause(struct guest_source *s, struct xm_error *e);
/* All memory is at the target: let the devices' state out; DEVICE_END comes
 * when it is out.  It may begin to flow before: from pause() on. */
int guest_source_hand_over(struct guest_source *s, struct xm_error *e);
/* Device state: bytes read, -EAGAIN: none now; 0: end, or -errno with @e. */
ssize_t guest_source_read_device(struct guest_source *s, void *buf, size_t len,
				 struct xm_error *e);
/* COMMIT will be sent after this returns 0: nothing resumes the guest now,
 * not even our death, but resume() when the target says it did not take it. */
int guest_source_commit(struct guest_source *s, struct xm_error *e);
/* The target has it.  The guest here stays paused. */
void guest_source_done(struct guest_source *s);
/* Back to how it was before open(); idempotent.  0 or -errno with @e: then
 * is_back and guardian say more. */
int guest_source_resume(struct guest_source *s, struct xm_error *e);
/* If we die from now on, this is written down with what becomes of it; in
 * place of the note before.  0 or -errno with @e. */
int guest_source_note(struct guest_source *s, const struct guest_note *note,
		      struct xm_error *e);
/* Take @percent (0..99) of the virtual CPUs' time away. */
int guest_source_throttle(struct guest_source *s, unsigned int percent,
			  struct xm_error *e);
/* What to wait for; returns how many, at most GUEST_FDS_MAX. */
unsigned int guest_source_fds(struct guest_source *s, struct pollfd *fds);
/* Look what happened; without waiting.  0 with @ret_news (flags above), or
 * -errno with @e: the guest is gone, or QEMU failed to do what was begun. */
int guest_source_turn(struct guest_source *s, unsigned int *ret_news,
		      struct xm_error *e);
/* If neither done nor resumed: resumes first.  Frees.  NULL is fine. */
struct guest_source *guest_source_close(struct guest_source *s);

/* -- a target ------------------------------------------------------------------- */

struct guest_target_ops {
	const char *kind;
	int (*make)(struct guest_target *t, const struct guest_identity *want,
		    struct guest_ram *ram, struct xm_error *e);
	int (*begin)(struct guest_target *t, struct xm_error *e);
	ssize_t (*write_device)(struct guest_target *t, const void *buf,
				size_t len, struct xm_error *e);
	int (*end_device)(struct guest_target *t, struct xm_error *e);
	int (*run)(struct guest_target *t, bool paused, struct xm_error *e);
	void (*abandon)(struct guest_target *t);
	unsigned int (*fds)(struct guest_target *t, struct pollfd *fds);
	int (*turn)(struct guest_target *t, unsigned int *ret_news,
		    struct xm_error *e);
	struct guest_target *(*close)(struct guest_target *t);
};

struct guest_target {
	const struct guest_target_ops *ops;
	struct guest_identity id; /* of a QEMU; else zero */
	bool has_backlog; /* the driver's: there is device state to write, so
			   * its descriptor is waited for (POLLOUT) */
	bool is_others;   /* a QEMU that runs as another user than we */
};

/* A QEMU that waits with -incoming defer, its monitor at @socket. */
int guest_target_qemu(struct guest_target **ret_t, const char *socket,
		      struct xm_error *e);
/* A file of shared memory, made or checked when the guest is known
 * (guest_ram_create()); until then guest_ram_check_path() must be content. */
int guest_target_file(struct guest_target **ret_t, const char *path,
		      struct xm_error *e);
/* Memory @fd, a memfd of the caller's, that gets the size of what comes; @label is
 * for messages, at most 255 bytes. */
int guest_target_lent(struct guest_target **ret_t, const char *label, int fd,
		      struct xm_error *e);

/* Is @want what can be taken here?  Compares UUID, machine type, blocks and
 * page sizes; fills @ram, which the caller closes or discards.  0, or -errno
 * with @e (XM_REASON_REFUSED names what differs). */
int guest_target_make(struct guest_target *t, const struct guest_identity *want,
		      struct guest_ram *ram, struct xm_error *e);
/* Get ready for device state; the guest will not run before run(). */
int guest_target_begin(struct guest_target *t, struct xm_error *e);
/* Bytes taken, -EAGAIN: none now; or -errno with @e. */
ssize_t guest_target_write_device(struct guest_target *t, const void *buf,
				  size_t len, struct xm_error *e);
/* That was all of it; GUEST_LOADED comes when QEMU has it. */
int guest_target_end_device(struct guest_target *t, struct xm_error *e);
/* The guest is ours: let it run (@paused: leave it as it is).  GUEST_RUNS
 * comes when it does: until then it is tried, as long as its process lives.
 * After a failure, here or in a turn() later, it certainly does not run here,
 * unless it is -EINPROGRESS: nobody can say. */
int guest_target_run(struct guest_target *t, bool paused, struct xm_error *e);
/* The migration failed: this guest must never run with what it has.  A QEMU
 * that was given device state quits; one that was not goes on waiting. */
void guest_target_abandon(struct guest_target *t);
unsigned int guest_target_fds(struct guest_target *t, struct pollfd *fds);
int guest_target_turn(struct guest_target *t, unsigned int *ret_news,
		      struct xm_error *e);
struct guest_target *guest_target_close(struct guest_target *t);

#endif
