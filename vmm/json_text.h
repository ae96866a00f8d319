/* SPDX-License-Identifier: GPL-2.0-only */
/* Text of the host's as JSON. */
#ifndef KVMB_JSON_TEXT_H
#define KVMB_JSON_TEXT_H

#include <jansson.h>

/**
 * json_text() - A string of the host's, a file name or a message with one, which need not be UTF-8
 * Return: new reference; what JSON cannot hold has become question marks.
 */
json_t *json_text(const char *s);

#endif
