/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk of a machine becomes a VM: of this host, or of another one by ssh.
 *
 * DOC: Theory of operation
 *
 * On another host a shell starts nbdkit, or qemu-nbd with something that connects to its socket,
 * and that serves the disk read-only on the standard input and output of ssh: no port, no
 * password but ssh's, nothing to install there but one of them. Before the first byte of NBD it
 * says which disk that is. The copy (copier.h) has a journal beside it, and the same command goes
 * on with it.
 *
 * Limits: a disk that is written to meanwhile is copied as it changes. Start the machine from
 * another system, or stop what writes, and use --verify.
 */
#ifndef KVMB_P2V_H
#define KVMB_P2V_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct copier_source;
struct import_vm;
struct import_wish;

/**
 * p2v_make() - Copy a disk, and write the file of a VM that has it
 * @device: path of a device or file, or ssh://[USER@]HOST[:PORT]/PATH
 * @w:      source, mode and formats do not count
 * @vm:     filled; import_free(), also after a failure
 * @why:    why[size], on failure one line
 *
 * Return: 0; -EINTR: told to stop; -errno. What is copied stays, for the next time.
 */
int p2v_make(const char *device, const struct import_wish *w, struct import_vm *vm, char *why,
	     size_t size);

struct p2v_ssh {	  /* where a disk is */
	char target[300]; /* [USER@]HOST */
	char port[8];	  /* "" = the usual */
	char path[1024];  /* absolute */
};

/** p2v_parse() - Parse ssh://... Return: false with @why: it is none. */
bool p2v_parse(const char *url, struct p2v_ssh *s, char *why, size_t size);

/**
 * p2v_connect() - Have the disk served
 * @pid: set to ssh's process, which the caller waits for when the source is closed
 *
 * $KVMBUS_SSH is used instead of ssh, for tests. Return: as copy_nbd_open().
 */
struct copier_source *p2v_connect(const struct p2v_ssh *s, int *pid, char *why, size_t size);

#endif
