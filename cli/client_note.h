/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Commands that change a VM's disks or NICs, and the options that its keeper has (vmm/note.h).
 *
 * The change is announced to the keeper, made by the VM, then noted. When two commands change the
 * same disk at once, nobody knows which of them the VM obeyed last: the later one leaves a doubt,
 * and the VM cannot be saved any more. A VM whose keeper cannot be reached is changed nevertheless;
 * it is told that nobody notes it, and cannot be saved any more either.
 */
#ifndef KVMB_CLIENT_NOTE_H
#define KVMB_CLIENT_NOTE_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

#include "vmm/note.h"

struct handover_fds;

struct client_note {
	int fd; /* of client_connect(), owned */
	const char *vm;
	int first;	 /* the options when the change was announced; -1 */
	bool has_keeper; /* else why not */
	char why[200];
	char dir[PATH_MAX]; /* where the VM's sockets are, as the keeper sees it */
};

/**
 * client_note_begin() - Connect to a VM as its owner, and to its keeper
 * @vm: name, or path of a socket; borrowed
 * @n:  filled; client_note_end(), also after a failure
 *
 * Return: EXIT_OK; else another EXIT_*, with one line already printed.
 */
int client_note_begin(const char *vm, struct client_note *n);

/**
 * client_note_keeper() - Is there a keeper to register with?
 *
 * Return: EXIT_OK; EXIT_FAILED, with one line already printed.
 */
int client_note_keeper(const struct client_note *n);

/*
 * Changes what is noted by what was typed, @arg. Of the VM's answer only numbers are used, and
 * checked: its process may have been taken over. Return: 0 or -errno: the answer cannot be.
 */
typedef int client_note_edit(struct vm_state_config *c, json_t *answer, void *arg);

/**
 * client_note_change() - Announce a change to the keeper, have the VM make it, and note it
 * @n:       begun
 * @command: of the control socket
 * @args:    reference is taken
 * @fds:     go with it, and stay the caller's; NULL = none
 * @edit:    called again when somebody else has noted a change meanwhile
 * @arg:     of @edit
 * @out:     on success the answer, a new reference
 *
 * Return: EXIT_OK; else another EXIT_*, with one line already printed. A change that was made but
 * could not be noted is EXIT_OK, with a line that says so.
 */
int client_note_change(struct client_note *n, const char *command, json_t *args,
		       const struct handover_fds *fds, client_note_edit *edit, void *arg,
		       json_t **out);

/** client_note_end() - Hang up. */
void client_note_end(struct client_note *n);

struct cli_args;

/**
 * client_note_simple() - All of it, for a change that brings no descriptors; as client_change()
 * @edit: of client_note_change(), with @arg
 */
int client_note_simple(struct cli_args *a, const char *command, json_t *args, const char *done,
		       client_note_edit *edit, void *arg);

#endif
