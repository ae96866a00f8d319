/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The commands' side of the control socket.
 *
 * A client waits long for a guest, but not for a VM's process. If nothing comes for
 * client_patience() seconds, it asks on a second connection, and gives up when that is not
 * answered either.
 *
 * Trust: a guest may have taken over its VM's process, and root may be the one who asks. An answer
 * has at most CLIENT_MAX_ANSWER bytes, and is printed only through client_show().
 */
#ifndef KVMB_CLIENT_H
#define KVMB_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ucred;

#define CLIENT_MAX_ANSWER (16u << 20) /* bytes */

struct handover_fds;

/** client_patience() - Seconds that a VM's process may take to answer: 10, or $KVMBUS_PATIENCE. */
int client_patience(void);

/**
 * client_ask() - Send a command to a VM and wait for the answer
 * @vm:        name, or path of a socket
 * @name:      of the command
 * @arguments: reference is taken; NULL = none
 * @out:       on success the result, a new reference
 *
 * Return: EXIT_OK; else another EXIT_* of lib/exits.h, with one line already printed.
 */
int client_ask(const char *vm, const char *name, json_t *arguments, json_t **out);

/**
 * client_reach_keeper() - Register with a VM's keeper from now on (lib/keeper.h)
 * @fd:  of client_connect()
 * @vm:  as for client_connect()
 * @dir: dir[size], set to where the VM's sockets are, as the keeper sees it
 *
 * Return: EXIT_OK; else EXIT_FAILED, with one line already printed.
 */
int client_reach_keeper(int fd, const char *vm, char *dir, size_t size);

/**
 * client_find_keeper() - The same, and print nothing
 * @why: why[why_size], on failure one phrase
 *
 * Return: 0 or -errno.
 */
int client_find_keeper(int fd, const char *vm, char *dir, size_t size, char *why, size_t why_size);

/**
 * client_socket() - Path of the socket behind a connection
 * @fd: of client_connect()
 *
 * Return: false: it has none. It may be relative to where the VM was started.
 */
bool client_socket(int fd, char *path, size_t size);

/**
 * client_connect() - First step of client_ask(): connect
 * @vm: name, or path of a socket
 * @fd: set on success, closed by the caller
 *
 * Return: EXIT_OK; else another EXIT_*, with one line already printed.
 */
int client_connect(const char *vm, int *fd);

/**
 * client_ask_on() - Second step of client_ask(): send a command and wait for the answer
 * @fd:        of client_connect()
 * @vm:        for messages
 * @name:      of the command
 * @arguments: reference is taken; NULL = none
 * @fds:       go with it, and stay the caller's; NULL = none
 * @out:       on success the result, a new reference
 *
 * Return: EXIT_OK; else another EXIT_*, with one line already printed.
 */
int client_ask_on(int fd, const char *vm, const char *name, json_t *arguments,
		  const struct handover_fds *fds, json_t **out);

/**
 * client_ask_heard() - The same
 * @heard: set to: it was answered. Else nobody knows what became of the command
 */
int client_ask_heard(int fd, const char *vm, const char *name, json_t *arguments,
		     const struct handover_fds *fds, json_t **out, bool *heard);

/**
 * client_as_owner() - Give up rights that the VM's owner does not have
 * @fd: of client_connect()
 * @vm: for messages
 *
 * What a command opens for a VM, the VM gets. Root may ask for a change of any user's VM, but a
 * user's VM gets only what that user may open: a socket in a user's directory may be anybody's.
 *
 * Return: EXIT_OK; else EXIT_FAILED, with one line already printed.
 */
int client_as_owner(int fd, const char *vm);

/** client_peer() - Whose process is behind a connection. Return: 0, or -errno and zeroes. */
int client_peer(int fd, struct ucred *peer);

/**
 * client_try() - Send a command without arguments; print nothing
 * @path:    of a socket
 * @name:    of the command
 * @seconds: longest wait
 *
 * Return: the result, a new reference; NULL with errno: EAGAIN when the VM is busy, EACCES,
 * ECONNREFUSED, ...
 */
json_t *client_try(const char *path, const char *name, int seconds);

/**
 * client_kill() - End a VM; kill its process if it does not answer or does not end
 * @vm:  name, or path of a socket
 * @force: even when a VM that runs elsewhere needs memory that it has
 * @out: on success the result, a new reference
 *
 * The process gets client_patience() seconds to answer and six times that to end.
 *
 * Return: EXIT_OK; else another EXIT_*, with one line already printed.
 */
int client_kill(const char *vm, bool force, json_t **out);

/** client_find() - Find a VM's socket; print nothing. Return: false when there is none. */
bool client_find(const char *vm, char *path, size_t size);

/**
 * client_each() - Visit every socket in the runtime directories, for root also those of users
 * @fn:  called for each
 * @arg: of @fn
 *
 * Return: EXIT_OK; EXIT_FAILED when a directory could not be read, with one line already printed.
 */
int client_each(void (*fn)(void *arg, const char *path, const char *name), void *arg);

/**
 * client_end_process() - Kill a VM's process that does not answer
 * @fd:   connection to it, -1 = it accepts none
 * @vm:   for messages
 * @path: of its socket
 *
 * Return: EXIT_*, with one line already printed.
 */
int client_end_process(int fd, const char *vm, const char *path);

/**
 * client_vsock() - Connect to a port of a VM's guest
 * @vm:   as for client_connect()
 * @port: of AF_VSOCK
 * @hint: what to do when nobody listens there; NULL = nothing to say
 * @fd:   set on success, closed by the caller: what the guest says; hostile
 *
 * Return: EXIT_OK; else another EXIT_*, with one line already printed.
 */
int client_vsock(const char *vm, uint32_t port, const char *hint, int *fd);

struct cli_args;

/**
 * client_change() - Ask for a change of disks or NICs, and print that it was made
 * @a:       the command line
 * @command: its name on the control socket
 * @args:    reference is taken; NULL: what was typed does not fit into JSON
 * @done:    "added": printed after the disk's or NIC's name
 *
 * Return: EXIT_*, on failure with one line already printed.
 */
int client_change(struct cli_args *a, const char *command, json_t *args, const char *done);

/* ---- printing ---- */

/** client_print_done() - Print the answer of a change. */
void client_print_done(json_t *o, bool as_json, const char *done);

/**
 * client_show() - Print a result to standard output
 * @o:       the result; hostile
 * @as_json: as JSON
 * @print:   else called with a copy in which control characters are escaped; NULL = print nothing
 */
void client_show(json_t *o, bool as_json, void (*print)(json_t *o));

/** client_size() - Write @bytes for people: "16 MiB". Return: @buf. */
const char *client_size(long long bytes, char *buf, size_t size);

/** client_print_info() - Print the answer of "info"; for client_show(). */
void client_print_info(json_t *o);

/** client_print_stats() - Print the answer of "stats"; for client_show(). */
void client_print_stats(json_t *o);

/** client_print_memory() - Print the answer of "memory" or "memory-set"; for client_show(). */
void client_print_memory(json_t *o);

/** client_print_list() - Print an array of answers of "info", one line per VM. */
void client_print_list(json_t *all);

/** client_print_disks() - Print the answer of "disk-list"; for client_show(). */
void client_print_disks(json_t *all);

/** client_print_nics() - Print the answer of "nic-list"; for client_show(). */
void client_print_nics(json_t *all);

#endif
