// SPDX-License-Identifier: GPL-2.0-or-later
/* send_opts.c - the command lines of send and recv
 *
 * An option stands where it has an effect: what both ends decide for
 * themselves is in cli_xfer_opts, what only the source decides is send's.  What
 * sweep has as well is written here, once.
 * Options are never removed or changed in meaning once released.
 */
#include "send_opts.h"

#include "core/converge.h"
#include "core/tx.h"
#include "xdpmig/limits.h"
#include "xsk/chan.h"

#define MS 1000000ull /* ns */
#define S  (1000 * MS)

/* in the order of enum xsk_zero_copy */
static const char *const zero_copy_names[] = {
	[XSK_ZERO_COPY_AUTO] = "auto",
	[XSK_ZERO_COPY_REQUIRE] = "require",
	[XSK_ZERO_COPY_PREFER] = "prefer",
	[XSK_ZERO_COPY_OFF] = "off",
	NULL,
};

/* in the order of enum cli_sandbox */
static const char *const sandbox_names[] = {
	[CLI_SANDBOX_OFF] = "off",
	[CLI_SANDBOX_ON] = "on",
	NULL,
};

const char *const cli_drain_names[] = {
	[XM_DRAIN_HALF] = "half",
	[XM_DRAIN_FULL] = "full",
	[XM_DRAIN_ONE] = "one",
	NULL,
};

#define XFER(field) offsetof(struct cli_xfer_opts, field)
#define SEND(field) offsetof(struct cli_send_opts, field)
#define RECV(field) offsetof(struct cli_recv_opts, field)

static const struct cli_opt what_opts[] = {
	{ "ram", .type = CLI_STR, .arg = "FILE", .offset = XFER(ram),
	  .help = "memory of a guest that does not run: a file of shared "
		  "memory, such as that of a QEMU memory-backend-file with "
		  "share=on; recv creates it" },
	{ "qmp", .type = CLI_STR, .arg = "SOCKET", .offset = XFER(qmp),
	  .max = 107,
	  .help = "the guest of the QEMU whose monitor (QMP) is at SOCKET; at "
		  "recv one that waits with -incoming defer" },
	{ "name", .type = CLI_STR, .arg = "NAME", .offset = XFER(name),
	  .max = 63,
	  .help = "what 'xdpmig status', 'cancel', 'continue' and 'set' call "
		  "this migration (default: the guest's name)" },
	{ "dry-run", .type = CLI_FLAG, .offset = XFER(dry_run),
	  .help = "print the plan and every option with its origin; touch "
		  "nothing" },
	{ 0 },
};

const struct cli_opt cli_where_opts[] = {
	{ "dev", .alias = "device", .type = CLI_STR, .arg = "DEV",
	  .offset = XFER(dev), .max = 15,
	  .help = "network device (default: the one where 'xdpmig attach' was "
		  "run)" },
	{ "port", .type = CLI_UINT, .arg = "BASE", .offset = XFER(port),
	  .min = 1024, .max = 65535 - XM_CHAN_MAX + 1, .def = XM_PORT_DATA,
	  .help = "UDP port of channel 0; channel i has BASE + i" },
	{ "zero-copy", .type = CLI_ENUM, .names = zero_copy_names,
	  .offset = XFER(zero_copy), .def = XSK_ZERO_COPY_AUTO,
	  .help = "require: fail without it; prefer: take what there is, "
		  "staging too; auto: require on a device that has it" },
	{ "stall", .type = CLI_DURATION, .arg = "TIME",
	  .offset = XFER(stall_ns), .min = 100 * MS, .max = 3600 * S,
	  .def = XM_STALL_MS * MS,
	  .help = "fail after so long without any progress" },
	{ 0 },
};

