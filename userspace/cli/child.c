// SPDX-License-Identifier: GPL-2.0-or-later
/* child.c - a command run in a process of its own
 *
 * A migration gives up privileges and system calls before it hears its peer
 * (sandbox.c), and nothing gives them back: a process can do one.  Who wants many,
 * one after the other, forks for each.  The child is the same command as ever, with
 * --json and its output in a pipe; the last line of that is its result.
 *
 * It has a process group of its own, or Ctrl-C on a terminal would reach it twice;
 * a signal to us is handed on as one SIGTERM, which cancels.  When we die it gets
 * that, too.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "opt.h"
#include "util/fd.h"
#include "util/reason.h"

#define CHILD_TEXT_MAX (16 << 20) /* bytes; a result has some KiB */

static _Noreturn void child_main(const struct cli_ctx *parent,
				 const struct child_job *job, int fd, pid_t pid)
{
	struct cli_ctx cli = *parent;
	enum cli_exit status = CLI_EXIT_DONE;
	FILE *f = fdopen(fd, "w");
	int r;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	setpgid(0, 0);
	if (!f || getppid() != pid)
		_exit(CLI_EXIT_LOCAL);
	if (parent->signal_fd >= 0)
		close(parent->signal_fd);
	cli.signal_fd = -1;
	cli.cancelled = false;
	cli.spec = job->spec;
	memset(&cli.err, 0, sizeof(cli.err));
	cli_out_open(&cli.out, f, stderr);
	cli.out.json = cli.out.quiet = true;
	cli.out.level = job->level;
	r = job->run(&cli, job->opts);
	if (r && !cli.err.err)
		xm_fail(&cli.err, r < 0 ? r : -EINVAL, XM_REASON_INTERNAL,
			"%s: %s", cli.spec->name,
			strerror(r < 0 ? -r : EINVAL));
	if (r)
		status = cli_exit_status(cli.err.reason);
	cli_result_emit(&cli, status);
	fflush(f);
	_exit((int)status);
}

static int child_start(struct child *c, struct cli_ctx *cli,
		       const struct child_job *job, struct xm_error *e)
{
	pid_t pid = getpid();
	int pipe_fd[2];

	memset(c, 0, sizeof(*c));
	fflush(NULL); /* or it would print what we have not yet */
	if (pipe2(pipe_fd, O_CLOEXEC))
		return xm_fail(e, -errno, XM_REASON_INTERNAL, "pipe: %s",
			       strerror(errno));
	c->pid = fork();
	if (!c->pid)
		child_main(cli, job, pipe_fd[1], pid);
	(void)fd_close(pipe_fd[1]);
	c->fd = pipe_fd[0];
	if (c->pid < 0) {
		c->fd = fd_close(c->fd);
		return xm_fail(e, -errno, XM_REASON_INTERNAL, "fork: %s",
			       strerror(errno));
	}
	return 0;
}

/* 1: more may come; 0: it has closed its end, or prints without end. */
static int child_read(struct child *c)
{
	char *grown;
	ssize_t n;

	if (c->room - c->len < 4096) {
		grown = c->room < CHILD_TEXT_MAX ?
				realloc(c->text, c->room + 65536) :
				NULL;
		if (!grown)
			return 0;
		c->text = grown;
		c->room += 65536;
		c->text[c->len] = '\0'; /* nothing may come */
	}
	n = read(c->fd, c->text + c->len, c->room - c->len - 1);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 1;
	if (n <= 0)
		return 0;
	c->len += (size_t)n;
	c->text[c->len] = '\0';
	return 1;
}

static void child_follow(struct child *c, struct cli_ctx *cli)
{
	struct pollfd fds[2] = { { .fd = c->fd, .events = POLLIN },
				 { .fd = cli->signal_fd, .events = POLLIN } };
	struct xm_error why = { 0 };

	do {
		fds[0].revents = fds[1].revents = 0;
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents && cli_signals_cancel(cli, false, &why))
			(void)kill(c->pid, SIGTERM);
	} while (!fds[0].revents || child_read(c));
}

/* Its last line; NULL when that is no result: who is killed has said less. */
static json_t *child_result(const struct child *c)
{
	const char *line = c->text, *p;
	json_t *o;

	for (p = line; p && *p; p++)
		if (*p == '\n' && p[1])
			line = p + 1;
	o = line ? json_loads(line, 0, NULL) : NULL;
	if (!strcmp(child_word(o, "event"), "result"))
		return o;
	json_decref(o);
	return NULL;
}

int child_run(struct cli_ctx *cli, const struct child_job *job,
	      json_t **ret_result, struct xm_error *e)
{
	struct child c;
	int r = child_start(&c, cli, job, e), status = 0;

	if (r)
		return r;
	child_follow(&c, cli);
	c.fd = fd_close(c.fd);
	while (waitpid(c.pid, &status, 0) < 0 && errno == EINTR)
		;
	*ret_result = child_result(&c);
	free(c.text);
	if (*ret_result)
		return 0;
	if (WIFSIGNALED(status))
		return xm_fail(e, -EIO, XM_REASON_INTERNAL,
			       "the process of '%s' was killed (signal %d)",
			       job->spec->name, WTERMSIG(status));
	return xm_fail(e, -EIO, XM_REASON_INTERNAL,
		       "the process of '%s' ended without a result (status %d)",
		       job->spec->name, WEXITSTATUS(status));
}

double child_number(const json_t *result, const char *name)
{
	return json_number_value(json_object_get(result, name));
}

const char *child_word(const json_t *result, const char *name)
{
	const char *s = json_string_value(json_object_get(result, name));

	return s ? s : "";
}

int child_failure(const json_t *result, struct xm_error *e)
{
	const char *word = child_word(result, "reason");
	int reason;

	if (child_number(result, "exit_status") == 0)
		return 0;
	for (reason = 0; reason < XM_REASON__COUNT; reason++)
		if (!strcmp(word, xm_reason_name((enum xm_reason)reason)))
			break;
	if (reason == XM_REASON__COUNT)
		reason = XM_REASON_INTERNAL;
	return xm_fail(e, reason == XM_REASON_CANCELLED ? -ECANCELED : -EPROTO,
		       (enum xm_reason)reason, "%s",
		       child_word(result, "message"));
}
