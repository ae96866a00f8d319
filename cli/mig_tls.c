// SPDX-License-Identifier: GPL-2.0-only
/* TLS of a migration: mig_tls.h. */
#include "cli/mig_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/loop.h"

#define MAX_FILE (1 << 20) /* of a list of revoked certificates, too */

/* ---- files ---- */

static void forget_file(gnutls_datum_t *d)
{
	if (d->data)
		explicit_bzero(d->data, d->size);
	free(d->data);
	*d = (gnutls_datum_t){ 0 };
}

static const char *check_file(const struct stat *st, bool secret)
{
	if (!S_ISREG(st->st_mode) || !st->st_size || st->st_size > MAX_FILE)
		return "it is no such file";
	if (secret && (st->st_mode & (S_IRWXO | S_IWGRP)))
		return "others can read or change this key; chmod 600";
	if (secret && st->st_uid && st->st_uid != geteuid())
		return "this key belongs to another user";
	return NULL;
}

/* Return: NULL with @d; else why not, ENOENT in errno if there is no such file. */
static const char *read_open_file(int fd, bool secret, gnutls_datum_t *d)
{
	const char *why;
	struct stat st;

	if (fstat(fd, &st))
		return strerror(errno);
	why = check_file(&st, secret);
	if (why)
		return why;
	d->data = malloc((size_t)st.st_size);
	if (!d->data)
		return strerror(ENOMEM);
	d->size = (unsigned int)st.st_size;
	if (read(fd, d->data, d->size) == st.st_size)
		return NULL;
	forget_file(d);
	return "it cannot be read";
}

/* Return: 0, -ENOENT with @why, -EINVAL with @why. */
static int read_file(const char *dir, const char *name, bool secret, gnutls_datum_t *d, char *why)
{
	char path[PATH_MAX];
	const char *wrong;
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		err = errno == ENOENT ? -ENOENT : -EINVAL;
	wrong = fd < 0 ? strerror(errno) : read_open_file(fd, secret, d);
	if (fd >= 0)
		close(fd);
	if (!wrong)
		return 0;
	snprintf(why, MIG_TLS_WHY, "%.200s: %.60s", path, wrong);
	return err ? err : -EINVAL;
}

static int not_good(const char *dir, const char *name, int err, char *why)
{
	snprintf(why, MIG_TLS_WHY, "%.180s/%s: %.60s", dir, name, gnutls.strerror(err));
	return -EINVAL;
}

static int take_ca(struct mig_tls *t, const char *dir, char *why)
{
	gnutls_datum_t d = { 0 };
	int err = read_file(dir, "ca-cert.pem", false, &d, why), num;

	if (err)
		return -EINVAL;
	num = gnutls.certificate_set_x509_trust_mem(t->keys, &d, GNUTLS_X509_FMT_PEM);
	forget_file(&d);
	return num > 0 ?
		       0 :
		       not_good(dir, "ca-cert.pem", num ? num : GNUTLS_E_NO_CERTIFICATE_FOUND, why);
}

static int take_revoked(struct mig_tls *t, const char *dir, char *why)
{
	gnutls_datum_t d = { 0 };
	int err = read_file(dir, "ca-crl.pem", false, &d, why), num;

	if (err)
		return err == -ENOENT ? 0 : err;
	num = gnutls.certificate_set_x509_crl_mem(t->keys, &d, GNUTLS_X509_FMT_PEM);
	forget_file(&d);
	return num > 0 ?
		       0 :
		       not_good(dir, "ca-crl.pem", num ? num : GNUTLS_E_NO_CERTIFICATE_FOUND, why);
}

static int take_own(struct mig_tls *t, const char *dir, char *why)
{
	const char *cert_name = t->server ? "server-cert.pem" : "client-cert.pem";
	const char *key_name = t->server ? "server-key.pem" : "client-key.pem";
	gnutls_datum_t cert = { 0 }, key = { 0 };
	int err = read_file(dir, cert_name, false, &cert, why), made;

	if (!err)
		err = read_file(dir, key_name, true, &key, why);
	if (!err) {
		made = gnutls.certificate_set_x509_key_mem2(t->keys, &cert, &key,
							    GNUTLS_X509_FMT_PEM, NULL, 0);
		err = made < 0 ? not_good(dir, cert_name, made, why) : 0;
	}
	forget_file(&cert);
	forget_file(&key);
	return err ? -EINVAL : 0;
}

static void want(struct mig_tls *t, gnutls_vdata_types_t type, const char *text)
{
	t->want[t->num_want++] = (gnutls_typed_vdata_st){ .type = type, .data = (void *)text };
}

