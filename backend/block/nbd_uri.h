/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NBD URIs, as far as we connect ourselves: nbd:// and nbd+unix://. What each part means is what
 * libnbd 1.14 makes of it, so that a URI with TLS, which libnbd connects, means the same.
 *
 * Source: nbd_connect_uri(3); RFC 3986.
 */
#ifndef KVMB_NBD_URI_H
#define KVMB_NBD_URI_H

#include <stdbool.h>

#define KVMB_NBD_EXPORT_MAX 4096 /* bytes: NBD's limit of a string */

struct kvmb_nbd_uri {
	bool tls;	/* nbds: */
	bool local;	/* +unix: */
	char host[256];	/* not local: without brackets; "localhost" if there is none */
	char port[6];	/* not local: "10809" if there is none */
	char path[108];	/* local: of the socket */
	char export[KVMB_NBD_EXPORT_MAX + 1];
};

/** kvmb_nbd_uri_parse() - Take a URI apart. Return: false: it is none that can be connected. */
bool kvmb_nbd_uri_parse(const char *s, struct kvmb_nbd_uri *u);

#endif
