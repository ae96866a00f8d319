// SPDX-License-Identifier: GPL-2.0-only
/* A VM that goes on from a file: restore.h. */
#include "vmm/restore.h"

#include <string.h>

#include "lib/log.h"
#include "vmm/state_file.h"
#include "vmm/vm.h"
#include "vmm/vm_sections.h"

static int load_file(struct vm *vm)
{
	struct state_file *f = vm->cfg.state;
	char why[STATE_FILE_WHY];
	int err = state_file_read_memory(f, &vm->machine.gm, why);

	if (!err)
		err = vm_sections_load(vm, f->sections, f->len, why, sizeof(why));
	if (err) {
		kvmb_err(vm->cfg.name, "cannot be restored: %s", why);
		state_file_close(f);
	}
	return err;
}

static int use_up(struct vm *vm)
{
	int err = state_file_use(vm->cfg.state);

	if (err)
		kvmb_err(vm->cfg.name, "cannot be restored: it cannot be marked as used: %s",
			 strerror(-err));
	state_file_close(vm->cfg.state);
	return err;
}

/* The file can be used another time. */
static void leave_file(struct vm *vm, const char *why)
{
	kvmb_err(vm->cfg.name, "cannot be restored: %s", why);
	state_file_close(vm->cfg.state);
}

const struct vm_loader restore_loader = { load_file, use_up, leave_file };
