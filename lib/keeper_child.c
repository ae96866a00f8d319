// SPDX-License-Identifier: GPL-2.0-only
/* Between fork() and a helper program. The keeper has one thread, so libc may be used here. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/fdpass.h"
#include "lib/jail.h"
#include "lib/keeper_priv.h"
#include "lib/util.h"

#define FIRST_FREE 64 /* above all numbers that a program is given */
#define DIAL_S 9      /* to resolve a name and to connect; who asks waits for ten */

/* As a login would have them. */
static void reset_signals(void)
{
	sigset_t none;
	int i;

	for (i = 1; i < 32; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Out of the way of the numbers that are given out. */
static int move_up(int fd)
{
	return fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE);
}

static void give_fds(const struct recipe *r, const struct child_fds *fds)
{
	int socket = move_up(fds->socket), monitor = move_up(fds->monitor), err = move_up(fds->err);
	int files[KVMB_RECIPE_MAX_FILES], i;

	for (i = 0; i < r->num_files; i++)
		files[i] = move_up(r->files[i]);
	dup2(socket, KVMB_RECIPE_SOCKET);
	if (monitor >= 0)
		dup2(monitor, KVMB_RECIPE_MONITOR);
	dup2(err, 2);
	for (i = 0; i < r->num_files; i++)
		dup2(files[i], KVMB_RECIPE_FILES + i);
}

/* The keeper gets the word on what is missing, and lets the program be executed. */
static void lock_in(int jail, int setup, unsigned int lacks)
{
	int listener;

	if (kvmb_jail_enter(jail, &listener, &lacks))
		_exit(126);
	/* this fails if the keeper ended before it could be our reason to end */
	if (kvmb_send_fds(setup, &lacks, sizeof(lacks), &listener, listener >= 0) < 0)
		_exit(127);
	if (listener >= 0)
		close(listener);
}

void keeper_child_run(const struct recipe *r, const struct child_fds *fds, const char *program,
		      int jail, unsigned int lacks)
{
	char *no_env[] = { NULL }; /* who reads strangers' images has no business with it */
	int setup;

	reset_signals();
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (r->kind != KVMB_RECIPE_DAEMON && getppid() != fds->keeper)
		_exit(127); /* the keeper ended before the line above */
	if (r->kind == KVMB_RECIPE_DAEMON)
		kvmb_jail_enter_root(program, &lacks);
	jail = jail < 0 ? jail : move_up(jail);
	setup = move_up(fds->setup);
	give_fds(r, fds);
	if (r->kind == KVMB_RECIPE_DAEMON)
		lock_in(jail, setup, lacks);
	execve(program, (char *const *)r->argv, r->kind == KVMB_RECIPE_DAEMON ? no_env : environ);
	_exit(127);
}

/* ---- an address ---- */

static int dial_unix(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0;

	if (strlen(path) >= sizeof(a.sun_path))
		err = -ENAMETOOLONG;
	else
		strcpy(a.sun_path, path);
	if (!err && (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a))))
		err = -errno;
	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}

/* The first of its addresses that answers. */
static int dial_tcp(const char *host, const char *port, char *why, size_t size)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL, *a;
	int fd = -1, err = getaddrinfo(host, port, &hints, &list);

	if (err) {
		snprintf(why, size, "%s", gai_strerror(err));
		return -EHOSTUNREACH;
	}
	for (a = list; a; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd >= 0 && !connect(fd, a->ai_addr, a->ai_addrlen))
			break;
		err = -errno;
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(list);
	return fd >= 0 ? fd : err ? err : -EHOSTUNREACH;
}

void keeper_child_dial(const struct recipe *r, int setup)
{
	struct keeper_wire w = { .what = KVMB_KEEPER_CONNECTED };
	int fd = -EINVAL;

	reset_signals();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(setup, 3);
	syscall(SYS_close_range, 4, ~0u, 0); /* a resolver reads what strangers write */
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	alarm(DIAL_S);
	if (!strcmp(r->argv[0], "unix") && r->argv[1])
		fd = dial_unix(r->argv[1]);
	else if (!strcmp(r->argv[0], "tcp") && r->argv[1] && r->argv[2])
		fd = dial_tcp(r->argv[1], r->argv[2], w.words, sizeof(w.words));
	if (fd < 0) {
		w.err = fd;
		if (!w.words[0])
			snprintf(w.words, sizeof(w.words), "%s", strerror(-fd));
	} else {
		fcntl(fd, F_SETFL, O_NONBLOCK);
	}
	kvmb_send_fds(3, &w, sizeof(w), &fd, fd >= 0);
	_exit(0);
}
