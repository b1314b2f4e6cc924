// SPDX-License-Identifier: GPL-2.0-or-later
/* test_xsk_desc.c - the kernel's opinion of frames that desc.c takes and refuses
 *
 * No device here joins pieces to a frame without a copy.  But the rules for the
 * descriptors are the same in both modes and for every driver: they are checked when
 * the ring is read.  So frames of up to 19 descriptors, at and around every
 * border, are put to the kernel on a veth pair, and it must refuse exactly
 * those that desc.c refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "t_veth.h"
#include "t_xsk.h"
#include "xsk/compat.h"
#include "xsk/desc.h"

#define UMEM_LEN ((uint64_t)T_CHUNKS * T_CHUNK)
#define FRAMES   3000
#define HEAD     64

static int setup(void **state)
{
	(void)state;
	t_veth_add(t_va, t_vb, 1, 65535);
	return 0;
}

/* A length and a place that are legal, or wrong in one way. */
static struct xdp_desc t_piece(unsigned int way)
{
	uint64_t chunk = t_tx_addr((unsigned int)random() % 256, 0);
	uint32_t len = 1 + (uint32_t)random() % T_CHUNK;

	switch (way) {
	case 0: /* one byte across its chunk */
		return (struct xdp_desc){ chunk + T_CHUNK - len + 1, len, 0 };
	case 1: /* nothing */
		return (struct xdp_desc){ chunk + len - 1, 0, 0 };
	case 2: /* behind the UMEM, as near as can be, or far */
		return (struct xdp_desc){ random() % 2 ?
						  UMEM_LEN :
						  UINT64_MAX - T_CHUNK + 1,
					  len, 0 };
	case 3: /* more than a chunk */
		return (struct xdp_desc){ chunk, T_CHUNK + len, 0 };
	case 4: /* the last bytes of the UMEM */
		return (struct xdp_desc){ UMEM_LEN - len, len, 0 };
	case 5: /* all of a chunk */
		return (struct xdp_desc){ chunk, T_CHUNK, 0 };
	default: /* up to its chunk's end, or inside */
		return (struct xdp_desc){
			chunk + (uint32_t)random() % (T_CHUNK - len + 1), len, 0
		};
	}
}

/* Up to 19 descriptors, most frames with nothing wrong in them. */
static unsigned int t_frame(struct xdp_desc *d)
{
	unsigned int n = 1 + (unsigned int)random() % 19, i;

	/* an Ethernet header, at an even address: that is our own rule */
	d[0] = (struct xdp_desc){ t_tx_addr((unsigned int)random() % 256, 0),
				  HEAD, 0 };
	for (i = 1; i < n; i++)
		d[i] = t_piece(4 + (unsigned int)random() % 8);
	if (n > 1 && random() % 2)
		d[1 + (unsigned int)random() % (n - 1)] =
			t_piece((unsigned int)random() % 4);
	return n;
}

static bool t_is_ours(const struct xdp_desc *d, unsigned int n)
{
	struct xdp_desc ring[32];
	struct xsk_desc_list l;
	unsigned int i;

	xsk_desc_init(&l, ring, 0, 31, UMEM_LEN, 18);
	for (i = 0; i < n; i++)
		if (xsk_desc_add(&l, d[i].addr, d[i].len))
			return false;
	return !xsk_desc_seal(&l);
}

/* Have the kernel read the frame; false when it refused it. */
static bool t_kernel_takes(struct t_xsk *x, const struct xdp_desc *d,
			   unsigned int n)
{
	uint64_t before = t_xsk_tx_invalid(x), addr[32];
	int64_t start = 0;

	t_xsk_write(x, d, n);
	t_xsk_publish(x, n);
	for (;;) {
		(void)t_xsk_kick(x); /* the peer may drop it: no matter */
		if (__atomic_load_n(x->s.tx.consumer, __ATOMIC_ACQUIRE) ==
		    *x->s.tx.producer)
			break;
		while (t_xsk_reap(x, addr, 32))
			;
		assert_true(t_wait(&start));
	}
	while (t_xsk_reap(x, addr, 32))
		;
	return t_xsk_tx_invalid(x) == before;
}

static void desc__the_kernel_agrees(void **state)
{
	unsigned int i, n, legal = 0;
	struct xdp_desc d[19];
	struct t_xsk x;
	bool ours;

	(void)state;
	srandom(0xde5c);
	t_xsk_open(&x, t_va, 0);
	for (i = 0; i < FRAMES; i++) {
		n = t_frame(d);
		ours = t_is_ours(d, n);
		legal += ours;
		if (t_kernel_takes(&x, d, n) != ours)
			fail_msg("frame %u, of %u descriptors: the kernel %s",
				 i, n, ours ? "refuses it" : "takes it");
	}
	print_message("# %u of %u frames are legal\n", legal, FRAMES);
	assert_in_range(legal, FRAMES / 4, 3 * FRAMES / 4);
	t_xsk_close(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(desc__the_kernel_agrees, setup,
						t_veth_teardown),
	};

	if (!t_netns_enter())
		return 0;
	return cmocka_run_group_tests_name("xsk_desc", tests, NULL, NULL);
}
