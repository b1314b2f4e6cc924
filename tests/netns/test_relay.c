// SPDX-License-Identifier: GPL-2.0-or-later
/* test_relay.c - the relay program does to real frames what its model says
 *
 *     here                                   there
 *   +----------------+                 +----------------+
 *   | packet sockets |                 |                |
 *   |   tx --> v0 ======================== v1 --,       |
 *   |                |                 |       relay    |
 *   |   rx <-- w0 ======================== w1 <-'       |
 *   +----------------+                 +----------------+
 *
 * Frames are written and read whole, so the kernel's stack has no part in it.
 * What must come out is computed by running tests/lib/impair.c here with the
 * same seed.  RELAY is the program.
 */
#include <errno.h>
#include <jansson.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/impair.h"
#include "../lib/mangle.h"
#include "../lib/t_route.h"
#include "core/encap.h"
#include "xdpmig/wire.h"

#define BASE     61952 /* first port that trouble is meant for */
#define DEADLINE 10000 /* ms */
#define N        600   /* frames of one test */
#define LEN_MAX  (65536 + 64)
#define ARGS_MAX 32

static const char *relay_path;

struct t_relay {
	struct t_netns net;
	pid_t pid;
	FILE *out;
	json_t *stats;
	int tx, rx;
};

/* -- helpers -------------------------------------------------------------------------- */

static int raw_open(const char *dev)
{
	struct sockaddr_ll sll = { .sll_family = AF_PACKET,
				   .sll_protocol = htons(ETH_P_ALL),
				   .sll_ifindex = (int)if_nametoindex(dev) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	int on = 1, room = 64 << 20;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on,
				    sizeof(on)),
			 0);
	assert_int_equal(
		setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room,
				    sizeof(room)),
			 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sll, sizeof(sll)), 0);
	return fd;
}

static int setup(void **state)
{
	struct t_relay *t = calloc(1, sizeof(*t));

	*state = t;
	if (t_netns_open(&t->net))
		return -1;
	/* What the kernel says by itself would be counted, too. */
	t_here("echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6");
	t_there(&t->net, "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6");
	t_here("ip link set v0 mtu 65535; ip link set w0 mtu 65535");
	t_there(&t->net, "ip link set v1 mtu 65535; ip link set w1 mtu 65535");
	t->tx = raw_open("v0");
	t->rx = raw_open("w0");
	return 0;
}

static int teardown(void **state)
{
	struct t_relay *t = *state;

	if (t->pid > 0) {
		kill(t->pid, SIGKILL);
		waitpid(t->pid, NULL, 0);
	}
	if (t->out)
		fclose(t->out);
	json_decref(t->stats);
	close(t->tx);
	close(t->rx);
	t_netns_close(&t->net);
	free(t);
	return 0;
}

static json_t *relay_line(struct t_relay *t)
{
	char line[4096];
	json_t *o;

	assert_non_null(fgets(line, sizeof(line), t->out));
	o = json_loads(line, 0, NULL);
	assert_non_null(o);
	return o;
}

