// SPDX-License-Identifier: GPL-2.0-or-later
/* opt.c - from the command line to a command's options
 *
 * The tables of a command become one list of settings: where a value is
 * stored and who said it.  Everything that reads or writes options walks that
 * list, in this order:
 *
 *   cli_opt_init   every setting gets its default
 *   cli_opt_argv   flags and positionals, which say CLI_FLAGGED
 *   cli_conf_load  the file, which may not overwrite those
 *   cli_opt_check  what must be given was given
 *
 * getopt_long() does the splitting (--name=value, --, flags after
 * positionals); its abbreviations are refused, because a script that says
 * --que today would mean another option, or none, once --queries exists.
 */
#include "opt.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <string.h>

#define VAL_FIRST 256 /* getopt's values of long options; above any letter */

const struct cli_opt cli_std_opts[] = {
	{ "json", .type = CLI_FLAG, .offset = offsetof(struct cli_std, json),
	  .help = "print events and the result as JSON, a line each" },
	{ "pretty", .type = CLI_FLAG,
	  .offset = offsetof(struct cli_std, pretty),
	  .help = "as --json, but indented for people" },
	{ "quiet", 'q', .type = CLI_FLAG,
	  .offset = offsetof(struct cli_std, quiet),
	  .help = "no progress, only warnings and errors" },
	{ "verbose", 'v', .type = CLI_FLAG,
	  .offset = offsetof(struct cli_std, verbose),
	  .help = "say more about what is done and why" },
	{ "config", .type = CLI_STR, .arg = "FILE",
	  .offset = offsetof(struct cli_std, config),
	  .help = "read options from FILE instead of " XM_SYSCONFDIR
		  "/xdpmig.conf" },
	{ 0 },
};

static void opt_list(struct cli_ctx *cli, const struct cli_opt *opts,
		     void *base)
{
	for (; opts->name; opts++) {
		struct cli_setting *s = &cli->setting[cli->n_settings++];

		assert(cli->n_settings <= CLI_SETTINGS_MAX);
		*s = (struct cli_setting){
			.opt = opts,
			.field = (char *)base + opts->offset,
			.is_flag = true,
		};
		cli_value_default(opts, s->field);
	}
}

void cli_opt_init(struct cli_ctx *cli, void *opts)
{
	const struct cli_group *g;
	unsigned int i;

	cli->n_settings = 0;
	if (cli->spec->pos)
		opt_list(cli, cli->spec->pos, opts);
	for (i = 0; i < cli->n_settings; i++)
		cli->setting[i].is_flag = false;
	for (g = cli->spec->groups; g && g->title; g++)
		opt_list(cli, g->opts, (char *)opts + g->base);
	opt_list(cli, cli_std_opts, &cli->std);
}

/* -- getopt's view ------------------------------------------------------- */

struct view {
	struct option longs[CLI_SETTINGS_MAX + 2];
	char shorts[2 * CLI_SETTINGS_MAX + 4];
};

static void view_add(struct view *view, unsigned int i, const char *name,
		     char letter, int has_arg)
{
	size_t n = strlen(view->shorts);

	view->longs[i] = (struct option){
		.name = name,
		.has_arg = has_arg,
		.val = VAL_FIRST + (int)i,
	};
	if (letter)
		view->shorts[n++] = letter;
	if (letter && has_arg == required_argument)
		view->shorts[n] = ':';
}

/* long option i is setting i; positionals keep an unusable name there. */
static void view_make(struct view *view, const struct cli_ctx *cli)
{
	unsigned int i;

	*view = (struct view){ .shorts = ":" }; /* report a missing value */
	for (i = 0; i < cli->n_settings; i++) {
		const struct cli_opt *opt = cli->setting[i].opt;
		bool alone = opt->type == CLI_FLAG || opt->bare;

		if (cli->setting[i].is_flag)
			view_add(view, i, opt->name, opt->letter,
				 alone ? optional_argument : required_argument);
		else
			view_add(view, i, "=", 0, no_argument);
	}
	view_add(view, i, "help", 'h', no_argument);
}

/* The setting that getopt's @c stands for: an index, n_settings for help, or
 * -1. */
static int view_setting(const struct cli_ctx *cli, int c)
{
	unsigned int i;

	if (c >= VAL_FIRST)
		return c - VAL_FIRST;
	for (i = 0; i < cli->n_settings; i++)
		if (cli->setting[i].is_flag && cli->setting[i].opt->letter == c)
			return (int)i;
	return c == 'h' ? (int)cli->n_settings : -1;
}

/* -- one flag ---------------------------------------------------------------- */

