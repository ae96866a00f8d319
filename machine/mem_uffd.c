// SPDX-License-Identifier: GPL-2.0-only
/* A userfaultfd of guest memory: mem_uffd.h. */
#include "machine/mem_uffd.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/util.h"
#include "machine/machine.h"

u8 *mem_uffd_ram(const struct machine *m)
{
	return m->gm.regions[0].hva;
}

/* Where the host has huge pages at all. */
static void advise(const struct machine *m, int advice)
{
	madvise(mem_uffd_ram(m), kvmb_gm_size(&m->gm), advice);
}

int mem_uffd_open(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MISSING_SHMEM };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void mem_uffd_no_huge(const struct machine *m)
{
	advise(m, MADV_NOHUGEPAGE);
}

void mem_uffd_huge(const struct machine *m)
{
	advise(m, MADV_HUGEPAGE);
}

int mem_uffd_register(struct machine *m, int uffd)
{
	struct uffdio_register r = { .range = { (u64)(uintptr_t)mem_uffd_ram(m),
						kvmb_gm_size(&m->gm) },
				     .mode = UFFDIO_REGISTER_MODE_MISSING };
	int err;

	mem_uffd_no_huge(m);
	if (!ioctl(uffd, UFFDIO_REGISTER, &r)) {
		m->gm.lazy = 1;
		return 0;
	}
	err = -errno;
	mem_uffd_huge(m);
	return err;
}

void mem_uffd_unregister(struct machine *m, int uffd)
{
	struct uffdio_range r = { (u64)(uintptr_t)mem_uffd_ram(m), kvmb_gm_size(&m->gm) };

	if (ioctl(uffd, UFFDIO_UNREGISTER, &r))
		kvmb_err(m->name, "guest memory: UFFDIO_UNREGISTER: %s", strerror(errno));
	mem_uffd_huge(m);
	__atomic_store_n(&m->gm.lazy, 0, __ATOMIC_RELEASE);
}

int mem_uffd_put(const struct machine *m, int uffd, u64 at, const void *bytes, u64 len)
{
	const u64 begin = at;

	while (len) {
		struct uffdio_copy c = { .dst = (u64)(uintptr_t)mem_uffd_ram(m) + at,
					 .src = (u64)(uintptr_t)bytes + (at - begin),
					 .len = len };
		u64 done;

		if (!ioctl(uffd, UFFDIO_COPY, &c))
			return 0;
		if (errno != EEXIST && errno != EAGAIN)
			return -errno;
		done = c.copy > 0 ? (u64)c.copy : errno == EEXIST ? KVMB_PAGE_SIZE : 0;
		at += done;
		len -= done;
	}
	return 0;
}

bool mem_uffd_fault(const struct machine *m, int uffd, u64 *at)
{
	struct uffd_msg msg;

	while (read(uffd, &msg, sizeof(msg)) == sizeof(msg)) {
		if (msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		*at = msg.arg.pagefault.address - (u64)(uintptr_t)mem_uffd_ram(m);
		*at -= *at % KVMB_PAGE_SIZE;
		return true;
	}
	return false;
}
