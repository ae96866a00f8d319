// SPDX-License-Identifier: GPL-2.0-only
/* Trees of names and texts: tree.h. */
#include "manage/tree.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/util.h"

static struct tree_node *new_node(struct tree *t, const char *name, size_t len)
{
	struct tree_node *n;

	if (t->nodes >= TREE_NODES || len > TREE_BYTES - t->bytes)
		return NULL;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->name = strndup(name, len);
	n->text = strdup("");
	if (!n->name || !n->text) {
		free(n->name);
		free(n->text);
		free(n);
		return NULL;
	}
	t->nodes++;
	t->bytes += len;
	return n;
}

struct tree_node *tree_add(struct tree *t, struct tree_node *parent, const char *name, size_t len)
{
	struct tree_node *n = !parent && t->root ? NULL : new_node(t, name, len);

	if (!n)
		return NULL;
	n->parent = parent;
	if (!parent)
		t->root = n;
	else if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	if (parent)
		parent->last = n;
	return n;
}

struct tree_node *tree_add_attribute(struct tree *t, struct tree_node *of, const char *name,
				     size_t len)
{
	struct tree_node *n = new_node(t, name, len);

	if (!n)
		return NULL;
	n->parent = of;
	n->next = of->attributes;
	of->attributes = n;
	return n;
}

bool tree_add_text(struct tree *t, struct tree_node *n, const char *text, size_t len)
{
	size_t had = strlen(n->text);
	char *more;

	if (len > TREE_BYTES - t->bytes)
		return false;
	more = realloc(n->text, had + len + 1);
	if (!more)
		return false;
	memcpy(more + had, text, len);
	more[had + len] = 0;
	n->text = more;
	t->bytes += len;
	return true;
}

void tree_trim(struct tree_node *n)
{
	size_t len = strlen(n->text), skip = 0;

	while (len && isspace((unsigned char)n->text[len - 1]))
		n->text[--len] = 0;
	while (isspace((unsigned char)n->text[skip]))
		skip++;
	memmove(n->text, n->text + skip, len - skip + 1);
}

static void free_node(struct tree_node *n)
{
	free(n->name);
	free(n->text);
	free(n);
}

static void free_attributes(struct tree_node *n)
{
	struct tree_node *a;

	while ((a = n->attributes)) {
		n->attributes = a->next;
		free_node(a);
	}
}

/* Not by recursion: whoever builds a tree may be deeper than he thinks. */
void tree_free(struct tree *t)
{
	struct tree_node *n = t->root, *up;

	while (n) {
		if (n->first) {
			up = n->first;
			n->first = up->next;
			n = up;
			continue;
		}
		up = n->parent;
		free_attributes(n);
		free_node(n);
		n = up;
	}
	*t = (struct tree){ 0 };
}

struct tree_node *tree_child(const struct tree_node *n, const char *name)
{
	struct tree_node *c = n ? n->first : NULL;

	while (c && strcasecmp(c->name, name))
		c = c->next;
	return c;
}

struct tree_node *tree_next(const struct tree_node *n)
{
	struct tree_node *c = n->next;

	while (c && strcasecmp(c->name, n->name))
		c = c->next;
	return c;
}

const char *tree_text(const struct tree_node *n, const char *path)
{
	char name[64];
	size_t len;

	while (n && *path) {
		len = strcspn(path, "/");
		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		n = tree_child(n, name);
		path += len + (path[len] == '/');
	}
	return n ? n->text : NULL;
}

const char *tree_attribute(const struct tree_node *n, const char *name)
{
	const struct tree_node *a = n ? n->attributes : NULL;

	while (a && strcasecmp(a->name, name))
		a = a->next;
	return a ? a->text : "";
}

bool tree_true(const struct tree_node *n, const char *path)
{
	const char *text = tree_text(n, path);

	return text && (!strcasecmp(text, "true") || (isdigit((unsigned char)*text) && atoi(text)));
}

struct tree_node *tree_walk(const struct tree_node *top, const struct tree_node *n)
{
	if (!n)
		return top ? top->first : NULL;
	if (n->first)
		return n->first;
	while (n && n != top && !n->next)
		n = n->parent;
	return n && n != top ? n->next : NULL;
}
