/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One VM: its parts, and its life.
 *
 * DOC: Theory of operation
 *
 * One process is one VM. The main thread runs the event loop: bus, integration services, control
 * socket, serial input. Each vCPU has a thread in KVM_RUN (machine.h), and each open storage or
 * network channel has a worker. Requests from a vCPU's thread are posted to the main thread.
 *
 * build.c builds the parts and takes them apart. vm.c moves the VM through its states; it has the
 * table of moves, and set_vm_state() is the only writer. vm.c knows the machine, the bus and the
 * integration services. Other parts learn about events of the VM through struct vm_listener, so
 * that control socket, console and disks call the VM and not the other way round.
 */
#ifndef KVMB_VM_H
#define KVMB_VM_H

#include "host-vsp/bus/bus.h"
#include "host-vsp/storage/storage.h"
#include "ic-services/fcopy/fcopy_host.h"
#include "ic-services/heartbeat/heartbeat_host.h"
#include "ic-services/kvp/kvp_host.h"
#include "ic-services/shutdown/shutdown_host.h"
#include "ic-services/timesync/timesync_host.h"
#include "ic-services/vss/vss_host.h"
#include "machine/machine.h"
#include "vmm/config.h"
#include "vmm/overdue.h"

/*
 * CREATED: built, no vCPU has run.
 * RUNNING: vCPUs run.
 * PAUSED: by the administrator, an I/O error or a crash; vCPUs and guest time stand.
 * RESETTING: vCPUs stand until providers are at rest; then the boot image is loaded again.
 * ENDED: vCPUs stand and never run again; the loop ends when providers are at rest.
 */
enum vm_state { VM_CREATED, VM_RUNNING, VM_PAUSED, VM_RESETTING, VM_ENDED, VM_NUM_STATES };

enum vm_end {
	VM_END_NONE,
	VM_END_POWEROFF,
	VM_END_KILLED,
	VM_END_ERROR,
	VM_END_CRASHED,
	VM_END_TEST_EXIT,
	VM_END_SAVED,
	VM_END_HANDED_OVER
};

struct vm;

#define VM_OVERDUE_MS 10000u /* a reset or an end that takes longer hangs */

/* Events of the VM. Main thread; none may be NULL. */
struct vm_listener {
	void (*starting)(struct vm *vm); /* everything is built, and no vCPU has run */
	void (*stands)(struct vm *vm, bool stands); /* it is paused; it goes on */
	void (*resumed)(struct vm *vm);  /* after a stop with a reason: retry what failed */
	/* vCPUs stand and channels are closed: devices beside the bus finish, then @done(@vm) */
	void (*settle)(struct vm *vm, void (*done)(void *vm));
	void (*rebooted)(struct vm *vm);
	void (*restored)(struct vm *vm); /* from a file: its vCPUs go, or it is paused */
	void (*ended)(struct vm *vm);    /* providers are at rest; the loop is left next */
	void (*leave)(struct vm *vm);	 /* its end cannot be waited for: end the process */
};

struct vm {
	struct vm_config cfg;
	struct kvmb_loop *loop;
	struct machine machine;
	struct kvmb_bus *bus;

	enum vm_state state; /* main thread; set_vm_state() in vm.c */
	enum vm_end end;
	int exit_code;
	/* a reset ends the VM: --no-reboot, or a signal that asks for its end */
	bool no_reboot;
	bool begins_paused; /* restored, and the administrator had paused it */
	bool reset_paused;   /* RESETTING started from PAUSED and returns there */
	char stop_reason[160]; /* of PAUSED: an I/O error, a crash; "" = administrator. vm_stop() */
	u64 started_ms;
	unsigned int lacks;	/* of the sandbox: enum confine_lack */
	uid_t uid;		/* whom the process runs as */
	struct overdue overdue; /* of a reset and of the end */
	const struct vm_listener *listener;

