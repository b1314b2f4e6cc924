// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_netlink.c - what a kernel answers about devices, routes and neighbours
 *
 * parses: userspace/xsk/route_nl.c userspace/xsk/route_look.c userspace/xsk/caps.c userspace/xsk/ntuple.c
 *
 * Byte 0 of an input says what is asked for; the rest are answers, each two
 * bytes of length (big endian) and so many bytes, for one question after the
 * other, be it netlink's or ethtool's.  A netlink answer has its length, sequence
 * number and port made right, without which libmnl would not hand it on; and
 * it lies in a heap block of its own size, so that it is seen who reads on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <string.h>

#include "xdpmig/limits.h"
#include "xsk/caps.h"
#include "xsk/ntuple.h"
#include "xsk/route_look.h"

#include "fuzz.h"

enum { LOOK4, LOOK6, CAPS, NTUPLE, QUESTIONS };
#define PORT  1
#define RULES 64 /* places of the table at most: a NIC has hundreds */

static const uint8_t *answers; /* those that are not given yet */
static size_t answers_len;
static unsigned int seq; /* of the last question */

/* The next answer and its length; NULL: no more. */
static const uint8_t *next_answer(size_t *ret_len)
{
	const uint8_t *p = answers;
	size_t len;

	if (answers_len < 2)
		return NULL;
	len = (size_t)p[0] << 8 | p[1];
	len = len < answers_len - 2 ? len : answers_len - 2;
	answers += 2 + len;
	answers_len -= 2 + len;
	*ret_len = len;
	return p + 2;
}

/* -- in the place of the kernel, by the linker -------------------------------------- */

struct mnl_socket *__wrap_mnl_socket_open2(int bus, int flags);
int __wrap_mnl_socket_bind(struct mnl_socket *nl, unsigned int groups,
			   pid_t pid);
ssize_t __wrap_mnl_socket_sendto(const struct mnl_socket *nl, const void *req,
				 size_t len);
ssize_t __wrap_mnl_socket_recvfrom(const struct mnl_socket *nl, void *buf,
				   size_t size);
unsigned int __wrap_mnl_socket_get_portid(const struct mnl_socket *nl);
int __wrap_mnl_socket_close(struct mnl_socket *nl);
int __real_mnl_cb_run(const void *buf, size_t numbytes, unsigned int seq,
		      unsigned int portid, mnl_cb_t cb_data, void *data);
int __wrap_mnl_cb_run(const void *buf, size_t numbytes, unsigned int seq,
		      unsigned int portid, mnl_cb_t cb_data, void *data);
int __wrap_ioctl(int fd, unsigned long request, ...);

static struct mnl_socket *const played = (struct mnl_socket *)&seq;

struct mnl_socket *__wrap_mnl_socket_open2(int bus, int flags)
{
	(void)bus;
	(void)flags;
	return played;
}

int __wrap_mnl_socket_bind(struct mnl_socket *nl, unsigned int groups,
			   pid_t pid)
{
	(void)nl;
	(void)groups;
	(void)pid;
	return 0;
}

ssize_t __wrap_mnl_socket_sendto(const struct mnl_socket *nl, const void *req,
				 size_t len)
{
	const struct nlmsghdr *nlh = req;

	(void)nl;
	FUZZ_CHECK(nlh->nlmsg_len == len && len >= sizeof(*nlh));
	seq = nlh->nlmsg_seq;
	return (ssize_t)len;
}

ssize_t __wrap_mnl_socket_recvfrom(const struct mnl_socket *nl, void *buf,
				   size_t size)
{
	struct nlmsghdr nlh;
	const uint8_t *p;
	size_t len;

	(void)nl;
	p = next_answer(&len);
	if (!p || len > size) {
		errno = p ? ENOSPC : ENOBUFS;
		return -1;
	}
	memcpy(buf, p, len);
	if (len < sizeof(nlh))
		return (ssize_t)len;
	memcpy(&nlh, p, sizeof(nlh));
	nlh.nlmsg_len = (uint32_t)len;
	nlh.nlmsg_seq = seq;
	nlh.nlmsg_pid = PORT;
	memcpy(buf, &nlh, sizeof(nlh));
	return (ssize_t)len;
}

unsigned int __wrap_mnl_socket_get_portid(const struct mnl_socket *nl)
{
	(void)nl;
	return PORT;
}

int __wrap_mnl_socket_close(struct mnl_socket *nl)
{
	FUZZ_CHECK(nl == played);
	return 0;
}

int __wrap_mnl_cb_run(const void *buf, size_t numbytes, unsigned int seq_want,
		      unsigned int portid, mnl_cb_t cb_data, void *data)
{
	/* libmnl takes the padding for granted */
	void *exact = calloc(1, MNL_ALIGN(numbytes) + !numbytes);
	int r, err;

	FUZZ_CHECK(exact);
	memcpy(exact, buf, numbytes);
	r = __real_mnl_cb_run(exact, numbytes, seq_want, portid, cb_data, data);
	err = errno;
	free(exact);
	errno = err;
	return r;
}

