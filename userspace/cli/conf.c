// SPDX-License-Identifier: GPL-2.0-or-later
/* conf.c - options from the configuration file
 *
 *   [default]          for every command that has such an option; so is what
 *   device = ens1f0    stands above the first section
 *   [send]             for xdpmig send only; wins over [default]
 *   queues = 16
 *
 * Keys are the names of options and positionals.  The file is read by inih,
 * line by line through a reader of ours that counts lines (a stock build of
 * inih tells the handler no line number) and closes three traps: an indented
 * line would silently continue the value above it, an over-long line would be
 * taken for two, and a NUL byte would hide the rest of its line.
 *
 * What may be wrong is an error, with file and line: a section that is no
 * command, a key that no command knows, a key given twice, a bad value.  The
 * sections of other commands are not looked into, so that a mistake in [send]
 * does not keep `xdpmig detach` from working.
 */
#include "opt.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#define CONF_DEFAULT XM_SYSCONFDIR "/xdpmig.conf"

struct conf {
	struct cli_ctx *cli;
	const struct cli_vocabulary *voc;
	FILE *f;
	const char *path;
	unsigned int line; /* being read */
	int err;           /* why no more could be read, or 0 */
	struct xm_error e; /* the first failure; then the rest is not read */
	/* lines of [default] keys that were seen, by setting */
	unsigned int default_line[CLI_SETTINGS_MAX];
	unsigned int section_line[CLI_SETTINGS_MAX];
};

static const char conf_syntax[] = "not 'key = value', '[section]' or '#'";

static void conf_fail(struct conf *c, const char *what, const char *name,
		      const char *why)
{
	(void)xm_fail(&c->e, -EINVAL, XM_REASON_USAGE, "%s:%u: %s%.60s%s%s",
		      c->path, c->line, what, name, *what || *name ? ": " : "",
		      why);
}

static bool opt_is(const struct cli_opt *opt, const char *key)
{
	/* a file that names another file would have to be read first */
	if (!strcmp(opt->name, "config"))
		return false;
	return !strcmp(opt->name, key) ||
	       (opt->alias && !strcmp(opt->alias, key));
}

static bool opts_have(const struct cli_opt *opts, const char *key)
{
	for (; opts && opts->name; opts++)
		if (opt_is(opts, key))
			return true;
	return false;
}

/* Does any command know @key? */
static bool conf_knows(const struct conf *c, const char *key)
{
	const struct cli_group *g;
	const struct cli_cmd *cmd;

	if (opts_have(cli_std_opts, key))
		return true;
	for (cmd = c->voc->cmds; cmd->spec; cmd++) {
		if (opts_have(cmd->spec->pos, key))
			return true;
		for (g = cmd->spec->groups; g && g->title; g++)
			if (opts_have(g->opts, key))
				return true;
	}
	return false;
}

static bool conf_has_section(const struct conf *c, const char *section)
{
	const struct cli_cmd *cmd;

	for (cmd = c->voc->cmds; cmd->spec; cmd++)
		if (!strcmp(cmd->spec->name, section))
			return true;
	return false;
}

static int conf_find(const struct cli_ctx *cli, const char *key)
{
	unsigned int i;

	for (i = 0; i < cli->n_settings; i++)
		if (opt_is(cli->setting[i].opt, key))
			return (int)i;
	return -1;
}

/* Check @value, and store it unless a stronger origin has spoken. */
static void conf_take(struct conf *c, unsigned int i, enum cli_origin origin,
		      const char *key, const char *value)
{
	struct cli_setting *s = &c->cli->setting[i];
	union {
		bool flag;
		int number;
		uint64_t wide;
		const char *str;
		struct cli_queues queues;
	} scratch;
	char why[200], what[80 + 60];
	bool wins = s->origin < origin;

	if (cli_value_parse(s->opt, value, &scratch, why, sizeof(why))) {
		snprintf(what, sizeof(what), "%.40s = '%.60s'", key, value);
		conf_fail(c, what, "", why);
		return;
	}
	if (!wins)
		return;
	if (s->opt->type == CLI_STR) {
		value = strdup(value);
		if (!value) {
			(void)xm_fail(&c->e, -ENOMEM, XM_REASON_MEMORY,
				      "%s: out of memory", c->path);
			return;
		}
		c->cli->held[c->cli->n_held++] = (char *)value;
	}
	cli_value_parse(s->opt, value, s->field, why, sizeof(why));
	s->origin = origin;
	s->line = c->line;
}

