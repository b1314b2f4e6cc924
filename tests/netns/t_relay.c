// SPDX-License-Identifier: GPL-2.0-or-later
/* t_relay.c - the relay program between two packet sockets */
#include "t_relay.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/mangle.h"
#include "core/encap.h"
#include "xdpmig/wire.h"

#define SPORT    4000 /* of what is ours */
#define ARGS_MAX 32

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

int t_relay_setup(void **state)
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

int t_relay_teardown(void **state)
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

void t_relay_start(struct t_relay *t, const char *program, const char *args)
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
		execv(program, argv);
		_exit(127);
	}
	close(out[1]);
	t->out = fdopen(out[0], "r");
	json_decref(relay_line(t));
}

void t_relay_stop(struct t_relay *t)
{
	int status;

	kill(t->pid, SIGTERM);
	json_decref(t->stats);
	t->stats = relay_line(t);
	assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
	t->pid = 0;
	assert_int_equal(status, 0);
}

json_int_t t_relay_stat(const struct t_relay *t, const char *way,
			const char *name)
{
	json_t *v = json_object_get(json_object_get(t->stats, way), name);

	assert_true(json_is_integer(v));
	return json_integer_value(v);
}

/* Signals overtake each other, so its own figures say when it has this one. */
void t_relay_cut(struct t_relay *t, int sig, bool is_cut)
{
	bool seen;

	kill(t->pid, sig);
	do {
		kill(t->pid, SIGHUP);
		json_decref(t->stats);
		t->stats = relay_line(t);
		seen = t_relay_stat(t, "ab", "is_cut");
	} while (seen != is_cut);
}

/* -- frames --------------------------------------------------------------------------- */

void t_frame_make(struct t_frame *f, uint32_t i, uint32_t payload,
		  uint16_t vlan, uint16_t dport)
{
	struct xm_path path = { .src_mac = { 2, 0, 0, 0, 0, 9 },
				.dst_mac = { 2, 0, 0, 0, 0, 8 },
				.vlan = vlan,
				.src = { 198, 18, 0, 1 },
				.dst = { 198, 18, 0, 2 },
				.sport = SPORT,
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

void t_frame_send(const struct t_relay *t, const struct t_frame *f)
{
	assert_int_equal(send(t->tx, f->b, f->len, 0), f->len);
}

bool t_frame_recv(const struct t_relay *t, struct t_frame *ret, int ms)
{
	union {
		char buf[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
		struct cmsghdr align;
	} control;
	struct pollfd p = { .fd = t->rx, .events = POLLIN };
	struct mangle m;
	ssize_t n;

	while (poll(&p, 1, ms) == 1) {
		struct iovec iov = { ret->b, T_FRAME_MAX - 4 };
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
		if (m.sport == SPORT)
			return true;
	}
	return false;
}
