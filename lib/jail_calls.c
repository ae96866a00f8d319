// SPDX-License-Identifier: GPL-2.0-only
/* What a program in the jail may ask of the kernel: capabilities, seccomp. Theory: jail.h. */
#include "lib/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/util.h"

#define NEW_NAMESPACES                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)
#define NR_open_tree_attr 467 /* newer than our headers */
#define NR_fchmodat2 452

static const char *const lack_names[] = { "namespaces", "empty root", "landlock", "exec once",
					  "seccomp" };

const char *kvmb_jail_lack_name(unsigned int bit)
{
	return bit < ARRAY_SIZE(lack_names) ? lack_names[bit] : NULL;
}

bool kvmb_jail_opens_files(unsigned int lacks)
{
	return lacks & KVMB_JAIL_NO_ROOT && lacks & KVMB_JAIL_NO_LANDLOCK;
}

/* ---- the filter ---- */

static const int denied[] = {
	/* other processes */
	__NR_ptrace,
	__NR_process_vm_readv,
	__NR_process_vm_writev,
	__NR_pidfd_getfd,
	__NR_pidfd_open,
	__NR_pidfd_send_signal,
	__NR_tkill,
	__NR_rt_sigqueueinfo,
	__NR_rt_tgsigqueueinfo,
	__NR_kcmp,
	__NR_process_madvise,
	__NR_process_mrelease,
	__NR_move_pages,
	__NR_migrate_pages,
	__NR_perf_event_open,
	/* the network */
	__NR_socket,
	__NR_connect,
	__NR_bind,
	/* files and namespaces */
	__NR_open_by_handle_at,
	__NR_mount,
	__NR_umount2,
	__NR_pivot_root,
	__NR_chroot,
	__NR_open_tree,
	NR_open_tree_attr,
	__NR_move_mount,
	__NR_fsopen,
	__NR_fsconfig,
	__NR_fsmount,
	__NR_fspick,
	__NR_mount_setattr,
	__NR_unshare,
	__NR_setns,
	/* the modes of its files: a set-user-ID image of root would be anybody's way in */
	__NR_chmod,
	__NR_fchmod,
	__NR_fchmodat,
	NR_fchmodat2,
	__NR_chown,
	__NR_fchown,
	__NR_lchown,
	__NR_fchownat,
	__NR_setxattr,
	__NR_lsetxattr,
	__NR_fsetxattr,
	/* processes of its own, which would outlive it where there are no namespaces */
	__NR_fork,
	__NR_vfork,
	/* the kernel itself */
	__NR_bpf,
	__NR_userfaultfd,
	__NR_keyctl,
	__NR_add_key,
	__NR_request_key,
	__NR_init_module,
	__NR_finit_module,
	__NR_delete_module,
	__NR_kexec_load,
	__NR_kexec_file_load,
	__NR_swapon,
	__NR_swapoff,
	__NR_acct,
	__NR_quotactl,
	__NR_reboot,
};

#define MAX_CODE (16 + 2 * ARRAY_SIZE(denied) + 48)

struct code {
	struct sock_filter at[MAX_CODE];
	unsigned short num;
};

static void add_code(struct code *c, struct sock_filter f)
{
	kvmb_assert(c->num < MAX_CODE);
	c->at[c->num++] = f;
}

static void emit_load(struct code *c, size_t offset)
{
	add_code(c, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned int)offset));
}

static void emit_return(struct code *c, unsigned int what)
{
	add_code(c, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

/* The next @skip instructions are for number @nr alone. */
static void emit_if(struct code *c, unsigned int nr, unsigned char skip)
{
	add_code(c, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, skip));
}

static void emit_call(struct code *c, unsigned int nr, unsigned int what)
{
	emit_if(c, nr, 1);
	emit_return(c, what);
}

/* A call about a process is about this one, or, if @zero, about 0: the caller. */
static void emit_self(struct code *c, unsigned int nr, bool zero)
{
	unsigned int pid = (unsigned int)getpid();

	emit_if(c, nr, zero ? 5 : 4);
	emit_load(c, offsetof(struct seccomp_data, args[0]));
	if (zero)
		add_code(c, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0));
	add_code(c, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, pid, 0, 1));
	emit_return(c, SECCOMP_RET_ALLOW);
	emit_return(c, SECCOMP_RET_ERRNO | EPERM);
}

