/* SPDX-License-Identifier: GPL-2.0-only */
/* Becoming a VM whose options come from a file or a stream: section CONFIG (docs/migration.md). */
#ifndef KVMB_CLI_CONFIG_H
#define KVMB_CLI_CONFIG_H

#include <stddef.h>

struct disk_copies;
struct state_file;
struct vm_handed;
struct vm_state_config;

/**
 * cli_config_parse() - Options of a VM from a section CONFIG
 * @config: section[len], and what follows is ignored
 * @c:      filled; vm_state_free_config(), also after a failure
 * @why:    why[size], on failure one phrase
 *
 * Return: 0 or -errno. Trust: hostile.
 */
int cli_config_parse(const void *config, size_t len, struct vm_state_config *c, char *why,
		     size_t size);

/** cli_config_read() - The same from the file that a VM's keeper has. */
int cli_config_read(int fd, struct vm_state_config *c, char *why, size_t size);

/**
 * cli_run_config() - Make this process a VM; returns when it has ended
 * @from:     for messages: where the section comes from
 * @config:   section[len], and what follows is ignored. Its options are carried out as if the user
 *            had typed them, so the caller knows that it comes from one who may say so
 * @state:    the VM goes on from there, NULL = not from a file
 * @incoming: or from this stream, 0 = none
 * @copies:   whose disks come by it, too, NULL = none
 * @handed:   which hands this over, NULL = it does not
 *
 * Return: EXIT_*, with one line printed if that is not EXIT_OK.
 */
int cli_run_config(const char *from, const void *config, size_t len, struct state_file *state,
		   int incoming, const struct disk_copies *copies, struct vm_handed *handed);

#endif
