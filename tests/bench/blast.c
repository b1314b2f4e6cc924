// SPDX-License-Identifier: GPL-2.0-or-later
/* blast.c - the ceiling: AF_XDP at full speed, without a protocol
 *
 *   blast recv --queues N [--threads T] [--progress FILE]
 *              [--install --ram FILE] DEV
 *   blast send --queues N [--threads T] [--progress FILE] [--seconds S]
 *              [--install] --ram FILE DEV PEER
 *
 * What xdpmig could reach if acknowledging, pacing, checksums and the copy
 * into guest memory cost nothing: the same device driver (xsk/chan.h), the
 * same XDP program, engine, rings and buffers, and the same frames (a header
 * and whole pages by descriptor), sent as fast as the kernel takes them.
 * Nothing is acknowledged, so much may be lost; what counts is what the
 * receivers get.
 *
 * --install, on both sides, adds what no migration can leave out: the pages are
 * looked at and summed, and copied into guest memory while their sum is checked
 * (install.c), in turns as long as the pump's.  What counts then is what was
 * installed with the right sum; recv's FILE must be as long as send's.
 *
 * --progress, on both sides, keeps the sender from sending what would only be
 * lost, at no cost (progress.c).
 *
 * recv attaches the XDP program and detaches it at the end; it prints "ready",
 * counts until SIGINT or SIGTERM, and then prints one line of JSON, with
 * rates between its first and its last frame.  send prints the same for what
 * it handed to the kernel.  Only payload counts: bytes of guest pages.  CPU
 * time is that of the threads' run, without setup.
 *
 * A measuring tool, not a test.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cli/pump.h" /* the length of a turn */
#include "core/crc32c.h"
#include "core/encap.h"
#include "core/frame.h"
#include "core/geometry.h"
#include "guest/ram.h"
#include "install.h"
#include "progress.h"
#include "xsk/plan.h"
#include "xsk/route.h"
#include "xsk/steer.h"

#define BATCH  64
#define COOKIE 0x626c617374ULL

#define INSTALL_RX_BATCH PUMP_BATCH /* as pump_receive() lends them */

struct lane {
	struct xsk_chan *chan;
	unsigned int queue;
	uint8_t prefix[XSK_BUF_LEN]; /* headers of every frame of this lane */
	size_t prefix_len;
	struct xm_path path;   /* --install makes them anew for each frame */
	struct xm_frame frame; /* from these */
	struct window window;
	uint64_t first, next,
		end; /* bytes of guest memory: this lane's slice */
	uint64_t frames, bytes, polls, rejected;
	int64_t first_ns, last_ns;
};

struct worker {
	pthread_t thread;
	unsigned int index;
};

static struct {
	const char *dev, *peer, *ram_path, *progress_path;
	unsigned int n_queues, n_threads, seconds;
	bool installs;
	unsigned int batch; /* frames between two looks at a ring */
	struct xsk_caps caps;
	struct xsk_plan plan;
	struct xm_geometry geo;
	struct route route;
	struct guest_ram ram;
	struct progress *progress; /* one for each lane; NULL without */
	struct steer steer;
	struct lane lane[XM_CHAN_MAX];
	struct worker worker[XM_CHAN_MAX];
	struct xm_error e;
} b;

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "blast: %s: %s\n", what,
		b.e.err ? b.e.msg : strerror(errno));
	exit(1);
}

/* -- both sides --------------------------------------------------------------- */

static void make_plan(bool is_sender, unsigned int ip_max)
{
	struct xsk_wish wish = {
		.zero_copy = XSK_ZERO_COPY_PREFER,
		.is_sender = is_sender,
		.n_channels = b.n_queues,
		.in_flight = XM_IN_FLIGHT,
		.rx_memory = XM_RX_MEMORY,
		.ip_max = ip_max,
		.is_native = true,
	};

	if (is_sender)
		wish.slice_max = b.ram.map.block[0].len / b.n_queues;
	if (xsk_plan_make(&b.plan, &b.caps, &wish, &b.e))
		die("plan");
}

