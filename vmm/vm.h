/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine.
 *
 * DOC: Theory of operation
 *
 * One process is one VM. The main thread runs the event loop: bus, integration
 * services, control socket, serial input. Each vCPU has a thread in KVM_RUN; each open
 * storage or network channel has a worker. vCPU threads never wait for the main thread:
 * what they cannot do themselves they post to it.
 *
 * Life: vm_create() -> vm_start() -> the loop -> vm_destroy(). In between the state
 * moves as the table in vm.c says; set_state() there is its only writer.
 */
#ifndef KVMB_VM_H
#define KVMB_VM_H

#include <linux/kvm.h>
#include <pthread.h>

#include "host-vsp/bus/bus.h"
#include "host-vsp/storage/storage.h"
#include "ic-services/heartbeat/heartbeat_host.h"
#include "ic-services/shutdown/shutdown_host.h"
#include "ic-services/timesync/timesync_host.h"
#include "machine/crash.h"
#include "machine/iobus.h"
#include "machine/park.h"
#include "vmm/config.h"
#include "vmm/overdue.h"
#include "vmm/term.h"

/*
 * CREATED: built, no vCPU has run. RUNNING: vCPUs run. PAUSED: by the administrator, an I/O
 * error or a crash; vCPUs stand, guest time stands. RESETTING: vCPUs stand, providers come
 * to rest, then the boot image is loaded afresh. ENDED: vCPUs stand for good; the loop is
 * left when providers are at rest.
 */
enum vm_state { VM_CREATED, VM_RUNNING, VM_PAUSED, VM_RESETTING, VM_ENDED, VM_NUM_STATES };

enum vm_end { VM_END_NONE, VM_END_POWEROFF, VM_END_KILLED, VM_END_ERROR, VM_END_CRASHED, VM_END_TEST_EXIT };

struct vm;

struct vcpu_stats { /* written by the vCPU's thread, read by anyone */
	u64 exits;	     /* KVM_RUN returns, all reasons */
	u64 io, mmio, intr;
	u64 hv_synic, hv_post, hv_signal; /* hv_signal: must stay 0, signals end in the kernel */
	u64 hv_other;
};

struct vcpu {
	struct vm *vm;
	u32 index; /* = VP index = APIC id */
	int fd;
	int stats_fd; /* KVM's counters; taken early, a vCPU in KVM_RUN answers no ioctl */
	struct kvm_run *run;
	pthread_t thread;
	bool started;
	struct vcpu_stats stats;

	/* SynIC as the guest set it; pages are NULL while disabled or outside RAM */
	u64 synic_control;			/* atomic */
	struct kvmb_hv_message __shared *simp;	/* atomic pointer to simp[16] */
	u8 __shared *siefp;			/* atomic pointer to 16 * 256 bytes */
	u32 page_users;				/* atomic: threads that may write to one of the two; hyperv.c */
	u32 late_flags[HV_EVENT_FLAGS_PER_SINT / 32]; /* atomic words: raised while SIEFP was off */
	int event_fd;				/* irqfd of SINT2, for event flags */
	int msg_fd, ack_fd;			/* irqfd with resample, assigned while messages queue */
	bool ack_assigned;			/* bus thread */
	struct kvmb_watch *ack_watch;
	struct kvmb_timer ack_timer;

	bool exit_open;	 /* KVM finishes the last exit when it is next run; the vCPU's thread alone */
	struct vcpu_power_on *on; /* for reset; vcpu_state.c */
};

struct vm {
	struct vm_config cfg;
	int kvm_fd, vm_fd;
	size_t run_size;
	struct kvmb_gm gm;
	struct kvmb_vmm vmm; /* the seam to host-vsp */
	struct kvmb_loop *loop;
	struct kvmb_bus *bus;
	struct vcpu *vcpus;  /* vcpus[cfg.cpus] */

	enum vm_state state; /* main thread; set_state() in vm.c */
	enum vm_end end;
	struct term term;    /* signals that ask for its end */
	int exit_code;
	u32 boots;	     /* times the guest was started */

