/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu_priv.h - inside this folder: parts of qemu.h, and what knows QEMU's ways */
#ifndef XM_GUEST_QEMU_PRIV_H
#define XM_GUEST_QEMU_PRIV_H

#include "qemu.h"

/* qemu_mem.c: which backends are the guest's RAM, and where QEMU has them:
 * name, len, hva and path of q->block[].  0 or -errno with @e. */
int qemu_find_ram(struct qemu *q, struct xm_error *e);

/* qemu.c: its run state, fresh; nobody may be migrating it, nor have done so. */
int qemu_check_source(struct qemu *q, char *ret_state, size_t len,
		      struct xm_error *e);

/* qemu_proc.c: the process that has q->block[] mapped (pid, pidfd), and fd,
 * file_off and page_size of each block.  0 or -errno with @e. */
int qemu_find_process(struct qemu *q, struct xm_error *e);

/* qemu_proc.c: do reads of the file that QEMU calls @path go through the page
 * cache, unless it asks otherwise?  Only where that is known of the file
 * system. */
bool qemu_file_is_cached(const struct qemu *q, const char *path);

/* qemu_proc.c: is @tid a thread of it, as we number threads? */
bool qemu_has_thread(const struct qemu *q, pid_t tid);

/* qemu.c: a line for QEMU's human monitor, for what QMP has no command for;
 * @ret_text is the caller's, to be freed. */
int qemu_ask_human(struct qemu *q, const char *line, char **ret_text,
		   struct xm_error *e);

/* qemu.c: free a migration that hangs in "cancelling", with the guest stopped; no other
 * is touched, and nothing is said if there is none.  QEMU (7.2) looks whether
 * it is cancelled, lets go of its lock, and then waits at pre-switchover: a
 * migrate_cancel in between wakes nobody.  One in 200 that come in the first
 * milliseconds does that. */
void qemu_free_cancelled(struct qmp *qmp);

/* The name of the device state's descriptor at QEMU: "getfd" puts it there, and
 * "migrate" takes it. */
#define QEMU_STREAM "xdpmig-device"

/* qemu.c: let QEMU close one that no "migrate" took; nothing is said if there is
 * none. */
void qemu_close_stream(struct qmp *qmp);

#endif