const struct cli_opt cli_tuning_opts[] = {
	{ "lock-budget", .type = CLI_BYTES, .arg = "BYTES",
	  .offset = XFER(lock_budget), .min = XM_PACKET_SIZE, .zero = "none",
	  .help = "lock at most so much memory, all channels together" },
	{ "rx-memory", .type = CLI_BYTES, .arg = "BYTES",
	  .offset = XFER(rx_memory), .min = 1 << 20, .max = 1ull << 36,
	  .def = XM_RX_MEMORY,
	  .help = "receive buffers, all channels together" },
	{ "threads", .type = CLI_UINT, .arg = "N", .offset = XFER(threads),
	  .max = XM_CHAN_MAX, .zero = "auto",
	  .help = "threads that serve the channels" },
	{ "busy-poll", .type = CLI_DURATION, .arg = "TIME",
	  .offset = XFER(busy_poll_ns), .min = 1000, .max = 10 * MS,
	  .zero = "off", .bare = "50us",
	  .help = "poll the device for TIME before sleeping; alone: for "
		  "50us" },
	{ "trace", .type = CLI_STR, .arg = "FILE", .offset = XFER(trace),
	  .help = "write the protocol's events to FILE" },
	{ "sandbox", .type = CLI_ENUM, .names = sandbox_names,
	  .offset = XFER(sandbox), .def = CLI_SANDBOX_ON,
	  .help = "on: when all is set up, give up capabilities and the system "
		  "calls that are not used; off: keep them, to look for a "
		  "mistake" },
	{ 0 },
};

static const struct cli_opt send_opts[] = {
	{ "queues", .type = CLI_QUEUES, .arg = "N|A-B", .offset = SEND(queues),
	  .max = 1023, .zero = "all",
	  .help = "use so many channels, one for each queue of the device, or "
		  "just these queues" },
	{ "block", .type = CLI_STR, .arg = "NAME", .offset = SEND(block),
	  .max = XM_BLOCK_NAME - 1, .def_str = "ram0",
	  .help = "what the guest calls this memory (QEMU: the id of the "
		  "memory backend)" },
	{ "bandwidth", .type = CLI_RATE, .arg = "RATE",
	  .offset = SEND(bandwidth), .min = 1000000, .zero = "none",
	  .help = "never send faster than RATE bits per second" },
	{ "in-flight", .type = CLI_BYTES, .arg = "BYTES",
	  .offset = SEND(in_flight), .min = XM_PACKET_SIZE, .max = 1ull << 32,
	  .def = XM_IN_FLIGHT,
	  .help = "guest memory that a channel may have on its way at a "
		  "time" },
	{ "drain", .type = CLI_ENUM, .names = cli_drain_names,
	  .offset = SEND(drain), .def = XM_DRAIN_ONE,
	  .help = "when that much is on its way, wait until half of it has "
		  "arrived, all of it, or one packet of 512K" },
	{ "verify", .type = CLI_FLAG, .offset = SEND(verify),
	  .help = "before the guest is handed over, hash all of its memory at "
		  "both ends and compare: what differs is sent again, and "
		  "once more ends the migration" },
	{ 0 },
};

/* in the order of enum xm_converge_how */
static const char *const converge_names[] = {
	[XM_CONVERGE_AUTO] = "auto",
	[XM_CONVERGE_STOP] = "stop",
	[XM_CONVERGE_FAIL] = "fail",
	NULL,
};

static const struct cli_opt live_opts[] = {
	{ "max-downtime", .type = CLI_DURATION, .arg = "TIME",
	  .offset = SEND(max_downtime_ns), .min = 1 * MS, .max = 86400 * S,
	  .def = 300 * MS,
	  .help = "pause the guest when the rest can be sent in TIME" },
	{ "converge", .type = CLI_ENUM, .names = converge_names,
	  .offset = SEND(converge), .def = XM_CONVERGE_AUTO,
	  .help = "a guest that writes faster than can be sent: auto: slow it "
		  "down; stop: switch over when --timeout comes; fail: give "
		  "up then" },
	{ "timeout", .type = CLI_DURATION, .arg = "TIME",
	  .offset = SEND(deadline_ns), .min = 1 * S, .max = 86400 * S,
	  .zero = "none", .help = "time the guest has to converge" },
	{ "pause-before-switchover", .type = CLI_FLAG, .offset = SEND(hold),
	  .help = "when all memory is at the target and the guest is paused, "
		  "wait for 'xdpmig continue'" },
	{ "synthetic", .type = CLI_STR, .arg = "SIZE[,RATE[,PATTERN]]",
	  .offset = SEND(synthetic),
	  .help = "no guest, but a process that writes RATE bytes a second "
		  "of SIZE bytes: random, sequential or hot; to measure "
		  "with" },
	{ 0 },
};

