// SPDX-License-Identifier: GPL-2.0-or-later
/* test_psk.c - key files, and what TLS is given of them */
#include "ctl/psk.h"

#include <sys/wait.h>

#include "../lib/t_tls.h"
#include "ctl/secret.h"

static const uint8_t raw[32] = {
	0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
	16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
};

/* Computed apart from this program (HKDF by hand, RFC 9258 section 4). */
static void psk_import__known_answer(void **state)
{
	static const uint8_t want[32] = { 0xad, 0x20, 0x4a, 0x94, 0xfd, 0x75,
					  0x23, 0xfb, 0x1a, 0xce, 0x31, 0x89,
					  0x9a, 0x4c, 0xef, 0xf5, 0x9a, 0x84,
					  0x9c, 0x92, 0x61, 0x7b, 0x91, 0x7e,
					  0xc1, 0xbe, 0xf8, 0xef, 0x02, 0x64,
					  0x35, 0x83 };
	static const char id[] = "\0\4host\0\10xdpmig/1\3\4\0\1";
	struct psk p = { .name = "host" };

	(void)state;
	assert_int_equal(psk_import(&p, raw, sizeof(raw)), 0);
	assert_int_equal(p.id_len, sizeof(id) - 1);
	assert_memory_equal(p.id, id, p.id_len);
	assert_memory_equal(p.key, want, sizeof(want));
}

static void psk_import__name_is_part_of_the_key(void **state)
{
	struct psk a = { .name = "a" }, b = { .name = "b" };

	(void)state;
	assert_int_equal(psk_import(&a, raw, sizeof(raw)), 0);
	assert_int_equal(psk_import(&b, raw, sizeof(raw)), 0);
	assert_memory_not_equal(a.key, b.key, sizeof(a.key));
	assert_memory_not_equal(a.key, raw, sizeof(raw));
}

static void psk_make__can_be_loaded_by_its_owner_only(void **state)
{
	struct t_tls *t = *state;
	const char *path = t_path(t, "made");
	char name[PSK_NAME_MAX + 1];
	struct xm_error e = { 0 };
	mode_t mask = umask(0777);
	struct psk p, q;
	struct stat st;

	assert_int_equal(psk_make(path, name, &e), 0);
	umask(mask);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(psk_load(&p, path, &e), 0);
	assert_string_equal(p.name, name);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(psk_make(path, name, &e), 0);
	assert_int_equal(psk_load(&q, path, &e), 0);
	assert_memory_not_equal(p.key, q.key, sizeof(p.key));
}

static void psk_make__overwrites_nothing(void **state)
{
	struct t_tls *t = *state;
	const char *path = t_key(t, "key", 'a');
	char name[PSK_NAME_MAX + 1];
	struct xm_error e = { 0 };
	struct psk p;

	assert_int_equal(psk_make(path, name, &e), -EEXIST);
	assert_non_null(strstr(e.msg, "never overwritten"));
	assert_int_equal(psk_load(&p, path, NULL), 0);
	assert_string_equal(p.name, "name-a");
}

static void psk_load__refuses_what_others_can_touch(void **state)
{
	static const mode_t bad[] = { 0640, 0604, 0620, 0602, 0644, 0666 };
	static const mode_t good[] = { 0600, 0400, 0700 };
	struct t_tls *t = *state;
	const char *path = t_key(t, "key", 'a');
	struct xm_error e;
	struct psk p;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&e, 0, sizeof(e));
		assert_int_equal(chmod(path, bad[i]), 0);
		assert_int_equal(psk_load(&p, path, &e), -EPERM);
		assert_int_equal(e.reason, XM_REASON_USAGE);
		assert_non_null(strstr(e.msg, path));
	}
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(chmod(path, good[i]), 0);
		assert_int_equal(psk_load(&p, path, NULL), 0);
	}
}

