/* SPDX-License-Identifier: GPL-2.0-or-later */
/* send_opts.h - what the user can say to send and recv */
#ifndef XM_CLI_SEND_OPTS_H
#define XM_CLI_SEND_OPTS_H

#include "cli.h"
#include "trust.h"

enum cli_sandbox { CLI_SANDBOX_OFF, CLI_SANDBOX_ON };

/* Common to both sides. */
struct cli_xfer_opts {
	const char *dev;       /* NULL: the one attached device */
	const char *ram;       /* file of guest memory, or NULL */
	const char *qmp;       /* monitor of a QEMU guest, or NULL */
	const char *name;      /* of this run, or NULL */
	unsigned int port;     /* UDP, of channel 0 */
	int zero_copy;         /* enum xsk_zero_copy */
	uint64_t lock_budget;  /* bytes, whole migration; 0 = none */
	uint64_t rx_memory;    /* bytes, whole migration */
	unsigned int threads;  /* 0 = by the number of CPUs */
	uint64_t busy_poll_ns; /* 0 = event-driven */
	uint64_t stall_ns;     /* no progress for so long: failed */
	const char *trace;     /* file, or NULL */
	int sandbox;           /* enum cli_sandbox */
	bool dry_run;
	struct cli_trust_opts trust;
};

struct cli_send_opts {
	struct cli_xfer_opts x;
	const char *peer;         /* never NULL */
	struct cli_queues queues; /* n 0: all that attach serves */
	const char *block;        /* RAM block's name; never NULL */
	uint64_t in_flight;       /* bytes a channel may have unreleased */
	int drain;                /* enum xm_drain */
	uint64_t bandwidth;    /* bits per second, all channels; 0 = no cap */
	const char *synthetic; /* guest_synth_parse(), or NULL */
	uint64_t max_downtime_ns;
	uint64_t deadline_ns; /* to converge in; 0 = none */
	int converge;         /* enum xm_converge_how */
	bool hold;            /* wait for 'xdpmig continue' when paused */
	bool verify;          /* hash all memory at both ends, and compare */
};

/* What a process that serves one of many has from the one that serves all. */
struct recv_lent {
	int listen_fd, memory_fd;
};

struct cli_recv_opts {
	struct cli_xfer_opts x;
	struct cli_queues queues; /* n 0: all that attach serves */
	const char *listen; /* ADDR[:PORT]; NULL: the device's first address */
	bool paused;        /* do not let the guest run */
	bool discard;       /* one migration after another, thrown away */
	const struct recv_lent *lent; /* discard.c's, else NULL */
};

/* Options that all have who migrate; base 0: struct cli_xfer_opts. */
extern const struct cli_opt cli_where_opts[], cli_tuning_opts[];

/* Words for enum xm_drain, in its order; NULL ends. */
extern const char *const cli_drain_names[];

/* For main.c's table: { &cli_send, cmd_send }, { &cli_recv, cmd_recv }. */
extern const struct cli_spec cli_send, cli_recv;

int cmd_send(struct cli_ctx *cli, const void *opts); /* cmd_send.c */
int cmd_recv(struct cli_ctx *cli, const void *opts); /* cmd_recv.c */

#endif
