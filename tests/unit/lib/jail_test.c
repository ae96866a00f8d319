// SPDX-License-Identifier: GPL-2.0-only
/* The jail of helper programs: what they may open, and do. */
#include "lib/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/util.h"
#include "tests/harness/keeper.h"

static char dir[64];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/kvmbus-jail-XXXXXX");
	return !mkdtemp(dir);
}

static int teardown(void **state)
{
	char cmd[96];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	return system(cmd);
}

/* ---- the jail ---- */

/* Run @argv in a jail that allows @fd. Return: its exit status, what it says is in @out. */
static int run_in_jail(const char *const *argv, int fd, bool write_too, char *out, size_t size)
{
	int jail = kvmb_jail_create(NULL), p[2], status = -1;
	ssize_t n, len = 0;
	pid_t pid;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	if (fd >= 0)
		kvmb_jail_allow(jail, fd, write_too);
	pid = fork();
	if (!pid) {
		unsigned int lacks = 0;

		dup2(p[1], 2);
		if (fd >= 0)
			fcntl(fd, F_SETFD, 0);
		if (kvmb_jail_enter(jail, NULL, &lacks))
			_exit(126);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(p[1]);
	if (jail >= 0)
		close(jail);
	while ((n = read(p[0], out + len, size - 1 - (size_t)len)) > 0)
		len += n;
	out[len] = 0;
	close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static int shell(const char *line, int fd, bool write_too)
{
	const char *argv[] = { "sh", "-c", line, NULL };
	char out[256];

	return run_in_jail(argv, fd, write_too, out, sizeof(out));
}

static void a_jail_opens_what_was_given_and_nothing_by_name(void **state)
{
	char line[256], name[96];
	int fd, jail = kvmb_jail_create(NULL);

	(void)state;
	if (jail < 0)
		skip(); /* no Landlock here */
	close(jail);
	snprintf(name, sizeof(name), "%s/file", dir);
	fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, "x\n", 2), 2);
	snprintf(line, sizeof(line), "read x <%s", name);
	assert_int_not_equal(shell(line, -1, false), 0);
	assert_int_equal(shell(line, fd, false), 0); /* given, so also by its name */
	snprintf(line, sizeof(line), "read x </proc/self/fd/%d", fd);
	assert_int_equal(shell(line, fd, false), 0);
	snprintf(line, sizeof(line), "echo y >>/proc/self/fd/%d", fd);
	assert_int_not_equal(shell(line, fd, false), 0);
	assert_int_equal(shell(line, fd, true), 0);
	snprintf(line, sizeof(line), "echo y >%s/new", dir);
	assert_int_not_equal(shell(line, fd, true), 0);
	assert_int_not_equal(shell("read x </etc/passwd", fd, true), 0);
	snprintf(line, sizeof(line), "%s/link", dir);
	assert_int_equal(symlink("/etc/passwd", line), 0);
	snprintf(line, sizeof(line), "read x <%s/link", dir);
	assert_int_not_equal(shell(line, fd, true), 0);
	assert_int_equal(shell("echo y >/dev/null", -1, false), 0);
	close(fd);
}

static void a_jail_has_no_new_sockets_and_no_privileges(void **state)
{
	static const char *const connects[] = { "python3", "-c",
						"import socket; socket.socket(socket.AF_UNIX)",
						NULL };
	static const char *const pairs[] = { "python3", "-c", "import socket; socket.socketpair()",
					     NULL };
	/* PR_GET_NO_NEW_PRIVS */
	static const char *const privs[] = { "python3", "-c",
					     "import ctypes, sys\n"
					     "sys.exit(ctypes.CDLL(None).prctl(39, 0, 0, 0, 0))",
					     NULL };
	char out[4096];

	(void)state;
	assert_int_equal(run_in_jail(pairs, -1, false, out, sizeof(out)), 0);
	assert_int_not_equal(run_in_jail(connects, -1, false, out, sizeof(out)), 0);
	assert_non_null(strstr(out, "Operation not permitted"));
	assert_int_equal(run_in_jail(privs, -1, false, out, sizeof(out)), 1);
}

