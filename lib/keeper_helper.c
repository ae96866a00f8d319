// SPDX-License-Identifier: GPL-2.0-only
/* A helper program in the keeper: start, what it says, whether it confines itself, its end. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fdpass.h"
#include "lib/jail.h"
#include "lib/keeper_priv.h"
#include "lib/util.h"

#define READY_MS 10000u
#define LOOK_MS 10u	  /* between two looks at whether it is confined */
#define CONFINED_MS 2000u /* to be confined, once it has said that it is ready */

static const char *const programs[KVMB_RECIPE_KINDS] = {
	[KVMB_RECIPE_DAEMON] = "qemu-storage-daemon",
	[KVMB_RECIPE_PASST] = "passt",
};

static const unsigned char moves[] = {
	[HELPER_NONE] = 1 << HELPER_STARTING,
	[HELPER_STARTING] = 1 << HELPER_RUNNING | 1 << HELPER_KILLING | 1 << HELPER_NONE,
	[HELPER_RUNNING] = 1 << HELPER_KILLING | 1 << HELPER_NONE,
	[HELPER_KILLING] = 1 << HELPER_STUCK | 1 << HELPER_NONE,
	[HELPER_STUCK] = 1 << HELPER_NONE,
};

static void set_helper_state(struct helper *h, enum helper_state to)
{
	kvmb_assert(moves[h->state] & 1 << to);
	h->state = to;
}

static struct recipe *recipe_of(struct helper *h)
{
	return container_of(h, struct recipe, helper);
}

