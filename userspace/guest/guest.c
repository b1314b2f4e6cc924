// SPDX-License-Identifier: GPL-2.0-or-later
/* guest.c - the verbs of guest.h, whoever runs the guest
 *
 * Each verb goes to the kind's function, and is 0 where the kind has none: a
 * file has nothing to pause and no device state.  What is the same for all
 * kinds is done here: the time that harvests take is measured.
 */
#include "guest.h"

#include <errno.h>

#include "dirtylog.h"
#include "util/now.h"

/* -- source ----------------------------------------------------------------- */

void guest_source_learn(void)
{
	dirtylog_learn();
}

int guest_source_map(struct guest_source *s, struct guest_ram *ram,
		     struct xm_error *e)
{
	return s->ops->map ? s->ops->map(s, ram, e) : 0;
}

int guest_source_track(struct guest_source *s, struct xm_error *e)
{
	return s->ops->track ? s->ops->track(s, e) : 0;
}

int guest_source_harvest(struct guest_source *s, uint64_t *const *dirty,
			 uint64_t *ret_pages, struct xm_error *e)
{
	int64_t begun;
	int r;

	*ret_pages = 0;
	if (!s->ops->harvest)
		return 0;
	begun = now_ns();
	r = s->ops->harvest(s, dirty, ret_pages, e);
	s->harvest_ns += now_ns() - begun;
	return r;
}

int guest_source_pause(struct guest_source *s, struct xm_error *e)
{
	return s->ops->pause ? s->ops->pause(s, e) : 0;
}

int guest_source_hand_over(struct guest_source *s, struct xm_error *e)
{
	return s->ops->hand_over ? s->ops->hand_over(s, e) : 0;
}

ssize_t guest_source_read_device(struct guest_source *s, void *buf, size_t len,
				 struct xm_error *e)
{
	return s->ops->read_device ? s->ops->read_device(s, buf, len, e) : 0;
}

int guest_source_commit(struct guest_source *s, struct xm_error *e)
{
	return s->ops->commit ? s->ops->commit(s, e) : 0;
}

void guest_source_done(struct guest_source *s)
{
	if (s->ops->done)
		s->ops->done(s);
}

int guest_source_resume(struct guest_source *s, struct xm_error *e)
{
	if (s->ops->resume)
		return s->ops->resume(s, e);
	s->is_back = true; /* it did not go */
	return 0;
}

int guest_source_note(struct guest_source *s, const struct guest_note *note,
		      struct xm_error *e)
{
	return s->ops->note ? s->ops->note(s, note, e) : 0;
}

int guest_source_throttle(struct guest_source *s, unsigned int percent,
			  struct xm_error *e)
{
	return s->ops->throttle ? s->ops->throttle(s, percent, e) : 0;
}

unsigned int guest_source_fds(struct guest_source *s, struct pollfd *fds)
{
	return s->ops->fds ? s->ops->fds(s, fds) : 0;
}

int guest_source_turn(struct guest_source *s, unsigned int *ret_news,
		      struct xm_error *e)
{
	*ret_news = 0;
	return s->ops->turn ? s->ops->turn(s, ret_news, e) : 0;
}

struct guest_source *guest_source_close(struct guest_source *s)
{
	return s ? s->ops->close(s) : NULL;
}

/* -- target ----------------------------------------------------------------- */

int guest_target_make(struct guest_target *t, const struct guest_identity *want,
		      struct guest_ram *ram, struct xm_error *e)
{
	return t->ops->make ? t->ops->make(t, want, ram, e) : 0;
}

int guest_target_begin(struct guest_target *t, struct xm_error *e)
{
	return t->ops->begin ? t->ops->begin(t, e) : 0;
}

ssize_t guest_target_write_device(struct guest_target *t, const void *buf,
				  size_t len, struct xm_error *e)
{
	if (t->ops->write_device)
		return t->ops->write_device(t, buf, len, e);
	return xm_fail(e, -EPROTO, XM_REASON_PROTOCOL,
		       "device state came for a guest without devices");
}

int guest_target_end_device(struct guest_target *t, struct xm_error *e)
{
	return t->ops->end_device ? t->ops->end_device(t, e) : 0;
}

int guest_target_run(struct guest_target *t, bool paused, struct xm_error *e)
{
	return t->ops->run ? t->ops->run(t, paused, e) : 0;
}

void guest_target_abandon(struct guest_target *t)
{
	if (t->ops->abandon)
		t->ops->abandon(t);
}

unsigned int guest_target_fds(struct guest_target *t, struct pollfd *fds)
{
	return t->ops->fds ? t->ops->fds(t, fds) : 0;
}

int guest_target_turn(struct guest_target *t, unsigned int *ret_news,
		      struct xm_error *e)
{
	*ret_news = 0;
	return t->ops->turn ? t->ops->turn(t, ret_news, e) : 0;
}

struct guest_target *guest_target_close(struct guest_target *t)
{
	return t ? t->ops->close(t) : NULL;
}
