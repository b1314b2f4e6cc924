// SPDX-License-Identifier: GPL-2.0-or-later
#include "t_vm.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ORACLE_FIRST (1u << 20)
#define ORACLE_REST  28 /* MiB that are not the oracle's */
#define PAGE         4096u

bool t_vm_possible(void)
{
	const char *lacks = NULL;

	if (geteuid())
		lacks = "needs root";
	else if (!t_qemu_is_there())
		lacks = "needs qemu-system-x86";
	else if (system("command -v as >/dev/null && command -v ld >/dev/null"))
		lacks = "needs binutils";
	if (lacks)
		printf("1..0 # SKIP %s\n", lacks);
	return !lacks;
}

static void make_boot(struct t_vm *vm, const struct t_vm_opts *opts)
{
	char line[1024];
	int fd;

	if (opts->boot) {
		snprintf(line, sizeof(line), "%s/boot", vm->q.dir);
		fd = open(line, O_WRONLY | O_CREAT | O_EXCL, 0600);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, opts->boot, 512), 512);
		assert_int_equal(ftruncate(fd, 4 << 20), 0);
		close(fd);
		return;
	}
	snprintf(line, sizeof(line),
		 "as --32 --defsym PAGES=%u --defsym PACE=%u --defsym BEAT=%u "
		 "-o %s/oracle.o %s && ld -m elf_i386 -Ttext 0x7c00 "
		 "--oformat binary -o %s/boot %s/oracle.o && truncate -s 4M "
		 "%s/boot",
		 vm->pages, opts->pace, vm->pages, vm->q.dir, T_ORACLE,
		 vm->q.dir, vm->q.dir, vm->q.dir);
	assert_int_equal(system(line), 0);
}

/* Its RAM file, mapped for the test to look at. */
static void make_ram(struct t_vm *vm)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/ram", vm->q.dir);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)vm->len), 0);
	vm->mem = mmap(NULL, vm->len, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(vm->mem, MAP_FAILED);
	close(fd);
}

void t_vm_start(struct t_vm *vm, const struct t_vm_opts *opts)
{
	char args[1024], disk[256] = "";

	memset(vm, 0, sizeof(*vm));
	vm->len = (uint64_t)(opts->mib ? opts->mib : T_VM_MIB) << 20;
	vm->pages = (unsigned int)((vm->len >> 20) - ORACLE_REST) * 256;
	t_qemu_prepare(&vm->q);
	make_boot(vm, opts);
	make_ram(vm);
	if (opts->disk)
		snprintf(disk, sizeof(disk),
			 " -drive if=none,id=d,format=raw,cache=none,file=%s "
			 "-device virtio-blk-pci,drive=d",
			 opts->disk);
	snprintf(args, sizeof(args),
		 "-no-user-config -m %u -machine %s,memory-backend=ram0 "
		 "-object memory-backend-file,id=ram0,size=%u,mem-path=@/ram,"
		 "share=on -drive if=none,id=b,format=raw,read-only=on,"
		 "file=@/boot -device virtio-blk-pci,drive=b,bootindex=0 "
		 "-serial file:@/serial%s%s%s%s%s",
		 (unsigned int)(vm->len >> 20),
		 opts->machine ? opts->machine : "pc", (unsigned int)vm->len,
		 disk, opts->uuid ? " -uuid " : "",
		 opts->uuid ? opts->uuid : "",
		 opts->is_target ? " -incoming defer" : "",
		 opts->is_paused ? " -S" : "");
	t_qemu_start(&vm->q, -1, args);
	if (!opts->is_target && !opts->is_paused && !opts->boot)
		t_vm_goes_on(vm);
}

void t_vm_kill(struct t_vm *vm)
{
	if (vm->q.pid > 0)
		t_reap(vm->q.pid);
	vm->q.pid = 0;
}

void t_vm_quit(struct t_vm *vm)
{
	if (vm->mem)
		munmap(vm->mem, vm->len);
	t_qemu_stop(&vm->q);
	memset(vm, 0, sizeof(*vm));
}

const char *t_vm_state(struct t_vm *vm)
{
	static char state[32];

	t_qemu_status(&vm->q, "query-status", state);
	return state;
}

void t_vm_tell(struct t_vm *vm, const char *command)
{
	json_decref(t_qemu_run(&vm->q, command, NULL));
}

unsigned int t_vm_stops(struct t_vm *vm)
{
	const char *name;
	json_t *event;

	(void)t_vm_state(vm); /* events before its answer are here then */
	while (!qmp_event(vm->q.qmp, &event, NULL)) {
		name = json_string_value(json_object_get(event, "event"));
		if (name && !strcmp(name, "STOP"))
			vm->stops++;
		json_decref(event);
	}
	return vm->stops;
}

uint64_t t_vm_beats(const struct t_vm *vm)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "%s/serial", vm->q.dir);
	return stat(path, &st) ? 0 : (uint64_t)st.st_size / 2;
}

void t_vm_goes_on(struct t_vm *vm)
{
	uint64_t beats = t_vm_beats(vm);

	T_UNTIL(t_vm_beats(vm) >= beats + 2);
	assert_string_equal(t_vm_state(vm), "running");
}

static uint64_t sum(const struct t_vm *vm)
{
	uint64_t all = 0;
	unsigned int i;

	for (i = 0; i < vm->pages; i++)
		all = all * 31 + vm->mem[ORACLE_FIRST + i * PAGE];
	return all;
}

void t_vm_rests(struct t_vm *vm, const char *state)
{
	uint64_t was = sum(vm);
	unsigned int i;

	for (i = 0; i < 20; i++) {
		assert_string_equal(t_vm_state(vm), state);
		usleep(5000);
	}
	assert_true(sum(vm) == was);
}

void t_vm_check(const struct t_vm *vm)
{
	const uint8_t *byte = vm->mem + ORACLE_FIRST;
	unsigned int i, steps = 0;

	for (i = 1; i < vm->pages; i++) {
		if (byte[i * PAGE] == byte[(i - 1) * PAGE])
			continue;
		if (byte[i * PAGE] != (uint8_t)(byte[(i - 1) * PAGE] - 1) ||
		    ++steps > 1)
			fail_msg("page %u of the oracle: %u after %u", i,
				 byte[i * PAGE], byte[(i - 1) * PAGE]);
	}
}

void t_vm_has_quit(const struct t_vm *vm)
{
	char path[64];
	FILE *f;
	char text[256] = "";

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)vm->q.pid);
	f = fopen(path, "r");
	if (f) {
		assert_non_null(fgets(text, sizeof(text), f));
		fclose(f);
	}
	assert_non_null(strstr(text, ") Z ")); /* not waited for yet */
}

void t_vm_is_well(struct t_vm *vm)
{
	t_vm_goes_on(vm);
	t_vm_tell(vm, "stop");
	t_vm_check(vm);
	t_vm_tell(vm, "cont");
	t_vm_goes_on(vm);
}
