/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a VM moves to: unix:PATH. Each returns a stream socket, or -1 with one line printed. */
#ifndef KVMB_MIG_ADDRESS_H
#define KVMB_MIG_ADDRESS_H

/** mig_connect() - Connect to who waits there; he must be root or our own user */
int mig_connect(const char *address);

/**
 * mig_accept() - Wait for one who connects; he must be root or our own user
 *
 * The address is gone afterwards. Others are hung up on.
 */
int mig_accept(const char *address);

#endif
