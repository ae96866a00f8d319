// SPDX-License-Identifier: GPL-2.0-only
/* What an NBD URI names: the words of libnbd's manual, and what is none. */
#include "backend/block/nbd_uri.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/test.h"

static struct kvmb_nbd_uri u;

static const struct {
	const char *uri, *host, *port, *path, *export;
} good[] = {
	{ "nbd://example.com", "example.com", "10809", "", "" },
	{ "nbd://example.com/", "example.com", "10809", "", "" },
	{ "nbd://example.com:1234/disk", "example.com", "1234", "", "disk" },
	{ "nbd://joe@example.com:1234//disk", "example.com", "1234", "", "/disk" },
	{ "nbd://[2001:db8::1]:99/a/b", "2001:db8::1", "99", "", "a/b" },
	{ "nbd://[::1]", "::1", "10809", "", "" },
	{ "nbd:///disk", "localhost", "10809", "", "disk" },
	{ "nbd://:77/disk", "localhost", "77", "", "disk" },
	{ "nbd://h:/disk", "h", "10809", "", "disk" },
	{ "nbd://h:0/disk", "h", "10809", "", "disk" },
	{ "nbd://h/a%20b%2Fc%25?tls-psk-file=x#f", "h", "10809", "", "a b/c%" },
	{ "nbd+unix:///?socket=/run/nbd.sock", "", "", "/run/nbd.sock", "" },
	{ "nbd+unix:///disk?x=y&socket=/run/a%20b&socket=/c", "", "", "/run/a b", "disk" },
	{ "nbd+unix://?socket=nbd", "", "", "nbd", "" },
};

static const char *const bad[] = {
	"nbd:/x", "http://h/", "", "nbd://h:x/", "nbd://h:65536/", "nbd://[::1/", "nbd://[::1]x/",
	"nbd://h/%", "nbd://h/%4", "nbd://h/%4g", "nbd://h/a%00b", "nbd+unix:///disk",
	"nbd+unix:///disk?socket=", "nbd+unix:///?x=socket", "nbd+unix://h/?socket=/s",
	"nbd+unix:///?socket=%00", "nbd+unix://", "nbd://h:123456/", "nbd://h:-1/",
};

static void nbd_uri_parts_are_found(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (!kvmb_nbd_uri_parse(good[i].uri, &u) || strcmp(u.host, good[i].host) ||
		    strcmp(u.port, good[i].port) || strcmp(u.path, good[i].path) ||
		    strcmp(u.export, good[i].export) || u.tls)
			fail_msg("%s: host \"%s\", port \"%s\", path \"%s\", export \"%s\"",
				 good[i].uri, u.host, u.port, u.path, u.export);
	}
	assert_true(kvmb_nbd_uri_parse("nbds://h/x", &u) && u.tls && !u.local);
	assert_true(kvmb_nbd_uri_parse("nbds+unix:///x?socket=/s", &u) && u.tls && u.local);
}

static void nbd_uri_nonsense_is_refused(void **state)
{
	char *long_one = test_malloc(6000);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (kvmb_nbd_uri_parse(bad[i], &u))
			fail_msg("%s was taken", bad[i]);
	}
	strcpy(long_one, "nbd://h/");
	memset(long_one + 8, 'x', 5000);
	long_one[8 + 4096] = 0;
	assert_true(kvmb_nbd_uri_parse(long_one, &u));
	assert_int_equal(strlen(u.export), 4096);
	long_one[8 + 4096] = 'x';
	long_one[8 + 4097] = 0;
	assert_false(kvmb_nbd_uri_parse(long_one, &u));
	memset(long_one + 6, 'x', 300);
	long_one[306] = 0;
	assert_false(kvmb_nbd_uri_parse(long_one, &u));
	snprintf(long_one, 6000, "nbd+unix:///?socket=/%0200d", 0);
	assert_false(kvmb_nbd_uri_parse(long_one, &u));
	test_free(long_one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nbd_uri_parts_are_found),
		cmocka_unit_test(nbd_uri_nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
