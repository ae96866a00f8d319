/* SPDX-License-Identifier: GPL-2.0-only */
/* What the VM's process itself saves: how it was started, and where its life stands. */
#ifndef KVMB_VM_STATE_H
#define KVMB_VM_STATE_H

#include "vmm/vm.h"

struct kvmb_tlv;
struct kvmb_tlv_out;

/** A section CONFIG; all owned. */
struct vm_state_config {
	char *dir;   /* where relative names begin */
	char **args; /* args[num_args + 1]: "run", then options; NULL behind the last */
	int num_args;
};

/**
 * vm_state_seal_config() - Section CONFIG, the options that make such a VM again, in a file
 *
 * Return: a file that nobody can change, or -errno; -EFBIG: it is longer than its place in a saved
 * state.
 */
int vm_state_seal_config(const struct vm_state_config *c);

/**
 * vm_state_keep_config() - Leave such a file with the keeper
 * @why: why[size], on failure one phrase
 *
 * A restore carries these options out, with the rights of its caller. So they must not come from
 * the VM's process, which its guest may have taken over: whoever saves the VM asks the keeper.
 *
 * Return: 0 or -errno. Context: launcher, before kvmb_keeper_seal().
 */
int vm_state_keep_config(const struct vm_state_config *c, char *why, size_t size);

/**
 * vm_state_save() - Section VM
 * @paused: the administrator had paused it
 */
void vm_state_save(const struct vm *vm, bool paused, struct kvmb_tlv_out *o);

/**
 * vm_state_load() - Section VM
 * @paused: set when it is to begin paused
 *
 * Return: 0, or -EPROTO: @t->error has one line. Trust: hostile.
 */
int vm_state_load(struct vm *vm, struct kvmb_tlv *t, bool *paused);

/**
 * vm_state_read_config() - Section CONFIG
 * @c: filled; vm_state_free_config(), also after a failure
 *
 * Return: 0, or -EPROTO: @t->error has one line. Trust: hostile.
 */
int vm_state_read_config(struct kvmb_tlv *t, struct vm_state_config *c);

/** vm_state_free_config() - Free it. */
void vm_state_free_config(struct vm_state_config *c);

#endif
