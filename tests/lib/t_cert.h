/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_cert.h - certificates for tests, made in memory and written to files */
#ifndef T_CERT_H
#define T_CERT_H

#include <fcntl.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "t_msg.h"

struct t_ca {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	char path[128]; /* of its certificate */
};

struct t_cert {
	char cert[128], key[128]; /* paths */
};

/* What a certificate may differ in from a good one, which has @name. */
struct t_cert_opts {
	const char *name, *ip, *purpose;
	time_t from, to; /* 0: an hour ago, in an hour */
};

static inline void t_file(const char *path, mode_t mode, const void *p,
			  size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static inline gnutls_x509_privkey_t t_cert_key(void)
{
	gnutls_x509_privkey_t key;

	assert_int_equal(gnutls_x509_privkey_init(&key), 0);
	assert_int_equal(
		gnutls_x509_privkey_generate(
			key, GNUTLS_PK_ECDSA,
			GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
		0);
	return key;
}

static inline gnutls_x509_crt_t
t_cert_new(gnutls_x509_privkey_t key, const char *name, time_t from, time_t to)
{
	static uint8_t serial;
	gnutls_x509_crt_t crt;

	serial++;
	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	assert_int_equal(gnutls_x509_crt_set_key(crt, key), 0);
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_serial(crt, &serial, 1);
	gnutls_x509_crt_set_activation_time(crt,
					    from ? from : time(NULL) - 3600);
	gnutls_x509_crt_set_expiration_time(crt, to ? to : time(NULL) + 3600);
	assert_int_equal(gnutls_x509_crt_set_dn_by_oid(
				 crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
				 (unsigned int)strlen(name)),
			 0);
	return crt;
}

static inline void t_cert_write(gnutls_x509_crt_t crt, const char *path)
{
	gnutls_datum_t pem;

	assert_int_equal(
		gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem), 0);
	t_file(path, 0644, pem.data, pem.size);
	gnutls_free(pem.data);
}

static inline void t_ca_make(struct t_ca *ca, const char *dir, const char *name)
{
	ca->key = t_cert_key();
	ca->crt = t_cert_new(ca->key, name, 0, 0);
	gnutls_x509_crt_set_ca_status(ca->crt, 1);
	gnutls_x509_crt_set_key_usage(ca->crt, GNUTLS_KEY_KEY_CERT_SIGN);
	assert_int_equal(gnutls_x509_crt_sign2(ca->crt, ca->crt, ca->key,
					       GNUTLS_DIG_SHA256, 0),
			 0);
	snprintf(ca->path, sizeof(ca->path), "%.80s/%.30s.ca", dir, name);
	t_cert_write(ca->crt, ca->path);
}

static inline void t_ca_free(struct t_ca *ca)
{
	gnutls_x509_crt_deinit(ca->crt);
	gnutls_x509_privkey_deinit(ca->key);
}

/* @file: of the two files' names. */
static inline void t_cert_make(struct t_cert *c, const struct t_ca *ca,
			       const char *dir, const char *file,
			       const struct t_cert_opts *o)
{
	gnutls_x509_privkey_t key = t_cert_key();
	gnutls_x509_crt_t crt = t_cert_new(key, o->name, o->from, o->to);
	unsigned char ip[4];
	gnutls_datum_t pem;

	assert_int_equal(gnutls_x509_crt_set_subject_alt_name(
				 crt, GNUTLS_SAN_DNSNAME, o->name,
				 (unsigned int)strlen(o->name),
				 GNUTLS_FSAN_SET),
			 0);
	if (o->ip) {
		assert_int_equal(sscanf(o->ip, "%hhu.%hhu.%hhu.%hhu", ip,
					ip + 1, ip + 2, ip + 3),
				 4);
		assert_int_equal(gnutls_x509_crt_set_subject_alt_name(
					 crt, GNUTLS_SAN_IPADDRESS, ip, 4,
					 GNUTLS_FSAN_APPEND),
				 0);
	}
	if (o->purpose)
		assert_int_equal(
			gnutls_x509_crt_set_key_purpose_oid(crt, o->purpose, 0),
			0);
	assert_int_equal(gnutls_x509_crt_sign2(crt, ca->crt, ca->key,
					       GNUTLS_DIG_SHA256, 0),
			 0);
	snprintf(c->cert, sizeof(c->cert), "%.80s/%.30s.crt", dir, file);
	snprintf(c->key, sizeof(c->key), "%.80s/%.30s.key", dir, file);
	t_cert_write(crt, c->cert);
	assert_int_equal(
		gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem), 0);
	t_file(c->key, 0600, pem.data, pem.size);
	gnutls_free(pem.data);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}

#endif
