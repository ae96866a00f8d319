// SPDX-License-Identifier: GPL-2.0-only
/*
 * A storage daemon that an image has taken over, in its jail, as jail_test.c has the keeper start
 * it: tries everything and says on its monitor what worked. No sanitizer: it needs /proc.
 *
 * Arguments: a file, a listening Unix socket, the name of a listening abstract socket, a process.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/keeper.h"

static const char *victim_file, *victim_path, *victim_name;
static pid_t victim;

static bool opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool reads_passwd(void)
{
	return opens("/etc/passwd", O_RDONLY);
}

static bool reads_a_file(void)
{
	return opens(victim_file, O_RDONLY);
}

static bool makes_a_file(void)
{
	return opens("/made-in-jail", O_CREAT | O_RDWR) ||
	       opens("/tmp/made-in-jail", O_CREAT | O_RDWR);
}

static bool writes_the_hosts_programs(void)
{
	return opens("/usr/made-in-jail", O_CREAT | O_RDWR) || opens("/usr/bin/true", O_RDWR);
}

static bool writes_what_it_may_read(void)
{
	return opens("/proc/self/fd/21", O_RDWR); /* KVMB_RECIPE_FILES + 1 */
}

static bool reads_memory_of_another(void)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)victim);
	return opens(path, O_RDONLY) || opens("/proc/1/environ", O_RDONLY);
}

static bool looks_at_processes(void)
{
	return opens("/proc/version", O_RDONLY) || opens("/proc/self/maps", O_RDONLY);
}

/* ---- other programs ---- */

static bool child_says(int (*fn)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(fn());
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       !WEXITSTATUS(status);
}

static int run_true(void)
{
	char *argv[] = { "true", NULL };

	execve("/usr/bin/true", argv, NULL);
	return 1;
}

static int run_memory(void)
{
	char *argv[] = { "true", NULL }, buf[65536];
	int from = open("/usr/bin/true", O_RDONLY), to = memfd_create("x", 0);
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0) {
		if (write(to, buf, (size_t)n) != n)
			return 1;
	}
	syscall(SYS_execveat, to, "", argv, NULL, AT_EMPTY_PATH);
	return 1;
}

static bool executes(void)
{
	return child_says(run_true);
}

static bool executes_memory(void)
{
	return child_says(run_memory);
}

/* ---- sockets ---- */

static socklen_t address(struct sockaddr_un *a, bool abstract)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	strcpy(a->sun_path + abstract, abstract ? victim_name : victim_path);
	return abstract ? (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
				      strlen(victim_name)) :
			  sizeof(*a);
}

static bool makes_a_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

struct uring {
	int fd;
	struct io_uring_params p;
	char *ring;
	struct io_uring_sqe *sqes;
};

static bool uring_open(struct uring *u)
{
	memset(u, 0, sizeof(*u));
	u->fd = (int)syscall(SYS_io_uring_setup, 4, &u->p);
	if (u->fd < 0)
		return false;
	u->ring = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, u->fd, IORING_OFF_SQ_RING);
	if (u->ring == MAP_FAILED)
		u->ring = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, u->fd,
			       IORING_OFF_SQ_RING);
	u->sqes = mmap(NULL, 4 * sizeof(*u->sqes), PROT_READ | PROT_WRITE, MAP_SHARED, u->fd,
		       IORING_OFF_SQES);
	return u->ring != MAP_FAILED && u->sqes != MAP_FAILED;
}

/* One operation. Return: its result. */
static int uring_do(struct uring *u, const struct io_uring_sqe *sqe)
{
	unsigned int *tail = (unsigned int *)(u->ring + u->p.sq_off.tail), i = *tail & 3;
	unsigned int *head = (unsigned int *)(u->ring + u->p.cq_off.head);
	struct io_uring_cqe *cqes = (struct io_uring_cqe *)(u->ring + u->p.cq_off.cqes);
	int result;

	u->sqes[i] = *sqe;
	((unsigned int *)(u->ring + u->p.sq_off.array))[i] = i;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, u->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -EIO;
	result = cqes[*head & (u->p.cq_entries - 1)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

#define OP_SOCKET 45 /* newer than our headers */

static bool uring_connects(bool abstract)
{
	struct sockaddr_un a;
	socklen_t len = address(&a, abstract);
	struct io_uring_sqe make = { .opcode = OP_SOCKET, .fd = AF_UNIX, .off = SOCK_STREAM };
	struct io_uring_sqe connect = { .opcode = IORING_OP_CONNECT,
					.addr = (uintptr_t)&a,
					.off = len };
	struct uring u;
	int fd;

	if (!uring_open(&u))
		return false;
	fd = uring_do(&u, &make);
	connect.fd = fd;
	return fd >= 0 && !uring_do(&u, &connect);
}

static bool connects_by_io_uring(void)
{
	return uring_connects(false);
}

static bool connects_to_a_name_by_io_uring(void)
{
	return uring_connects(true);
}

static bool opens_by_io_uring(void)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_OPENAT,
				    .fd = AT_FDCWD,
				    .addr = (uintptr_t)victim_file };
	struct uring u;

	return uring_open(&u) && uring_do(&u, &sqe) >= 0;
}

/* ---- other processes ---- */

