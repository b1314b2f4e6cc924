// SPDX-License-Identifier: GPL-2.0-or-later
/* relay.c - a bad link between two network devices, for tests
 *
 *        A                          way 0 (ab)                          B
 *   +---------+  RX ring  +-------+  handles   +--------+  sendmmsg +---------+
 *   | packet  |---------->| store |----------->| impair |---------->| packet  |
 *   | socket  |           +-------+            +--------+  +mangle  | socket  |
 *   |         |<-------------------- way 1 (ba), the same ----------|         |
 *   +---------+                                                     +---------+
 *
 * Each frame is copied once out of the kernel's ring (TPACKET_V2: a status
 * word per frame and no block timeout, so no delay of its own), waits in the
 * store under a number until impair.c says when it leaves, how often and in
 * what state, and goes out in a batch.  A frame that leaves twice is damaged
 * on a copy.
 *
 * Frames can be recorded as they come, and sent once more: those of a file, an
 * earlier session's, or those of this session's earlier epochs.  They enter the
 * link behind frames that come, so many with each, and no trouble meets them.
 *
 * What it takes from the devices: no offloads.  A TCP super-packet, or one
 * whose checksum the sender left to its device, is no frame of a wire; the
 * first does not fit and is dropped (oversized, or send_failed), the second is
 * counted (unfinished_sums) and will be refused by the receiver.  lib.sh turns
 * offloads off.  The kernel takes VLAN tags out of frames it
 * hands to packet sockets; they are put back here.
 *
 * Sending goes through the device's queueing discipline, which spreads flows
 * over the device's queues by hash, as a receiving card with RSS would.  The
 * socket's send buffer is small enough for the discipline never to overflow,
 * so sending is held up, not dropped; then the receive ring fills, and what
 * it drops is counted apart (ring_dropped) from what was lost on purpose.
 * For a test of exact losses that must be 0.
 *
 * One thread; signals by signalfd.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "impair.h"
#include "mangle.h"
#include "relay_opts.h"
#include "tape.h"

#define BATCH      64
#define BLOCK      (1 << 20)
#define N_HANDLES  65536
#define SNDBUF     (1 << 20)
#define VLAN_LEN   4
#define FRAME_ROOM 512 /* ring frame: status, addresses, Ethernet, VLAN */

struct stored {
	uint8_t *data;
	uint32_t len;
	unsigned int uses; /* times it will still come out */
};

/* A device with its packet socket. */
struct port {
	const char *name;
	int fd;
	uint8_t *ring;
	unsigned int n_frames, per_block, next;
	uint32_t frame_len;
};

/* From one port to the other. */
struct way {
	struct port *in, *out;
	struct impair impair;
	struct impair_slot slots[N_HANDLES];
	struct stored store[N_HANDLES];
	uint32_t unused[N_HANDLES]; /* stack of handles */
	uint32_t n_unused;
	uint64_t stored_bytes;
	/* due, not yet taken by the socket */
	struct stored batch[BATCH];
	unsigned int n_batch;
	/* once more */
	const struct relay_tape *tape_opts;
	struct tape tape;
	bool is_replaying;
	FILE *record;
	uint64_t recorded, replayed;
	uint64_t ring_dropped, oversized, send_failed, unfinished_sums,
		store_full;
};

static struct relay_opts opts;
static struct port ports[2];
static struct way ways[2];
static bool has_begun; /* trouble */

