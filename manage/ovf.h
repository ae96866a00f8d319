/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * OVF: the description of a VM that several vendors write, alone beside its disks, or first in a
 * tar of all of them (an OVA).
 *
 * Source: DMTF DSP0243, Open Virtualization Format Specification 1.1.1 and 2.1.1; resource types:
 * DMTF CIM_ResourceAllocationSettingData. Firmware: vmw:Config of VMware, vbox:Machine of
 * VirtualBox, which put it beside the standard.
 */
#ifndef KVMB_OVF_H
#define KVMB_OVF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct import_vm;

/**
 * ovf_take() - Take over what text[len] says
 * @vm:  filled; disks are named by the last part of their reference
 * @why: why[size], on failure one phrase
 *
 * Return: 0; -EINVAL. Trust: hostile.
 */
int ovf_take(const char *text, size_t len, struct import_vm *vm, char *why, size_t size);

/** ova_is() - Does the file begin as a tar does? */
bool ova_is(int fd);

/**
 * ova_find_ovf() - The description in an OVA, its first .ovf
 * @fd:   of the OVA; its offset is moved
 * @text: set, to free; text[len] is 0
 *
 * Return: 0; -ENOENT; -errno with @why.
 */
int ova_find_ovf(int fd, char **text, size_t *len, char *why, size_t size);

/**
 * ova_unpack() - Write one of its files, holes where there are zeroes
 * @name: as it is in there, exactly; only a regular file in no directory counts
 * @to:   empty file
 * @tell: as in struct import_wish
 *
 * Return: 0; -ENOENT; -EINTR: told to stop; -errno with @why.
 */
int ova_unpack(int fd, const char *name, int to,
	       bool (*tell)(void *arg, const char *what, uint64_t done, uint64_t total), void *arg,
	       char *why, size_t size);

#endif
