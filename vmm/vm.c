// SPDX-License-Identifier: GPL-2.0-only
/* The machine: build, start, pause, resume, reset, end. */
#include "vmm/vm.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "lib/log.h"
#include "lib/util.h"
#include "machine/boot/boot.h"
#include "machine/dev/pm.h"
#include "machine/dev/rtc.h"
#include "machine/dev/serial.h"
#include "machine/dev/testdev.h"
#include "machine/irq.h"
#include "vmm/console.h"
#include "vmm/ctl.h"
#include "vmm/disks.h"
#include "vmm/nics.h"
#include "vmm/udev.h"

#define OVERDUE_MS 10000u /* no reset and no end takes so long unless something hangs */

static const char *const state_names[] = { "created", "running", "paused", "resetting", "ended" };
static_assert(ARRAY_SIZE(state_names) == VM_NUM_STATES, "one name a state");

static const u8 moves[VM_NUM_STATES] = {
	[VM_CREATED] = 1 << VM_RUNNING | 1 << VM_ENDED,
	[VM_RUNNING] = 1 << VM_PAUSED | 1 << VM_RESETTING | 1 << VM_ENDED,
	[VM_PAUSED] = 1 << VM_RUNNING | 1 << VM_RESETTING | 1 << VM_ENDED,
	[VM_RESETTING] = 1 << VM_RUNNING | 1 << VM_PAUSED | 1 << VM_ENDED,
};

static void set_state(struct vm *vm, enum vm_state to)
{
	kvmb_assert(moves[vm->state] & (1 << to));
	kvmb_dbg(vm->cfg.name, "VM %s -> %s", state_names[vm->state], state_names[to]);
	vm->state = to;
}

const char *vm_state_name(const struct vm *vm)
{
	return state_names[vm->state];
}

/* ---- vCPU threads: park and go ---- */

static void kick_all(void *arg)
{
	struct vm *vm = arg;
	u32 i;

	for (i = 0; i < vm->cfg.cpus; i++)
		vcpu_kick(&vm->vcpus[i]);
}

static void park(struct vm *vm)
{
	park_all(&vm->park, vm->cfg.cpus, kick_all, vm);
}

static void unpark(struct vm *vm)
{
	park_go(&vm->park);
}

/* ---- pause: guest time stands still ---- */

/*
 * TSC and reference counter go on where they stood, or the guest's watchdogs would see
 * a CPU stuck for as long as the pause was. The wall clock is then behind; time sync
 * tells the guest to step it.
 */
static void freeze_time(struct vm *vm)
{
	ioctl(vm->vm_fd, KVM_GET_CLOCK, &vm->paused_clock);
	vm->paused_at_tsc = __rdtsc();
}

static void thaw_time(struct vm *vm)
{
	struct kvm_clock_data clock = { .clock = vm->paused_clock.clock };
	u64 delta = __rdtsc() - vm->paused_at_tsc;
	u32 i;

	for (i = 0; i < vm->cfg.cpus; i++) {
		if (vcpu_shift_tsc(&vm->vcpus[i], delta))
			return; /* an old kernel: time goes on during the pause */
	}
	ioctl(vm->vm_fd, KVM_SET_CLOCK, &clock);
}

int vm_pause(struct vm *vm)
{
	if (vm->state != VM_RUNNING)
		return -EINVAL;
	park(vm);
	freeze_time(vm);
	set_state(vm, VM_PAUSED);
	kvmb_heartbeat_pause(&vm->heartbeat, true);
	kvmb_timesync_pause(&vm->timesync, true);
	return 0;
}

int vm_resume(struct vm *vm)
{
	if (vm->state != VM_PAUSED)
		return -EINVAL;
	thaw_time(vm);
	set_state(vm, VM_RUNNING);
	kvmb_heartbeat_pause(&vm->heartbeat, false);
	kvmb_timesync_pause(&vm->timesync, false);
	unpark(vm);
	if (vm->stop_reason[0]) { /* an I/O error had paused it: try again */
		vm->stop_reason[0] = 0;
		disks_retry(vm);
	}
	return 0;
}

