/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A description as a tree of named nodes with text, whichever format it came in: XML (xml_tree.h)
 * or a .vmcx (vmcx_tree.h), which hold the same tree.
 */
#ifndef KVMB_TREE_H
#define KVMB_TREE_H

#include <stdbool.h>
#include <stddef.h>

#define TREE_NODES 20000u /* of one description, attributes as well */
#define TREE_DEPTH 64u
#define TREE_BYTES (4u << 20) /* of all names and texts */

struct tree_node {
	char *name, *text; /* without its namespace; @text is trimmed, never NULL */
	struct tree_node *attributes, *first, *last, *next, *parent;
};

struct tree {
	struct tree_node *root; /* NULL = empty */
	unsigned int nodes;
	size_t bytes;
};

/**
 * tree_add() - A new node, the last of @parent
 * @parent: NULL = the root
 * @name:   name[len]
 *
 * Return: NULL: there are too many, or there is no memory.
 */
struct tree_node *tree_add(struct tree *t, struct tree_node *parent, const char *name, size_t len);

/** tree_add_attribute() - The same, as an attribute. */
struct tree_node *tree_add_attribute(struct tree *t, struct tree_node *of, const char *name,
				     size_t len);

/** tree_add_text() - Append to a node's text. Return: false: it is too much. */
bool tree_add_text(struct tree *t, struct tree_node *n, const char *text, size_t len);

/** tree_trim() - Take white space off both ends of a node's text. */
void tree_trim(struct tree_node *n);

/** tree_free() - Free all nodes. */
void tree_free(struct tree *t);

/** tree_child() - The first child of that name, in any case. Return: NULL; @n may be NULL. */
struct tree_node *tree_child(const struct tree_node *n, const char *name);

/** tree_next() - The next sibling of the same name. */
struct tree_node *tree_next(const struct tree_node *n);

/** tree_text() - Text at a path of names, separated by slashes. Return: NULL: no such node. */
const char *tree_text(const struct tree_node *n, const char *path);

/** tree_attribute() - An attribute's text. Return: "" if there is none. */
const char *tree_attribute(const struct tree_node *n, const char *name);

/** tree_true() - Is the text at a path "true", in any case, or a number that is not 0? */
bool tree_true(const struct tree_node *n, const char *path);

/** tree_walk() - The node after @n in the order of the text, below @top. NULL = @top's first. */
struct tree_node *tree_walk(const struct tree_node *top, const struct tree_node *n);

#endif
