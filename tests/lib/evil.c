// SPDX-License-Identifier: GPL-2.0-or-later
/* evil.c - a peer that has the key, speaks the protocol, and lies once
 *
 *   evil source --key FILE --dev DEV [--port BASE] LIE ADDR[:PORT]   to a recv
 *   evil target --key FILE --dev DEV [--port BASE] LIE ADDR[:PORT]   to a send
 *   evil --list          role, name, result, message, sentence; tabs between
 *
 * A source says it has the guest of --block NAME --ram BYTES --uuid UUID --machine TYPE,
 * whose QEMU has written --stream FILE; the target's QEMU is process --qemu ID.
 *
 * It is built of the parts of xdpmig: codecs, TLS, keys of frames, receivers.  So
 * all that it says is proven to be the peer's, and true but for the lie, which is
 * a line of a table (evil_lies_*.c):
 *
 *   bytes    of every message, or of frames, of a kind: offset, size, value.  They
 *            are changed after the codec made them and before they are sealed
 *   moments  a function, called when the session is as far as that
 *
 * "told" on stdout says that the lie is told and nothing more will be said of it;
 * the last line what was seen of the process --watch FILE (its id), which is looked at all
 * the while: the most memory it had, locked or not, descriptors, threads.
 *
 * It exits with 0 when the peer has ended the session, with 2 when that takes longer
 * than --time SECONDS (60).
 */
#include "evil.h"

#include <dirent.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/clock.h"
#include "core/crc32c.h"

void evil_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "evil: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(1);
}

/* -- the process under test -------------------------------------------------------- */

static void watch_status(struct evil *ev)
{
	unsigned long v;
	char path[40], line[120];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", ev->watch);
	f = fopen(path, "re");
	if (!f)
		return; /* it has ended */
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "VmHWM: %lu", &v) == 1 && v > ev->hwm_kib)
			ev->hwm_kib = v;
		if (sscanf(line, "VmLck: %lu", &v) == 1 && v > ev->locked_kib)
			ev->locked_kib = v;
		if (sscanf(line, "Threads: %lu", &v) == 1 && v > ev->threads)
			ev->threads = (unsigned int)v;
	}
	fclose(f);
}

/* It may have begun after us, and its id be written down later still. */
void evil_watch(struct evil *ev)
{
	FILE *f = ev->watch_file ? fopen(ev->watch_file, "re") : NULL;

	if (f && fscanf(f, "%d", &ev->watch) != 1)
		ev->watch = 0;
	if (f)
		fclose(f);
}

static void watch_fds(struct evil *ev)
{
	unsigned int n = 0;
	char path[40];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", ev->watch);
	dir = opendir(path);
	if (!dir)
		return;
	while (readdir(dir))
		n++;
	closedir(dir);
	if (n > ev->fds)
		ev->fds = n;
}

void evil_exit(struct evil *ev)
{
	if (ev->watch)
		watch_status(ev);
	evil_told(ev);
	printf("{\"hwm_kib\":%lu,\"locked_kib\":%lu,\"fds\":%u,\"threads\":%u}\n",
	       ev->hwm_kib, ev->locked_kib, ev->fds, ev->threads);
	fflush(stdout);
	ev->ctl = ctl_close(ev->ctl);
	exit(0);
}

/* -- lies ----------------------------------------------------------------------------- */

void evil_told(struct evil *ev)
{
	if (!ev->has_told)
		printf("told\n");
	ev->has_told = true;
	fflush(stdout);
}

void evil_moment(struct evil *ev, enum evil_at when)
{
	if (ev->lie->tell && ev->lie->at == when) {
		ev->lie->tell(ev);
		ev->has_lied = true;
	}
}

bool evil_poke(struct evil *ev, enum evil_at at, uint8_t *bytes)
{
	const struct evil_lie *lie = ev->lie;
	unsigned int i;

	if (at == AT_NEVER || lie->at != at || lie->tell)
		return false;
	for (i = 0; i < lie->size; i++)
		bytes[lie->offset + i] =
			(uint8_t)(lie->value >> (8 * (lie->size - 1 - i)));
	ev->has_lied = true;
	evil_told(ev);
	return true;
}

void evil_tick(struct evil *ev)
{
	static const struct xm_msg beat = { .type = XM_MSG_HEARTBEAT };
	int64_t now = xm_clock().ns;

	if (!ev->watch)
		evil_watch(ev);
	if (ev->watch && now - ev->look_ns > 50 * XM_MS) {
		ev->look_ns = now;
		watch_status(ev);
		watch_fds(ev);
	}
	if (ev->is_over)
		evil_exit(ev);
	if (now > ev->end_ns) {
		fprintf(stderr, "evil: the peer goes on\n");
		exit(2);
	}
	if (!ev->is_mute && !ev->is_saying && ev->ctl &&
	    now - ev->beat_ns > XM_SEC / 2) {
		ev->beat_ns = now; /* before: saying it looks at the time */
		(void)evil_say(ev, &beat);
	}
}

