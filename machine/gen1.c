// SPDX-License-Identifier: GPL-2.0-only
/* The parts of a gen1 machine: gen1.h. */
#include "machine/gen1.h"

#include <stdlib.h>
#include <sys/ioctl.h>

#include "lib/log.h"
#include "lib/util.h"
#include "machine/boot/boot.h"
#include "machine/boot/smbios.h"
#include "machine/dev/fw_cfg.h"
#include "machine/dev/pci.h"
#include "machine/dev/ide.h"
#include "machine/dev/piix.h"
#include "machine/dev/ps2.h"
#include "machine/dev/rtc.h"
#include "machine/dev/vga.h"
#include "machine/gen1_priv.h"
#include "machine/irq.h"
#include "machine/late.h"
#include "machine/mem.h"
#include "machine/vcpu.h"

#define DEBUG_PORT 0x402u /* firmware writes what it does, a byte at a time */
#define DEBUG_THERE 0xe9u /* what it reads when somebody listens */
#define PORT_92 0x92u	  /* bit 0: reset; bit 1: A20, which is always open */

/* ---- what firmware says ---- */

static void end_line(struct gen1 *g)
{
	g->line[g->line_len] = 0;
	g->line_len = 0;
	if (!g->line[0])
		return;
	if (strstr(g->line, "No bootable device"))
		__atomic_store_n(&g->no_boot, true, __ATOMIC_RELAXED);
	kvmb_dbg(g->machine->name, "firmware: %s", g->line);
}

static void debug_access(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct gen1 *g = dev;
	char c = (char)*val;

	(void)offset, (void)size;
	if (!write) {
		*val = DEBUG_THERE;
		return;
	}
	pthread_mutex_lock(&g->lock);
	if (c == '\n' || g->line_len == sizeof(g->line) - 1)
		end_line(g);
	if (c >= ' ' && c < 127)
		g->line[g->line_len++] = c;
	pthread_mutex_unlock(&g->lock);
}

bool gen1_no_boot(const struct gen1 *g)
{
	return __atomic_load_n(&g->no_boot, __ATOMIC_RELAXED);
}

static void port_92_access(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct gen1 *g = dev;

	(void)offset, (void)size;
	if (!write)
		*val = 2;
	else if (*val & 1)
		g->machine->ops->request(g->machine->ops_arg, MACHINE_RESET);
}

/* ---- what firmware reads ---- */

struct e820 { /* Source: QEMU docs/specs/fw_cfg.rst; ACPI 6.4 chapter 15 */
	__le64 addr, len;
	__le32 type;
} __attribute__((packed));

static void put_memory_map(struct gen1 *g)
{
	const struct machine *m = g->machine;
	u64 low = KVMB_MIN(m->cfg.memory, MEM_LOW_MAX);
	struct e820 e[2] = { { 0, cpu_to_le64(low), cpu_to_le32(1) } };
	u32 num = 1;

	if (m->cfg.memory > low)
		e[num++] = (struct e820){ cpu_to_le64(MEM_HIGH_BASE),
					  cpu_to_le64(m->cfg.memory - low), cpu_to_le32(1) };
	fw_cfg_put_file(g->fw_cfg, "etc/e820", e, num * (u32)sizeof(e[0]));
}

/* Commands to firmware: QEMU hw/acpi/bios-linker-loader.c documents them. */
enum { LOAD_FILE = 1, LOAD_POINTER = 2, LOAD_CHECKSUM = 3 };

struct load_command {
	__le32 command;
	char file[FW_CFG_NAME];
	union {
		struct {
			__le32 align;
			u8 zone; /* 1: anywhere; 2: below 1 MiB */
		} __attribute__((packed)) load;
		struct {
			char to[FW_CFG_NAME];
			__le32 at;
			u8 size;
		} __attribute__((packed)) pointer;
		struct {
			__le32 at, from, len;
		} __attribute__((packed)) sum;
		u8 room[124 - FW_CFG_NAME];
	};
} __attribute__((packed));

