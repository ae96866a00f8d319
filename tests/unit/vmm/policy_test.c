// SPDX-License-Identifier: GPL-2.0-only
/* What threads of each class may not do, and what happens to one that does it. */
#include "vmm/policy.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/seccomp.h"
#include "lib/util.h"
#include "tests/unit/test.h"

#define DENIED EXDEV
#define MAX_CALLS 64

struct call {
	const char *what;
	long nr, args[6];
};

static int *results; /* shared with children: [MAX_CALLS] */

static int setup(void **state)
{
	(void)state;
	results = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return results == MAP_FAILED;
}

static int teardown(void **state)
{
	(void)state;
	return munmap(results, 4096);
}

/* In a process of its own, confined as a thread of @class, which denies with DENIED. */
static void make_calls(enum kvmb_thread_class class, const struct call *calls, size_t num)
{
	static struct kvmb_sys_program p;
	const long *a;
	int status;
	size_t i;
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (policy_program(class, SECCOMP_RET_ERRNO | DENIED, &p) ||
		    kvmb_seccomp_install(&p))
			_exit(1);
		for (i = 0; i < num; i++) {
			a = calls[i].args;
			results[i] = syscall(calls[i].nr, a[0], a[1], a[2], a[3], a[4], a[5]) < 0 ?
					     errno :
					     0;
		}
		syscall(SYS_exit, 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void no_class_reaches_anything_else(void **state)
{
	const struct call calls[] = {
		{ "open", SYS_open, { (long)"/" } },
		{ "openat", SYS_openat, { AT_FDCWD, (long)"/" } },
		{ "openat2", SYS_openat2, { AT_FDCWD, (long)"/" } },
		{ "open_by_handle_at", SYS_open_by_handle_at, { AT_FDCWD } },
		{ "creat", SYS_creat, { (long)"/" } },
		{ "unlink", SYS_unlink, { (long)"/" } },
		{ "rename", SYS_rename, { (long)"/", (long)"/" } },
		{ "symlink", SYS_symlink, { (long)"/", (long)"/" } },
		{ "chmod", SYS_chmod, { (long)"/" } },
		{ "execve", SYS_execve, { (long)"/bin/true" } },
		{ "execveat", SYS_execveat, { AT_FDCWD, (long)"/bin/true" } },
		{ "fork", SYS_fork },
		{ "vfork", SYS_vfork },
		{ "clone of a process", SYS_clone, { SIGCHLD } },
		{ "clone of a namespace", SYS_clone, { CLONE_NEWUSER | SIGCHLD } },
		{ "socket", SYS_socket, { 1, 1 } },
		{ "connect", SYS_connect, { 0 } },
		{ "bind", SYS_bind, { 0 } },
		{ "listen", SYS_listen, { 0 } },
		{ "sendto an address", SYS_sendto, { 0, 0, 0, 0, (long)"/", 2 } },
		{ "ptrace", SYS_ptrace, { 0 } },
		{ "process_vm_readv", SYS_process_vm_readv, { getpid() } },
		{ "process_vm_writev", SYS_process_vm_writev, { getpid() } },
		{ "pidfd_open", SYS_pidfd_open, { getpid() } },
		{ "pidfd_getfd", SYS_pidfd_getfd, { 0 } },
		{ "kill", SYS_kill, { getpid() } },
		{ "wait4", SYS_wait4, { -1, 0, WNOHANG } },
		{ "tkill", SYS_tkill, { getpid() } },
		{ "tgkill of another process", SYS_tgkill, { getpid(), getpid(), SIGABRT } },
		{ "mount", SYS_mount, { 0 } },
		{ "umount2", SYS_umount2, { 0 } },
		{ "fsopen", SYS_fsopen, { 0 } },
		{ "chroot", SYS_chroot, { (long)"/" } },
		{ "pivot_root", SYS_pivot_root, { (long)"/", (long)"/" } },
		{ "unshare", SYS_unshare, { CLONE_NEWUSER } },
		{ "setns", SYS_setns, { 0 } },
		{ "setuid", SYS_setuid, { 0 } },
		{ "capset", SYS_capset, { 0 } },
		{ "keyctl", SYS_keyctl, { 0 } },
		{ "bpf", SYS_bpf, { 0 } },
		{ "perf_event_open", SYS_perf_event_open, { 0 } },
		{ "userfaultfd", SYS_userfaultfd, { 0 } },
		{ "io_uring_setup", SYS_io_uring_setup, { 1 } },
		{ "io_uring_register", SYS_io_uring_register, { 0, IORING_REGISTER_RESTRICTIONS } },
		{ "memfd_create", SYS_memfd_create, { (long)"x" } },
		{ "personality", SYS_personality, { 0x0400000 } },
		{ "mmap of code", SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, -1 } },
		{ "mprotect of code", SYS_mprotect, { 0, 0, PROT_READ | PROT_EXEC } },
		{ "pkey_mprotect", SYS_pkey_mprotect, { 0, 0, PROT_EXEC, -1 } },
		{ "shmat", SYS_shmat, { 0 } },
		{ "sigaction", SYS_rt_sigaction, { SIGSYS, 0, 0, 8 } },
		{ "prctl", SYS_prctl, { PR_SET_DUMPABLE, 1 } },
		{ "seccomp", SYS_seccomp, { SECCOMP_GET_NOTIF_SIZES } },
		{ "prlimit", SYS_prlimit64, { 0 } },
		{ "KVM_CREATE_VM", SYS_ioctl, { -1, KVM_CREATE_VM } },
		{ "membarrier of others", SYS_membarrier, { MEMBARRIER_CMD_GLOBAL_EXPEDITED } },
		{ "KVM_CREATE_VCPU", SYS_ioctl, { -1, KVM_CREATE_VCPU } },
		{ "KVM_CREATE_DEVICE", SYS_ioctl, { -1, (long)KVM_CREATE_DEVICE } },
		{ "TIOCSTI", SYS_ioctl, { -1, 0x5412 } },
		{ "late writes", SYS_fcntl, { -1, F_SETFL, O_RDWR | O_DIRECT } },
	};
	enum kvmb_thread_class class;
	size_t i;

	(void)state;
	static_assert(ARRAY_SIZE(calls) <= MAX_CALLS, "room for the results");
	for (class = 0; class < KVMB_THREAD_NUM; class ++) {
		make_calls(class, calls, ARRAY_SIZE(calls));
		for (i = 0; i < ARRAY_SIZE(calls); i++) {
			if (results[i] != DENIED)
				fail_msg("%s: %s gives %d", kvmb_thread_class_name(class),
					 calls[i].what, results[i]);
		}
	}
}

static void classes_have_what_they_live_on(void **state)
{
	const struct call calls[] = {
		{ "KVM_RUN", SYS_ioctl, { -1, KVM_RUN } },
		{ "io_uring_enter", SYS_io_uring_enter, { -1 } },
		{ "readv", SYS_readv, { -1 } },
		{ "clone3", SYS_clone3, { 0 } },
		{ "mmap", SYS_mmap, { 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1 } },
		{ "own tgkill", SYS_tgkill, { 0, 0, SIGABRT } },
		{ "TUNGETIFF", SYS_ioctl, { -1, TUNGETIFF } },
		{ "SIOCSIFHWADDR", SYS_ioctl, { -1, SIOCSIFHWADDR } },
	};
	static const struct {
		enum kvmb_thread_class class;
		int results[ARRAY_SIZE(calls)];
	} expected[] = {
		{ KVMB_THREAD_VCPU, { EBADF, DENIED, DENIED, DENIED, 0, DENIED, DENIED, DENIED } },
		{ KVMB_THREAD_STORAGE,
		  { DENIED, EBADF, DENIED, ENOSYS, 0, DENIED, DENIED, DENIED } },
		{ KVMB_THREAD_NET, { DENIED, DENIED, EBADF, DENIED, 0, DENIED, DENIED, EBADF } },
		{ KVMB_THREAD_SOCKET,
		  { DENIED, DENIED, EBADF, DENIED, 0, DENIED, DENIED, DENIED } },
		{ KVMB_THREAD_MAIN, { DENIED, EBADF, EBADF, ENOSYS, 0, DENIED, EBADF, EBADF } },
	};
	size_t i, j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(expected); i++) {
		make_calls(expected[i].class, calls, ARRAY_SIZE(calls));
		for (j = 0; j < ARRAY_SIZE(calls); j++) {
			if (results[j] != expected[i].results[j])
				fail_msg("%s: %s gives %d",
					 kvmb_thread_class_name(expected[i].class), calls[j].what,
					 results[j]);
		}
	}
}