static bool kills(void)
{
	return !kill(victim, SIGKILL) || !kill(-1, 0) ||
	       !kill(getppid() ? getppid() : victim, SIGKILL) ||
	       !syscall(SYS_tgkill, victim, victim, SIGKILL) ||
	       !syscall(SYS_tkill, victim, SIGKILL);
}

static bool kills_by_pidfd(void)
{
	int fd = (int)syscall(SYS_pidfd_open, victim, 0);

	return fd >= 0 && !syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
}

static bool traces(void)
{
	return !ptrace(PTRACE_SEIZE, victim, 0, 0) || !ptrace(PTRACE_ATTACH, victim, 0, 0);
}

static bool reads_another(void)
{
	static char shown = 'x'; /* the victim is no fork of ours: that it could be asked counts */
	char c;
	struct iovec ours = { &c, 1 }, theirs = { &shown, 1 };

	return process_vm_readv(victim, &ours, 1, &theirs, 1, 0) == 1 || errno == EFAULT;
}

/* ---- the kernel ---- */

static bool mounts(void)
{
	return !mount("none", "/dev", "tmpfs", 0, NULL) || syscall(SYS_fsopen, "tmpfs", 0) >= 0 ||
	       !mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL);
}

static bool unshares(void)
{
	return !unshare(CLONE_NEWUSER) || !unshare(CLONE_NEWNS);
}

static bool clones_into_namespaces(void)
{
	static const unsigned long flags[] = { CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET };
	unsigned long long args[8] = { CLONE_NEWUSER, [4] = SIGCHLD };
	long pid;
	int i;

	for (i = 0; i < 4; i++) {
		pid = i < 3 ? syscall(SYS_clone, flags[i] | SIGCHLD, 0, 0, 0, 0) :
			      syscall(SYS_clone3, args, 64);
		if (!pid)
			_exit(0);
		if (pid > 0)
			return true;
	}
	return false;
}

static bool enters_namespaces(void)
{
	return !setns(KVMB_RECIPE_FILES, 0);
}

static bool has_capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct have[2] = { 0 };

	if (syscall(SYS_capget, &h, have))
		return true;
	return have[0].permitted & ~(1u << CAP_DAC_OVERRIDE) || have[1].permitted ||
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}

static bool has_more_descriptors(void)
{
	int i;

	for (i = 3; i < 4096; i++) {
		if (fcntl(i, F_GETFD) >= 0 && i != KVMB_RECIPE_SOCKET && i != KVMB_RECIPE_MONITOR &&
		    i != KVMB_RECIPE_FILES && i != KVMB_RECIPE_FILES + 1)
			return true;
	}
	return false;
}

extern char **environ;

static bool has_an_environment(void)
{
	return environ[0];
}

static bool raises_limits_of_another(void)
{
	unsigned long long limit[2] = { 1, 1 };

	return !syscall(SYS_prlimit64, victim, 7, limit, NULL);
}

static bool makes_its_file_set_user_id(void)
{
	return !fchmod(KVMB_RECIPE_FILES, 04755) || !chmod("/proc/self/fd/20", 04755);
}

static bool kills_by_an_owners_signal(void)
{
	return !fcntl(KVMB_RECIPE_SOCKET, F_SETSIG, SIGKILL) ||
	       !fcntl(KVMB_RECIPE_SOCKET, F_SETOWN, victim);
}

static int nothing(void)
{
	return 0;
}

static bool makes_a_process(void)
{
	return child_says(nothing);
}

/* What it needs: its own file again, libraries, a pair of sockets, threads. */
static bool works(void)
{
	int sv[2];

	return opens("/proc/self/fd/20", O_RDWR) && opens("/dev/null", O_RDWR) &&
	       opens("/proc/self/fd/21", O_RDONLY) && !socketpair(AF_UNIX, SOCK_STREAM, 0, sv) &&
	       !kill(getpid(), 0);
}

static const struct {
	const char *name;
	bool (*try)(void);
} attacks[] = {
#define A(name)             \
	{                   \
#name, name \
	}
	A(has_more_descriptors), /* before some are made here */
	A(works),
	A(reads_passwd),
	A(reads_a_file),
	A(makes_a_file),
	A(writes_the_hosts_programs),
	A(writes_what_it_may_read),
	A(reads_memory_of_another),
	A(looks_at_processes),
	A(executes),
	A(executes_memory),
	A(makes_a_socket),
	A(connects_by_io_uring),
	A(connects_to_a_name_by_io_uring),
	A(opens_by_io_uring),
	A(kills),
	A(kills_by_pidfd),
	A(traces),
	A(reads_another),
	A(mounts),
	A(unshares),
	A(clones_into_namespaces),
	A(enters_namespaces),
	A(has_capabilities),
	A(has_an_environment),
	A(raises_limits_of_another),
	A(makes_its_file_set_user_id),
	A(kills_by_an_owners_signal),
	A(makes_a_process),
};

int main(int argc, char **argv)
{
	size_t i;

	if (argc != 5)
		return 2;
	victim_file = argv[1];
	victim_path = argv[2];
	victim_name = argv[3];
	victim = atoi(argv[4]);
	for (i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		dprintf(KVMB_RECIPE_MONITOR, "%s %d\n", attacks[i].name, attacks[i].try());
	return 0;
}
