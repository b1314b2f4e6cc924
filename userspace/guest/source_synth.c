// SPDX-License-Identifier: GPL-2.0-or-later
/* source_synth.c - a synthetic guest to send, for measurements
 *
 * Its memory is a memfd, and a child process writes it (synth.c).  To the rest
 * of the program it is a guest like a QEMU's: its writes are logged by the same
 * dirty log, its thread is slowed by the same throttle, it is paused and goes
 * on.  Only device state it has none.
 *
 * The child maps the memory where we did before the fork, so its addresses are
 * known; our own mapping goes, and the one to send from is made by
 * guest_ram_open().  It ends when its socket closes or, should something else
 * hold that open, when we die (PR_SET_PDEATHSIG).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dirtylog.h"
#include "guest.h"
#include "news.h"
#include "synth.h"
#include "throttle.h"
#include "util/priv.h"

#define SYNTH_NAME    "synthetic"
#define SYNTH_MAX     (1ull << 42) /* bytes; a typing error above */
#define ANSWER_MS     5000
#define FILL_MS_LEAST 20000 /* and a second more for each 64 MiB */

struct source_synth {
	struct guest_source s; /* first: the ops cast it back */
	struct guest_synth opts;
	struct guest_news news;
	struct dirtylog *log;
	struct throttle throttle;
	struct synth_count *count;
	uint8_t *base; /* in the child */
	int memfd;
	int ctl;
	int pidfd;
	pid_t pid;
	bool is_paused;
	bool is_pausing; /* asked, not answered yet */
};

static struct source_synth *to_synth(struct guest_source *s)
{
	return (struct source_synth *)s;
}

/* -- "2G,50M,random" ---------------------------------------------------------- */

/* A whole number with a unit of @base; moves @text behind it. */
static int parse_number(const char **text, uint64_t base, uint64_t *ret)
{
	static const char units[] = "KMGT";
	const char *unit;
	uint64_t n;
	char *end;
	long i;

	if (**text < '0' || **text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(*text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit)
		end++;
	for (i = unit ? unit - units + 1 : 0; i > 0; i--)
		if (__builtin_mul_overflow(n, base, &n))
			return -EINVAL;
	if (errno || (*end && *end != ','))
		return -EINVAL;
	*ret = n;
	*text = *end ? end + 1 : end;
	return 0;
}

static int parse_pattern(const char *text, struct guest_synth *opts)
{
	if (!strcmp(text, "random"))
		opts->pattern = GUEST_SYNTH_RANDOM;
	else if (!strcmp(text, "sequential"))
		opts->pattern = GUEST_SYNTH_SEQUENTIAL;
	else if (!strcmp(text, "hot"))
		opts->pattern = GUEST_SYNTH_HOT;
	else
		return -EINVAL;
	return 0;
}

int guest_synth_parse(struct guest_synth *ret_opts, const char *text,
		      struct xm_error *e)
{
	struct guest_synth opts = { .pattern = GUEST_SYNTH_RANDOM };
	const char *at = text;
	size_t len = strlen(text);
	int r;

	r = len && text[len - 1] == ',' ? -EINVAL : 0;
	if (!r)
		r = parse_number(&at, 1024, &opts.len);
	if (!r && *at)
		r = parse_number(&at, 1000, &opts.rate);
	if (!r && *at)
		r = parse_pattern(at, &opts);
	if (r)
		return xm_fail(e, r, XM_REASON_USAGE,
			       "synthetic guest \"%s\": want SIZE[,RATE"
			       "[,PATTERN]], such as 2G,50M,random; patterns "
			       "are random, sequential, hot",
			       text);
	if (!opts.len || opts.len % XM_PAGE_SIZE || opts.len > SYNTH_MAX)
		return xm_fail(e, -EINVAL, XM_REASON_USAGE,
			       "synthetic guest \"%s\": a size is a multiple "
			       "of %d bytes, and at most 4T",
			       text, XM_PAGE_SIZE);
	*ret_opts = opts;
	return 0;
}

/* -- its process -------------------------------------------------------------- */

static _Noreturn void child(struct source_synth *y, int ctl, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "xdpmig-guest");
	/* we look into it as into a QEMU, and it has no use for our keys */
	prctl(PR_SET_DUMPABLE, 1);
	if (getppid() != parent)
		_exit(0); /* died before it was asked to tell */
	/* It uses none, and who has fewer may not look into one that has more;
	 * with more than we thought it is no worse a guest. */
	(void)priv_drop(0, NULL);
	/* ^C is for the parent, which then ends this one. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	if (dup2(ctl, 0) < 0)
		_exit(1);
	(void)syscall(SYS_close_range, 1, ~0u, 0); /* what else is open */
	synth_work(0, y->base, &y->opts, y->count);
}

