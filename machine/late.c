// SPDX-License-Identifier: GPL-2.0-only
/* Writes that KVM keeps for later: late.h. */
#include "machine/late.h"

#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/util.h"
#include "machine/iobus.h"

struct late {
	int vm_fd;
	struct kvm_coalesced_mmio_ring *ring; /* KVM's */
	u32 num;			      /* entries of it */
	const struct iobus *ports;
	pthread_mutex_t lock; /* of the ring's first */
	u64 delivered;	      /* atomic */
};

struct late *late_create(int vm_fd, void *run, size_t size, const struct iobus *ports)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int at = ioctl(vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);
	struct late *l;

	if (at <= 0 || ioctl(vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_PIO) <= 0 ||
	    ((size_t)at + 1) * page > size)
		return NULL;
	l = kvmb_xzalloc(sizeof(*l));
	l->vm_fd = vm_fd;
	l->ring = (void *)((u8 *)run + (size_t)at * page);
	l->num = (u32)((page - sizeof(*l->ring)) / sizeof(l->ring->coalesced_mmio[0]));
	l->ports = ports;
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

void late_add(struct late *l, u16 base, u16 len)
{
	struct kvm_coalesced_mmio_zone z = { .addr = base, .size = len, .pio = 1 };

	if (l && ioctl(l->vm_fd, KVM_REGISTER_COALESCED_MMIO, &z))
		kvmb_dbg("machine", "KVM keeps no writes to port %#x: %s", base, strerror(errno));
}

static bool nothing_is_kept(const struct late *l)
{
	return __atomic_load_n(&l->ring->first, __ATOMIC_ACQUIRE) ==
	       __atomic_load_n(&l->ring->last, __ATOMIC_ACQUIRE);
}

void late_deliver(struct late *l)
{
	struct kvm_coalesced_mmio *e;
	u32 first, num;

	if (!l || nothing_is_kept(l))
		return;
	pthread_mutex_lock(&l->lock);
	/* one ring full at most: another vCPU may go on writing */
	for (num = 0; num < l->num && !nothing_is_kept(l); num++) {
		first = l->ring->first;
		e = &l->ring->coalesced_mmio[first];
		if (e->pio && e->len <= sizeof(e->data))
			iobus_access(l->ports, (u16)e->phys_addr, e->len, true, e->data);
		__atomic_store_n(&l->ring->first, (first + 1) % l->num, __ATOMIC_RELEASE);
	}
	__atomic_fetch_add(&l->delivered, num, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&l->lock);
}

u64 late_delivered(const struct late *l)
{
	return l ? __atomic_load_n(&l->delivered, __ATOMIC_RELAXED) : 0;
}

void late_destroy(struct late *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	free(l);
}
