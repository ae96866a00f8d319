// SPDX-License-Identifier: GPL-2.0-only
/* What of libxml2 libnbd 1.14 refers to, for those who never call it: nbd_noxml.h. */
void xmlParseURI(void);
void xmlFreeURI(void);
void xmlSaveUri(void);
void xmlURIUnescapeString(void);

void xmlParseURI(void)
{
	__builtin_trap();
}

void xmlFreeURI(void)
{
	__builtin_trap();
}

void xmlSaveUri(void)
{
	__builtin_trap();
}

void xmlURIUnescapeString(void)
{
	__builtin_trap();
}
