/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM like the one that tests/boot/sample.sh saved, into which such sections are loaded: real
 * bus, providers and services; a machine whose KVM takes everything. Link it with --wrap=ioctl.
 *
 * What KVM and the machine must be like is read from the sections themselves, and what the VM was
 * given (disks, NIC) is that of sample.sh.
 */
#ifndef KVMB_SAMPLE_VM_H
#define KVMB_SAMPLE_VM_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/net/backend.h"
#include "host-vsp/net/net.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/dev/rtc.h"
#include "machine/dev/serial.h"
#include "machine/hyperv.h"
#include "machine/machine_match.h"
#include "machine/machine_state.h"
#include "machine/vcpu_priv.h"
#include "machine/vcpu_save.h"
#include "tests/harness/fake_vmm.h"
#include "tests/harness/no_gen1.h"
#include "tests/harness/no_ide.h"
#include "vmm/services.h"
#include "vmm/vm.h"

#define SAMPLE_CPUS 2u
#define SAMPLE_RAM (128u << 20)
#define SAMPLE_KVM_FD 5000 /* and above: what no descriptor is */
#define SAMPLE_FIELDS 16u  /* of a section vcpu, in it */

static struct sample {
	u8 *sections; /* sections[len] */
	size_t len;
	struct { /* of vCPU 0 */
		const u8 *at;
		size_t len;
	} cpu[SAMPLE_FIELDS], cpuid[SAMPLE_CPUS];
	u64 tsc_khz;
	struct fake_vmm f;
	struct vm vm;
	struct vcpu vcpus[SAMPLE_CPUS];
	struct kvmb_net *net;
	int far[2];
} sample;

/* ---- KVM ---- */

static inline int sample_list_msrs(struct kvm_msr_list *l)
{
	const u8 *p = sample.cpu[13].at;
	u32 num = (u32)(sample.cpu[13].len / 16), room = l->nmsrs, i;

	l->nmsrs = num;
	if (room < num) {
		errno = E2BIG;
		return -1;
	}
	for (i = 0; i < num; i++, p += 16)
		memcpy(&l->indices[i], p, sizeof(l->indices[i]));
	return 0;
}

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	if (fd < SAMPLE_KVM_FD)
		return __real_ioctl(fd, request, arg);
	switch (request) {
	case KVM_CHECK_EXTENSION:
		return (uintptr_t)arg == KVM_CAP_XSAVE2	      ? (int)sample.cpu[11].len :
		       (uintptr_t)arg == KVM_CAP_NESTED_STATE ? (int)sample.cpu[12].len :
		       (uintptr_t)arg == KVM_CAP_SREGS2	      ? sample.cpu[6].len > 0 :
								0;
	case KVM_GET_MSR_INDEX_LIST:
		return sample_list_msrs(arg);
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return (int)((struct kvm_msrs *)arg)->nmsrs;
	case KVM_GET_XCRS:
		((struct kvm_xcrs *)arg)->nr_xcrs = 1;
		break;
	}
	return 0;
}

/* ---- what the sections say ---- */

static inline void sample_note_cpu(struct kvmb_tlv *t)
{
	u32 i;

	kvmb_assert(t->instance < SAMPLE_CPUS);
	sample.cpuid[t->instance].at = kvmb_tlv_get_bytes(t, 1, &sample.cpuid[t->instance].len);
	for (i = 1; i < SAMPLE_FIELDS && !t->instance; i++) {
		if (kvmb_tlv_has(t, i))
			sample.cpu[i].at = kvmb_tlv_get_bytes(t, i, &sample.cpu[i].len);
	}
}

