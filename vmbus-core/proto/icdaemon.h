/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a guest's kernel and its daemons of data exchange and file copy say to each other. Numbers
 * are the guest's own; strings are UTF-8 and end with a 0.
 *
 * Source: Linux 6.12 include/uapi/linux/hyperv.h (hv_kvp_msg), 6.1 (hv_start_fcopy, hv_do_fcopy).
 */
#ifndef KVMB_PROTO_ICDAEMON_H
#define KVMB_PROTO_ICDAEMON_H

#include "vmbus-core/proto/fcopy.h"
#include "vmbus-core/proto/kvp.h"

#define KVMB_KVPD_REGISTER 4u	  /* an old daemon: an empty key is its way to say no */
#define KVMB_KVPD_REGISTER1 100u  /* a daemon that says its status */
#define KVMB_FCOPYD_VERSION_0 0u  /* expects no answer when it registers */
#define KVMB_FCOPYD_VERSION_1 1u  /* expects our version */
#define KVMB_FCOPYD_NAME_MAX 259u /* bytes: Linux' first daemon has room for no more */

struct kvmb_kvpd_value {
	u32 type;
	u32 key_size, value_size; /* bytes, with the end */
	char key[KVMB_KVP_KEY_MAX];
	char value[KVMB_KVP_VALUE_MAX];
} __attribute__((packed));

struct kvmb_kvpd { /* each message, either way */
	union {
		struct {
			u8 operation; /* KVMB_KVP_*, KVMB_KVPD_REGISTER* */
			u8 pool;
			u16 pad;
		} __attribute__((packed));
		u32 status; /* of an answer */
	} __attribute__((packed));
	union {
		struct kvmb_kvpd_value item;
		struct {
			u32 key_size;
			char key[KVMB_KVP_KEY_MAX];
		} __attribute__((packed)) remove;
		struct {
			u32 index;
			struct kvmb_kvpd_value item;
		} __attribute__((packed)) each;
		struct {
			char adapter[256];
			u8 family, dhcp;
			char addresses[2048], subnets[2048], gateways[1024], dns[2048];
			u8 pad[2]; /* Linux aligns this union to 4 bytes */
		} __attribute__((packed)) ip;
		char version[KVMB_KVP_KEY_MAX];
	} __attribute__((packed));
} __attribute__((packed));
static_assert(sizeof(struct kvmb_kvpd) == 7432, "hv_kvp_msg");

union kvmb_fcopyd {
	u32 operation;
	struct {
		u32 operation;
		u8 service[2][16];
		char file[2 * KVMB_FCOPY_NAME_UNITS];
		char path[2 * KVMB_FCOPY_NAME_UNITS];
		u32 flags;
		u64 size;
	} __attribute__((packed)) start;
	struct {
		u32 operation;
		u8 service[2][16];
		u32 pad;
		u64 offset;
		u32 size;
		u8 data[KVMB_FCOPY_DATA];
	} __attribute__((packed)) write;
} __attribute__((packed));
static_assert(sizeof(union kvmb_fcopyd) == 6196, "hv_do_fcopy");

#endif
