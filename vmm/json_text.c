// SPDX-License-Identifier: GPL-2.0-only
/* Strings from the host as JSON, which is UTF-8. */
#include "vmm/json_text.h"

#include <string.h>

#include "lib/util.h"

json_t *json_text(const char *s)
{
	json_t *o = json_string(s);
	char *copy, *p;

	if (o)
		return o;
	copy = p = kvmb_xzalloc(strlen(s) + 1);
	for (; *s; s++)
		*p++ = *s & 0x80 ? '?' : *s;
	o = json_string(copy);
	free(copy);
	return o;
}
