// SPDX-License-Identifier: GPL-2.0-only
/*
 * A confined process tries what a guest that has taken it over would. Each case runs in a child, as
 * root and as a user; a protection that this host lacks is reported by confine_process() itself,
 * and what depends on it is not expected.
 */
#include "vmm/confine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/util.h"
#include "tests/unit/test.h"

#define USER 12345u /* who starts it, when not root */

struct around { /* what the process could have reached before */
	char dir[32];
	struct sockaddr_un unix_addr;
	struct sockaddr_in tcp_addr;
	int unix_fd, tcp_fd;
};

struct attempt {
	const char *what;
	bool (*works)(const struct around *a);
	unsigned int unless; /* enum confine_lack: left open where all of these are missing */
};

static bool opens(const struct around *a)
{
	(void)a;
	return open("/etc/passwd", O_RDONLY) >= 0;
}

static bool opens_memory_of_parent(const struct around *a)
{
	char path[32];

	(void)a;
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)getppid());
	return open(path, O_RDWR) >= 0;
}

static bool executes(const struct around *a)
{
	char *const argv[] = { "/bin/true", NULL };

	(void)a;
	execv(argv[0], argv);
	return errno != ENOENT && errno != EACCES;
}

static bool connects_unix(const struct around *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	return !connect(fd, (const struct sockaddr *)&a->unix_addr, sizeof(a->unix_addr));
}

static bool connects_tcp(const struct around *a)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return !connect(fd, (const struct sockaddr *)&a->tcp_addr, sizeof(a->tcp_addr));
}

static bool makes_a_file(const struct around *a)
{
	(void)a;
	return open("/x", O_RDWR | O_CREAT, 0600) >= 0;
}

static bool mounts(const struct around *a)
{
	(void)a;
	return !mount("none", "/", "tmpfs", 0, NULL);
}

static bool gets_root_back(const struct around *a)
{
	(void)a;
	return !setresuid(0, 0, 0) && !geteuid();
}

static bool is_dumpable(const struct around *a)
{
	(void)a;
	return prctl(PR_GET_DUMPABLE) != 0;
}

static bool may_gain_privileges(const struct around *a)
{
	(void)a;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}

static bool has_capabilities(const struct around *a)
{
	(void)a;
	return !unshare(CLONE_NEWNS);
}

#define PATHS (CONFINE_NO_ROOT | CONFINE_NO_LANDLOCK)

static const struct attempt attempts[] = {
	{ "open a file", opens, PATHS },
	{ "open another process's memory", opens_memory_of_parent, PATHS },
	{ "execute a program", executes, PATHS },
	{ "connect to a Unix socket", connects_unix, CONFINE_NO_ROOT },
	{ "connect to a TCP port", connects_tcp, CONFINE_NO_NAMESPACES },
	{ "make a file", makes_a_file, 0 },
	{ "mount", mounts, 0 },
	{ "become root", gets_root_back, 0 },
	{ "be dumped", is_dumpable, 0 },
	{ "gain privileges by a setuid program", may_gain_privileges, 0 },
	{ "use a capability", has_capabilities, 0 },
};

static void look_around(struct around *a)
{
	socklen_t len = sizeof(a->tcp_addr);

	strcpy(a->dir, "/tmp/kvmbus-confine-XXXXXX");
	assert_non_null(mkdtemp(a->dir));
	chmod(a->dir, 0777);
	a->unix_addr.sun_family = AF_UNIX;
	snprintf(a->unix_addr.sun_path, sizeof(a->unix_addr.sun_path), "%s/s", a->dir);
	a->unix_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(a->unix_fd, (struct sockaddr *)&a->unix_addr, sizeof(a->unix_addr)),
			 0);
	chmod(a->unix_addr.sun_path, 0666);
	assert_int_equal(listen(a->unix_fd, 8), 0);
	a->tcp_addr = (struct sockaddr_in){ .sin_family = AF_INET,
					    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	a->tcp_fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(a->tcp_fd, (struct sockaddr *)&a->tcp_addr, sizeof(a->tcp_addr)), 0);
	assert_int_equal(listen(a->tcp_fd, 8), 0);
	getsockname(a->tcp_fd, (struct sockaddr *)&a->tcp_addr, &len);
}

