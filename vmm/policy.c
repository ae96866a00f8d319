// SPDX-License-Identifier: GPL-2.0-only
/* The table of system calls, and what happens to one that is not in it; policy.h explains. */
#include "vmm/policy.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/seccomp.h"
#include "lib/util.h"

/* ---- the table ---- */

#define MAIN (1u << KVMB_THREAD_MAIN)
#define VCPU (1u << KVMB_THREAD_VCPU)
#define STORAGE (1u << KVMB_THREAD_STORAGE)
#define NET (1u << KVMB_THREAD_NET)
#define DISK (1u << KVMB_THREAD_DISK)
#define JOB (1u << KVMB_THREAD_JOB)
#define SINK (1u << KVMB_THREAD_SINK)
#define GUARD (1u << KVMB_THREAD_GUARD)
#define OVERDUE (1u << KVMB_THREAD_OVERDUE)
#define SOCKET (1u << KVMB_THREAD_SOCKET)
#define ALL ((1u << KVMB_THREAD_NUM) - 1)
#define MAKERS (MAIN | JOB | STORAGE) /* of threads */
#define DISKS (MAIN | JOB | DISK)     /* of these each makes the next */

/* clang-format off */
#define ROW(call, who, ...) { .nr = __NR_##call, .classes = (who), __VA_ARGS__ }
#define WHEN(...) .when = { __VA_ARGS__ }
#define IS(n, v) { KVMB_SYS_IS, n, v }
#define IS32(n, v) { KVMB_SYS_IS32, n, (uint32_t)(v) }
#define WITHOUT(n, v) { KVMB_SYS_WITHOUT, n, v }
#define OWN(n) { KVMB_SYS_OWN_PID, n, 0 }
#define REQUEST(name, who, ...) ROW(ioctl, who, WHEN(IS32(1, name)), __VA_ARGS__)

#define THREAD_FLAGS                                                                            \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |     \
	 CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

