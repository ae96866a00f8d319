// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kills a VM whose process does not answer or does not end, because it is stopped or stuck.
 *
 * We look for the process that listens on the socket: by SO_PEERCRED of a connection, or, if it
 * accepts no more connections, by its socket's inode in /proc. The kernel may give a process id to
 * another process at any time. So we first open a pidfd, and then check that the socket is still
 * served. Only root may look into a VM in its sandbox; its own user asks its keeper, who has a
 * pidfd.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "lib/exits.h"
#include "lib/keeper.h"
#include "lib/util.h"

#define ENDING 30 /* times our patience, as long as KEEPER_RELEASED_MS by default */

/*
 * Inode of the socket that listens at @path. Source: Linux net/unix/af_unix.c:unix_seq_show().
 * Return: 0 = none.
 */
static unsigned long listening_inode(const char *path)
{
	char line[512], name[256];
	unsigned long inode = 0, i;
	unsigned int flags;
	FILE *f = fopen("/proc/net/unix", "re");

	while (f && !inode && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %*s %*s %x %*s %*s %lu %255[^\n]", &flags, &i, name) == 3 &&
		    flags & 0x10000 /* it listens */ && !strcmp(name, path))
			inode = i;
	}
	if (f)
		fclose(f);
	return inode;
}

static bool has_socket(pid_t pid, unsigned long inode)
{
	char path[300], want[64], is[64];
	bool found = false;
	struct dirent *e;
	ssize_t n;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	snprintf(want, sizeof(want), "socket:[%lu]", inode);
	d = opendir(path);
	while (d && !found && (e = readdir(d))) {
		n = readlinkat(dirfd(d), e->d_name, is, sizeof(is) - 1);
		is[KVMB_MAX(n, 0)] = 0;
		found = !strcmp(is, want);
	}
	if (d)
		closedir(d);
	return found;
}

static pid_t find_listener(unsigned long inode)
{
	DIR *d = inode ? opendir("/proc") : NULL;
	struct dirent *e;
	pid_t pid = 0;

	while (d && !pid && (e = readdir(d))) {
		if (isdigit((unsigned char)e->d_name[0]) && has_socket(atoi(e->d_name), inode))
			pid = atoi(e->d_name);
	}
	if (d)
		closedir(d);
	return pid;
}

static bool still_serves(int fd, pid_t pid, unsigned long inode)
{
	struct pollfd p = { .fd = fd };

	if (fd < 0)
		return has_socket(pid, inode);
	return poll(&p, 1, 0) >= 0 && !(p.revents & (POLLHUP | POLLERR));
}

/*
 * A user may have put a link to a system service's socket where root looks for his VMs, for as long
 * as it took us to connect; but he has no socket of another user's to put there.
 */
static bool owns(uid_t uid, const char *path)
{
	struct stat st;

	return !lstat(path, &st) && st.st_uid == uid;
}

/*
 * A VM that ends removes its socket first, and by then we cannot tell any more whose it was. Its
 * keeper does not let that take longer than this.
 * Return: it has hung up.
 */
static bool ends(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	return poll(&p, 1, ENDING * client_patience() * 1000) > 0;
}

static int failed(const char *vm, const char *why)
{
	cli_error("VM \"%s\": its process does not answer, and cannot be killed: %s", vm, why);
	return EXIT_FAILED;
}

/* Process id of a pidfd, 0 = unknown. Source: pidfd_open(2). */
static pid_t pid_of(int pidfd)
{
	char path[48], line[128];
	int pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f) && sscanf(line, "Pid: %d", &pid) != 1)
		;
	if (f)
		fclose(f);
	return pid > 0 ? pid : 0;
}

/* The keeper beside a socket of ours, and of our user, tells whose it is. */
static int ask_keeper(const char *path, pid_t *pid)
{
	char keeper[PATH_MAX], why[200];
	int pidfd;

	if (!owns(geteuid(), path) || kvmb_keeper_path(path, keeper, sizeof(keeper)) ||
	    kvmb_keeper_connect(keeper, why, sizeof(why)))
		return -ENOENT;
	pidfd = kvmb_keeper_vm(why, sizeof(why));
	kvmb_keeper_seal(); /* we ask no more */
	if (pidfd < 0)
		return -ENOENT;
	*pid = pid_of(pidfd);
	return pidfd;
}

/*
 * Return: a pidfd; -ESRCH: it has ended meanwhile; -ENOENT: we do not find it; -EACCES: it is not
 * of the socket's owner; another -errno.
 */
static int find_process(int fd, const char *path, pid_t *pid)
{
	unsigned long inode = fd < 0 ? listening_inode(path) : 0;
	struct ucred peer = { 0 };
	int pidfd;

	if (fd < 0)
		peer.pid = find_listener(inode);
	else
		client_peer(fd, &peer);
	if (peer.pid <= 0)
		return fd < 0 ? ask_keeper(path, pid) : -ENOENT;
	if (fd >= 0 && !owns(peer.uid, path)) {
		if (!access(path, F_OK) || errno != ENOENT)
			return -EACCES;
		return ends(fd) ? -ESRCH : -ENOENT;
	}
	*pid = peer.pid;
	pidfd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
	if (pidfd < 0)
		return -errno;
	if (still_serves(fd, peer.pid, inode))
		return pidfd;
	close(pidfd);
	return -ESRCH;
}

int client_end_process(int fd, const char *vm, const char *path)
{
	pid_t pid = 0;
	struct pollfd p = { .fd = find_process(fd, path, &pid), .events = POLLIN };
	bool sent;

	if (p.fd == -ESRCH)
		return EXIT_OK;
	if (p.fd < 0)
		return failed(vm, p.fd == -ENOENT ? "it cannot be found from here" :
				  p.fd == -EACCES ? "it belongs to another user than the socket" :
						    strerror(-p.fd));
	sent = !syscall(SYS_pidfd_send_signal, p.fd, SIGKILL, NULL, 0);
	if (!sent) {
		failed(vm, strerror(errno));
		close(p.fd);
		return EXIT_FAILED;
	}
	if (poll(&p, 1, client_patience() * 1000) <= 0) {
		cli_error("VM \"%s\": process %d got SIGKILL but has not ended: "
			  "it hangs in the kernel",
			  vm, (int)pid);
		close(p.fd);
		return EXIT_TIMEOUT;
	}
	close(p.fd);
	cli_error("VM \"%s\": process %d did not answer and was killed", vm, (int)pid);
	return EXIT_OK;
}
