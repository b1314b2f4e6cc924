// SPDX-License-Identifier: GPL-2.0-or-later
/* relay_opts.c - the relay's command line
 *
 * One table of options with their argument, help and parser.  An option about
 * trouble applies to the ways that the last --way named, at first both.
 */
#include "relay_opts.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xdpmig/wire.h"

#define HOLD_NS 50000000LL /* a held-back frame waits no longer for others */

static const char usage_text[] =
	"Usage: relay [options] A B\n"
	"Carry Ethernet frames between the devices A and B, badly.\n"
	"\n"
	"Which frames trouble meets (all, if not said):\n"
	"  --ports LO-HI      only UDP from or to a port of this range\n"
	"  --except LO-HI     all others: ARP, and the control connection\n"
	"  --types T[,T]      only frames of these types: header, data, ack,\n"
	"                     probe\n"
	"  --way ab|ba|both   options that follow are for frames from A to B,\n"
	"                     from B to A, or both (at first)\n"
	"  --begin T[,T]      trouble begins with the first frame of these types\n"
	"\n"
	"Trouble (P is 0.01 or 1%; TIME is 5ms, 200us, 1s; BYTES is 64k, 1M):\n"
	"  --loss P           each frame is lost with this probability\n"
	"  --burst P,Q[,R]    bursts of loss: good to bad with P, bad to good with\n"
	"                     Q, per frame; while bad lost with R (1)\n"
	"  --duplicate P      sent twice\n"
	"  --reorder P[,N[,TIME]]  held back until N (3) others passed, or for\n"
	"                     TIME (50ms)\n"
	"  --corrupt P[,KIND] damaged: payload (default; bits flipped behind the\n"
	"                     UDP header), header (in the frame header), truncate\n"
	"                     or extend (lengths stay), shorten or lengthen (they\n"
	"                     agree), ip (bits of the IP header), ip-len, udp-len\n"
	"                     (another length), segments (bits of the segment\n"
	"                     table), run (bytes of the payload), swap (pieces of\n"
	"                     it), tag, or the name of a field of the frame header;\n"
	"                     several with '+'; fields is all of those, all is all\n"
	"  --cut AT,FOR       nothing gets through for a while, beginning AT\n"
	"                     after the first frame that trouble may meet; each is\n"
	"                     a TIME or a number of such frames: 500f; if both\n"
	"                     ways, then both from one moment on\n"
	"  --jitter TIME      0 to TIME more delay, which reorders\n"
	"  --shrink N,AT      larger IP packets vanish after so many frames: 500f\n"
	"\n"
	"Frames once more (those that trouble may meet; as they came, untroubled):\n"
	"  --record FILE      write them to FILE, which tcpdump can read\n"
	"  --replay FILE[,N]  with each that passes, N (1) of FILE\n"
	"  --repeat EPOCH[,N] from the first of EPOCH on, with each that passes N\n"
	"                     (1) of those that came before\n"
	"\n"
	"The wire (for every frame):\n"
	"  --delay TIME       one way\n"
	"  --rate BITS        a second: 100M, 1G\n"
	"  --queue BYTES      what may wait for the rate; more is dropped\n"
	"  --ecn BYTES        what may wait before ECT frames are marked\n"
	"  --mtu N            larger IP packets vanish\n"
	"\n"
	"  --seed N           of all random choices (1)\n"
	"  --ring BYTES       receive ring of each device (64M)\n"
	"  --store BYTES      frames on their way, each way (128M)\n"
	"  --kinds            print the kinds of --corrupt, and end\n"
	"  --help\n"
	"\n"
	"Prints {\"event\":\"ready\"} and, at SIGTERM or SIGINT, one object with\n"
	"the statistics of both ways; at SIGHUP the same, and goes on.  SIGUSR1\n"
	"cuts both ways completely, SIGUSR2 mends them.\n";

static void bad(const char *name, const char *text, const char *why)
{
	fprintf(stderr, "relay: --%s %s: %s\nTry 'relay --help'\n", name, text,
		why);
	exit(2);
}