/* The memory, at an address the child will inherit. */
static int synth_memory(struct source_synth *y, struct xm_error *e)
{
	void *p;

	p = mmap(NULL, sizeof(*y->count), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED)
		y->count = p;
	y->memfd = memfd_create("xdpmig-synthetic", MFD_CLOEXEC);
	if (!y->count || y->memfd < 0 ||
	    ftruncate(y->memfd, (off_t)y->opts.len))
		return xm_fail(e, -errno, XM_REASON_MEMORY,
			       "synthetic guest: no memory of %" PRIu64
			       " MiB: %m",
			       y->opts.len >> 20);
	p = mmap(NULL, y->opts.len, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_NORESERVE, y->memfd, 0);
	if (p == MAP_FAILED)
		return xm_fail(e, -errno, XM_REASON_MEMORY,
			       "synthetic guest: cannot map %" PRIu64
			       " MiB: %m",
			       y->opts.len >> 20);
	y->base = p;
	return 0;
}

static int synth_fork(struct source_synth *y, struct xm_error *e)
{
	pid_t parent = getpid();
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return xm_fail(e, -errno, XM_REASON_MEMORY,
			       "synthetic guest: socketpair: %m");
	y->pid = fork();
	if (!y->pid)
		child(y, pair[1], parent);
	close(pair[1]);
	y->ctl = pair[0];
	if (y->pid < 0)
		return xm_fail(e, -errno, XM_REASON_MEMORY,
			       "synthetic guest: fork: %m");
	y->pidfd = pidfd_open(y->pid, 0);
	if (y->pidfd < 0)
		return xm_fail(e, -errno, XM_REASON_MEMORY,
			       "synthetic guest: pidfd_open: %m");
	return 0;
}

static int fail_gone(const struct source_synth *y, struct xm_error *e)
{
	return xm_fail(e, -ESRCH, XM_REASON_MEMORY,
		       "the synthetic guest (process %d) is gone", y->pid);
}

/* Its answer, @answer, within @timeout_ms; others are skipped. */
static int await(struct source_synth *y, char answer, int timeout_ms,
		 struct xm_error *e)
{
	struct pollfd p = { .fd = y->ctl, .events = POLLIN };
	char byte = 0;
	int n;

	while (byte != answer) {
		n = poll(&p, 1, timeout_ms);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return xm_fail(e, -ETIMEDOUT, XM_REASON_MEMORY,
				       "the synthetic guest (process %d) does "
				       "not answer",
				       y->pid);
		if (read(y->ctl, &byte, 1) != 1)
			return fail_gone(y, e);
	}
	return 0;
}

static int tell(struct source_synth *y, char byte, struct xm_error *e)
{
	if (send(y->ctl, &byte, 1, MSG_NOSIGNAL) == 1)
		return 0;
	return fail_gone(y, e);
}

static int ask(struct source_synth *y, char order, char answer,
	       struct xm_error *e)
{
	int r = tell(y, order, e);

	return r ? r : await(y, answer, ANSWER_MS, e);
}

static void synth_end(struct source_synth *y)
{
	throttle_close(&y->throttle);
	y->log = dirtylog_close(y->log);
	y->ctl = fd_close(y->ctl);
	if (y->pid > 0) {
		(void)kill(y->pid, SIGKILL); /* it has nothing to put away */
		(void)waitpid(y->pid, NULL, 0);
	}
	y->pid = 0;
}

/* -- verbs ---------------------------------------------------------------------- */

static int synth_map(struct guest_source *s, struct guest_ram *ram,
		     struct xm_error *e)
{
	struct source_synth *y = to_synth(s);
	const struct guest_lent lent = { .name = SYNTH_NAME,
					 .label = "the synthetic guest",
					 .fd = y->memfd,
					 .len = y->opts.len };

	return guest_ram_open_fd(ram, &lent, e);
}

static int synth_track(struct guest_source *s, struct xm_error *e)
{
	struct source_synth *y = to_synth(s);
	const struct dirtylog_range range = { .addr = (uintptr_t)y->base,
					      .len = y->opts.len,
					      .page_size = XM_PAGE_SIZE };

	return dirtylog_open(&y->log, y->pid, y->pidfd, &range, 1, e);
}

static int synth_harvest(struct guest_source *s, uint64_t *const *dirty,
			 uint64_t *ret_pages, struct xm_error *e)
{
	struct source_synth *y = to_synth(s);
	bool must_stop = dirtylog_needs_stop(y->log) && !y->is_paused;
	int r, r2 = 0;

	/* It is about to stop and may still write; the log forgets nothing. */
	if (must_stop && y->is_pausing)
		return 0;
	r = must_stop ? ask(y, SYNTH_PAUSE, SYNTH_PAUSED, e) : 0;
	if (r)
		return r;
	r = dirtylog_harvest(y->log, dirty, ret_pages, e);
	if (must_stop)
		r2 = ask(y, SYNTH_RUN, SYNTH_RUNS, e);
	return r ? r : r2;
}

