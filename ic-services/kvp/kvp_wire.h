/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages of data exchange, written and read. Only for ic-services/kvp. */
#ifndef KVMB_KVP_WIRE_H
#define KVMB_KVP_WIRE_H

#include "ic-services/kvp/kvp_host.h"

union kvmb_kvp_message { /* of either length */
	struct kvmb_wire_kvp kvp;
	struct kvmb_wire_kvp_ip ip;
	struct kvmb_wire_kvp_ip_binary binary;
};

/** kvmb_kvp_put_set() - Build a SET for pool EXTERNAL. Return: bytes. */
u32 kvmb_kvp_put_set(union kvmb_kvp_message *m, const char *key, const char *value);

/** kvmb_kvp_put_delete() - Build a DELETE for pool EXTERNAL. Return: bytes. */
u32 kvmb_kvp_put_delete(union kvmb_kvp_message *m, const char *key);

/** kvmb_kvp_put_enumerate() - Build an ENUMERATE. Return: bytes. */
u32 kvmb_kvp_put_enumerate(union kvmb_kvp_message *m, enum kvmb_kvp_pool pool, u32 index);

/**
 * kvmb_kvp_get_item() - Read the answer to ENUMERATE
 * @msg:   its payload; hostile
 * @key:   key[KVMB_KVP_TEXT_MAX], UTF-8
 * @value: value[KVMB_KVP_TEXT_MAX], likewise; numbers in decimal
 *
 * Return: 0; -ENOENT: the item makes no sense; -EPROTO: the answer is too short.
 */
int kvmb_kvp_get_item(const struct kvmb_icmsg *msg, char *key, char *value);

/**
 * kvmb_kvp_put_ip() - Build a GET_IP or SET_IP
 * @version: of messages, as agreed
 *
 * Return: bytes; -EINVAL: an address is none, or there are too many of them; -EOPNOTSUPP.
 */
int kvmb_kvp_put_ip(union kvmb_kvp_message *m, u32 version, bool set, const struct kvmb_kvp_ip *ip);

/** kvmb_kvp_read_ip() - Read the answer to GET_IP; hostile. Return: 0; -EPROTO. */
int kvmb_kvp_read_ip(const struct kvmb_icmsg *msg, u32 version, struct kvmb_kvp_ip *ip);

#endif
