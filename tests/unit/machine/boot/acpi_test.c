// SPDX-License-Identifier: GPL-2.0-only
/* Where ACPI tables say that VMBus and its MMIO are, and what of it a guest may use. */
#include <stdlib.h>
#include <string.h>

#include "lib/util.h"
#include "machine/boot/boot.h"
#include "machine/mem.h"
#include "tests/unit/test.h"

static struct machine machine;
static struct acpi_files files;

static void build(bool gen1, u64 memory)
{
	u64 low = KVMB_MIN(memory, MEM_LOW_MAX);

	machine = (struct machine){ .cfg = { .gen1 = gen1, .memory = memory, .cpus = 2 } };
	machine.gm.num_regions = 1;
	machine.gm.regions[0] = (struct kvmb_gm_region){ 0, low, 0, NULL };
	if (memory > low)
		machine.gm.regions[machine.gm.num_regions++] =
			(struct kvmb_gm_region){ MEM_HIGH_BASE, memory - low, low, NULL };
	acpi_build_files(&machine, &files);
}

static int setup(void **state)
{
	(void)state;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return 0;
}

/* A device's package: 5b 82, two bytes of length, its name. */
struct device {
	u32 from, to; /* its content, without its name */
};

static bool find_device_in(const char *name, const struct device *in, struct device *d)
{
	const u8 *t = files.tables;
	u32 i, len;

	for (i = in->from; i + 8 <= in->to; i++) {
		if (t[i] != 0x5b || t[i + 1] != 0x82 || memcmp(t + i + 4, name, 4))
			continue;
		assert_int_equal(t[i + 2] >> 4, 4); /* one byte of length follows */
		len = (t[i + 2] & 15u) | (u32)t[i + 3] << 4;
		*d = (struct device){ i + 8, i + 2 + len };
		assert_true(d->to <= in->to);
		return true;
	}
	return false;
}

static bool has(const struct device *d, const void *p, u32 len)
{
	u32 i;

	for (i = d->from; i + len <= d->to; i++) {
		if (!memcmp(files.tables + i, p, len))
			return true;
	}
	return false;
}

static bool has_window32(const struct device *d, u32 from, u32 to)
{
	u8 w[26] = { 0x87, 23, 0, 0, 0x0c, 0x03 };
	const u32 v[5] = { 0, from, to, 0, to - from + 1 };

	memcpy(w + 6, v, sizeof(v));
	return has(d, w, sizeof(w));
}

static bool has_window64(const struct device *d, u64 from, u64 size)
{
	u8 w[46] = { 0x8a, 43, 0, 0, 0x0c, 0x03 };
	const u64 v[5] = { 0, from, from + size - 1, 0, size };

	memcpy(w + 6, v, sizeof(v));
	return has(d, w, sizeof(w));
}

static void vmbus_stands_in_a_module_device_without_pci(void **state)
{
	struct device all, mod, vmbs;

	(void)state;
	build(false, 1ull << 30);
	all = (struct device){ 0, files.tables_len };
	assert_true(find_device_in("VMOD", &all, &mod));
	assert_true(find_device_in("VMBS", &mod, &vmbs));
	assert_true(has(&vmbs, "VMBus", 6));
	assert_true(has(&vmbs, "_ADR", 4));
	assert_true(has_window64(&mod, 0xf8000000, 0x6c00000));
	assert_true(has_window64(&mod, 0x100000000, 0x100000000));
	assert_false(find_device_in("PCI0", &all, &mod));
}

/* With an _ADR Linux would take it for a PCI device's: acpi.c. */
static void vmbus_stands_on_the_pci_bus_where_there_is_one(void **state)
{
	static const struct {
		u64 memory;
		u32 from;
	} machines[] = { { 256u << 20, 0x80000000 },
			 { 2ull << 30, 0x80000000 },
			 { 2560ull << 20, 0xa0000000 },
			 { 8ull << 30, 0xc0000000 } };
	struct device all, pci, vmbs;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(machines); i++) {
		build(true, machines[i].memory);
		all = (struct device){ 0, files.tables_len };
		assert_false(find_device_in("VMOD", &all, &pci));
		assert_true(find_device_in("PCI0", &all, &pci));
		assert_true(find_device_in("VMBS", &pci, &vmbs));
		assert_true(has(&vmbs, "VMBus", 6));
		assert_false(has(&vmbs, "_ADR", 4));
		assert_true(has(&vmbs, "_CRS", 4));
		CHECK_ROW(has_window32(&pci, machines[i].from, 0xfebfffff), true, i);
	}
}

/* Of a sleep state: NAME, its name, a package of two bytes. */
static bool has_state(const char *state, u8 type)
{
	const u8 want[] = { 0x12, 0x47, 0x00, 2, 0x0a, type, 0x0a, type }; /* 7 bytes long */
	u32 i;

	for (i = 0; i + 4 + sizeof(want) <= files.tables_len; i++) {
		if (!memcmp(files.tables + i, state, 4))
			return !memcmp(files.tables + i + 4, want, sizeof(want));
	}
	return false;
}

/* A guest of Hyper-V may hibernate exactly if there is S4: docs/protocol.md#7.12. */
static void s4_is_there_if_the_guest_may_hibernate(void **state)
{
	(void)state;
	build(false, 1u << 30);
	assert_true(has_state("_S5_", 5));
	assert_false(has_state("_S4_", 4));
	machine.cfg.hibernation = true;
	acpi_build_files(&machine, &files);
	assert_true(has_state("_S4_", 4));
	assert_true(has_state("_S5_", 5));
}

