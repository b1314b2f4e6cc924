// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_addr.c - addresses as people write them
 *
 * parses: userspace/ctl/addr.c
 *
 * No name is looked up: what is no number is not found.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "ctl/ctl.h"

#include "fuzz.h"

/* In the place of the resolver, by the linker. */
int __real_getaddrinfo(const char *node, const char *service,
		       const struct addrinfo *hints, struct addrinfo **res);
int __wrap_getaddrinfo(const char *node, const char *service,
		       const struct addrinfo *hints, struct addrinfo **res);

int __wrap_getaddrinfo(const char *node, const char *service,
		       const struct addrinfo *hints, struct addrinfo **res)
{
	struct addrinfo numbers = *hints;

	if (!(hints->ai_flags & AI_NUMERICHOST))
		return node[0] == 'm' ? EAI_MEMORY :
		       node[0] == 's' ? EAI_SYSTEM :
					EAI_FAIL;
	numbers.ai_flags |= AI_NUMERICHOST | AI_NUMERICSERV;
	return __real_getaddrinfo(node, service, &numbers, res);
}

/* What was understood is understood again as it is printed. */
static void check_again(const struct ctl_addr *a)
{
	struct xm_error e = { 0 };
	struct ctl_addr again;
	char text[64];

	FUZZ_CHECK(a->ss.ss_family == AF_INET || a->ss.ss_family == AF_INET6);
	FUZZ_CHECK(a->len <= sizeof(a->ss));
	(void)ctl_addr_text(a, text, sizeof(text));
	FUZZ_CHECK(!ctl_addr_parse(&again, text, 1, &e) && !e.err);
	FUZZ_CHECK(again.len == a->len && !memcmp(&again.ss, &a->ss, a->len));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), host[256];
	struct xm_error e = { 0 }, e_host = { 0 };
	struct ctl_addr addr;
	int r, r_host;

	FUZZ_CHECK(text);
	memcpy(text, data, size);
	text[size] = '\0';
	r = ctl_addr_parse(&addr, text, 61951, &e);
	r_host = ctl_addr_host(host, text, &e_host);
	FUZZ_CHECK(r ? e.err == r && e.msg[0] : !e.err);
	FUZZ_CHECK(r_host ? e_host.err == r_host : host[0] && !e_host.err);
	FUZZ_CHECK(!r_host || r);
	if (!r)
		check_again(&addr);
	free(text);
	return 0;
}
