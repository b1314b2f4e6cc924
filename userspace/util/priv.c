// SPDX-License-Identifier: GPL-2.0-or-later
/* priv.c - giving up what is not used any more
 *
 * Setting up takes privileges: sockets past the network stack, a look into
 * another process, somebody else's files.  Then most of them are of no use but
 * to who finds a bug in what reads the network.  So when all is set up, and
 * before the first byte of the peer is read,
 *
 *   capabilities  all go but those that the caller names: from the effective,
 *                 permitted, inheritable, ambient and bounding sets.  (The last
 *                 takes CAP_SETPCAP; who has not that has nothing to
 *                 gain by it: no_new_privs is set)
 *   execve()      nothing is run, and nothing could be gained (no_new_privs)
 *   system calls  a list of those that are used (priv_filter.c)
 *
 * Capabilities are of a thread, and what is dropped here is dropped by the one
 * that calls.  It must be the only one; those that come later inherit.
 */
#include "priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define DAC (PRIV_CAP(CAP_DAC_OVERRIDE) | PRIV_CAP(CAP_DAC_READ_SEARCH))

static bool is_off;

void priv_turn_off(void)
{
	is_off = true;
}

static uint64_t caps_of(cap_flag_t set)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t has;
	uint64_t bits = 0;
	cap_value_t c;

	for (c = 0; caps && c < cap_max_bits(); c++)
		if (!cap_get_flag(caps, c, set, &has) && has == CAP_SET)
			bits |= PRIV_CAP(c);
	(void)cap_free(caps);
	return bits;
}

uint64_t priv_permitted(void)
{
	return caps_of(CAP_PERMITTED);
}

static int caps_put(cap_t caps, cap_flag_t set, uint64_t bits)
{
	cap_value_t c;

	for (c = 0; c < cap_max_bits(); c++)
		if (cap_set_flag(caps, set, 1, &c,
				 bits & PRIV_CAP(c) ? CAP_SET : CAP_CLEAR))
			return -errno;
	return 0;
}

/* Effective and permitted set, and nothing to inherit. */
static int caps_set(uint64_t effective, uint64_t permitted)
{
	cap_t caps = cap_init();
	int r;

	if (!caps)
		return -errno;
	r = caps_put(caps, CAP_EFFECTIVE, effective);
	if (!r)
		r = caps_put(caps, CAP_PERMITTED, permitted);
	if (!r)
		r = cap_set_proc(caps) ? -errno : 0;
	(void)cap_free(caps);
	return r;
}

static int caps_drop(uint64_t keep)
{
	cap_value_t c;
	uint64_t have = priv_permitted();

	for (c = 0; c < cap_max_bits(); c++)
		if (!(keep & PRIV_CAP(c)) && cap_get_bound(c) > 0 &&
		    cap_drop_bound(c) && errno != EPERM)
			return -errno;
	if (cap_reset_ambient() && errno != EPERM)
		return -errno;
	return caps_set(keep & have, keep & have);
}

int priv_drop(uint64_t keep, struct xm_error *e)
{
	int r = is_off ? 0 : caps_drop(keep);

	if (r)
		return xm_fail(e, r, XM_REASON_INTERNAL,
			       "capabilities cannot be given up: %s; "
			       "--sandbox off keeps them",
			       strerror(-r));
	if (!is_off && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return xm_fail(e, -errno, XM_REASON_INTERNAL,
			       "no_new_privs cannot be set: %s",
			       strerror(errno));
	return 0;
}

int priv_confine(enum priv_role role, uint64_t keep, struct xm_error *e)
{
	int r = priv_drop(keep, e);

	return r || is_off ? r : priv_filter(role, e);
}

/* -- what is needed ------------------------------------------------------------- */

bool priv_reaches(const char *path)
{
	uint64_t permitted = priv_permitted(), was = caps_of(CAP_EFFECTIVE);
	char dir[PATH_MAX], *slash;
	bool does;
	int n;

	if (was & DAC && caps_set(was & ~DAC, permitted))
		return false;
	does = !faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS);
	if (!does && errno == ENOENT) {
		n = snprintf(dir, sizeof(dir), "%s", path);
		slash = strrchr(dir, '/');
		if (slash)
			slash[slash == dir] = '\0'; /* of "/file": "/" */
		does = n > 0 && (size_t)n < sizeof(dir) &&
		       !faccessat(AT_FDCWD, slash ? dir : ".", W_OK | X_OK,
				  AT_EACCESS);
	}
	if (was & DAC)
		(void)caps_set(was, permitted); /* it was allowed before */
	return does;
}

bool priv_locks_freely(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit now;

	if (getrlimit(RLIMIT_MEMLOCK, &now))
		return false;
	return now.rlim_cur == RLIM_INFINITY ||
	       !setrlimit(RLIMIT_MEMLOCK, &all);
}
