/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fw_cfg: named items that firmware reads, through ports 0x510 and 0x511.
 *
 * Source: QEMU docs/specs/fw_cfg.rst: registers, keys, the file directory.
 */
#ifndef KVMB_FW_CFG_H
#define KVMB_FW_CFG_H

#include "vmbus-core/env.h"

struct fw_cfg;
struct iobus;
struct kvmb_tlv;
struct kvmb_tlv_out;

#define FW_CFG_FILES 24u /* most files */
#define FW_CFG_NAME 56u	 /* bytes of a name, with its NUL */

/* keys that are not files */
#define FW_CFG_CPUS 0x05u
#define FW_CFG_BOOT_MENU 0x0eu
#define FW_CFG_MAX_CPUS 0x0fu
#define FW_CFG_KERNEL_SIZE 0x08u
#define FW_CFG_KERNEL_DATA 0x11u

/** fw_cfg_create() - Make one that says who it is, and claim its ports. Return: never NULL. */
struct fw_cfg *fw_cfg_create(struct iobus *b);

/** fw_cfg_destroy() - NULL is fine. */
void fw_cfg_destroy(struct fw_cfg *c);

/**
 * fw_cfg_put16() - Set a number
 * @c:   no vCPU runs
 * @key: below 0x19, once each
 * @v:   value
 */
void fw_cfg_put16(struct fw_cfg *c, u16 key, u16 v);

/** fw_cfg_put() - Set an item, data[len], copied. As fw_cfg_put16(). */
void fw_cfg_put(struct fw_cfg *c, u16 key, const void *data, u32 len);

/**
 * fw_cfg_put_file() - Add a file, or replace its content
 * @c:    no vCPU runs
 * @name: shorter than FW_CFG_NAME; at most FW_CFG_FILES of them
 * @data: data[len], copied
 * @len:  bytes
 *
 * Return: its key.
 */
u16 fw_cfg_put_file(struct fw_cfg *c, const char *name, const void *data, u32 len);

/** fw_cfg_reset() - Power-on state. Main thread; vCPUs stand. */
void fw_cfg_reset(struct fw_cfg *c);

/** fw_cfg_save() - All items; which is being read, and how far: a group. Main thread. */
void fw_cfg_save(struct fw_cfg *c, struct kvmb_tlv_out *o);

/**
 * fw_cfg_load() - What fw_cfg_save() wrote
 * @c:     new
 * @group: hostile
 *
 * Its items are in place of those that were put here: firmware may have read some of them.
 *
 * Return: 0; -errno with one line in @group->error: @c is as before. Context: main thread.
 */
int fw_cfg_load(struct fw_cfg *c, struct kvmb_tlv *group);

#endif
