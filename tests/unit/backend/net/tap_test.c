// SPDX-License-Identifier: GPL-2.0-only
/* Taps from descriptors that anybody may have sent. Real ones are for tests/boot/net-*.sh. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/net/backend.h"
#include "lib/ns.h"
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
	assert_int_equal(kvmb_net_host_mtu(getpid(), "lo", 1400), -ENODEV);
	assert_int_equal(kvmb_net_host_mtu(getpid(), "../lo", 1400), -ENODEV);
	assert_int_equal(kvmb_net_host_mtu(getpid(), "", 1400), -ENODEV);
}

/* ---- taps of a network of the test's own ---- */

static bool own_net(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare((uid ? CLONE_NEWUSER : 0) | CLONE_NEWNS | CLONE_NEWNET))
		return false;
	if (uid && kvmb_ns_map_ids(uid, gid))
		return false;
	return !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("sysfs", "/sys", "sysfs", 0, NULL);
}

static int make_tap(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	strcpy(ifr.ifr_name, name);
	return fd >= 0 && !ioctl(fd, TUNSETIFF, &ifr) ? fd : -1;
}

/* Return: process id of a "VM" with a tap of that name; it waits. */
static pid_t start_vm(const char *name, bool elsewhere)
{
	int p[2];
	char c;
	pid_t pid;

	if (pipe(p))
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if ((elsewhere && !own_net()) || make_tap(name) < 0 || prctl(PR_SET_DUMPABLE, 0) ||
		    write(p[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(p[1]);
	return read(p[0], &c, 1) == 1 ? pid : -1;
}

enum { MTU_FINE, MTU_NOT_ITS_OWN, MTU_OF_ANOTHER, MTU_OF_ANOTHER_NET, MTU_NO_TAPS = 77 };

static int try_mtus(void)
{
	pid_t vm, other, far;

	if (!own_net())
		return MTU_NO_TAPS;
	vm = start_vm("kvmbt0", false);
	other = start_vm("kvmbt1", false);
	far = start_vm("kvmbt1", true);
	if (vm < 0 || other < 0 || far < 0)
		return MTU_NO_TAPS;
	if (kvmb_net_host_mtu(vm, "kvmbt0", 1400))
		return MTU_NOT_ITS_OWN;
	if (kvmb_net_host_mtu(vm, "kvmbt1", 1400) != -ENODEV)
		return MTU_OF_ANOTHER;
	if (kvmb_net_host_mtu(far, "kvmbt1", 1400) != -ENODEV)
		return MTU_OF_ANOTHER_NET;
	return kvmb_net_host_mtu(other, "kvmbt1", 1400) ? MTU_NOT_ITS_OWN : MTU_FINE;
}

static void host_mtu_is_changed_of_a_tap_that_the_vm_has(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(try_mtus());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == MTU_NO_TAPS)
		skip(); /* no taps for us here */
	assert_int_equal(status, 0);
}

/* Which of what a VM hands over is a queue of the interface that was asked for. */
static int try_adopting(void)
{
	struct kvmb_net_want w = { .ifname = "kvmbt0", .max = 2 };
	int good, other, zero = open("/dev/zero", O_RDWR | O_CLOEXEC), fds[2];
	struct kvmb_net_files f = { 0 };
	char why[KVMB_NET_WHY];

	if (!own_net())
		return MTU_NO_TAPS;
	good = make_tap("kvmbt0");
	other = make_tap("kvmbt1");
	if (good < 0 || other < 0)
		return MTU_NO_TAPS;
	fds[0] = fds[1] = good;
	if (!kvmb_net_tap_adopt(&w, fds, 0, &f, why) ||
	    !kvmb_net_tap_adopt(&w, &zero, 1, &f, why) ||
	    !kvmb_net_tap_adopt(&w, &other, 1, &f, why))
		return 1;
	fds[1] = other;
	if (!kvmb_net_tap_adopt(&w, fds, 2, &f, why))
		return 2;
	w.kind = KVMB_NET_BRIDGE; /* it is on none */
	if (!kvmb_net_tap_adopt(&w, &good, 1, &f, why))
		return 3;
	w.kind = KVMB_NET_MACVTAP;
	if (!kvmb_net_tap_adopt(&w, &good, 1, &f, why) || f.num)
		return 4;
	w.kind = KVMB_NET_TAP;
	if (kvmb_net_tap_adopt(&w, &good, 1, &f, why) || f.num != 1 || f.mtu != 1500 || !f.in_use)
		return 5;
	/* of another network, which has one of the same name */
	if (!own_net() || make_tap("kvmbt0") < 0)
		return MTU_NO_TAPS;
	return kvmb_net_tap_adopt(&w, &good, 1, &f, why) ? 0 : 6;
}

static void only_queues_of_the_interface_are_adopted(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(try_adopting());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == MTU_NO_TAPS)
		skip(); /* no taps for us here */
	assert_int_equal(status, 0);
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
		cmocka_unit_test(host_mtu_is_changed_of_a_tap_that_the_vm_has),
		cmocka_unit_test(only_queues_of_the_interface_are_adopted),
		cmocka_unit_test(tap_resolve_unknown_name_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
