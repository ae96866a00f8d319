/* SPDX-License-Identifier: GPL-2.0-only */
/* Becoming a VM whose options come from a file or a stream: section CONFIG (docs/migration.md). */
#ifndef KVMB_CLI_CONFIG_H
#define KVMB_CLI_CONFIG_H

#include <stddef.h>

struct state_file;

/**
 * cli_run_config() - Make this process a VM; returns when it has ended
 * @from:     for messages: where the section comes from
 * @config:   section[len], and what follows is ignored. Its options are carried out as if the user
 *            had typed them, so the caller knows that it comes from one who may say so
 * @state:    the VM goes on from there, NULL = not from a file
 * @incoming: or from this stream, 0 = none
 *
 * Return: EXIT_*, with one line printed if that is not EXIT_OK.
 */
int cli_run_config(const char *from, const void *config, size_t len, struct state_file *state,
		   int incoming);

#endif
