// SPDX-License-Identifier: GPL-2.0-only
/* Boot images: what is refused, what is loaded where, and files that change under a running VM. */
#include "machine/boot/boot.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/dirty_log.h"
#include "machine/vcpu.h"
#include "tests/harness/patience.h"
#include "tests/unit/test.h"

#define RAM (16u << 20)
#define VMLINUX_AT 0x200000u
#define BZIMAGE_AT 0x400000u
#define TEXT 5000u  /* bytes of the segment in the file */
#define BSS 3000u   /* and behind it in memory */
#define SETUP 1024u /* of a bzImage: two sectors */

static char dir[] = "/tmp/kvmbus-boot-XXXXXX";
static char kernel[64], initrd[64], why[512];
static struct vcpu vcpu = { .fd = -1 };
static struct machine machine;
static struct kvm_regs regs; /* what vCPU 0 was given last */

/* KVM's part: registers of a vCPU. */
int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	assert_int_equal(fd, vcpu.fd);
	if (request == KVM_GET_SREGS)
		memset(arg, 0, sizeof(struct kvm_sregs));
	else if (request == KVM_SET_REGS)
		memcpy(&regs, arg, sizeof(regs));
	else
		assert_int_equal(request, KVM_SET_SREGS);
	return 0;
}

static void write_file(const char *path, const void *p, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

/* One segment of TEXT bytes of @fill, at the end of the file, and BSS behind it. */
static void write_vmlinux(u8 fill)
{
	u8 image[sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) + TEXT] = { 0 };
	Elf64_Ehdr *e = (void *)image;
	Elf64_Phdr *ph = (void *)(e + 1);

	memcpy(e->e_ident, ELFMAG, SELFMAG);
	e->e_ident[EI_CLASS] = ELFCLASS64;
	e->e_type = ET_EXEC;
	e->e_machine = EM_X86_64;
	e->e_entry = VMLINUX_AT + 16;
	e->e_phoff = sizeof(*e);
	e->e_phnum = 1;
	*ph = (Elf64_Phdr){ .p_type = PT_LOAD,
			    .p_paddr = VMLINUX_AT,
			    .p_offset = sizeof(*e) + sizeof(*ph),
			    .p_filesz = TEXT,
			    .p_memsz = TEXT + BSS };
	memset(ph + 1, fill, TEXT);
	write_file(kernel, image, sizeof(image));
}

static void write_bzimage(u8 fill)
{
	u8 image[SETUP + TEXT] = { 0 };
	struct setup_header *h = (void *)(image + 0x1f1);

	h->setup_sects = 1;
	h->boot_flag = 0xaa55;
	image[0x201] = 0x6a; /* the header ends here, from 0x202 on */
	h->header = 0x53726448;
	h->version = 0x20f;
	h->xloadflags = 1;
	h->initrd_addr_max = 0x7fffffff;
	h->pref_address = BZIMAGE_AT;
	h->init_size = TEXT + BSS;
	memset(image + SETUP, fill, TEXT);
	write_file(kernel, image, sizeof(image));
}

static int setup(__attribute__((unused)) void **state)
{
	machine = (struct machine){ .name = "test",
				    .cfg = { .kernel = kernel,
					     .initrd = initrd,
					     .append = "quiet",
					     .memory = RAM,
					     .cpus = 1 },
				    .vcpus = &vcpu };
	vcpu.machine = &machine;
	machine.gm =
		(struct kvmb_gm){ .memfd = -1, .num_regions = 1, .regions = { { .size = RAM } } };
	machine.gm.regions[0].hva = aligned_alloc(KVMB_PAGE_SIZE, RAM);
	memset(machine.gm.regions[0].hva, 0xee, RAM);
	write_vmlinux(0x11);
	write_file(initrd, "initrd", 6);
	return 0;
}

static int teardown(__attribute__((unused)) void **state)
{
	boot_close(machine.boot);
	free(machine.gm.regions[0].hva);
	return 0;
}

