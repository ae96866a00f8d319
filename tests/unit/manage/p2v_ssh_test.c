// SPDX-License-Identifier: GPL-2.0-only
/* Where a disk of another host is: what is a place, and what would be an option or a command. */
#include "manage/p2v.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/util.h"
#include "tests/unit/test.h"

static struct p2v_ssh s;
static char why[300];

static void check_place(const char *url, const char *target, const char *port, const char *path)
{
	CHECK(p2v_parse(url, &s, why, sizeof(why)));
	assert_string_equal(s.target, target);
	assert_string_equal(s.port, port);
	assert_string_equal(s.path, path);
}

CASE(places_are_understood)
{
	check_place("ssh://host/dev/sda", "host", "", "/dev/sda");
	check_place("ssh://root@host.example:2222/dev/vg/lv", "root@host.example", "2222",
		    "/dev/vg/lv");
	check_place("ssh://a@[2001:db8::1]:22/x", "a@2001:db8::1", "22", "/x");
	check_place("ssh://[::1]/x y'z", "::1", "", "/x y'z");
}

CASE(what_is_no_place_is_refused)
{
	static const char *const bad[] = {
		"ssh://host",
		"ssh://host/",
		"ssh:///dev/sda",
		"ssh://-oProxyCommand=x/dev/sda",
		"ssh://a b/dev/sda",
		"ssh://host;x/dev/sda",
		"ssh://host:99999/dev/sda",
		"ssh://host:0/dev/sda",
		"ssh://host:/dev/sda",
		"ssh://@/dev/sda",
		"ssh://u@/dev/sda",
		"ssh://u@-x/dev/sda",
		"ssh://host/dev/\nsda",
		"ssh:host",
		"ssh://$(x)/y",
		"ssh://[-x]/y",
	};
	char url[2000];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (p2v_parse(bad[i], &s, why, sizeof(why)))
			fail_msg("%s", bad[i]);
	}
	memset(url, 'a', sizeof(url));
	memcpy(url, "ssh://h/", 8);
	url[sizeof(url) - 1] = 0;
	CHECK(!p2v_parse(url, &s, why, sizeof(why)));
}

/* One that ends before its slashes is not looked at behind its end. */
CASE(short_places_are_refused)
{
	static const char whole[] = "ssh://";
	size_t len;
	char *url;

	for (len = 4; len < sizeof(whole); len++) {
		url = strndup(whole, len);
		CHECK(!p2v_parse(url, &s, why, sizeof(why)));
		free(url);
	}
}

/* What a host over there says, played by a script in place of ssh. */
static void host_says(const char *script)
{
	char path[] = "/tmp/kvmbus-ssh-XXXXXX";
	int fd = mkstemp(path), pid;

	assert_true(fd >= 0);
	CHECK_EQ(write(fd, script, strlen(script)), (ssize_t)strlen(script));
	CHECK_EQ(fchmod(fd, 0700), 0);
	close(fd);
	setenv("KVMBUS_SSH", path, 1);
	CHECK(p2v_parse("ssh://host/dev/sda", &s, why, sizeof(why)));
	memset(why, 0, sizeof(why));
	assert_null(p2v_connect(&s, &pid, why, sizeof(why)));
	unlink(path);
}

/* It says more than fits, or ends amid a line. */
CASE(hosts_that_end_no_line_are_refused)
{
	host_says("#!/bin/sh\nprintf 'kvmbus-fail why\n'\n");
	assert_string_equal(why, "host: why");
	host_says("#!/bin/sh\nprintf 'kvmbus-fail %0500d' 7\n");
	assert_non_null(strstr(why, "has not reached it"));
	host_says("#!/bin/sh\nprintf 'kvmbus-fail half'\n");
	assert_non_null(strstr(why, "has not reached it"));
	host_says("#!/bin/sh\n");
	assert_non_null(strstr(why, "has not reached it"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_are_understood),
		cmocka_unit_test(what_is_no_place_is_refused),
		cmocka_unit_test(short_places_are_refused),
		cmocka_unit_test(hosts_that_end_no_line_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