static_assert(sizeof(struct load_command) == 128, "by the interface");

#define RSDP_FILE "etc/acpi/rsdp"
#define TABLES_FILE "etc/acpi/tables"
#define MOST_COMMANDS 40u

struct loader {
	struct load_command c[MOST_COMMANDS];
	u32 num;
};

static struct load_command *add_command(struct loader *l, u32 command, const char *file)
{
	struct load_command *c = &l->c[l->num++];

	kvmb_assert(l->num <= MOST_COMMANDS);
	c->command = cpu_to_le32(command);
	snprintf(c->file, sizeof(c->file), "%s", file);
	return c;
}

static void add_load(struct loader *l, const char *file, u32 align, u8 zone)
{
	struct load_command *c = add_command(l, LOAD_FILE, file);

	c->load.align = cpu_to_le32(align);
	c->load.zone = zone;
}

static void add_pointer(struct loader *l, const char *file, u32 at, u8 size)
{
	struct load_command *c = add_command(l, LOAD_POINTER, file);

	snprintf(c->pointer.to, sizeof(c->pointer.to), "%s", TABLES_FILE);
	c->pointer.at = cpu_to_le32(at);
	c->pointer.size = size;
}

static void add_sum(struct loader *l, const char *file, u32 at, u32 from, u32 len)
{
	struct load_command *c = add_command(l, LOAD_CHECKSUM, file);

	c->sum.at = cpu_to_le32(at);
	c->sum.from = cpu_to_le32(from);
	c->sum.len = cpu_to_le32(len);
}

static void put_acpi(struct gen1 *g)
{
	struct acpi_files *f = kvmb_xzalloc(sizeof(*f));
	struct loader *l = kvmb_xzalloc(sizeof(*l));
	u32 i;

	acpi_build_files(g->machine, f);
	add_load(l, RSDP_FILE, 16, 2);
	add_load(l, TABLES_FILE, 64, 1);
	for (i = 0; i < f->num_links; i++)
		add_pointer(l, TABLES_FILE, f->links[i].at, f->links[i].size);
	for (i = 0; i < f->num_sums; i++)
		add_sum(l, TABLES_FILE, f->sums[i].at + 9, f->sums[i].at, f->sums[i].len);
	add_pointer(l, RSDP_FILE, 16, 4);
	add_pointer(l, RSDP_FILE, 24, 8);
	add_sum(l, RSDP_FILE, 8, 0, 20);
	add_sum(l, RSDP_FILE, 32, 0, ACPI_RSDP_LEN);
	fw_cfg_put_file(g->fw_cfg, RSDP_FILE, f->rsdp, ACPI_RSDP_LEN);
	fw_cfg_put_file(g->fw_cfg, TABLES_FILE, f->tables, f->tables_len);
	fw_cfg_put_file(g->fw_cfg, "etc/table-loader", l->c, l->num * (u32)sizeof(l->c[0]));
	free(l);
	free(f);
}

static void put_smbios(struct gen1 *g)
{
	struct smbios *s = kvmb_xzalloc(sizeof(*s));

	smbios_build(&g->machine->cfg, s);
	fw_cfg_put_file(g->fw_cfg, "etc/smbios/smbios-anchor", s->anchor, sizeof(s->anchor));
	fw_cfg_put_file(g->fw_cfg, "etc/smbios/smbios-tables", s->tables, s->len);
	free(s);
}

static void fill_fw_cfg(struct gen1 *g)
{
	const __le64 serial = cpu_to_le64(0x3f8); /* SeaBIOS shows its screen there too */
	const struct machine *m = g->machine;

	fw_cfg_put16(g->fw_cfg, FW_CFG_CPUS, (u16)m->cfg.cpus);
	fw_cfg_put16(g->fw_cfg, FW_CFG_MAX_CPUS, (u16)m->cfg.cpus);
	fw_cfg_put_file(g->fw_cfg, "etc/sercon-port", &serial, sizeof(serial));
	put_memory_map(g);
	put_acpi(g);
	put_smbios(g);
}

