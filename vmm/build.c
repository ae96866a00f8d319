// SPDX-License-Identifier: GPL-2.0-only
/* A VM's parts: build them one after the other, connect them, take them apart. */
#include "vmm/build.h"

#include <unistd.h>

#include "lib/log.h"
#include "lib/util.h"
#include "machine/boot/flash.h"
#include "machine/dev/serial.h"
#include "machine/dev/testdev.h"
#include "machine/gen1.h"
#include "vmm/backup.h"
#include "vmm/basics.h"
#include "vmm/boot_choose.h"
#include "vmm/boot_order.h"
#include "vmm/console.h"
#include "vmm/ctl.h"
#include "vmm/disks.h"
#include "vmm/disks_ide.h"
#include "vmm/display.h"
#include "vmm/dynmem.h"
#include "vmm/fcopy.h"
#include "vmm/guard.h"
#include "vmm/handed.h"
#include "vmm/input.h"
#include "vmm/kvp.h"
#include "vmm/mig_out.h"
#include "vmm/mig_post.h"
#include "vmm/names.h"
#include "vmm/nics.h"
#include "vmm/nics_legacy.h"
#include "vmm/save.h"
#include "vmm/services.h"
#include "vmm/synth.h"
#include "vmm/term.h"
#include "vmm/uevent.h"
#include "vmm/upgrade_in.h"
#include "vmm/upgrade_out.h"
#include "vmm/vars.h"
#include "vmm/vm.h"
#include "vmm/vsock.h"
#include "vmm/vss.h"

#define VARS_END_MS 3000u

/* ---- who is told what ---- */

static void tell_starting(struct vm *vm)
{
	console_start(vm->console);
}

static void tell_resumed(struct vm *vm)
{
	disks_retry(vm);
}

static void settle_devices(struct vm *vm, void (*done)(void *vm))
{
	nics_legacy_settle(vm, disks_ide_settle, done);
}

static void tell_rebooted(struct vm *vm)
{
	disks_ide_settled(vm);
	dynmem_rebooted(vm);
	ctl_notify(vm->ctl, CTL_EVENT_REBOOTED);
}

static void tell_restored(struct vm *vm)
{
	disks_ide_go_on(vm);
	nics_legacy_go_on(vm);
	if (vm->vars)
		flash_loaded(gen1_flash(vm->machine.gen1));
	if (vm->cfg.handed) /* to its network nothing has happened */
		upgrade_in_settle(vm);
	else
		nics_announce(vm);
}

static void tell_ended(struct vm *vm)
{
	console_flush(vm->console);
	ctl_notify(vm->ctl, CTL_EVENT_ENDED);
}

static void tell_leave(struct vm *vm)
{
	guard_leave(vm->cfg.name, "killed, while a part of its memory has not come: ended at once");
}

static const struct vm_listener listener = {
	.stands = nics_guest_stands,
	.leave = tell_leave,
	.starting = tell_starting,
	.resumed = tell_resumed,
	.settle = settle_devices,
	.rebooted = tell_rebooted,
	.restored = tell_restored,
	.ended = tell_ended,
};

static void shutdown_answered(void *arg, u32 status)
{
	struct vm *vm = arg;

	if (status == KVMB_IC_STATUS_OK)
		return;
	ctl_notify(vm->ctl, CTL_EVENT_SHUTDOWN_REFUSED);
	term_refused(vm->term, status);
}

/*
 * ---- construction; each step says what went wrong and cleans up in vm_destroy() ----
 *
 * What the user can get wrong comes first, so that nothing has been touched yet.
 */

/* Models and places are not settled yet. */
static bool may_be_legacy(const struct vm_config *c, const struct nic_config *nc)
{
	return nc->model != NIC_SYNTHETIC && nc->index < (int)LEGACY_NICS &&
	       (nc->model != NIC_UNSAID || !c->machine.netboot_comes);
}

static void choose_netboot(struct vm_config *c)
{
	u32 at, i;

	c->machine.netboot_comes = c->state || c->incoming || c->handed;
	for (at = 0; at < c->boot.num && c->boot.from[at] != BOOT_NET; at++)
		;
	if (!c->machine.gen1 || at == c->boot.num)
		return;
	for (i = 0; i < c->num_nics && !may_be_legacy(c, &c->nics[i]); i++)
		;
	if (i == c->num_nics)
		kvmb_warn(c->name, "--boot net: there is no legacy NIC to boot from");
	else
		c->machine.netboot = at ? NETBOOT_LATER : NETBOOT_FIRST;
}

