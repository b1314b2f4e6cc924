/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_probe.h - two machines that prove a path to one another
 *
 * Between them is a pipe each way that carries a frame in 50 us, if it carries
 * it at all: it may lose some, have a largest size, and deliver only what left
 * with certain source ports.
 */
#ifndef T_PROBE_H
#define T_PROBE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/probe.h"
#include "xdpmig/limits.h"

#define T_COOKIE 0x1122334455667788ULL
#define T_PORT   61955 /* by steering */
#define T_FIRST  20000 /* of the others */
#define T_SIZE   8300
#define T_DELAY  (50 * XM_US)
#define T_STEP   (10 * XM_US)
#define T_FRAMES 64
#define T_UDP    8

struct t_frame {
	struct xm_time at; /* when it arrives */
	size_t len;
	uint16_t sport;
	uint8_t buf[T_SIZE];
};

struct t_pipe {
	uint16_t mtu;          /* larger frames are lost; 0: none is */
	uint16_t modulus;      /* with 0, every port reaches the queue; else */
	uint16_t remainder;    /* those that give this */
	unsigned int lose;     /* so many of 100 frames, by chance */
	unsigned int n, first; /* frames on their way */
	uint32_t dice;
	struct t_frame frame[T_FRAMES];
};

struct t_pair {
	struct xm_probe side[2];
	struct t_pipe to[2]; /* to[1]: from side 0 to side 1 */
	struct xm_time now;
};

static inline struct xm_probe_opts t_probe_opts(void)
{
	return (struct xm_probe_opts){
		.cookie = T_COOKIE,
		.channel = 3,
		.port_base = T_PORT,
		.port_first = T_FIRST,
		.n_ports = XM_PROBE_PORTS,
		.size = T_SIZE,
		.ip_len = 20,
	};
}

static inline int t_probe_setup(void **state)
{
	struct t_pair *t = calloc(1, sizeof(*t));
	struct xm_probe_opts o = t_probe_opts();

	assert_non_null(t);
	memset(t->side, 0xa5, sizeof(t->side));
	xm_probe_init(&t->side[0], &o);
	xm_probe_init(&t->side[1], &o);
	t->now = (struct xm_time){ 5 * XM_SEC };
	*state = t;
	return 0;
}

static inline int t_probe_teardown(void **state)
{
	free(*state);
	return 0;
}

/* -- the pipes ------------------------------------------------------------- */

static inline bool t_pipe_carries(struct t_pipe *p, size_t ip_len,
				  uint16_t sport)
{
	p->dice = p->dice * 1664525 + 1013904223; /* Numerical Recipes' */
	if (p->dice / 65536 % 100 < p->lose)
		return false;
	if (p->mtu && ip_len > p->mtu)
		return false;
	return !p->modulus || sport % p->modulus == p->remainder;
}

/* All that side @from wants to send now. */
static inline void t_pair_leave(struct t_pair *t, unsigned int from)
{
	struct t_pipe *p = &t->to[!from];
	struct t_frame *f;
	uint8_t buf[T_SIZE];
	uint16_t sport;
	size_t len;

	while ((len = xm_probe_fill(&t->side[from], t->now, buf, &sport))) {
		if (!t_pipe_carries(p, len + T_UDP + 20, sport))
			continue;
		assert_in_range(p->n, 0, T_FRAMES - 1);
		f = &p->frame[(p->first + p->n++) % T_FRAMES];
		f->at = xm_time_add(t->now, T_DELAY);
		f->len = len;
		f->sport = sport;
		memcpy(f->buf, buf, len);
	}
}

/* One frame, as it is read from the queue of side @to. */
static inline enum xm_drop t_pair_take(struct t_pair *t, unsigned int to,
				       const struct t_frame *f)
{
	struct xm_frame h;
	size_t hdr_len;

	assert_int_equal(xm_frame_get(&h, &hdr_len, f->buf, f->len, f->len),
			 XM_DROP_NONE);
	return xm_probe_packet(&t->side[to], t->now, &h, f->buf + hdr_len,
			       f->len + T_UDP + 20);
}

static inline void t_pair_arrive(struct t_pair *t, unsigned int to)
{
	struct t_pipe *p = &t->to[to];

	while (p->n && !xm_time_before(t->now, p->frame[p->first].at)) {
		assert_int_equal(t_pair_take(t, to, &p->frame[p->first]),
				 XM_DROP_NONE);
		p->first = (p->first + 1) % T_FRAMES;
		p->n--;
	}
}

/* Both go on for @us. */
static inline void t_pair_talk(struct t_pair *t, int64_t us)
{
	struct xm_time end = xm_time_add(t->now, us * XM_US);

	while (xm_time_before(t->now, end)) {
		t_pair_leave(t, 0);
		t_pair_leave(t, 1);
		t->now = xm_time_add(t->now, T_STEP);
		t_pair_arrive(t, 0);
		t_pair_arrive(t, 1);
	}
}

static inline void t_pair_assert_done(const struct t_pair *t)
{
	assert_true(xm_probe_is_done(&t->side[0]));
	assert_true(xm_probe_is_done(&t->side[1]));
}

#endif
