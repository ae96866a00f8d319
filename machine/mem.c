// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest RAM: one file in memory, mapped once, two slots around the hole below 4 GiB; with dynamic
 * memory behind them a third for what the guest may get later, or it is the end of the second.
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

#define HOT_ALIGN (128ull << 20) /* the least that Linux takes at once, and where: #10.8 */
#define HUGE_PAGE (2ull << 20)

static u64 hot_size(const struct machine_config *c)
{
	return c->memory_max > c->memory ? KVMB_ALIGN_UP(c->memory_max - c->memory, HOT_ALIGN) : 0;
}

static u64 file_size(const struct machine_config *c)
{
	return hot_size(c) ? KVMB_ALIGN_UP(c->memory, HUGE_PAGE) + hot_size(c) : c->memory;
}

static void place_hot(struct machine *m)
{
	u64 end = MEM_HIGH_BASE + (m->cfg.memory - KVMB_MIN(m->cfg.memory, MEM_LOW_MAX));

	m->hot.size = hot_size(&m->cfg);
	m->hot.base = KVMB_ALIGN_UP(end, HOT_ALIGN);
	m->hot.offset = KVMB_ALIGN_UP(m->cfg.memory, HUGE_PAGE);
}

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
	    st.st_size != (off_t)file_size(&m->cfg) ||
	    seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) ||
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
	if (m->gm.memfd < 0 || ftruncate(m->gm.memfd, (off_t)file_size(&m->cfg)))
		return -errno;
	/* a memfd nobody, not even a later process that gets it, may shrink under us */
	fcntl(m->gm.memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	return 0;
}

/* From 4 GiB on. What comes later is in the same slot if nothing is between. */
static int add_high_slots(struct machine *m, u64 high, u64 offset, u8 *hva)
{
	bool one = high && m->hot.size && m->hot.base == MEM_HIGH_BASE + high;
	int err = 0;

	if (high)
		err = add_slot(m, MEM_HIGH_BASE, high + (one ? m->hot.size : 0), offset, hva);
	if (!err && m->hot.size && !one)
		err = add_slot(m, m->hot.base, m->hot.size, m->hot.offset, hva);
	return err;
}

int mem_map(struct machine *m)
{
	u64 size = m->cfg.memory, low = KVMB_MIN(size, MEM_LOW_MAX), all = file_size(&m->cfg);
	u8 *hva =
		mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, m->gm.memfd, 0);
	int err;

	if (hva == MAP_FAILED)
		return -errno;
	madvise(hva, all, MADV_HUGEPAGE);
	madvise(hva, all, MADV_DONTDUMP);
	place_hot(m);
	if (m->cfg.gen1) {
		err = add_slot(m, 0, MEM_VGA_BASE, 0, hva);
		if (!err)
			err = add_slot(m, MEM_VGA_END, low - MEM_VGA_END, MEM_VGA_END, hva);
	} else {
		err = add_slot(m, 0, low, 0, hva);
	}
	return err ? err : add_high_slots(m, size - low, low, hva);
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
		munmap(m->gm.regions[0].hva, file_size(&m->cfg));
	if (m->gm.memfd >= 0)
		close(m->gm.memfd);
	m->gm.num_regions = 0;
}
