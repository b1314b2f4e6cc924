// SPDX-License-Identifier: GPL-2.0-or-later
/* steer_talk.c - libbpf's and libxdp's messages, kept instead of printed
 *
 * Both libraries print to stderr by default, also about things that are no
 * failure (no dispatcher, no bpffs), and in the midst of our JSON.  But the
 * kernel's own reason for refusing a program ("Peer MTU is too large to set
 * XDP") comes that way only.  So between _begin and _end the lines are looked
 * at, and the last one of each kind is kept for an error's text.
 *
 * The callbacks are global to the process, like the buffers here: one thread
 * attaches and detaches.  Calls nest.
 */
#include "steer_dev.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <xdp/libxdp.h>

#define KERNEL "Kernel error message: "

static struct {
	unsigned int depth;
	libbpf_print_fn_t bpf;
	libxdp_print_fn_t xdp;
	char kernel[120], library[120];
} talk;

/* ": text" without prefix and line end. */
static void talk_keep(char *to, size_t size, char *line)
{
	char *text = line;

	if (!strncmp(text, "libbpf: ", 8) || !strncmp(text, "libxdp: ", 8))
		text += 8;
	text[strcspn(text, "\n")] = '\0';
	if (!text[0])
		return;
	(void)snprintf(to, size, ": %.*s", (int)size - 3,
		       text); /* cut is fine */
}

static void talk_line(const char *fmt, va_list ap)
{
	char line[512], *kernel;

	(void)vsnprintf(line, sizeof(line), fmt, ap); /* cut is fine */
	kernel = strstr(line, KERNEL);
	if (kernel)
		talk_keep(talk.kernel, sizeof(talk.kernel),
			  kernel + strlen(KERNEL));
	else
		talk_keep(talk.library, sizeof(talk.library), line);
}

static int talk_bpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level == LIBBPF_WARN)
		talk_line(fmt, ap);
	return 0;
}

static int talk_xdp(enum libxdp_print_level level, const char *fmt, va_list ap)
{
	if (level == LIBXDP_WARN)
		talk_line(fmt, ap);
	return 0;
}

void steer_talk_begin(void)
{
	if (talk.depth++)
		return;
	talk.kernel[0] = '\0';
	talk.library[0] = '\0';
	talk.bpf = libbpf_set_print(talk_bpf);
	talk.xdp = libxdp_set_print(talk_xdp);
}

void steer_talk_end(void)
{
	if (--talk.depth)
		return;
	libbpf_set_print(talk.bpf);
	libxdp_set_print(talk.xdp);
}

const char *steer_talk_kernel(void)
{
	return talk.kernel;
}

const char *steer_talk_library(void)
{
	return talk.library;
}
