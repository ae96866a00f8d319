/* SPDX-License-Identifier: GPL-2.0-only */
/* What a command must know of a VM, and must not believe the VM's process: its keeper knows it. */
#ifndef KVMB_CLIENT_FACTS_H
#define KVMB_CLIENT_FACTS_H

#include <stddef.h>

struct client_facts {	       /* owned: client_forget() */
	int process;	       /* a pidfd of the VM's process, -1 = none */
	unsigned char *config; /* config[config_len]: section CONFIG, the VM's options */
	size_t config_len;
};

/**
 * client_learn() - Ask the VM's keeper
 * @fd:    of client_connect()
 * @vm:    as for client_connect()
 * @facts: filled; client_forget(), also after a failure
 *
 * Prints one line when what follows breaks connections of the guest. Until client_forget() nobody
 * changes the VM's disks or NICs.
 *
 * Return: EXIT_OK; else EXIT_FAILED or EXIT_STATE, with one line already printed.
 */
int client_learn(int fd, const char *vm, struct client_facts *facts);

/**
 * client_wait_for_end() - Wait until the VM's process has ended
 * @done: what the VM has done, for the message: "it is saved"
 *
 * To hang up is not enough: as long as its process lives, it has the descriptors that it was given.
 * One that has not ended after two minutes is killed.
 *
 * Return: EXIT_OK; EXIT_TIMEOUT when even that does not end it, with one line already printed.
 */
int client_wait_for_end(const struct client_facts *facts, const char *vm, const char *done);

/** client_forget() - Free them. */
void client_forget(struct client_facts *facts);

#endif