static const struct kvmb_sys_rule rules[] = {
	/* what is called often comes first: only these rows are looked at each time */
	REQUEST(KVM_RUN, VCPU),
	REQUEST(KVM_IRQ_LINE, VCPU | MAIN | STORAGE | NET | DISK | JOB,
		.why = "serial port, IDE, legacy NIC"),
	REQUEST(KVM_GET_CLOCK, VCPU | MAIN),
	ROW(sendto, ALL, WHEN(IS(4, 0)), .why = "to who is connected, no address"),
	ROW(mmap, ALL, WHEN(WITHOUT(2, PROT_EXEC)), .why = "malloc; main: rings of channels"),
	ROW(tgkill, VCPU | MAIN, WHEN(OWN(0), IS32(2, SIGUSR1)), .why = "ends KVM_RUN"),

	/* a vCPU looks at itself when it stops or the guest reports a crash; main resets it */
	REQUEST(KVM_GET_MSRS, VCPU | MAIN),
	REQUEST(KVM_GET_REGS, VCPU | MAIN),
	REQUEST(KVM_GET_SREGS, VCPU | MAIN),
	REQUEST(KVM_SET_MSRS, MAIN),
	REQUEST(KVM_SET_CPUID2, MAIN, .why = "of a VM that comes from elsewhere"),
	REQUEST(KVM_SET_TSC_KHZ, MAIN, .why = "of a VM that comes from another host"),
	REQUEST(KVM_SET_REGS, MAIN),
	REQUEST(KVM_SET_SREGS, MAIN),
	REQUEST(KVM_SET_FPU, MAIN),
	REQUEST(KVM_SET_XSAVE, MAIN),
	REQUEST(KVM_SET_XCRS, MAIN),
	REQUEST(KVM_SET_LAPIC, MAIN),
	REQUEST(KVM_SET_DEBUGREGS, MAIN),
	REQUEST(KVM_SET_VCPU_EVENTS, MAIN),
	REQUEST(KVM_SET_MP_STATE, MAIN),
	REQUEST(KVM_SET_NESTED_STATE, MAIN),
	REQUEST(KVM_GET_DEVICE_ATTR, MAIN, .why = "of a vCPU: its time stamp counter"),
	REQUEST(KVM_SET_DEVICE_ATTR, MAIN, .why = "of a vCPU: its time stamp counter"),
	REQUEST(KVM_GET_MP_STATE, MAIN, .why = "save: machine/vcpu_save.c"),
	REQUEST(KVM_GET_VCPU_EVENTS, MAIN, .why = "save: machine/vcpu_save.c"),
	REQUEST(KVM_GET_SREGS2, MAIN, .why = "save: machine/vcpu_save.c"),
	REQUEST(KVM_GET_FPU, MAIN, .why = "save: machine/vcpu_save.c"),
	REQUEST(KVM_GET_XCRS, MAIN, .why = "save: machine/vcpu_save.c"),
	REQUEST(KVM_GET_DEBUGREGS, MAIN, .why = "save: machine/vcpu_save.c"),
	REQUEST(KVM_GET_LAPIC, MAIN, .why = "save: machine/vcpu_save.c"),
	REQUEST(KVM_GET_XSAVE, MAIN, .why = "save: machine/vcpu_save.c"),
	REQUEST(KVM_GET_XSAVE2, MAIN, .why = "save: machine/vcpu_save.c"),
	REQUEST(KVM_GET_NESTED_STATE, MAIN, .why = "save: machine/vcpu_save.c"),
	/* the VM's; no new VMs */
	REQUEST(KVM_GET_DIRTY_LOG, JOB | MAIN, .why = "migration: machine/mem_log.c"),
	REQUEST(KVM_CLEAR_DIRTY_LOG, JOB | MAIN, .why = "migration: machine/mem_log.c"),
	/* a slot leads to memory of this process, which whoever makes calls here has anyway */
	REQUEST(KVM_SET_USER_MEMORY_REGION, VCPU | MAIN,
		.why = "migration: machine/mem_log.c; video memory: machine/gen1.c, vmm/synth.c"),
	REQUEST(KVM_CHECK_EXTENSION, MAIN),
	REQUEST(UFFDIO_COPY, JOB | MAIN, .why = "machine/mem_uffd.c"),
	REQUEST(UFFDIO_UNREGISTER, JOB | MAIN, .why = "machine/mem_uffd.c"),
	REQUEST(KVM_SET_CLOCK, MAIN),
	REQUEST(KVM_SET_IRQCHIP, MAIN),
	REQUEST(KVM_SET_PIT2, MAIN),
	REQUEST(KVM_GET_IRQCHIP, MAIN, .why = "save: machine/machine_state.c"),
	REQUEST(KVM_GET_PIT2, MAIN, .why = "save: machine/machine_state.c"),
	REQUEST(KVM_IRQFD, MAIN),
	REQUEST(KVM_SET_GSI_ROUTING, MAIN),
	REQUEST(KVM_HYPERV_EVENTFD, MAIN),
	/* devices */
	REQUEST(TUNSETOFFLOAD, NET | MAIN),
	REQUEST(TUNSETQUEUE, NET | MAIN, .why = "net: of a NIC that takes its network over"),
	REQUEST(TUNGETIFF, MAIN, .why = "a tap that a command hands over"),
	REQUEST(SIOCSIFHWADDR, NET | MAIN, .why = "of a macvtap whose guest changes its address"),
	REQUEST(FICLONE, JOB | MAIN, .why = "backup: vmm/backup_copy.c"),
	REQUEST(BLKGETSIZE64, JOB | MAIN, .why = "a disk may have grown"),
	REQUEST(TCGETS, MAIN, .why = "isatty"),
	REQUEST(TCSETS, MAIN | GUARD, .why = "the terminal gets its modes back"),

	/* every thread: memory, locks, the log, its own end and a failed assertion */
	ROW(futex, ALL, .why = "locks; malloc has one"),
	ROW(munmap, ALL, .why = "free"),
	ROW(brk, ALL, .why = "malloc"),
	ROW(mremap, ALL, .why = "realloc of large blocks"),
	ROW(madvise, ALL, .why = "a thread that ends frees its stack"),
	ROW(membarrier, MAIN, WHEN(IS32(0, MEMBARRIER_CMD_PRIVATE_EXPEDITED)),
	    .why = "migration: lib/dirty_log.c"),
	ROW(write, ALL, .why = "eventfds, the log"),
	ROW(poll, ALL, .why = "the log"),
	ROW(clock_gettime, ALL, .why = "where the vDSO does not know the clock"),
	ROW(restart_syscall, ALL, .why = "after SIGSTOP and SIGCONT"),
	ROW(rt_sigprocmask, ALL, .why = "abort; around the start of a thread, and its end"),
	ROW(getpid, ALL, .why = "raise, pthread_kill"),
	ROW(gettid, ALL, .why = "raise"),
	ROW(tgkill, ALL, WHEN(OWN(0), IS32(2, SIGABRT)), .why = "abort"),
	ROW(tgkill, ALL, WHEN(OWN(0), IS32(2, SIGSYS)), .why = "ends a violation"),
	ROW(prctl, ALL, WHEN(IS32(0, PR_GET_NAME)), .why = "for the line of a violation"),
	ROW(exit, ALL, .why = "of a thread; main has it for those that it makes"),
	ROW(exit_group, MAIN | GUARD, .why = "guard: a signal ends what hangs"),
	ROW(rt_sigreturn, VCPU),
	ROW(clock_nanosleep, VCPU | DISKS, .why = "hyperv.c waits for another vCPU; usleep"),

	/* making threads, which name themselves and install their filters */
	ROW(clone, MAKERS, WHEN(IS(0, THREAD_FLAGS))),
	ROW(clone3, MAKERS, .error = ENOSYS, .why = "flags in memory; glibc then takes clone"),
	ROW(mprotect, MAKERS, WHEN(WITHOUT(2, PROT_EXEC)), .why = "below its stack"),
	ROW(set_robust_list, MAKERS),
	ROW(rseq, MAKERS),
	ROW(prctl, MAKERS, WHEN(IS32(0, PR_SET_NAME))),
	ROW(seccomp, MAKERS, WHEN(IS32(0, SECCOMP_SET_MODE_FILTER)), .why = "only narrows"),

	/* descriptors */
	ROW(read, VCPU | STORAGE | NET | GUARD | OVERDUE | SOCKET | DISKS,
	    .why = "eventfds; the keeper"),
	ROW(close, SINK | NET | DISKS, .why = "of a worker's own"),
	ROW(eventfd2, MAIN | JOB),
	ROW(epoll_create1, MAIN),
	ROW(epoll_ctl, NET | SOCKET | MAIN),
	ROW(epoll_wait, SOCKET | MAIN),
	ROW(epoll_pwait2, NET | MAIN),
	ROW(epoll_pwait, NET | MAIN, .why = "before Linux 5.11"),
	ROW(ppoll, STORAGE | MAIN, .why = "a channel without an io_uring"),
	ROW(fstat, DISKS, .why = "of glibc 2.39"),
	ROW(newfstatat, DISKS, WHEN(IS32(3, AT_EMPTY_PATH)), .why = "fstat of glibc 2.33 to 2.38"),
	ROW(statx, MAIN, WHEN(IS32(2, AT_EMPTY_PATH | AT_STATX_FORCE_SYNC)), .why = "moves"),
	ROW(fcntl, DISKS, WHEN(IS32(1, F_GETFL)), .why = "libnbd"),
	/* libnbd; direct writes could land after the process's end */
	ROW(fcntl, DISKS, WHEN(IS32(1, F_SETFL), WITHOUT(2, O_DIRECT))),
	ROW(fcntl, DISKS, WHEN(IS32(1, F_GETFD)), .why = "libnbd"),
	ROW(fcntl, DISKS, WHEN(IS32(1, F_SETFD)), .why = "libnbd"),
	ROW(fcntl, MAIN | JOB, WHEN(IS32(1, F_DUPFD_CLOEXEC))),
	ROW(fcntl, MAIN, WHEN(IS32(1, F_GET_SEALS)), .why = "a picture's memory: vmm/screen.c"),
	ROW(fcntl, MAIN | JOB, WHEN(IS32(1, F_OFD_SETLK)), .why = "a disk that is closed"),

	/* files: disks and their workers, serial output, KVM's statistics */
	ROW(pread64, SINK | DISKS),
	ROW(pwrite64, SINK | DISKS, .why = "vhdx_log.c; a file of output that is full"),
	ROW(preadv2, STORAGE | MAIN),
	ROW(pwritev2, STORAGE | MAIN),
	ROW(fdatasync, STORAGE | DISKS | SINK, .why = "disk_pool.c, vhdx_log.c, vars.c"),
	ROW(fallocate, STORAGE | MAIN | JOB, .why = "disk_pool.c; can a disk that is opened zero?"),
	ROW(lseek, SINK | MAIN | JOB, .why = "save: memory that was never touched"),
	ROW(ftruncate, SINK | MAIN | JOB, .why = "disk resize; a file of output that is full"),
	/* rings were made and restricted before (host-vsp/storage/storage_ring.c) */
	ROW(io_uring_enter, STORAGE | MAIN),
	ROW(io_uring_register, STORAGE | MAIN, WHEN(IS32(1, IORING_REGISTER_FILES_UPDATE))),

	/* sockets: the control socket, the console, passt, servers of disks, the keeper */
	ROW(recvfrom, NET | DISKS),
	ROW(sendmsg, MAIN | JOB, .why = "upgrade: vmm/handed.c, of a job; main makes those"),
	ROW(recvmsg, DISKS, .why = "descriptors from commands and the keeper; uevents"),
	ROW(accept4, MAIN),
	ROW(shutdown, SOCKET | DISKS,
	    .why = "libnbd says good-bye, and main to the keeper; half a guest's socket"),
	ROW(getsockopt, DISKS, .why = "libnbd"),
	ROW(setsockopt, DISKS, .why = "libnbd"),
	ROW(getrandom, DISKS, .why = "TLS"),
	ROW(readv, NET | SOCKET | MAIN),
	ROW(writev, NET | SOCKET | MAIN),

	/* host-vsp/tuner.c */
	ROW(sched_setscheduler, STORAGE | NET | MAIN, WHEN(IS32(0, 0))),
	ROW(sched_getaffinity, STORAGE | NET | MAIN),
};
/* clang-format on */

