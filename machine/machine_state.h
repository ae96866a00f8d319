/* SPDX-License-Identifier: GPL-2.0-only */
/* A machine into a saved VM's file and back: machine_state.c. */
#ifndef KVMB_MACHINE_STATE_H
#define KVMB_MACHINE_STATE_H

#include "lib/tlv.h"
#include "machine/machine.h"

/**
 * machine_save() - Write the sections of the machine and of each vCPU
 * @m: its vCPUs stand, and so do drives on IDE; machine_stop_clock() has stopped its clock
 * @o: sections are appended
 *
 * Guest memory is not among it.
 *
 * Return: 0, or -errno with one line logged: -EOPNOTSUPP with test devices, whose state is not
 * saved; what KVM said. The machine is as before. Context: main thread.
 */
int machine_save(struct machine *m, struct kvmb_tlv_out *o);

/**
 * machine_load() - Read one section, KVMB_SEC_MACHINE or KVMB_SEC_VCPU
 * @m:       built, with the same configuration; guest memory is loaded already
 * @section: hostile
 *
 * Return: 0; -EPROTO or -EOPNOTSUPP with one line in @section->error: @m must be closed then.
 * Context: main thread, before machine_start() and instead of machine_reset().
 */
int machine_load(struct machine *m, struct kvmb_tlv *section);

/**
 * machine_load_done() - All sections of the machine have been read: give them to KVM
 * @m: of machine_load()
 * @e: gets one line when a section is missing or KVM refuses something
 *
 * The clock stands then, as after machine_stop_clock(): machine_start_clock() is due before vCPUs
 * go. Before the bus is loaded; event flags that were raised all the same are kept.
 *
 * Return: 0 or -errno; @m must be closed then. Context: main thread.
 */
int machine_load_done(struct machine *m, struct kvmb_tlv_error *e);

/** machine_free_image() - Free what machine_load() kept; fine if there is nothing. */
void machine_free_image(struct machine *m);

#endif
