/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_veth.h - a network namespace with a veth pair, for tests with real sockets
 *
 * The test program moves into a network and a mount namespace of its own,
 * where nothing of the host's can be touched and all is gone when it ends.
 */
#ifndef XM_TESTS_T_VETH_H
#define XM_TESTS_T_VETH_H

#include <stdbool.h>
#include <stdint.h>

/* Names for a veth pair, that this process's alone has: NAPI threads are found by the
 * device's name.  t_netns_enter() writes them. */
extern char t_va[16], t_vb[16];

/* False, after having printed the TAP line that skips the whole program, when
 * that needs rights we do not have. */
bool t_netns_enter(void);

/* Run a shell command; the test fails with it. */
void t_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* veth pair @a - @b with @queues queues each, up, carrier awaited. */
void t_veth_add(const char *a, const char *b, unsigned int queues,
		unsigned int mtu);
void t_veth_del(const char *a);

/* For cmocka: t_va - t_vb with four queues each and MTU 9000. */
int t_veth_setup(void **state);
int t_veth_teardown(void **state);

void t_carrier_wait(const char *ifname);

/* Attach a native XDP program to @ifname that redirects every frame to the
 * socket in slot "receive queue" of the map that is returned, and passes it
 * to the stack when the slot is empty. */
int t_redirect(const char *ifname);
void t_redirect_set(int map_fd, uint32_t slot, int xsk_fd);
void t_redirect_clear(int map_fd, uint32_t slot);

/* True until 5 s after *@start, which is set by the first call: for waiting
 * loops.  Sleeps for a moment. */
bool t_wait(int64_t *start_ms);

#endif