/* ---- reset and end ---- */

static int load_power_on_state(struct vm *vm)
{
	u32 i;
	int err;

	for (i = 0; i < 3; i++)
		ioctl(vm->vm_fd, KVM_SET_IRQCHIP, &vm->irqchip0[i]);
	ioctl(vm->vm_fd, KVM_SET_PIT2, &vm->pit0);
	for (i = 0; i < vm->cfg.cpus; i++) {
		err = vcpu_reset(&vm->vcpus[i]);
		if (err) {
			kvmb_err(vm->cfg.name, "KVM does not take the power-on state of vCPU %u: %s", i, strerror(-err));
			return err;
		}
	}
	serial_reset(vm->serial);
	pm_reset(vm);
	return boot_enter(vm);
}

static void end(struct vm *vm, enum vm_end why, int exit_code);

static void reset_done(void *arg)
{
	struct vm *vm = arg;

	if (vm->state == VM_ENDED)
		return;
	overdue_end(&vm->overdue);
	if (load_power_on_state(vm)) {
		kvmb_err(vm->cfg.name, "the guest cannot be started again");
		end(vm, VM_END_ERROR, 1);
		return;
	}
	vm->boots++;
	__atomic_store_n(&vm->want_reset, 0, __ATOMIC_SEQ_CST); /* another vCPU's wish of the last life */
	__atomic_store_n(&vm->want_crash, 0, __ATOMIC_SEQ_CST);
	if (vm->reset_paused) { /* the administrator was told that it is paused: so it stays */
		set_state(vm, VM_PAUSED);
	} else {
		set_state(vm, VM_RUNNING);
		kvmb_heartbeat_pause(&vm->heartbeat, false);
		kvmb_timesync_pause(&vm->timesync, false);
		unpark(vm);
	}
	ctl_notify(vm->ctl, CTL_EVENT_REBOOTED);
}

static void ended(void *arg)
{
	struct vm *vm = arg;

	console_flush(vm->console);
	ctl_notify(vm->ctl, CTL_EVENT_ENDED);
	kvmb_loop_stop(vm->loop);
}

static void end(struct vm *vm, enum vm_end why, int exit_code)
{
	if (vm->state == VM_ENDED)
		return;
	overdue_begin(&vm->overdue, vm->cfg.name, "the end of the VM", OVERDUE_MS);
	overdue_step(&vm->overdue, "vCPUs to stand");
	park(vm);
	set_state(vm, VM_ENDED);
	vm->end = why;
	vm->exit_code = exit_code;
	overdue_step(&vm->overdue, "devices to finish their requests");
	kvmb_bus_reset(vm->bus, ended, vm);
}

static void begin_reset(struct vm *vm)
{
	if (vm->cfg.no_reboot || term_pending(&vm->term)) {
		end(vm, VM_END_POWEROFF, 0);
		return;
	}
	overdue_begin(&vm->overdue, vm->cfg.name, "the reset of the VM", OVERDUE_MS);
	overdue_step(&vm->overdue, "vCPUs to stand");
	park(vm);
	vm->reset_paused = vm->state == VM_PAUSED; /* the wish to reset crossed the pause */
	set_state(vm, VM_RESETTING);
	overdue_step(&vm->overdue, "devices to finish their requests");
	kvmb_bus_reset(vm->bus, reset_done, vm);
}

void vm_kill(struct vm *vm)
{
	end(vm, VM_END_KILLED, 0);
}

