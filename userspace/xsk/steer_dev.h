/* SPDX-License-Identifier: GPL-2.0-or-later */
/* steer_dev.h - inside of the steering driver: what XDP has on a device,
 * where the pins are, and what libbpf and libxdp had to say
 */
#ifndef XM_XSK_STEER_DEV_H
#define XM_XSK_STEER_DEV_H

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xdp/libxdp.h>

#include "keeper.h"
#include "steer.h"
#include "util/error.h"

#define STEER_PROG "xm_steer"

/* What is attached.  Close it, also when nothing was found. */
struct steer_dev {
	char ifname[16];
	int ifindex;
	enum steer_mode mode;             /* of the program on the device */
	uint32_t main_id;                 /* that program; 0: none */
	char main_name[BPF_OBJ_NAME_LEN]; /* empty when we may not know */
	bool is_dispatcher;               /* it is libxdp's dispatcher */
	bool has_frags;
	uint32_t prog_id; /* ours, in the dispatcher or alone; 0: none */
	int prog_fd;      /* ours, or -1 */
	bool by_pins;     /* ids are not for us: maps come from pins ... */
	bool by_gift;     /* ... or are those in kept */
	struct keeper_maps kept;
};

/* Look.  0, whether or not there is anything; -ENODEV; -EPERM. */
int steer_dev_find(struct steer_dev *ret_dev, const char *ifname,
		   struct xm_error *e);
/* Only at what the kernel tells everybody: ifindex and main_id. */
int steer_dev_peek(struct steer_dev *ret_dev, const char *ifname,
		   struct xm_error *e);
void steer_dev_close(struct steer_dev *dev);

/* As found without looking: it is known to carry the program of @maps, alone.
 * They are taken over (and are then -1); -EPERM: it carries another. */
int steer_dev_given(struct steer_dev *ret_dev, const char *ifname,
		    struct keeper_maps *maps, struct xm_error *e);

/* The id of a program; 0: it has none, or cannot be asked. */
uint32_t steer_prog_id(int fd);

/* Our program's map @name: a new fd with @ret_info, or -errno. */
int steer_dev_map(const struct steer_dev *dev, const char *name,
		  struct bpf_map_info *ret_info);

/* Does the machine, or this process, lack something, so that what was not found
 * may be there all the same? */
static inline bool steer_is_short(int err)
{
	return err == -ENOMEM || err == -EMFILE || err == -ENFILE ||
	       err == -ENOBUFS;
}

/* -- steer_put.c: the skeleton stays there ---------------------------------- */

/* Load the program that tells which queues of the XSKMAP have a socket: a new
 * fd, or -errno. */
int steer_probe_load(int xsks_fd);

/* What was put onto a device, or was tried to be. */
struct steer_put {
	uint32_t id;             /* the program */
	bool frags;              /* it takes frames of several buffers */
	struct keeper_maps mine; /* copies of its descriptors, to be closed:
				  * for who may not look up ids */
};
#define STEER_PUT_NOTHING              \
	{                              \
		.mine = KEEPER_NO_MAPS \
	}

/* Alone: fails with -EBUSY or -EEXIST when something is there. */
int steer_put_alone(int ifindex, enum steer_mode mode,
		    struct steer_put *ret_put);
/* By libxdp: in its dispatcher, or where it falls back from that, alone. */
int steer_put_joined(int ifindex, enum steer_mode mode,
		     struct steer_put *ret_put);
/* Take it away again, if it is there; @put is nothing then. */
void steer_put_undo(const struct steer_dev *dev, enum steer_mode mode,
		    struct steer_put *put);
/* Take the program away that steer_dev_find() found. */
int steer_take(const struct steer_dev *dev, struct xm_error *e);

/* -- steer_pin.c ------------------------------------------------------------- */

/* Pin the program and its maps.  0, or -errno: without a bpffs, for instance;
 * then nothing is pinned, and steer_dev_find() works by ids. */
int steer_pin(const struct steer_dev *dev);
/* Remove the pins of devices that are gone.  Returns of how many, or -errno when
 * it could not look everywhere: there may be more. */
int steer_pin_sweep(void);
/* The same, and those of @ifindex.  1 when it had some, 0, or -errno as above. */
int steer_unpin(int ifindex);
/* Where libxdp has pinned the dispatcher on @dev: the path of a bpffs, maybe as
 * another process sees it.  1, 0 nowhere that can be seen, or -errno. */
int steer_pin_find_dispatcher(const struct steer_dev *dev, char *ret_bpffs,
			      size_t len);
/* A new fd of the pinned program or map, or -errno. */
int steer_pinned(int ifindex, const char *name);

/* -- steer_talk.c ---------------------------------------------------------------- */

/* Between these two the libraries print nothing. */
void steer_talk_begin(void);
void steer_talk_end(void);
/* What the kernel said about the last netlink request that it refused, as
 * ": text", or "".  Valid until the next _begin. */
const char *steer_talk_kernel(void);
/* The same for the last complaint of a library. */
const char *steer_talk_library(void);

#endif
