// SPDX-License-Identifier: GPL-2.0-or-later
/* stamp.c - when did a guest say what?
 *
 *   stamp CONSOLE STAMPS <FIFO
 *
 * Copies a guest's console to the file CONSOLE, and each line of it to STAMPS,
 * behind the host's monotonic time in milliseconds at which its end came.  A
 * guest cannot see its own downtime: its clock is stopped, too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void stamp(FILE *stamps, const char *buf, ssize_t n)
{
	static char line[512];
	static size_t len;
	ssize_t i;

	for (i = 0; i < n; i++) {
		if (buf[i] != '\n') {
			if (buf[i] != '\r' && len < sizeof(line) - 1)
				line[len++] = buf[i];
			continue;
		}
		line[len] = '\0';
		fprintf(stamps, "%.3f %s\n", now_ms(), line);
		len = 0;
	}
}

int main(int argc, char **argv)
{
	FILE *console, *stamps;
	char buf[4096];
	ssize_t n;

	if (argc != 3)
		return 2;
	console = fopen(argv[1], "w");
	stamps = fopen(argv[2], "w");
	if (!console || !stamps) {
		perror("stamp");
		return 1;
	}
	setvbuf(console, NULL, _IONBF, 0);
	setvbuf(stamps, NULL, _IOLBF, BUFSIZ);
	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0) {
		if (fwrite(buf, 1, (size_t)n, console) != (size_t)n) {
			perror("stamp");
			return 1;
		}
		stamp(stamps, buf, n);
	}
	return 0;
}