/* The CPU that told of it stands, see vm_request_crash(). */
static void guest_crashed(struct vm *vm)
{
	if (vm->cfg.on_crash == ON_CRASH_POWEROFF) {
		kvmb_err(vm->cfg.name, "the guest crashed: the VM ends, as --on-crash=poweroff says");
		end(vm, VM_END_CRASHED, 1);
	} else if (!vm_pause(vm) || vm->state == VM_PAUSED) {
		snprintf(vm->stop_reason, sizeof(vm->stop_reason), "guest crashed");
	}
}

static void on_event(void *arg)
{
	struct vm *vm = arg;
	bool reset = __atomic_exchange_n(&vm->want_reset, 0, __ATOMIC_SEQ_CST);

	if (vm->state == VM_ENDED)
		return;
	if (__atomic_exchange_n(&vm->want_crash, 0, __ATOMIC_SEQ_CST))
		guest_crashed(vm); /* before a reset that another of its CPUs may want */
	if (__atomic_load_n(&vm->want_test_exit, __ATOMIC_SEQ_CST))
		end(vm, VM_END_TEST_EXIT, vm->test_exit_code);
	else if (__atomic_load_n(&vm->want_error, __ATOMIC_SEQ_CST))
		end(vm, VM_END_ERROR, 1);
	else if (__atomic_load_n(&vm->want_poweroff, __ATOMIC_SEQ_CST))
		end(vm, VM_END_POWEROFF, 0);
	else if (reset && vm->state != VM_RESETTING)
		begin_reset(vm);
}

static void request(struct vm *vm, int *what)
{
	__atomic_store_n(what, 1, __ATOMIC_SEQ_CST);
	park_ask(&vm->park); /* the caller's vCPU executes no further instruction */
	kvmb_loop_post(vm->loop, &vm->event_work);
}

void vm_request_reset(struct vm *vm)
{
	request(vm, &vm->want_reset);
}

void vm_request_poweroff(struct vm *vm)
{
	request(vm, &vm->want_poweroff);
}

void vm_request_error(struct vm *vm)
{
	request(vm, &vm->want_error);
}

void vm_request_crash(struct vm *vm)
{
	if (vm->cfg.on_crash != ON_CRASH_RESET) /* else the guest goes on, and resets if it wants */
		request(vm, &vm->want_crash);
}

void vm_request_test_exit(struct vm *vm, int code)
{
	vm->test_exit_code = code;
	request(vm, &vm->want_test_exit);
}

static void shutdown_answered(void *arg, u32 status)
{
	struct vm *vm = arg;

	if (status == KVMB_IC_STATUS_OK)
		return;
	ctl_notify(vm->ctl, CTL_EVENT_SHUTDOWN_REFUSED);
	term_refused(&vm->term, status);
}

/* ---- construction; each step says what went wrong and cleans up in vm_destroy() ---- */

static int fail(const struct vm *vm, const char *what, int err)
{
	kvmb_err(vm->cfg.name, "%s: %s", what, strerror(-err));
	return err;
}

static int open_kvm(struct vm *vm)
{
	char why[256];
	int err;

	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0) {
		err = -errno;
		kvmb_err(vm->cfg.name, "/dev/kvm: %s; %s", strerror(-err),
			 err == -EACCES ? "join the kvm group" :
			 "load the kvm module, or use the lab (`make demo`, tests/lab/l1)");
		return err;
	}
	err = hyperv_check(vm->kvm_fd, why, sizeof(why));
	if (err) {
		kvmb_err(vm->cfg.name, "%s", why);
		return err;
	}
	vm->run_size = (size_t)ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->vm_fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	return vm->vm_fd < 0 ? fail(vm, "KVM_CREATE_VM", -errno) : 0;
}

