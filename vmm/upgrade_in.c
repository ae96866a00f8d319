// SPDX-License-Identifier: GPL-2.0-only
/* A VM that another process hands over: upgrade_in.h. */
#include "vmm/upgrade_in.h"

#include <stdio.h>
#include <unistd.h>

#include "host-vsp/tuner.h"
#include "lib/keeper.h"
#include "lib/log.h"
#include "lib/util.h"
#include "vmm/handed.h"
#include "vmm/mig_in.h"
#include "vmm/vars.h"
#include "vmm/vm.h"

#define NAMES_MS 5000u
#define LOCK_MS 15000u /* of the firmware's variables: the other process is killed before */
#define LOCK_AGAIN_MS 100u

static int load_handed(struct vm *vm)
{
	return mig_in_loader.load(vm);
}

static int not_here(struct vm *vm, struct mig_stream *s, int err, const char *why)
{
	kvmb_err(vm->cfg.name, "the VM does not go on here: %s", why);
	if (err != -EPIPE && err != -ECONNREFUSED)
		mig_say(s, MIG_REFUSED, why);
	return err;
}

/* Locks on disks came with the descriptors, and are the other process's as well. */
static int go_on_here(struct vm *vm)
{
	struct mig_stream s = { .fd = vm->cfg.incoming };
	char why[MIG_WHY] = "";
	int err = mig_say(&s, MIG_LOADED, NULL);

	if (!err)
		err = mig_hear(&s, MIG_GO, why);
	if (err)
		return not_here(vm, &s, err, why[0] ? why : mig_why(err));
	/* from here on it is here, unless it is too late to say so */
	err = mig_say(&s, MIG_RUNNING, NULL);
	return err ? not_here(vm, &s, -EPIPE, mig_why(err)) : 0;
}

static void does_not_start(struct vm *vm, const char *why)
{
	struct mig_stream s = { .fd = vm->cfg.incoming };

	not_here(vm, &s, -EIO, why);
}

const struct vm_loader upgrade_in_loader = { load_handed, go_on_here, does_not_start, true };

/*
 * The other process has their lock until it ends, and changes them no more: it has written all that
 * it had before we were told of it.
 */
static void lock_variables(void *arg)
{
	struct vm *vm = arg;
	int err = vars_lock(vm->vars);

	if (err == -EBUSY && kvmb_now_ms() < vm->lock_until_ms)
		kvmb_timer_set(&vm->lock_vars, LOCK_AGAIN_MS);
	else if (err)
		kvmb_err(vm->cfg.name, "variables %s: %s", vm->cfg.vars,
			 err == -EBUSY ? "another VM uses them, too" : strerror(-err));
}

void upgrade_in_settle(struct vm *vm)
{
	const struct vm_handed *h = vm->cfg.handed;
	u64 now = kvmb_mono_ns();
	int err = kvmb_keeper_take_names(NAMES_MS);

	if (err)
		kvmb_err(vm->cfg.name, "its sockets cannot get their names: %s", strerror(-err));
	close(vm->cfg.incoming); /* the other process ends */
	vm->lock_until_ms = kvmb_now_ms() + LOCK_MS;
	kvmb_timer_init(&vm->lock_vars, vm->loop, lock_variables, vm);
	lock_variables(vm);
	dprintf(STDERR_FILENO,
		"VM \"%s\" goes on in process %d: the guest stood for %lld ms; %llu bytes were "
		"handed over, and no memory was copied\n",
		vm->cfg.name, (int)getpid(), (long long)(now - h->stopped_ns) / 1000000,
		(unsigned long long)h->bytes);
}
