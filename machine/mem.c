// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest RAM: one file in memory, mapped once, two slots around the hole below 4 GiB.
 *
 * Huge pages save four of five nested page faults during a boot (docs/performance.md). A memfd gets
 * none, because distributions ship with shmem_enabled=never, but a tmpfs decides for itself. So, if
 * we are allowed to, we use an unnamed file on a tmpfs of our own with huge=advise, which is
 * mounted nowhere; otherwise a memfd. Under TCG there are no huge pages unless the user asks: with
 * them and several threads its nested guests, and L1 itself, die (docs/testing.md).
 *
 * Source: Linux Documentation/admin-guide/mm/transhuge.rst, "Hugepages in tmpfs/shmem".
 */
#include "machine/mem.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/util.h"
#include "machine/cpuid.h"
#include "machine/machine.h"

static int add_slot(struct machine *m, gpa_t base, u64 size, u64 offset, u8 *hva)
{
	struct kvm_userspace_memory_region r = {
		.slot = m->gm.num_regions,
		.guest_phys_addr = base,
		.memory_size = size,
		.userspace_addr = (u64)(uintptr_t)(hva + offset),
	};

	m->gm.regions[m->gm.num_regions++] =
		(struct kvmb_gm_region){ base, size, offset, hva + offset };
	return ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &r) ? -errno : 0;
}

/* Return: a descriptor, -1 when this user or kernel cannot. */
static int huge_tmpfs_file(void)
{
	int fs, mnt = -1, fd = -1;

	fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	if (fs < 0)
		return -1;
	/* size=0: no limit but memory itself, as for a memfd */
	if (!fsconfig(fs, FSCONFIG_SET_STRING, "huge", "advise", 0) &&
	    !fsconfig(fs, FSCONFIG_SET_STRING, "size", "0", 0) &&
	    !fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		mnt = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (mnt >= 0) {
		fd = openat(mnt, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		close(mnt);
	}
	close(fs);
	return fd;
}

/*
 * Another process's RAM. Nobody may shrink it under us: a memfd is sealed, and what lies on a tmpfs
 * of its own has no name by which anybody could open it.
 */
static int adopt_memory(struct machine *m)
{
	int fd = m->cfg.memory_fd, seals = fcntl(fd, F_GET_SEALS);
	struct statfs fs;
	struct stat st;

	m->gm.memfd = fd;
	if (fstat(fd, &st) || fstatfs(fd, &fs) || seals < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_nlink || fs.f_type != TMPFS_MAGIC ||
	    st.st_size != (off_t)m->cfg.memory || seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) ||
	    (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)
		return -EINVAL;
	return 0;
}

int mem_open(struct machine *m)
{
	bool huge = m->cfg.huge == HUGE_ON || (m->cfg.huge == HUGE_AUTO && !cpuid_host_is_tcg());

	if (m->cfg.memory_fd)
		return adopt_memory(m);
	m->gm.memfd = huge ? huge_tmpfs_file() : -1;
	if (m->gm.memfd < 0)
		m->gm.memfd = memfd_create("kvmbus-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (m->gm.memfd < 0 || ftruncate(m->gm.memfd, (off_t)m->cfg.memory))
		return -errno;
	/* a memfd nobody, not even a later process that gets it, may shrink under us */
	fcntl(m->gm.memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	return 0;
}

int mem_map(struct machine *m)
{
	u64 size = m->cfg.memory, low = KVMB_MIN(size, MEM_LOW_MAX);
	u8 *hva = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, m->gm.memfd,
		       0);
	int err;

	if (hva == MAP_FAILED)
		return -errno;
	madvise(hva, size, MADV_HUGEPAGE);
	madvise(hva, size, MADV_DONTDUMP);
	if (m->cfg.gen1) {
		err = add_slot(m, 0, MEM_VGA_BASE, 0, hva);
		if (!err)
			err = add_slot(m, MEM_VGA_END, low - MEM_VGA_END, MEM_VGA_END, hva);
	} else {
		err = add_slot(m, 0, low, 0, hva);
	}
	if (!err && size > low)
		err = add_slot(m, MEM_HIGH_BASE, size - low, low, hva);
	return err;
}

int mem_show(struct machine *m, u32 slot, u64 gpa, void *hva, u64 size)
{
	struct kvm_userspace_memory_region r = { .slot = slot,
						 .guest_phys_addr = gpa,
						 .memory_size = size,
						 .userspace_addr = (u64)(uintptr_t)hva };

	return ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &r) ? -errno : 0;
}

void mem_destroy(struct machine *m)
{
	if (m->gm.num_regions)
		munmap(m->gm.regions[0].hva, m->cfg.memory);
	if (m->gm.memfd >= 0)
		close(m->gm.memfd);
	m->gm.num_regions = 0;
}
