/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a VM's process hands over to the one in which the VM goes on: descriptors of memory, disks
 * and taps, each kind with a section that says what they are (vmm/upgrade_out.h).
 *
 * A byte that carries the descriptors comes in front of each section, so that they are received
 * where they are expected and nowhere else.
 */
#ifndef KVMB_HANDED_H
#define KVMB_HANDED_H

#include "backend/net/backend.h"
#include "vmm/config.h"
#include "vmm/mig_stream.h"

enum {			 /* of section HANDED; never used again */
       HANDED_KIND = 1,	 /* enum handed_kind */
       HANDED_INDEX = 2, /* of DISK: controller * KVMB_STORAGE_MAX_LUNS + LUN, behind all
			  * controllers those on IDE; of NIC: its index */
       HANDED_NUM = 3,	 /* descriptors that came with it */
       HANDED_NS = 4,	 /* of STOPPED: CLOCK_MONOTONIC */
};

enum handed_kind {
	HANDED_MEMORY,
	HANDED_DISK,
	HANDED_NIC,
	HANDED_ALL,	/* no more come */
	HANDED_STOPPED, /* among the VM's other sections: when its guest began to stand */
	HANDED_KINDS
};

#define HANDED_IDE_DISKS 4u
#define HANDED_DISKS (KVMB_MAX_DISKS + HANDED_IDE_DISKS)

struct vm_handed {
	int memory; /* 0 = none; likewise of the others */
	int disks[HANDED_DISKS];
	struct kvmb_net_files nics[KVMB_MAX_NICS]; /* fd[num] of each is all that counts */
	/* the rest is of who gets them */
	const char *socket; /* control socket of the VM, where its options name none */
	int process;	    /* pidfd of who hands over; -1 = none */
	u64 bytes;	    /* that came so far */
	u64 stopped_ns;	    /* CLOCK_MONOTONIC, hostile: for a message */
};

/**
 * handed_send() - Send all of it
 * @h: borrowed
 *
 * Return: 0 or as mig_send(). Context: a thread that may wait.
 */
int handed_send(struct mig_stream *s, const struct vm_handed *h);

/**
 * handed_receive() - Receive all of it
 * @h:   zeroed; filled, and owned by the caller, also after a failure
 * @why: why[MIG_WHY], on failure one phrase
 *
 * Return: 0 or -errno. Context: a thread that may wait. Trust: the sender is hostile; what the
 * descriptors are is not looked at yet.
 */
int handed_receive(struct mig_stream *s, struct vm_handed *h, char *why);

/** handed_put_stopped() - A section STOPPED with the time. */
void handed_put_stopped(struct kvmb_tlv_out *o, u64 ns);

/** handed_take_stopped() - Read it. Return: as kvmb_tlv_done(). */
int handed_take_stopped(struct vm_handed *h, struct kvmb_tlv *t);

/** handed_has() - Is @fd one of them? */
bool handed_has(const struct vm_handed *h, int fd);

/** handed_close() - Close what nobody took; then there is none. */
void handed_close(struct vm_handed *h);

#endif