static void stop_watching(struct kvmb_watch **w, int *fd)
{
	kvmb_loop_del(*w);
	*w = NULL;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- what it says ---- */

static void take_helper_line(struct helper *h)
{
	bool first_counts = recipe_of(h)->kind == KVMB_RECIPE_DAEMON;
	size_t i;

	h->line[h->line_len] = 0;
	if (h->line_len && strspn(h->line, "0123456789") == h->line_len) {
		h->said_ready = true;
		h->words[0] = 0; /* what was said on the way is no reason for its end */
	} else if (h->line_len && !(first_counts && h->words[0])) {
		for (i = 0; i < h->line_len; i++) /* it goes to terminals and into JSON */
			h->words[i] = h->line[i] >= ' ' && h->line[i] <= '~' ? h->line[i] : '?';
		h->words[i] = 0;
	}
	h->line_len = 0;
}

/* Read what there is, at most some. */
static void hear(struct helper *h)
{
	char buf[4096];
	ssize_t n = 0, k;
	int i;

	for (i = 0; i < 16 && (n = read(h->err_fd, buf, sizeof(buf))) > 0; i++) {
		for (k = 0; k < n; k++) {
			if (buf[k] == '\n')
				take_helper_line(h);
			else if (h->line_len < sizeof(h->line) - 1)
				h->line[h->line_len++] = buf[k];
		}
	}
	if (!n) /* nobody is left to write */
		stop_watching(&h->err_watch, &h->err_fd);
}

/* ---- its end ---- */

static void release_helper(struct helper *h)
{
	kvmb_timer_cancel(&h->timer);
	stop_watching(&h->pid_watch, &h->pidfd);
	stop_watching(&h->err_watch, &h->err_fd);
	stop_watching(&h->setup_watch, &h->setup_fd);
	stop_watching(&h->notify_watch, &h->notify_fd);
	if (h->start_fd >= 0)
		close(h->start_fd);
	h->start_fd = -1;
	h->pid = 0;
}

static void on_dialled(void *arg, uint32_t events);

static void last_words(struct helper *h)
{
	if (h->err_fd >= 0)
		hear(h);
	if (h->line_len)
		take_helper_line(h);
	if (h->setup_watch && recipe_of(h)->kind == KVMB_RECIPE_DIAL)
		on_dialled(h, 0);
}

static void on_helper_end(void *arg, uint32_t events)
{
	struct helper *h = arg;
	struct recipe *r = recipe_of(h);
	enum helper_state was = h->state;
	bool started = h->start_fd < 0;

	(void)events;
	if (waitpid(h->pid, &h->status, WNOHANG) != h->pid)
		return;
	last_words(h);
	release_helper(h);
	set_helper_state(h, HELPER_NONE);
	if (was == HELPER_KILLING && !h->cause)
		keeper_report(r, KVMB_KEEPER_KILLED, 0, -1);
	else if (was == HELPER_STARTING && !started)
		keeper_report(r, KVMB_KEEPER_STARTED, h->cause ? h->cause : -EPERM, -1);
	else if (was != HELPER_STUCK && r->kind != KVMB_RECIPE_DIAL)
		keeper_report(r, KVMB_KEEPER_ENDED, h->cause, -1);
	if (h->again && !r->forgotten) {
		h->again = false;
		helper_connect(r);
	} else {
		keeper_helper_gone(r);
	}
}

static void begin_kill(struct helper *h, int cause)
{
	h->cause = cause;
	h->again = false;
	set_helper_state(h, HELPER_KILLING);
	kill(h->pid, SIGKILL);
	kvmb_timer_set(&h->timer, KEEPER_KILL_MS);
}

void helper_end(struct recipe *r)
{
	struct helper *h = &r->helper;

	if (h->state != HELPER_RUNNING || r->kind != KVMB_RECIPE_DAEMON) {
		helper_kill(r);
		return;
	}
	h->cause = 0;
	h->asked = true;
	set_helper_state(h, HELPER_KILLING);
	kill(h->pid, SIGTERM);
	kvmb_timer_set(&h->timer, KEEPER_FLUSH_MS);
}

void helper_kill(struct recipe *r)
{
	struct helper *h = &r->helper;

	if (h->state == HELPER_NONE)
		keeper_report(r, KVMB_KEEPER_KILLED, 0, -1);
	else if (h->state == HELPER_STUCK)
		keeper_report(r, KVMB_KEEPER_KILLED, -ETIMEDOUT, -1);
	else if (h->state == HELPER_KILLING)
		h->cause = 0; /* now somebody waits for it */
	else
		begin_kill(h, 0);
}

/* ---- ready, and confined ---- */

/* How many seccomp filters has a process, 0 = us? Source: proc(5), /proc/PID/status. */
static long count_filters(pid_t pid)
{
	char path[48], buf[4096], *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", pid ? (int)pid : (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, buf, sizeof(buf) - 1);
	if (fd >= 0)
		close(fd);
	buf[KVMB_MAX(n, 0)] = 0;
	p = strstr(buf, "\nSeccomp_filters:\t"); /* Linux 5.9 */
	if (p)
		return strtol(p + 18, NULL, 10);
	p = strstr(buf, "\nSeccomp:\t");
	return p && p[10] == '2';
}

/* A container's filter, or a unit's, is ours, too, and does not count. */
static bool is_confined(pid_t pid)
{
	return count_filters(pid) > count_filters(0);
}

/* passt has bound its ports when it says so, and confines itself directly after that. */
static void look(struct helper *h)
{
	uint64_t now = kvmb_now_ms();

	if (h->said_ready && is_confined(h->pid)) {
		kvmb_timer_cancel(&h->timer);
		set_helper_state(h, HELPER_RUNNING);
		keeper_report(recipe_of(h), KVMB_KEEPER_READY, 0, -1);
	} else if (now >= h->ready_by_ms) {
		begin_kill(h, h->said_ready ? -EPERM : -ETIME);
	} else {
		kvmb_timer_set(&h->timer, h->said_ready ? LOOK_MS : h->ready_by_ms - now);
	}
}

static void on_helper_words(void *arg, uint32_t events)
{
	struct helper *h = arg;
	bool before = h->said_ready;

	(void)events;
	hear(h);
	if (before || !h->said_ready || h->state != HELPER_STARTING)
		return;
	h->ready_by_ms = kvmb_now_ms() + CONFINED_MS;
	look(h);
}

static void on_helper_timer(void *arg)
{
	struct helper *h = arg;
	struct recipe *r = recipe_of(h);

	if (h->state == HELPER_STARTING) {
		look(h);
	} else if (h->state == HELPER_KILLING && h->asked) {
		h->asked = false;
		kill(h->pid, SIGKILL);
		kvmb_timer_set(&h->timer, KEEPER_KILL_MS);
	} else if (h->state == HELPER_KILLING) {
		set_helper_state(h, HELPER_STUCK);
		if (h->cause)
			keeper_report(r, KVMB_KEEPER_ENDED, h->cause, -1);
		else
			keeper_report(r, KVMB_KEEPER_KILLED, -ETIMEDOUT, -1);
	}
}

/* ---- in its jail ---- */

static void daemon_started(struct helper *h)
{
	set_helper_state(h, HELPER_RUNNING);
	keeper_report(recipe_of(h), KVMB_KEEPER_STARTED, 0, h->start_fd);
	close(h->start_fd);
	h->start_fd = -1;
}

/* It wants to execute its program: once. */
static void on_execute(void *arg, uint32_t events)
{
	struct helper *h = arg;
	int err = kvmb_jail_let_execute(h->notify_fd);

	(void)events;
	stop_watching(&h->notify_watch, &h->notify_fd);
	if (h->state != HELPER_STARTING)
		return;
	if (err)
		kill(h->pid, SIGKILL); /* on_helper_end() follows */
	else
		daemon_started(h);
}

/* Nobody has its monitor yet. on_helper_end() follows. */
static void refuse_daemon(struct helper *h)
{
	h->cause = -EACCES;
	kill(h->pid, SIGKILL);
}

/* It is confined, and says what its jail is without. */
static void on_setup(void *arg, uint32_t events)
{
	struct helper *h = arg;
	unsigned int lacks = 0;
	int fd = -1, num = 1;
	ssize_t n = kvmb_recv_fds(h->setup_fd, &lacks, sizeof(lacks), &fd, &num, MSG_DONTWAIT);

	(void)events;
	if (n == -EAGAIN)
		return;
	stop_watching(&h->setup_watch, &h->setup_fd);
	if (n == sizeof(lacks) && h->state == HELPER_STARTING) {
		h->lacks = lacks;
		if (recipe_of(h)->keeper->strict && kvmb_jail_opens_files(lacks)) {
			refuse_daemon(h);
			if (num)
				close(fd);
		} else if (num) {
			h->notify_fd = fd;
			h->notify_watch = kvmb_loop_add(recipe_of(h)->keeper->loop, fd, EPOLLIN,
							on_execute, h);
		} else {
			daemon_started(h);
		}
	} else if (num && fd >= 0) {
		close(fd);
	}
}

/* ---- start ---- */

void helper_init(struct recipe *r)
{
	struct helper *h = &r->helper;

	h->pidfd = h->err_fd = h->setup_fd = h->notify_fd = h->start_fd = -1;
	kvmb_timer_init(&h->timer, r->keeper->loop, on_helper_timer, h);
}

static int watch_helper(struct recipe *r)
{
	struct kvmb_loop *loop = r->keeper->loop;
	struct helper *h = &r->helper;

	h->pidfd = (int)syscall(SYS_pidfd_open, h->pid, 0);
	if (h->pidfd < 0)
		return -errno;
	h->pid_watch = kvmb_loop_add(loop, h->pidfd, EPOLLIN, on_helper_end, h);
	if (h->err_fd >= 0)
		h->err_watch = kvmb_loop_add(loop, h->err_fd, EPOLLIN, on_helper_words, h);
	if (h->setup_fd >= 0)
		h->setup_watch = kvmb_loop_add(
			loop, h->setup_fd, EPOLLIN,
			recipe_of(h)->kind == KVMB_RECIPE_DIAL ? on_dialled : on_setup, h);
	return h->pid_watch && (h->err_fd < 0 || h->err_watch) ? 0 : -ENOMEM;
}

static int make_fds(struct recipe *r, struct child_fds *c, int *ours)
{
	int sv[2], p[2];

	*c = (struct child_fds){
		.socket = r->listen_fd, .monitor = -1, .err = -1, .setup = -1, .keeper = getpid()
	};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		return -errno;
	*ours = sv[0];
	if (r->kind == KVMB_RECIPE_DAEMON)
		c->monitor = sv[1];
	else
		c->socket = sv[1];
	if (r->kind == KVMB_RECIPE_PASST)
		fcntl(sv[0], F_SETFL, O_NONBLOCK); /* the VM writes with writev() */
	if (pipe2(p, O_CLOEXEC))
		return -errno;
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	/* a program that has changed to another user opens its own standard error by name */
	fchmod(p[1], 0622);
	r->helper.err_fd = p[0];
	c->err = p[1];
	if (r->kind != KVMB_RECIPE_DAEMON)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv))
		return -errno;
	r->helper.setup_fd = sv[0];
	c->setup = sv[1];
	return 0;
}