	struct kvmb_work event_work; /* a vCPU asks for one of these; atomics */
	int want_reset, want_poweroff, want_error, want_crash, want_test_exit;
	int test_exit_code;

	struct { /* vm_rest.c */
		void (*done)(void *arg);
		void *arg;
		bool bus; /* it was told to stand, too */
	} rest;
	struct vm_backup *backup; /* under way, NULL = none; backup.c */
	struct vm_save *save; /* under way, NULL = none; save.c */
	struct vm_migration *migration; /* under way, NULL = none; mig_out.c */
	struct vm_input *input;		/* NULL = nobody has typed or pointed yet; input.c */
	struct vm_displays *displays;	/* NULL = nobody has looked yet; display.c */
	struct vm_dynmem *dynmem;	/* NULL = none; dynmem.c */
	struct vm_synth *synth;		/* NULL = none; synth.c */
	struct vm_vsock *vsock;		/* NULL = none; vsock.c */
	struct vm_upgrade *upgrade;	/* under way, NULL = none; upgrade_out.c */
	struct mig_post *post;		/* memory comes later, NULL = all is here; mig_post.c */
	bool waits;			/* vm_wait() */
	bool cut_off;			/* vm_cut_off() */
	bool held;			/* vm_hold() */
	enum vm_end held_end;		/* what was asked for meanwhile */
	enum vm_end late_end;		/* likewise, while it waits; NONE = nothing. vm_try_end() */
	const char *changed; /* why it cannot be saved: what its options do not say; NULL */

	struct term *term; /* signals that ask for its end */
	struct ctl *ctl;
	struct console *console;
	struct vars *vars;	/* of firmware, NULL = nobody keeps them; vars.c */
	int vars_fd;		/* their file, until it is read; 0 = none */
	struct kvmb_timer lock_vars; /* of an upgrade: upgrade_in.c */
	u64 lock_until_ms;
	struct vm_names *names; /* of cfg, opened; NULL once everything is built */
	struct uevent_watch *uevents;
	struct vm_ide *ide; /* NULL: no disk is on IDE; disks_ide.c */
	struct vm_disks *disks;
	struct kvmb_rings *rings; /* of all controllers */
	struct kvmb_storage *scsi[KVMB_STORAGE_MAX_CONTROLLERS];
	struct vm_nic *nics; /* nics[KVMB_MAX_NICS], nics.c */
	struct vm_services *services; /* NULL = none yet; services.c */
	struct vm_legacies *legacy; /* NULL: no NIC is a legacy NIC; nics_legacy.c */
	struct kvmb_heartbeat heartbeat;
	struct kvmb_timesync timesync;
	struct kvmb_shutdown shutdown;
	struct kvmb_kvp kvp;
	struct kvmb_fcopy fcopy;
	struct vm_fcopy *copy; /* of a file into the guest, NULL = none; fcopy.c */
	struct kvmb_vss vss;
};

/**
 * vm_init() - Prepare a VM without parts
 * @vm:   zeroed
 * @cfg:  copied; its strings must outlive the VM
 * @loop: borrowed
 * @l:    borrowed
 */
void vm_init(struct vm *vm, const struct vm_config *cfg, struct kvmb_loop *loop,
	     const struct vm_listener *l);

/** vm_machine_ops: what the machine calls up, with the VM as its argument. */
extern const struct machine_ops vm_machine_ops;

/* How a guest that ran elsewhere goes on here. Returns 0, or -errno with the reason logged. */
struct vm_loader {
	int (*load)(struct vm *vm);   /* brings the machine into its first state */
	int (*commit)(struct vm *vm); /* all is ready: last word whether it goes on here */
	/* instead of commit(): it was loaded, and does not go on here; nothing has run */
	void (*abort)(struct vm *vm, const char *why);
	bool shares; /* memory and taps are another process's: what failed is left as it is */
};

