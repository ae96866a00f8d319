// SPDX-License-Identifier: GPL-2.0-only
/* The ROM of a gen1 machine: firmware.h. */
#include "machine/boot/firmware.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/dirty_log.h"
#include "lib/util.h"
#include "machine/mem.h"

#define LOW_SIZE 0x20000u
#define LOW_END 0x100000u
#define OVMF "/usr/share/OVMF/OVMF_CODE"

const char *firmware_find(const char *name)
{
	if (!name || !strcmp(name, "bios"))
		return "/usr/share/seabios/bios-256k.bin";
	if (!strcmp(name, "uefi")) /* Debian 11 has the small one only */
		return access(OVMF "_4M.fd", R_OK) && !access(OVMF ".fd", R_OK) ? OVMF ".fd" :
										  OVMF "_4M.fd";
	return name;
}

bool firmware_find_vars(const char *path, char *buf, size_t size)
{
	const char *slash = strrchr(path, '/'), *at;

	at = strstr(slash ? slash : path, "CODE");
	if (at)
		snprintf(buf, size, "%.*sVARS%s", (int)(at - path), path, at + 4);
	return at;
}

const char *firmware_find_vga(const char *path, char *buf, size_t size)
{
	const char *slash = strrchr(path, '/');
	int dir = slash ? (int)(slash - path) : 1;

	snprintf(buf, size, "%.*s/vgabios-stdvga.bin", dir, slash ? path : ".");
	if (access(buf, R_OK))
		snprintf(buf, size, "/usr/share/seabios/vgabios-stdvga.bin");
	return buf;
}

static int read_rom(struct firmware *f, int fd, u64 len, char *why, size_t size)
{
	u64 done = 0;
	ssize_t n;

	f->rom = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f->rom == MAP_FAILED) {
		f->rom = NULL;
		return -ENOMEM;
	}
	f->len = (u32)len;
	while (done < len) {
		n = pread(fd, f->rom + done, len - done, (off_t)done);
		if (n <= 0) {
			snprintf(why, size, "firmware %s: %s", f->path,
				 n ? strerror(errno) : "it became shorter while it was read");
			return -EIO;
		}
		done += (u64)n;
	}
	return 0;
}

int firmware_open(struct firmware *f, const char *path, u32 unit, char *why, size_t size)
{
	struct stat st;
	int fd, err;

	f->path = path;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		err = -errno;
		snprintf(why, size, "firmware %s: %s%s", path, strerror(-err),
			 err == -ENOENT ? "; install the package seabios (or ovmf, for "
					  "--firmware uefi), or name a file" :
					  "");
	} else if (!S_ISREG(st.st_mode) || !st.st_size || st.st_size % unit ||
		   st.st_size > FIRMWARE_MOST) {
		err = -EINVAL;
		snprintf(why, size,
			 "firmware %s: it is no ROM image: its size is not a multiple of %u bytes "
			 "up to %u MiB",
			 path, unit, FIRMWARE_MOST >> 20);
	} else {
		err = read_rom(f, fd, (u64)st.st_size, why, size);
	}
	if (fd >= 0)
		close(fd);
	return err;
}

/* Source: UEFI Platform Initialization Specification 1.7, volume 3, 3.2.1. */
bool firmware_is_uefi(const struct firmware *f)
{
	return f->len >= 44 && !memcmp(f->rom + 40, "_FVH", 4);
}

void firmware_close(struct firmware *f)
{
	if (f->rom)
		munmap(f->rom, f->len);
	f->rom = NULL;
}

static int map_slot(struct machine *m, const struct firmware *f, u32 len)
{
	struct kvm_userspace_memory_region r = {
		.slot = MEM_SLOT_ROM,
		.flags = KVM_MEM_READONLY,
		.guest_phys_addr = MEM_HIGH_BASE - f->len,
		.memory_size = len,
		.userspace_addr = (u64)(uintptr_t)f->rom,
	};

	return ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &r) ? -errno : 0;
}

int firmware_map(struct machine *m, const struct firmware *f)
{
	return map_slot(m, f, f->len);
}

int firmware_keep(struct firmware *f, const void *bytes, u32 len)
{
	u8 *rom = f->rom;

	if (len != f->len) {
		rom = len ? mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
				 0) :
			    NULL;
		if (rom == MAP_FAILED)
			return -ENOMEM;
		firmware_close(f);
		f->rom = rom;
		f->len = len;
	}
	if (len)
		memcpy(rom, bytes, len);
	return 0;
}

int firmware_take(struct machine *m, struct firmware *f, const void *bytes, u32 len)
{
	int err = map_slot(m, f, 0);

	kvmb_assert(len && !(len % FIRMWARE_UNIT) && len <= FIRMWARE_MOST);
	if (!err)
		err = firmware_keep(f, bytes, len);
	return err ? err : firmware_map(m, f);
}

void firmware_enter(struct machine *m, const struct firmware *f)
{
	u32 len = KVMB_MIN(f->len, LOW_SIZE);
	u8 *p = __unshare(kvmb_gm_ptr(&m->gm, LOW_END - len, len));

	memcpy(p, f->rom + f->len - len, len);
	kvmb_dirty(p, len);
}
