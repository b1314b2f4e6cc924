/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keeper_priv.h - what a keeper and its clients say to each other */
#ifndef XM_XSK_KEEPER_PRIV_H
#define XM_XSK_KEEPER_PRIV_H

#include <stdint.h>

#include "keeper.h"

#define KEEPER_VERSION 1
#define KEEPER_MAPS    5 /* and the program; descriptors of an answer */

enum keeper_ask {
	KEEPER_WHO = 1, /* nothing but the answer */
	KEEPER_GIVE_MAPS,
	KEEPER_GIVE_SOCKETS,
	KEEPER_QUIT, /* root's */
};

struct keeper_request {
	uint32_t version;
	uint32_t ask;          /* enum keeper_ask */
	uint32_t n;            /* sockets */
	uint32_t busy_poll_us; /* of theirs */
};

struct keeper_answer {
	uint32_t version;
	int32_t err; /* 0 or -errno */
	uint32_t n;  /* descriptors that come with it */
	int32_t pid;
	uint32_t user;
};

struct keeper_path {
	char s[100];
};

/* Of a device of this network namespace; 0: the folder. */
struct keeper_path keeper_path(int ifindex);

#endif