static void open_lane(unsigned int i, const struct xsk_extent *extent)
{
	struct xsk_chan_opts opts = b.plan.opts;

	opts.ifname = b.dev;
	opts.ifindex = b.caps.ifindex;
	opts.queue = i;
	opts.extents = extent;
	opts.n_extents = extent ? 1 : 0;
	b.lane[i].queue = i;
	if (xsk_chan_open(&b.lane[i].chan, &opts, &b.e))
		die("open channel");
}

static void run_workers(void *(*serve)(void *arg))
{
	unsigned int i;

	for (i = 0; i < b.n_threads; i++) {
		b.worker[i].index = i;
		errno = pthread_create(&b.worker[i].thread, NULL, serve,
				       &b.worker[i]);
		if (errno)
			die("thread");
	}
	for (i = 0; i < b.n_threads; i++)
		pthread_join(b.worker[i].thread, NULL);
}

static double cpu_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static void report(const char *role, double cpu)
{
	int64_t first = INT64_MAX, last = 0;
	uint64_t frames = 0, bytes = 0, syscalls = 0, rejected = 0;
	struct xsk_stats st;
	double seconds;
	unsigned int i;

	for (i = 0; i < b.n_queues; i++) {
		xsk_chan_stats(b.lane[i].chan, &st);
		frames += b.lane[i].frames;
		bytes += b.lane[i].bytes;
		rejected += b.lane[i].rejected;
		syscalls += st.syscalls + b.lane[i].polls;
		if (!b.lane[i].frames)
			continue;
		if (b.lane[i].first_ns < first)
			first = b.lane[i].first_ns;
		if (b.lane[i].last_ns > last)
			last = b.lane[i].last_ns;
	}
	seconds = frames ? (double)(last - first) / 1e9 : 0;
	printf("{\"role\":\"%s\",\"engine\":\"%s\",\"channels\":%u,"
	       "\"threads\":%u,\"payload_per_frame\":%u,\"frames\":%" PRIu64
	       ",\"bytes\":%" PRIu64 ",\"total_ms\":%.0f,\"gbit_per_s\":%.2f,"
	       "\"cpu_ms\":%.0f,\"syscalls\":%" PRIu64 ",\"rejected\":%" PRIu64
	       "}\n",
	       role, xsk_engine_name(b.plan.opts.engine), b.n_queues,
	       b.n_threads, xm_geometry_payload(&b.geo), frames, bytes,
	       seconds * 1e3,
	       seconds > 0 ? (double)bytes * 8 / seconds / 1e9 : 0, cpu,
	       syscalls, rejected);
}

/* -- recv ----------------------------------------------------------------------- */

static void take_frames(struct lane *l, const struct xsk_frame *f,
			unsigned int n, size_t overhead)
{
	uint32_t len = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (b.installs &&
		    install_take(&f[i], &b.ram.map, COOKIE, l->queue, &len))
			l->rejected++;
		else if (b.installs)
			l->bytes += len;
		else
			l->bytes += f[i].len > overhead ? f[i].len - overhead :
							  0;
	}
	l->last_ns = now_ns();
	if (!l->frames)
		l->first_ns = l->last_ns;
	l->frames += n;
}

/* Bytes of a DATA frame that are not payload; all have the same shape. */
static size_t frame_overhead(void)
{
	unsigned int n_segs = b.geo.pages ? b.geo.pages : 1;

	/* Ethernet, IPv4 and UDP, frame header, segment table */
	return 14 + 20 + 8 + XM_WIRE_HEADER_MIN +
	       n_segs * sizeof(struct xm_wire_seg);
}

