// SPDX-License-Identifier: GPL-2.0-only
/* Signals while the loop does not run: the reasons are in the header. */
#include "vmm/guard.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/util.h"
#include "vmm/cmd.h"
#include "vmm/console.h"

void guard_end_process(const char *name, int sig)
{
	kvmb_warn(name, "SIG%s: ended at once", sigabbrev_np(sig));
	console_restore_tty();
	_exit(EXIT_KILLED);
}

/* First line of a small file of a thread's in /proc; "?" when there is none. */
static void read_word(const char *tid, const char *file, char *word, size_t size)
{
	char path[300];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%s/%s", tid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, word, size - 1);
		close(fd);
	}
	word[KVMB_MAX(n, 0)] = 0;
	word[strcspn(word, "\n")] = 0;
	if (!*word)
		strcpy(word, "?");
}

static void report_threads(const struct guard *g)
{
	char comm[32], wchan[64], syscall[160];
	struct dirent *e;
	DIR *d = opendir("/proc/self/task");

	kvmb_warn(g->name, "the VM does not come to its end; kill it to be rid of it. Its threads wait in:");
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' || atoi(e->d_name) == gettid())
			continue;
		read_word(e->d_name, "comm", comm, sizeof(comm));
		read_word(e->d_name, "wchan", wchan, sizeof(wchan));
		read_word(e->d_name, "syscall", syscall, sizeof(syscall));
		kvmb_warn(g->name, "thread %s %s: %s, system call %s", e->d_name, comm, wchan, syscall);
	}
	if (d)
		closedir(d);
}

static void *watch(void *arg)
{
	struct guard *g = arg;
	struct pollfd p[] = { { .fd = g->stop_fd, .events = POLLIN }, { .fd = g->sig_fd, .events = POLLIN } };
	struct signalfd_siginfo si;
	int n;

	for (;;) {
		n = poll(p, 2, g->report_ms);
		if (p[0].revents)
			return NULL;
		if (!n) {
			report_threads(g);
			g->report_ms = -1;
		} else if (n > 0 && read(g->sig_fd, &si, sizeof(si)) == sizeof(si)) {
			guard_end_process(g->name, (int)si.ssi_signo);
		}
	}
}

int guard_start(struct guard *g, const char *name, int sig_fd, int report_ms)
{
	int err;

	*g = (struct guard){ .name = name, .sig_fd = sig_fd, .report_ms = report_ms };
	g->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (g->stop_fd < 0)
		return -errno;
	err = pthread_create(&g->thread, NULL, watch, g);
	if (err)
		close(g->stop_fd);
	return -err;
}

void guard_stop(struct guard *g)
{
	eventfd_write(g->stop_fd, 1);
	pthread_join(g->thread, NULL);
	close(g->stop_fd);
}