/**
 * vm_start() - Start the guest
 * @from: where it goes on from; NULL = power-on
 *
 * Return: 0, or -errno with the reason logged. Context: main thread, once; all parts are there.
 */
int vm_start(struct vm *vm, const struct vm_loader *from);

/**
 * vm_restored() - In load() of vm_start(): the VM has gone on from a saved state
 * @paused: the administrator had paused it, so it begins paused
 *
 * Context: main thread.
 */
void vm_restored(struct vm *vm, bool paused);

/** vm_pause() - Stop vCPUs and guest time. Return: 0; -EINVAL unless RUNNING. Main thread. */
int vm_pause(struct vm *vm);

/**
 * vm_stop() - Pause for a reason, which is shown until the VM is resumed
 *
 * With vm_wait() it may be RUNNING still, and vm_try_stop() is due, with vm->stop_reason.
 *
 * @vm:     RUNNING, or already PAUSED: then only the reason changes
 * @reason: copied
 *
 * Return: false when the VM is being reset or has ended; nothing changes then. Context: main
 * thread.
 */
bool vm_stop(struct vm *vm, const char *reason);

/**
 * vm_try_stop() - Stop vCPUs without waiting, and when all stand, vm_stop()
 * @vm:     RUNNING
 * @reason: copied
 *
 * Return: true: it is PAUSED; false: not yet, and those that can stand do. Try again, or
 * vm_cut_off(vm, false), when there is no reason any more. Context: main thread.
 */
bool vm_try_stop(struct vm *vm, const char *reason);

/**
 * vm_cut_off() - Threads of the VM may wait for memory for ever
 *
 * An end is the process's end meanwhile. When it is over, vCPUs that were made to stand go on,
 * unless the VM is PAUSED, or has a stop_reason. Context: main thread.
 */
void vm_cut_off(struct vm *vm, bool cut_off);

/**
 * vm_wait() - Threads of the VM wait for memory, for a while: wait for none of them meanwhile
 *
 * What the guest asks for, a reset or its end, is done when that is over. Context: main thread.
 */
void vm_wait(struct vm *vm, bool waits);

/**
 * vm_try_end() - An end that was asked for while vm_wait() holds, if any
 *
 * vm_kill() does not wait for a vCPU that waits for memory either: this is due until the VM has
 * ENDED. While it is cut off, it ends with its process. Context: main thread.
 */
void vm_try_end(struct vm *vm);

/** vm_resume() - Continue after a pause. Return: 0; -EINVAL unless PAUSED. Main thread. */
int vm_resume(struct vm *vm);

/**
 * vm_reset() - Reset it as a guest does that resets itself, whatever it is at
 *
 * It begins with the loop's next round, and ends the VM where a guest's own would (--no-reboot). A
 * PAUSED VM stays that. Return: 0; -EINVAL unless RUNNING or PAUSED. Context: main thread.
 */
int vm_reset(struct vm *vm);

/** vm_request_waits() - Has a vCPU asked for a reset or an end that is not served yet? */
bool vm_request_waits(const struct vm *vm);

/** vm_saved() - It can be restored from now on: end this one. Main thread; paused. */
void vm_saved(struct vm *vm);

/**
 * vm_hold() - Another process may have the guest's memory from now on: touch nothing
 * @vm: paused, and its bus stands
 *
 * The VM does not end meanwhile: an end closes channels. Main thread; vm_release(), or
 * vm_handed_over().
 */
void vm_hold(struct vm *vm);

/** vm_release() - It is here and nowhere else: end it if that was asked for. Main thread. */
void vm_release(struct vm *vm);

/** vm_handed_over() - It is in another process: leave the loop, touch nothing. Main thread. */
void vm_handed_over(struct vm *vm);

/** vm_kill() - End the VM at once; fine if it has ended. Context: main thread. */
void vm_kill(struct vm *vm);

/** vm_state_name() - "running", "paused", ...: docs/json.md. */
const char *vm_state_name(const struct vm *vm);

#endif
