// SPDX-License-Identifier: GPL-2.0-only
/* Opening, recognising and reading boot images. */
#include "machine/boot/boot.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/dirty_log.h"
#include "lib/log.h"
#include "lib/util.h"

static int open_file(struct boot_file *f, const char *what, const char *path, char *why,
		     size_t size)
{
	struct stat st;

	f->what = what;
	f->path = path;
	/* it may be a pipe that nobody writes to */
	f->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &st)) {
		snprintf(why, size, "%s %s: %s", what, path, strerror(errno));
		return -errno;
	}
	if (!S_ISREG(st.st_mode) || !st.st_size) {
		snprintf(why, size, "%s %s: %s", what, path,
			 S_ISREG(st.st_mode) ? "it is empty" : "it is not a regular file");
		return -EINVAL;
	}
	f->len = (u64)st.st_size;
	return 0;
}

static int read_file(const struct boot_file *f, u64 offset, void *buf, u64 len, char *why,
		     size_t size)
{
	u8 *p = buf;
	ssize_t n;

	while (len) {
		n = pread(f->fd, p, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			snprintf(
				why, size, "%s %s: %s", f->what, f->path,
				n ? strerror(errno) :
				    "it was truncated while it was in use; replace such files by "
				    "renaming");
			return -ESTALE;
		}
		p += n;
		offset += (u64)n;
		len -= (u64)n;
	}
	return 0;
}

int boot_read(const struct machine *m, const struct boot_file *f, u64 offset, void *buf, u64 len)
{
	char why[512];
	int err = read_file(f, offset, buf, len, why, sizeof(why));

	if (err)
		kvmb_err(m->name, "%s", why);
	return err;
}

static bool is_bzimage(const u8 *p, u64 len)
{
	return len > 0x260 && p[0x1fe] == 0x55 && p[0x1ff] == 0xaa && !memcmp(p + 0x202, "HdrS", 4);
}

static bool is_elf64(const u8 *p, u64 len)
{
	const Elf64_Ehdr *e = (const void *)p;

	return len >= sizeof(*e) && !memcmp(e->e_ident, ELFMAG, SELFMAG) &&
	       e->e_ident[EI_CLASS] == ELFCLASS64 && e->e_machine == EM_X86_64 &&
	       e->e_type == ET_EXEC;
}

/* Read the kernel's head and say what it is. */
static int recognise(struct boot_image *b, char *why, size_t size)
{
	const struct boot_file *f = &b->kernel;
	int err;

	memset(b->head, 0, sizeof(b->head));
	err = read_file(f, 0, b->head, KVMB_MIN(f->len, sizeof(b->head)), why, size);
	if (err)
		return err;
	if (is_bzimage(b->head, f->len)) {
		b->kind = BOOT_BZIMAGE;
	} else if (is_elf64(b->head, f->len)) {
		b->kind = BOOT_ELF64;
	} else if (boot_is_multiboot(b->head, f->len)) {
		b->kind = BOOT_MULTIBOOT;
	} else {
		snprintf(why, size, "kernel %s: not a bzImage, a 64-bit ELF vmlinux or a multiboot "
			 "ELF32 image", f->path);
		return -ENOEXEC;
	}
	return 0;
}

struct boot_image *boot_open(const struct machine_config *cfg, char *why, size_t size)
{
	struct boot_image *b = kvmb_xzalloc(sizeof(*b));

	b->kernel.fd = b->initrd.fd = -1;
	if (open_file(&b->kernel, "kernel", cfg->kernel, why, size) ||
	    (cfg->initrd && open_file(&b->initrd, "initrd", cfg->initrd, why, size)) ||
	    recognise(b, why, size)) {
		boot_close(b);
		return NULL;
	}
	return b;
}

void boot_close(struct boot_image *b)
{
	if (!b)
		return;
	if (b->kernel.fd >= 0)
		close(b->kernel.fd);
	if (b->initrd.fd >= 0)
		close(b->initrd.fd);
	free(b);
}

int boot_load(struct machine *m, const struct boot_file *f, u64 paddr)
{
	u8 *p = __unshare(kvmb_gm_ptr(&m->gm, paddr, f->len));
	int err = p ? boot_read(m, f, 0, p, f->len) : -EFBIG;

	kvmb_dirty(p, f->len);
	return err;
}

int boot_elf_load(struct machine *m, const struct boot_image *b, u64 paddr, u64 offset, u64 filesz,
		  u64 memsz)
{
	u64 end;
	u8 *p;
	int err;

	if (filesz > memsz || check_add_overflow(offset, filesz, &end) || end > b->kernel.len)
		return -ENOEXEC;
	p = __unshare(kvmb_gm_ptr(&m->gm, paddr, memsz));
	if (!p)
		return -EFAULT;
	err = boot_read(m, &b->kernel, offset, p, filesz);
	if (!err)
		memset(p + filesz, 0, memsz - filesz);
	kvmb_dirty(p, memsz);
	return err;
}

int boot_enter(struct machine *m)
{
	struct boot_image *b = m->boot;
	char why[512];
	/* it may have been rewritten since the last start */
	int err = recognise(b, why, sizeof(why));

	if (err) {
		kvmb_err(m->name, "%s", why);
		return err;
	}
	return b->kind == BOOT_MULTIBOOT ? boot_multiboot(m, b) : boot_linux(m, b);
}