static void die(const char *what, const char *dev)
{
	fprintf(stderr, "relay: %s: %s: %s\n", dev, what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* -- ports ----------------------------------------------------------------------- */

static void port_ring(struct port *p, unsigned int mtu)
{
	struct tpacket_req req = { .tp_block_size = BLOCK };
	int v2 = TPACKET_V2;

	/* smaller than any MTU we are asked for would lose neighbours' frames */
	req.tp_frame_size = TPACKET_ALIGN(mtu + FRAME_ROOM);
	p->per_block = BLOCK / req.tp_frame_size;
	req.tp_block_nr = (unsigned int)(opts.ring / BLOCK);
	if (!req.tp_block_nr)
		req.tp_block_nr = 1;
	req.tp_frame_nr = req.tp_block_nr * p->per_block;
	p->n_frames = req.tp_frame_nr;
	p->frame_len = req.tp_frame_size;
	if (setsockopt(p->fd, SOL_PACKET, PACKET_VERSION, &v2, sizeof(v2)) ||
	    setsockopt(p->fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)))
		die("cannot make a receive ring", p->name);
	p->ring = mmap(NULL, (size_t)req.tp_block_nr * BLOCK,
		       PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
	if (p->ring == MAP_FAILED)
		die("cannot map the receive ring", p->name);
}

static void port_open(struct port *p, const char *name)
{
	struct packet_mreq mreq = { .mr_type = PACKET_MR_PROMISC };
	struct sockaddr_ll sll = { .sll_family = AF_PACKET,
				   .sll_protocol = htons(ETH_P_ALL) };
	struct ifreq ifr = { 0 };
	int on = 1, sndbuf = SNDBUF;

	p->name = name;
	/* protocol 0: nothing arrives before the ring is there */
	p->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd < 0)
		die("cannot open a packet socket", name);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	sll.sll_ifindex = (int)if_nametoindex(name);
	mreq.mr_ifindex = sll.sll_ifindex;
	if (!sll.sll_ifindex || ioctl(p->fd, SIOCGIFMTU, &ifr))
		die("no such device", name);
	port_ring(p, (unsigned int)ifr.ifr_mtu);
	if (setsockopt(p->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on,
		       sizeof(on)) ||
	    setsockopt(p->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq,
		       sizeof(mreq)) ||
	    setsockopt(p->fd, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf,
		       sizeof(sndbuf)) ||
	    bind(p->fd, (struct sockaddr *)&sll, sizeof(sll)))
		die("cannot listen", name);
}

static struct tpacket2_hdr *port_frame(const struct port *p)
{
	size_t block = p->next / p->per_block, in = p->next % p->per_block;

	return (void *)(p->ring + block * BLOCK + in * p->frame_len);
}

/* -- the store ------------------------------------------------------------------- */

/* Copy a frame out of the ring, with its VLAN tag back in its place. */
static struct stored frame_copy(const struct tpacket2_hdr *h)
{
	const uint8_t *src = (const uint8_t *)h + h->tp_mac;
	bool tagged = h->tp_status & TP_STATUS_VLAN_VALID;
	uint32_t addrs = 2 * ETH_ALEN, tag_len = tagged ? VLAN_LEN : 0;
	struct stored s = { .len = h->tp_snaplen + tag_len };
	uint16_t tag[2] = { htons(ETH_P_8021Q), htons(h->tp_vlan_tci) };

	if (h->tp_snaplen < addrs)
		return s;
	s.data = malloc(s.len + MANGLE_ROOM);
	if (!s.data)
		return s;
	if (h->tp_status & TP_STATUS_VLAN_TPID_VALID)
		tag[0] = htons(h->tp_vlan_tpid);
	memcpy(s.data, src, addrs);
	memcpy(s.data + addrs, tag, tag_len);
	memcpy(s.data + addrs + tag_len, src + addrs, h->tp_snaplen - addrs);
	return s;
}

/* @s, which is ours now, enters the link. */
static void way_put(struct way *w, int64_t now, struct stored s,
		    const struct mangle *m, bool is_subject)
{
	struct impair_frame f = { .len = s.len,
				  .ip_len = m->ip ? m->ip_len : 0,
				  .is_subject = is_subject,
				  .is_ect = m->is_ect };

	if (!w->n_unused || w->stored_bytes + s.len > opts.store) {
		w->store_full++;
		free(s.data);
		return;
	}
	f.handle = w->unused[w->n_unused - 1];
	s.uses = impair_push(&w->impair, now, &f);
	impair_cut_with(&ways[w == ways].impair, &w->impair);
	if (!s.uses) {
		free(s.data);
		return;
	}
	w->n_unused--;
	w->stored_bytes += s.len;
	w->store[f.handle] = s;
}

/* A frame passes: keep it, if it is to come once more. */
static void way_keep(struct way *w, int64_t now, const struct stored *s,
		     const struct mangle *m)
{
	if (w->record) {
		tape_put(w->record, now, s->data, s->len);
		w->recorded++;
	}
	if (!w->tape_opts->repeat || w->is_replaying || !m->epoch)
		return;
	if (m->epoch >= w->tape_opts->repeat)
		w->is_replaying = true;
	else if (tape_add(&w->tape, s->data, s->len))
		w->store_full++;
}

/* A frame passed: some of the kept ones follow it. */
static void way_replay(struct way *w, int64_t now)
{
	unsigned int n;

	if (!w->is_replaying)
		return;
	for (n = 0; n < w->tape_opts->times && w->tape.next < w->tape.n; n++) {
		const struct tape_frame *t = &w->tape.frame[w->tape.next++];
		struct stored s = { .len = t->len };
		struct mangle m;

		s.data = malloc(s.len + MANGLE_ROOM);
		if (!s.data)
			return;
		memcpy(s.data, t->data, s.len);
		mangle_look(s.data, s.len, &m);
		way_put(w, now, s, &m, false);
		w->replayed++;
	}
}

/* One frame enters the link. */
static void way_enter(struct way *w, int64_t now, const struct tpacket2_hdr *h)
{
	struct stored s;
	struct mangle m;
	bool is_subject;

	if (h->tp_snaplen < h->tp_len) { /* its end is not in the ring */
		w->oversized++;
		return;
	}
	if (h->tp_status & TP_STATUS_CSUMNOTREADY)
		w->unfinished_sums++;
	s = frame_copy(h);
	if (!s.data)
		return;
	mangle_look(s.data, s.len, &m);
	has_begun |= !opts.begin || opts.begin & 1u << m.type;
	is_subject = relay_is_subject(&opts, &m);
	if (is_subject)
		way_keep(w, now, &s, &m);
	way_put(w, now, s, &m, is_subject && has_begun);
	if (is_subject && has_begun)
		way_replay(w, now);
}

/* Take what a port received, at most a batch.  True when there may be more. */
static bool way_receive(struct way *w, int64_t now)
{
	struct port *p = w->in;
	struct tpacket2_hdr *h;
	unsigned int n;

	for (n = 0; n < BATCH; n++) {
		h = port_frame(p);
		if (!(__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) &
		      TP_STATUS_USER))
			return false;
		way_enter(w, now, h);
		__atomic_store_n(&h->tp_status, TP_STATUS_KERNEL,
				 __ATOMIC_RELEASE);
		p->next = (p->next + 1) % p->n_frames;
	}
	return true;
}