static int make_jail(const struct recipe *r, const char *program)
{
	int jail = -EOPNOTSUPP, i;

	if (r->kind == KVMB_RECIPE_DAEMON)
		jail = kvmb_jail_create(program);
	for (i = 0; i < r->num_files; i++)
		kvmb_jail_allow(jail, r->files[i], r->writable >> i & 1);
	return jail;
}

static int fork_helper(struct recipe *r, const struct child_fds *c)
{
	struct helper *h = &r->helper;
	char program[PATH_MAX];
	int jail, err = 0;

	if (!kvmb_jail_find_program(programs[r->kind], program))
		return -ENOENT;
	jail = make_jail(r, program);
	if (jail < 0 && jail != -EOPNOTSUPP)
		return jail;
	h->lacks = 0;
	h->pid = r->kind == KVMB_RECIPE_DAEMON ? kvmb_jail_fork(&h->lacks) : fork();
	if (!h->pid)
		keeper_child_run(r, c, program, jail, h->lacks);
	if (h->pid < 0)
		err = -errno;
	if (jail >= 0)
		close(jail);
	return err;
}

/* A program that nobody can watch is not left to itself. */
static int watch_or_kill(struct recipe *r)
{
	struct helper *h = &r->helper;
	int err = watch_helper(r);

	if (!err)
		return 0;
	kill(h->pid, SIGKILL);
	waitpid(h->pid, NULL, 0); /* it has hardly begun */
	return err;
}

