/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Save and load a storage controller.
 *
 * DOC: Theory of operation
 *
 * The section of a controller has what was agreed with the guest, and its units: attentions,
 * settings, reservations, and the identity of the disk, so that the guest sees the same disk on
 * another host. The units themselves are configuration: a process that loads has the same ones, and
 * a disk that is smaller, of another block size or not writable any more is refused.
 *
 * What waits in a channel goes with the channel (vsp.h): the answers that had no room, and the
 * requests that wait for a limit or for a retry, each as the guest sent it with the frames of its
 * buffer. These are executed anew when the channel goes on; a write that was half done is repeated
 * whole. Requests that a disk has do not exist, because a channel stands only when there are none,
 * and no reset is under way.
 */
#ifndef KVMB_STORAGE_STATE_H
#define KVMB_STORAGE_STATE_H

#include "host-vsp/storage/storage.h"

struct kvmb_tlv;
struct kvmb_tlv_out;

/**
 * kvmb_storage_save() - Write the section KVMB_SEC_STORAGE of a controller
 *
 * Context: bus thread; the bus stands.
 */
void kvmb_storage_save(struct kvmb_storage *s, struct kvmb_tlv_out *o);

/**
 * kvmb_storage_load() - Take over a saved controller
 * @s: offered, with its units; none of its channels is open
 * @t: the section
 *
 * Return: 0; -errno, and @t->error says why. Context: bus thread, before kvmb_bus_load(). Trust:
 * everything in @t is hostile.
 */
int kvmb_storage_load(struct kvmb_storage *s, struct kvmb_tlv *t);

#endif
