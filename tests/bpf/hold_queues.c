// SPDX-License-Identifier: GPL-2.0-or-later
/* hold_queues.c - a session that does nothing but receive, for test scripts
 *
 *   hold-queues DEV COOKIE QUEUE...
 *
 * Channel i lives on the i-th queue given, with port XM_PORT_DATA + i and the
 * cookie COOKIE (hexadecimal).  Prints {"ready":true,"sg":true} when all are live;
 * sg: frames of several descriptors can be received.  On
 * SIGTERM it ends the session as one should and prints how many descriptors
 * each socket got, {"received":[...]}.  Anything else that ends it leaves what
 * a killed session leaves.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/if_xdp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xdp/xsk.h>

#include "xsk/steer.h"

#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif

#define CHUNKS 1024 /* of a socket, all in the fill ring */
#define CHUNK  XSK_UMEM__DEFAULT_FRAME_SIZE

struct held {
	struct xsk_ring_prod fill;
	struct xsk_ring_cons comp, rx;
	struct xsk_umem *umem;
	struct xsk_socket *xsk;
	unsigned int queue;
};

static bool has_sg = true;

/* Frames of several descriptors, where the kernel has them (6.6). */
static int held_socket(struct held *h, const char *ifname)
{
	struct xsk_socket_config conf = {
		.rx_size = CHUNKS,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_COPY | (has_sg ? XDP_USE_SG : 0),
	};

	return xsk_socket__create(&h->xsk, ifname, h->queue, h->umem, &h->rx,
				  NULL, &conf);
}

static int held_open(struct held *h, const char *ifname, unsigned int queue)
{
	const struct xsk_umem_config umem = { .fill_size = CHUNKS,
					      .comp_size = 64,
					      .frame_size = CHUNK };
	void *mem = mmap(NULL, CHUNKS * CHUNK, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t i, idx;
	int r;

	if (mem == MAP_FAILED)
		return -1;
	h->queue = queue;
	r = xsk_umem__create(&h->umem, mem, CHUNKS * CHUNK, &h->fill, &h->comp,
			     &umem);
	if (r)
		return r;
	r = held_socket(h, ifname);
	if (r == -EINVAL && has_sg) {
		has_sg = false;
		r = held_socket(h, ifname);
	}
	if (r)
		return r;
	if (xsk_ring_prod__reserve(&h->fill, CHUNKS, &idx) != CHUNKS)
		return -1;
	for (i = 0; i < CHUNKS; i++)
		*xsk_ring_prod__fill_addr(&h->fill, idx + i) = i * CHUNK;
	xsk_ring_prod__submit(&h->fill, CHUNKS);
	return 0;
}

static int hold(const char *ifname, uint64_t cookie, char **queues, int n)
{
	static struct held held[XM_CHAN_MAX];
	struct xm_error e = { 0 };
	struct steer s;
	sigset_t set;
	uint32_t idx;
	int i, sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (steer_open(&s, ifname, &e))
		goto fail;
	for (i = 0; i < n; i++) {
		struct xm_steer_slot slot = {
			.cookie = htobe64(cookie),
			.dport = htons((uint16_t)(XM_PORT_DATA + i)),
			.channel = (__u16)i,
		};
		int r = held_open(&held[i], ifname,
				  (unsigned int)atoi(queues[i]));

		if (r) {
			fprintf(stderr, "queue %s: %s\n", queues[i],
				strerror(-r));
			return 1;
		}
		if (steer_live(&s, held[i].queue, &slot,
			       xsk_socket__fd(held[i].xsk), &e))
			goto fail;
	}
	printf("{\"ready\":true,\"sg\":%s}\n", has_sg ? "true" : "false");
	fflush(stdout);
	sigwait(&set, &sig);
	printf("{\"received\":[");
	for (i = 0; i < n; i++) {
		steer_unlive(&s, held[i].queue);
		printf("%s%u", i ? "," : "",
		       xsk_ring_cons__peek(&held[i].rx, CHUNKS, &idx));
		xsk_socket__delete(held[i].xsk);
	}
	puts("]}");
	return 0;
fail:
	fprintf(stderr, "%s\n", e.msg);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc < 4 || argc > 3 + XM_CHAN_MAX) {
		fprintf(stderr, "Usage: hold-queues DEV COOKIE QUEUE...\n");
		return 2;
	}
	return hold(argv[1], strtoull(argv[2], NULL, 16), argv + 3, argc - 3);
}