static inline void sample_read(const char *path)
{
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv t;
	struct stat st;
	size_t pos = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	kvmb_assert(fd >= 0 && !fstat(fd, &st));
	sample.len = (size_t)st.st_size;
	sample.sections = malloc(sample.len);
	kvmb_assert(read(fd, sample.sections, sample.len) == st.st_size);
	close(fd);
	while (!kvmb_tlv_next(sample.sections, sample.len, &pos, &t, &e)) {
		if (t.tag == KVMB_SEC_VCPU)
			sample_note_cpu(&t);
		if (t.tag == KVMB_SEC_MACHINE)
			sample.tsc_khz = kvmb_tlv_get(&t, MACHINE_MATCH_TSC_KHZ, UINT32_MAX);
	}
	kvmb_assert(sample.cpuid[1].len && sample.cpu[11].len && sample.cpu[13].len);
}

/* ---- a VM ---- */

static inline void sample_set_irq(void *arg, int level)
{
	(void)arg, (void)level;
}

static inline void sample_nothing(void *arg)
{
	(void)arg;
}

static inline void sample_submit(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	(void)d;
	r->result = 0;
	r->done(r);
}

static inline void sample_cancel(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	(void)d, (void)r;
}

static inline void sample_close(struct kvmb_disk *d)
{
	(void)d;
}

static const struct kvmb_disk_ops sample_disk = { .submit = sample_submit,
						  .cancel = sample_cancel,
						  .close = sample_close };

static inline void sample_attach(unsigned int lun, bool dvd, u64 bytes)
{
	struct kvmb_disk *d = kvmb_xzalloc(sizeof(*d));

	d->fd = d->lock_fd = -1;
	d->ops = &sample_disk;
	d->block = dvd ? 2048 : 512;
	d->read_only = dvd;
	d->blocks = bytes / d->block;
	kvmb_assert(!kvmb_storage_attach(sample.vm.scsi[0], d, dvd, lun));
}

static inline void sample_memory(void)
{
	struct kvmb_gm_region *r = &sample.f.gm.regions[0];

	kvmb_assert(!ftruncate(sample.f.gm.memfd, SAMPLE_RAM));
	munmap(r->hva, FAKE_RAM);
	r->hva = mmap(NULL, SAMPLE_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, sample.f.gm.memfd, 0);
	kvmb_assert(r->hva != MAP_FAILED);
	r->size = SAMPLE_RAM;
	sample.f.gm.num_regions = 1;
	sample.vm.machine.gm = sample.f.gm;
	sample.vm.cfg.machine.memory = SAMPLE_RAM;
}

static inline void sample_machine(struct serial_ops *serial)
{
	struct machine *m = &sample.vm.machine;
	u32 i;

	m->name = "sample";
	m->cfg.cpus = SAMPLE_CPUS;
	m->cfg.memory = SAMPLE_RAM;
	m->vm_fd = SAMPLE_KVM_FD;
	m->kvm_fd = SAMPLE_KVM_FD + 1;
	m->vcpus = sample.vcpus;
	m->cpuid_offer = kvmb_xzalloc(sizeof(*m->cpuid_offer)); /* no more than they have */
	m->tsc.khz = m->tsc.host_khz = (u32)sample.tsc_khz;
	m->serial = serial_create(serial);
	m->rtc = rtc_create();
	crash_init(&m->crash);
	for (i = 0; i < SAMPLE_CPUS; i++) {
		struct vcpu *v = &sample.vcpus[i];

		*v = (struct vcpu){ .machine = m, .index = i, .fd = SAMPLE_KVM_FD + 2 + (int)i };
		v->cpuid = kvmb_xzalloc(sizeof(*v->cpuid) + sample.cpuid[i].len);
		v->cpuid->nent = (u32)(sample.cpuid[i].len / sizeof(v->cpuid->entries[0]));
		memcpy(v->cpuid->entries, sample.cpuid[i].at, sample.cpuid[i].len);
		kvmb_assert(!vcpu_save_power_on(v));
	}
}

