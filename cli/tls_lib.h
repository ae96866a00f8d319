/* SPDX-License-Identifier: GPL-2.0-only */
/* GnuTLS, loaded when a migration wants it: no other command pays for it, and no VM has it. */
#ifndef KVMB_TLS_LIB_H
#define KVMB_TLS_LIB_H

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stddef.h>

/* The functions that we call; `gnutls.init()` is gnutls_init(3). */
/* clang-format off */
#define KVMB_GNUTLS_CALLS(F) \
	F(init) F(deinit) F(strerror) F(free) F(handshake) F(bye) F(error_is_fatal) \
	F(alert_get) F(alert_get_name) F(alert_send_appropriate) F(credentials_set) \
	F(priority_set_direct) F(record_send) F(record_recv) F(record_get_direction) \
	F(server_name_set) F(transport_set_int2) F(certificate_server_set_request) \
	F(session_set_verify_cert2) F(session_get_verify_cert_status) \
	F(certificate_verification_status_print) F(certificate_type_get) \
	F(certificate_allocate_credentials) F(certificate_free_credentials) \
	F(certificate_set_x509_trust_mem) F(certificate_set_x509_crl_mem) \
	F(certificate_set_x509_key_mem2)
/* clang-format on */

struct kvmb_gnutls {
#define KVMB_GNUTLS_FIELD(name) typeof(gnutls_##name) *name;
	KVMB_GNUTLS_CALLS(KVMB_GNUTLS_FIELD)
#undef KVMB_GNUTLS_FIELD
};

extern struct kvmb_gnutls gnutls; /* filled once, by tls_lib_load() */

/**
 * tls_lib_load() - Load GnuTLS, unless that was done before
 * @why: why[size], on failure: what is missing and what to install
 *
 * Return: 0 or -ENOENT. Context: before there are other threads.
 */
int tls_lib_load(char *why, size_t size);

#endif