#define MENU_MS 10000u /* that a menu waits for somebody to ask for it */

void gen1_set_boot(struct gen1 *g, const char *order, bool menu)
{
	const __le64 show = cpu_to_le64(menu), wait = cpu_to_le64(MENU_MS);

	fw_cfg_put_file(g->fw_cfg, "bootorder", order, (u32)strlen(order) + 1);
	fw_cfg_put_file(g->fw_cfg, "etc/show-boot-menu", &show, sizeof(show));
	if (menu)
		fw_cfg_put_file(g->fw_cfg, "etc/boot-menu-wait", &wait, sizeof(wait));
}

/* ---- the network: boot/netboot.h ---- */

/* Return: 0 or -errno with @why. */
static int open_ipxe(struct gen1 *g, bool uefi, char *why, size_t size)
{
	const struct machine_config *c = &g->machine->cfg;
	const char *firmware = uefi && !c->firmware ? firmware_find("uefi") : g->rom.path;
	int err = netboot_open(&g->ipxe[uefi], firmware, uefi, why, size);

	if (!err || c->netboot_comes) /* of a VM that comes from elsewhere it is in the state */
		return 0;
	if (uefi && !c->firmware) /* if that is chosen, it is said then */
		return 0;
	if (c->netboot == NETBOOT_LATER)
		kvmb_warn(g->machine->name, "%s", why);
	return c->netboot == NETBOOT_LATER ? 0 : err;
}

/* For the firmware that there is, or for both that may be chosen. */
static int open_netboot(struct gen1 *g, char *why, size_t size)
{
	const struct machine_config *c = &g->machine->cfg;
	int err = 0;

	if (c->netboot && !g->flash)
		err = open_ipxe(g, false, why, size);
	if (c->netboot && !err && (g->flash || !c->firmware))
		err = open_ipxe(g, true, why, size);
	return err;
}

static void close_netboot(struct gen1 *g)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(g->ipxe); i++)
		firmware_close(&g->ipxe[i]);
}

static void put_bios_netboot(struct gen1 *g)
{
	const struct firmware *f = &g->ipxe[0];
	u16 key = 0;

	if (f->rom)
		key = fw_cfg_put_file(g->fw_cfg, "etc/kvmbus/ipxe", f->rom, f->len);
	netboot_make_rom(g->netboot_rom, f->rom ? f : NULL, key);
	g->has_netboot_rom = true;
}

static void put_uefi_netboot(struct gen1 *g)
{
	const struct firmware *f = &g->ipxe[1];
	__le32 len = cpu_to_le32(f->len);

	if (g->machine->cfg.netboot != NETBOOT_FIRST) {
		kvmb_warn(g->machine->name,
			  "UEFI firmware boots from the network first or not at all: not now; "
			  "--boot net,... does it");
	} else if (f->rom) {
		fw_cfg_put(g->fw_cfg, FW_CFG_KERNEL_SIZE, &len, sizeof(len));
		fw_cfg_put(g->fw_cfg, FW_CFG_KERNEL_DATA, f->rom, f->len);
	} else if (!g->machine->cfg.netboot_comes) {
		kvmb_warn(g->machine->name,
			  "UEFI firmware does not boot from the network: it has no driver for the "
			  "legacy NIC, and there is no /usr/lib/ipxe/ipxe.efi");
	}
}

static void put_netboot(struct gen1 *g)
{
	if (!g->machine->cfg.netboot)
		return;
	if (g->flash)
		put_uefi_netboot(g);
	else
		put_bios_netboot(g);
	close_netboot(g);
}

const void *gen1_netboot_rom(const struct gen1 *g, u32 *len)
{
	*len = g->has_netboot_rom ? NETBOOT_ROM_LEN : 0;
	return g->has_netboot_rom ? g->netboot_rom : NULL;
}

/* ---- devices ---- */

