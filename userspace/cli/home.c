// SPDX-License-Identifier: GPL-2.0-or-later
/* home.c - where the guest is, as the source tells it
 *
 *   result "source"    QEMU said that the guest is as it was before, or nothing
 *                      was ever done to it
 *   result "target"    the target said so
 *   result "unknown"   status 6: contact was lost after COMMIT; or the guest is
 *                      not at the target, and QEMU here did not say that it
 *                      is back: then there is "resume_error", and the guardian
 *                      goes on trying
 *
 * The record says the same, and is written before COMMIT ("unknown") and at the
 * end.  Is there no end, since we were killed, or left the guest to the
 * guardian, the guardian writes it; it is told what and where when the name is
 * ours, and again when the session has an id.
 */
#include "home.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/reason.h"

static json_t *home_fields(const struct home *h)
{
	json_t *o = json_object();

	cli_put_str(o, "command", "send");
	cli_put_str(o, "peer", h->peer);
	cli_put_str(o, "guest", h->guest->id.name);
	if (h->session)
		run_put_session(o, h->session);
	return o;
}

int home_record(const struct home *h, const char *where, struct xm_error *e)
{
	json_t *o;

	if (!h->guest->id.has_device || h->guest->guardian)
		return 0; /* that one writes it */
	o = home_fields(h);
	cli_put_str(o, "guest_runs_at", where);
	return run_record(h->run, o, e);
}

int home_note(const struct home *h, struct xm_error *e)
{
	char path[RUN_RECORD];
	struct guest_note note = { .path = path };
	json_t *o = home_fields(h);
	char *text = json_dumps(o, JSON_COMPACT);
	int r;

	json_decref(o);
	if (!text)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY, "out of memory");
	note.text = text;
	note.lock = run_lend(h->run, "send", path);
	r = guest_source_note(h->guest, &note, e);
	free(text);
	return r;
}

static void home_fail(const struct home *h, const struct xm_error *why)
{
	struct xm_error *e = &h->cli->err;

	memset(e, 0, sizeof(*e));
	if (h->guest->guardian)
		(void)xm_fail(e, why->err, XM_REASON_UNKNOWN_OUTCOME,
			      "THE GUEST MAY NOT RUN: it stays here, and the "
			      "guardian (process %d) goes on trying, see "
			      "'xdpmig status'; %s",
			      (int)h->guest->guardian, why->msg);
	else if (why->err == -ESRCH)
		(void)xm_fail(e, why->err, XM_REASON_UNKNOWN_OUTCOME,
			      "the guest has ended here: %s", why->msg);
	else
		(void)xm_fail(
			e, why->err, XM_REASON_UNKNOWN_OUTCOME,
			"THE GUEST MAY NOT RUN: it stays here, look at its "
			"QEMU (query-status, then cont); %s",
			why->msg);
}

int home_not_back(const struct home *h, const struct xm_error *why)
{
	json_t *o = cli_result(h->cli);
	struct xm_error was = h->cli->err;

	if (h->guest->guardian) {
		cli_put_int(o, "guardian_pid", h->guest->guardian);
		if (h->run)
			run_leave(h->run);
	}
	if (h->guest->is_back) { /* but not all settings of QEMU's, maybe */
		cli_warn(h->cli, "the guest is as it was; %s%s", why->msg,
			 h->guest->guardian ?
				 "; the guardian goes on trying to put back "
				 "QEMU's migration settings" :
				 "");
		return was.err;
	}
	if (why->reason == XM_REASON_UNKNOWN_OUTCOME) { /* another's doing */
		h->cli->err = *why;
		return why->err;
	}
	cli_warn(h->cli, "the migration was given up: %s", was.msg);
	cli_put_str(o, "given_up", xm_reason_name(was.reason));
	cli_put_str(o, "given_up_message", was.msg);
	cli_put_str(o, "resume_error", why->msg);
	home_fail(h, why);
	return why->err;
}

const char *home_name(const struct home *h, enum xm_home home)
{
	return xm_home_name(h->cli->err.reason == XM_REASON_UNKNOWN_OUTCOME ?
				    XM_HOME_UNKNOWN :
				    home);
}
