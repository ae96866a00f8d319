// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kills a VM whose process does not answer or does not end, because it is stopped or stuck.
 *
 * We look for the process that listens on the socket: by SO_PEERCRED of a connection, or, if it
 * accepts no more connections, by its socket's inode in /proc. The kernel may give a process id to
 * another process at any time. So we first open a pidfd, and then check that the socket is still
 * served.
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
#include "lib/util.h"

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

static int failed(const char *vm, const char *why)
{
	cli_error("VM \"%s\": its process does not answer, and cannot be killed: %s", vm, why);
	return EXIT_FAILED;
}

int client_end_process(int fd, const char *vm, const char *path)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);
	unsigned long inode = fd < 0 ? listening_inode(path) : 0;
	struct pollfd p = { .events = POLLIN };
	bool sent;

	if (fd < 0)
		peer.pid = find_listener(inode);
	else
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	if (peer.pid <= 0)
		return failed(vm, "it cannot be found from here");
	if (fd >= 0 && !owns(peer.uid, path))
		return failed(vm, "it belongs to another user than the socket");
	p.fd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
	if (p.fd < 0 && errno != ESRCH)
		return failed(vm, strerror(errno));
	if (p.fd < 0 || !still_serves(fd, peer.pid, inode)) {
		if (p.fd >= 0)
			close(p.fd);
		return EXIT_OK; /* it has ended meanwhile */
	}
	sent = !syscall(SYS_pidfd_send_signal, p.fd, SIGKILL, NULL, 0);
	if (!sent) {
		failed(vm, strerror(errno));
		close(p.fd);
		return EXIT_FAILED;
	}
	if (poll(&p, 1, client_patience() * 1000) <= 0) {
		cli_error(
			"VM \"%s\": process %d got SIGKILL but has not ended: "
			"it hangs in the kernel",
			vm, (int)peer.pid);
		close(p.fd);
		return EXIT_TIMEOUT;
	}
	close(p.fd);
	cli_error("VM \"%s\": process %d did not answer and was killed", vm, (int)peer.pid);
	return EXIT_OK;
}