	bool reset_paused;   /* RESETTING from PAUSED, where it ends again */
	struct park park;    /* where vCPU threads stand */
	struct overdue overdue; /* of a reset and of the end */

	struct kvmb_work event_work; /* a vCPU asks for one of these; atomics */
	int want_reset, want_poweroff, want_error, want_crash, want_test_exit;
	int test_exit_code;
	struct crash_log crash;

	struct iobus pio;
	u32 pm1_enable; /* atomic; dev/pm.c */
	struct irq_table *irqs;
	struct serial *serial;
	struct rtc *rtc;
	struct testdev *testdev;
	struct boot_image *boot;
	struct ctl *ctl;
	struct console *console;

	struct vm_disks *disks;
	struct udev_state *udev;
	struct kvmb_disk *resizing;  /* by a job of disks.c, NULL = none */
	char stop_reason[160];	     /* what paused the VM: an I/O error, a crash; "" = an administrator */
	struct kvmb_storage *scsi[KVMB_STORAGE_MAX_CONTROLLERS];
	struct vm_nic *nics;	     /* nics[KVMB_MAX_NICS], nics.c */
	struct kvmb_heartbeat heartbeat;
	struct kvmb_timesync timesync;
	struct kvmb_shutdown shutdown;

	u64 started_ms, paused_at_tsc;
	struct kvm_clock_data paused_clock;
	struct kvm_irqchip irqchip0[3];
	struct kvm_pit_state2 pit0;
};

/**
 * vm_create() - Build the machine; prints one line and cleans up on failure
 * Return: the VM, NULL on failure. Context: main thread, before anything else.
 */
struct vm *vm_create(const struct vm_config *cfg);
int vm_start(struct vm *vm);
void vm_destroy(struct vm *vm);

int vm_pause(struct vm *vm);	/* 0, -EINVAL in a wrong state */
int vm_resume(struct vm *vm);
void vm_kill(struct vm *vm);
const char *vm_state_name(const struct vm *vm);

/* From any thread: what the guest asks of the machine. */
void vm_request_reset(struct vm *vm);
void vm_request_poweroff(struct vm *vm);
void vm_request_error(struct vm *vm);
void vm_request_crash(struct vm *vm); /* has crashed: --on-crash decides */
void vm_request_test_exit(struct vm *vm, int code);

/* vcpu.c */
int vcpu_create(struct vm *vm, u32 index);
int vcpu_start_thread(struct vcpu *v);

/** vcpu_complete_exit() - Let KVM finish the last exit; afterwards registers are whole. Its own thread. */
void vcpu_complete_exit(struct vcpu *v);

void vcpu_kick(struct vcpu *v);
void vcpu_destroy(struct vcpu *v);

/* vcpu_state.c; the vCPU stands, and its exit is complete */
int vcpu_save_power_on(struct vcpu *v); /* once, before it has run; 0 or -errno */
void vcpu_free_power_on(struct vcpu *v);

/**
 * vcpu_reset() - Power-on state; the boot protocol is set by boot_enter()
 * Return: 0 or -errno. Context: main thread, all vCPUs stand.
 */
int vcpu_reset(struct vcpu *v);

/** vcpu_shift_tsc() - The guest's TSC goes back by @ticks. Return: 0; -errno: this kernel cannot. */
int vcpu_shift_tsc(struct vcpu *v, u64 ticks);

/* cpuid.c */
int cpuid_apply(struct vcpu *v);
int cpuid_check_model(const char *model, char *why, size_t size);
bool cpuid_host_is_tcg(void); /* are we ourselves in the lab? */

/* hyperv.c */
int hyperv_check(int kvm_fd, char *why, size_t size);
int hyperv_vm_init(struct vm *vm);
int hyperv_vcpu_init(struct vcpu *v);
int hyperv_vcpu_reset(struct vcpu *v);
void hyperv_vcpu_fini(struct vcpu *v);
void hyperv_exit(struct vcpu *v);

/* mem.c */
int mem_create(struct vm *vm);
void mem_destroy(struct vm *vm);
#define MEM_LOW_MAX 0xc0000000ull /* RAM below 4 GiB ends here at the latest */
#define MEM_HIGH_BASE 0x100000000ull

#endif
