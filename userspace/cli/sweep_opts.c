// SPDX-License-Identifier: GPL-2.0-or-later
/* sweep_opts.c - the command line of sweep
 *
 * Lists have names of their own (--channels, not send's --queues): what stands
 * above all sections of the configuration file is for every command that has an
 * option of that name.
 */
#include "sweep_opts.h"

#include "sweep.h"

#define SWEEP(field) offsetof(struct cli_sweep_opts, field)

static const struct cli_opt what_opts[] = {
	{ "size", .type = CLI_BYTES, .arg = "BYTES", .offset = SWEEP(size),
	  .min = 1 << 20, .max = 1ull << 42, .def = 256 << 20,
	  .help = "memory to send in each run, all of it random" },
	{ "ram", .type = CLI_STR, .arg = "FILE", .offset = SWEEP(x.ram),
	  .help = "send this file instead: memory of a guest, which may run; "
		  "it is only read" },
	{ 0 },
};

static const struct cli_opt grid_opts[] = {
	{ "slots", .type = CLI_STR, .arg = "LIST", .offset = SWEEP(slots),
	  .def_str = "1,2,4,8,16,32,64,128,256,512,1024,10M,20M,30M",
	  .help = "sizes of a channel's header ring: slots of 512K each, or "
		  "bytes" },
	{ "channels", .type = CLI_STR, .arg = "LIST", .offset = SWEEP(channels),
	  .help = "numbers of channels (default: 1,2,4,8,16, as far as queues "
		  "are attached)" },
	{ "drains", .type = CLI_STR, .arg = "LIST", .offset = SWEEP(drains),
	  .def_str = "one,half,full",
	  .help = "what to do when the ring is full: half, full, one" },
	{ "repeat", .type = CLI_UINT, .arg = "N", .offset = SWEEP(repeat),
	  .min = 1, .max = SWEEP_REPEATS_MAX, .def = 3,
	  .help = "runs of each; the median counts" },
	{ "seed", .type = CLI_UINT, .arg = "N", .offset = SWEEP(seed),
	  .max = 4294967295, .zero = "any",
	  .help = "of the order, which is shuffled in each round" },
	{ 0 },
};

static const struct cli_opt out_opts[] = {
	{ "csv", .type = CLI_STR, .arg = "FILE", .offset = SWEEP(csv),
	  .help = "a line for each run" },
	{ "svg", .type = CLI_STR, .arg = "FILE", .offset = SWEEP(svg),
	  .help = "a picture" },
	{ "html", .type = CLI_STR, .arg = "FILE", .offset = SWEEP(html),
	  .help = "a page with picture and table" },
	{ "title", .type = CLI_STR, .arg = "TEXT", .offset = SWEEP(title),
	  .max = 100, .help = "what to write above them" },
	{ 0 },
};

static const struct cli_opt sweep_pos[] = {
	{ "peer", .type = CLI_STR, .arg = "PEER[:PORT]", .offset = SWEEP(peer),
	  .required = true, .help = "where 'xdpmig recv --discard' waits" },
	{ 0 },
};

static const struct cli_group sweep_groups[] = {
	{ "What to send", what_opts },
	{ "Where and how", cli_where_opts, SWEEP(x) },
	{ "Who may be the peer", cli_trust_opts, SWEEP(x.trust) },
	{ "What is compared", grid_opts },
	{ "Output", out_opts },
	{ "Tuning", cli_tuning_opts, SWEEP(x) },
	{ 0 },
};

const struct cli_spec cli_sweep = {
	.name = "sweep",
	.help = "find the header ring that a link needs",
	.about = "Send memory to PEER again and again, with header rings of "
		 "many sizes, drained by half and in full, on one channel and "
		 "on many, and say from what size on nothing improves. No "
		 "guest is moved: at PEER 'xdpmig recv --discard' throws away "
		 "what comes. Ctrl-C ends it with what was measured so far.",
	.pos = sweep_pos,
	.groups = sweep_groups,
	.size = sizeof(struct cli_sweep_opts),
	.example = "  target# xdpmig recv --discard --rx-memory 256M\n"
		   "  source# xdpmig sweep --html ring.html 198.18.0.2\n"
		   "  source# xdpmig sweep --slots 4,10M,20M,30M --channels "
		   "16 --repeat 9 198.18.0.2\n",
};