/* A number and one of @units, "name=factor ...".  Moves *@p behind it. */
static double number(const char **p, const char *name, const char *whole,
		     const char *const *unit, const double *factor)
{
	char *end;
	double v = strtod(*p, &end);
	size_t i, n;

	if (end == *p || v < 0)
		bad(name, whole, "not a number");
	*p = end;
	for (i = 0; unit[i]; i++) {
		n = strlen(unit[i]);
		if (!strncmp(end, unit[i], n)) {
			*p = end + n;
			return v * factor[i];
		}
	}
	return v;
}

static double probability(const char **p, const char *name, const char *whole)
{
	static const char *const unit[] = { "%", NULL };
	static const double factor[] = { 0.01 };
	double v = number(p, name, whole, unit, factor);

	if (v > 1)
		bad(name, whole, "more than always");
	return v;
}

static int64_t duration(const char **p, const char *name, const char *whole)
{
	static const char *const unit[] = { "ns", "us", "ms", "s", NULL };
	static const double factor[] = { 1, 1e3, 1e6, 1e9 };
	const char *start = *p;
	double v = number(p, name, whole, unit, factor);

	if (v > 0 && strchr("0123456789.", (*p)[-1]))
		bad(name, start, "needs a unit: ns, us, ms, s");
	return (int64_t)v;
}

static uint64_t amount(const char **p, const char *name, const char *whole)
{
	static const char *const unit[] = { "k", "M", "G", NULL };
	static const double bytes[] = { 1024, 1024 * 1024, 1024 * 1024 * 1024 };
	static const double bits[] = { 1e3, 1e6, 1e9 };

	return (uint64_t)number(p, name, whole, unit,
				strcmp(name, "rate") ? bytes : bits);
}

/* "500f" into *@ret_frames, or a duration. */
static int64_t moment(const char **p, const char *name, const char *whole,
		      uint64_t *ret_frames)
{
	size_t digits = strspn(*p, "0123456789");

	if (!digits || (*p)[digits] != 'f')
		return duration(p, name, whole);
	*ret_frames = strtoull(*p, NULL, 10);
	*p += digits + 1;
	return 0;
}

static bool comma(const char **p)
{
	if (**p != ',')
		return false;
	++*p;
	return true;
}

/* The bits of names in @text, separated by @sep, with @table's indices. */
static uint64_t names(const char **p, const char *name, const char *whole,
		      char sep, const char *const *table, unsigned int n)
{
	uint64_t bits = 0;
	unsigned int i;
	size_t len;

	do {
		for (i = 0; i < n; i++) {
			len = table[i] ? strlen(table[i]) : 0;
			if (len && !strncmp(*p, table[i], len) &&
			    ((*p)[len] == sep || !(*p)[len]))
				break;
		}
		if (i == n)
			bad(name, whole, "no such name");
		bits |= 1ULL << i;
		*p += strlen(table[i]);
	} while (**p == sep && ++*p);
	return bits;
}

static void parse_ports(struct relay_opts *o, const char *name, const char *arg)
{
	unsigned int lo, hi;
	char end;

	if (sscanf(arg, "%u-%u%c", &lo, &hi, &end) != 2 || !lo || lo > hi ||
	    hi > 65535)
		bad(name, arg, "not a range LO-HI");
	o->port_lo = (uint16_t)lo;
	o->port_hi = (uint16_t)hi;
}

static unsigned int parse_types(const char *name, const char *arg)
{
	static const char *const type[] = { [XM_WIRE_HEADER] = "header",
					    [XM_WIRE_DATA] = "data",
					    [XM_WIRE_ACK] = "ack",
					    [XM_WIRE_PROBE] = "probe" };
	const char *p = arg;

	return (unsigned int)names(&p, name, arg, ',', type, XM_WIRE_PROBE + 1);
}

/* Kinds of damage, as bits. */
static uint64_t parse_kinds(const char **p, const char *arg)
{
	const uint64_t all = (1ULL << IMPAIR_DAMAGE__COUNT) - 2;
	const uint64_t fields = all & ~((1ULL << IMPAIR_FIELD) - 1);
	const char *name[IMPAIR_DAMAGE__COUNT + 1] = { "all" };
	uint64_t bits;
	unsigned int i;

	for (i = 1; i < IMPAIR_DAMAGE__COUNT; i++)
		name[i] = mangle_name((enum impair_damage)i);
	name[i] = "fields";
	bits = names(p, "corrupt", arg, '+', name, i + 1);
	return (bits & all) | (bits & 1 ? all : 0) |
	       (bits & 1ULL << i ? fields : 0);
}

