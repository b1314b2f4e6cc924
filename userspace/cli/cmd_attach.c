// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_attach.c - xdpmig attach: load the steering program on a device
 *
 * The result says what was obtained; what the user may want to know beyond it
 * (generic mode although native was hoped for, no room for other programs, no
 * flow rules) is said on stderr with its reason, because each of them works.
 */
#include "cmd_steer.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/now.h"
#include "xdpmig/limits.h"
#include "xsk/caps.h"
#include "xsk/keeper.h"

#define LINK_WAIT_MS 10000
#define LINK_LOOK_MS 50

struct attach_opts {
	const char *dev;
	struct cli_queues queues;
	enum steer_mode mode;
	const char *user;
};

#define ATTACH(field) offsetof(struct attach_opts, field)

static const char *const mode_names[] = {
	[STEER_AUTO] = "auto",
	[STEER_NATIVE] = "native",
	[STEER_GENERIC] = "generic",
	NULL,
};

static const struct cli_opt attach_pos[] = {
	{ "dev", .alias = "device", .type = CLI_STR, .arg = "DEV",
	  .offset = ATTACH(dev), .max = 15, .required = true,
	  .help = "network device" },
	{ 0 },
};

static const struct cli_opt attach_opts[] = {
	{ "queues", .type = CLI_QUEUES, .arg = "N|A-B",
	  .offset = ATTACH(queues), .max = XM_CHAN_MAX - 1, .zero = "all",
	  .help = "receive queues that migrations may use" },
	{ "mode", .type = CLI_ENUM, .names = mode_names, .offset = ATTACH(mode),
	  .def = STEER_AUTO,
	  .help = "native: in the driver; generic: behind it, works "
		  "everywhere and slower; auto: native where the driver has "
		  "it" },
	{ "user", .type = CLI_STR, .arg = "NAME", .offset = ATTACH(user),
	  .max = 32,
	  .help = "let this user, or number, migrate over DEV without any "
		  "privilege: a process that stays until 'xdpmig detach' hands "
		  "him the sockets" },
	{ 0 },
};

static const struct cli_group attach_groups[] = {
	{ "Options", attach_opts },
	{ 0 },
};

const struct cli_spec cli_attach = {
	.name = "attach",
	.help = "load the XDP steering program on DEV",
	.about = "Load the program that brings a migration's frames to its "
		 "sockets. All other traffic passes as before. It stays until "
		 "'xdpmig detach', over any number of migrations.",
	.pos = attach_pos,
	.groups = attach_groups,
	.size = sizeof(struct attach_opts),
	.example = "  xdpmig attach ens1f0\n"
		   "  xdpmig attach --queues 0-15 --mode native ens1f0\n"
		   "  xdpmig attach --user qemu ens1f0\n",
};

static void attach_say(struct cli_ctx *cli, const struct steer_info *info)
{
	const char *mode = steer_mode_name(info->mode);

	if (info->why_generic[0])
		cli_warn(cli,
			 "%s; took generic mode, which is slower and never "
			 "zero-copy",
			 info->why_generic);
	if (info->has_dispatcher)
		cli_info(cli,
			 "%s: attached in %s mode through libxdp's dispatcher; "
			 "other XDP programs can live beside it",
			 info->ifname, mode);
	else
		cli_info(cli,
			 "%s: attached in %s mode, alone; no other XDP program "
			 "can be there until 'xdpmig detach' (libxdp's "
			 "dispatcher takes a bpffs and a kernel that permits "
			 "freplace)",
			 info->ifname, mode);
	if (info->why_no_rules[0])
		cli_info(cli,
			 "%s; a migration will search for source ports that "
			 "reach the queues",
			 info->why_no_rules);
}

/* A number, that nobody need have, is not looked up: whatever answers for names
 * may be out of order. */
static bool attach_is_number(const char *name, uid_t *ret_uid)
{
	size_t len = strlen(name);
	unsigned long uid;

	if (!len || strspn(name, "0123456789") != len)
		return false;
	errno = 0;
	uid = strtoul(name, NULL, 10);
	*ret_uid = (uid_t)uid;
	return !errno && uid < (uid_t)-1;
}

static int attach_user(const char *name, uid_t *ret_uid, struct xm_error *e)
{
	const struct passwd *pw;

	if (attach_is_number(name, ret_uid))
		return 0;
	errno = 0;
	pw = getpwnam(name);
	if (pw) {
		*ret_uid = pw->pw_uid;
		return 0;
	}
	/* getpwnam(3): "not found" has several */
	if (errno && errno != ENOENT && errno != ESRCH && errno != EBADF &&
	    errno != EPERM)
		return xm_fail(e, -errno, XM_REASON_INTERNAL,
			       "--user %s: cannot be looked up: %s", name,
			       strerror(errno));
	return xm_fail(e, -EINVAL, XM_REASON_USAGE,
		       "--user %s: there is no such user here", name);
}

static int attach_start_keeper(struct steer_info *info, uid_t user,
			       struct xm_error *e)
{
	struct steer s;
	int r = steer_open(&s, info->ifname, e);

	if (r)
		return r;
	r = keeper_start(&s, user, e);
	if (!r)
		r = steer_refresh(&s, e); /* now there is one */
	info->keeper = s.info.keeper;
	info->user = s.info.user;
	steer_close(&s);
	return r;
}

/* Without a keeper nothing stays attached. */
static int attach_keep(struct steer_info *info, uid_t user, struct xm_error *e)
{
	int r = attach_start_keeper(info, user, e);

	if (r)
		(void)steer_detach(info->ifname, true, NULL);
	return r;
}

static bool attach_has_link(const char *ifname)
{
	struct xsk_caps caps;

	return !xsk_caps_get(&caps, ifname, NULL) && caps.is_up;
}

/* Drivers of real cards set the device up anew for a program, and then it has no
 * link for seconds.  Who attaches and then migrates, in a script, would find
 * it down. */
static bool attach_await_link(const char *ifname)
{
	const struct timespec look = { .tv_nsec = LINK_LOOK_MS * 1000000L };
	int64_t end = now_ms() + LINK_WAIT_MS;

	while (!attach_has_link(ifname)) {
		if (now_ms() >= end)
			return false;
		(void)nanosleep(&look, NULL); /* a shorter wait does no harm */
	}
	return true;
}

int cmd_attach(struct cli_ctx *cli, const void *opts)
{
	const struct attach_opts *o = opts;
	struct steer_info info;
	bool had_link = attach_has_link(o->dev);
	uid_t user = 0;
	int r = o->user ? attach_user(o->user, &user, &cli->err) : 0;

	if (!r)
		r = steer_attach(&info, o->dev, o->mode, o->queues.first,
				 o->queues.n, &cli->err);
	if (!r && o->user)
		r = attach_keep(&info, user, &cli->err);
	if (r)
		return r;
	attach_say(cli, &info);
	if (had_link && !attach_await_link(o->dev))
		cli_warn(cli,
			 "%s lost its link when the program was attached, and "
			 "does not have it back after %d s",
			 o->dev, LINK_WAIT_MS / 1000);
	cli_put_str(cli_result(cli), "status", "attached");
	cli_put_steer(cli_result(cli), &info);
	return 0;
}
