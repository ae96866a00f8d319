// SPDX-License-Identifier: GPL-2.0-only
/*
 * attack PID OTHER-PID OTHER-SOCKET CLASS...: code execution in a live VM, thread by thread.
 * attack --deadly PID CLASS: one call that nobody keeps from what follows.
 *
 * As root, who may trace what no sandbox lets anybody else trace: one thread of each class is
 * stopped and made to execute a system call instruction with the registers of an attack. What the
 * kernel says is noted: SIGSYS (which is then held back, so that the process lives), an error, or
 * that it was done. Then the thread gets its registers back and goes on. A class is the beginning
 * of a thread's name; "main" is the first thread; "daemon" is a process without classes, where each
 * attempt must give an error.
 *
 * Exit status: 1 when an attempt was not denied, 2 when a class has no thread.
 *
 * Source: ptrace(2), Linux Documentation/userspace-api/seccomp_filter.rst; the layout of an
 * io_uring's shared memory is read from one of our own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCRATCH 4096 /* bytes below the stack pointer that are ours; beyond the red zone */
#define DONE 1	     /* what an attempt came to; else -errno or DIED */
#define SIGNALLED 2

static pid_t victim, other_pid;
static const char *other_socket;
static bool is_daemon; /* the process has no thread classes, and errors instead of SIGSYS */
static int mem_fd;
static uint64_t syscall_at; /* a system call instruction in the victim */
static unsigned int failures, attempts;

static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(": %s\n", strerror(errno));
	exit(3);
}

/* ---- the victim ---- */

static void find_syscall(void)
{
	char name[64], line[512], *code;
	uint64_t from, to, i;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/maps", victim);
	f = fopen(name, "re");
	if (!f)
		die("%s", name);
	while (!syscall_at && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx", &from, &to) != 2 || !strstr(line, " r-xp ") ||
		    !strstr(line, "libc.so"))
			continue;
		code = malloc(to - from);
		if (pread(mem_fd, code, to - from, (off_t)from) != (ssize_t)(to - from))
			die("reading code");
		for (i = 0; i + 1 < to - from && !syscall_at; i++) {
			if (code[i] == 0x0f && code[i + 1] == 0x05)
				syscall_at = from + i;
		}
		free(code);
	}
	fclose(f);
	if (!syscall_at)
		die("no system call instruction");
}

/* A descriptor of the victim whose link has @what; the last one. Return: -1 if there is none. */
static int find_fd(const char *what)
{
	char name[300], link[300];
	struct dirent *e;
	int fd = -1;
	ssize_t n;
	DIR *d;

	snprintf(name, sizeof(name), "/proc/%d/fd", victim);
	d = opendir(name);
	while (d && (e = readdir(d))) {
		snprintf(name, sizeof(name), "/proc/%d/fd/%s", victim, e->d_name);
		n = readlink(name, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = 0;
		if (strstr(link, what) && atoi(e->d_name) > fd)
			fd = atoi(e->d_name);
	}
	closedir(d);
	return fd;
}

/* Return: 0 when it has none. */
static pid_t find_thread(const char *class)
{
	char name[300], comm[32];
	pid_t tid = 0;
	struct dirent *e;
	FILE *f;
	DIR *d;

	if (!strcmp(class, "main") || !strcmp(class, "daemon"))
		return victim;
	snprintf(name, sizeof(name), "/proc/%d/task", victim);
	d = opendir(name);
	while (d && !tid && (e = readdir(d))) {
		snprintf(name, sizeof(name), "/proc/%d/task/%s/comm", victim, e->d_name);
		f = fopen(name, "re");
		if (f && fgets(comm, sizeof(comm), f) && !strncmp(comm, class, strlen(class)))
			tid = atoi(e->d_name);
		if (f)
			fclose(f);
	}
	closedir(d);
	return tid;
}

/* ---- one thread, stopped ---- */

struct thread {
	pid_t tid;
	struct user_regs_struct saved;
};

static int wait_stop(pid_t tid)
{
	int status;

	if (waitpid(tid, &status, __WALL) != tid)
		die("waiting for %d", tid);
	if (!WIFSTOPPED(status)) {
		printf("thread %d ended: %x\n", tid, status);
		exit(3);
	}
	return status;
}

/* @stopped: it is, at a signal, which is dropped */
static void interrupt(pid_t tid, bool stopped)
{
	int status;

	if (ptrace(PTRACE_INTERRUPT, tid, 0, 0) || (stopped && ptrace(PTRACE_CONT, tid, 0, 0)))
		die("PTRACE_INTERRUPT");
	while (status = wait_stop(tid), status >> 16 != PTRACE_EVENT_STOP)
		ptrace(PTRACE_CONT, tid, 0, WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status));
}

