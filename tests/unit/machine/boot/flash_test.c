// SPDX-License-Identifier: GPL-2.0-only
/* A machine's flash on a KVM that the test plays: where it is mapped, what a saved VM brings. */
#include "machine/boot/flash.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/boot/firmware.h"
#include "machine/dev/pci.h"
#include "machine/dev/pflash.h"
#include "machine/mem.h"
#include "tests/unit/test.h"

#define LEN (3u * PFLASH_BLOCK)
#define END (MEM_HIGH_BASE - 0x10000)

static char dir[64], code[80], vars[80], why[512];
static struct machine machine = { .name = "test" };
static struct pci_bus *bus;
static struct kvm_userspace_memory_region slot;
static struct flash *f;
static u32 told;

int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	(void)fd;
	assert_int_equal(request, KVM_SET_USER_MEMORY_REGION);
	slot = *(struct kvm_userspace_memory_region *)arg;
	assert_int_equal(slot.slot, MEM_SLOT_FLASH);
	return 0;
}

static void write_file(const char *path, size_t len, u8 val)
{
	u8 *buf = kvmb_xzalloc(len ? len : 1);
	FILE *file = fopen(path, "w");

	memset(buf, val, len);
	assert_int_equal(fwrite(buf, 1, len, file), len);
	fclose(file);
	free(buf);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/kvmb-CODE-XXXXXX"); /* not what is looked at */
	if (!mkdtemp(dir))
		return 1;
	snprintf(code, sizeof(code), "%s/OVMF_CODE_4M.fd", dir);
	snprintf(vars, sizeof(vars), "%s/OVMF_VARS_4M.fd", dir);
	write_file(vars, LEN, 0x77);
	bus = machine.pci = pci_create(&machine);
	slot = (struct kvm_userspace_memory_region){ 0 };
	f = NULL;
	told = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	flash_destroy(f);
	pci_destroy(bus);
	machine.pio.num = 0;
	unlink(vars);
	return rmdir(dir);
}

static void build(void)
{
	assert_int_equal(flash_open(&f, code, why, sizeof(why)), 0);
	assert_non_null(f);
	f = flash_build(f, &machine, END);
	flash_reset(f);
}

static u8 get(u64 addr)
{
	u8 v = 0;

	pci_memory(bus, addr, 1, false, &v);
	return v;
}

static void put(u64 addr, u8 v)
{
	pci_memory(bus, addr, 1, true, &v);
}

static void erase(u64 addr)
{
	put(addr, 0x20);
	put(addr, 0xd0);
	put(addr, 0xff);
}

static void variables_go_with_code(void **state)
{
	char buf[100];

	(void)state;
	assert_true(firmware_find_vars("/a/OVMF_CODE.fd", buf, sizeof(buf)));
	assert_string_equal(buf, "/a/OVMF_VARS.fd");
	assert_true(firmware_find_vars("CODE", buf, sizeof(buf)));
	assert_string_equal(buf, "VARS");
	assert_false(firmware_find_vars("/CODE/bios.bin", buf, sizeof(buf)));
	assert_false(firmware_find_vars("/usr/share/ovmf/OVMF.fd", buf, sizeof(buf)));
	assert_int_equal(flash_open(&f, "/CODE/bios.bin", why, sizeof(why)), 0);
	assert_null(f);
	write_file(vars, LEN - 1, 0);
	assert_int_equal(flash_open(&f, code, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "OVMF_VARS_4M.fd"));
	unlink(vars);
	assert_int_equal(flash_open(&f, code, why, sizeof(why)), -ENOENT);
	assert_null(f);
	write_file(vars, LEN, 0);
}

static void content_is_mapped_below_the_rom(void **state)
{
	(void)state;
	build();
	assert_int_equal(slot.guest_phys_addr, END - LEN);
	assert_int_equal(slot.memory_size, LEN);
	assert_int_equal(slot.flags, KVM_MEM_READONLY);
	assert_int_equal(*(u8 *)(uintptr_t)slot.userspace_addr, 0x77);
	assert_int_equal(get(END - LEN), 0x77);
	put(END - 1, 0x70);
	assert_int_equal(slot.memory_size, 0);
	assert_int_equal(get(END - LEN), 0x80);
	put(END - 1, 0xff);
	assert_int_equal(slot.memory_size, LEN);
	erase(END - 1);
	assert_int_equal(get(END - 1), 0xff);
	assert_int_equal(get(END - PFLASH_BLOCK), 0xff);
	assert_int_equal(get(END - PFLASH_BLOCK - 1), 0x77);
}

