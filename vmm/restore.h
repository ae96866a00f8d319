/* SPDX-License-Identifier: GPL-2.0-only */
/* A VM that goes on from a file, into parts that its configuration has made: docs/migration.md. */
#ifndef KVMB_RESTORE_H
#define KVMB_RESTORE_H

struct vm_loader;

/**
 * restore_loader: memory and state of the configuration's file
 *
 * The file is used up when nothing is left that could fail. After a failure, of which one line was
 * logged, it may be used again. Trust: the file is hostile.
 */
extern const struct vm_loader restore_loader;

#endif