static void stop_thread(struct thread *t, pid_t tid)
{
	t->tid = tid;
	if (ptrace(PTRACE_SEIZE, tid, 0, 0))
		die("PTRACE_SEIZE %d", tid);
	interrupt(tid, false);
	if (ptrace(PTRACE_GETREGS, tid, 0, &t->saved))
		die("PTRACE_GETREGS");
}

static uint64_t scratch(const struct thread *t)
{
	return (t->saved.rsp - SCRATCH) & ~15ull;
}

static void prepare(const struct thread *t, long nr, const uint64_t *args)
{
	struct user_regs_struct r = t->saved;

	r.orig_rax = (uint64_t)-1; /* nothing to restart */
	r.rax = (uint64_t)nr;
	r.rip = syscall_at;
	r.rsp = scratch(t);
	r.rdi = args[0], r.rsi = args[1], r.rdx = args[2];
	r.r10 = args[3], r.r8 = args[4], r.r9 = args[5];
	if (ptrace(PTRACE_SETREGS, t->tid, 0, &r))
		die("PTRACE_SETREGS");
}

/* The call, up to its end or its signal. */
static int step(const struct thread *t, long nr, const uint64_t *args, int64_t *result)
{
	struct user_regs_struct r;
	siginfo_t si;
	int status;

	prepare(t, nr, args);
	do { /* other signals, a vCPU's kick, wait; a trap of the step before may come first */
		if (ptrace(PTRACE_SINGLESTEP, t->tid, 0, 0))
			die("PTRACE_SINGLESTEP");
		status = wait_stop(t->tid);
		if (ptrace(PTRACE_GETREGS, t->tid, 0, &r))
			die("PTRACE_GETREGS");
		if (WSTOPSIG(status) == SIGSEGV || WSTOPSIG(status) == SIGILL)
			die("the thread crashed");
	} while (WSTOPSIG(status) != SIGSYS &&
		 !(WSTOPSIG(status) == SIGTRAP && r.rip == syscall_at + 2));
	*result = (int64_t)r.rax;
	if (WSTOPSIG(status) != SIGSYS)
		return *result < 0 ? (int)*result : DONE;
	if (ptrace(PTRACE_GETSIGINFO, t->tid, 0, &si) || si.si_syscall != nr)
		die("SIGSYS, but not for call %ld", nr);
	return SIGNALLED;
}

/* It goes on where it was; the kernel restarts the call that we have interrupted. */
static void release_thread(struct thread *t)
{
	int64_t got;

	step(t, SYS_getpid, (const uint64_t[6]){ 0 }, &got); /* no trap is left to come */
	interrupt(t->tid, true);
	if (ptrace(PTRACE_SETREGS, t->tid, 0, &t->saved) || ptrace(PTRACE_DETACH, t->tid, 0, 0))
		die("letting %d go", t->tid);
}

/* ---- attempts ---- */

struct attempt {
	const char *what;
	long nr;
	uint64_t args[6];
	const void *data; /* is put into the victim; args that are DATA become its address */
	size_t len;
};

#define DATA 0xdadadadaull
#define TEXT(s) .data = (s), .len = sizeof(s)
#define MAX_ATTEMPTS 40

static struct sockaddr_un unix_address;
static struct sockaddr_in tcp_address = { .sin_family = AF_INET };
static char other_mem[64];
static struct attempt list[MAX_ATTEMPTS];
static unsigned int num;

static void add(struct attempt a)
{
	list[num++] = a;
}

