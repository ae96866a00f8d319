/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM's settings as Hyper-V keeps them: one tree, in XML up to 2012 R2 and in a .vmcx since 2016;
 * and as an export of 2008 R2 has them, instances of WMI classes (.exp).
 *
 * DOC: Theory of operation
 *
 * The tree has a node for each device, named by its instance ("_GUID_"), and a manifest that says
 * of each instance what device it is. What is not in a table of ours gets a line by its name in the
 * manifest. Disks are in "controllerN/driveM" of an IDE or SCSI controller; SCSI controllers count
 * in the order of the manifest.
 *
 * Nobody but Microsoft has a specification of it. Sources: what scripts read that recreate VMs of
 * such files (hashicorp/vagrant plugins/providers/hyperv/scripts/utils/VagrantVM/VagrantVM.psm1;
 * imagefactory's oz hyperv descriptor with the whole tree of a VM of 2012 R2, redhat-imaging/
 * imagefactory imagefactory_plugins/ovfcommon/ovfcommon.py); Altaro, "Hyper-V's relationship with
 * virtual machine XML files"; fox-it/dissect.target, loaders/hyperv. Devices in manifests of VMs of
 * both generations: ExHyperV, VmcxSchema.cs. Of WMI: Microsoft,
 * "Hyper-V WMI provider (V1)", classes Msvm_*SettingData; DMTF DSP0201, "CIM-XML".
 */
#ifndef KVMB_HYPERV_CONFIG_H
#define KVMB_HYPERV_CONFIG_H

#include <stddef.h>

struct import_vm;
struct tree;

/**
 * hyperv_config_take() - Take over what a tree says
 * @t:   of <configuration>, or of instances of WMI classes
 * @vm:  filled
 * @why: why[size], on failure one phrase
 *
 * Return: 0; -EINVAL: it is neither. Trust: hostile.
 */
int hyperv_config_take(const struct tree *t, struct import_vm *vm, char *why, size_t size);

/** hyperv_wmi_take() - The part of it that reads WMI's instances. */
int hyperv_wmi_take(const struct tree *t, struct import_vm *vm, char *why, size_t size);

/** hyperv_boot_add() - Append a kind of device to --boot's list: "cdrom", once. */
void hyperv_boot_add(struct import_vm *vm, const char *device);

/** hyperv_lack_actions() - Lines about what happens when the host starts and stops. */
void hyperv_lack_actions(struct import_vm *vm, const char *start, const char *stop);

#endif
