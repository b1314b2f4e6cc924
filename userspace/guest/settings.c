// SPDX-License-Identifier: GPL-2.0-or-later
/* settings.c - a QEMU's migration settings, for the time of ours
 *
 * QEMU's own migration is used for everything but shared RAM:
 *
 *   x-ignore-shared           both    RAM that is shared is not in the stream
 *   events                    both    MIGRATION events tell the state
 *   pause-before-switchover   source  wait for our last epoch
 *   late-block-activate       target  disks stay the source's until "cont": a
 *                                     source that must come back can lock them
 *   max-bandwidth             source  the stream is a socket to us: no limit
 *   downtime-limit            source  switch over at once: how much is left of
 *                                     the RAM is not for QEMU to judge
 *   tls-creds                 source  none: the socket is between us two
 *
 * What an operator may have left set for another kind of migration is switched
 * off: channels of its own, answers from the target (there is no way back in
 * our stream), RAM formats, and modes that exclude the above.
 *
 * All of it is put back as it was, because the next migration may be QEMU's
 * own: with what is ours it would wait in pre-switchover for ever, or save a
 * guest without its RAM and call that completed.  So what was there is asked
 * for first (settings_plan()), and a source tells it to its guardian before
 * anything is changed (settings_change()): who puts it back is
 *
 *   source   we, when the guest is gone or back; the guardian if we die before
 *            that, or leave the guest to it
 *   target   we, as soon as QEMU has loaded, before COMMIT: who is killed later
 *            leaves none of it in a guest's QEMU.  late-block-activate is only
 *            looked at when the loading ends; "cont" takes the disks anyway.
 *            Before it loads it has "events" only (settings_watch())
 *
 * Names that a QEMU does not know are left out, if they were to be off.
 */
#include "settings.h"

#include <errno.h>
#include <string.h>

#define BANDWIDTH         (1ll << 50) /* bytes a second */
#define DOWNTIME_LIMIT_MS 2000000     /* the most that QEMU takes */

struct capability {
	const char *name;
	bool at_source, at_target;
};

static const struct capability capabilities[] = {
	{ "x-ignore-shared", true, true },
	{ "events", true, true },
	{ "pause-before-switchover", true, false },
	{ "late-block-activate", false, true },
	{ "xbzrle", false, false },
	{ "rdma-pin-all", false, false },
	{ "auto-converge", false, false },
	{ "zero-blocks", false, false },
	{ "compress", false, false },
	{ "postcopy-ram", false, false },
	{ "postcopy-preempt", false, false },
	{ "x-colo", false, false },
	{ "release-ram", false, false },
	{ "block", false, false },
	{ "return-path", false, false },
	{ "multifd", false, false },
	{ "background-snapshot", false, false },
	{ "zero-copy-send", false, false },
	{ "switchover-ack", false, false },
	{ "dirty-limit", false, false },
	{ "mapped-ram", false, false },
};

#define N_CAPABILITIES (sizeof(capabilities) / sizeof(*capabilities))

/* The entry of @list, as query-migrate-capabilities returns it. */
static json_t *find(json_t *list, const char *name)
{
	json_t *item;
	const char *text;
	size_t i;

	json_array_foreach(list, i, item)
	{
		text = json_string_value(json_object_get(item, "capability"));
		if (text && !strcmp(text, name))
			return item;
	}
	return NULL;
}

/* What of @have is to change: new values in @set, old ones in @back. */
static int compare(json_t *have, bool is_target, json_t *set, json_t *back,
		   const struct qmp *qmp, struct xm_error *e)
{
	const struct capability *c;
	json_t *item;
	bool want;

	for (c = capabilities; c < capabilities + N_CAPABILITIES; c++) {
		want = is_target ? c->at_target : c->at_source;
		item = find(have, c->name);
		if (!item && want)
			return xm_fail(e, -ENOTSUP, XM_REASON_MEMORY,
				       "%s: this QEMU cannot %s, which a live "
				       "migration needs",
				       qmp_path(qmp), c->name);
		if (!item ||
		    json_is_true(json_object_get(item, "state")) == want)
			continue;
		json_array_append_new(set, json_pack("{s:s, s:b}", "capability",
						     c->name, "state", want));
		json_array_append_new(back,
				      json_pack("{s:s, s:b}", "capability",
						c->name, "state", !want));
	}
	return 0;
}

static int plan_capabilities(struct settings *old, struct settings *ours,
			     struct qmp *qmp, bool is_target,
			     struct xm_error *e)
{
	json_t *set = json_array(), *back = json_array(), *have = NULL;
	int r;

