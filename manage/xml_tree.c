// SPDX-License-Identifier: GPL-2.0-only
/* XML as a tree: xml_tree.h. Source: libxml2, "SAX2", xmlSAXHandler. */
#include "manage/xml_tree.h"

#include <dlfcn.h>
#include <errno.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <string.h>

#include "lib/library.h"
#include "lib/util.h"

#ifndef LIBXML2 /* a test has a host without it */
#define LIBXML2 "libxml2.so.2"
#endif

#define PIECE 4096u
#define OPTIONS (XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_COMPACT)

struct xml_calls {
	typeof(xmlCreatePushParserCtxt) *create;
	typeof(xmlCtxtUseOptions) *use_options;
	typeof(xmlParseChunk) *parse;
	typeof(xmlStopParser) *stop;
	typeof(xmlFreeParserCtxt) *free_parser;
	typeof(xmlFreeDoc) *free_doc;
	typeof(xmlCtxtGetLastError) *last_error;
};

#define CALL(name, field)                               \
	{                                               \
		name, offsetof(struct xml_calls, field) \
	}
static const struct kvmb_library_call calls_of_xml[] = {
	CALL("xmlCreatePushParserCtxt", create),
	CALL("xmlCtxtUseOptions", use_options),
	CALL("xmlParseChunk", parse),
	CALL("xmlStopParser", stop),
	CALL("xmlFreeParserCtxt", free_parser),
	CALL("xmlFreeDoc", free_doc),
	CALL("xmlCtxtGetLastError", last_error),
};

static const struct kvmb_library libxml2 = { "libxml2", "libxml2", calls_of_xml,
					     ARRAY_SIZE(calls_of_xml) };

struct xml_reader {
	const struct xml_calls *xml;
	xmlParserCtxtPtr parser;
	struct tree *t;
	struct tree_node *at; /* the element that is open */
	unsigned int depth;
	bool ended;
	const char *refused; /* NULL = nothing yet */
};

static void refuse_xml(struct xml_reader *r, const char *what)
{
	if (!r->refused)
		r->refused = what;
	if (r->parser)
		r->xml->stop(r->parser);
}

static void on_doctype(void *arg, const xmlChar *name, const xmlChar *id, const xmlChar *system)
{
	(void)name;
	(void)id;
	(void)system;
	refuse_xml(arg, "it has a document type, which no export has");
}

static void add_attributes(struct xml_reader *r, struct tree_node *n, int num, const xmlChar **list)
{
	struct tree_node *a;
	const char *value;
	int i;

	for (i = 0; i < num; i++, list += 5) { /* name, prefix, URI, value, its end */
		value = (const char *)list[3];
		a = tree_add_attribute(r->t, n, (const char *)list[0],
				       strlen((const char *)list[0]));
		if (a && tree_add_text(r->t, a, value, (size_t)((const char *)list[4] - value)))
			continue;
		refuse_xml(r, "it is too large");
		return;
	}
}

static void on_begin(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
		     int num_ns, const xmlChar **ns, int num, int num_default,
		     const xmlChar **attributes)
{
	struct xml_reader *r = arg;
	struct tree_node *n;

	(void)prefix;
	(void)uri;
	(void)num_ns;
	(void)ns;
	(void)num_default;
	if (r->refused)
		return;
	n = r->depth < TREE_DEPTH ?
		    tree_add(r->t, r->at, (const char *)name, strlen((const char *)name)) :
		    NULL;
	if (!n) {
		refuse_xml(r, r->depth < TREE_DEPTH ? "it is too large" : "it is too deep");
		return;
	}
	r->depth++;
	r->at = n;
	add_attributes(r, n, num, attributes);
}

static void on_end(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct xml_reader *r = arg;

	(void)name;
	(void)prefix;
	(void)uri;
	if (r->refused || !r->at)
		return;
	tree_trim(r->at);
	r->at = r->at->parent;
	r->depth--;
	r->ended = !r->at;
}

static void on_text(void *arg, const xmlChar *text, int len)
{
	struct xml_reader *r = arg;

	if (!r->refused && r->at && !tree_add_text(r->t, r->at, (const char *)text, (size_t)len))
		refuse_xml(r, "it is too large");
}

/* In pieces, so that what is refused ends it before all is parsed. */
static void feed_xml(struct xml_reader *r, const char *text, size_t len)
{
	size_t n;
	int err = 0;

	for (; len && !err && !r->refused; text += n, len -= n) {
		n = KVMB_MIN(len, (size_t)PIECE);
		err = r->xml->parse(r->parser, text, (int)n, n == len);
	}
}

static int judge_xml(struct xml_reader *r, char *why, size_t size)
{
	xmlErrorPtr e = r->xml->last_error(r->parser);

	if (r->refused) {
		snprintf(why, size, "%s", r->refused);
	} else if (!r->ended || (e && e->level >= XML_ERR_ERROR)) {
		snprintf(why, size, "line %d: %.*s", e ? e->line : 0,
			 e && e->message ? (int)strcspn(e->message, "\n") : 8,
			 e && e->message ? e->message : "it ends early");
	} else {
		return 0;
	}
	return -EINVAL;
}

int xml_tree_read(const char *text, size_t len, struct tree *t, char *why, size_t size)
{
	xmlSAXHandler sax = { .initialized = XML_SAX2_MAGIC,
			      .internalSubset = on_doctype,
			      .startElementNs = on_begin,
			      .endElementNs = on_end,
			      .characters = on_text,
			      .cdataBlock = on_text };
	void *lib = dlopen(LIBXML2, RTLD_NOW | RTLD_LOCAL);
	struct xml_calls xml;
	struct xml_reader r = { .xml = &xml, .t = t };
	int err;

	*t = (struct tree){ 0 };
	if (!len) {
		snprintf(why, size, "it is empty");
		if (lib)
			dlclose(lib);
		return -EINVAL;
	}
	err = kvmb_library_take(lib, &libxml2, &xml, why, size);
	if (err)
		return err;
	r.parser = xml.create(&sax, &r, NULL, 0, NULL);
	kvmb_assert(r.parser);
	xml.use_options(r.parser, OPTIONS);
	feed_xml(&r, text, len);
	err = judge_xml(&r, why, size);
	if (r.parser->myDoc)
		xml.free_doc(r.parser->myDoc);
	xml.free_parser(r.parser);
	return err; /* it stays loaded: it keeps memory of its own for each thread */
}
