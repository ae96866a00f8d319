// SPDX-License-Identifier: GPL-2.0-only
/* A VM that goes on from a file: restore.h. */
#include "vmm/restore.h"

#include <string.h>

#include "lib/log.h"
#include "machine/mem_lazy.h"
#include "machine/mem_source.h"
#include "vmm/state_file.h"
#include "vmm/vm.h"
#include "vmm/vm_sections.h"

/* Return: 0 or -errno with @why. */
static int load_memory(struct vm *vm, char *why)
{
	struct state_file *f = vm->cfg.state;
	struct mem_source *s = NULL;
	int err = state_file_check_memory(f, &vm->machine.gm, why);

	if (!err)
		err = state_file_memory(f, &s, why);
	if (err || !mem_lazy_begin(&vm->machine, s))
		return err;
	mem_source_close(s);
	return state_file_read_memory(f, &vm->machine.gm, why);
}

static int load_file(struct vm *vm)
{
	struct state_file *f = vm->cfg.state;
	char why[STATE_FILE_WHY];
	int err = load_memory(vm, why);

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
	const char *what = "its memory cannot be read";
	int err = mem_lazy_run(&vm->machine);

	if (!err) {
		what = "it cannot be marked as used";
		err = state_file_use(vm->cfg.state);
	}
	if (err)
		kvmb_err(vm->cfg.name, "cannot be restored: %s: %s", what, strerror(-err));
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