static void print_kinds(void)
{
	unsigned int i;

	for (i = 1; i < IMPAIR_DAMAGE__COUNT; i++)
		puts(mangle_name((enum impair_damage)i));
}

static void parse_cut(struct impair_opts *w, const char **p, const char *arg)
{
	w->cut_at_frames = w->cut_len_frames = 0;
	w->cut_at_ns = moment(p, "cut", arg, &w->cut_at_frames);
	if (!comma(p))
		bad("cut", arg, "needs AT,FOR");
	w->cut_len_ns = moment(p, "cut", arg, &w->cut_len_frames);
}

static void parse_shrink(struct impair_opts *w, const char **p, const char *arg)
{
	w->mtu = (unsigned int)amount(p, "shrink", arg);
	w->mtu_from = 0;
	if (!comma(p) || moment(p, "shrink", arg, &w->mtu_from))
		bad("shrink", arg, "needs N,AT; AT as 500f");
}

/* Options of one way.  Moves *@p behind what it took. */
static void parse_trouble(struct impair_opts *w, const char *name,
			  const char **p, const char *arg)
{
	if (!strcmp(name, "loss")) {
		w->loss = probability(p, name, arg);
	} else if (!strcmp(name, "burst")) {
		w->burst_enter = probability(p, name, arg);
		if (!comma(p))
			bad(name, arg, "needs P,Q");
		w->burst_leave = probability(p, name, arg);
		w->burst_loss = comma(p) ? probability(p, name, arg) : 1;
	} else if (!strcmp(name, "duplicate")) {
		w->duplicate = probability(p, name, arg);
	} else if (!strcmp(name, "reorder")) {
		w->reorder = probability(p, name, arg);
		w->depth = comma(p) ? (unsigned int)amount(p, name, arg) : 3;
		w->hold_ns = comma(p) ? duration(p, name, arg) : HOLD_NS;
	} else if (!strcmp(name, "corrupt")) {
		w->damage = probability(p, name, arg);
		w->damages = comma(p) ? parse_kinds(p, arg) :
					1ULL << IMPAIR_PAYLOAD;
	} else if (!strcmp(name, "cut")) {
		parse_cut(w, p, arg);
	} else if (!strcmp(name, "shrink")) {
		parse_shrink(w, p, arg);
	} else if (!strcmp(name, "jitter")) {
		w->jitter_ns = duration(p, name, arg);
	} else if (!strcmp(name, "delay")) {
		w->delay_ns = duration(p, name, arg);
	} else if (!strcmp(name, "rate")) {
		w->rate = amount(p, name, arg);
	} else if (!strcmp(name, "queue")) {
		w->queue_bytes = amount(p, name, arg);
	} else if (!strcmp(name, "ecn")) {
		w->ecn_bytes = amount(p, name, arg);
	} else if (!strcmp(name, "mtu")) {
		w->mtu = (unsigned int)amount(p, name, arg);
	}
}

/* The same for tapes: "WORD[,N]", of which @ret_word is the word. */
static void parse_tape(struct relay_tape *t, const char *name, const char **p,
		       const char *arg)
{
	char *word = strndup(arg, strcspn(arg, ",")), *end = NULL;

	if (!word || !*word)
		bad(name, arg, "nothing said");
	*p += strlen(word);
	if (!strcmp(name, "record")) {
		t->record = word;
		return;
	}
	if (!strcmp(name, "replay")) {
		t->replay = word;
	} else {
		t->repeat = (uint32_t)strtoul(word, &end, 10);
		if (*end || !t->repeat)
			bad(name, arg, "not an epoch");
		free(word);
	}
	t->times = comma(p) ? (unsigned int)amount(p, name, arg) : 1;
}

static unsigned int parse_way(const char *arg)
{
	if (!strcmp(arg, "ab"))
		return 1;
	if (!strcmp(arg, "ba"))
		return 2;
	if (strcmp(arg, "both"))
		bad("way", arg, "is ab, ba or both");
	return 3;
}

