/* SPDX-License-Identifier: GPL-2.0-only */
/* A vCPU into a saved VM's file and back. Theory of operation: vcpu_save.c. */
#ifndef KVMB_VCPU_SAVE_H
#define KVMB_VCPU_SAVE_H

#include "lib/tlv.h"
#include "machine/vcpu.h"

struct vcpu_image;

/**
 * vcpu_save() - Write a section with all that the guest can see of this vCPU
 * @v:      stands, its exit is complete, and the clock is stopped
 * @o:      the section is appended
 * @failed: on failure the name of what KVM did not tell
 *
 * Return: 0 or -errno; the section is then half written. Context: main thread.
 */
int vcpu_save(struct vcpu *v, struct kvmb_tlv_out *o, const char **failed);

/**
 * vcpu_load() - Read such a section, and keep what it says until vcpu_apply()
 * @v: new
 * @t: hostile
 *
 * Return: 0; -EPROTO or -EOPNOTSUPP with one line in @t->error. Context: main thread.
 */
int vcpu_load(struct vcpu *v, struct kvmb_tlv *t);

/**
 * vcpu_apply() - Give KVM what vcpu_load() has read; the guest's memory and clock are there
 * @v: new; vcpu_load() has succeeded
 * @e: gets one line when KVM refuses something
 *
 * Its TSC goes on when the machine's clock does, at @v->machine->paused_at_tsc.
 *
 * Return: 0 or -errno. Context: main thread; no vCPU runs.
 */
int vcpu_apply(struct vcpu *v, struct kvmb_tlv_error *e);

/** vcpu_use_synic() - hyperv_vcpu_loaded(), when interrupt controllers are there. Main thread. */
void vcpu_use_synic(struct vcpu *v);

/** vcpu_free_image() - Free what vcpu_load() kept; fine if there is nothing. */
void vcpu_free_image(struct vcpu *v);

#endif