/* A driver's answer to one of ethtool's questions: @want bytes at most. */
static int answer_ethtool(void *cmd, size_t want)
{
	uint32_t what;
	const uint8_t *p;
	size_t len;

	p = next_answer(&len);
	if (!p)
		return -EOPNOTSUPP;
	memcpy(&what, cmd, sizeof(what));
	memcpy(cmd, p, len < want ? len : want);
	memcpy(cmd, &what, sizeof(what));
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct ifreq *ifr;
	uint32_t what;
	va_list ap;
	int r;

	(void)fd;
	va_start(ap, request);
	ifr = va_arg(ap, struct ifreq *);
	va_end(ap);
	FUZZ_CHECK(request == SIOCETHTOOL);
	memcpy(&what, ifr->ifr_data, sizeof(what));
	r = answer_ethtool(
		ifr->ifr_data,
		what == ETHTOOL_GCHANNELS ? sizeof(struct ethtool_channels) :
		what == ETHTOOL_GDRVINFO  ? sizeof(struct ethtool_drvinfo) :
					    sizeof(struct ethtool_value));
	errno = -r;
	return r ? -1 : 0;
}

/* -- questions -------------------------------------------------------------------- */

static void check_look(const struct route_look *look,
		       const struct route_want *want)
{
	char text[INET6_ADDRSTRLEN];
	struct route route;

	FUZZ_CHECK(look->dev.is_ether);
	FUZZ_CHECK(memchr(look->dev.name, '\0', sizeof(look->dev.name)));
	FUZZ_CHECK(memchr(look->out.name, '\0', sizeof(look->out.name)));
	FUZZ_CHECK(!look->out.is_vlan || look->out.vlan);
	FUZZ_CHECK(look->hop.via.family == AF_INET ||
		   look->hop.via.family == AF_INET6);
	FUZZ_CHECK(look->ip_max <= XM_MTU_MAX);
	FUZZ_CHECK(look->src.family == want->peer.family);
	FUZZ_CHECK(route_addr_text(&look->hop.via, text)[0]);
	route_from_look(&route, want, look);
}

static void fill_addr(struct sockaddr_storage *ss, const char *text)
{
	struct sockaddr_in6 *six = (void *)ss;
	struct sockaddr_in *four = (void *)ss;

	ss->ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
	FUZZ_CHECK(inet_pton(ss->ss_family, text,
			     ss->ss_family == AF_INET6 ?
				     (void *)&six->sin6_addr :
				     (void *)&four->sin_addr) == 1);
}

/* Bit 2 of @how: from an address; bits 3-4: to what kind of address. */
static void look(bool is_six, unsigned int how)
{
	static const char *const peers[2][4] = {
		{ "127.0.0.1", "127.0.0.2", "224.0.0.1", "255.255.255.255" },
		{ "::1", "fe80::1", "ff02::1", "::" },
	};
	struct sockaddr_storage peer = { 0 }, src = { 0 };
	struct xm_error e = { 0 };
	struct route_want want;
	struct route_look l;
	int r;

	fill_addr(&peer, peers[is_six][how >> 3 & 3]);
	fill_addr(&src, how & 32 ? "::" : peers[is_six][0]);
	r = route_want_init(&want, 0, "eth0", (void *)&peer,
			    how & 4 ? (void *)&src : NULL, &e);
	FUZZ_CHECK(r ? e.err == r : !e.err);
	if (r)
		return;
	r = route_look(&l, played, &want);
	FUZZ_CHECK(r <= ROUTE_LOOK_E_OTHER_DEV);
	if (!r)
		check_look(&l, &want);
}

static void caps(void)
{
	struct xm_error e = { 0 };
	struct xsk_caps c;
	int r = xsk_caps_get(&c, "eth0", &e);

	FUZZ_CHECK(r ? e.err == r && e.msg[0] : !e.err);
	if (r)
		return;
	FUZZ_CHECK(!strcmp(c.ifname, "eth0") && c.zc_max_segs);
	FUZZ_CHECK(memchr(c.driver, '\0', sizeof(c.driver)));
	FUZZ_CHECK(c.numa_node >= -1);
}

/* A table of rules; the kernel has checked how many of them there are. */
static int nic(struct ntuple_dev *dev, struct ethtool_rxnfc *cmd)
{
	uint32_t room = cmd->rule_cnt;
	size_t locs = cmd->cmd == ETHTOOL_GRXCLSRLALL ? room : 0;
	int r = answer_ethtool(cmd, sizeof(*cmd) + locs * sizeof(uint32_t));

	(void)dev;
	if (cmd->cmd == ETHTOOL_GRXCLSRLCNT && cmd->rule_cnt > RULES)
		cmd->rule_cnt = RULES;
	if (cmd->cmd == ETHTOOL_GRXCLSRLALL)
		cmd->data %= 2 * RULES;
	return r;
}

static void ntuple(void)
{
	struct ntuple_dev dev = { .fd = -1, .ifname = "eth0", .call = nic };
	struct xm_error e = { 0 };
	int r = ntuple_insert_all(&dev, 0, 2, &e);

	FUZZ_CHECK(r <= 4 && (r >= 0 || (e.err == r && e.msg[0])));
	FUZZ_CHECK(ntuple_count_ours(&dev) <= RULES);
	FUZZ_CHECK(ntuple_remove_ours(&dev) <= RULES);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	answers = data + 1;
	answers_len = size - 1;
	switch (data[0] % QUESTIONS) {
	case LOOK4:
	case LOOK6:
		look(data[0] % QUESTIONS == LOOK6, data[0]);
		break;
	case CAPS:
		caps();
		break;
	default:
		ntuple();
		break;
	}
	return 0;
}