static void go_away(struct around *a)
{
	close(a->unix_fd);
	close(a->tcp_fd);
	unlink(a->unix_addr.sun_path);
	rmdir(a->dir);
}

/* In the child. Exit status: 0 denied, 1 it worked, 2 the host lacks it, 3 no confinement. */
static void try_one(const struct around *a, const struct attempt *t, bool confined, bool root)
{
	unsigned int own = root ? CONFINE_UID_BASE + (unsigned int)getpid() : -1u, lacks = 0;
	char why[200];

	/* a program of the user's is dumpable: its files in /proc are his */
	if (!root && (setresgid(USER, USER, USER) || setresuid(USER, USER, USER) ||
		      prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)))
		_exit(3);
	if (confined && confine_process(own, own, &lacks, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		_exit(3);
	}
	if (t->unless && (lacks & t->unless) == t->unless)
		_exit(2);
	_exit(t->works(a) ? 1 : 0);
}

static int outcome(const struct around *a, const struct attempt *t, bool confined, bool root)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid)
		try_one(a, t, confined, root);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void try_all(bool root)
{
	struct around a;
	size_t i;
	int r;

	look_around(&a);
	for (i = 0; i < ARRAY_SIZE(attempts); i++) {
		r = outcome(&a, &attempts[i], true, root);
		if (r == 2)
			print_message("%s: this host lacks what denies it\n", attempts[i].what);
		else if (r)
			fail_msg("%s: %s", attempts[i].what, r == 1 ? "it worked" : "not confined");
	}
	go_away(&a);
}

static void confine_as_a_user_denies_everything_with_a_name(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	try_all(false);
}

static void confine_as_root_denies_the_same_and_is_another_user(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	try_all(true);
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) > 0;

	close(fd);
	return ok;
}

static bool enter_container(void)
{
	return !unshare(CLONE_NEWUSER) && write_text("/proc/self/setgroups", "deny") &&
	       write_text("/proc/self/uid_map", "0 0 1") &&
	       write_text("/proc/self/gid_map", "0 0 1");
}

/* As root of a container without other users (unshare -r, podman): @body must return 0. */
static void in_container(int (*body)(void))
{
	int status;
	pid_t pid;

	if (geteuid())
		skip();
	pid = fork();
	if (!pid)
		_exit(enter_container() ? body() : 77);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static int become_own_user(void)
{
	uid_t own = CONFINE_UID_BASE + (uid_t)getpid();
	unsigned int lacks = 0;
	char why[200] = "";

	if (confine_process(own, own, &lacks, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	return !(lacks & CONFINE_NO_USER) || has_capabilities(NULL) || geteuid() ? 2 : 0;
}

static void confine_as_root_of_a_container_goes_without_a_user(void **state)
{
	(void)state;
	in_container(become_own_user);
}

static int become_chosen_user(void)
{
	unsigned int lacks = 0;
	char why[200] = "";

	return confine_process(USER, USER, &lacks, why, sizeof(why)) == -EPERM ? 0 : 1;
}

static void confine_as_a_chosen_user_that_cannot_be_fails(void **state)
{
	(void)state;
	in_container(become_chosen_user);
}

/* Without it the attempts work: they can fail. */
static void without_confinement_the_attempts_work(void **state)
{
	struct around a;

	(void)state;
	look_around(&a);
	assert_int_equal(outcome(&a, &attempts[0], false, true), 1);
	assert_int_equal(outcome(&a, &attempts[3], false, true), 1);
	assert_int_equal(outcome(&a, &attempts[4], false, true), 1);
	assert_int_equal(outcome(&a, &attempts[8], false, true), 1);
	assert_int_equal(outcome(&a, &attempts[9], false, true), 1);
	go_away(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(confine_as_a_user_denies_everything_with_a_name),
		cmocka_unit_test(confine_as_root_denies_the_same_and_is_another_user),
		cmocka_unit_test(confine_as_root_of_a_container_goes_without_a_user),
		cmocka_unit_test(confine_as_a_chosen_user_that_cannot_be_fails),
		cmocka_unit_test(without_confinement_the_attempts_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
