// SPDX-License-Identifier: GPL-2.0-or-later
/* secret.c - memory for keys, and the files they come from
 *
 * Where could a key be seen that is none of the reader's business?
 *
 *   core dump      MADV_DONTDUMP for our own copies; for those the TLS library
 *                  makes on its heap the process is not dumpable at all
 *   another        the same: who may not dump a process may not attach to it
 *   process        nor read its memory, unless he has CAP_SYS_PTRACE
 *   a child        the guardian outlives us and has no use for keys: it finds
 *                  zeros (MADV_WIPEONFORK)
 *   freed memory   explicit_bzero() before it is unmapped; and what the TLS library
 *                  frees (trust.c)
 *   argv, env      a key is only ever named by its file
 *   a log          the TLS library's, which variables of the environment switch on
 *                  (SSLKEYLOGFILE, GNUTLS_DEBUG_LEVEL), is switched off (trust.c,
 *                  tls.c)
 *   the file       refused when others may read or replace it
 *
 * Swap is not in the list: a host that swaps to a disk others can read gives
 * guests' memory away as well.
 */
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"

void *secret_new(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* a kernel that knows neither has no such dump or loses nothing else */
	(void)madvise(p, len, MADV_DONTDUMP);
	(void)madvise(p, len, MADV_WIPEONFORK);
	return p;
}

void *secret_free(void *p, size_t len)
{
	if (!p)
		return NULL;
	explicit_bzero(p, len);
	(void)munmap(p, len);
	return NULL;
}

void secret_keep_process(void)
{
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int secret_check(const char *path, int fd, mode_t forbidden,
			struct xm_error *e)
{
	struct stat st;

	if (fstat(fd, &st))
		return xm_fail(e, -errno, XM_REASON_USAGE, "%s: %s", path,
			       strerror(errno));
	if (!S_ISREG(st.st_mode))
		return xm_fail(e, -EINVAL, XM_REASON_USAGE,
			       "%s: not a regular file", path);
	if (st.st_uid && st.st_uid != geteuid())
		return xm_fail(e, -EPERM, XM_REASON_USAGE,
			       "%s belongs to another user (%u), who could "
			       "have any key in it: chown it",
			       path, st.st_uid);
	if (st.st_mode & forbidden)
		return xm_fail(e, -EPERM, XM_REASON_USAGE,
			       "%s has mode %04o, so others may %s it: "
			       "chmod 600 it, and make a new key if somebody "
			       "has seen this one",
			       path, st.st_mode & 07777,
			       st.st_mode & forbidden & 0444 ? "read" :
							       "change");
	return 0;
}

ssize_t secret_read(const char *path, void *buf, size_t max, mode_t forbidden,
		    struct xm_error *e)
{
	int fd fd_cleanup = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t have = 0;
	ssize_t n;
	int r;

	if (fd < 0)
		return xm_fail(e, -errno, XM_REASON_USAGE, "%s: %s", path,
			       strerror(errno));
	r = secret_check(path, fd, forbidden, e);
	if (r)
		return r;
	do {
		n = read(fd, (char *)buf + have, max - have);
		if (n > 0)
			have += (size_t)n;
	} while (have < max && (n > 0 || (n < 0 && errno == EINTR)));
	if (n < 0)
		return xm_fail(e, -errno, XM_REASON_USAGE, "%s: %s", path,
			       strerror(errno));
	if (have == max)
		return xm_fail(e, -EFBIG, XM_REASON_USAGE,
			       "%s is larger than the %zu bytes that such a "
			       "file may have",
			       path, max - 1);
	return (ssize_t)have;
}