static const struct evil_lie *const tables[] = {
	evil_source_lies, evil_frame_lies, evil_target_lies,
	evil_verify_lies, evil_live_lies,
};

#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

static void list(const struct evil_lie *lie)
{
	for (; lie->name; lie++)
		printf("%s\t%s\t%s\t%s\t%s\n",
		       lie->role == EVIL_SOURCE ? "source" : "target",
		       lie->name, lie->result, lie->says, lie->sentence);
}

static const struct evil_lie *find(enum evil_role role, const char *name)
{
	const struct evil_lie *lie;
	unsigned int i;

	for (i = 0; i < N_TABLES; i++)
		for (lie = tables[i]; lie->name; lie++)
			if (lie->role == role && !strcmp(lie->name, name))
				return lie;
	evil_die("no such lie: %s", name);
}

/* -- the command line ------------------------------------------------------------------ */

#define STREAM_MAX (64u << 20)

static const struct option options[] = {
	{ "key", required_argument, NULL, 'k' },
	{ "dev", required_argument, NULL, 'd' },
	{ "port", required_argument, NULL, 'p' },
	{ "watch", required_argument, NULL, 'w' },
	{ "time", required_argument, NULL, 't' },
	{ "list", no_argument, NULL, 'l' },
	{ "block", required_argument, NULL, 'b' },
	{ "ram", required_argument, NULL, 'r' },
	{ "uuid", required_argument, NULL, 'u' },
	{ "machine", required_argument, NULL, 'M' },
	{ "stream", required_argument, NULL, 's' },
	{ "qemu", required_argument, NULL, 'q' },
	{ 0 },
};

static void read_stream(struct evil *ev)
{
	FILE *f = fopen(optarg, "re");
	uint8_t *bytes = malloc(STREAM_MAX);

	if (!f || !bytes)
		evil_die("%s cannot be read", optarg);
	ev->stream_len = fread(bytes, 1, STREAM_MAX, f);
	ev->stream = bytes;
	fclose(f);
}

static void parse_guest(struct evil *ev, int c)
{
	char hex[33] = "";
	unsigned int i, n = 0;
	const char *p;

	if (c == 'b')
		ev->block = optarg;
	else if (c == 'r')
		ev->ram = strtoull(optarg, NULL, 10);
	else if (c == 'M')
		snprintf(ev->hello.machine, sizeof(ev->hello.machine), "%s",
			 optarg);
	else if (c == 's')
		read_stream(ev);
	else if (c == 'q')
		ev->qemu = atoi(optarg);
	if (c != 'u')
		return;
	for (p = optarg; *p && n < 32; p++)
		if (*p != '-')
			hex[n++] = *p;
	for (i = 0; i < 16; i++)
		if (sscanf(hex + (size_t)2 * i, "%2hhx", &ev->hello.uuid[i]) !=
		    1)
			evil_die("no UUID: %s", optarg);
}

static void parse(struct evil *ev, int argc, char **argv)
{
	int c, i, seconds = 60;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'k')
			ev->key = optarg;
		else if (c == 'd')
			ev->dev = optarg;
		else if (c == 'p')
			ev->port_base = (uint16_t)atoi(optarg);
		else if (c == 'w')
			ev->watch_file = optarg;
		else if (c == 't')
			seconds = atoi(optarg);
		else if (c == 'l') {
			for (i = 0; i < (int)N_TABLES; i++)
				list(tables[i]);
			exit(0);
		} else if (strchr("bruMsq", c))
			parse_guest(ev, c);
		else
			exit(1);
	}
	if (argc - optind != 3 || !ev->key || !ev->dev)
		evil_die("usage: evil source|target --key FILE --dev DEV LIE "
			 "ADDR[:PORT]; or evil --list");
	ev->role = strcmp(argv[optind], "target") ? EVIL_SOURCE : EVIL_TARGET;
	ev->lie = find(ev->role, argv[optind + 1]);
	ev->addr = argv[optind + 2];
	ev->end_ns = xm_clock().ns + seconds * XM_SEC;
}

int main(int argc, char **argv)
{
	static struct evil ev = { .port_base = XM_PORT_DATA,
				  .block = "ram",
				  .ram = EVIL_RAM };
	struct ctl_trust_files files = { 0 };
	struct xm_error e = { 0 };

	parse(&ev, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	xm_crc32c_init();
	files.key = ev.key;
	if (ctl_trust_open(&ev.trust, &files, &e))
		evil_die("%s", e.msg);
	if (ev.role == EVIL_SOURCE)
		evil_source(&ev);
	evil_target(&ev);
}
