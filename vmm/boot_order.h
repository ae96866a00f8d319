/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What firmware boots from, in which order.
 *
 * The order is a list of paths as Open Firmware names devices, a line each; firmware takes what is
 * in no line after all others.
 *
 * Sources: SeaBIOS src/boot.c (bootorder, show-boot-menu) and docs/Runtime_config.md; QEMU
 * docs/system/bootindex.rst.
 */
#ifndef KVMB_BOOT_ORDER_H
#define KVMB_BOOT_ORDER_H

#include "vmm/config.h"

/**
 * boot_order_parse() - "cdrom,disk,menu"
 * @s:    overwritten
 * @out:  set on success
 * @word: set on -EINVAL to what is wrong in it
 *
 * Return: 0; -EINVAL: an unknown word, or one twice.
 */
int boot_order_parse(char *s, struct boot_order *out, const char **word);

/**
 * boot_order_list() - The list for firmware
 * @cfg: disks and NICs have their places
 *
 * All disks of a kind come in the order of their drives. Return: to be freed; never NULL.
 */
char *boot_order_list(const struct vm_config *cfg);

#endif