static void all_is(const u8 *p, u8 want, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		CHECK_ROW(p[i], want, i);
}

static const u8 *ram(u64 at)
{
	return machine.gm.regions[0].hva + at;
}

static void open_image(void)
{
	machine.boot = boot_open(&machine.cfg, why, sizeof(why));
	if (!machine.boot)
		fail_msg("%s", why);
}

CASE(boot_vmlinux_is_loaded)
{
	const struct boot_params *bp = (const void *)ram(BOOT_ZERO_PAGE);

	open_image();
	assert_int_equal(boot_enter(&machine), 0);
	assert_int_equal(regs.rip, VMLINUX_AT + 16);
	assert_int_equal(regs.rsi, BOOT_ZERO_PAGE);
	all_is(ram(VMLINUX_AT), 0x11, TEXT);
	all_is(ram(VMLINUX_AT + TEXT), 0, BSS);
	assert_int_equal(*ram(VMLINUX_AT + TEXT + BSS), 0xee);
	assert_int_equal(bp->hdr.ramdisk_size, 6);
	assert_memory_equal(ram(bp->hdr.ramdisk_image), "initrd", 6);
	assert_string_equal((const char *)ram(bp->hdr.cmd_line_ptr), "quiet");
}

CASE(boot_bzimage_is_loaded)
{
	const struct boot_params *bp = (const void *)ram(BOOT_ZERO_PAGE);

	write_bzimage(0x22);
	open_image();
	assert_int_equal(boot_enter(&machine), 0);
	assert_int_equal(regs.rip, BZIMAGE_AT + 0x200);
	all_is(ram(BZIMAGE_AT), 0x22, TEXT);
	assert_int_equal(bp->hdr.init_size, TEXT + BSS);
	assert_int_equal(bp->hdr.code32_start, BZIMAGE_AT);
	assert_memory_equal(ram(bp->hdr.ramdisk_image), "initrd", 6);
}

/* A guest that starts anew while it is migrated: what was loaded is noted. */
static void check_noted(void)
{
	u64 bits[RAM / KVMB_PAGE_SIZE / 64] = { 0 };
	u32 page, i, changed = 0;

	assert_int_equal(kvmb_dirty_log_begin(ram(0), RAM), 0);
	open_image();
	assert_int_equal(boot_enter(&machine), 0);
	kvmb_dirty_log_take(bits, 0, RAM / KVMB_PAGE_SIZE);
	kvmb_dirty_log_end();
	for (page = 0; page < RAM / KVMB_PAGE_SIZE; page++) {
		for (i = 0; i < KVMB_PAGE_SIZE; i++) {
			if (*ram(page * KVMB_PAGE_SIZE + i) != 0xee)
				break;
		}
		changed += i < KVMB_PAGE_SIZE;
		if (i < KVMB_PAGE_SIZE && !(bits[page / 64] >> page % 64 & 1))
			fail_msg("page %#x was written and not noted", page);
	}
	assert_true(changed > 10);
	boot_close(machine.boot);
	machine.boot = NULL;
}

CASE(boot_notes_what_it_writes)
{
	assert_int_equal(kvmb_dirty_log_prepare(), 0);
	check_noted();
	memset(machine.gm.regions[0].hva, 0xee, RAM);
	write_bzimage(0x22);
	check_noted();
}

static void refused(const char *want)
{
	machine.boot = boot_open(&machine.cfg, why, sizeof(why));
	assert_null(machine.boot);
	if (!strstr(why, want))
		fail_msg("\"%s\" does not say \"%s\"", why, want);
}

CASE(boot_no_kernel_is_refused)
{
	write_file(kernel, "", 0);
	refused("it is empty");
	write_file(kernel, "\x7f""ELF", 4);
	refused("not a bzImage");
	machine.cfg.kernel = dir;
	refused("not a regular file");
	write_vmlinux(0x11);
	machine.cfg.kernel = kernel;
	machine.cfg.initrd = "/nonexistent";
	refused("initrd /nonexistent: No such file");
}