const struct kvmb_sys_rule *policy_rules(size_t *num)
{
	*num = ARRAY_SIZE(rules);
	return rules;
}

int policy_program(enum kvmb_thread_class class, uint32_t otherwise, struct kvmb_sys_program *p)
{
	return kvmb_seccomp_build(rules, ARRAY_SIZE(rules), class, otherwise, p);
}

/* ---- a violation ---- */

static const char *vm_name;
static __thread const char *class_name; /* of a thread with a filter */

static char *put_text(char *at, const char *end, const char *text)
{
	while (*text && at < end)
		*at++ = *text++;
	return at;
}

static char *put_number(char *at, const char *end, unsigned int n)
{
	char digits[12], *d = digits + sizeof(digits) - 1;

	*d = 0;
	do
		*--d = (char)('0' + n % 10);
	while (n /= 10);
	return put_text(at, end, d);
}

/* In whatever the thread was doing: no locks, no memory. SA_RESETHAND has restored the default. */
static void on_violation(int sig, siginfo_t *si, void *context)
{
	char line[200], thread[16] = "?", *at = line;
	const char *end = line + sizeof(line) - 1;
	int saved = errno;

	(void)context;
	if (si->si_code == 1) { /* SYS_SECCOMP: not one that somebody sent */
		prctl(PR_GET_NAME, thread);
		at = put_text(at, end, "sandbox: thread ");
		at = put_text(at, end, thread);
		at = put_text(at, end, " (");
		at = put_text(at, end, class_name ? class_name : "?");
		at = put_text(at, end, ") made system call ");
		at = put_text(at, end, kvmb_syscall_name(si->si_syscall));
		at = put_text(at, end, " (");
		at = put_number(at, end, (unsigned int)si->si_syscall);
		at = put_text(at, end, "), which it may not; the VM ends");
		*at = 0;
		kvmb_log_in_signal(vm_name, line);
	}
	errno = saved;
	syscall(SYS_tgkill, getpid(), gettid(), sig);
}