/* The bytes of a frame that is due: its own, or a copy if it comes again. */
static struct stored way_take(struct way *w, const struct impair_out *out)
{
	struct stored *kept = &w->store[out->handle], s = *kept;
	struct mangle m;

	if (--kept->uses) {
		s.data = malloc(s.len + MANGLE_ROOM);
		if (s.data)
			memcpy(s.data, kept->data, s.len);
	} else {
		w->stored_bytes -= s.len;
		w->unused[w->n_unused++] = out->handle;
	}
	if (!s.data)
		return s;
	mangle_look(s.data, s.len, &m);
	if (out->mark)
		mangle_mark(s.data, &m);
	s.len = mangle_damage(s.data, s.len, &m, out->damage, out->random);
	return s;
}

/* -- sending ----------------------------------------------------------------------- */

static void batch_drop(struct way *w, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		free(w->batch[i].data);
	w->n_batch -= n;
	memmove(w->batch, w->batch + n, w->n_batch * sizeof(w->batch[0]));
}

/* Send what is in the batch.  False when the socket takes no more now. */
static bool batch_send(struct way *w)
{
	struct mmsghdr msg[BATCH] = { 0 };
	struct iovec iov[BATCH];
	unsigned int i;
	int n;

	while (w->n_batch) {
		for (i = 0; i < w->n_batch; i++) {
			iov[i].iov_base = w->batch[i].data;
			iov[i].iov_len = w->batch[i].len;
			msg[i].msg_hdr.msg_iov = &iov[i];
			msg[i].msg_hdr.msg_iovlen = 1;
		}
		n = sendmmsg(w->out->fd, msg, w->n_batch, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return false;
		if (n <=
		    0) { /* the first one is refused: too long, link down */
			w->send_failed++;
			n = 1;
		}
		batch_drop(w, (unsigned int)n);
	}
	return true;
}

/* Send all that is due.  False when the socket is full. */
static bool way_send(struct way *w, int64_t now)
{
	struct impair_out out;
	struct stored s;

	do {
		while (w->n_batch < BATCH &&
		       impair_pop(&w->impair, now, &out)) {
			s = way_take(w, &out);
			if (s.data)
				w->batch[w->n_batch++] = s;
		}
		if (!w->n_batch)
			return true;
	} while (batch_send(w));
	return false;
}

/* -- figures ---------------------------------------------------------------------- */

static void way_print(struct way *w, const char *name)
{
	const struct impair_stats *s = &w->impair.stats;
	struct tpacket_stats ring;
	socklen_t len = sizeof(ring);
	unsigned int i;

	/* reading resets them */
	if (!getsockopt(w->in->fd, SOL_PACKET, PACKET_STATISTICS, &ring, &len))
		w->ring_dropped += ring.tp_drops;
#define N(key, value) printf("\"" key "\":%" PRIu64 ",", (uint64_t)(value))
	printf("\"%s\":{", name);
	N("frames_in", s->frames_in);
	N("bytes_in", s->bytes_in);
	N("subject", s->subject);
	N("lost", s->lost);
	N("lost_in_bursts", s->lost_in_bursts);
	N("cut", s->cut);
	N("too_long", s->too_long);
	N("queue_full", s->queue_full);
	N("duplicated", s->duplicated);
	N("reordered", s->reordered);
	N("marked", s->marked);
	N("recorded", w->recorded);
	N("replayed", w->replayed);
	N("frames_out", s->frames_out);
	N("bytes_out", s->bytes_out);
	N("is_cut", w->impair.is_cut);
	N("inside", impair_inside(&w->impair));
	N("ring_dropped", w->ring_dropped);
	N("oversized", w->oversized);
	N("store_full", w->store_full + s->overflow);
	N("unfinished_sums", w->unfinished_sums);
	N("send_failed", w->send_failed);
#undef N
	printf("\"damaged\":{");
	for (i = 1; i < IMPAIR_DAMAGE__COUNT; i++)
		printf("%s\"%s\":%" PRIu64, i > 1 ? "," : "",
		       mangle_name((enum impair_damage)i), s->damaged[i]);
	printf("}}");
}

static void print_all(const char *event)
{
	printf("{\"event\":\"%s\",\"seed\":%" PRIu64 ",", event, opts.seed);
	way_print(&ways[0], "ab");
	putchar(',');
	way_print(&ways[1], "ba");
	puts("}");
	fflush(stdout);
}

/* -- the loop ------------------------------------------------------------------------ */

static int signals_open(void)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };
	sigset_t set;
	size_t i;
	int fd;

	sigemptyset(&set);
	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		sigaddset(&set, sigs[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		die("cannot take signals", "signalfd");
	return fd;
}

/* False when it is time to go. */
static bool signals_read(int fd)
{
	struct signalfd_siginfo si;

	while (read(fd, &si, sizeof(si)) == sizeof(si)) {
		switch (si.ssi_signo) {
		case SIGHUP:
			print_all("progress");
			break;
		case SIGUSR1:
		case SIGUSR2:
			impair_cut(&ways[0].impair, si.ssi_signo == SIGUSR1);
			impair_cut(&ways[1].impair, si.ssi_signo == SIGUSR1);
			break;
		default:
			return false;
		}
	}
	return true;
}

/* Sleep until a frame comes, one is due, or a signal. */
static void wait_for_work(int sig_fd, const bool full[2])
{
	struct pollfd p[3] = { { .fd = sig_fd, .events = POLLIN } };
	int64_t next = IMPAIR_NEVER, at, left;
	struct timespec ts;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		/* port i receives for way i and sends for the other one */
		p[i + 1].fd = ports[i].fd;
		p[i + 1].events = POLLIN | (full[!i] ? POLLOUT : 0);
		at = full[i] ? IMPAIR_NEVER : impair_next(&ways[i].impair);
		next = at < next ? at : next;
	}
	left = next == IMPAIR_NEVER ? 1000000000 : next - now_ns();
	if (left <= 0)
		return;
	ts.tv_sec = left / 1000000000;
	ts.tv_nsec = left % 1000000000;
	ppoll(p, 3, &ts, NULL);
}