void helper_start(struct recipe *r)
{
	struct helper *h = &r->helper;
	struct child_fds c;
	int ours = -1, err;

	if (h->state != HELPER_NONE || !programs[r->kind]) {
		keeper_report(r, KVMB_KEEPER_STARTED, h->state ? -EBUSY : -EINVAL, -1);
		return;
	}
	h->words[0] = 0;
	h->line_len = 0;
	h->status = h->cause = 0;
	h->said_ready = h->asked = false;
	err = make_fds(r, &c, &ours);
	if (!err)
		err = fork_helper(r, &c);
	if (!err)
		err = watch_or_kill(r);
	if (!err) {
		set_helper_state(h, HELPER_STARTING);
		h->ready_by_ms = kvmb_now_ms() + (r->ready_ms ? r->ready_ms : READY_MS);
		if (r->kind == KVMB_RECIPE_PASST)
			look(h);
	} else {
		release_helper(h);
	}
	if (!err && r->kind == KVMB_RECIPE_DAEMON) {
		h->start_fd = ours; /* on_setup() and on_execute() follow */
		ours = -1;
	} else {
		keeper_report(r, KVMB_KEEPER_STARTED, err, err ? -1 : ours);
	}
	if (c.setup >= 0)
		close(c.setup);
	if (c.monitor >= 0)
		close(c.monitor);
	else if (c.socket >= 0 && c.socket != r->listen_fd) /* that is the recipe's */
		close(c.socket);
	if (c.err >= 0)
		close(c.err);
	if (ours >= 0)
		close(ours);
}

/* ---- connect ---- */

/* By the socket's inode: it has no name. Source: proc(5), /proc/self/fd of an O_PATH descriptor. */
static int connect_to_daemon(struct recipe *r)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d", r->listen_path_fd);
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return fd;
	err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

/* The child that connects to an address has something to say, or has ended; once. */
static void on_dialled(void *arg, uint32_t events)
{
	struct helper *h = arg;
	struct recipe *r = recipe_of(h);
	struct keeper_wire w = { 0 };
	int fd = -1, num = 1;
	ssize_t n = kvmb_recv_fds(h->setup_fd, &w, sizeof(w), &fd, &num, MSG_DONTWAIT);

	(void)events;
	if (n == -EAGAIN)
		return;
	if (n != sizeof(w) || (!num && !w.err))
		w.err = -ETIMEDOUT; /* its alarm ended it */
	snprintf(h->words, sizeof(h->words), "%.*s", (int)sizeof(w.words) - 1, w.words);
	stop_watching(&h->setup_watch, &h->setup_fd);
	kill(h->pid, SIGKILL); /* on_helper_end() follows */
	keeper_report(r, KVMB_KEEPER_CONNECTED, w.err, w.err ? -1 : fd);
	if (num)
		close(fd);
}

static int dial(struct recipe *r)
{
	struct helper *h = &r->helper;
	int sv[2], err;

	if (h->state == HELPER_STARTING && !h->setup_watch) {
		h->again = true; /* the last one has answered, and is about to end */
		return 0;
	}
	if (h->state != HELPER_NONE)
		return -EBUSY;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv))
		return -errno;
	h->words[0] = 0;
	h->pid = fork();
	if (!h->pid)
		keeper_child_dial(r, sv[1]);
	close(sv[1]);
	h->setup_fd = sv[0];
	err = h->pid < 0 ? -errno : watch_or_kill(r);
	if (err)
		release_helper(h);
	else
		set_helper_state(h, HELPER_STARTING);
	return err;
}

void helper_connect(struct recipe *r)
{
	int fd = r->kind == KVMB_RECIPE_DAEMON ? connect_to_daemon(r) :
		 r->kind == KVMB_RECIPE_DIAL   ? dial(r) :
						 -EINVAL;

	if (r->kind == KVMB_RECIPE_DIAL && !fd)
		return; /* on_dialled() follows, or on_helper_end() calls again */
	keeper_report(r, KVMB_KEEPER_CONNECTED, fd < 0 ? fd : 0, fd);
	if (fd >= 0)
		close(fd);
}