CASE(boot_segment_outside_file_or_ram_is_refused)
{
	open_image();
	assert_int_equal(boot_elf_load(&machine, machine.boot, VMLINUX_AT,
				       machine.boot->kernel.len - 1, 2, 2),
			 -ENOEXEC);
	assert_int_equal(boot_elf_load(&machine, machine.boot, VMLINUX_AT, ~0ull, 2, 2), -ENOEXEC);
	assert_int_equal(boot_elf_load(&machine, machine.boot, VMLINUX_AT, 0, 2, 1), -ENOEXEC);
	assert_int_equal(boot_elf_load(&machine, machine.boot, RAM - 1, 0, 2, 2), -EFAULT);
	assert_int_equal(boot_elf_load(&machine, machine.boot, ~0ull, 0, 2, 2), -EFAULT);
	assert_int_equal(boot_load(&machine, &machine.boot->initrd, RAM - 5), -EFBIG);
	assert_int_equal(boot_load(&machine, &machine.boot->initrd, RAM - 6), 0);
}

CASE(boot_kernel_cut_between_starts_is_refused)
{
	open_image();
	assert_int_equal(boot_enter(&machine), 0);
	assert_int_equal(truncate(kernel, sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) + 1), 0);
	assert_int_equal(boot_enter(&machine), -ESTALE);
	assert_int_equal(truncate(kernel, sizeof(Elf64_Ehdr)), 0); /* not even the program header */
	assert_int_equal(boot_enter(&machine), -ESTALE);
	assert_int_equal(truncate(kernel, 0), 0);
	assert_int_equal(boot_enter(&machine), -ESTALE);
}

CASE(boot_initrd_cut_between_starts_is_refused)
{
	open_image();
	assert_int_equal(truncate(initrd, 3), 0);
	assert_int_equal(boot_enter(&machine), -ESTALE);
}

/* The headers must be those of the data: both are read anew. */
CASE(boot_kernel_rewritten_between_starts_works)
{
	open_image();
	assert_int_equal(boot_enter(&machine), 0);
	write_bzimage(0x22);
	assert_int_equal(truncate(kernel, (off_t)machine.boot->kernel.len), 0);
	assert_int_equal(boot_enter(&machine), 0);
	assert_int_equal(regs.rip, BZIMAGE_AT + 0x200);
	assert_int_equal(*ram(BZIMAGE_AT), 0x22);
}

/* A pipe that nobody writes to would hold up whoever opens it. */
CASE(boot_pipe_is_refused_at_once)
{
	struct machine_config cfg = { .kernel = kernel };

	unlink(kernel);
	assert_int_equal(mkfifo(kernel, 0600), 0);
	alarm(PATIENCE_MS / 1000);
	assert_null(boot_open(&cfg, why, sizeof(why)));
	assert_non_null(strstr(why, "not a regular file"));
	unlink(kernel);
	write_vmlinux(0x11);
	unlink(initrd);
	assert_int_equal(mkfifo(initrd, 0600), 0);
	cfg.initrd = initrd;
	assert_null(boot_open(&cfg, why, sizeof(why)));
	assert_non_null(strstr(why, "initrd"));
	alarm(0);
	unlink(initrd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(boot_vmlinux_is_loaded),
		T(boot_bzimage_is_loaded),
		T(boot_notes_what_it_writes),
		T(boot_no_kernel_is_refused),
		T(boot_segment_outside_file_or_ram_is_refused),
		T(boot_kernel_cut_between_starts_is_refused),
		T(boot_initrd_cut_between_starts_is_refused),
		T(boot_kernel_rewritten_between_starts_works),
		T(boot_pipe_is_refused_at_once),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	snprintf(kernel, sizeof(kernel), "%s/kernel", dir);
	snprintf(initrd, sizeof(initrd), "%s/initrd", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(kernel);
	unlink(initrd);
	rmdir(dir);
	return failed;
}
