/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One VM: its parts, and its life.
 *
 * DOC: Theory of operation
 *
 * One process is one VM. The main thread runs the event loop: bus, integration
 * services, control socket, serial input. Each vCPU has a thread in KVM_RUN (machine.h); each
 * open storage or network channel has a worker. What a vCPU's thread asks for is posted to the
 * main thread.
 *
 * build.c makes the parts and takes them apart. vm.c moves the VM through its states, as the
 * table there says; set_state() is the only writer. It knows the machine, the bus and the
 * integration services; whoever else wants to know what happens to the VM is told through
 * struct vm_listener, so that control socket, console and disks may call the VM and not the
 * other way round.
 */
#ifndef KVMB_VM_H
#define KVMB_VM_H

#include "host-vsp/bus/bus.h"
#include "host-vsp/storage/storage.h"
#include "ic-services/heartbeat/heartbeat_host.h"
#include "ic-services/shutdown/shutdown_host.h"
#include "ic-services/timesync/timesync_host.h"
#include "machine/machine.h"
#include "vmm/config.h"
#include "vmm/overdue.h"

/*
 * CREATED: built, no vCPU has run. RUNNING: vCPUs run. PAUSED: by the administrator, an I/O
 * error or a crash; vCPUs stand, guest time stands. RESETTING: vCPUs stand, providers come
 * to rest, then the boot image is loaded afresh. ENDED: vCPUs stand for good; the loop is
 * left when providers are at rest.
 */
enum vm_state { VM_CREATED, VM_RUNNING, VM_PAUSED, VM_RESETTING, VM_ENDED, VM_NUM_STATES };

enum vm_end { VM_END_NONE, VM_END_POWEROFF, VM_END_KILLED, VM_END_ERROR, VM_END_CRASHED, VM_END_TEST_EXIT };

struct vm;

#define VM_OVERDUE_MS 10000u /* no reset and no end takes so long unless something hangs */

/* What others do when something has happened to the VM. Main thread; none may be NULL. */
struct vm_listener {
	void (*starting)(struct vm *vm); /* nothing has gone wrong so far, and no vCPU has run */
	void (*resumed)(struct vm *vm);  /* after a stop that had a reason: try again what had failed */
	void (*rebooted)(struct vm *vm);
	void (*ended)(struct vm *vm);    /* providers are at rest; the loop is left next */
};

struct vm {
	struct vm_config cfg;
	struct kvmb_loop *loop;
	struct machine machine;
	struct kvmb_bus *bus;

	enum vm_state state; /* main thread; set_state() in vm.c */
	enum vm_end end;
	int exit_code;
	bool no_reboot;	     /* a reset ends the VM: --no-reboot, or a signal that asks for its end */
	bool reset_paused;   /* RESETTING from PAUSED, where it ends again */
	char stop_reason[160]; /* what paused the VM: an I/O error, a crash; "" = an administrator. vm_stop() */
	u64 started_ms;
	struct overdue overdue; /* of a reset and of the end */
	const struct vm_listener *listener;

	struct kvmb_work event_work; /* a vCPU asks for one of these; atomics */
	int want_reset, want_poweroff, want_error, want_crash, want_test_exit;
	int test_exit_code;

	struct term *term; /* signals that ask for its end */
	struct ctl *ctl;
	struct console *console;
	struct vm_disks *disks;
	struct kvmb_storage *scsi[KVMB_STORAGE_MAX_CONTROLLERS];
	struct vm_nic *nics; /* nics[KVMB_MAX_NICS], nics.c */
	struct kvmb_heartbeat heartbeat;
	struct kvmb_timesync timesync;
	struct kvmb_shutdown shutdown;
};

/**
 * vm_init() - A VM without parts
 * @vm:   zeroed
 * @loop: borrowed, as is @l
 */
void vm_init(struct vm *vm, const struct vm_config *cfg, struct kvmb_loop *loop, const struct vm_listener *l);

/** vm_machine_ops: what the machine calls up, with the VM as its argument. */
extern const struct machine_ops vm_machine_ops;

/**
 * vm_start() - Start the guest
 * Return: 0, or -errno with the reason logged. Context: main thread, once; all parts are there.
 */
int vm_start(struct vm *vm);

/** vm_pause() - vCPUs and guest time stand. Return: 0; -EINVAL when it does not run. Context: main thread. */
int vm_pause(struct vm *vm);

/**
 * vm_stop() - Pause for a reason, which is shown until the VM goes on
 * @reason: copied; a VM that is paused already gets it all the same
 * Return: false: the VM is being reset or has ended, and stays as it is. Context: main thread.
 */
bool vm_stop(struct vm *vm, const char *reason);

/** vm_resume() - Return: 0; -EINVAL when it is not paused. Context: main thread. */
int vm_resume(struct vm *vm);

/** vm_kill() - End it at once; fine when it has ended. Context: main thread. */
void vm_kill(struct vm *vm);

const char *vm_state_name(const struct vm *vm);

#endif
