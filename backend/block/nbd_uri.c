// SPDX-License-Identifier: GPL-2.0-only
/* Taking an NBD URI apart: nbd_uri.h. */
#include "backend/block/nbd_uri.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util.h"

static const struct {
	const char *prefix;
	bool tls, local;
} schemes[] = {
	{ "nbd://", false, false },
	{ "nbds://", true, false },
	{ "nbd+unix://", false, true },
	{ "nbds+unix://", true, true },
};

static int hex(char c)
{
	return isdigit((unsigned char)c)  ? c - '0' :
	       isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 :
					    -1;
}

/* s[len] without its escapes. Return: false: an escape is broken or a 0, or there is no room. */
static bool unescape(const char *s, size_t len, char *out, size_t size)
{
	size_t i, n = 0;

	for (i = 0; i < len; i++) {
		char c = s[i];

		if (c == '%') {
			if (len - i < 3 || hex(s[i + 1]) < 0 || hex(s[i + 2]) < 0)
				return false;
			c = (char)(hex(s[i + 1]) << 4 | hex(s[i + 2]));
			i += 2;
		}
		if (!c || n + 1 >= size)
			return false;
		out[n++] = c;
	}
	out[n] = 0;
	return true;
}

static bool parse_port(const char *s, size_t len, struct kvmb_nbd_uri *u)
{
	unsigned long port = strtoul(s, NULL, 10);

	if (strspn(s, "0123456789") < len || len >= sizeof(u->port) || (len && port > 65535))
		return false;
	snprintf(u->port, sizeof(u->port), "%hu", (unsigned short)(len && port ? port : 10809));
	return true;
}

/* "[USER@][HOST][:PORT]"; who the user is matters to TLS alone. */
static bool parse_server(const char *s, size_t len, struct kvmb_nbd_uri *u)
{
	const char *at = memchr(s, '@', len), *host = at ? at + 1 : s, *end = s + len, *close, *to;

	if (*host == '[' && host < end) {
		close = memchr(host, ']', (size_t)(end - host));
		if (!close)
			return false;
		host++;
		to = close;
		s = close + 1;
	} else {
		to = memchr(host, ':', (size_t)(end - host));
		to = to ? to : end;
		s = to;
	}
	if ((s < end && *s != ':') ||
	    !unescape(host, (size_t)(to - host), u->host, sizeof(u->host)))
		return false;
	if (!*u->host)
		strcpy(u->host, "localhost");
	s += s < end;
	return parse_port(s, (size_t)(end - s), u);
}

/* The value of "socket" in "a=b&c=d". */
static bool parse_socket(const char *query, size_t len, struct kvmb_nbd_uri *u)
{
	const char *end = query + len, *next;

	for (; query < end; query = next + 1) {
		next = memchr(query, '&', (size_t)(end - query));
		next = next ? next : end;
		if (!strncmp(query, "socket=", 7) && next - query > 7)
			return unescape(query + 7, (size_t)(next - query) - 7, u->path,
					sizeof(u->path));
	}
	return false;
}

bool kvmb_nbd_uri_parse(const char *s, struct kvmb_nbd_uri *u)
{
	size_t i, server, path, query = 0;

	memset(u, 0, sizeof(*u));
	for (i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (!strncmp(s, schemes[i].prefix, strlen(schemes[i].prefix)))
			break;
	}
	if (i == ARRAY_SIZE(schemes))
		return false;
	u->tls = schemes[i].tls;
	u->local = schemes[i].local;
	s += strlen(schemes[i].prefix);
	server = strcspn(s, "/?#");
	path = strcspn(s + server, "?#");
	if (s[server + path] == '?')
		query = 1 + strcspn(s + server + path + 1, "#");
	if (path && !unescape(s + server + 1, path - 1, u->export, sizeof(u->export)))
		return false;
	if (!u->local)
		return parse_server(s, server, u);
	return !server && query && parse_socket(s + server + path + 1, query - 1, u);
}