int mig_tls_init(struct mig_tls *t, const char *dir, bool server, char *why)
{
	int err;

	*t = (struct mig_tls){ .server = server };
	if (tls_lib_load(why, MIG_TLS_WHY))
		return -EINVAL;
	err = gnutls.certificate_allocate_credentials(&t->keys);
	if (err) {
		snprintf(why, MIG_TLS_WHY, "%s", gnutls.strerror(err));
		return -EINVAL;
	}
	want(t, GNUTLS_DT_KEY_PURPOSE_OID,
	     server ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER);
	err = take_ca(t, dir, why);
	if (!err)
		err = take_revoked(t, dir, why);
	if (!err)
		err = take_own(t, dir, why);
	if (err)
		mig_tls_fini(t);
	return err;
}

void mig_tls_expect(struct mig_tls *t, const char *host)
{
	snprintf(t->host, sizeof(t->host), "%s", host);
	want(t, GNUTLS_DT_DNS_HOSTNAME, t->host);
}

void mig_tls_fini(struct mig_tls *t)
{
	if (t->keys)
		gnutls.certificate_free_credentials(t->keys);
	*t = (struct mig_tls){ 0 };
}

/* ---- sessions ---- */

static int set_up(struct mig_tls *t, gnutls_session_t s, int fd)
{
	int err = gnutls.priority_set_direct(s, "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL);
	bool address = strchr(t->host, ':') || strspn(t->host, "0123456789.") == strlen(t->host);

	if (!err)
		err = gnutls.credentials_set(s, GNUTLS_CRD_CERTIFICATE, t->keys);
	if (!err && !address)
		err = gnutls.server_name_set(s, GNUTLS_NAME_DNS, t->host, strlen(t->host));
	if (t->server)
		gnutls.certificate_server_set_request(s, GNUTLS_CERT_REQUIRE);
	gnutls.session_set_verify_cert2(s, t->want, t->num_want, 0);
	gnutls.transport_set_int2(s, fd, fd);
	return err;
}

gnutls_session_t mig_tls_open(struct mig_tls *t, int fd)
{
	const unsigned int flags = GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS;
	gnutls_session_t s = NULL;

	if (gnutls.init(&s, flags | (t->server ? GNUTLS_SERVER : GNUTLS_CLIENT)))
		return NULL;
	if (!set_up(t, s, fd))
		return s;
	gnutls.deinit(s);
	return NULL;
}

void mig_tls_close(gnutls_session_t s)
{
	if (s)
		gnutls.deinit(s);
}

static void say_certificate(gnutls_session_t s, char *why)
{
	unsigned int status = gnutls.session_get_verify_cert_status(s);
	gnutls_datum_t text = { 0 };

	gnutls.certificate_verification_status_print(status, gnutls.certificate_type_get(s), &text,
						     0);
	snprintf(why, MIG_TLS_WHY, "the other side's certificate: %.240s",
		 text.data ? (const char *)text.data : "it is not good");
	if (text.data)
		(*gnutls.free)(text.data);
	while (*why && why[strlen(why) - 1] == ' ')
		why[strlen(why) - 1] = 0;
}

void mig_tls_why(gnutls_session_t s, int err, char *why)
{
	const char *alert;

	if (err == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR) {
		say_certificate(s, why);
		return;
	}
	alert = err == GNUTLS_E_FATAL_ALERT_RECEIVED ? gnutls.alert_get_name(gnutls.alert_get(s)) :
						       NULL;
	if (alert)
		snprintf(why, MIG_TLS_WHY, "TLS: the other side says: %s", alert);
	else
		snprintf(why, MIG_TLS_WHY, "TLS: %s", gnutls.strerror(err));
}

int mig_tls_greet(gnutls_session_t s, char *why)
{
	int err;

	do
		err = gnutls.handshake(s);
	while (err < 0 && err != GNUTLS_E_AGAIN && !gnutls.error_is_fatal(err));
	if (!err)
		return 0;
	if (err == GNUTLS_E_AGAIN)
		return -EAGAIN;
	mig_tls_why(s, err, why);
	gnutls.alert_send_appropriate(s, err); /* the other side can say it, too */
	return -EPROTO;
}

short mig_tls_events(gnutls_session_t s)
{
	return gnutls.record_get_direction(s) ? POLLOUT : POLLIN;
}

int mig_tls_greet_for(gnutls_session_t s, int fd, int ms, char *why)
{
	uint64_t until = kvmb_now_ms() + (uint64_t)ms, now;
	int err;

	while ((err = mig_tls_greet(s, why)) == -EAGAIN) {
		struct pollfd p = { .fd = fd, .events = mig_tls_events(s) };

		now = kvmb_now_ms();
		if (now >= until) {
			snprintf(why, MIG_TLS_WHY, "TLS: the other side does not answer in time");
			return -EPROTO;
		}
		poll(&p, 1, (int)(until - now));
	}
	return err;
}