/* What machine_save() asks KVM; whoever runs a guest need not know it. */
static void main_may_read_what_is_saved(void **state)
{
	static const unsigned long requests[] = {
		KVM_GET_MP_STATE, KVM_GET_VCPU_EVENTS, KVM_GET_REGS,	    KVM_GET_SREGS,
		KVM_GET_SREGS2,	  KVM_GET_FPU,	       KVM_GET_XCRS,	    KVM_GET_DEBUGREGS,
		KVM_GET_LAPIC,	  KVM_GET_XSAVE,       KVM_GET_XSAVE2,	    KVM_GET_NESTED_STATE,
		KVM_GET_MSRS,	  KVM_GET_DEVICE_ATTR, KVM_CHECK_EXTENSION, KVM_GET_IRQCHIP,
		KVM_GET_PIT2,
	};
	static const char *const vcpus_too = "KVM_GET_MSRS, KVM_GET_REGS, KVM_GET_SREGS";
	struct call calls[ARRAY_SIZE(requests)];
	unsigned int allowed = 0;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		calls[i] = (struct call){ "", SYS_ioctl, { -1, (long)requests[i] } };
	make_calls(KVMB_THREAD_MAIN, calls, ARRAY_SIZE(calls));
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		CHECK_ROW(results[i], EBADF, i);
	make_calls(KVMB_THREAD_VCPU, calls, ARRAY_SIZE(calls));
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		allowed += results[i] != DENIED;
	if (allowed != 3)
		fail_msg("a vCPU may make %u of them, not %s", allowed, vcpus_too);
}