static const struct cli_opt send_pos[] = {
	{ "peer", .type = CLI_STR, .arg = "PEER[:PORT]", .offset = SEND(peer),
	  .required = true,
	  .help = "the target, where 'xdpmig recv' waits: a name or an "
		  "address, IPv6 with a port as [ADDR]:PORT" },
	{ 0 },
};

static const struct cli_group send_groups[] = {
	{ "What to migrate", what_opts, SEND(x) },
	{ "Where and how", cli_where_opts, SEND(x) },
	{ "Who may be the peer", cli_trust_opts, SEND(x.trust) },
	{ "Sending", send_opts },
	{ "A running guest", live_opts },
	{ "Tuning", cli_tuning_opts, SEND(x) },
	{ 0 },
};

const struct cli_spec cli_send = {
	.name = "send",
	.help = "migrate a guest to PEER",
	.about = "Migrate a running QEMU guest (--qmp), or the memory of one "
		 "that does not run (--ram), to PEER. Until the target "
		 "confirms that all of it arrived, every failure leaves the "
		 "guest here, running as before.",
	.pos = send_pos,
	.groups = send_groups,
	.size = sizeof(struct cli_send_opts),
	.example = "  xdpmig send --dev ens1f0 --queues 16 --qmp "
		   "/run/vm1.qmp 198.18.0.2\n"
		   "  xdpmig send --dev ens1f0 --queues 16 --ram "
		   "/dev/shm/vm1 198.18.0.2\n"
		   "  xdpmig send --queues 16            the rest is in "
		   "the configuration file\n"
		   "  xdpmig send --dry-run --bandwidth 80G 198.18.0.2\n",
};

static const struct cli_opt recv_opts[] = {
	{ "listen", .type = CLI_STR, .arg = "ADDR[:PORT]",
	  .offset = RECV(listen),
	  .help = "wait for the source here (default: DEV's first address, "
		  "port 61951)" },
	{ "queues", .type = CLI_QUEUES, .arg = "N|A-B", .offset = RECV(queues),
	  .max = 1023, .zero = "all",
	  .help = "give a migration at most so many queues of the device, or "
		  "just these: another recv can have the others" },
	{ "paused", .type = CLI_FLAG, .offset = RECV(paused),
	  .help = "leave the guest paused when it is here" },
	{ "discard", .type = CLI_FLAG, .offset = RECV(discard),
	  .help = "receive memory, one migration after another, and throw it "
		  "away: for 'xdpmig sweep', and to measure with" },
	{ 0 },
};
_Static_assert(XM_PORT_CTL == 61951, "say so in recv's help and the man page");

static const struct cli_group recv_groups[] = {
	{ "What to migrate", what_opts, RECV(x) },
	{ "Where and how", cli_where_opts, RECV(x) },
	{ "Who may be the peer", cli_trust_opts, RECV(x.trust) },
	{ "Receiving", recv_opts },
	{ "Tuning", cli_tuning_opts, RECV(x) },
	{ 0 },
};

const struct cli_spec cli_recv = {
	.name = "recv",
	.help = "receive a guest",
	.about = "Wait for one migration, receive it into a QEMU that waits "
		 "(--qmp) or into FILE (--ram), which gets the size that the "
		 "source announces, and exit.",
	.groups = recv_groups,
	.size = sizeof(struct cli_recv_opts),
	.example = "  xdpmig recv --dev ens1f0 --qmp /run/vm1.qmp\n"
		   "  xdpmig recv --dev ens1f0 --ram /dev/shm/vm1\n"
		   "  xdpmig recv --listen 198.18.0.2 --json\n",
};