static void make_list(void)
{
	int kvm = find_fd("/dev/kvm"), socket_fd = find_fd("socket:");
	uint64_t here = (uint64_t)AT_FDCWD;

	snprintf(other_mem, sizeof(other_mem), "/proc/%d/mem", other_pid);
	unix_address.sun_family = AF_UNIX;
	snprintf(unix_address.sun_path, sizeof(unix_address.sun_path), "%s", other_socket);
	tcp_address.sin_port = htons(22);
	tcp_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	add((struct attempt){
		"open /etc/shadow", SYS_openat, { here, DATA }, TEXT("/etc/shadow") });
	add((struct attempt){ "open the memory of another VM",
			      SYS_openat,
			      { here, DATA, O_RDWR },
			      other_mem,
			      sizeof(other_mem) });
	add((struct attempt){ "execve of a shell", SYS_execve, { DATA, 0, 0 }, TEXT("/bin/sh") });
	add((struct attempt){
		"execve of a setuid program", SYS_execve, { DATA, 0, 0 }, TEXT("/usr/bin/su") });
	add((struct attempt){ "socket (Unix)", SYS_socket, { AF_UNIX, SOCK_STREAM } });
	add((struct attempt){ "socket (TCP)", SYS_socket, { AF_INET, SOCK_STREAM } });
	add((struct attempt){ "connect to the control socket of another VM",
			      SYS_connect,
			      { (uint64_t)socket_fd, DATA, sizeof(unix_address) },
			      &unix_address,
			      sizeof(unix_address) });
	add((struct attempt){ "connect by TCP",
			      SYS_connect,
			      { (uint64_t)socket_fd, DATA, sizeof(tcp_address) },
			      &tcp_address,
			      sizeof(tcp_address) });
	add((struct attempt){
		"ptrace of another VM", SYS_ptrace, { PTRACE_SEIZE, (uint64_t)other_pid } });
	add((struct attempt){ "process_vm_writev to another VM",
			      SYS_process_vm_writev,
			      { (uint64_t)other_pid, 0, 0, 0, 0 } });
	add((struct attempt){ "kill of another VM", SYS_kill, { (uint64_t)other_pid, SIGCONT } });
	add((struct attempt){ "mount", SYS_mount, { DATA, DATA, DATA }, TEXT("proc") });
	add((struct attempt){ "unshare(CLONE_NEWUSER)", SYS_unshare, { CLONE_NEWUSER } });
	if (is_daemon) /* it needs the rest itself, or has no such descriptor */
		return;
	add((struct attempt){ "fork", SYS_clone, { SIGCHLD } });
	add((struct attempt){ "KVM_CREATE_VM", SYS_ioctl, { (uint64_t)kvm, KVM_CREATE_VM } });
	add((struct attempt){ "memory that can be executed",
			      SYS_mmap,
			      { 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1 } });
	add((struct attempt){ "io_uring_setup",
			      SYS_io_uring_setup,
			      { 4, DATA },
			      &(struct io_uring_params){ 0 },
			      sizeof(struct io_uring_params) });
	add((struct attempt){ "another handler of SIGSYS",
			      SYS_rt_sigaction,
			      { SIGSYS, DATA, 0, 8 },
			      TEXT("1234567890123456789012345678901") });
}

static void put_data(const struct thread *t, const void *data, size_t len)
{
	if (len > SCRATCH || pwrite(mem_fd, data, len, (off_t)scratch(t)) != (ssize_t)len)
		die("writing into %d", t->tid);
}

static void note(const char *class, const char *what, int result, bool denied)
{
	attempts++;
	failures += !denied;
	printf("%-8s | %-46s | %s%s\n", class, what,
	       result == SIGNALLED ? "SIGSYS" :
	       result == DONE	   ? "DONE" :
				     strerrorname_np(-result),
	       denied ? "" : " <- not denied");
}

/* attack.sh has seen that what is tried is there. */
static bool is_denial(int result)
{
	/* a daemon sees none of these files, and has had the one exec that it gets */
	return result == SIGNALLED || (is_daemon && (result == -EPERM || result == -EACCES ||
						     result == -ENOENT || result == -ENOSYS));
}

static void try_list(const char *class, struct thread *t)
{
	struct attempt *a;
	uint64_t args[6];
	int64_t got;
	int result, i;

	for (a = list; a < list + num; a++) {
		if (a->data)
			put_data(t, a->data, a->len);
		for (i = 0; i < 6; i++)
			args[i] = a->args[i] == DATA ? scratch(t) : a->args[i];
		result = step(t, a->nr, args, &got);
		note(class, a->what, result, is_denial(result));
	}
}

/* ---- through a ring that the VM has ---- */

struct ring {
	uint32_t *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

/* The last ring is one of a controller that the VM does not have: nobody misses what we use up. */
static int share_ring(struct ring *r, int fd)
{
	struct io_uring_params p = { 0 };
	int own = (int)syscall(SYS_io_uring_setup, 64, &p), pidfd, shared;
	char *m;

	pidfd = (int)syscall(SYS_pidfd_open, victim, 0);
	shared = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (own < 0 || shared < 0)
		die("sharing a ring");
	m = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED,
		 shared, IORING_OFF_SQ_RING); /* completions are in between */
	r->sqes = mmap(NULL, p.sq_entries * sizeof(*r->sqes), PROT_READ | PROT_WRITE, MAP_SHARED,
		       shared, IORING_OFF_SQES);
	if (m == MAP_FAILED || r->sqes == MAP_FAILED)
		die("mapping a ring");
	r->sq_tail = (uint32_t *)(m + p.sq_off.tail);
	r->sq_mask = (uint32_t *)(m + p.sq_off.ring_mask);
	r->sq_array = (uint32_t *)(m + p.sq_off.array);
	r->cq_head = (uint32_t *)(m + p.cq_off.head);
	r->cq_tail = (uint32_t *)(m + p.cq_off.tail);
	r->cq_mask = (uint32_t *)(m + p.cq_off.ring_mask);
	r->cqes = (struct io_uring_cqe *)(m + p.cq_off.cqes);
	close(own);
	close(pidfd);
	return shared;
}