static void around_it_is_nothing(void **state)
{
	(void)state;
	build();
	put(END, 0x70); /* the ROM's */
	put(END - LEN - 1, 0x70);
	assert_int_equal(slot.memory_size, LEN);
	assert_int_equal(get(END - LEN - 1), 0xff);
	assert_int_equal(get(END), 0xff);
	assert_int_equal(get(MEM_HIGH_BASE - 1), 0xff);
	flash_destroy(f);
	bus->num_windows = 0;
	f = flash_build(NULL, &machine, END);
	flash_reset(f);
	assert_false(flash_has_chip(f));
	put(END - 1, 0x70);
	assert_int_equal(get(END - 1), 0xff);
}

/* ---- saved VMs ---- */

static struct kvmb_tlv_out out;
static struct kvmb_tlv_error error;

static void save(void)
{
	out = (struct kvmb_tlv_out){ 0 };
	kvmb_tlv_begin(&out, KVMB_SEC_MACHINE, 0, 0);
	flash_save(f, &out);
	kvmb_tlv_end(&out);
}

static int load(u64 end)
{
	struct kvmb_tlv group;
	size_t pos = 0;

	error = (struct kvmb_tlv_error){ 0 };
	assert_int_equal(kvmb_tlv_next(out.buf, out.len, &pos, &group, &error), 0);
	return flash_load(f, end, &group, &error);
}

static void count(void *arg, u32 block, const u8 *content)
{
	(void)arg, (void)block, (void)content;
	told++;
}

static void nothing(void *arg)
{
	(void)arg;
}

static void saved_chip_replaces_any(void **state)
{
	(void)state;
	build();
	erase(END - 1);
	save();
	flash_destroy(f);
	bus->num_windows = 0;
	f = flash_build(NULL, &machine, END); /* was a BIOS here */
	flash_reset(f);
	assert_int_equal(load(END - 0x1000), 0);
	assert_true(flash_has_chip(f));
	assert_int_equal(slot.guest_phys_addr, END - 0x1000 - LEN);
	assert_int_equal(slot.memory_size, LEN);
	assert_int_equal(get(END - 0x1001), 0xff);
	assert_int_equal(get(END - 0x1000 - LEN), 0x77);
	assert_int_equal(flash_load(f, END, NULL, &error), 0); /* and here it is none again */
	assert_int_equal(slot.memory_size, 0);
	assert_false(flash_has_chip(f));
	kvmb_tlv_out_fini(&out);
}

static void a_file_wants_its_size(void **state)
{
	const struct flash_keeper k = { count, nothing, NULL };

	(void)state;
	build();
	erase(END - 1);
	save();
	flash_destroy(f);
	bus->num_windows = 0;
	assert_int_equal(flash_open(&f, code, why, sizeof(why)), 0);
	flash_keep(f, &k);
	f = flash_build(f, &machine, END);
	flash_reset(f);
	assert_int_equal(load(END), 0);
	assert_int_equal(told, 0); /* another device may refuse its part, and the file stays */
	flash_loaded(f);
	assert_int_equal(told, 1); /* the block that differs */
	flash_loaded(f);
	assert_int_equal(told, 1);
	error = (struct kvmb_tlv_error){ 0 };
	assert_int_equal(flash_load(f, END, NULL, &error), -EPROTO);
	write_file(vars, LEN + PFLASH_BLOCK, 0);
	flash_destroy(f);
	bus->num_windows = 0;
	assert_int_equal(flash_open(&f, code, why, sizeof(why)), 0);
	flash_keep(f, &k);
	f = flash_build(f, &machine, END);
	assert_int_equal(load(END), -EPROTO);
	assert_non_null(strstr(error.text, "another size"));
	kvmb_tlv_out_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(variables_go_with_code), T(content_is_mapped_below_the_rom),
		T(around_it_is_nothing),   T(saved_chip_replaces_any),
		T(a_file_wants_its_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