static const struct option long_opts[] = {
	{ "ports", 1, NULL, 'p' },  { "types", 1, NULL, 't' },
	{ "way", 1, NULL, 'w' },    { "seed", 1, NULL, 's' },
	{ "ring", 1, NULL, 'r' },   { "store", 1, NULL, 'o' },
	{ "help", 0, NULL, 'h' },   { "kinds", 0, NULL, 'k' },
	{ "except", 1, NULL, 'e' }, { "loss", 1, NULL, 0 },
	{ "burst", 1, NULL, 0 },    { "duplicate", 1, NULL, 0 },
	{ "reorder", 1, NULL, 0 },  { "corrupt", 1, NULL, 0 },
	{ "cut", 1, NULL, 0 },      { "jitter", 1, NULL, 0 },
	{ "delay", 1, NULL, 0 },    { "rate", 1, NULL, 0 },
	{ "queue", 1, NULL, 0 },    { "ecn", 1, NULL, 0 },
	{ "mtu", 1, NULL, 0 },      { "shrink", 1, NULL, 0 },
	{ "begin", 1, NULL, 'b' },  { "record", 1, NULL, 'T' },
	{ "replay", 1, NULL, 'T' }, { "repeat", 1, NULL, 'T' },
	{ NULL, 0, NULL, 0 },
};

static void parse_one(struct relay_opts *o, int c, const char *name,
		      unsigned int *ways)
{
	const char *p = optarg;
	char *end;

	switch (c) {
	case 'h':
		fputs(usage_text, stdout);
		exit(0);
	case 'k':
		print_kinds();
		exit(0);
	case 'p':
	case 'e':
		parse_ports(o, name, optarg);
		o->others = c == 'e';
		return;
	case 't':
		o->types = parse_types(name, optarg);
		return;
	case 'b':
		o->begin = parse_types(name, optarg);
		return;
	case 'w':
		*ways = parse_way(optarg);
		return;
	case 's':
		o->seed = strtoull(optarg, &end, 0);
		p = end;
		break;
	case 'r':
		o->ring = amount(&p, name, optarg);
		break;
	case 'o':
		o->store = amount(&p, name, optarg);
		break;
	case 'T':
		if (*ways == 3)
			bad(name, optarg, "is for one way: --way ab or ba");
		parse_tape(&o->tape[*ways - 1], name, &p, optarg);
		break;
	default:
		if (*ways & 1)
			parse_trouble(&o->way[0], name, &p, optarg);
		p = optarg;
		if (*ways & 2)
			parse_trouble(&o->way[1], name, &p, optarg);
		else
			parse_trouble(&(struct impair_opts){ 0 }, name, &p,
				      optarg);
		break;
	}
	if (*p || p == optarg)
		bad(name, optarg, "not understood");
}

void relay_opts_parse(struct relay_opts *ret, int argc, char **argv)
{
	struct relay_opts o = { .seed = 1,
				.ring = 64 << 20,
				.store = 128 << 20 };
	unsigned int ways = 3;
	int c, idx = 0;

	while ((c = getopt_long(argc, argv, "h", long_opts, &idx)) != -1) {
		if (c == '?') {
			fputs("Try 'relay --help'\n", stderr);
			exit(2);
		}
		parse_one(&o, c, long_opts[idx].name, &ways);
	}
	if (argc - optind != 2) {
		fputs("relay: needs two devices\nTry 'relay --help'\n", stderr);
		exit(2);
	}
	o.dev[0] = argv[optind];
	o.dev[1] = argv[optind + 1];
	*ret = o;
}

static bool in_range(const struct relay_opts *o, uint16_t port)
{
	return port >= o->port_lo && port <= o->port_hi;
}

bool relay_is_subject(const struct relay_opts *o, const struct mangle *m)
{
	bool is_in = m->udp && (in_range(o, m->sport) || in_range(o, m->dport));

	if (o->port_lo && is_in == o->others)
		return false;
	if (o->types && !(m->type < 32 && o->types & 1u << m->type))
		return false;
	return true;
}
