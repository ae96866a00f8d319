/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests of a host for the guest's daemons, and their answers for the host. Both are checked:
 * a daemon counts on its kernel, and the host on its guest.
 */
#ifndef KVMB_ICDAEMON_H
#define KVMB_ICDAEMON_H

#include "vmbus-core/proto/icdaemon.h"

/**
 * kvmb_kvpd_request() - A request of the host for the daemon of data exchange
 * @p:    request[size], private copy
 * @size: bytes
 * @out:  result
 *
 * Return: 0; -EPROTO: it is shorter than its header; -EINVAL: it asks for what is not there, or is
 * too short for that. Trust: @p is hostile.
 */
int kvmb_kvpd_request(const u8 *p, u32 size, struct kvmb_kvpd *out);

/**
 * kvmb_kvpd_reply() - The daemon's answer, for the host
 * @in:     what it wrote, all of it
 * @legacy: it has registered as KVMB_KVPD_REGISTER
 * @p:      request[size], which kvmb_kvpd_request() has taken; becomes the answer
 * @size:   bytes
 *
 * Return: status for the host. Trust: @in may be anything.
 */
u32 kvmb_kvpd_reply(const struct kvmb_kvpd *in, bool legacy, u8 *p, u32 size);

/**
 * kvmb_fcopyd_request() - A request of the host for the daemon of file copy
 * @p:    request[size], private copy
 * @size: bytes
 * @out:  result
 *
 * Return: bytes of @out; -EPROTO: it is shorter than its header; -EINVAL: as kvmb_kvpd_request().
 */
int kvmb_fcopyd_request(const u8 *p, u32 size, union kvmb_fcopyd *out);

#endif