static int create_irqchip(struct vm *vm)
{
	struct kvm_pit_config pit = { 0 };
	u64 identity = 0xfeffc000;

	ioctl(vm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	ioctl(vm->vm_fd, KVM_SET_TSS_ADDR, 0xfeffd000ul);
	if (ioctl(vm->vm_fd, KVM_CREATE_IRQCHIP, 0) || ioctl(vm->vm_fd, KVM_CREATE_PIT2, &pit))
		return fail(vm, "KVM interrupt controllers", -errno);
	return 0;
}

static int create_vcpus(struct vm *vm)
{
	u32 i;
	int err;

	vm->vcpus = kvmb_xzalloc(vm->cfg.cpus * sizeof(*vm->vcpus));
	for (i = 0; i < vm->cfg.cpus; i++) {
		err = vcpu_create(vm, i);
		if (err)
			return fail(vm, "cannot create a vCPU", err);
	}
	/* routes come after every SynIC is active, irqfds after the routes */
	err = irq_init(vm);
	if (err)
		return fail(vm, "interrupt routes", err);
	for (i = 0; i < vm->cfg.cpus; i++) {
		err = irq_assign(vm, irq_event_gsi(i), vm->vcpus[i].event_fd, -1);
		if (err)
			return fail(vm, "irqfd", err);
	}
	for (i = 0; i < 3; i++) {
		vm->irqchip0[i].chip_id = i;
		ioctl(vm->vm_fd, KVM_GET_IRQCHIP, &vm->irqchip0[i]);
	}
	ioctl(vm->vm_fd, KVM_GET_PIT2, &vm->pit0);
	return 0;
}

static void serial_irq(void *arg, int level)
{
	irq_set_line(arg, IRQ_SERIAL, level);
}

static int create_platform(struct vm *vm)
{
	struct serial_ops ops = { .set_irq = serial_irq, .output = console_output, .room = console_room,
				  .arg = vm };

	vm->serial = serial_create(&ops);
	vm->rtc = rtc_create();
	iobus_add(&vm->pio, 0x3f8, 8, serial_access, vm->serial);
	iobus_add(&vm->pio, 0x70, 2, rtc_access, vm->rtc);
	pm_add(vm);
	if (!vm->cfg.test_devices)
		return 0;
	vm->testdev = testdev_create(vm);
	return testdev_offer(vm->testdev, vm->bus);
}

static int create_bus(struct vm *vm)
{
	struct kvmb_bus_config cfg = { .loop = vm->loop, .vmm = &vm->vmm,
				       .max_version = vm->cfg.vmbus_max, .who = vm->cfg.name };

	hyperv_vm_init(vm);
	vm->bus = kvmb_bus_create(&cfg);
	kvmb_shutdown_init(&vm->shutdown, shutdown_answered, vm);
	kvmb_timesync_init(&vm->timesync, vm->loop, &vm->vmm);
	kvmb_heartbeat_init(&vm->heartbeat, vm->loop);
	if (vm->cfg.ic_shutdown)
		kvmb_ic_offer(&vm->shutdown.ic, vm->bus);
	if (vm->cfg.ic_timesync)
		kvmb_ic_offer(&vm->timesync.ic, vm->bus);
	if (vm->cfg.ic_heartbeat)
		kvmb_ic_offer(&vm->heartbeat.ic, vm->bus);
	return 0;
}

static int open_boot(struct vm *vm)
{
	char why[512];

	vm->boot = boot_open(&vm->cfg, why, sizeof(why));
	if (!vm->boot)
		kvmb_err(vm->cfg.name, "%s", why);
	return vm->boot ? 0 : -ENOENT;
}

static int open_ctl(struct vm *vm)
{
	char why[256];

	vm->ctl = ctl_create(vm, why, sizeof(why));
	if (!vm->ctl)
		kvmb_err(vm->cfg.name, "%s", why);
	return vm->ctl ? 0 : -EADDRINUSE;
}

static int open_console(struct vm *vm)
{
	char why[256];

	vm->console = console_create(vm, why, sizeof(why));
	if (!vm->console)
		kvmb_err(vm->cfg.name, "%s", why);
	return vm->console ? 0 : -EIO;
}

static int make_memory(struct vm *vm)
{
	int err = mem_create(vm);

	return err ? fail(vm, "guest memory", err) : 0;
}

struct vm *vm_create(const struct vm_config *cfg)
{
	/* what the user can get wrong comes first, so that nothing has been touched yet */
	static int (*const steps[])(struct vm *) = {
		open_kvm, open_boot, open_ctl, open_console, create_bus, disks_create, nics_create, make_memory,
		create_irqchip, create_vcpus, create_platform,
	};
	struct vm *vm = kvmb_xzalloc(sizeof(*vm));
	size_t i;

	vm->cfg = *cfg;
	vm->kvm_fd = vm->vm_fd = vm->gm.memfd = -1;
	park_init(&vm->park);
	crash_init(&vm->crash);
	kvmb_work_init(&vm->event_work, on_event, vm);
	vm->loop = kvmb_loop_create();
	if (!vm->loop) {
		kvmb_err(cfg->name, "no event loop: %s", strerror(errno));
		free(vm);
		return NULL;
	}
	term_init(&vm->term, vm);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		if (steps[i](vm)) {
			vm_destroy(vm);
			return NULL;
		}
	}
	return vm;
}