static int opt_usage(struct xm_error *e, const char *what, const char *name,
		     size_t len, const char *why)
{
	return xm_fail(e, -EINVAL, XM_REASON_USAGE, "%s%.*s: %s", what,
		       len < 60 ? (int)len : 60, name, why);
}

static int opt_take(struct cli_setting *s, const char *text, struct xm_error *e)
{
	bool dashes = s->is_flag;
	char why[200];

	if (cli_value_parse(s->opt, text, s->field, why, sizeof(why)))
		return xm_fail(e, -EINVAL, XM_REASON_USAGE, "%s%s '%.60s': %s",
			       dashes ? "--" : "", s->opt->name, text, why);
	s->origin = CLI_FLAGGED;
	return 0;
}

/* The word of argv that getopt has just read an option from. */
static const char *opt_word(char **argv)
{
	bool apart = optarg && optind >= 2 && optarg == argv[optind - 1];

	return argv[optind - (apart ? 2 : 1)];
}

/* getopt did not like something. */
static int opt_complain(const struct cli_ctx *cli, int c, char **argv,
			struct xm_error *e)
{
	const char *word = argv[optind - 1];
	char letter[3] = { '-', (char)optopt };
	int i = optopt ? view_setting(cli, optopt) : -1;

	if (c == ':')
		return opt_usage(e, "", word, strlen(word), "needs a value");
	if (i >= 0 && optopt >= VAL_FIRST)
		return opt_usage(e, "", word, strcspn(word, "="),
				 "takes no value");
	if (optopt > 0 && optopt < VAL_FIRST)
		return opt_usage(e, "", letter, 2, "no such option");
	return opt_usage(e, "", word, strcspn(word, "="), "no such option");
}

static int opt_flag(struct cli_ctx *cli, int c, char **argv, struct xm_error *e)
{
	const char *word = opt_word(argv), *text = optarg;
	int i = view_setting(cli, c);
	struct cli_setting *s;

	assert(i >= 0);
	if (c >= VAL_FIRST) {
		const char *name = (unsigned int)i == cli->n_settings ?
					   "help" :
					   cli->setting[i].opt->name;
		size_t len = strcspn(word + 2, "=");

		if (strlen(name) != len || memcmp(word + 2, name, len))
			return opt_usage(e, "", word, len + 2,
					 "no such option (names are not "
					 "abbreviated)");
	}
	if ((unsigned int)i == cli->n_settings)
		return CLI_OPT_E_HELP;
	s = &cli->setting[i];
	if (!text)
		text = s->opt->type == CLI_FLAG ? "yes" : s->opt->bare;
	return opt_take(s, text, e);
}

static int opt_positionals(struct cli_ctx *cli, int argc, char **argv,
			   struct xm_error *e)
{
	unsigned int i;
	int r;

	for (i = 0; optind < argc; i++, optind++) {
		if (i == cli->n_settings || cli->setting[i].is_flag)
			return xm_fail(e, -EINVAL, XM_REASON_USAGE,
				       "unexpected argument '%.60s'",
				       argv[optind]);
		r = opt_take(&cli->setting[i], argv[optind], e);
		if (r)
			return r;
	}
	return 0;
}

int cli_opt_argv(struct cli_ctx *cli, int argc, char **argv, struct xm_error *e)
{
	struct view view;
	int c, r = 0;

	view_make(&view, cli);
	optind = 0; /* glibc: start anew */
	opterr = 0;
	while (!r && (c = getopt_long(argc, argv, view.shorts, view.longs,
				      NULL)) != -1) {
		if (c == '?' || c == ':')
			r = opt_complain(cli, c, argv, e);
		else
			r = opt_flag(cli, c, argv, e);
	}
	return r ? r : opt_positionals(cli, argc, argv, e);
}

int cli_opt_check(struct cli_ctx *cli, struct xm_error *e)
{
	unsigned int i;

	for (i = 0; i < cli->n_settings; i++) {
		const struct cli_setting *s = &cli->setting[i];

		if (!s->opt->required || s->origin != CLI_DEFAULTED)
			continue;
		return xm_fail(e, -EINVAL, XM_REASON_USAGE,
			       "%s%s is missing: give it here or as '%s =' in "
			       "%s",
			       s->is_flag ? "--" : "",
			       s->is_flag ? s->opt->name : s->opt->arg,
			       s->opt->name, cli->conf_path);
	}
	return 0;
}

enum cli_origin cli_origin(const struct cli_ctx *cli, const char *name)
{
	unsigned int i;

	for (i = 0; i < cli->n_settings; i++)
		if (!strcmp(cli->setting[i].opt->name, name))
			return cli->setting[i].origin;
	assert(!"no such option");
	return CLI_DEFAULTED;
}
