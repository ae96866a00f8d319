// SPDX-License-Identifier: GPL-2.0-only
/* Where a disk of another host is: what is a place, and what would be an option or a command. */
#include "manage/p2v.h"

#include <string.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_are_understood),
		cmocka_unit_test(what_is_no_place_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