static void *serve_recv(void *arg)
{
	const struct worker *w = arg;
	struct pollfd pfd[XM_CHAN_MAX];
	struct xsk_frame *frames = calloc(BATCH, sizeof(*frames));
	size_t overhead = frame_overhead();
	unsigned int i, n, got, n_fds = 0;

	if (!frames)
		die("memory");
	for (i = w->index; i < b.n_queues; i += b.n_threads)
		pfd[n_fds++] =
			(struct pollfd){ .fd = xsk_chan_fd(b.lane[i].chan),
					 .events = POLLIN };
	while (!stopped) {
		got = 0;
		for (i = w->index; i < b.n_queues; i += b.n_threads) {
			n = xsk_rx(b.lane[i].chan, frames, b.batch);
			if (n)
				take_frames(&b.lane[i], frames, n, overhead);
			xsk_rx_done(b.lane[i].chan);
			if (b.progress && n)
				atomic_fetch_add_explicit(&b.progress[i].got, n,
							  memory_order_release);
			got += n;
		}
		if (!got) {
			poll(pfd, n_fds, 100);
			b.lane[w->index].polls++;
		}
	}
	free(frames);
	return NULL;
}

static void run_recv(void)
{
	struct steer_info info;
	struct xm_steer_slot slot;
	unsigned int i;
	double cpu;

	if (b.installs && install_open(&b.ram, b.ram_path, &b.e))
		die("memory");
	b.batch = b.installs ? INSTALL_RX_BATCH : BATCH;
	if (steer_attach(&info, b.dev, STEER_AUTO, 0, b.n_queues, &b.e) ||
	    steer_open(&b.steer, b.dev, &b.e))
		die("attach");
	make_plan(false, b.caps.mtu);
	if (xm_geometry_fit(&b.geo, b.plan.ip_max, 20,
			    b.plan.opts.max_descs - 1))
		die("MTU");
	for (i = 0; i < b.n_queues; i++) {
		open_lane(i, NULL);
		if (b.progress)
			b.progress[i].credit = xsk_rx_credit(
				b.lane[i].chan, b.plan.ip_max + 14);
		slot = (struct xm_steer_slot){
			.cookie = htobe64(COOKIE),
			.dport = htobe16((uint16_t)(XM_PORT_DATA + i)),
			.channel = (uint16_t)i,
		};
		if (steer_live(&b.steer, i, &slot, xsk_chan_fd(b.lane[i].chan),
			       &b.e))
			die("steer");
	}
	printf("ready\n");
	fflush(stdout);
	cpu = cpu_ms();
	run_workers(serve_recv);
	report("recv", cpu_ms() - cpu);
	for (i = 0; i < b.n_queues; i++) {
		steer_unlive(&b.steer, i);
		xsk_chan_close(b.lane[i].chan);
	}
	steer_close(&b.steer);
	guest_ram_close(&b.ram);
	if (steer_detach(b.dev, false, &b.e))
		die("detach");
}

/* -- send ----------------------------------------------------------------------- */

/* Everything in front of the payload but the offsets. */
static void make_prefix(struct lane *l)
{
	struct xm_path path = b.route.path;
	struct xm_frame f = {
		.type = XM_WIRE_DATA,
		.channel = (uint8_t)l->queue,
		.cookie = COOKIE,
		.epoch = 1,
		.n_segs = (uint8_t)b.geo.pages,
		.seg_len = XM_PAGE_SIZE,
		.len = (uint16_t)xm_geometry_payload(&b.geo),
	};
	size_t len;

	path.sport = (uint16_t)(XM_PORT_DATA + l->queue);
	path.dport = path.sport;
	l->path = path;
	l->frame = f;
	len = xm_encap_len(&path);
	l->prefix_len = len + xm_frame_put(l->prefix + len, &f);
	xm_encap_put(l->prefix, &path,
		     l->prefix_len - len + xm_geometry_payload(&b.geo));
}

/* Put in front of the pages at @offset what belongs there.  Returns its length. */
static size_t put_head(struct lane *l, void *dst, const uint64_t *offset)
{
	unsigned int i;
	size_t len;

	if (!b.installs) {
		memcpy(dst, l->prefix, l->prefix_len);
		return l->prefix_len;
	}
	for (i = 0; i < b.geo.pages; i++)
		l->frame.seg[i] = offset[i];
	len = install_put(dst, &l->path, &l->frame, &b.ram.map, &b.e);
	if (!len)
		die(b.ram_path);
	return len;
}

