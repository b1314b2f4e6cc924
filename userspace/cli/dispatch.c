// SPDX-License-Identifier: GPL-2.0-or-later
/* dispatch.c - from argv to the exit status
 *
 * The order matters: flags before the file, since --config is a flag; levels
 * and --json before anything is said; the result last, whatever happened.
 * A usage error under --json is a result too, so the frame looks for the flag
 * even when the command line does not parse.
 */
#include "opt.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct cli_cmd *dispatch_find(const struct cli_cmd *cmds,
					   const char *name)
{
	for (; cmds->spec; cmds++)
		if (!strcmp(cmds->spec->name, name))
			return cmds;
	return NULL;
}

static int dispatch_usage(const char *what, const char *name)
{
	fprintf(stderr,
		"xdpmig: %s%.60s%s\n"
		"Try 'xdpmig --help'.\n",
		what, name, *name ? "'" : "");
	return CLI_EXIT_USAGE;
}

/* stdout is the result: losing it is worth a word, but must not change the
 * status, which tells where the guest may run. */
static int dispatch_flush(int status)
{
	if (fflush(stdout) || ferror(stdout))
		fprintf(stderr, "xdpmig: warning: standard output could not "
				"be written\n");
	return status;
}

/* Help is another matter: who reads its head only has read enough. */
static int dispatch_flush_help(void)
{
	if ((fflush(stdout) || ferror(stdout)) && errno == EPIPE)
		return CLI_EXIT_DONE;
	return dispatch_flush(CLI_EXIT_DONE);
}

static int dispatch_help(const struct cli_cmd *cmds, int argc, char **argv)
{
	const struct cli_cmd *cmd;

	if (argc > 2)
		return dispatch_usage("unexpected argument '", argv[2]);
	if (argc < 2) {
		cli_help_all(stdout, cmds);
		return dispatch_flush_help();
	}
	cmd = dispatch_find(cmds, argv[1]);
	if (!cmd)
		return dispatch_usage("no such command '", argv[1]);
	cli_help_one(stdout, cmd->spec);
	return dispatch_flush_help();
}

static bool argv_has(char **argv, const char *word)
{
	for (; *argv && strcmp(*argv, "--"); argv++)
		if (!strcmp(*argv, word))
			return true;
	return false;
}

/* Read flags and file.  0, -errno, or CLI_OPT_E_HELP. */
static int dispatch_options(struct cli_ctx *cli, const struct cli_cmd *cmds,
			    int argc, char **argv)
{
	const struct cli_vocabulary voc = { cmds };
	int r;

	r = cli_opt_argv(cli, argc, argv, &cli->err);
	if (r < 0) {
		cli->std.json |= argv_has(argv, "--json");
		cli->std.pretty |= argv_has(argv, "--pretty");
	}
	if (!r)
		r = cli_conf_load(cli, &voc, &cli->err);
	if (!r)
		r = cli_opt_check(cli, &cli->err);
	cli_out_set(&cli->out, &cli->std);
	return r;
}

/* Say how it ended: one message, one result. */
static int dispatch_end(struct cli_ctx *cli, int r)
{
	enum cli_exit status = CLI_EXIT_DONE;

	cli_out_end_line(&cli->out);
	if (r) {
		if (!cli->err.err)
			xm_fail(&cli->err, r < 0 ? r : -EINVAL,
				XM_REASON_INTERNAL, "%s: %s", cli->spec->name,
				strerror(r < 0 ? -r : EINVAL));
		status = cli_exit_status(cli->err.reason);
		cli_say(cli, CLI_ERROR, "%s: %s", cli->spec->name,
			cli->err.msg);
	}
	cli_result_emit(cli, status);
	if (!r && cli->spec->is_report && cli_out_is_short()) {
		cli_say(cli, CLI_ERROR, "%s: out of memory for the output",
			cli->spec->name);
		status = CLI_EXIT_LOCAL;
	} else if (cli_out_is_short() && cli->err.err != -ENOMEM) {
		cli_warn(cli, "out of memory: something is missing in what "
			      "was printed");
	}
	return dispatch_flush(status);
}

static int dispatch_run(const struct cli_cmd *cmds, const struct cli_cmd *cmd,
			int argc, char **argv)
{
	struct cli_ctx cli = { .spec = cmd->spec, .signal_fd = -1 };
	void *opts = calloc(1, cmd->spec->size ? cmd->spec->size : 1);
	int r, status;

	cli_out_open(&cli.out, stdout, stderr);
	if (!opts) {
		r = xm_fail(&cli.err, -ENOMEM, XM_REASON_MEMORY,
			    "out of memory");
		return dispatch_end(&cli, r);
	}
	cli_opt_init(&cli, opts);
	r = dispatch_options(&cli, cmds, argc, argv);
	if (r == CLI_OPT_E_HELP) {
		cli_help_one(stdout, cmd->spec);
		status = dispatch_flush_help();
	} else {
		bool is_usage = r < 0;

		if (!r)
			r = cmd->run(&cli, opts);
		status = dispatch_end(&cli, r);
		if (is_usage && status == CLI_EXIT_USAGE)
			fprintf(stderr, "Try 'xdpmig %s --help'.\n",
				cmd->spec->name);
	}
	if (cli.signal_fd >= 0)
		close(cli.signal_fd);
	cli_out_close(&cli.out);
	cli_conf_free(&cli);
	free(opts);
	return status;
}

int cli_main(const struct cli_cmd *cmds, int argc, char **argv)
{
	const struct cli_cmd *cmd;
	const char *word = argc > 1 ? argv[1] : "";

	signal(SIGPIPE, SIG_IGN); /* a dead reader is an error, not death */
	signal(SIGCHLD, SIG_DFL); /* or nobody could be waited for */
	if (argc < 2)
		return dispatch_usage("a command is missing", "");
	if (!strcmp(word, "--help") || !strcmp(word, "-h") ||
	    !strcmp(word, "help"))
		return dispatch_help(cmds, argc - 1, argv + 1);
	if (!strcmp(word, "--version")) {
		printf("xdpmig %s\n", XM_VERSION);
		return dispatch_flush(CLI_EXIT_DONE);
	}
	cmd = dispatch_find(cmds, word);
	if (!cmd)
		return dispatch_usage(word[0] == '-' ? "no such option '" :
						       "no such command '",
				      word);
	return dispatch_run(cmds, cmd, argc - 1, argv + 1);
}

/* -- the echo of --dry-run ---------------------------------------------------- */

void cli_echo_options(struct cli_ctx *cli)
{
	json_t *array = cli_put_array(cli_result(cli), "options");
	char text[64], origin[300];
	unsigned int i;

	for (i = 0; i < cli->n_settings; i++) {
		const struct cli_setting *s = &cli->setting[i];
		json_t *o = cli_add_object(array);

		switch (s->origin) {
		case CLI_DEFAULTED:
			snprintf(origin, sizeof(origin), "default");
			break;
		case CLI_FILE_DEFAULT:
		case CLI_FILE:
			snprintf(origin, sizeof(origin), "%.256s:%u",
				 cli->conf_path, s->line);
			break;
		case CLI_FLAGGED:
			snprintf(origin, sizeof(origin), "command line");
			break;
		}
		cli_put_str(o, "name", s->opt->name);
		cli_put_str(o, "value",
			    cli_value_text(s->opt, s->field, text,
					   sizeof(text)));
		cli_put_str(o, "from", origin);
	}
}