static void emit_clone(struct code *c)
{
	emit_call(c, __NR_clone3, SECCOMP_RET_ERRNO | ENOSYS); /* its flags cannot be seen */
	emit_if(c, __NR_clone, 5);
	emit_load(c, offsetof(struct seccomp_data, args[0]));
	add_code(c, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 1, 0));
	add_code(c, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0));
	emit_return(c, SECCOMP_RET_ERRNO | EPERM);
	emit_return(c, SECCOMP_RET_ALLOW);
}

/* SIGIO, or any other signal, to any process: F_SETOWN and F_SETSIG are a kill() of their own. */
static void emit_fcntl(struct code *c)
{
	static const unsigned int signals[] = { F_SETOWN, F_SETSIG, F_SETOWN_EX };
	unsigned int i;

	emit_if(c, __NR_fcntl, 2 + 2 * ARRAY_SIZE(signals));
	emit_load(c, offsetof(struct seccomp_data, args[1]));
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		emit_call(c, signals[i], SECCOMP_RET_ERRNO | EPERM);
	emit_return(c, SECCOMP_RET_ALLOW);
}

static void write_filter(struct code *c, unsigned int on_execute)
{
	size_t i;

	c->num = 0;
	emit_load(c, offsetof(struct seccomp_data, arch));
	add_code(c,
		 (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
	emit_return(c, SECCOMP_RET_ERRNO | EPERM);
	emit_load(c, offsetof(struct seccomp_data, nr));
	add_code(c, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0,
						 1)); /* x32 */
	emit_return(c, SECCOMP_RET_ERRNO | EPERM);
	for (i = 0; i < ARRAY_SIZE(denied); i++)
		emit_call(c, (unsigned int)denied[i], SECCOMP_RET_ERRNO | EPERM);
	emit_call(c, __NR_execve, on_execute);
	emit_call(c, __NR_execveat, on_execute);
	emit_clone(c);
	emit_fcntl(c);
	emit_self(c, __NR_kill, false);
	emit_self(c, __NR_tgkill, false);
	emit_self(c, __NR_prlimit64, true);
	emit_return(c, SECCOMP_RET_ALLOW);
}

/* Return: 0, a listener, or -errno. */
static int install_filter(unsigned int on_execute, unsigned int flags)
{
	struct code c;
	struct sock_fprog prog = { .filter = c.at };
	long r;

	write_filter(&c, on_execute);
	prog.len = c.num;
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	return r < 0 ? -errno : (int)r;
}

/* ---- entering ---- */

/* Root keeps what lets it open files of others; it would have to give them away otherwise. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct have[2], want[2] = { 0 };
	const unsigned int dac = 1u << CAP_DAC_OVERRIDE;

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capget, &h, have))
		return -errno;
	want[0].permitted = want[0].effective = geteuid() ? 0 : have[0].permitted & dac;
	return syscall(SYS_capset, &h, want) ? -errno : 0;
}

int kvmb_jail_enter(int jail, int *listener, unsigned int *lacks)
{
	int r = drop_capabilities();

	if (!r && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		r = -errno;
	if (!r && jail >= 0 && syscall(SYS_landlock_restrict_self, jail, 0))
		r = -errno;
	if (r)
		return r;
	*lacks |= jail < 0 ? KVMB_JAIL_NO_LANDLOCK : 0;
	if (listener) {
		*listener =
			install_filter(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
		if (*listener >= 0)
			return 0;
		*listener = -1; /* an old kernel, or a container whose filter has a listener */
		*lacks |= KVMB_JAIL_NO_EXEC_ONCE;
	}
	r = install_filter(SECCOMP_RET_ALLOW, 0);
	if (r == -EINVAL || r == -ENOSYS) { /* a kernel without it */
		*lacks |= KVMB_JAIL_NO_SECCOMP;
		return 0;
	}
	return r;
}

int kvmb_jail_let_execute(int listener)
{
	struct seccomp_notif n = { 0 };
	struct seccomp_notif_resp r = { .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n))
		return -errno;
	r.id = n.id;
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &r) ? -errno : 0;
}
