// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_cli.c - any command line and any configuration file
 *
 * parses: userspace/cli/opt.c userspace/cli/conf.c userspace/cli/value.c
 *
 * Input: words of a command line, one per line, the command first; an empty
 * line; the text of a configuration file.  Whatever they say, it is taken or
 * refused with one message, and what was taken is in bounds and reads back
 * from its own echo.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd_steer.h"
#include "cli/opt.h"
#include "cli/send_opts.h"

#include "fuzz.h"

#define WORDS_MAX 32

static const struct cli_cmd cmds[] = {
	{ &cli_attach }, { &cli_detach }, { &cli_status },
	{ &cli_send },   { &cli_recv },   { 0 },
};

static const struct cli_spec *find(const char *name)
{
	const struct cli_cmd *cmd;

	for (cmd = cmds; cmd->spec; cmd++)
		if (!strcmp(cmd->spec->name, name))
			return cmd->spec;
	return &cli_send;
}

/* Cut @text into words up to an empty line; where the file begins. */
static char *split(char *text, char **argv, int *ret_argc)
{
	int argc = 0;
	char *nl;

	while ((nl = strchr(text, '\n')) && nl != text && argc < WORDS_MAX) {
		*nl = '\0';
		argv[argc++] = text;
		text = nl + 1;
	}
	if (!argc)
		argv[argc++] = (char *)"send";
	argv[argc] = NULL;
	*ret_argc = argc;
	return *text == '\n' ? text + 1 : text;
}

/* What a setting prints, it reads, and prints again the same. */
static void check_echo(const struct cli_setting *s)
{
	char buf[2][64], why[200];
	const char *text = cli_value_text(s->opt, s->field, buf[0], 64);
	union {
		bool flag;
		int number;
		uint64_t wide;
		const char *str;
		struct cli_queues queues;
	} field;

	FUZZ_CHECK(text);
	if (s->opt->type == CLI_STR && !*text)
		return; /* absent */
	FUZZ_CHECK(!cli_value_parse(s->opt, text, &field, why, sizeof(why)));
	FUZZ_CHECK(!strcmp(cli_value_text(s->opt, &field, buf[1], 64), text));
}

static void check_failed(const struct xm_error *e, int r)
{
	FUZZ_CHECK(r < 0 && e->err == r && e->msg[0]);
	FUZZ_CHECK(e->reason == XM_REASON_USAGE ||
		   e->reason == XM_REASON_MEMORY);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct cli_vocabulary voc = { cmds };
	struct cli_ctx cli = { .signal_fd = -1, .conf_path = "file" };
	char *text = malloc(size + 1), *argv[WORDS_MAX + 1], *file;
	unsigned int i;
	void *opts;
	int r, argc;
	FILE *f;

	FUZZ_CHECK(text);
	memcpy(text, data, size);
	text[size] = '\0';
	file = split(text, argv, &argc);
	cli.spec = find(argv[0]);
	opts = calloc(1, cli.spec->size);
	FUZZ_CHECK(opts);
	cli_opt_init(&cli, opts);
	r = cli_opt_argv(&cli, argc, argv, &cli.err);
	if (!r && file < text + size) {
		f = fmemopen(file, (size_t)(text + size - file), "r");
		FUZZ_CHECK(f);
		r = cli_conf_read(&cli, &voc, f, "file", &cli.err);
		fclose(f);
	}
	if (!r)
		r = cli_opt_check(&cli, &cli.err);
	if (r != CLI_OPT_E_HELP && r)
		check_failed(&cli.err, r);
	for (i = 0; i < cli.n_settings; i++)
		check_echo(&cli.setting[i]);
	cli_conf_free(&cli);
	free(opts);
	free(text);
	return 0;
}