static void run(int sig_fd)
{
	bool full[2] = { false, false }, more;
	unsigned int i;
	int64_t now;

	while (signals_read(sig_fd)) {
		now = now_ns();
		more = false;
		for (i = 0; i < 2; i++) {
			more |= way_receive(&ways[i], now);
			full[i] = !way_send(&ways[i], now);
		}
		if (!more)
			wait_for_work(sig_fd, full);
	}
}

static void way_open(struct way *w, unsigned int i)
{
	const struct relay_tape *t = &opts.tape[i];
	uint32_t h;
	int r;

	w->in = &ports[i];
	w->out = &ports[!i];
	w->tape_opts = t;
	impair_init(&w->impair, &opts.way[i], opts.seed, i, w->slots,
		    N_HANDLES);
	for (h = 0; h < N_HANDLES; h++)
		w->unused[h] = h;
	w->n_unused = N_HANDLES;
	if (t->replay) {
		r = tape_load(&w->tape, t->replay);
		errno = -r;
		if (r)
			die("cannot read the frames", t->replay);
		w->is_replaying = true;
	}
	if (t->record) {
		w->record = tape_file(t->record);
		if (!w->record)
			die("cannot make the file", t->record);
	}
}

static void way_close(struct way *w)
{
	if (w->record && fclose(w->record))
		die("cannot write", w->tape_opts->record);
	tape_fini(&w->tape);
}

int main(int argc, char **argv)
{
	unsigned int i;
	int sig_fd;

	relay_opts_parse(&opts, argc, argv);
	prctl(PR_SET_TIMERSLACK, 1); /* ns: delays are to be what was asked */
	sig_fd = signals_open();
	for (i = 0; i < 2; i++)
		port_open(&ports[i], opts.dev[i]);
	for (i = 0; i < 2; i++)
		way_open(&ways[i], i);
	puts("{\"event\":\"ready\"}");
	fflush(stdout);
	run(sig_fd);
	for (i = 0; i < 2; i++)
		way_close(&ways[i]);
	print_all("result");
	return 0;
}