static int synth_pause(struct guest_source *s, struct xm_error *e)
{
	struct source_synth *y = to_synth(s);
	int r = throttle_set(&y->throttle, &y->pid, 1, 0, e);

	if (!r)
		r = tell(y, SYNTH_PAUSE, e);
	y->is_pausing = !r;
	return r;
}

static int synth_hand_over(struct guest_source *s, struct xm_error *e)
{
	(void)e; /* it cannot fail */
	news_post(&to_synth(s)->news, GUEST_DEVICE_END);
	return 0;
}

static void synth_done(struct guest_source *s)
{
	synth_end(to_synth(s));
}

static int synth_resume(struct guest_source *s, struct xm_error *e)
{
	struct source_synth *y = to_synth(s);
	int r = 0;

	throttle_close(&y->throttle);
	if (y->is_paused || y->is_pausing)
		r = ask(y, SYNTH_RUN, SYNTH_RUNS, e);
	y->is_paused = y->is_pausing = false;
	y->log = dirtylog_close(y->log);
	return r;
}

static int synth_throttle(struct guest_source *s, unsigned int percent,
			  struct xm_error *e)
{
	struct source_synth *y = to_synth(s);

	return throttle_set(&y->throttle, &y->pid, 1, percent, e);
}

static unsigned int synth_fds(struct guest_source *s, struct pollfd *fds)
{
	struct source_synth *y = to_synth(s);

	fds[0] = news_pollfd(&y->news);
	fds[1] = (struct pollfd){ .fd = y->ctl, .events = POLLIN };
	return 2;
}

static int synth_turn(struct guest_source *s, unsigned int *ret_news,
		      struct xm_error *e)
{
	struct source_synth *y = to_synth(s);
	char byte;
	ssize_t n;

	*ret_news = news_take(&y->news);
	if (y->ctl < 0)
		return 0; /* done */
	n = recv(y->ctl, &byte, 1, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n != 1)
		return fail_gone(y, e);
	if (byte == SYNTH_PAUSED && y->is_pausing) {
		y->is_pausing = false;
		y->is_paused = true;
		*ret_news |= GUEST_PAUSED;
	}
	return 0;
}

static struct guest_source *synth_close(struct guest_source *s)
{
	struct source_synth *y = to_synth(s);

	synth_end(y);
	y->pidfd = fd_close(y->pidfd);
	y->memfd = fd_close(y->memfd);
	news_close(&y->news);
	if (y->count)
		munmap(y->count, sizeof(*y->count));
	free(y);
	return NULL;
}

static const struct guest_source_ops synth_ops = {
	.kind = "synthetic",
	.map = synth_map,
	.track = synth_track,
	.harvest = synth_harvest,
	.pause = synth_pause,
	.hand_over = synth_hand_over,
	.done = synth_done,
	.resume = synth_resume,
	.throttle = synth_throttle,
	.fds = synth_fds,
	.turn = synth_turn,
	.close = synth_close,
};

uint64_t guest_synth_written(const struct guest_source *s)
{
	const struct source_synth *y = (const struct source_synth *)s;

	return __atomic_load_n(&y->count->writes, __ATOMIC_RELAXED) *
	       XM_PAGE_SIZE;
}

pid_t guest_synth_pid(const struct guest_source *s)
{
	return ((const struct source_synth *)s)->pid;
}

int guest_source_synth(struct guest_source **ret_s,
		       const struct guest_synth *opts, struct xm_error *e)
{
	struct source_synth *y = calloc(1, sizeof(*y));
	int r;

	if (!y)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "no memory to describe a synthetic guest");
	y->s.ops = &synth_ops;
	y->s.is_live = opts->rate > 0;
	y->s.was_running = true;
	y->opts = *opts;
	y->memfd = y->ctl = y->pidfd = y->news.fd = -1;
	strcpy(y->s.id.name, SYNTH_NAME);
	strcpy(y->s.id.block[0].name, SYNTH_NAME);
	y->s.id.block[0].len = opts->len;
	y->s.id.block[0].page_size = XM_PAGE_SIZE;
	y->s.id.n_blocks = 1;
	r = news_open(&y->news, e);
	if (!r)
		r = synth_memory(y, e);
	if (!r) {
		r = synth_fork(y, e);
		munmap(y->base, opts->len); /* now it is the child's */
	}
	if (!r)
		r = await(y, SYNTH_READY,
			  FILL_MS_LEAST + (int)(opts->len >> 26) * 1000, e);
	if (r) {
		synth_close(&y->s);
		return r;
	}
	*ret_s = &y->s;
	return 0;
}
