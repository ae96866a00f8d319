/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long the modules under test wait for the host, seconds: 1 while the script mutes a message,
 * else as it says.
 */
unsigned int host_patience_s(void);
