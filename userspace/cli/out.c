// SPDX-License-Identifier: GPL-2.0-or-later
/* out.c - talk on stderr: messages and progress
 *
 * A message is one line.  When stderr is the journal (systemd says so in
 * JOURNAL_STREAM, and the descriptor is compared, since the variable is
 * inherited by children whose stderr is something else) it carries its level
 * as <3>.  On a terminal the progress line is rewritten in place: it is wiped
 * before a message is said and never longer than the terminal is wide.
 */
#include "out.h"

#include "opt.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NS                1000000000ll
#define PROGRESS_TERMINAL (NS / 5) /* between rewrites */
#define PROGRESS_LINE     (5 * NS) /* between lines in a log */
#define PROGRESS_JSON     NS       /* between events */

static bool is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uint64_t dev, ino;
	struct stat st;

	return stream &&
	       sscanf(stream, "%" SCNu64 ":%" SCNu64, &dev, &ino) == 2 &&
	       !fstat(fd, &st) && st.st_dev == dev && st.st_ino == ino;
}

void cli_out_open(struct cli_out *out, FILE *stdout_to, FILE *stderr_to)
{
	int fd = fileno(stderr_to);

	cli_out_watch_memory();
	*out = (struct cli_out){
		.out = stdout_to,
		.err = stderr_to,
		.level = CLI_INFO,
		.is_terminal = fd >= 0 && isatty(fd),
		.is_journal = fd >= 0 && is_journal(fd),
	};
}

void cli_out_set(struct cli_out *out, const struct cli_std *std)
{
	out->json = std->json || std->pretty;
	out->pretty = std->pretty;
	out->quiet = std->quiet;
	out->level = std->verbose ? CLI_DEBUG :
		     std->quiet   ? CLI_WARNING :
				    CLI_INFO;
}

void cli_out_close(struct cli_out *out)
{
	json_decref(out->result);
	out->result = NULL;
}

/* Forget the rewriting line, so that something else can be printed. */
static void out_wipe(struct cli_out *out)
{
	if (out->has_line)
		fputs("\r\033[K", out->err);
	out->has_line = false;
}

/* Bytes at @p that are one character of UTF-8, and no control character of C0 or C1,
 * also not in a form longer than it is; 0: none is. */
static size_t printable(const unsigned char *p)
{
	static const unsigned char lead[] = { 0, 0, 0xc2, 0xe0, 0xf0, 0xf5 };
	size_t i, len;

	if (*p < 0x80)
		return *p >= ' ' && *p != 0x7f;
	for (len = 2; len <= 4 && *p >= lead[len + 1]; len++)
		;
	if (len > 4 || *p < lead[2] || (*p == 0xf0 && p[1] < 0x90) ||
	    ((*p == 0xc2 || *p == 0xe0) && p[1] < 0xa0))
		return 0;
	for (i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

void cli_make_printable(char *text)
{
	unsigned char *p = (unsigned char *)text;
	size_t len;

	while (*p) {
		len = printable(p);
		if (!len)
			*p = '?';
		p += len ? len : 1;
	}
}

void cli_say(struct cli_ctx *cli, enum cli_level level, const char *fmt, ...)
{
	struct cli_out *out = &cli->out;
	char text[512];
	va_list ap;

	if (level > out->level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cli_make_printable(text); /* names come from users and from the peer */
	out_wipe(out);
	if (out->is_journal)
		fprintf(out->err, "<%d>", (int)level);
	else
		fprintf(out->err, "xdpmig: ");
	if (level == CLI_WARNING)
		fputs("warning: ", out->err);
	fprintf(out->err, "%s\n", text);
	fflush(out->err);
}

static void progress_json(struct cli_ctx *cli, const struct cli_progress *p)
{
	json_t *o = cli_event_new("progress");

	cli_put_u64(o, "epoch", p->epoch);
	cli_put_u64(o, "ram_bytes_done", p->done);
	cli_put_u64(o, "ram_bytes_total", p->total);
	cli_put_real(o, "gbit_per_s", p->gbit_per_s);
	if (p->eta_ms >= 0)
		cli_put_int(o, "eta_ms", p->eta_ms);
	else
		(void)json_object_set_new(o, "eta_ms", json_null());
	cli_put_u64(o, "frames_resent", p->losses);
	cli_event_emit(cli, o);
}

static void progress_line(const struct cli_progress *p, char *buf, size_t len)
{
	/* a guest that dirties pages makes more of them than there were */
	uint64_t left = p->done < p->total ? p->total - p->done : 0;
	double part = left ? (double)p->done / (double)p->total : 1;
	char eta[32] = "";

	if (p->eta_ms >= 0)
		snprintf(eta, sizeof(eta), "  ETA %" PRId64 " s",
			 (p->eta_ms + 999) / 1000);
	snprintf(buf, len,
		 "epoch %u  %3.0f %%  %.1f MiB left  %.2f Gbit/s%s  %" PRIu64
		 " resent",
		 p->epoch, part * 100, (double)left / (1 << 20), p->gbit_per_s,
		 eta, p->losses);
}

/* Columns of the terminal; 80 when it does not say. */
static int out_columns(const struct cli_out *out)
{
	struct winsize ws;

	if (ioctl(fileno(out->err), TIOCGWINSZ, &ws) || !ws.ws_col)
		return 80;
	return ws.ws_col;
}

void cli_progress_at(struct cli_ctx *cli, const struct cli_progress *p,
		     int64_t now_ns)
{
	struct cli_out *out = &cli->out;
	int64_t every = out->json        ? PROGRESS_JSON :
			out->is_terminal ? PROGRESS_TERMINAL :
					   PROGRESS_LINE;
	char line[200];

	if (out->quiet && !out->json)
		return;
	if (out->has_progress && now_ns - out->progress_ns < every)
		return;
	out->has_progress = true;
	out->progress_ns = now_ns;
	if (out->json) {
		progress_json(cli, p);
		return;
	}
	progress_line(p, line, sizeof(line));
	if (out->is_terminal) {
		fprintf(out->err, "\r%.*s\033[K", out_columns(out) - 1, line);
		out->has_line = true;
		fflush(out->err);
	} else {
		cli_info(cli, "%s", line);
	}
}

void cli_progress(struct cli_ctx *cli, const struct cli_progress *p)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	cli_progress_at(cli, p, ts.tv_sec * NS + ts.tv_nsec);
}

void cli_out_end_line(struct cli_out *out)
{
	if (out->has_line)
		putc('\n', out->err);
	out->has_line = false;
	fflush(out->err);
}