static void try_ring(const char *class, struct thread *t, struct ring *r, int fd, const char *what,
		     const struct io_uring_sqe *sqe)
{
	uint64_t args[6] = { (uint64_t)fd, 1, 1, IORING_ENTER_GETEVENTS, 0, 0 };
	uint32_t tail = *r->sq_tail, head;
	int result;
	int64_t got;

	r->sqes[tail & *r->sq_mask] = *sqe;
	r->sq_array[tail & *r->sq_mask] = tail & *r->sq_mask;
	__atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
	result = step(t, SYS_io_uring_enter, args, &got);
	if (result == SIGNALLED) {
		__atomic_store_n(r->sq_tail, tail, __ATOMIC_RELEASE);
		note(class, what, result, true);
		return;
	}
	head = *r->cq_head;
	if (result != DONE || head == __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE)) {
		printf("%s: io_uring_enter: %ld\n", class, (long)got);
		exit(3);
	}
	result = r->cqes[head & *r->cq_mask].res;
	__atomic_store_n(r->cq_head, head + 1, __ATOMIC_RELEASE);
	result = result < 0 ? result : DONE;
	note(class, what, result, result == -EACCES);
}

static void try_rings(const char *class, struct thread *t)
{
	int fd = find_fd("anon_inode:[io_uring]"), shared;
	struct io_uring_sqe open_sqe = { .opcode = IORING_OP_OPENAT,
					 .fd = AT_FDCWD,
					 .addr = scratch(t) };
	struct io_uring_sqe connect_sqe = { .opcode = IORING_OP_CONNECT,
					    .fd = find_fd("socket:"),
					    .addr = scratch(t),
					    .off = sizeof(unix_address) };
	struct ring r;

	if (fd < 0) {
		errno = ENOENT;
		die("the VM has no ring");
	}
	shared = share_ring(&r, fd);
	put_data(t, "/etc/shadow", sizeof("/etc/shadow"));
	try_ring(class, t, &r, fd, "OPENAT through an io_uring of the VM", &open_sqe);
	put_data(t, &unix_address, sizeof(unix_address));
	try_ring(class, t, &r, fd, "CONNECT through an io_uring of the VM", &connect_sqe);
	close(shared);
}

/* ---- all of it ---- */

static bool attack(const char *class)
{
	pid_t tid = find_thread(class);
	struct thread t;

	if (!tid) {
		printf("%-8s | no such thread\n", class);
		return false;
	}
	stop_thread(&t, tid);
	try_list(class, &t);
	if (!is_daemon)
		try_rings(class, &t);
	release_thread(&t);
	return true;
}

/* The signal comes through. */
static int attack_deadly(const char *class)
{
	pid_t tid = find_thread(class);
	uint64_t args[6] = { (uint64_t)AT_FDCWD };
	struct thread t;

	if (!tid)
		return 2;
	stop_thread(&t, tid);
	args[1] = scratch(&t);
	prepare(&t, SYS_openat, args);
	if (ptrace(PTRACE_CONT, tid, 0, 0)) /* no step, whose trap would come as well */
		die("PTRACE_CONT");
	if (WSTOPSIG(wait_stop(tid)) != SIGSYS)
		return 1;
	return ptrace(PTRACE_DETACH, tid, 0, SIGSYS) ? 3 : 0;
}

int main(int argc, char **argv)
{
	bool deadly = argc > 1 && !strcmp(argv[1], "--deadly"), all = true;
	char name[64];
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 4)
		return 3;
	victim = atoi(argv[deadly ? 2 : 1]);
	snprintf(name, sizeof(name), "/proc/%d/mem", victim);
	mem_fd = open(name, O_RDWR | O_CLOEXEC);
	if (mem_fd < 0)
		die("%s", name);
	find_syscall();
	if (deadly)
		return attack_deadly(argv[3]);
	other_pid = atoi(argv[2]);
	other_socket = argv[3];
	is_daemon = argc > 4 && !strcmp(argv[4], "daemon");
	make_list();
	for (i = 4; i < argc; i++)
		all = attack(argv[i]) && all;
	printf("%u attempts, %u not denied\n", attempts, failures);
	return failures ? 1 : all ? 0 : 2;
}