int vm_start(struct vm *vm)
{
	u32 i;
	int err;

	err = load_power_on_state(vm);
	if (err)
		return err;
	console_start(vm->console);
	vm->started_ms = kvmb_now_ms();
	park_ask(&vm->park); /* until all threads are there */
	for (i = 0; i < vm->cfg.cpus; i++) {
		err = vcpu_start_thread(&vm->vcpus[i]);
		if (err)
			return fail(vm, "cannot start a vCPU", err);
	}
	park(vm);
	set_state(vm, VM_RUNNING);
	vm->boots = 1;
	unpark(vm);
	return 0;
}

static void stop_threads(struct vm *vm)
{
	u32 i;

	park_quit(&vm->park);
	for (i = 0; vm->vcpus && i < vm->cfg.cpus; i++) {
		if (!vm->vcpus[i].started)
			continue;
		vcpu_kick(&vm->vcpus[i]);
		pthread_join(vm->vcpus[i].thread, NULL);
	}
}

static void destroy_machine(struct vm *vm)
{
	u32 i;

	testdev_destroy(vm->testdev);
	for (i = 0; vm->vcpus && i < vm->cfg.cpus; i++) {
		if (vm->vcpus[i].vm)
			vcpu_destroy(&vm->vcpus[i]);
	}
	free(vm->vcpus);
	irq_fini(vm);
	serial_destroy(vm->serial);
	rtc_destroy(vm->rtc);
	boot_close(vm->boot);
	if (vm->vm_fd >= 0)
		close(vm->vm_fd);
	mem_destroy(vm);
	if (vm->kvm_fd >= 0)
		close(vm->kvm_fd);
}

void vm_destroy(struct vm *vm)
{
	if (!vm->overdue.running)
		overdue_begin(&vm->overdue, vm->cfg.name, "the end of the VM", OVERDUE_MS);
	overdue_step(&vm->overdue, "vCPU threads to end");
	stop_threads(vm);
	overdue_step(&vm->overdue, "the reader of the console");
	console_destroy(vm->console);
	overdue_step(&vm->overdue, "the control socket and the bus");
	ctl_destroy(vm->ctl);
	udev_unwatch(vm);
	kvmb_bus_destroy(vm->bus);
	overdue_step(&vm->overdue, "changes of disks that are under way, and disks to close");
	disks_destroy(vm);
	overdue_step(&vm->overdue, "backends of NICs to end");
	nics_destroy(vm);
	overdue_step(&vm->overdue, "KVM");
	destroy_machine(vm);
	overdue_end(&vm->overdue);
	term_fini(&vm->term);
	kvmb_loop_destroy(vm->loop);
	park_fini(&vm->park);
	crash_fini(&vm->crash);
	free(vm);
}
