/* SPDX-License-Identifier: GPL-2.0-or-later */
/* out.h - stdout is the result, stderr talks
 *
 * Used by the main thread only: other threads hand their figures over.
 *
 * Structured output is a tree of jansson's: the same one is printed as JSON
 * with --json and as aligned text without.  Field names carry their unit
 * (_ms, _bytes or bytes_, gbit_per_s), and the text is made from the name, so
 * there is one code path.  What is named per_* is detail: text has it with -v
 * only.  Fields whose memory cannot be had are left out: a
 * migration does not fail because a figure could not be printed, but says it.
 */
#ifndef XM_CLI_OUT_H
#define XM_CLI_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/time.h"

struct cli_ctx;

/* syslog's numbers */
enum cli_level { CLI_ERROR = 3, CLI_WARNING = 4, CLI_INFO = 6, CLI_DEBUG = 7 };

struct cli_out {
	FILE *out, *err;
	enum cli_level level; /* what is still said */
	bool json, pretty, quiet;
	bool is_terminal; /* err is */
	bool is_journal;  /* err is the journal: <3> prefixes */
	bool has_line;    /* a rewriting line stands there */
	bool has_progress;
	int64_t progress_ns; /* when progress was last printed */
	json_t *result;
};

/* -- talk --------------------------------------------------------------------- */

/* One line to stderr.  Failures are not said this way: fill cli->err and
 * return, the frame says it once. */
void cli_say(struct cli_ctx *cli, enum cli_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define cli_warn(cli, ...)  cli_say(cli, CLI_WARNING, __VA_ARGS__)
#define cli_info(cli, ...)  cli_say(cli, CLI_INFO, __VA_ARGS__)
#define cli_debug(cli, ...) cli_say(cli, CLI_DEBUG, __VA_ARGS__)

/* What a terminal would not take for a character of UTF-8 becomes '?'. */
void cli_make_printable(char *text);

struct cli_progress {
	uint64_t done, total; /* bytes of guest memory settled, to settle */
	double gbit_per_s;    /* now */
	int64_t eta_ms;       /* -1: not known */
	uint64_t losses;      /* frames resent so far */
	uint32_t epoch;
};

/* How it goes; call as often as convenient.  A terminal gets one rewriting
 * line, anything else a line every 5 s, --json an event every second; -q
 * silences the first two. */
void cli_progress(struct cli_ctx *cli, const struct cli_progress *p);

/* -- fields --------------------------------------------------------------------- */

/* @o is an object; the new object or array returned belongs to it (NULL when
 * memory is out, and all of these take NULL). */
void cli_put_u64(json_t *o, const char *name, uint64_t v);
void cli_put_int(json_t *o, const char *name, int64_t v);
void cli_put_real(json_t *o, const char *name, double v); /* 3 decimals */
/* Milliseconds from @from to @to; nothing when one of them is 0: not known. */
void cli_put_ms(json_t *o, const char *name, struct xm_time from,
		struct xm_time to);
void cli_put_bool(json_t *o, const char *name, bool v);
void cli_put_str(json_t *o, const char *name, const char *v); /* NULL: null */
json_t *cli_put_object(json_t *o, const char *name);
json_t *cli_put_array(json_t *o, const char *name);
json_t *cli_add_object(json_t *array);

/* -- events ----------------------------------------------------------------------- */

/* An event besides the result ("start", "epoch"): fields first, then emit,
 * which consumes it.  Only --json prints events; they cost nothing else. */
json_t *cli_event_new(const char *event);
void cli_event_emit(struct cli_ctx *cli, json_t *event);

/* The result, to put fields in at any time.  The frame completes it (event,
 * schema, status, and after a failure reason, message, exit_status) and prints
 * it last, also after a failure.  A "status" put in here replaces the word
 * for success, "completed". */
json_t *cli_result(struct cli_ctx *cli);

/* Was there no memory for something, at any time since the watch began? */
void cli_out_watch_memory(void);
bool cli_out_is_short(void);

#endif