static int open_machine(struct vm *vm)
{
	struct vm_handed *h = vm->cfg.handed;

	choose_netboot(&vm->cfg);
	if (h) {
		vm->cfg.machine.memory_fd = h->memory;
		h->memory = 0;
	}
	return machine_open(&vm->machine, vm->cfg.name, &vm->cfg.machine, vm->loop, &vm_machine_ops,
			    vm);
}

static int open_ctl(struct vm *vm)
{
	char why[256];

	vm->ctl = ctl_create(vm, why, sizeof(why));
	if (!vm->ctl)
		kvmb_err(vm->cfg.name, "%s", why);
	return vm->ctl ? 0 : -EADDRINUSE;
}

static int open_vsock(struct vm *vm)
{
	return vsock_open(vm, ctl_path(vm->ctl));
}

static const struct console_watcher ctl_listens = {
	.output = ctl_console_output,
	.room = ctl_console_room,
};

static int open_console(struct vm *vm)
{
	char why[256];

	vm->console = console_create(vm, &ctl_listens, vm->ctl, why, sizeof(why));
	if (!vm->console)
		kvmb_err(vm->cfg.name, "%s", why);
	return vm->console ? 0 : -EIO;
}

static const struct uevent_listener device_events = {
	.gone = disks_device_gone,
	.changed = disks_device_changed,
};

static int open_disks_and_nics(struct vm *vm)
{
	vm->uevents = uevent_watch_create(vm->loop, vm->cfg.name, &device_events, vm);
	vm->names = kvmb_xzalloc(sizeof(*vm->names));
	return names_open(&vm->cfg, vm->names);
}

/* Of UEFI firmware. Its file is made from that of the firmware; an old one is not read yet. */
static int open_vars(struct vm *vm)
{
	struct flash *f = vm->machine.gen1 ? gen1_flash(vm->machine.gen1) : NULL;
	const u8 *fresh;
	char why[200];
	int fd;
	u32 len;

	if (!vm->cfg.vars)
		return 0;
	if (!f) {
		kvmb_err(vm->cfg.name, "--firmware vars=%s: this firmware keeps no variables",
			 vm->cfg.vars);
		return -EINVAL;
	}
	fresh = flash_content(f, &len);
	/* one that moves here, or is handed over, may have it on the other side yet */
	fd = vars_open(vm->cfg.vars, fresh, len, !vm->cfg.incoming && !vm->cfg.handed, why,
		       sizeof(why));
	if (fd < 0)
		kvmb_err(vm->cfg.name, "variables %s: %s", vm->cfg.vars, why);
	else
		vm->vars_fd = fd;
	return KVMB_MIN(fd, 0);
}

static int create_vars(struct vm *vm)
{
	struct flash_keeper k = { .changed = vars_changed, .settled = vars_settled };
	struct flash *f;
	char why[200];
	u8 *content;
	u32 len;

	if (!vm->vars_fd)
		return 0;
	f = gen1_flash(vm->machine.gen1);
	content = flash_content(f, &len);
	k.arg = vm->vars = vars_create(vm->cfg.name, vm->vars_fd, content, len, why, sizeof(why));
	vm->vars_fd = 0;
	if (!vm->vars) {
		kvmb_err(vm->cfg.name, "variables %s: %s", vm->cfg.vars, why);
		return -EIO;
	}
	flash_keep(f, &k);
	return 0;
}

static void end_vars(struct vm *vm)
{
	if (vm->lock_vars.loop)
		kvmb_timer_cancel(&vm->lock_vars);
	vars_destroy(vm->vars, VARS_END_MS);
	vm->vars = NULL;
	if (vm->vars_fd > 0)
		close(vm->vars_fd);
	vm->vars_fd = 0;
}

static void forget_names(struct vm *vm)
{
	if (vm->names)
		names_close(vm->names);
	free(vm->names);
	vm->names = NULL;
}

