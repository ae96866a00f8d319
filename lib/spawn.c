// SPDX-License-Identifier: GPL-2.0-only
/*
 * Helper programs.
 *
 * PR_SET_PDEATHSIG refers to the death of the *thread* that forked. The threads that need a helper
 * often end long before it does (one that opens a disk, for example), so a single thread, which
 * lives as long as the process, forks all of them.
 */
#include "lib/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/jail.h"
#include "lib/loop.h"

struct order { /* on the stack of who waits for it */
	const char *const *argv;
	const int *keep;
	int num, err_fd, jail;
	bool confined, done;
	pid_t pid; /* result */
	struct order *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the next three lines */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct order *orders;
static bool running;

/* Between fork and exec of a threaded process: only calls that are safe in signal handlers. */
static void become(const struct order *o, pid_t parent)
{
	sigset_t none;
	int null, i;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* a terminal's signals are for the VM, whose guest needs its helpers to shut down */
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127); /* it ended before the line above */
	for (i = 0; i < o->num; i++)
		fcntl(o->keep[i], F_SETFD, 0);
	null = open("/dev/null", O_RDWR);
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		dup2(o->err_fd >= 0 ? o->err_fd : null, 2);
	}
	if (o->confined && kvmb_jail_enter(o->jail))
		_exit(126);
	execvp(o->argv[0], (char *const *)o->argv);
	_exit(127);
}

static void carry_out(struct order *o)
{
	pid_t parent = getpid(), pid = fork();

	if (!pid)
		become(o, parent);
	o->pid = pid < 0 ? -errno : pid;
}

static void *spawner_main(void *arg)
{
	struct order *o;

	pthread_setname_np(pthread_self(), "spawn");
	pthread_mutex_lock(&lock);
	for (;;) {
		while (!(o = orders))
			pthread_cond_wait(&changed, &lock);
		orders = o->next;
		pthread_mutex_unlock(&lock);
		carry_out(o);
		pthread_mutex_lock(&lock);
		o->done = true;
		pthread_cond_broadcast(&changed);
	}
	return arg;
}

/* A thread that nobody joins and no signal interrupts. */
static int start_thread(void *(*fn)(void *), void *arg)
{
	sigset_t all, old;
	pthread_t t;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&t, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!err)
		pthread_detach(t);
	return err;
}

static pid_t spawn(struct order *o)
{
	int err = 0;

	pthread_mutex_lock(&lock);
	if (!running)
		err = start_thread(spawner_main, NULL);
	running = running || !err;
	if (!err) {
		o->next = orders;
		orders = o;
		pthread_cond_broadcast(&changed);
		while (!o->done)
			pthread_cond_wait(&changed, &lock);
	}
	pthread_mutex_unlock(&lock);
	return err ? err : o->pid;
}

pid_t kvmb_spawn(const char *const *argv, const int *keep, int num, int err_fd)
{
	struct order o = { .argv = argv, .keep = keep, .num = num, .err_fd = err_fd };

	return spawn(&o);
}

pid_t kvmb_spawn_in(int jail, const char *const *argv, const int *keep, int num, int err_fd)
{
	struct order o = { .argv = argv,
			   .keep = keep,
			   .num = num,
			   .err_fd = err_fd,
			   .jail = jail,
			   .confined = true };

	return jail < 0 && jail != -EOPNOTSUPP ? jail : spawn(&o);
}

static void *reaper_main(void *arg)
{
	waitpid((pid_t)(intptr_t)arg, NULL, 0);
	return NULL;
}

int kvmb_spawn_kill(pid_t pid, unsigned int ms)
{
	struct pollfd p = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	uint64_t until = kvmb_now_ms() + ms;
	pid_t r;

	kill(pid, SIGKILL);
	if (p.fd >= 0) {
		poll(&p, 1, (int)ms);
		close(p.fd);
	}
	/* ended is not yet reaped: who traces it comes first */
	while (!(r = waitpid(pid, NULL, WNOHANG)) && kvmb_now_ms() < until)
		usleep(2000);
	if (r)
		return 0;
	start_thread(reaper_main, (void *)(intptr_t)pid);
	return -ETIMEDOUT;
}
