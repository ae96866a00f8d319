// SPDX-License-Identifier: GPL-2.0-only
/* Where the threads of a process stand. Source: proc(5), /proc/PID/task. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "lib/log.h"

struct thread_files { /* of one thread */
	int pid;
	const char *tid;
};

/* The first line of a file of the thread's; "?" when we may not read it. */
static void read_thread_line(const struct thread_files *t, const char *name, char *buf, int size)
{
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%.20s/%s", t->pid, t->tid, name);
	f = fopen(path, "re");
	if (!f || !fgets(buf, size, f))
		snprintf(buf, (size_t)size, "?");
	if (f)
		fclose(f);
	buf[strcspn(buf, "\n")] = 0;
}

static void log_thread(const char *who, const struct thread_files *t)
{
	char comm[32], wchan[64], call[256], stat[256], *state;

	read_thread_line(t, "comm", comm, sizeof(comm));
	if (!strcmp(comm, "overdue"))
		return;
	read_thread_line(t, "wchan", wchan, sizeof(wchan));
	/* number, arguments, stack and program counter */
	read_thread_line(t, "syscall", call, sizeof(call));
	read_thread_line(t, "stat", stat, sizeof(stat));
	state = strrchr(stat, ')');
	kvmb_warn(who, "  thread %s (%s): state %.1s, in %s, system call %.*s", comm, t->tid,
		  state && state[1] ? state + 2 : "?",
		  wchan[0] && strcmp(wchan, "0") ? wchan : "user space", (int)strcspn(call, " "),
		  call);
}

void kvmb_log_threads(const char *who, int pid)
{
	struct thread_files t = { .pid = pid };
	struct dirent *e;
	char path[48];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		t.tid = e->d_name;
		if (e->d_name[0] != '.')
			log_thread(who, &t);
	}
	if (d)
		closedir(d);
}
