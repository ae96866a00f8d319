// SPDX-License-Identifier: GPL-2.0-only
/* A virtual CPU: its thread in KVM_RUN, and its exits. */
#include "machine/vcpu.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/thread.h"
#include "lib/util.h"
#include "machine/cpuid.h"
#include "machine/cpu_throttle.h"
#include "machine/dev/pci.h"
#include "machine/hyperv.h"
#include "machine/late.h"
#include "machine/vcpu_save.h"

#define KICK_SIGNAL SIGUSR1
#define VCPU_STACK (128 * 1024)

int vcpu_create(struct machine *m, u32 index)
{
	struct vcpu *v = &m->vcpus[index];
	int err;

	v->machine = m;
	v->index = index;
	v->fd = ioctl(m->vm_fd, KVM_CREATE_VCPU, index);
	if (v->fd < 0)
		return -errno;
	v->run = mmap(NULL, m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		v->run = NULL;
		return -errno;
	}
	v->stats_fd = ioctl(v->fd, KVM_GET_STATS_FD, NULL); /* -1 on kernels before 5.14 */
	err = cpuid_apply(v);
	if (!err)
		err = hyperv_vcpu_init(v);
	if (err)
		return err;
	return vcpu_save_power_on(v);
}

static void on_kick(int sig)
{
	(void)sig; /* its only purpose is to end KVM_RUN */
}

static void exit_io(struct vcpu *v)
{
	struct kvm_run *r = v->run;
	u8 *data = (u8 *)r + r->io.data_offset;
	u32 i;

	v->stats.io++;
	late_deliver(v->machine->late);
	for (i = 0; i < r->io.count; i++, data += r->io.size)
		iobus_access(&v->machine->pio, r->io.port, r->io.size,
			     r->io.direction == KVM_EXIT_IO_OUT, data);
}

static void exit_mmio(struct vcpu *v)
{
	struct kvm_run *r = v->run;

	v->stats.mmio++;
	late_deliver(v->machine->late);
	if (v->machine->pci)
		pci_memory(v->machine->pci, r->mmio.phys_addr, r->mmio.len, r->mmio.is_write,
			   r->mmio.data);
	else if (!r->mmio.is_write) /* nothing lives there */
		memset(r->mmio.data, 0xff, sizeof(r->mmio.data));
}

static void want(struct vcpu *v, enum machine_request what)
{
	v->machine->ops->request(v->machine->ops_arg, what);
}

static void exit_system_event(struct vcpu *v)
{
	struct machine *machine = v->machine;
	struct {
		struct kvm_msrs h;
		struct kvm_msr_entry e[5];
	} m = { .h.nmsrs = 5 };
	u64 params[5];
	int i;

	switch (v->run->system_event.type) {
	case KVM_SYSTEM_EVENT_RESET:
		want(v, MACHINE_RESET);
		break;
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		want(v, MACHINE_POWEROFF);
		break;
	case KVM_SYSTEM_EVENT_CRASH: /* the guest panicked and tells; it goes on by itself */
		for (i = 0; i < 5; i++)
			m.e[i].index = KVMB_MSR_CRASH_P0 + (u32)i;
		if (ioctl(v->fd, KVM_GET_MSRS, &m) != 5)
			break;
		for (i = 0; i < 5; i++)
			params[i] = m.e[i].data;
		crash_report(&machine->crash, machine->name, machine->boots, params);
		want(v, MACHINE_CRASH);
		break;
	}
}

static void run_failed(struct vcpu *v, const char *what, u64 detail)
{
	struct kvm_regs r = { 0 };

	ioctl(v->fd, KVM_GET_REGS, &r);
	kvmb_err(v->machine->name, "vCPU %u stopped: %s (%#llx) at rip %#llx", v->index, what,
		 (unsigned long long)detail, (unsigned long long)r.rip);
	want(v, MACHINE_ERROR);
}

