// SPDX-License-Identifier: GPL-2.0-or-later
/* beside.c - somebody else's XDP program on a device, by libxdp, as other tools do
 *
 *   beside attach DEV FILE   in native mode
 *   beside detach DEV        all programs but ours
 *   beside list DEV          names of the programs in the dispatcher, a line each
 */
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <xdp/libxdp.h>

static int beside_attach(int ifindex, const char *file)
{
	struct xdp_program *prog =
		xdp_program__open_file(file, "xdp.frags", NULL);
	int r = (int)libxdp_get_error(prog);

	if (r)
		return r;
	r = xdp_program__set_xdp_frags_support(prog, true);
	if (!r)
		r = xdp_program__attach(prog, ifindex, XDP_MODE_NATIVE, 0);
	xdp_program__close(prog);
	return r;
}

static int beside_each(int ifindex, bool is_detach)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(ifindex);
	struct xdp_program *prog = NULL, *theirs = NULL;
	int r = (int)libxdp_get_error(mp);

	if (r)
		return r;
	while ((prog = xdp_multiprog__next_prog(prog, mp))) {
		if (strcmp(xdp_program__name(prog), "xm_steer"))
			theirs = prog;
		if (!is_detach)
			puts(xdp_program__name(prog));
	}
	if (is_detach && theirs)
		r = xdp_program__detach(theirs, ifindex, XDP_MODE_NATIVE, 0);
	xdp_multiprog__close(mp);
	return r;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[1] : "";
	int ifindex = argc > 2 ? (int)if_nametoindex(argv[2]) : 0, r = -1;

	if (ifindex && !strcmp(verb, "attach") && argc == 4)
		r = beside_attach(ifindex, argv[3]);
	else if (ifindex && !strcmp(verb, "detach"))
		r = beside_each(ifindex, true);
	else if (ifindex && !strcmp(verb, "list"))
		r = beside_each(ifindex, false);
	if (r)
		(void)fprintf(stderr, "beside %s: error %d\n", verb, r);
	return r ? 1 : 0;
}
