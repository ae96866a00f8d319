/* SPDX-License-Identifier: GPL-2.0-only */
/* The subcommands' side of the control socket. */
#ifndef KVMB_CLIENT_H
#define KVMB_CLIENT_H

#include <jansson.h>

/**
 * client_ask() - One command to a VM, one answer
 * @vm:        name, or path of a socket
 * @arguments: reference is taken; NULL = none
 * @out:       on success the result, a new reference
 *
 * Return: EXIT_OK; else another EXIT_* of cmd.h, with one line already printed.
 */
int client_ask(const char *vm, const char *name, json_t *arguments, json_t **out);

void client_print_json(json_t *o);

/** client_print_disk() - One line about an element of info's "disks". */
void client_print_disk(const char *prefix, json_t *disk);

/** client_print_nic() - One line about an element of info's "nics". */
void client_print_nic(const char *prefix, json_t *nic);

#endif