/* Start it with the options in @args, separated by single spaces. */
static void relay_start(struct t_relay *t, const char *args)
{
	char words[512], *argv[ARGS_MAX], *word, *save = NULL;
	int out[2], n = 0;

	snprintf(words, sizeof(words), "relay %s v1 w1", args);
	for (word = strtok_r(words, " ", &save); word;
	     word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	argv[n] = NULL;
	assert_int_equal(pipe(out), 0);
	t->pid = fork();
	if (!t->pid) {
		if (setns(t->net.there_fd, CLONE_NEWNET))
			_exit(126);
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		close(out[1]);
		execv(relay_path, argv);
		_exit(127);
	}
	close(out[1]);
	t->out = fdopen(out[0], "r");
	json_decref(relay_line(t));
}

static void relay_stop(struct t_relay *t)
{
	int status;

	kill(t->pid, SIGTERM);
	json_decref(t->stats);
	t->stats = relay_line(t);
	assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
	t->pid = 0;
	assert_int_equal(status, 0);
}

static json_int_t stat_of(const struct t_relay *t, const char *way,
			  const char *name)
{
	json_t *v = json_object_get(json_object_get(t->stats, way), name);

	assert_true(json_is_integer(v));
	return json_integer_value(v);
}

struct t_frame {
	uint8_t b[LEN_MAX];
	uint32_t len;
};

/* Frame @i: its payload depends on its number, which is in it too. */
static void frame_make(struct t_frame *f, uint32_t i, uint32_t payload,
		       uint16_t vlan, uint16_t dport)
{
	struct xm_path path = { .src_mac = { 2, 0, 0, 0, 0, 9 },
				.dst_mac = { 2, 0, 0, 0, 0, 8 },
				.vlan = vlan,
				.src = { 198, 18, 0, 1 },
				.dst = { 198, 18, 0, 2 },
				.sport = 4000,
				.dport = dport };
	uint32_t at = (uint32_t)xm_encap_put(f->b, &path, payload), k;

	for (k = 0; k < payload; k++)
		f->b[at + k] = (uint8_t)(k * 31 + i);
	memcpy(f->b + at + 48, &i, sizeof(i));
	f->b[at] = XM_WIRE_MAGIC >> 8;
	f->b[at + 1] = XM_WIRE_MAGIC & 0xff;
	f->b[at + 3] = i % 2 ? XM_WIRE_ACK : XM_WIRE_DATA;
	f->len = at + payload;
}

static void frame_send(const struct t_relay *t, const struct t_frame *f)
{
	assert_int_equal(send(t->tx, f->b, f->len, 0), f->len);
}

/* The next frame of ours that comes out, with its VLAN tag where it was on the
 * wire; false when none comes within @ms. */
static bool frame_recv(const struct t_relay *t, struct t_frame *ret, int ms)
{
	union {
		char buf[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
		struct cmsghdr align;
	} control;
	struct pollfd p = { .fd = t->rx, .events = POLLIN };
	struct mangle m;
	ssize_t n;

	while (poll(&p, 1, ms) == 1) {
		struct iovec iov = { ret->b, LEN_MAX - 4 };
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = &control,
				      .msg_controllen = sizeof(control) };
		struct tpacket_auxdata aux;
		struct cmsghdr *c;

		n = recvmsg(t->rx, &msg, 0);
		assert_true(n > 0);
		ret->len = (uint32_t)n;
		c = CMSG_FIRSTHDR(&msg);
		if (!c) {
			fail_msg("no PACKET_AUXDATA");
			return false;
		}
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (aux.tp_status & TP_STATUS_VLAN_VALID) {
			uint16_t tag[2] = { htons(ETH_P_8021Q),
					    htons(aux.tp_vlan_tci) };

			memmove(ret->b + 16, ret->b + 12, ret->len - 12);
			memcpy(ret->b + 12, tag, 4);
			ret->len += 4;
		}
		mangle_look(ret->b, ret->len, &m);
		if (m.sport == 4000)
			return true;
	}
	return false;
}

/* Send N frames, and expect exactly what a model with these options lets out,
 * byte by byte and in its order. */
static void expect_as_modelled(struct t_relay *t, const struct impair_opts *o,
			       uint64_t seed, uint32_t payload)
{
	static struct impair_slot slots[4 * N];
	struct t_frame *f = malloc(sizeof(*f)), *got = malloc(sizeof(*got));
	struct impair *im = malloc(sizeof(*im));
	struct impair_out out;
	struct mangle m;
	unsigned int n = 0;
	uint32_t i;

	for (i = 0; i < N; i++) {
		frame_make(f, i, payload, 0, BASE);
		frame_send(t, f);
	}
	impair_init(im, o, seed, 0, slots, 4 * N);
	for (i = 0; i < N; i++) {
		struct impair_frame in = { .handle = i,
					   .len = f->len,
					   .ip_len = f->len - 14,
					   .is_subject = true };

		impair_push(im, 0, &in);
	}
	while (impair_pop(im, o->hold_ns, &out)) {
		frame_make(f, out.handle, payload, 0, BASE);
		mangle_look(f->b, f->len, &m);
		f->len =
			mangle_damage(f->b, f->len, &m, out.damage, out.random);
		if (!frame_recv(t, got, DEADLINE))
			fail_msg("frame %u, the %u-th, did not come",
				 out.handle, n);
		assert_int_equal(got->len, f->len);
		assert_memory_equal(got->b, f->b, f->len);
		n++;
	}
	relay_stop(t);
	assert_false(frame_recv(t, got, 0));
	assert_int_equal(stat_of(t, "ab", "subject"), N);
	assert_int_equal(stat_of(t, "ab", "lost"), im->stats.lost);
	assert_int_equal(stat_of(t, "ab", "duplicated"), im->stats.duplicated);
	assert_int_equal(stat_of(t, "ab", "reordered"), im->stats.reordered);
	assert_int_equal(stat_of(t, "ab", "ring_dropped"), 0);
	assert_int_equal(stat_of(t, "ab", "send_failed"), 0);
	free(im);
	free(got);
	free(f);
}

/* -- tests ------------------------------------------------------------------------------ */

static void relay__perfect_wire(void **state)
{
	struct impair_opts o = { 0 };

	relay_start(*state, "--ports 61952-61999");
	expect_as_modelled(*state, &o, 1, 1000);
}

static void relay__loses_whom_the_model_loses(void **state)
{
	struct impair_opts o = { .loss = 0.3,
				 .burst_enter = 0.02,
				 .burst_leave = 0.2,
				 .burst_loss = 0.9 };

	relay_start(*state, "--ports 61952-61999 --seed 77 --loss 30% "
			    "--burst 2%,0.2,0.9");
	expect_as_modelled(*state, &o, 77, 1000);
}

static void relay__duplicates_and_damages(void **state)
{
	struct impair_opts o = { .duplicate = 0.3,
				 .damage = 0.4,
				 .damages = 1u << IMPAIR_PAYLOAD |
					    1u << IMPAIR_HEADER |
					    1u << IMPAIR_TRUNCATE |
					    1u << IMPAIR_SHORTEN };

	relay_start(*state, "--ports 61952-61999 --seed 5 --duplicate 30% "
			    "--corrupt 40%,payload+header+truncate+shorten");
	expect_as_modelled(*state, &o, 5, 1000);
}

static void relay__reorders(void **state)
{
	struct impair_opts o = { .reorder = 0.2,
				 .depth = 6,
				 .hold_ns = 1000000000 };
	struct t_relay *t = *state;

	relay_start(t, "--ports 61952-61999 --seed 9 --reorder 20%,6,1s");
	expect_as_modelled(t, &o, 9, 200);
}

static void expect_through(struct t_relay *t, uint32_t payload, uint16_t vlan)
{
	struct t_frame *f = malloc(sizeof(*f)), *got = malloc(sizeof(*got));

	frame_make(f, 1, payload, vlan, BASE);
	frame_send(t, f);
	assert_true(frame_recv(t, got, DEADLINE));
	assert_int_equal(got->len, f->len);
	assert_memory_equal(got->b, f->b, f->len);
	free(got);
	free(f);
}

static void relay__every_size(void **state)
{
	static const uint32_t sizes[] = { 52,   1458, 1459,  4096,
					  8958, 8959, 30000, 65535 - 28 };
	struct t_relay *t = *state;
	size_t i;

	relay_start(t, "");
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		expect_through(t, sizes[i], 0);
}

static void relay__vlan_tag_stays_where_it_was(void **state)
{
	struct t_relay *t = *state;

	relay_start(t, "");
	expect_through(t, 1000, 0x123);
	expect_through(t, 1000, 1);
}

/* The control connection's frames are left alone. */
static void relay__other_ports_are_left_alone(void **state)
{
	struct t_frame *f = malloc(sizeof(*f)), *got = malloc(sizeof(*got));
	struct t_relay *t = *state;
	uint32_t i;

	relay_start(t, "--ports 61952-61999 --loss 100%");
	for (i = 0; i < 100; i++) {
		frame_make(f, i, 200, 0, i % 2 ? BASE : BASE - 1);
		frame_send(t, f);
	}
	for (i = 0; i < 100; i += 2) {
		frame_make(f, i, 200, 0, BASE - 1);
		assert_true(frame_recv(t, got, DEADLINE));
		assert_memory_equal(got->b, f->b, f->len);
	}
	relay_stop(t);
	assert_int_equal(stat_of(t, "ab", "lost"), 50);
	assert_false(frame_recv(t, got, 0));
	free(got);
	free(f);
}

/* Only one type of frame, and only one way. */
static void relay__only_acks(void **state)
{
	struct t_frame *f = malloc(sizeof(*f)), *got = malloc(sizeof(*got));
	struct t_relay *t = *state;
	uint32_t i;

	relay_start(t, "--types ack --way ab --loss 100%");
	for (i = 0; i < 10; i++) {
		frame_make(f, i, 200, 0, BASE);
		frame_send(t, f);
	}
	for (i = 0; i < 10; i += 2) {
		frame_make(f, i, 200, 0, BASE);
		assert_true(frame_recv(t, got, DEADLINE));
		assert_memory_equal(got->b, f->b, f->len);
	}
	relay_stop(t);
	assert_int_equal(stat_of(t, "ab", "lost"), 5);
	free(got);
	free(f);
}

static void relay__delay(void **state)
{
	struct t_relay *t = *state;
	int64_t start;

	relay_start(t, "--delay 80ms");
	start = t_now_ms();
	expect_through(t, 500, 0);
	assert_in_range(t_now_ms() - start, 80, 2000);
}

/* 100 frames of 1042 bytes at 8 Mbit/s: 104 ms. */
static void relay__rate(void **state)
{
	struct t_frame *f = malloc(sizeof(*f));
	struct t_relay *t = *state;
	int64_t start;
	uint32_t i;

	relay_start(t, "--rate 8M");
	start = t_now_ms();
	frame_make(f, 0, 1000, 0, BASE);
	for (i = 0; i < 100; i++)
		frame_send(t, f);
	for (i = 0; i < 100; i++)
		assert_true(frame_recv(t, f, DEADLINE));
	assert_in_range(t_now_ms() - start, 103, 3000);
	free(f);
}

static void relay__mtu(void **state)
{
	struct t_frame *f = malloc(sizeof(*f));
	struct t_relay *t = *state;

	relay_start(t, "--ports 61952-61999 --mtu 4000");
	frame_make(f, 0, 4001 - 28, 0, BASE);
	frame_send(t, f);
	expect_through(t, 4000 - 28, 0);
	relay_stop(t);
	assert_int_equal(stat_of(t, "ab", "too_long"), 1);
	free(f);
}

static void expect_frame(struct t_relay *t, struct t_frame *want, uint32_t i)
{
	struct t_frame *got = malloc(sizeof(*got));

	frame_make(want, i, 300, 0, BASE);
	assert_true(frame_recv(t, got, DEADLINE));
	assert_int_equal(got->len, want->len);
	assert_memory_equal(got->b, want->b, want->len);
	free(got);
}

/* Ten are recorded; the next time they come again, two with each that passes. */
static void relay__replays_what_it_recorded(void **state)
{
	struct t_frame *f = malloc(sizeof(*f));
	char path[] = "/tmp/xm-relay-XXXXXX", args[128];
	struct t_relay *t = *state;
	uint32_t i;

	close(mkstemp(path));
	snprintf(args, sizeof(args), "--way ab --record %s", path);
	relay_start(t, args);
	for (i = 0; i < 10; i++) {
		frame_make(f, i, 300, 0, BASE);
		frame_send(t, f);
		expect_frame(t, f, i);
	}
	relay_stop(t);
	assert_int_equal(stat_of(t, "ab", "recorded"), 10);
	fclose(t->out);
	snprintf(args, sizeof(args), "--way ab --replay %s,2", path);
	relay_start(t, args);
	for (i = 0; i < 5; i++) {
		frame_make(f, 100 + i, 300, 0, BASE);
		frame_send(t, f);
		expect_frame(t, f, 100 + i);
		expect_frame(t, f, 2 * i);
		expect_frame(t, f, 2 * i + 1);
	}
	relay_stop(t);
	assert_int_equal(stat_of(t, "ab", "replayed"), 10);
	assert_false(frame_recv(t, f, 0));
	unlink(path);
	free(f);
}

/* Signals overtake each other, so its own figures say when it has this one. */
static void relay_cut(struct t_relay *t, int sig, bool is_cut)
{
	bool seen;

	kill(t->pid, sig);
	do {
		kill(t->pid, SIGHUP);
		json_decref(t->stats);
		t->stats = relay_line(t);
		seen = stat_of(t, "ab", "is_cut");
	} while (seen != is_cut);
}

static void relay__cut_by_signal_and_mended(void **state)
{
	struct t_frame *f = malloc(sizeof(*f));
	struct t_relay *t = *state;

	relay_start(t, "");
	expect_through(t, 100, 0);
	relay_cut(t, SIGUSR1, true);
	frame_make(f, 0, 100, 0, BASE);
	frame_send(t, f);
	assert_false(frame_recv(t, f, 100));
	relay_cut(t, SIGUSR2, false);
	expect_through(t, 100, 0);
	free(f);
}

/* A mistake is told, not guessed around. */
static void relay__usage(void **state)
{
	static const char *const bad[] = { "--loss 101%",
					   "--loss x",
					   "--delay 5",
					   "--rate 1X",
					   "--burst 1%",
					   "--corrupt 1%,foo",
					   "--ports 9-8",
					   "--way up",
					   "--types bogus",
					   "--nonsense",
					   "--seed",
					   "--cut 1s",
					   "--cut 5f",
					   "--shrink 1500",
					   "--begin x",
					   "--record file",
					   "--way ab --repeat 0" };
	size_t i;

	(void)state;
	t_here("%s --help | grep -q -- --loss", relay_path);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		t_here("s=0; %s %s v0 w0 2>/dev/null || s=$?; [ $s = 2 ]",
		       relay_path, bad[i]);
	t_here("s=0; %s v0 2>/dev/null || s=$?; [ $s = 2 ]", relay_path);
	t_here("s=0; %s v0 nodev 2>/dev/null || s=$?; [ $s = 1 ]", relay_path);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(relay__perfect_wire),
		T(relay__loses_whom_the_model_loses),
		T(relay__duplicates_and_damages),
		T(relay__reorders),
		T(relay__every_size),
		T(relay__vlan_tag_stays_where_it_was),
		T(relay__other_ports_are_left_alone),
		T(relay__only_acks),
		T(relay__delay),
		T(relay__rate),
		T(relay__mtu),
		T(relay__replays_what_it_recorded),
		T(relay__cut_by_signal_and_mended),
		T(relay__usage),
	};

	if (t_netns_skip())
		return 0;
	relay_path = getenv("RELAY");
	if (!relay_path) {
		puts("1..0 # SKIP RELAY does not name the relay program");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
