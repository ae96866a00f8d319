// SPDX-License-Identifier: GPL-2.0-only
/* Sections CONFIG and VM: vm_state.h. */
#include "vmm/vm_state.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/keeper.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "vmm/disks_ide.h"
#include "vmm/state_file.h"

#define MAX_ARGS 4096u /* words of a command line */
#define MAX_ARG 65536u /* characters of one */

enum { /* of section CONFIG; never used again */
	CONFIG_DIR = 1,	 /* string: where relative names begin */
	CONFIG_ARG = 2,	 /* group, one each: the options of `kvmbus run`, in order */
};

enum { ARG_TEXT = 1 }; /* string */

enum {			      /* of section VM */
       VM_PAUSED_BY_USER = 1, /* 1: it begins paused */
       VM_STOP_REASON = 2,    /* string; may be missing */
       VM_IDE = 3,	      /* group: disks_ide.c; of a VM with drives on IDE */
};

static void put_config(const struct vm_state_config *c, struct kvmb_tlv_out *o)
{
	int i;

	kvmb_tlv_begin(o, KVMB_SEC_CONFIG, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put_str(o, CONFIG_DIR, c->dir);
	for (i = 1; i < c->num_args; i++) {
		kvmb_tlv_group(o, CONFIG_ARG);
		kvmb_tlv_put_str(o, ARG_TEXT, c->args[i]);
		kvmb_tlv_group_end(o);
	}
	kvmb_tlv_end(o);
}

/* Return: a file with @o that nobody can change, or -errno. */
static int sealed_file(const struct kvmb_tlv_out *o)
{
	int fd = memfd_create("kvmbus-config", MFD_CLOEXEC | MFD_ALLOW_SEALING), err = 0;

	if (fd < 0)
		return -errno;
	if (o->failed || o->len > STATE_FILE_CONFIG_MAX)
		err = -EFBIG;
	else if (write(fd, o->buf, o->len) != (ssize_t)o->len ||
		 fcntl(fd, F_ADD_SEALS,
		       F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		err = -errno;
	if (err)
		close(fd);
	return err ? err : fd;
}

int vm_state_seal_config(const struct vm_state_config *c)
{
	struct kvmb_tlv_out o = { 0 };
	int fd;

	put_config(c, &o);
	fd = sealed_file(&o);
	kvmb_tlv_out_fini(&o);
	return fd;
}

int vm_state_keep_config(const struct vm_state_config *c, char *why, size_t size)
{
	int fd = vm_state_seal_config(c), err;

	if (fd < 0) {
		snprintf(why, size, "its options cannot be kept: %s", strerror(-fd));
		return fd;
	}
	err = kvmb_keeper_keep(fd, why, size);
	close(fd);
	return err;
}

int vm_state_read_config(struct kvmb_tlv *t, struct vm_state_config *c)
{
	struct kvmb_tlv arg;
	size_t at = 0;
	int n = 0;

	*c = (struct vm_state_config){ .dir = kvmb_tlv_get_str(t, CONFIG_DIR, MAX_ARG) };
	while (kvmb_tlv_each(t, CONFIG_ARG, &at, &arg))
		n++;
	if (n > (int)MAX_ARGS)
		kvmb_tlv_refuse(t, CONFIG_ARG, "too many options");
	if (kvmb_tlv_done(t))
		return t->error->err;
	c->args = kvmb_xzalloc(((size_t)n + 2) * sizeof(*c->args));
	c->args[c->num_args++] = strdup("run");
	for (at = 0; kvmb_tlv_each(t, CONFIG_ARG, &at, &arg);) {
		c->args[c->num_args++] = kvmb_tlv_get_str(&arg, ARG_TEXT, MAX_ARG);
		kvmb_tlv_done(&arg);
	}
	return t->error->err;
}

void vm_state_free_config(struct vm_state_config *c)
{
	int i;

	for (i = 0; i < c->num_args; i++)
		free(c->args[i]);
	free(c->args);
	free(c->dir);
}

void vm_state_save(const struct vm *vm, bool paused, struct kvmb_tlv_out *o)
{
	kvmb_tlv_begin(o, KVMB_SEC_VM, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(o, VM_PAUSED_BY_USER, paused);
	/* a disk that failed while it came to rest has its request again, and fails again */
	if (paused && vm->stop_reason[0])
		kvmb_tlv_put_str(o, VM_STOP_REASON, vm->stop_reason);
	if (vm->ide) {
		kvmb_tlv_group(o, VM_IDE);
		disks_ide_save(vm, o);
		kvmb_tlv_group_end(o);
		kvmb_tlv_critical(o);
	}
	kvmb_tlv_end(o);
}

static void load_ide(struct vm *vm, struct kvmb_tlv *t)
{
	bool was = kvmb_tlv_has(t, VM_IDE);
	struct kvmb_tlv group;
	size_t pos = 0;

	if (was != (vm->ide != NULL))
		kvmb_tlv_refuse(t, VM_IDE, was ? "it had disks on IDE" : "it had no disks on IDE");
	else if (was && kvmb_tlv_each(t, VM_IDE, &pos, &group))
		disks_ide_load(vm, &group);
}

int vm_state_load(struct vm *vm, struct kvmb_tlv *t, bool *paused)
{
	char *reason = NULL;

	*paused = kvmb_tlv_get(t, VM_PAUSED_BY_USER, 1);
	if (kvmb_tlv_has(t, VM_STOP_REASON))
		reason = kvmb_tlv_get_str(t, VM_STOP_REASON, sizeof(vm->stop_reason) - 1);
	if (reason)
		snprintf(vm->stop_reason, sizeof(vm->stop_reason), "%s", reason);
	free(reason);
	load_ide(vm, t);
	return kvmb_tlv_done(t);
}