	r = qmp_run(qmp, "query-migrate-capabilities", NULL, &have, e);
	if (!r)
		r = compare(have, is_target, set, back, qmp, e);
	if (!r && json_array_size(set)) {
		ours->capabilities = json_pack("{s:O}", "capabilities", set);
		old->capabilities = json_pack("{s:O}", "capabilities", back);
	}
	json_decref(have);
	json_decref(set);
	json_decref(back);
	return r;
}

static int plan_parameters(struct settings *old, struct settings *ours,
			   struct qmp *qmp, struct xm_error *e)
{
	static const char *const names[] = { "max-bandwidth", "downtime-limit",
					     "tls-creds" };
	json_t *have = NULL, *value;
	const char *tls;
	unsigned int i;
	int r;

	r = qmp_run(qmp, "query-migrate-parameters", NULL, &have, e);
	if (r)
		return r;
	old->parameters = json_object();
	ours->parameters = json_pack("{s:I, s:I}", names[0],
				     (json_int_t)BANDWIDTH, names[1],
				     (json_int_t)DOWNTIME_LIMIT_MS);
	tls = json_string_value(json_object_get(have, names[2]));
	if (tls && *tls)
		json_object_set_new(ours->parameters, names[2],
				    json_string(""));
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		value = json_object_get(have, names[i]);
		if (value && json_object_get(ours->parameters, names[i]))
			json_object_set(old->parameters, names[i], value);
	}
	json_decref(have);
	return 0;
}

int settings_plan(struct settings *old, struct settings *ours, struct qmp *qmp,
		  bool is_target, struct xm_error *e)
{
	int r = plan_capabilities(old, ours, qmp, is_target, e);

	if (!r && !is_target)
		r = plan_parameters(old, ours, qmp, e);
	if (r) {
		settings_forget(old);
		settings_forget(ours);
	}
	return r;
}

static int set_capabilities(const struct settings *s, struct qmp *qmp,
			    struct xm_error *e)
{
	if (!s->capabilities)
		return 0;
	return qmp_run(qmp, "migrate-set-capabilities",
		       json_incref(s->capabilities), NULL, e);
}

static int set_parameters(const struct settings *s, struct qmp *qmp,
			  struct xm_error *e)
{
	if (!s->parameters)
		return 0;
	return qmp_run(qmp, "migrate-set-parameters",
		       json_incref(s->parameters), NULL, e);
}

int settings_change(struct settings *old, struct settings *ours,
		    struct qmp *qmp, struct xm_error *e)
{
	int r = set_capabilities(ours, qmp, e);

	/* If that is refused, somebody else's migration is under way, which
	 * shall not have our parameters. */
	if (!r)
		r = set_parameters(ours, qmp, e);
	if (r)
		(void)settings_restore(old, qmp, NULL); /* @e says why */
	settings_forget(ours);
	return r;
}

/* Leave only capability @name in @s. */
static void keep_only(struct settings *s, const char *name)
{
	json_t *item = json_incref(
		find(json_object_get(s->capabilities, "capabilities"), name));

	settings_forget(s);
	if (item)
		s->capabilities = json_pack("{s:[o]}", "capabilities", item);
}

int settings_watch(struct settings *old, struct qmp *qmp, struct xm_error *e)
{
	struct settings ours = { 0 };
	int r = settings_plan(old, &ours, qmp, true, e);

	if (r)
		return r;
	keep_only(old, "events");
	keep_only(&ours, "events");
	return settings_change(old, &ours, qmp, e);
}

int settings_put_back(const struct settings *old, struct qmp *qmp,
		      struct xm_error *e)
{
	int r = set_capabilities(old, qmp, e);
	int r2 = set_parameters(old, qmp, r ? NULL : e);

	return r ? r : r2;
}

int settings_apply(struct settings *old, struct qmp *qmp, bool is_target,
		   struct xm_error *e)
{
	struct settings ours = { 0 };
	int r = settings_plan(old, &ours, qmp, is_target, e);

	return r ? r : settings_change(old, &ours, qmp, e);
}

int settings_restore(struct settings *old, struct qmp *qmp, struct xm_error *e)
{
	int r = settings_put_back(old, qmp, e);

	settings_forget(old);
	return r;
}

bool settings_any(const struct settings *s)
{
	return s->capabilities || s->parameters;
}

char *settings_dump(const struct settings *s)
{
	json_t *o = json_pack("{s:O*, s:O*}", "capabilities", s->capabilities,
			      "parameters", s->parameters);
	char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	return text;
}

void settings_load(struct settings *s, const char *text)
{
	json_t *o = json_loads(text, 0, NULL);

	settings_forget(s);
	s->capabilities = json_incref(json_object_get(o, "capabilities"));
	s->parameters = json_incref(json_object_get(o, "parameters"));
	json_decref(o);
}

void settings_forget(struct settings *s)
{
	json_decref(s->capabilities);
	json_decref(s->parameters);
	memset(s, 0, sizeof(*s));
}
