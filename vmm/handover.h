/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a command of the control socket carries what its names stand for.
 *
 * The client opens the names and sends the descriptors with the command's line (lib/fdpass.h). An
 * array "descriptors" in the arguments says what each of them is, in the order in which they come;
 * facts that only names lead to stand beside it. docs/json.md describes all of it.
 *
 * Trust: the client may be any program of who may connect, so everything is checked here and once
 * more where it is used.
 */
#ifndef KVMB_HANDOVER_H
#define KVMB_HANDOVER_H

#include <jansson.h>

#include "backend/block/disk.h"
#include "backend/net/backend.h"
#include "lib/fdpass.h"

struct handover_fds { /* of one command, owned */
	int fd[KVMB_FDPASS_MAX]; /* fd[num]; -1 = was taken */
	u32 num;
};

/** handover_close() - Close those that nobody took; then there is none. */
void handover_close(struct handover_fds *fds);

/**
 * handover_put_disk() - Client: add a disk's files to a command
 * @args:  the command's arguments
 * @files: descriptors move to @fds
 * @fds:   has room
 */
void handover_put_disk(json_t *args, struct kvmb_disk_files *files, struct handover_fds *fds);

/** handover_put_nic() - Client: add a NIC's files to a command; as handover_put_disk(). */
void handover_put_nic(json_t *args, struct kvmb_net_files *files, struct handover_fds *fds);

/**
 * handover_take_disk() - VM: take a disk's files from a command
 * @args:  the command's arguments
 * @fds:   that came with it; those of the disk are taken
 * @files: filled, on failure with none
 * @why:   why[size], on failure one phrase for the user
 * @size:  bytes
 *
 * Return: 0; -EINVAL: the list and what came differ, or name something that no disk has.
 */
int handover_take_disk(json_t *args, struct handover_fds *fds, struct kvmb_disk_files *files,
		       char *why, size_t size);

/** handover_take_nic() - VM: take a NIC's files from a command; as handover_take_disk(). */
int handover_take_nic(json_t *args, struct handover_fds *fds, struct kvmb_net_files *files,
		      char *why, size_t size);

#endif