static void mmio_is_in_its_windows(void **state)
{
	static const struct {
		bool gen1;
		u64 memory, gpa, size;
		bool has;
	} places[] = {
		{ false, 1ull << 30, 0xf8000000, 8 << 20, true },
		{ false, 1ull << 30, 0xf7fff000, 8 << 20, false },
		{ false, 1ull << 30, 0xfe400000, 8 << 20, true },
		{ false, 1ull << 30, 0xfe401000, 8 << 20, false },
		{ false, 1ull << 30, 0xfec00000, 4096, false }, /* the IOAPIC */
		{ false, 1ull << 30, 0x80000000, 8 << 20, false },
		{ false, 1ull << 30, 0x100000000, 8 << 20, true },
		{ false, 1ull << 30, 0x1ff800000, 8 << 20, true },
		{ false, 1ull << 30, 0x1ff801000, 8 << 20, false },
		{ false, 8ull << 30, 0x100000000, 8 << 20, false }, /* RAM */
		{ false, 8ull << 30, 0x240000000, 8 << 20, true },
		{ true, 1ull << 30, 0x80000000, 8 << 20, true },
		{ true, 1ull << 30, 0x7ffff000, 8 << 20, false },
		{ true, 1ull << 30, 0xfd000000, 8 << 20, true },
		{ true, 1ull << 30, 0xfe401000, 8 << 20, false },
		{ true, 3ull << 30, 0xbffff000, 8 << 20, false },
		{ true, 3ull << 30, 0xc0000000, 8 << 20, true },
		{ true, 1ull << 30, 0x100000000, 8 << 20, true },
		{ true, 1ull << 30, ~0ull - 4095, 8 << 20, false },
		{ true, 1ull << 30, 0x80000000, ~0ull, false },
		{ true, 1ull << 30, 0, 8 << 20, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		build(places[i].gen1, places[i].memory);
		CHECK_ROW(acpi_has_mmio(&machine, places[i].gpa, places[i].size), places[i].has, i);
	}
}

/* ---- memory that comes later ---- */

static void add_hot(u64 base, u64 size)
{
	machine.hot.base = base;
	machine.hot.size = size;
	acpi_build_files(&machine, &files);
}

/* Return: its place; 0: there is none. */
static u32 find_table(const char *sig)
{
	u32 at, len;

	for (at = 0; at < files.tables_len; at = (at + len + 63) & ~63u) {
		memcpy(&len, files.tables + at + 4, 4);
		if (!memcmp(files.tables + at, sig, 4))
			return at;
	}
	return 0;
}

static void expect_affinity(u32 at, u64 base, u64 size, u32 flags)
{
	u64 v[2];
	u32 f;

	assert_int_equal(files.tables[at], 1);
	assert_int_equal(files.tables[at + 1], 40);
	memcpy(v, files.tables + at + 8, sizeof(v));
	memcpy(&f, files.tables + at + 28, sizeof(f));
	assert_int_equal(v[0], base);
	assert_int_equal(v[1], size);
	assert_int_equal(f, flags);
}

/* By which Linux knows how large its page tables and bounce buffers must be. */
static void memory_that_comes_later_is_in_a_table(void **state)
{
	u32 at, len;

	(void)state;
	build(false, 8ull << 30);
	assert_int_equal(find_table("SRAT"), 0);
	add_hot(9ull << 30, 4ull << 30);
	at = find_table("SRAT");
	assert_true(at);
	memcpy(&len, files.tables + at + 4, 4);
	assert_int_equal(len, 48 + 2 * 16 + 3 * 40);
	at += 48;
	assert_int_equal(files.tables[at], 0);
	assert_int_equal(files.tables[at + 3], 0);
	assert_int_equal(files.tables[at + 16 + 3], 1);
	expect_affinity(at + 32, 0, MEM_LOW_MAX, 1);
	expect_affinity(at + 72, MEM_HIGH_BASE, (8ull << 30) - MEM_LOW_MAX, 1);
	expect_affinity(at + 112, 9ull << 30, 4ull << 30, 3);
	build(true, 1ull << 30);
	add_hot(MEM_HIGH_BASE, 1ull << 30);
	at = find_table("SRAT") + 48 + 32;
	expect_affinity(at, 0, 1ull << 30, 1);
	expect_affinity(at + 40, MEM_HIGH_BASE, 1ull << 30, 3);
	machine.cfg.cpus = KVMB_MAX_CPUS; /* all of it fits */
	add_hot(MEM_HIGH_BASE, 1ull << 30);
	assert_in_range(files.tables_len, 3000, sizeof(files.tables) - 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(vmbus_stands_in_a_module_device_without_pci),
		T(vmbus_stands_on_the_pci_bus_where_there_is_one),
		T(s4_is_there_if_the_guest_may_hibernate),
		T(mmio_is_in_its_windows),
		T(memory_that_comes_later_is_in_a_table),
	};
	const char *keep = getenv("ACPI_TABLES"); /* a file for iasl */
	FILE *f;

	if (keep) {
		build(true, 1ull << 30);
		f = fopen(keep, "w");
		fwrite(files.tables, files.tables_len, 1, f);
		fclose(f);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
