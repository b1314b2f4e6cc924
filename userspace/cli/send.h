/* SPDX-License-Identifier: GPL-2.0-or-later */
/* send.h - a migration as its source sees it; for cmd_send.c and send.c */
#ifndef XM_CLI_SEND_H
#define XM_CLI_SEND_H

#include <stdbool.h>
#include <stdint.h>

#include "core/src.h"
#include "home.h"
#include "live.h"
#include "report.h"
#include "run.h"
#include "side.h"

struct send {
	struct side side;
	const struct cli_send_opts *opts;
	struct xm_src src;
	struct live live;
	struct run *run;
	enum pool_phase phase;
	bool is_pinned, is_agreed; /* the memory; with the peer */
	struct report report;
	struct xm_msg out[XM_ACTIONS_MSGS];
	uint64_t bandwidth; /* bits per second; 'xdpmig set' changes it */
	bool is_over, has_session, is_settled;
	struct home home; /* see send_home() */
};

struct xm_error *send_err(struct send *s);

/* Where the guest is, and who has to know; @s keeps it. */
const struct home *send_home(struct send *s);

/* Answer all who ask.  The session may have ended then: send_err(). */
void send_listen(struct send *s);

/* The session, from HELLO to its end; the outcome is in s->src. */
void send_run(struct send *s);

#endif