static int create_bus(struct vm *vm)
{
	struct kvmb_bus_config cfg = { .loop = vm->loop, .vmm = &vm->machine.vmm,
				       .max_version = vm->cfg.vmbus_max, .who = vm->cfg.name };

	vm->bus = kvmb_bus_create(&cfg);
	return basics_create(vm, shutdown_answered);
}

static void put_boot_order(struct vm *vm)
{
	char *list = boot_order_list(&vm->cfg);

	gen1_set_boot(vm->machine.gen1, list, vm->cfg.boot.menu);
	free(list);
}

static int build_machine(struct vm *vm)
{
	struct serial_ops far_end = { .output = console_output,
				      .room = console_room,
				      .arg = vm->console };
	int err = machine_build(&vm->machine, &far_end);

	if (!err)
		err = disks_ide_connect(vm);
	if (!err)
		err = nics_legacy_connect(vm);
	if (!err && vm->machine.gen1)
		put_boot_order(vm);
	if (err || !vm->machine.testdev)
		return err;
	return testdev_offer(vm->machine.testdev, vm->bus);
}

/* Everything that has a name; no step may start a thread or read what a guest can write. */
static int (*const open_steps[])(struct vm *) = { open_machine, open_ctl,  open_vsock,
						  open_console, open_vars, open_disks_and_nics };

static int (*const build_steps[])(struct vm *) = { create_bus,	  kvp_create,	 vss_create,
						   fcopy_create,  synth_create,	 vsock_create,
						   disks_create,  nics_create,	 create_vars,
						   boot_choose,	  build_machine, dynmem_create };

static int take_steps(struct vm *vm, int (*const steps[])(struct vm *), size_t num)
{
	size_t i;
	int err = 0;

	for (i = 0; i < num && !err; i++)
		err = steps[i](vm);
	return err;
}

struct vm *vm_open(const struct vm_config *cfg)
{
	struct kvmb_loop *loop = kvmb_loop_create();
	struct vm *vm;

	if (!loop) {
		kvmb_err(cfg->name, "no event loop: %s", strerror(errno));
		return NULL;
	}
	vm = kvmb_xzalloc(sizeof(*vm));
	vm_init(vm, cfg, loop, &listener);
	vm->term = term_create(vm);
	if (!take_steps(vm, open_steps, ARRAY_SIZE(open_steps)))
		return vm;
	vm_destroy(vm);
	return NULL;
}

int vm_build(struct vm *vm)
{
	int err = take_steps(vm, build_steps, ARRAY_SIZE(build_steps));

	forget_names(vm);
	return err;
}

void vm_destroy(struct vm *vm)
{
	if (!vm->overdue.running)
		overdue_begin(&vm->overdue, vm->cfg.name, "the end of the VM", VM_OVERDUE_MS);
	backup_destroy(vm);
	save_destroy(vm);
	mig_out_destroy(vm);
	upgrade_out_destroy(vm);
	display_forget(vm);
	input_forget(vm);
	mig_post_forget(vm);
	overdue_step(&vm->overdue, "vCPU threads to end");
	machine_stop(&vm->machine);
	overdue_step(&vm->overdue, "the file of the firmware's variables");
	end_vars(vm);
	overdue_step(&vm->overdue, "the reader of the console");
	console_destroy(vm->console);
	overdue_step(&vm->overdue, "the control socket and the bus");
	ctl_destroy(vm->ctl);
	kvmb_bus_destroy(vm->bus);
	vsock_destroy(vm);
	overdue_step(&vm->overdue, "a file that is copied into the guest");
	fcopy_destroy(vm);
	kvp_destroy(vm);
	overdue_step(&vm->overdue, "changes of disks that are under way, and disks to close");
	disks_destroy(vm);
	overdue_step(&vm->overdue, "backends of NICs to end");
	nics_legacy_end(vm);
	nics_destroy(vm);
	forget_names(vm);
	uevent_watch_destroy(vm->uevents);
	overdue_step(&vm->overdue, "memory that comes from elsewhere");
	mig_post_destroy(vm);
	dynmem_destroy(vm);
	overdue_step(&vm->overdue, "KVM");
	machine_close(&vm->machine);
	synth_destroy(vm);
	basics_destroy(vm);
	services_destroy(vm);
	overdue_end(&vm->overdue);
	term_destroy(vm->term);
	kvmb_loop_destroy(vm->loop);
	free(vm);
}