static void set_video_slot(struct gen1 *g, u64 gpa, void *hva, u64 size)
{
	struct kvm_userspace_memory_region r = { .slot = MEM_SLOT_VIDEO,
						 .guest_phys_addr = gpa,
						 .memory_size = size,
						 .userspace_addr = (u64)(uintptr_t)hva };

	/* over RAM or ROM it is not to be had: it shows when it is moved away */
	if (ioctl(g->machine->vm_fd, KVM_SET_USER_MEMORY_REGION, &r))
		kvmb_warn_ratelimited(g->machine->name, "video memory at %#llx: %s",
				      (unsigned long long)gpa, strerror(errno));
	else
		g->video_at = size ? gpa : PCI_NOWHERE;
}

static void map_video(void *arg, u64 gpa, void *hva, u64 size)
{
	struct gen1 *g = arg;

	if (g->video_at != PCI_NOWHERE)
		set_video_slot(g, g->video_at, hva, 0);
	if (gpa != PCI_NOWHERE)
		set_video_slot(g, gpa, hva, size);
}

static void set_ide_irq(void *arg, u32 channel, int level)
{
	irq_set_line(arg, 14 + channel, level);
}

static void set_ps2_irq(void *arg, u32 irq, int level)
{
	irq_set_line(arg, irq, level);
}

static void reset_by_keyboard(void *arg)
{
	struct machine *m = arg;

	m->ops->request(m->ops_arg, MACHINE_RESET);
}

static void add_ide(struct gen1 *g)
{
	struct machine *m = g->machine;
	const struct ide_config cfg = { .pci = g->pci,
					.ports = &m->pio,
					.gm = &m->gm,
					.slot = PIIX_SLOT,
					.number = 1,
					.set_irq = set_ide_irq,
					.irq_arg = m };

	g->ide = ide_create(&cfg);
	m->late = late_create(m->vm_fd, m->vcpus[0].run, m->run_size, &m->pio);
	late_add(m->late, IDE_LATE_PORTS(0), IDE_NUM_LATE_PORTS);
	late_add(m->late, IDE_LATE_PORTS(1), IDE_NUM_LATE_PORTS);
}

static int add_vga(struct gen1 *g)
{
	const struct vga_ops ops = { .map = map_video, .arg = g };

	return vga_create(&g->vga, &g->machine->pio, g->pci, &ops,
			  firmware_is_uefi(&g->rom) ? VGA_QEMU : VGA_HYPERV, g->vga_rom.rom,
			  g->vga_rom.len);
}

static void add_ps2(struct gen1 *g)
{
	struct machine *m = g->machine;
	const struct ps2_ops ops = { .set_irq = set_ps2_irq, .reset = reset_by_keyboard, .arg = m };

	g->ps2 = ps2_create(&ops);
	iobus_add(&m->pio, PS2_DATA_PORT, 1, ps2_data_access, g->ps2);
	iobus_add(&m->pio, PS2_COMMAND_PORT, 1, ps2_command_access, g->ps2);
}

struct ide *gen1_ide(struct gen1 *g)
{
	return g->ide;
}

void gen1_end_ide(struct gen1 *g)
{
	ide_destroy(g->ide);
	g->ide = NULL;
}

struct vga *gen1_vga(struct gen1 *g)
{
	return g->vga;
}

struct flash *gen1_flash(struct gen1 *g)
{
	return g->flash;
}

struct ps2 *gen1_ps2(struct gen1 *g)
{
	return g->ps2;
}

/* ---- life ---- */

/* Without a VGA BIOS there is the serial line. */
static void open_vga_rom(struct gen1 *g)
{
	char path[4096], why[512];

	firmware_find_vga(g->rom.path, path, sizeof(path));
	if (!firmware_open(&g->vga_rom, path, 512, why, sizeof(why)) &&
	    g->vga_rom.len <= VGA_ROM_SIZE)
		return;
	if (!g->flash) /* UEFI firmware has a driver of its own */
		kvmb_warn(g->machine->name,
			  "no VGA BIOS, so firmware shows nothing on the screen: %s", path);
	firmware_close(&g->vga_rom);
	g->vga_rom.len = 0;
}

