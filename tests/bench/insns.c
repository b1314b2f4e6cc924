// SPDX-License-Identifier: GPL-2.0-or-later
/* insns.c - a plugin of QEMU: how many instructions its emulated CPUs have executed
 *
 *   qemu-system-x86_64 -plugin libinsns.so,counts=FILE ...
 *
 * FILE is a page of 64-bit counters, one every 64 bytes, of CPU 0, 1, ...; read it at
 * any time.  The prototypes are QEMU's, whose header is in no package; versions 1
 * (QEMU 7.2) and 2 to 4 (10.0) of the interface have them alike.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE   4096
#define STRIDE 8 /* words */

struct qemu_plugin_tb;
typedef uint64_t qemu_plugin_id_t;

void qemu_plugin_register_vcpu_tb_trans_cb(
	qemu_plugin_id_t id,
	void (*cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*cb)(unsigned int cpu,
						     void *udata),
					  int flags, void *udata);

int qemu_plugin_version = PLUGIN_VERSION;
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc,
			char **argv);

static uint64_t *counter;

static void on_exec(unsigned int cpu, void *udata)
{
	counter[cpu % (PAGE / 64) * STRIDE] += (uintptr_t)udata;
}

/* A block of code that was translated: count its instructions when it is run. */
static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	qemu_plugin_register_vcpu_tb_exec_cb(
		tb, on_exec, 0, (void *)qemu_plugin_tb_n_insns(tb));
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc,
			char **argv)
{
	int fd;

	(void)info;
	if (argc != 1 || strncmp(argv[0], "counts=", 7))
		return -1;
	fd = open(argv[0] + 7, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, PAGE))
		return -1;
	counter = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (counter == MAP_FAILED)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	return 0;
}
