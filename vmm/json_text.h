/* SPDX-License-Identifier: GPL-2.0-only */
/* Strings from the host as JSON. */
#ifndef KVMB_JSON_TEXT_H
#define KVMB_JSON_TEXT_H

#include <jansson.h>

/**
 * json_text() - A host string that may not be UTF-8, such as a file name, as JSON
 *
 * Return: a new reference; if @s is not UTF-8, its non-ASCII bytes are question marks.
 */
json_t *json_text(const char *s);

#endif
