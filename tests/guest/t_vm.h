/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_vm.h - a real QEMU with the oracle guest, for tests in C
 *
 * The guest (tests/lib/oracle.s) counts in the first byte of each page from
 * 1 MiB on, page after page, and beats on its serial port after each round.  A
 * struct t_vm starts zeroed; everything it made is gone after t_vm_quit().
 */
#ifndef T_VM_H
#define T_VM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "t_qemu.h"

#define T_VM_MIB 64

struct t_vm_opts {
	bool is_target;
	bool is_paused;      /* as a target never: -S */
	const char *uuid;    /* NULL: none */
	const char *machine; /* NULL: pc */
	unsigned int mib;    /* 0: T_VM_MIB */
	unsigned int pace;   /* of the oracle; 0: as fast as it can */
	const char *disk;    /* a second disk, with cache.direct=on; or NULL */
	const char *boot; /* a boot sector instead of the oracle's; 512 bytes */
};

struct t_vm {
	struct t_qemu q; /* its monitor for xdpmig, the test's, its directory */
	uint8_t *mem;    /* its RAM */
	uint64_t len;
	unsigned int pages; /* the oracle's */
	unsigned int stops; /* STOP events seen, by t_vm_stops() */
};

/* Can there be one here?  Else prints TAP's word for it. */
bool t_vm_possible(void);

/* Returns when its monitor answers, and a source's oracle beats. */
void t_vm_start(struct t_vm *vm, const struct t_vm_opts *opts);
void t_vm_quit(struct t_vm *vm);
void t_vm_kill(struct t_vm *vm); /* SIGKILL, and it is gone */
/* Its process has ended, by itself. */
void t_vm_has_quit(const struct t_vm *vm);

/* query-status; static, until the next call. */
const char *t_vm_state(struct t_vm *vm);
void t_vm_tell(struct t_vm *vm, const char *command);
unsigned int t_vm_stops(struct t_vm *vm); /* how often it stopped so far */
uint64_t t_vm_beats(const struct t_vm *vm);

/* It beats twice more. */
void t_vm_goes_on(struct t_vm *vm);
/* It is in @state, and its memory does not change. */
void t_vm_rests(struct t_vm *vm, const char *state);
/* Memory as a correct oracle guest leaves it; it must not run. */
void t_vm_check(const struct t_vm *vm);

/* It runs, and nothing happened to its memory. */
void t_vm_is_well(struct t_vm *vm);

#endif
