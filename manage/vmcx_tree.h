/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A .vmcx as a tree (tree.h): the settings of a VM since Hyper-V of 2016.
 *
 * Microsoft has published no description. The container as others found it out: two headers, of
 * which the one with the higher sequence number counts; a table of objects at 0x2000; key tables
 * with entries that name their parent by table and offset; large values in objects of their own.
 * Only version 0x400 is known. A file whose log has entries was not closed, and is refused.
 *
 * Sources: docs.dissect.tools, dissect.hypervisor.descriptor.hyperv; its structures are in fox-it/
 * dissect.hypervisor, c_hyperv.py. unverified: no file of a real host was at hand for a test.
 */
#ifndef KVMB_VMCX_TREE_H
#define KVMB_VMCX_TREE_H

#include <stddef.h>

#include "manage/tree.h"

/**
 * vmcx_tree_read() - Read data[len]
 * @t:   filled with what is below "configuration"; tree_free(), also after a failure
 * @why: why[size], on failure one phrase
 *
 * Return: 0; -EINVAL. Checksums are not checked: nobody has said how they are made. Trust: hostile.
 */
int vmcx_tree_read(const unsigned char *data, size_t len, struct tree *t, char *why, size_t size);

#endif
