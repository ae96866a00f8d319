// SPDX-License-Identifier: GPL-2.0-only
/* Certificates for tests, made by GnuTLS: certs.h. */
#include "tests/harness/certs.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/util.h"

#define DAY 86400
#define must(call) kvmb_assert((call) >= 0)

struct certs {
	char dir[200];
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t cert;
	unsigned char serial;
};

static void put_file(const char *dir, const char *name, gnutls_datum_t *d)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	kvmb_assert(fd >= 0 && write(fd, d->data, d->size) == (ssize_t)d->size);
	close(fd);
	gnutls_free(d->data);
}

static gnutls_x509_privkey_t make_key(void)
{
	gnutls_x509_privkey_t key;

	must(gnutls_x509_privkey_init(&key));
	must(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
					  GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
	return key;
}

static gnutls_x509_crt_t begin_cert(struct certs *c, gnutls_x509_privkey_t key, const char *dn,
				    int days)
{
	time_t now = time(NULL);
	gnutls_x509_crt_t cert;

	must(gnutls_x509_crt_init(&cert));
	must(gnutls_x509_crt_set_version(cert, 3));
	c->serial++;
	must(gnutls_x509_crt_set_serial(cert, &c->serial, 1));
	must(gnutls_x509_crt_set_dn(cert, dn, NULL));
	must(gnutls_x509_crt_set_key(cert, key));
	must(gnutls_x509_crt_set_activation_time(cert, now - (days < 0 ? 1000 : 1) * DAY));
	must(gnutls_x509_crt_set_expiration_time(cert, now + days * DAY));
	return cert;
}

static void finish_cert(struct certs *c, gnutls_x509_crt_t cert, const char *dir, const char *name)
{
	gnutls_datum_t pem;

	must(gnutls_x509_crt_sign2(cert, c->cert, c->key, GNUTLS_DIG_SHA256, 0));
	must(gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &pem));
	put_file(dir, name, &pem);
}

struct certs *certs_begin(const char *dir)
{
	struct certs *c = kvmb_xzalloc(sizeof(*c));

	snprintf(c->dir, sizeof(c->dir), "%s", dir);
	c->key = make_key();
	c->cert = begin_cert(c, c->key, "CN=CA of tests", 10);
	must(gnutls_x509_crt_set_basic_constraints(c->cert, 1, -1));
	must(gnutls_x509_crt_set_key_usage(c->cert,
					   GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN));
	finish_cert(c, c->cert, dir, "ca-cert.pem");
	return c;
}

static void set_name(gnutls_x509_crt_t cert, const char *name)
{
	struct in_addr v4;

	if (!name)
		return;
	if (inet_pton(AF_INET, name, &v4) == 1)
		must(gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_IPADDRESS, &v4,
							  sizeof(v4), GNUTLS_FSAN_APPEND));
	else
		must(gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_DNSNAME, name,
							  (unsigned int)strlen(name),
							  GNUTLS_FSAN_APPEND));
}

static void put_list(struct certs *c, gnutls_x509_crt_t cert, const char *dir)
{
	time_t now = time(NULL);
	gnutls_x509_crl_t crl;
	gnutls_datum_t pem;

	must(gnutls_x509_crl_init(&crl));
	must(gnutls_x509_crl_set_version(crl, 2));
	must(gnutls_x509_crl_set_this_update(crl, now - DAY));
	must(gnutls_x509_crl_set_next_update(crl, now + DAY));
	must(gnutls_x509_crl_set_crt(crl, cert, now - 1));
	must(gnutls_x509_crl_sign2(crl, c->cert, c->key, GNUTLS_DIG_SHA256, 0));
	must(gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_PEM, &pem));
	put_file(dir, "ca-crl.pem", &pem);
	gnutls_x509_crl_deinit(crl);
}

void certs_make(struct certs *c, const struct certs_wish *w)
{
	const char *dir = w->dir ? w->dir : c->dir, *who = w->server ? "server" : "client";
	gnutls_x509_privkey_t key = make_key();
	gnutls_x509_crt_t cert = begin_cert(c, key, w->server ? "CN=server" : "CN=client", w->days);
	gnutls_datum_t pem;
	char name[40];

	must(gnutls_x509_crt_set_key_usage(cert, GNUTLS_KEY_DIGITAL_SIGNATURE));
	must(gnutls_x509_crt_set_key_purpose_oid(
		cert,
		w->server != w->other_purpose ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT,
		0));
	set_name(cert, w->name);
	set_name(cert, w->name2);
	snprintf(name, sizeof(name), "%s-cert.pem", who);
	finish_cert(c, cert, dir, name);
	must(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem));
	snprintf(name, sizeof(name), "%s-key.pem", who);
	put_file(dir, name, &pem);
	if (w->revoke)
		put_list(c, cert, dir);
	gnutls_x509_crt_deinit(cert);
	gnutls_x509_privkey_deinit(key);
}

void certs_end(struct certs *c)
{
	gnutls_x509_crt_deinit(c->cert);
	gnutls_x509_privkey_deinit(c->key);
	free(c);
}
