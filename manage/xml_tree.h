/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * XML as a tree (tree.h), by libxml2.
 *
 * The text comes from strangers: nothing is fetched, a document type ends it, because entities are
 * declared there and nobody who exports a VM writes one; numbers of nodes, depth and bytes are
 * limited. The library is loaded for it.
 */
#ifndef KVMB_XML_TREE_H
#define KVMB_XML_TREE_H

#include "manage/tree.h"

/**
 * xml_tree_read() - Parse text[len]
 * @text: in any encoding that it declares itself, UTF-16 with its mark as well
 * @t:    filled; tree_free(), also after a failure
 * @why:  why[size], on failure one phrase, with the line
 *
 * Return: 0; -EINVAL: it is no XML, or more than is allowed; -ENOENT: there is no libxml2.
 */
int xml_tree_read(const char *text, size_t len, struct tree *t, char *why, size_t size);

#endif
