/* SPDX-License-Identifier: GPL-2.0-only */
/* `kvmbus migrate --copy-storage`: which disks go along, for section COPY. */
#ifndef KVMB_MIG_COPIES_H
#define KVMB_MIG_COPIES_H

struct client_facts;
struct disk_copies;

/**
 * mig_copies_find() - The disks of a VM that are copied
 * @fd:    of client_connect()
 * @vm:    for messages
 * @facts: its options, by which disks are found; the VM's process says only how large they are
 * @c:     filled
 *
 * Return: EXIT_OK; else EXIT_FAILED, with one line already printed: one would have to be copied and
 * cannot be.
 */
int mig_copies_find(int fd, const char *vm, const struct client_facts *facts,
		    struct disk_copies *c);

#endif