static inline void sample_devices(void)
{
	struct kvmb_net_spec spec = { .mac = { 0, 0x15, 0x5d, 0, 0, 7 },
				      .mtu = 1500,
				      .max_queues = SAMPLE_CPUS };
	struct vm *vm = &sample.vm;
	int near[2], sv[2], i;

	kvmb_shutdown_init(&vm->shutdown, NULL, NULL);
	kvmb_timesync_init(&vm->timesync, vm->loop, &sample.f.vmm);
	kvmb_heartbeat_init(&vm->heartbeat, vm->loop);
	kvmb_assert(!services_add(vm, SERVICE_SHUTDOWN, &vm->shutdown.ic, NULL));
	kvmb_assert(!services_add(vm, SERVICE_TIMESYNC, &vm->timesync.ic, NULL));
	kvmb_assert(!services_add(vm, SERVICE_HEARTBEAT, &vm->heartbeat.ic, NULL));
	vm->scsi[0] = kvmb_storage_create(0, SAMPLE_CPUS - 1, NULL, vm->loop, NULL, NULL);
	sample_attach(0, false, 64u << 20);
	sample_attach(1, true, 4u << 20);
	kvmb_assert(!kvmb_storage_offer(vm->scsi[0], vm->bus));
	for (i = 0; i < 2; i++) {
		kvmb_assert(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, sv));
		near[i] = sv[0];
		sample.far[i] = sv[1];
	}
	sample.net = kvmb_net_create(&spec, kvmb_net_tap_fds(near, 2), vm->loop);
	kvmb_assert(!kvmb_net_offer(sample.net, vm->bus));
}

/* A new VM, that has run nothing. */
static inline void sample_begin(void)
{
	struct serial_ops serial = { .set_irq = sample_set_irq,
				     .output = sample_nothing,
				     .room = sample_nothing };

	fake_init(&sample.f, KVMB_VERSION_NEWEST);
	sample.f.vmm.num_vps = SAMPLE_CPUS;
	memset(&sample.vm, 0, sizeof(sample.vm));
	sample.vm.cfg.name = "sample";
	sample.vm.loop = sample.f.loop;
	sample.vm.bus = sample.f.bus;
	sample_memory();
	sample_machine(&serial);
	sample_devices();
}

static inline void sample_end(void)
{
	struct vm *vm = &sample.vm;
	u32 i;

	fake_rest(&sample.f);
	services_destroy(vm);
	kvmb_net_destroy(sample.net);
	for (i = 0; i < KVMB_STORAGE_MAX_CONTROLLERS; i++)
		kvmb_storage_destroy(vm->scsi[i]);
	for (i = 0; i < SAMPLE_CPUS; i++) {
		vcpu_free_power_on(&sample.vcpus[i]);
		vcpu_free_image(&sample.vcpus[i]);
		free(sample.vcpus[i].cpuid);
		close(sample.far[i]);
	}
	free(vm->machine.cpuid_offer);
	machine_free_image(&vm->machine);
	serial_destroy(vm->machine.serial);
	rtc_destroy(vm->machine.rtc);
	crash_fini(&vm->machine.crash);
	munmap(sample.f.gm.regions[0].hva, SAMPLE_RAM);
	sample.f.gm.regions[0].hva =
		mmap(NULL, FAKE_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, sample.f.gm.memfd, 0);
	fake_fini(&sample.f);
}

/* ---- the rooms around ---- */

int hyperv_vcpu_reset(struct vcpu *v)
{
	(void)v;
	return 0;
}

void hyperv_vcpu_loaded(struct vcpu *v, u64 control, u64 msg_page, u64 evt_page)
{
	(void)v, (void)control, (void)msg_page, (void)evt_page;
}

struct kvmb_storage *disks_controller(struct vm *vm, u32 c)
{
	if (!vm->scsi[c]) {
		vm->scsi[c] = kvmb_storage_create(c, SAMPLE_CPUS - 1, NULL, vm->loop, NULL, NULL);
		kvmb_assert(!kvmb_storage_offer(vm->scsi[c], vm->bus));
	}
	return vm->scsi[c];
}

struct kvmb_net *nics_net(const struct vm *vm, u32 index)
{
	(void)vm;
	return index ? NULL : sample.net;
}

void vm_restored(struct vm *vm, bool paused)
{
	vm->begins_paused = paused;
}

#endif
