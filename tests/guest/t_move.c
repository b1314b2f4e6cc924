// SPDX-License-Identifier: GPL-2.0-or-later
#include "t_move.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void at_step(const struct t_move *m, enum t_step next)
{
	static const char *const names[] = { "open",   "track",  "copied",
					     "paused", "handed", "loaded",
					     "commit", "moved" };

	if (getenv("DEBUG"))
		fprintf(stderr, "# %s: %lu pages, %lu bytes of device state\n",
			names[next], (unsigned long)m->harvested,
			(unsigned long)m->n_device);
}

void t_move_open(struct t_move *m)
{
	unsigned int i;

	T_OK(guest_source_qemu(&m->s, m->a.q.socket, &m->e));
	T_OK(guest_source_map(m->s, &m->from, &m->e));
	for (i = 0; i < m->from.map.n_blocks; i++)
		m->dirty[i] = calloc(m->from.map.block[i].len >> 18, 8);
	if (!m->b.q.pid)
		return;
	T_OK(guest_target_qemu(&m->t, m->b.q.socket, &m->e));
	T_OK(guest_target_make(m->t, &m->s->id, &m->to, &m->e));
}

static void copy_page(struct t_move *m, unsigned int block, uint64_t page)
{
	if (m->t)
		memcpy(m->to.map.block[block].hva + (page << 12),
		       m->from.map.block[block].hva + (page << 12), 4096);
}

void t_move_epoch(struct t_move *m)
{
	uint64_t pages, page;
	unsigned int i;

	T_OK(guest_source_harvest(m->s, m->dirty, &pages, &m->e));
	m->harvested += pages;
	for (i = 0; i < m->from.map.n_blocks; i++) {
		for (page = 0; page < m->from.map.block[i].len >> 12; page++)
			if (m->dirty[i][page / 64] >> page % 64 & 1)
				copy_page(m, i, page);
		memset(m->dirty[i], 0, m->from.map.block[i].len >> 15);
	}
}

static void copy_all(struct t_move *m)
{
	uint64_t page;
	unsigned int i;

	for (i = 0; i < m->from.map.n_blocks; i++)
		for (page = 0; page < m->from.map.block[i].len >> 12; page++)
			copy_page(m, i, page);
}

/* Carry device state. */
static void pump(struct t_move *m)
{
	ssize_t n;

	for (;;) {
		while (m->t && m->at < m->n_held) {
			n = guest_target_write_device(m->t, m->held + m->at,
						      m->n_held - m->at, &m->e);
			if (n == -EAGAIN)
				break;
			if (n < 0)
				fail_msg("%s", m->e.msg);
			m->at += (size_t)n;
		}
		m->s->is_choked = m->t && m->at < m->n_held;
		if (m->t)
			m->t->has_backlog = m->s->is_choked;
		if (m->s->is_choked)
			return;
		n = guest_source_read_device(m->s, m->held, sizeof(m->held),
					     &m->e);
		if (n == -EAGAIN || n == 0)
			return;
		if (n < 0)
			fail_msg("%s", m->e.msg);
		m->n_held = (size_t)n;
		m->at = 0;
		m->n_device += (uint64_t)n;
	}
}

void t_move_await(struct t_move *m, unsigned int want)
{
	struct pollfd fds[2 * GUEST_FDS_MAX];
	unsigned int n, news, seen = 0;

	while (!(seen & want)) {
		pump(m);
		n = guest_source_fds(m->s, fds);
		if (m->t)
			n += guest_target_fds(m->t, fds + n);
		if (poll(fds, n, 20000) <= 0)
			fail_msg("news %#x never came", want);
		T_OK(guest_source_turn(m->s, &news, &m->e));
		seen |= news;
		if (m->t) {
			T_OK(guest_target_turn(m->t, &news, &m->e));
			seen |= news;
		}
	}
	pump(m);
}

void t_move_step(struct t_move *m, enum t_step step)
{
	switch (step) {
	case T_TRACK:
		T_OK(guest_source_track(m->s, &m->e));
		if (m->t)
			T_OK(guest_target_begin(m->t, &m->e));
		break;
	case T_COPIED:
		copy_all(m);
		if (!strcmp(t_vm_state(&m->a), "running"))
			t_vm_goes_on(&m->a);
		t_move_epoch(m);
		break;
	case T_PAUSED:
		T_OK(guest_source_pause(m->s, &m->e));
		t_move_await(m, GUEST_PAUSED);
		t_move_epoch(m);
		break;
	case T_HANDED:
		T_OK(guest_source_hand_over(m->s, &m->e));
		t_move_await(m, GUEST_DEVICE_END);
		while (m->t && m->at < m->n_held)
			pump(m);
		break;
	case T_LOADED:
		T_OK(guest_target_end_device(m->t, &m->e));
		t_move_await(m, GUEST_LOADED);
		break;
	case T_COMMIT:
		T_OK(guest_source_commit(m->s, &m->e));
		break;
	case T_MOVED:
		T_OK(guest_target_run(m->t, !m->s->was_running, &m->e));
		t_move_await(m, GUEST_RUNS);
		guest_source_done(m->s);
		break;
	case T_OPEN:
	case T_STEPS:
		break;
	}
}

void t_move_to(struct t_move *m, enum t_step step)
{
	enum t_step i;

	t_move_open(m);
	for (i = T_TRACK; i <= step; i++) {
		t_move_step(m, i);
		at_step(m, i);
	}
}

void t_move_close(struct t_move *m)
{
	unsigned int i;

	guest_ram_close(&m->from);
	guest_ram_close(&m->to);
	m->s = guest_source_close(m->s);
	m->t = guest_target_close(m->t);
	for (i = 0; i < XM_BLOCK_MAX; i++)
		free(m->dirty[i]);
	memset(m->dirty, 0, sizeof(m->dirty));
	memset(&m->e, 0, sizeof(m->e));
	m->n_held = m->at = 0;
	m->n_device = m->harvested = 0;
}

static const struct t_vm_opts source = { .pace = 100 };
const struct t_vm_opts t_move_target = { .pace = 100, .is_target = true };

int t_move_setup_none(void **state)
{
	*state = calloc(1, sizeof(struct t_move));
	return !*state;
}

int t_move_setup(void **state)
{
	struct t_move *m;

	if (t_move_setup_none(state))
		return 1;
	m = *state;
	t_vm_start(&m->a, &source);
	t_vm_start(&m->b, &t_move_target);
	return 0;
}

int t_move_teardown(void **state)
{
	struct t_move *m = *state;

	t_move_close(m);
	t_vm_quit(&m->a);
	t_vm_quit(&m->b);
	free(m);
	return 0;
}