/* Post up to a batch of frames; false when there was room for none. */
static bool send_batch(struct lane *l)
{
	struct xsk_seg seg[XM_FRAME_SEGS];
	uint64_t offset[XM_FRAME_SEGS];
	struct xsk_buf buf;
	uint64_t room = window_room(&l->window, now_ns());
	unsigned int i, n;
	size_t len;

	if (room > b.batch)
		room = b.batch;
	for (n = 0; n < room && xsk_tx_get(l->chan, false, &buf); n++) {
		for (i = 0; i < b.geo.pages; i++) {
			offset[i] = l->next;
			l->next += XM_PAGE_SIZE;
			if (l->next == l->end)
				l->next = l->first;
		}
		len = put_head(l, buf.data, offset);
		if (!xsk_seg_guest(l->chan, 0, offset, b.geo.pages,
				   XM_PAGE_SIZE, seg) ||
		    xsk_tx_put(l->chan, &buf, (uint32_t)len, seg, b.geo.pages,
			       xm_geometry_payload(&b.geo), 0))
			die("put");
	}
	l->window.posted += n;
	return n > 0;
}

static void *serve_send(void *arg)
{
	const struct worker *w = arg;
	int64_t start = now_ns(), end = start + b.seconds * 1000000000LL;
	struct xsk_done done[BATCH];
	struct xm_error e = { .err = 0 };
	struct lane *l;
	bool moved;
	unsigned int i;
	int n;

	while (!stopped && now_ns() < end) {
		moved = false;
		for (i = w->index; i < b.n_queues; i += b.n_threads) {
			l = &b.lane[i];
			while ((n = xsk_tx_reap(l->chan, done, BATCH, &e)) >
			       0) {
				l->frames += (unsigned int)n;
				moved = true;
			}
			moved |= send_batch(l);
			if (n < 0 || xsk_tx_kick(l->chan, &e)) {
				fprintf(stderr, "blast: send: %s\n", e.msg);
				exit(1);
			}
		}
		if (!moved && b.progress)
			usleep(20); /* the receivers have work for longer */
		else if (!moved)
			sched_yield();
	}
	for (i = w->index; i < b.n_queues; i += b.n_threads) {
		b.lane[i].first_ns = start;
		b.lane[i].last_ns = now_ns();
		b.lane[i].bytes =
			b.lane[i].frames * xm_geometry_payload(&b.geo);
	}
	return NULL;
}

static int check_populated(void *arg, uint64_t offset, uint64_t len)
{
	*(uint64_t *)arg += len;
	return offset ? 1 : 0;
}

static void open_source(void)
{
	struct sockaddr_in peer = { .sin_family = AF_INET };
	uint64_t populated = 0;

	if (inet_pton(AF_INET, b.peer, &peer.sin_addr) != 1) {
		fprintf(stderr, "blast: %s: not an IPv4 address\n", b.peer);
		exit(2);
	}
	if (guest_ram_open(&b.ram, b.ram_path, "ram0", &b.e))
		die("memory");
	if (guest_ram_extents(&b.ram, 0, check_populated, &populated, &b.e) ||
	    populated != b.ram.map.block[0].len) {
		fprintf(stderr, "blast: %s: has holes; fill it first\n",
			b.ram_path);
		exit(1);
	}
	if (route_get(&b.route, b.dev, (struct sockaddr *)&peer, NULL, 3000,
		      &b.e))
		die("route");
}