/* What the kernel has not is done without; what it could have done, had there been room, is not. */
static void a_jail_that_could_not_be_made_lets_nobody_out(void **state)
{
	struct rlimit old, none;
	int jail = kvmb_jail_create(NULL), no_room;

	(void)state;
	assert_true(jail >= 0 || jail == -EOPNOTSUPP);
	getrlimit(RLIMIT_NOFILE, &old);
	none = (struct rlimit){ 0, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	no_room = kvmb_jail_create(NULL);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(no_room, jail < 0 ? -EOPNOTSUPP : -EMFILE);
	if (jail >= 0)
		close(jail);
}

/* ---- hosts that lack something, as far as the keeper can tell ---- */

static bool no_namespaces, no_landlock; /* set before the keeper is forked */

int __real_kvmb_jail_fork(unsigned int *lacks);
int __wrap_kvmb_jail_fork(unsigned int *lacks);
int __wrap_kvmb_jail_fork(unsigned int *lacks)
{
	if (!no_namespaces)
		return __real_kvmb_jail_fork(lacks);
	*lacks |= KVMB_JAIL_NO_NAMESPACES;
	return fork();
}

int __real_kvmb_jail_create(const char *program);
int __wrap_kvmb_jail_create(const char *program);
int __wrap_kvmb_jail_create(const char *program)
{
	return no_landlock ? -EOPNOTSUPP : __real_kvmb_jail_create(program);
}

/* ---- a daemon that was taken over ---- */

/* What it may do only where all of these protections are missing. 0: never. */
static const struct {
	const char *name;
	unsigned int unless;
} attacks[] = {
	{ "reads_passwd", KVMB_JAIL_NO_ROOT | KVMB_JAIL_NO_LANDLOCK },
	{ "reads_a_file", KVMB_JAIL_NO_ROOT | KVMB_JAIL_NO_LANDLOCK },
	{ "makes_a_file", KVMB_JAIL_NO_ROOT | KVMB_JAIL_NO_LANDLOCK },
	{ "writes_the_hosts_programs", KVMB_JAIL_NO_ROOT | KVMB_JAIL_NO_LANDLOCK },
	{ "writes_what_it_may_read", KVMB_JAIL_NO_LANDLOCK },
	{ "reads_memory_of_another", KVMB_JAIL_NO_ROOT | KVMB_JAIL_NO_LANDLOCK },
	{ "looks_at_processes", KVMB_JAIL_NO_ROOT | KVMB_JAIL_NO_LANDLOCK },
	{ "executes", KVMB_JAIL_NO_EXEC_ONCE },
	{ "executes_memory", KVMB_JAIL_NO_EXEC_ONCE },
	{ "makes_a_socket", KVMB_JAIL_NO_SECCOMP },
	{ "connects_by_io_uring", KVMB_JAIL_NO_ROOT },
	{ "connects_to_a_name_by_io_uring", KVMB_JAIL_NO_NAMESPACES },
	{ "opens_by_io_uring", KVMB_JAIL_NO_ROOT | KVMB_JAIL_NO_LANDLOCK },
	{ "kills", KVMB_JAIL_NO_SECCOMP | KVMB_JAIL_NO_NAMESPACES },
	{ "kills_by_pidfd", KVMB_JAIL_NO_SECCOMP | KVMB_JAIL_NO_NAMESPACES },
	{ "traces", KVMB_JAIL_NO_SECCOMP | KVMB_JAIL_NO_NAMESPACES },
	{ "reads_another", KVMB_JAIL_NO_SECCOMP | KVMB_JAIL_NO_NAMESPACES },
	{ "mounts", 0 },
	{ "unshares", KVMB_JAIL_NO_SECCOMP },
	{ "clones_into_namespaces", KVMB_JAIL_NO_SECCOMP },
	{ "enters_namespaces", 0 },
	{ "has_capabilities", 0 },
	{ "has_more_descriptors", 0 },
	{ "has_an_environment", 0 },
	{ "raises_limits_of_another", KVMB_JAIL_NO_SECCOMP | KVMB_JAIL_NO_NAMESPACES },
	{ "makes_its_file_set_user_id", 0 },
	{ "kills_by_an_owners_signal", 0 },
	{ "makes_a_process", 0 },
};

static int listen_at(const char *path, bool abstract)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + abstract +
				    strlen(path) + !abstract);

	strcpy(a.sun_path + abstract, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static unsigned int last_lacks;

/* Return: all that the attacker says; *@lacks is what its jail is without. */
static void attack(const char *const *argv, const int *files, char *said, size_t size,
		   unsigned int *lacks)
{
	struct kvmb_recipe r = { .kind = KVMB_RECIPE_DAEMON,
				 .argv = argv,
				 .files = files,
				 .num_files = 2,
				 .writable = 1,
				 .run_dir = dir };
	struct kvmb_keeper_news news;
	char why[256] = "";
	int channel = kvmb_keeper_register(&r, why, sizeof(why));
	ssize_t n, len = 0;

	assert_string_equal(why, "");
	assert_int_equal(kvmb_keeper_ask(channel, KVMB_KEEPER_START), 0);
	assert_int_equal(kvmb_keeper_wait(channel, KVMB_KEEPER_STARTED, &news, PATIENCE_MS), 0);
	assert_int_equal(news.err, 0);
	*lacks = news.lacks;
	while ((n = read(news.fd, said + len, size - 1 - (size_t)len)) > 0)
		len += n;
	said[len] = 0;
	close(news.fd);
	assert_int_equal(kvmb_keeper_close(channel, PATIENCE_MS), 0);
}

static void check_attacks(const char *said, unsigned int lacks)
{
	char line[64];
	size_t i, bad = 0;

	for (i = 0; kvmb_jail_lack_name((unsigned int)i); i++) {
		if (lacks >> i & 1)
			print_message("this host lacks: %s\n",
				      kvmb_jail_lack_name((unsigned int)i));
	}
	assert_non_null(strstr(said, "works 1\n"));
	for (i = 0; i < ARRAY_SIZE(attacks); i++) {
		snprintf(line, sizeof(line), "%s 0\n", attacks[i].name);
		if (strstr(said, line) ||
		    (attacks[i].unless && (lacks & attacks[i].unless) == attacks[i].unless))
			continue;
		print_error("not prevented: %s\n", attacks[i].name);
		bad++;
	}
	assert_int_equal(bad, 0);
}

static void run_attacks(void)
{
	char file[96], path[96], name[32], pid[16], said[4096];
	const char *argv[] = { "qemu-storage-daemon", file, path, name, pid, NULL };
	int files[2], by_path, by_name, status;
	unsigned int lacks;
	pid_t victim;

	snprintf(file, sizeof(file), "%s/secret", dir);
	snprintf(path, sizeof(path), "%s/control.sock", dir);
	snprintf(name, sizeof(name), "kvmbus-jail-%d", (int)getpid());
	close(open(file, O_CREAT | O_WRONLY, 0644));
	by_path = listen_at(path, false);
	by_name = listen_at(name, true);
	snprintf(file, sizeof(file), "%s/image", dir);
	files[0] = open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	snprintf(file, sizeof(file), "%s/parent", dir);
	files[1] = open(file, O_CREAT | O_RDONLY | O_CLOEXEC, 0600);
	snprintf(file, sizeof(file), "%s/secret", dir);
	victim = fork();
	if (!victim) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	snprintf(pid, sizeof(pid), "%d", (int)victim);
	attack(argv, files, said, sizeof(said), &lacks);
	check_attacks(said, lacks);
	last_lacks = lacks;
	assert_int_equal(waitpid(victim, &status, WNOHANG), 0); /* alive */
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	close(files[0]);
	close(files[1]);
	close(by_path);
	close(by_name);
	unlink(path);
}

static void one_that_was_taken_over_reaches_nothing(void **state)
{
	(void)state;
	stand_in(dir, "qemu-storage-daemon", "attacker");
	start_keeper();
	run_attacks();
	end_keeper();
}

/* What is left of the jail still does its part. */
static void what_a_host_lacks_is_told_and_the_rest_holds(void **state)
{
	unsigned int lacks;

	(void)state;
	stand_in(dir, "qemu-storage-daemon", "attacker");
	no_namespaces = true;
	start_keeper();
	run_attacks();
	end_keeper();
	lacks = KVMB_JAIL_NO_NAMESPACES | KVMB_JAIL_NO_ROOT;
	assert_int_equal(last_lacks & lacks, lacks);
	no_namespaces = false;
	no_landlock = true;
	start_keeper();
	run_attacks();
	end_keeper();
	no_landlock = false;
	assert_true(last_lacks & KVMB_JAIL_NO_LANDLOCK);
}

/* The same for a user without privileges, in a process of his own. */
static void nor_does_one_of_an_ordinary_user(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (geteuid())
		skip(); /* it was one */
	assert_int_equal(chown(dir, 65534, 65534), 0);
	stand_in(dir, "qemu-storage-daemon", "attacker");
	pid = fork();
	if (!pid) {
		if (setgid(65534) || setuid(65534))
			_exit(9);
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
		start_keeper();
		run_attacks();
		end_keeper();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_jail_opens_what_was_given_and_nothing_by_name),
		T(a_jail_has_no_new_sockets_and_no_privileges),
		T(a_jail_that_could_not_be_made_lets_nobody_out),
		T(one_that_was_taken_over_reaches_nothing),
		T(nor_does_one_of_an_ordinary_user),
		T(what_a_host_lacks_is_told_and_the_rest_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
