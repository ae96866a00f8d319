/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of the services that are switched on and off, and the option --ic. */
#ifndef KVMB_OPT_IC_H
#define KVMB_OPT_IC_H

#include "vmm/config.h"

/** service_name() - "heartbeat", "timesync", ... */
const char *service_name(enum vm_service which);

/** service_find() - The service called name[len]. Return: 0 = none. */
enum vm_service service_find(const char *name, size_t len);

/**
 * opt_ic() - Parse "NAME=on|off[,max=MAJOR.MINOR]"
 * @s:     not changed
 * @which: set to the service
 * @wish:  filled
 * @why:   why[size], on failure a phrase that says what would be right
 * @size:  bytes
 *
 * Whether the service has a version that is as old as its max its host half knows.
 *
 * Return: 0 or -EINVAL. Trust: @s may come by the control socket.
 */
int opt_ic(const char *s, enum vm_service *which, struct service_config *wish, char *why,
	   size_t size);

#endif
