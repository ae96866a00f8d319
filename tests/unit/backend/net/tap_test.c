// SPDX-License-Identifier: GPL-2.0-only
/* Taps from descriptors that anybody may have sent. Real ones are for tests/boot/net-*.sh. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/net/backend.h"
#include "tests/unit/test.h"

static void tap_open_other_descriptor_is_refused(void **state)
{
	static const enum kvmb_net_tap kinds[] = { KVMB_NET_TAP, KVMB_NET_MACVTAP,
						   KVMB_NET_BRIDGE };
	struct kvmb_net_files files = { 0 };
	char why[KVMB_NET_WHY];
	size_t i;
	int sv[2];

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_null(kvmb_net_tap_open(kinds[i], &files, why)); /* none came */
		assert_non_null(strstr(why, "descriptor 0"));
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	files.fd[files.num++] = sv[0];
	files.fd[files.num++] = sv[1];
	assert_null(kvmb_net_tap_open(KVMB_NET_TAP, &files, why));
	assert_int_equal(files.num, 2);
	kvmb_net_files_close(&files);
	assert_int_equal(fcntl(sv[0], F_GETFD), -1);
	assert_int_equal(fcntl(sv[1], F_GETFD), -1);
	files.fd[files.num++] = open("/dev/zero", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_null(kvmb_net_tap_open(KVMB_NET_MACVTAP, &files, why));
	kvmb_net_files_close(&files);
}

/* A VM that was taken over may say that its NIC is any interface of the host. */
static void host_mtu_other_interface_is_left_alone(void **state)
{
	(void)state;
	assert_int_equal(kvmb_net_host_mtu("lo", 1400), -ENODEV);
	assert_int_equal(kvmb_net_host_mtu("../lo", 1400), -ENODEV);
	assert_int_equal(kvmb_net_host_mtu("", 1400), -ENODEV);
}

static void tap_resolve_unknown_name_is_refused(void **state)
{
	static const char *const said[] = { "no such tap", "no such macvtap", "no such bridge" };
	struct kvmb_net_want w = { .max = 2 };
	struct kvmb_net_files files = { 0 };
	char why[KVMB_NET_WHY];
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		w.kind = (enum kvmb_net_tap)i;
		w.ifname = "not-there-0";
		assert_int_equal(kvmb_net_tap_resolve(&w, &files, why), -ENODEV);
		assert_non_null(strstr(why, said[i]));
		w.ifname = "longer-than-any-interface";
		assert_int_equal(kvmb_net_tap_resolve(&w, &files, why), -ENODEV);
		assert_int_equal(files.num, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tap_open_other_descriptor_is_refused),
		cmocka_unit_test(host_mtu_other_interface_is_left_alone),
		cmocka_unit_test(tap_resolve_unknown_name_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
