/* SPDX-License-Identifier: GPL-2.0-or-later */
/* priv.h - giving up what is not used any more (theory in priv.c)
 *
 * Of a process, not of a thread: call these while there is one thread only.
 */
#ifndef XM_UTIL_PRIV_H
#define XM_UTIL_PRIV_H

#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"

#define PRIV_CAP(cap) (1ULL << (cap))

/* Who asks; each has a list of system calls of its own. */
enum priv_role {
	PRIV_MIGRATION, /* send or recv */
	PRIV_GUARDIAN,
	PRIV_KEEPER,
};

/* What this process may do now, as PRIV_CAP() bits. */
uint64_t priv_permitted(void);

/* Keep of the capabilities @keep at most, in every set; gain none by an
 * execve(); make no system call that @role has no use for.  For this process and
 * what it forks, and for good.  0 or -errno with @e: then it may have happened
 * in part, and the process should not go on.  Does nothing after priv_turn_off(). */
int priv_confine(enum priv_role role, uint64_t keep, struct xm_error *e);

/* The same without the system calls. */
int priv_drop(uint64_t keep, struct xm_error *e);

/* The filter alone, which priv_confine() ends with.  0 also when the build has
 * none (sanitizers): see priv_has_filter(). */
int priv_filter(enum priv_role role, struct xm_error *e);
bool priv_has_filter(void);

/* The user wants none of it.  Of processes forked from now on, too. */
void priv_turn_off(void);

/* Can @path be read and written without the capabilities that override a file's
 * mode?  Of one that does not exist yet: could it be made. */
bool priv_reaches(const char *path);

/* Can as much memory be locked as there is, without CAP_IPC_LOCK?  Lifts the
 * limit if that is allowed. */
bool priv_locks_freely(void);

#endif
