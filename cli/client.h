/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The commands' side of the control socket.
 *
 * A client is patient with a guest, not with a VM's process: when nothing comes for
 * client_patience() seconds it asks on a second connection, and gives up when that is not answered
 * either.
 *
 * Trust: a VM's process may have been taken over by its guest, and root may ask it. An answer is at
 * most CLIENT_MAX_ANSWER long, and what is printed of it goes through client_show().
 */
#ifndef KVMB_CLIENT_H
#define KVMB_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#define CLIENT_MAX_ANSWER (16u << 20) /* bytes */

/** client_patience() - Seconds that a VM's process has to answer: 10, or $KVMBUS_PATIENCE. */
int client_patience(void);

/**
 * client_ask() - One command to a VM, one answer
 * @vm:        name, or path of a socket
 * @arguments: reference is taken; NULL = none
 * @out:       on success the result, a new reference
 *
 * Return: EXIT_OK; else another EXIT_* of lib/exits.h, with one line already printed.
 */
int client_ask(const char *vm, const char *name, json_t *arguments, json_t **out);

/**
 * client_connect() - The same in steps: a connection. Return: EXIT_*, with one line already
 * printed.
 */
int client_connect(const char *vm, int *fd);

/**
 * client_ask_on() - Then a command. @vm names it in messages. Return: EXIT_*, with one line already
 * printed.
 */
int client_ask_on(int fd, const char *vm, const char *name, json_t *arguments, json_t **out);

/**
 * client_try() - One question, quietly
 * @path: of a socket
 * @seconds: of patience
 * Return: the result, a new reference; NULL with errno: EAGAIN when it is busy, EACCES,
 * ECONNREFUSED, ...
 */
json_t *client_try(const char *path, const char *name, int seconds);

/**
 * client_kill() - End a VM, by force if its process does not answer, or not end in six times the patience
 * Else as client_ask().
 */
int client_kill(const char *vm, json_t **out);

/** client_find() - Path of a VM's socket, quietly. Return: false: there is none. */
bool client_find(const char *vm, char *path, size_t size);

/**
 * client_each() - Every socket in the runtime directories; root's look also into those of the users
 * Return: EXIT_OK; EXIT_FAILED: one could not be read, with one line already printed.
 */
int client_each(void (*fn)(void *arg, const char *path, const char *name), void *arg);

/**
 * client_end_process() - SIGKILL for a VM's process that does not answer
 * @fd: connection to it, -1 = it takes none
 * @path: of its socket
 * Return: EXIT_*, with one line already printed.
 */
int client_end_process(int fd, const char *vm, const char *path);

struct cli_args;

/**
 * client_change() - Ask for a change of disks or NICs, and say that it was made
 * @args: reference is taken; NULL: JSON cannot carry what was typed
 * @done: "added": behind the disk's or NIC's name
 * Return: EXIT_*, on failure with one line already printed.
 */
int client_change(struct cli_args *a, const char *command, json_t *args, const char *done);

/* ---- printing ---- */

/** client_print_done() - The answer of a change. */
void client_print_done(json_t *o, bool as_json, const char *done);

/**
 * client_show() - A result to standard output: as JSON, or by @print with its control characters
 * escaped.
 */
void client_show(json_t *o, bool as_json, void (*print)(json_t *o));

/** client_size() - "16 MiB": bytes for people. Return: @buf. */
const char *client_size(long long bytes, char *buf, size_t size);

/** client_print_info(), client_print_stats() - A client_show() of the command's answer. */
void client_print_info(json_t *o);
void client_print_stats(json_t *o);

/** client_print_list(), client_print_disks(), client_print_nics() - The same of arrays. */
void client_print_list(json_t *all);
void client_print_disks(json_t *all);
void client_print_nics(json_t *all);

#endif