static void psk_load__refuses_what_is_no_key(void **state)
{
#define HEX32 "00112233445566778899aabbccddeeff"
	static const char *const bad[] = {
		"",
		"\n",
		":" HEX32 HEX32,
		HEX32 HEX32,
		"a b:" HEX32 HEX32,
		"name:",
		"name:" HEX32,                   /* 16 bytes */
		"name:" HEX32 HEX32 "0",         /* half a byte */
		"name:" HEX32 HEX32 " ",         /* a blank */
		"name:" HEX32 HEX32 "zz",        /* no digits */
		"name:" HEX32 HEX32 "\nb:00",    /* two lines */
		"name:" HEX32 "0011 2233" HEX32, /* */
	};
	struct t_tls *t = *state;
	const char *path = t_path(t, "bad");
	char large[PSK_NAME_MAX + 2 * PSK_KEY_MAX + 8];
	struct xm_error e;
	struct psk p;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&e, 0, sizeof(e));
		t_file(path, 0600, bad[i], strlen(bad[i]));
		assert_int_equal(psk_load(&p, path, &e), -EINVAL);
		assert_non_null(strstr(e.msg, "keygen"));
	}
	memset(large, '1', sizeof(large));
	large[1] = ':';
	t_file(path, 0600, large, 2 + 2 * PSK_KEY_MAX);
	assert_int_equal(psk_load(&p, path, NULL), 0);
	t_file(path, 0600, large, 2 + 2 * PSK_KEY_MAX + 2);
	assert_int_equal(psk_load(&p, path, NULL), -EINVAL);
	assert_int_equal(psk_load(&p, t->dir, NULL), -EINVAL); /* a folder */
	assert_int_equal(psk_load(&p, "/dev/zero", NULL), -EINVAL);
	assert_int_equal(psk_load(&p, t_path(t, "none"), NULL), -ENOENT);
	t_file(path, 0600, large, sizeof(large));
	assert_int_equal(truncate(path, 1 << 20), 0);
	assert_int_equal(psk_load(&p, path, NULL), -EFBIG);
}

/* psktool writes it, and so do people on other systems */
static void psk_load__line_ends(void **state)
{
	struct t_tls *t = *state;
	const char *path = t_path(t, "k");
	static const char *const ends[] = { "", "\n", "\r\n", "\n\n" };
	char line[100];
	struct psk p, q;
	size_t i;

	t_file(path, 0600, "n:" HEX32 HEX32, 66);
	assert_int_equal(psk_load(&p, path, NULL), 0);
	for (i = 0; i < 4; i++) {
		snprintf(line, sizeof(line), "n:" HEX32 HEX32 "%s", ends[i]);
		t_file(path, 0600, line, strlen(line));
		assert_int_equal(psk_load(&q, path, NULL), 0);
		assert_memory_equal(p.key, q.key, sizeof(p.key));
	}
}

/* What another process, a child or a dump could see of it. */
static void secret_new__not_in_children_nor_dumps(void **state)
{
	char *p = secret_new(100), line[256];
	bool is_ours = false, is_hidden = false;
	unsigned long from, to;
	FILE *f;
	int status;
	pid_t pid;

	(void)state;
	assert_non_null(p);
	memset(p, 'x', 100);
	pid = fork();
	if (!pid)
		_exit(p[0] || p[99]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(p[99], 'x');
	f = fopen("/proc/self/smaps", "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			is_ours = from <= (unsigned long)p &&
				  (unsigned long)p < to;
		if (is_ours && !strncmp(line, "VmFlags:", 8))
			is_hidden = strstr(line, " dd") && strstr(line, " wf");
	}
	fclose(f);
	assert_true(is_hidden);
	secret_free(p, 100);
}

/* What secret.c unmaps (--wrap): was it wiped? */
static bool t_is_wiped;

int __real_munmap(void *p, size_t len);
int __wrap_munmap(void *p, size_t len);
int __wrap_munmap(void *p, size_t len)
{
	const char *c = p;
	size_t i = 0;

	while (i < len && !c[i])
		i++;
	t_is_wiped = i == len;
	return __real_munmap(p, len);
}

static void secret_free__wipes(void **state)
{
	char *p = secret_new(5000);

	(void)state;
	assert_non_null(p);
	memset(p, 'x', 5000);
	secret_free(p, 5000);
	assert_true(t_is_wiped);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, t_tls_setup, t_tls_teardown)
	const struct CMUnitTest tests[] = {
		T(psk_import__known_answer),
		T(psk_import__name_is_part_of_the_key),
		T(psk_make__can_be_loaded_by_its_owner_only),
		T(psk_make__overwrites_nothing),
		T(psk_load__refuses_what_others_can_touch),
		T(psk_load__refuses_what_is_no_key),
		T(psk_load__line_ends),
		T(secret_new__not_in_children_nor_dumps),
		T(secret_free__wipes),
	};

	return cmocka_run_group_tests_name("psk", tests, NULL, NULL);
}