static void triple_fault(struct vcpu *v)
{
	struct kvm_sregs s = { 0 };
	struct kvm_regs r = { 0 };

	ioctl(v->fd, KVM_GET_REGS, &r);
	ioctl(v->fd, KVM_GET_SREGS, &s);
	kvmb_warn_ratelimited(v->machine->name,
			      "vCPU %u: triple fault at rip %#llx (rsp %#llx, cr2 %#llx, "
			      "cr3 %#llx), resetting",
			      v->index, (unsigned long long)r.rip, (unsigned long long)r.rsp,
			      (unsigned long long)s.cr2, (unsigned long long)s.cr3);
	want(v, MACHINE_RESET);
}

static void handle_exit(struct vcpu *v)
{
	struct kvm_run *r = v->run;

	switch (r->exit_reason) {
	case KVM_EXIT_IO:
		exit_io(v);
		break;
	case KVM_EXIT_MMIO:
		exit_mmio(v);
		break;
	case KVM_EXIT_HYPERV:
		hyperv_exit(v);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		exit_system_event(v);
		break;
	case KVM_EXIT_INTR:
		v->stats.intr++;
		break;
	case KVM_EXIT_SHUTDOWN:
		triple_fault(v);
		break;
	case KVM_EXIT_HLT:
		break;
	case KVM_EXIT_FAIL_ENTRY:
		run_failed(v, "KVM could not enter the guest",
			   r->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		run_failed(v, "KVM internal error", r->internal.suberror);
		break;
	default:
		run_failed(v, "unknown exit", r->exit_reason);
	}
}

static void run_once(struct vcpu *v)
{
	int err = ioctl(v->fd, KVM_RUN, 0) < 0 ? errno : 0;

	v->exit_open = !err;
	if (!err) {
		v->stats.exits++;
		handle_exit(v);
		return;
	}
	__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	if (err == EINTR || err == EAGAIN) {
		v->stats.intr++;
		return;
	}
	kvmb_err(v->machine->name, "vCPU %u: KVM_RUN: %s", v->index, strerror(err));
	want(v, MACHINE_ERROR);
}

/*
 * KVM finishes an exit (the result of a hypercall, a read port, the step to the next instruction)
 * when the vCPU is next run, whatever its registers are by then. That is demanded of whoever looks
 * at them or changes them: Linux Documentation/virt/kvm/api.rst, KVM_RUN. Finishing one may lead to
 * the next of the same instruction.
 */
void vcpu_complete_exit(struct vcpu *v)
{
	while (v->exit_open) {
		__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		run_once(v);
	}
}

static void settle_vcpu(void *arg)
{
	vcpu_complete_exit(arg);
}

static void *thread_main(void *arg)
{
	struct vcpu *v = arg;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", v->index);
	kvmb_thread_enter(KVMB_THREAD_VCPU, name);
	while (park_here(&v->machine->park, settle_vcpu, v)) {
		run_once(v);
		cpu_throttle_here(v);
	}
	return NULL;
}

int vcpu_start_thread(struct vcpu *v)
{
	struct sigaction sa = { .sa_handler = on_kick };
	sigset_t all, old;
	pthread_attr_t attr;
	int err;

	sigaction(KICK_SIGNAL, &sa, NULL);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, VCPU_STACK);
	sigfillset(&all);
	sigdelset(&all, KICK_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&v->thread, &attr, thread_main, v);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (err)
		return -err;
	v->started = true;
	return 0;
}

void vcpu_kick(struct vcpu *v)
{
	if (!v->started)
		return;
	/* set before the signal: a thread just about to enter KVM_RUN leaves it at once */
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(v->thread, KICK_SIGNAL);
}

void vcpu_destroy(struct vcpu *v)
{
	hyperv_vcpu_fini(v);
	vcpu_free_power_on(v);
	vcpu_free_image(v);
	free(v->cpuid);
	if (v->run)
		munmap(v->run, v->machine->run_size);
	if (v->stats_fd > 0)
		close(v->stats_fd);
	if (v->fd > 0)
		close(v->fd);
}