static void who_logs_changes_of_memory(void **state)
{
	const struct call calls[] = {
		{ "read", SYS_ioctl, { -1, KVM_GET_DIRTY_LOG } },
		{ "clear", SYS_ioctl, { -1, (long)KVM_CLEAR_DIRTY_LOG } },
		{ "begin", SYS_ioctl, { -1, KVM_SET_USER_MEMORY_REGION } },
		/* so it is without kvmb_dirty_log_prepare() */
		{ "fence", SYS_membarrier, { MEMBARRIER_CMD_PRIVATE_EXPEDITED } },
	};
	enum kvmb_thread_class class;
	bool takes, fences, may[ARRAY_SIZE(calls)];
	size_t i;

	(void)state;
	for (class = 0; class < KVMB_THREAD_NUM; class ++) {
		fences = class == KVMB_THREAD_MAIN;
		takes = fences || class == KVMB_THREAD_JOB;
		may[0] = may[1] = takes;
		/* firmware moves memory of a gen1 machine by a register */
		may[2] = fences || class == KVMB_THREAD_VCPU;
		may[3] = fences;
		make_calls(class, calls, ARRAY_SIZE(calls));
		for (i = 0; i < ARRAY_SIZE(calls); i++)
			CHECK_ROW(results[i],
				  !may[i] ? DENIED :
				  i < 3	  ? EBADF :
					    EPERM,
				  class * 10 + i);
	}
}

static void who_makes_threads_has_their_rows(void **state)
{
	static const struct {
		enum kvmb_thread_class maker, made;
	} pairs[] = {
		{ KVMB_THREAD_MAIN, KVMB_THREAD_STORAGE }, { KVMB_THREAD_MAIN, KVMB_THREAD_NET },
		{ KVMB_THREAD_MAIN, KVMB_THREAD_DISK },	   { KVMB_THREAD_MAIN, KVMB_THREAD_JOB },
		{ KVMB_THREAD_MAIN, KVMB_THREAD_SINK },	   { KVMB_THREAD_MAIN, KVMB_THREAD_GUARD },
		{ KVMB_THREAD_MAIN, KVMB_THREAD_OVERDUE }, { KVMB_THREAD_JOB, KVMB_THREAD_DISK },
		{ KVMB_THREAD_MAIN, KVMB_THREAD_SOCKET },
	};
	const struct kvmb_sys_rule *rules;
	size_t num, i, j;

	(void)state;
	rules = policy_rules(&num);
	assert_true(num > 50);
	for (i = 0; i < num; i++) {
		for (j = 0; j < ARRAY_SIZE(pairs); j++) {
			if (rules[i].classes >> pairs[j].made & 1 &&
			    !(rules[i].classes >> pairs[j].maker & 1))
				fail_msg("%s has row %zu (%s), its maker %s has not",
					 kvmb_thread_class_name(pairs[j].made), i,
					 kvmb_syscall_name((int)rules[i].nr),
					 kvmb_thread_class_name(pairs[j].maker));
		}
	}
}

/* ---- a violation ---- */

static void *violate(void *arg)
{
	kvmb_thread_enter(KVMB_THREAD_STORAGE, "scsi0/1");
	syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY, 0);
	return arg;
}

/* Return: status of a process in which a thread does what it may not; text[size]: its log. */
static int run_violation(enum policy_mode mode, bool blocked, char *text, size_t size)
{
	sigset_t all;
	pthread_t t;
	char why[80];
	int log[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(log), 0);
	pid = fork();
	if (!pid) {
		dup2(log[1], STDERR_FILENO);
		if (policy_install(mode, "web", why, sizeof(why)))
			_exit(1);
		sigfillset(&all);
		if (blocked)
			pthread_sigmask(SIG_SETMASK, &all, NULL);
		if (pthread_create(&t, NULL, violate, NULL))
			_exit(2);
		if (mode == POLICY_STRICT)
			pause();
		pthread_join(t, NULL);
		_exit(0);
	}
	close(log[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	n = read(log[0], text, size - 1);
	text[n > 0 ? n : 0] = 0;
	close(log[0]);
	return status;
}

static void a_violation_ends_the_process_with_one_line(void **state)
{
	char text[400];
	int i, status;

	(void)state;
	for (i = 0; i < 2; i++) { /* also in a thread that blocks all signals */
		status = run_violation(POLICY_STRICT, i, text, sizeof(text));
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
		assert_string_equal(text,
				    "kvmbus: web: sandbox: thread scsi0/1 (storage) made "
				    "system call openat (257), which it may not; the VM ends\n");
	}
}

static void without_a_policy_nothing_happens(void **state)
{
	char text[400];

	(void)state;
	assert_int_equal(run_violation(POLICY_OFF, false, text, sizeof(text)), 0);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_class_reaches_anything_else),   T(classes_have_what_they_live_on),
		T(main_may_read_what_is_saved),	     T(who_logs_changes_of_memory),
		T(who_makes_threads_has_their_rows), T(a_violation_ends_the_process_with_one_line),
		T(without_a_policy_nothing_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
