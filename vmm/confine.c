// SPDX-License-Identifier: GPL-2.0-only
/* Confining the process of a VM; theory of operation: confine.h. */
#include "vmm/confine.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/jail.h"
#include "lib/ns.h"
#include "lib/util.h"

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

static const char *const lack_names[] = { "namespaces", "empty root", "landlock",
					  "seccomp",	"own user",   "io_uring restrictions" };

const char *confine_lack_name(unsigned int bit)
{
	return bit < ARRAY_SIZE(lack_names) ? lack_names[bit] : NULL;
}

/* /dev is on every host where KVM is. */
static int empty_root(void)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/dev", "tmpfs", flags, "size=4k,mode=0555") || chdir("/dev") ||
	    kvmb_ns_take_root() ||
	    mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL))
		return -errno;
	return 0;
}

/*
 * Only what cannot be is left out. Between the two calls nothing is lost: a user namespace without
 * the others has no rights outside.
 */
static unsigned int leave_namespaces(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(uid ? CLONE_NEWUSER : 0))
		return CONFINE_NO_NAMESPACES | CONFINE_NO_ROOT;
	if (uid && kvmb_ns_map_ids(uid, gid))
		return CONFINE_NO_NAMESPACES | CONFINE_NO_ROOT;
	if (unshare(NAMESPACES))
		return CONFINE_NO_NAMESPACES | CONFINE_NO_ROOT;
	return empty_root() ? CONFINE_NO_ROOT : 0;
}

static int become(uid_t user, gid_t group)
{
	if (setgroups(0, NULL) || setresgid(group, group, group) || setresuid(user, user, user))
		return -errno;
	return 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &h, none) ? -errno : 0;
}

static int no_way_back(void)
{
	const struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return 0;
}

/* Return: 0; 1 when this kernel has no Landlock; -errno. */
static int forbid_paths(void)
{
	int jail = kvmb_jail_create_empty(), err;

	if (jail == -EOPNOTSUPP)
		return 1;
	if (jail < 0)
		return jail;
	err = syscall(SYS_landlock_restrict_self, jail, 0) ? -errno : 0;
	close(jail);
	return err;
}

static int failed(const char *what, int err, char *why, size_t size)
{
	snprintf(why, size, "sandbox: %s: %s", what, strerror(-err));
	return err;
}

int confine_process(uid_t user, gid_t group, unsigned int *lacks, char *why, size_t size)
{
	/* the most that a VM can have: 64 vCPUs, their queues on 8 NICs and 4 controllers, disks */
	const struct rlimit threads = { 4096, 4096 };
	bool own;
	int err;

	*lacks |= leave_namespaces();
	if (user != (uid_t)-1) {
		own = user == CONFINE_UID_BASE + (uid_t)getpid();
		err = become(user, group);
		if (err && !own)
			return failed("the VM's own user", err, why, size);
		*lacks |= err ? CONFINE_NO_USER : 0;
		if (!err && own)
			setrlimit(RLIMIT_NPROC, &threads);
	}
	err = drop_capabilities();
	if (err)
		return failed("capabilities", err, why, size);
	err = no_way_back(); /* also what Landlock wants first */
	if (err)
		return failed("no_new_privs", err, why, size);
	err = forbid_paths();
	if (err < 0)
		return failed("Landlock", err, why, size);
	*lacks |= err ? CONFINE_NO_LANDLOCK : 0;
	return 0;
}
