// SPDX-License-Identifier: GPL-2.0-only
/* Opening and recognising boot images. */
#include "vmm/boot/boot.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/util.h"

static int map_file(const char *path, const char *what, int *fd, u8 **p, size_t *len, char *why,
		    size_t size)
{
	struct stat st;

	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0 || fstat(*fd, &st)) {
		snprintf(why, size, "%s %s: %s", what, path, strerror(errno));
		return -errno;
	}
	if (!S_ISREG(st.st_mode) || !st.st_size) {
		snprintf(why, size, "%s %s: %s", what, path,
			 S_ISREG(st.st_mode) ? "it is empty" : "it is not a regular file");
		return -EINVAL;
	}
	*len = (size_t)st.st_size;
	*p = mmap(NULL, *len, PROT_READ, MAP_PRIVATE, *fd, 0);
	if (*p == MAP_FAILED) {
		*p = NULL;
		snprintf(why, size, "%s %s: %s", what, path, strerror(errno));
		return -errno;
	}
	return 0;
}

static bool is_bzimage(const u8 *p, size_t len)
{
	return len > 0x260 && p[0x1fe] == 0x55 && p[0x1ff] == 0xaa && !memcmp(p + 0x202, "HdrS", 4);
}

static bool is_elf64(const u8 *p, size_t len)
{
	const Elf64_Ehdr *e = (const void *)p;

	return len >= sizeof(*e) && !memcmp(e->e_ident, ELFMAG, SELFMAG) &&
	       e->e_ident[EI_CLASS] == ELFCLASS64 && e->e_machine == EM_X86_64 &&
	       e->e_type == ET_EXEC;
}

struct boot_image *boot_open(const struct vm_config *cfg, char *why, size_t size)
{
	struct boot_image *b = kvmb_xzalloc(sizeof(*b));

	b->kernel_fd = b->initrd_fd = -1;
	if (map_file(cfg->kernel, "kernel", &b->kernel_fd, &b->kernel, &b->kernel_len, why, size))
		goto err;
	if (cfg->initrd &&
	    map_file(cfg->initrd, "initrd", &b->initrd_fd, &b->initrd, &b->initrd_len, why, size))
		goto err;
	if (is_bzimage(b->kernel, b->kernel_len)) {
		b->kind = BOOT_BZIMAGE;
	} else if (is_elf64(b->kernel, b->kernel_len)) {
		b->kind = BOOT_ELF64;
	} else if (boot_is_multiboot(b->kernel, b->kernel_len)) {
		b->kind = BOOT_MULTIBOOT;
	} else {
		snprintf(why, size, "kernel %s: not a bzImage, a 64-bit ELF vmlinux or a multiboot "
			 "ELF32 image", cfg->kernel);
		goto err;
	}
	return b;
err:
	boot_close(b);
	return NULL;
}

void boot_close(struct boot_image *b)
{
	if (!b)
		return;
	if (b->kernel)
		munmap(b->kernel, b->kernel_len);
	if (b->initrd)
		munmap(b->initrd, b->initrd_len);
	if (b->kernel_fd >= 0)
		close(b->kernel_fd);
	if (b->initrd_fd >= 0)
		close(b->initrd_fd);
	free(b);
}

int boot_elf_load(struct vm *vm, const struct boot_image *b, u64 paddr, u64 offset, u64 filesz,
		  u64 memsz)
{
	u64 end;
	u8 *p;

	if (filesz > memsz || check_add_overflow(offset, filesz, &end) || end > b->kernel_len)
		return -ENOEXEC;
	p = __unshare(kvmb_gm_ptr(&vm->gm, paddr, memsz));
	if (!p)
		return -EFAULT;
	memcpy(p, b->kernel + offset, filesz);
	memset(p + filesz, 0, memsz - filesz);
	return 0;
}

/* A file that became shorter since it was mapped would end us with SIGBUS. */
static int still_there(const struct vm *vm, const char *path, int fd, size_t len)
{
	struct stat st;

	if (fd < 0 || (!fstat(fd, &st) && (u64)st.st_size >= len))
		return 0;
	kvmb_err(vm->cfg.name, "%s: it was cut off while the VM ran; replace such files by renaming", path);
	return -ESTALE;
}

int boot_enter(struct vm *vm)
{
	const struct boot_image *b = vm->boot;
	int err = still_there(vm, vm->cfg.kernel, b->kernel_fd, b->kernel_len);

	if (!err)
		err = still_there(vm, vm->cfg.initrd, b->initrd_fd, b->initrd_len);
	if (err)
		return err;
	err = b->kind == BOOT_MULTIBOOT ? boot_multiboot(vm, b) : boot_linux(vm, b);
	/* the file's pages have been copied: they need not stay in our memory */
	madvise(b->kernel, b->kernel_len, MADV_DONTNEED);
	if (b->initrd)
		madvise(b->initrd, b->initrd_len, MADV_DONTNEED);
	return err;
}
