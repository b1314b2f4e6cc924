/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_fake_qmp.h - a monitor that misbehaves as told
 *
 * The fake reads a script: what to send, and where to wait for a command.  '@'
 * in what it sends becomes the id of the last command it got.  It runs in a
 * process of its own and ends that where it can go no further.
 */
#ifndef T_FAKE_QMP_H
#define T_FAKE_QMP_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Steps of a script. */
#define READ  "\001" /* a command */
#define CLOSE "\002" /* the connection */
#define FLOOD "\003" /* 100 events */
#define HUGE  "\004" /* 20 MiB of a string that is not ended */
#define LONG  "\005" /* an answer of 4 MiB */
#define SPLIT "\006" /* from here on one byte at a time */
#define TAKE  "\007" /* a command with a descriptor, into which it writes */
#define RESET "\010" /* the bytes of who adopts */

struct fake {
	int fd, got;
	bool split;
	char id[64];
};

static inline void put(struct fake *f, const char *data, size_t len)
{
	size_t step = f->split ? 1 : len;

	for (; len; data += step, len -= step)
		if (send(f->fd, data, step, MSG_NOSIGNAL) != (ssize_t)step)
			_exit(0);
}

/* One command: to the brace that closes the first. */
static inline void get(struct fake *f)
{
	char text[4096], *id, c;
	size_t n = 0;
	int depth = 0;

	do {
		struct iovec iov = { &c, 1 };
		char control[CMSG_SPACE(sizeof(int))];
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control,
				      .msg_controllen = sizeof(control) };

		if (recvmsg(f->fd, &msg, 0) != 1 || n == sizeof(text) - 1)
			_exit(0);
		if (CMSG_FIRSTHDR(&msg))
			memcpy(&f->got, CMSG_DATA(CMSG_FIRSTHDR(&msg)),
			       sizeof(f->got));
		text[n++] = c;
		depth += (c == '{') - (c == '}');
	} while (depth || c != '}');
	text[n] = '\0';
	id = strstr(text, "\"id\":\"");
	if (id)
		snprintf(f->id, sizeof(f->id), "%.*s",
			 (int)strcspn(id + 6, "\""), id + 6);
}

static inline void put_block(struct fake *f, size_t len, char c)
{
	char *block = malloc(len);

	if (!block)
		_exit(1);
	memset(block, c, len);
	put(f, block, len);
	free(block);
}

static inline void put_flood(struct fake *f)
{
	char text[64];
	int i, n;

	for (i = 0; i < 100; i++) {
		n = snprintf(text, sizeof(text),
			     "{\"event\": \"E\", \"data\": {\"n\": %d}}\r\n",
			     i);
		put(f, text, (size_t)n);
	}
}

static inline void play_step(struct fake *f, char step)
{
	if (step == *READ || step == *TAKE)
		get(f);
	if (step == *TAKE)
		(void)!write(f->got, "given", 5);
	if (step == *RESET) {
		char c[2];

		if (recv(f->fd, c, 2, MSG_WAITALL) != 2 || c[0] != '\xff')
			_exit(1);
	}
	if (step == *CLOSE)
		_exit(0);
	if (step == *FLOOD)
		put_flood(f);
	if (step == *HUGE) {
		put(f, "{\"return\": \"", 12);
		put_block(f, 20 << 20, 'x');
	}
	if (step == *LONG) {
		put(f, "{\"return\": \"", 12);
		put_block(f, 4 << 20, 'x');
		put(f, "\", \"id\": \"", 10);
		put(f, f->id, strlen(f->id));
		put(f, "\"}\r\n", 4);
	}
	if (step == *SPLIT)
		f->split = true;
}

static inline void play(int fd, const char *script)
{
	struct fake f = { .fd = fd, .got = -1 };

	for (; *script; script++) {
		if (*script == '@')
			put(&f, f.id, strlen(f.id));
		else if (*script < 9 && *script > 0)
			play_step(&f, *script);
		else
			put(&f, script, 1);
	}
	/* Nothing more to say: until the other end goes. */
	while (recv(fd, f.id, sizeof(f.id), 0) > 0)
		;
}

#endif
