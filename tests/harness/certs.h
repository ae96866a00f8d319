/* SPDX-License-Identifier: GPL-2.0-only */
/* Certificates for tests: a CA, and whom it signs, in the files that QEMU and libvirt know. */
#ifndef KVMB_CERTS_H
#define KVMB_CERTS_H

#include <stdbool.h>

struct certs; /* a CA */

/** certs_begin() - A new CA; DIR/ca-cert.pem. Asserts on failure, as all in here. */
struct certs *certs_begin(const char *dir);

struct certs_wish {
	const char *dir;   /* where it goes; NULL = the CA's */
	bool server;	   /* server-*.pem; else client-*.pem */
	const char *name;  /* of the host; NULL = none. Digits and dots are an IPv4 address */
	const char *name2; /* another one */
	int days;	   /* that it is valid from now on; below 0: it has been over for so long */
	bool other_purpose; /* the other side's */
	bool revoke;	    /* and the CA says so: ca-crl.pem */
};

/** certs_make() - A key and a certificate. */
void certs_make(struct certs *c, const struct certs_wish *w);

/** certs_end() - Forget the CA. */
void certs_end(struct certs *c);

#endif