/* Nothing can be opened any more when it is known which firmware a disk wants. */
static void open_uefi(struct gen1 *g)
{
	char why[512];

	if (firmware_open(&g->uefi, firmware_find("uefi"), FIRMWARE_UNIT, why, sizeof(why)) ||
	    flash_open(&g->uefi_flash, g->uefi.path, why, sizeof(why)))
		firmware_close(&g->uefi);
}

static void forget_uefi(struct gen1 *g)
{
	firmware_close(&g->uefi);
	flash_destroy(g->uefi_flash);
	g->uefi_flash = NULL;
}

int gen1_use_uefi(struct gen1 *g)
{
	if (!g->uefi.rom)
		return -ENOENT;
	firmware_close(&g->rom);
	g->rom = g->uefi;
	g->flash = g->uefi_flash;
	g->uefi = (struct firmware){ 0 };
	g->uefi_flash = NULL;
	return 0;
}

struct gen1 *gen1_open(struct machine *m, char *why, size_t size)
{
	struct gen1 *g = kvmb_xzalloc(sizeof(*g));

	g->machine = m;
	g->video_at = PCI_NOWHERE;
	if (firmware_open(&g->rom, firmware_find(m->cfg.firmware), FIRMWARE_UNIT, why, size) ||
	    flash_open(&g->flash, g->rom.path, why, size) || open_netboot(g, why, size)) {
		close_netboot(g);
		flash_destroy(g->flash);
		firmware_close(&g->rom);
		free(g);
		return NULL;
	}
	open_vga_rom(g);
	if (!m->cfg.firmware)
		open_uefi(g);
	pthread_mutex_init(&g->lock, NULL);
	return g;
}

int gen1_build(struct gen1 *g)
{
	struct machine *m = g->machine;
	int err;

	forget_uefi(g);
	g->pci = m->pci = pci_create(m);
	g->piix = piix_create(g->pci);
	g->fw_cfg = fw_cfg_create(&m->pio);
	iobus_add(&m->pio, DEBUG_PORT, 1, debug_access, g);
	iobus_add(&m->pio, PORT_92, 1, port_92_access, g);
	fill_fw_cfg(g);
	put_netboot(g);
	g->flash = flash_build(g->flash, m, MEM_HIGH_BASE - g->rom.len);
	add_ide(g);
	add_ps2(g);
	err = add_vga(g);
	return err ? err : firmware_map(m, &g->rom);
}

static void tell_memory(struct machine *m)
{
	u64 low = KVMB_MIN(m->cfg.memory, MEM_LOW_MAX);

	rtc_set_memory(m->rtc, low, m->cfg.memory - low);
}

void gen1_enter(struct gen1 *g)
{
	late_deliver(g->machine->late);
	pci_reset(g->pci);
	piix_reset(g->piix);
	fw_cfg_reset(g->fw_cfg);
	ide_reset(g->ide);
	vga_reset(g->vga);
	ps2_reset(g->ps2);
	flash_reset(g->flash);
	tell_memory(g->machine);
	__atomic_store_n(&g->no_boot, false, __ATOMIC_RELAXED);
	firmware_enter(g->machine, &g->rom);
}

void gen1_destroy(struct gen1 *g)
{
	if (!g)
		return;
	late_destroy(g->machine->late);
	ide_destroy(g->ide);
	ps2_destroy(g->ps2);
	vga_destroy(g->vga);
	fw_cfg_destroy(g->fw_cfg);
	flash_destroy(g->flash);
	piix_destroy(g->piix);
	g->machine->pci = NULL;
	pci_destroy(g->pci);
	firmware_close(&g->vga_rom);
	firmware_close(&g->rom);
	close_netboot(g);
	forget_uefi(g);
	pthread_mutex_destroy(&g->lock);
	free(g);
}