static void run_send(void)
{
	struct xsk_extent extent = { .block = 0 };
	uint64_t slice;
	unsigned int i;
	double cpu;

	open_source();
	make_plan(true, b.route.ip_max);
	if (xm_geometry_fit(&b.geo, b.plan.ip_max, 20,
			    b.plan.opts.max_descs - 1) ||
	    !b.geo.pages || !b.plan.maps_guest) {
		fprintf(stderr, "blast: needs an engine that takes pages by "
				"descriptor, and an MTU that takes a page\n");
		exit(1);
	}
	slice = b.ram.map.block[0].len / b.n_queues & ~(XM_PAGE_SIZE - 1ULL);
	if (!slice) {
		fprintf(stderr, "blast: %s: too small\n", b.ram_path);
		exit(1);
	}
	for (i = 0; i < b.n_queues; i++) {
		extent.fd = b.ram.block[0].fd;
		extent.offset = extent.file_off = i * slice;
		extent.len = slice;
		open_lane(i, &extent);
		b.lane[i].first = b.lane[i].next = i * slice;
		b.lane[i].end = (i + 1) * slice;
		b.lane[i].window.p = b.progress ? &b.progress[i] : NULL;
		make_prefix(&b.lane[i]);
	}
	b.batch = BATCH;
	if (b.installs) {
		b.batch = (PUMP_TX_BYTES - 1) / xm_geometry_payload(&b.geo) + 1;
		if (b.batch > PUMP_TX_BATCH)
			b.batch = PUMP_TX_BATCH;
		errno = -install_warm(&b.ram);
		if (errno)
			die("populate");
	}
	cpu = cpu_ms();
	run_workers(serve_send);
	report("send", cpu_ms() - cpu);
	for (i = 0; i < b.n_queues; i++)
		xsk_chan_close(b.lane[i].chan);
	guest_ram_close(&b.ram);
}

/* -- main ------------------------------------------------------------------------- */

static void usage(void)
{
	fprintf(stderr, "blast recv --queues N [--threads T] [--progress FILE] "
			"[--install --ram FILE] DEV\n"
			"blast send --queues N [--threads T] [--progress FILE] "
			"[--seconds S] [--install] --ram FILE DEV PEER\n");
	exit(2);
}

static unsigned int number(const char *text, unsigned long max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || !n || n > max)
		usage();
	return (unsigned int)n;
}

int main(int argc, char **argv)
{
	static const struct option opts[] = {
		{ "queues", required_argument, NULL, 'q' },
		{ "threads", required_argument, NULL, 't' },
		{ "seconds", required_argument, NULL, 's' },
		{ "ram", required_argument, NULL, 'r' },
		{ "install", no_argument, NULL, 'i' },
		{ "progress", required_argument, NULL, 'p' },
		{ 0 },
	};
	struct sigaction sa = { .sa_handler = on_signal };
	bool is_recv;
	int c;

	b.seconds = 3;
	while ((c = getopt_long(argc, argv, "", opts, NULL)) >= 0) {
		if (c == 'q')
			b.n_queues = number(optarg, XM_CHAN_MAX);
		else if (c == 't')
			b.n_threads = number(optarg, XM_CHAN_MAX);
		else if (c == 's')
			b.seconds = number(optarg, 3600);
		else if (c == 'r')
			b.ram_path = optarg;
		else if (c == 'i')
			b.installs = true;
		else if (c == 'p')
			b.progress_path = optarg;
		else
			usage();
	}
	if (argc - optind < 2 || !b.n_queues)
		usage();
	b.dev = argv[optind + 1];
	if (!b.n_threads || b.n_threads > b.n_queues)
		b.n_threads = b.n_queues;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	xm_crc32c_init();
	is_recv = !strcmp(argv[optind], "recv");
	if (b.progress_path &&
	    !(b.progress = progress_map(b.progress_path, is_recv)))
		die(b.progress_path);
	if (xsk_caps_get(&b.caps, b.dev, &b.e))
		die("device");
	if (is_recv && argc - optind == 2 && b.installs == !!b.ram_path) {
		run_recv();
	} else if (!strcmp(argv[optind], "send") && argc - optind == 3 &&
		   b.ram_path) {
		b.peer = argv[optind + 2];
		run_send();
	} else {
		usage();
	}
	return 0;
}