/* A key again, under either of its names? */
static bool conf_is_second(struct conf *c, unsigned int *line, const char *key)
{
	char why[60];

	if (*line) {
		snprintf(why, sizeof(why), "given on line %u already", *line);
		conf_fail(c, "", key, why);
		return true;
	}
	*line = c->line;
	return false;
}

/* inih calls this for each line `key = value`. */
static int conf_line(void *user, const char *section, const char *key,
		     const char *value)
{
	struct conf *c = user;
	bool is_default = !*section || !strcmp(section, "default");
	bool is_ours = !strcmp(section, c->cli->spec->name);
	int i;

	if (c->e.err)
		return 0;
	/* inih may be built to announce sections, or to take bare keys */
	if (!key || !*key || !value) {
		if (key)
			conf_fail(c, "", key, conf_syntax);
		return !c->e.err;
	}
	if (!is_default && !conf_has_section(c, section)) {
		conf_fail(c, "section ", section, "no such command");
		return 0;
	}
	if (!is_default && !is_ours)
		return 1;
	i = conf_find(c->cli, key);
	if (i < 0) {
		if (!is_default || !conf_knows(c, key))
			conf_fail(c, "", key, "no such option");
		return !c->e.err;
	}
	if (!conf_is_second(
		    c, is_default ? &c->default_line[i] : &c->section_line[i],
		    key))
		conf_take(c, (unsigned int)i,
			  is_default ? CLI_FILE_DEFAULT : CLI_FILE, key, value);
	return !c->e.err;
}

static bool is_blank(int ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\v' ||
	       ch == '\f';
}

/* inih's fgets: one line without indentation, whole or not at all. */
static char *conf_read_line(char *buf, int len, void *stream)
{
	struct conf *c = stream;
	char why[60];
	int ch, n = 0;

	if (c->e.err || feof(c->f))
		return NULL;
	c->line++;
	errno = 0;
	while ((ch = getc(c->f)) != EOF && ch != '\n') {
		if (!n && is_blank(ch))
			continue;
		if (!ch) {
			conf_fail(c, "", "", "NUL byte: not a text file");
			return NULL;
		}
		if (n < len - 2)
			buf[n++] = (char)ch;
		else if (buf[0] != '#' && buf[0] != ';' && !is_blank(ch)) {
			snprintf(why, sizeof(why),
				 "line longer than %d characters", len - 2);
			conf_fail(c, "", "", why);
			return NULL;
		}
	}
	if (ch == EOF && ferror(c->f))
		c->err = errno;
	if (ch == EOF && !n)
		return NULL;
	buf[n++] = '\n';
	buf[n] = '\0';
	return buf;
}

int cli_conf_read(struct cli_ctx *cli, const struct cli_vocabulary *voc,
		  FILE *f, const char *path, struct xm_error *e)
{
	struct conf c = { .cli = cli, .voc = voc, .f = f, .path = path };
	/* the first line with a mistake; inih itself goes on after one */
	int bad = ini_parse_stream(conf_read_line, &c, conf_line, &c);

	if (ferror(f))
		return xm_fail(e, -EIO, XM_REASON_USAGE,
			       "configuration file %s: %s", path,
			       strerror(c.err ? c.err : EIO));
	if (bad < 0)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "%s: out of memory", path);
	if (bad > 0 && (!c.e.err || (unsigned int)bad < c.line)) {
		c.e = (struct xm_error){ 0 };
		c.line = (unsigned int)bad;
		conf_fail(&c, "", "", conf_syntax);
	}
	if (c.e.err)
		return xm_fail(e, c.e.err, c.e.reason, "%s", c.e.msg);
	return 0;
}

int cli_conf_load(struct cli_ctx *cli, const struct cli_vocabulary *voc,
		  struct xm_error *e)
{
	const char *env = secure_getenv("XDPMIG_CONFIG");
	const char *path = cli->std.config ? cli->std.config : env;
	bool is_asked = path != NULL;
	FILE *f;
	int r, err;

	cli->conf_path = is_asked ? path : CONF_DEFAULT;
	f = fopen(cli->conf_path, "re");
	err = errno;
	if (!f && err == ENOENT && !is_asked)
		return 0;
	if (!f) /* the machine's fault, or that of who named it? */
		return xm_fail(e, -err,
			       err == ENOMEM || err == EMFILE || err == ENFILE ?
				       XM_REASON_MEMORY :
				       XM_REASON_USAGE,
			       "configuration file %s: %s", cli->conf_path,
			       strerror(err));
	r = cli_conf_read(cli, voc, f, cli->conf_path, e);
	fclose(f);
	return r;
}

void cli_conf_free(struct cli_ctx *cli)
{
	while (cli->n_held)
		free(cli->held[--cli->n_held]);
}
