// SPDX-License-Identifier: GPL-2.0-or-later
/* help.c - help text, made from the tables
 *
 * To be read in a minute: one line of usage, one paragraph, options under
 * headings with their defaults, what the exit status says.  The rest is in
 * xdpmig(8).  tests/check/ compares these texts with the man page and the
 * completion, so their shape is fixed: an option's line begins with two
 * blanks and a dash, or six blanks and two dashes.
 */
#include "opt.h"

#include <string.h>

#define WIDTH  79
#define INDENT 28 /* where help texts begin */

static const char exit_status[] =
	"Exit status: 0 done; 1 failed here (device, memory, permission); "
	"2 usage; 3 the peer refused; 4 cancelled, stalled or contact lost; "
	"5 integrity check failed; 6 outcome unknown: ask the target before "
	"the guest runs anywhere. After 1 to 5 the guest is still the "
	"source's.";

/* Print @text word by word from column @col on, wrapped to @indent. */
static void help_wrap(FILE *f, const char *text, int col, int indent)
{
	while (*text) {
		int len = (int)strcspn(text, " \n");

		if (col > indent && col + 1 + len > WIDTH) {
			fprintf(f, "\n%*s", indent, "");
			col = indent;
		} else if (col > indent) {
			putc(' ', f);
			col++;
		}
		fprintf(f, "%.*s", len, text);
		col += len;
		text += len;
		text += strspn(text, " \n");
	}
	putc('\n', f);
}

static bool opt_has_default(const struct cli_opt *opt)
{
	switch (opt->type) {
	case CLI_FLAG:
		return false;
	case CLI_STR:
		return opt->def_str != NULL;
	case CLI_ENUM:
		return true;
	case CLI_QUEUES:
	case CLI_UINT:
	case CLI_BYTES:
	case CLI_RATE:
	case CLI_DURATION:
		return opt->def || opt->zero || opt->def_str;
	}
	return false;
}

static void opt_default(const struct cli_opt *opt, char *buf, size_t len)
{
	union {
		bool flag;
		unsigned int number;
		uint64_t wide;
		const char *str;
		struct cli_queues queues;
	} field;
	char text[64];

	buf[0] = '\0';
	if (!opt_has_default(opt))
		return;
	if (opt->def_str) {
		snprintf(buf, len, " (default %s)", opt->def_str);
		return;
	}
	cli_value_default(opt, &field);
	snprintf(buf, len, " (default %s)",
		 cli_value_text(opt, &field, text, sizeof(text)));
}

/* "off|on" for an enumeration, else the placeholder. */
static void opt_arg(const struct cli_opt *opt, char *buf, size_t len)
{
	size_t used = 0;
	int i;

	snprintf(buf, len, "%s", opt->arg ? opt->arg : "");
	for (i = 0; opt->type == CLI_ENUM && opt->names[i] && used < len; i++)
		used += (size_t)snprintf(buf + used, len - used, "%s%s",
					 i ? "|" : "", opt->names[i]);
}

static void help_opt(FILE *f, const struct cli_opt *opt)
{
	char arg[80], left[120], text[600], def[100];
	char letter[4] = { '-', opt->letter, ',', '\0' };
	int col;

	opt_arg(opt, arg, sizeof(arg));
	snprintf(left, sizeof(left), "  %3s --%s%s%s%s",
		 opt->letter ? letter : "", opt->name,
		 opt->bare ? "[=" :
		 arg[0]    ? " " :
			     "",
		 arg, opt->bare ? "]" : "");
	col = fprintf(f, "%s", left);
	if (col > INDENT - 2) {
		putc('\n', f);
		col = 0;
	}
	col += fprintf(f, "%*s", INDENT - col, "");
	opt_default(opt, def, sizeof(def));
	snprintf(text, sizeof(text), "%s%s", opt->help, def);
	help_wrap(f, text, col, INDENT);
}

static void help_opts(FILE *f, const char *title, const struct cli_opt *opts)
{
	fprintf(f, "\n%s:\n", title);
	for (; opts->name; opts++)
		help_opt(f, opts);
}

static void help_pos(FILE *f, const struct cli_opt *pos)
{
	int col;

	for (; pos && pos->name; pos++) {
		col = fprintf(f, "  %-*s", INDENT - 2, pos->arg);
		help_wrap(f, pos->help, col, INDENT);
	}
}

void cli_help_one(FILE *f, const struct cli_spec *spec)
{
	const struct cli_opt *pos;
	const struct cli_group *g;

	fprintf(f, "Usage: xdpmig %s [OPTION]...", spec->name);
	for (pos = spec->pos; pos && pos->name; pos++)
		fprintf(f, pos->required ? " %s" : " [%s]", pos->arg);
	fprintf(f, "\n\n");
	help_wrap(f, spec->about ? spec->about : spec->help, 0, 0);
	if (spec->pos)
		putc('\n', f);
	help_pos(f, spec->pos);
	for (g = spec->groups; g && g->title; g++)
		help_opts(f, g->title, g->opts);
	help_opts(f, "Common options", cli_std_opts);
	fprintf(f, "  -h, --help%*sthis text\n\n", INDENT - 12, "");
	if (spec->example)
		fprintf(f, "Examples:\n%s\n", spec->example);
	help_wrap(f,
		  "Every option may stand in " XM_SYSCONFDIR
		  "/xdpmig.conf, as 'name = value' in the command's section "
		  "or above all sections; flags win. See xdpmig(8).",
		  0, 0);
	help_wrap(f, exit_status, 0, 0);
}

void cli_help_all(FILE *f, const struct cli_cmd *cmds)
{
	fprintf(f, "Usage: xdpmig COMMAND [OPTION]... [ARGUMENT]\n\n");
	help_wrap(f,
		  "Live migration of a virtual machine's memory over AF_XDP, "
		  "past the kernel's TCP stack.",
		  0, 0);
	fprintf(f, "\nCommands:\n");
	for (; cmds->spec; cmds++)
		fprintf(f, "  %-10s %s\n", cmds->spec->name, cmds->spec->help);
	fprintf(f, "  %-10s %s\n", "help", "explain a command");
	fprintf(f, "\n'xdpmig COMMAND --help' or 'xdpmig help COMMAND' lists a "
		   "command's options.\n'xdpmig --version' says which version "
		   "this is.  Manual: xdpmig(8).\n\n");
	help_wrap(f, exit_status, 0, 0);
}