static void catch_violations(void)
{
	struct sigaction sa = { .sa_sigaction = on_violation,
				.sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESETHAND };

	sigaction(SIGSYS, &sa, NULL);
}

/* ---- installing ---- */

static struct kvmb_sys_program programs[KVMB_THREAD_NUM];

static void confine_thread(enum kvmb_thread_class class)
{
	sigset_t sys;
	int err;

	class_name = kvmb_thread_class_name(class);
	sigemptyset(&sys);
	sigaddset(&sys, SIGSYS); /* where it is blocked, the kernel kills and nobody says why */
	pthread_sigmask(SIG_UNBLOCK, &sys, NULL);
	err = kvmb_seccomp_install(&programs[class]);
	if (err) {
		kvmb_err(vm_name, "sandbox: no filter for a %s thread: %s", class_name,
			 strerror(-err));
		abort();
	}
}

/* What libraries would read from files when they first need it. */
static void read_now(void)
{
	tzset();
	json_object_seed(0);
}

int policy_install(enum policy_mode mode, const char *vm, char *why, size_t size)
{
	uint32_t otherwise = mode == POLICY_LOG ? SECCOMP_RET_LOG : SECCOMP_RET_TRAP;
	unsigned int c;
	int err = 0;

	if (mode == POLICY_OFF)
		return 0;
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &otherwise) && errno != EINVAL) {
		snprintf(why, size, "this kernel cannot filter system calls (seccomp): %s",
			 strerror(errno));
		return -ENOSYS;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
		err = -errno;
		snprintf(why, size, "no_new_privs: %s", strerror(-err));
		return err;
	}
	for (c = 0; c < KVMB_THREAD_NUM && !err; c++)
		err = policy_program(c, otherwise, &programs[c]);
	kvmb_assert(!err);
	vm_name = vm;
	read_now();
	catch_violations();
	kvmb_thread_on_enter(confine_thread);
	return 0;
}
