// SPDX-License-Identifier: GPL-2.0-only
/*
 * The keeper's process: recipes and their channels, paths to remove, the end.
 *
 * One thread and an event loop. Who may register is decided by who holds a socket: the launcher's
 * ends with kvmb_keeper_seal(), a command must have our user id or root's. The VM's process holds
 * the main socket and channels; of these a byte is read, or a port, and any other than a known
 * word, or a VM that does not read its reports, costs the recipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/fdpass.h"
#include "lib/keeper_priv.h"
#include "lib/log.h"
#include "lib/sock.h"
#include "lib/util.h"

#define END_MS (KEEPER_FLUSH_MS + KEEPER_KILL_MS) /* for helpers to end when the VM has */

/* ---- recipes ---- */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Its files first, and the channel last: whose end tells that they are free. */
static void free_recipe(struct recipe *r)
{
	struct recipe **p;
	int i;

	for (p = &r->keeper->recipes; *p != r; p = &(*p)->next)
		;
	*p = r->next;
	for (i = 0; i < r->num_files; i++)
		close(r->files[i]);
	close_fd(&r->listen_fd);
	close_fd(&r->listen_path_fd);
	close_fd(&r->channel);
	free(r->text);
	free(r);
}

static void forget_recipe(struct recipe *r)
{
	kvmb_loop_del(r->watch);
	r->watch = NULL;
	r->forgotten = true;
	if (r->helper.state == HELPER_NONE)
		free_recipe(r);
	else
		helper_end(r); /* keeper_helper_gone() follows */
}

static void wait_for_vm(struct keeper *k);

void keeper_helper_gone(struct recipe *r)
{
	struct keeper *k = r->keeper;

	if (r->forgotten)
		free_recipe(r);
	if (k->step == KEEPER_ENDS_HELPERS && !k->recipes)
		wait_for_vm(k);
}

void keeper_report(struct recipe *r, enum kvmb_keeper_what what, int err, int fd)
{
	struct keeper_wire w = {
		.what = what, .err = err, .status = r->helper.status, .lacks = r->helper.lacks
	};
	size_t len = strlen(r->helper.words);

	if (r->forgotten)
		return;
	memcpy(w.words, r->helper.words, len);
	/* one who does not read has asked for its end by that; on_channel() sees it */
	if (kvmb_send_fds(r->channel, &w, offsetof(struct keeper_wire, words) + len, &fd, fd >= 0) <
	    0)
		shutdown(r->channel, SHUT_RDWR);
}

static void on_channel(void *arg, uint32_t events)
{
	struct recipe *r = arg;
	struct keeper_ask ask = { 0 };
	ssize_t n = recv(r->channel, &ask, sizeof(ask), MSG_DONTWAIT | MSG_TRUNC);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == sizeof(ask) && ask.op == KVMB_KEEPER_PORT && r->kind == KVMB_RECIPE_PORTS)
		keeper_connect_port(r, ask.port);
	else if (n == 1 && ask.op == KVMB_KEEPER_START)
		helper_start(r);
	else if (n == 1 && ask.op == KVMB_KEEPER_CONNECT)
		helper_connect(r);
	else if (n == 1 && ask.op == KVMB_KEEPER_KILL)
		helper_kill(r);
	else
		forget_recipe(r);
}

/*
 * A listening socket whose name is gone at once: whoever could connect to it later would reach
 * the guest's disk. We connect by its inode.
 */
static int make_listener(struct recipe *r)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	static unsigned int number;
	mode_t old = umask(0177);
	int err = 0;

	r->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* a VM with a control socket elsewhere has had no use for this directory so far */
	umask(022);
	mkdir(r->run_dir, 0755);
	umask(0177);
	if (snprintf(a.sun_path, sizeof(a.sun_path), "%s/nbd-%d-%u", r->run_dir, (int)getpid(),
		     number++) >= (int)sizeof(a.sun_path))
		err = -ENAMETOOLONG;
	if (!err) {
		unlink(a.sun_path); /* of a keeper that had our process id and was killed */
		if (r->listen_fd < 0 || bind(r->listen_fd, (struct sockaddr *)&a, sizeof(a)) ||
		    listen(r->listen_fd, 16))
			err = -errno;
	}
	if (!err) {
		r->listen_path_fd = open(a.sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		err = r->listen_path_fd < 0 ? -errno : 0;
		unlink(a.sun_path);
	}
	umask(old);
	return err;
}

/* The strings of a request. Return: how many, or -EPROTO. */
static int split(struct keeper_request *q, const char **strings, int max)
{
	char *p = q->text, *end = q->text + q->text_len;
	int n = 0;

	while (p < end && n < max) {
		strings[n++] = p;
		p += strnlen(p, (size_t)(end - p)) + 1;
	}
	return p == end && n == (int)q->num_strings ? n : -EPROTO;
}

static struct recipe *make_recipe(struct keeper *k, const struct keeper_request *q)
{
	struct recipe *r = kvmb_xzalloc(sizeof(*r));

	r->keeper = k;
	r->kind = (enum kvmb_recipe_kind)q->kind;
	r->text = kvmb_xzalloc(q->text_len);
	memcpy(r->text, q->text, q->text_len);
	r->writable = q->writable;
	r->ready_ms = q->ready_ms;
	r->channel = r->listen_fd = r->listen_path_fd = -1;
	r->next = k->recipes;
	k->recipes = r;
	helper_init(r);
	return r;
}

/* Takes over @files, also after a failure. Return: the channel's other end, or -errno. */
static int register_recipe(struct keeper *k, struct keeper_request *q, const int *files, char *why,
			   size_t size)
{
	const char *strings[KEEPER_MAX_ARGS + 1];
	int n = split(q, strings, KEEPER_MAX_ARGS + 1), sv[2] = { -1, -1 }, err = 0, i;
	struct recipe *r = make_recipe(k, q);

	for (i = 0; i < (int)q->num_files; i++)
		r->files[r->num_files++] = files[i];
	for (i = 0; i < n; i++) {
		const char *s = r->text + (strings[i] - q->text);

		if (i)
			r->argv[i - 1] = s;
		else
			r->run_dir = s;
	}
	if (n < 2 || q->kind >= KVMB_RECIPE_KINDS)
		err = -EPROTO;
	if (!err && r->kind == KVMB_RECIPE_DAEMON)
		err = make_listener(r);
	if (!err && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv))
		err = -errno;
	if (!err) {
		r->channel = sv[0];
		r->watch = kvmb_loop_add(k->loop, sv[0], EPOLLIN, on_channel, r);
		err = r->watch ? 0 : -errno;
	}
	if (!err)
		return sv[1];
	close_fd(&sv[1]);
	snprintf(why, size, "no socket for a helper program in %s: %s", n > 0 ? r->run_dir : "",
		 strerror(-err));
	free_recipe(r);
	return err;
}

/* ---- paths ---- */

/* @names: path, and the name to come. */
static void add_owned(struct keeper *k, const char *const *names, int path_fd)
{
	struct owned *o = kvmb_xzalloc(sizeof(*o));

	snprintf(o->path, sizeof(o->path), "%s", names[0]);
	snprintf(o->later, sizeof(o->later), "%s", names[1]);
	o->path_fd = path_fd;
	o->next = k->owned;
	k->owned = o;
}

static void remove_owned(struct keeper *k)
{
	struct owned *o;
	struct stat st;

	kvmb_loop_del(k->listen_watch);
	k->listen_watch = NULL;
	close_fd(&k->listener.fd);
	close_fd(&k->listener.spare_fd);
	while ((o = k->owned)) {
		k->owned = o->next;
		if (!fstat(o->path_fd, &st))
			kvmb_remove_unix(o->path, st.st_dev, st.st_ino);
		close(o->path_fd);
		free(o);
	}
}

static void add_made(struct keeper *k, const char *path, int fd)
{
	struct made *m = kvmb_xzalloc(sizeof(*m) + strlen(path) + 1);

	strcpy(m->path, path);
	m->fd = fd;
	m->next = k->made;
	k->made = m;
}

/* What somebody has put in its place is not ours. */
static void remove_made(const struct made *m)
{
	struct stat ours, there;

	if (!fstat(m->fd, &ours) && !lstat(m->path, &there) && ours.st_dev == there.st_dev &&
	    ours.st_ino == there.st_ino)
		unlink(m->path);
}

static void let_go_of_made(struct keeper *k, bool stay)
{
	struct made *m;

	while ((m = k->made)) {
		k->made = m->next;
		if (!stay)
			remove_made(m);
		close(m->fd);
		free(m);
	}
}

/* It still has the VM's memory and disks open, and may be one that was taken over. */
static void on_not_followed(void *arg)
{
	struct keeper *k = arg;
	struct pollfd p = { .fd = k->former_fd, .events = POLLIN };

	if (k->former_fd >= 0 && !poll(&p, 1, 0) &&
	    !syscall(SYS_pidfd_send_signal, k->former_fd, SIGKILL, NULL, 0))
		kvmb_warn(k->name, "the process that it was in before had not ended: killed");
	close_fd(&k->former_fd);
}

/* Where it is known by its name from now on; the former owner sees that it is no longer his. */
static int take_names(struct keeper *k)
{
	struct owned *o;
	struct stat st;
	int err = 0, one;

	for (o = k->owned; o; o = o->next) {
		if (!o->later[0])
			continue;
		one = fstat(o->path_fd, &st) ?
			      -errno :
			      kvmb_rename_unix(o->path, o->later, st.st_dev, st.st_ino);
		if (one) {
			err = one;
			continue;
		}
		strcpy(o->path, o->later);
		o->later[0] = 0;
	}
	if (k->former_fd >= 0 && !k->followed.due_ms)
		kvmb_timer_set(&k->followed, KEEPER_FOLLOWED_MS);
	return err;
}

/* ---- requests ---- */

static void on_connect(void *arg, uint32_t events);

/* Return: above 0, or -@missing. */
static int give(int fd, int missing)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 ? -missing : copy;
}

struct registrar { /* a launcher or a command */
	struct keeper *keeper;
	struct kvmb_watch *watch;
	int fd;
	bool is_launcher, changes, reads;
};

static void set_changes(struct registrar *g, bool changes)
{
	g->keeper->changers = g->keeper->changers - g->changes + changes;
	g->changes = changes;
}

static void set_reads(struct registrar *g, bool reads)
{
	g->keeper->readers = g->keeper->readers - g->reads + reads;
	g->reads = reads;
}

/* ---- the file that is kept ---- */

static int announce(struct registrar *g, char *why, size_t size)
{
	if (g->keeper->readers) {
		snprintf(why, size, "it is being saved or moved");
		return -EBUSY;
	}
	set_changes(g, true);
	return 0;
}

/* Who changes it gets it as it is; who counts on it only if it is right, and stays so. */
static int give_kept(struct registrar *g, char *why, size_t size)
{
	struct keeper *k = g->keeper;
	int fd = give(k->kept_fd, ENOENT);

	if (fd < 0 || g->changes)
		return fd;
	if (!k->changers && !k->doubtful) {
		set_reads(g, true);
		return fd;
	}
	close(fd);
	snprintf(why, size, "%s",
		 k->doubtful ? "a change of its disks or NICs was interrupted, so that its options "
			       "may not be what it has" :
			       "its disks or NICs are being changed; try again");
	return k->doubtful ? -ESTALE : -EBUSY;
}

static bool is_same(int a, int b)
{
	struct stat sa, sb;

	return !fstat(a, &sa) && !fstat(b, &sb) && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* Takes over @files. A command must have seen what it replaces. */
static int keep(struct registrar *g, int *files, uint32_t num)
{
	struct keeper *k = g->keeper;
	int err = 0;

	if (num != (g->is_launcher ? 1 : 2) || !(g->is_launcher || g->changes))
		err = -EPROTO;
	else if (num == 2 && !is_same(files[1], k->kept_fd))
		err = -EAGAIN;
	if (!err) {
		close_fd(&k->kept_fd);
		k->kept_fd = files[0];
		files[0] = -1;
		set_changes(g, false);
	}
	while (num)
		close_fd(&files[--num]);
	return err;
}

/* Takes over @files, also after a failure. Return: 0, -errno, or the channel of a recipe. */
static int serve(struct registrar *g, struct keeper_request *q, int *files, char *why, size_t size)
{
	struct keeper *k = g->keeper;
	const char *names[2];

	if (q->what == KEEPER_REGISTER && k->step == KEEPER_SERVES)
		return register_recipe(k, q, files, why, size);
	if (q->what == KEEPER_KEEP)
		return keep(g, files, q->num_files);
	if (q->what == KEEPER_VM && !q->num_files)
		return give(k->vm_fd, ESRCH);
	if (q->what == KEEPER_KEPT && !q->num_files)
		return give_kept(g, why, size);
	if (q->what == KEEPER_ANNOUNCE && !q->num_files)
		return announce(g, why, size);
	if (q->what == KEEPER_RECALL && !q->num_files) {
		set_changes(g, false);
		return 0;
	}
	if (q->what == KEEPER_FOLLOW && q->num_files == 1) {
		close_fd(&k->former_fd);
		k->former_fd = files[0];
		return 0;
	}
	if (split(q, names, 1) == 1 && q->what == KEEPER_ADOPT_FILE && q->num_files == 1 &&
	    g->is_launcher) {
		add_made(k, names[0], files[0]);
		return 0;
	}
	if (split(q, names, 2) == 2 && q->what == KEEPER_ADOPT && q->num_files == 1) {
		add_owned(k, names, files[0]);
		return 0;
	}
	if (split(q, names, 2) == 2 && q->what == KEEPER_LISTEN && q->num_files == 2 &&
	    k->listener.fd < 0) {
		add_owned(k, names, files[0]);
		k->listener.fd = files[1];
		k->listener.spare_fd = fcntl(files[1], F_DUPFD_CLOEXEC, 0);
		k->listen_watch = kvmb_loop_add(k->loop, files[1], EPOLLIN, on_connect, k);
		return k->listen_watch ? 0 : -errno;
	}
	while (q->num_files)
		close(files[--q->num_files]);
	return -EPROTO;
}

/* Read one request. Return: bytes, 0 at the end, -errno; -EPROTO when it is none. */
static ssize_t read_request(int fd, struct keeper_request *q, int *files)
{
	int num = KVMB_RECIPE_MAX_FILES;
	ssize_t n = kvmb_recv_fds(fd, q, sizeof(*q), files, &num, MSG_DONTWAIT);
	size_t head = offsetof(struct keeper_request, text);

	if (n <= 0)
		return n;
	if ((size_t)n >= head && q->text_len == (size_t)n - head && q->num_files == (uint32_t)num &&
	    (!q->text_len || !q->text[q->text_len - 1]))
		return n;
	while (num)
		close(files[--num]);
	return -EPROTO;
}

static void answer(int fd, uint32_t seq, int result, const char *why)
{
	struct keeper_answer a = { .seq = seq, .err = result < 0 ? result : 0 };

	snprintf(a.why, sizeof(a.why), "%s", why);
	kvmb_send_fds(fd, &a, sizeof(a), &result, result > 0);
	if (result > 0)
		close(result);
}

/* Return: false when @fd is of no more use. */
static bool serve_registrar(struct registrar *g)
{
	struct keeper_request *q = kvmb_xzalloc(sizeof(*q));
	int files[KVMB_RECIPE_MAX_FILES], result;
	char why[sizeof(((struct keeper_answer *)0)->why)] = "";
	ssize_t n = read_request(g->fd, q, files);

	if (n > 0) {
		result = serve(g, q, files, why, sizeof(why));
		if (result < 0 && !why[0])
			snprintf(why, sizeof(why), "%s", strerror(-result));
		answer(g->fd, q->seq, result, why);
	}
	free(q);
	return n > 0 || n == -EAGAIN;
}

static void on_registrar(void *arg, uint32_t events)
{
	struct registrar *g = arg;

	(void)events;
	if (serve_registrar(g))
		return;
	g->keeper->doubtful |= g->changes;
	set_changes(g, false);
	set_reads(g, false);
	kvmb_loop_del(g->watch);
	close(g->fd);
	free(g);
}

static void add_registrar(struct keeper *k, int fd, bool is_launcher)
{
	struct registrar *g = kvmb_xzalloc(sizeof(*g));

	g->keeper = k;
	g->fd = fd;
	g->is_launcher = is_launcher;
	g->watch = kvmb_loop_add(k->loop, fd, EPOLLIN, on_registrar, g);
	kvmb_assert(g->watch);
}

static void on_connect(void *arg, uint32_t events)
{
	struct keeper *k = arg;
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);
	int fd = kvmb_accept_unix(&k->listener, SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) &&
	    (!peer.uid || peer.uid == geteuid()))
		add_registrar(k, fd, false);
	else
		close(fd);
}

/* ---- the VM, and the end ---- */

/* The VM's orderly end waits until we hang up, so we cannot wait for its process before that. */
static void wait_for_vm(struct keeper *k)
{
	kvmb_timer_cancel(&k->late);
	k->step = KEEPER_WAITS;
	let_go_of_made(k, false);
	remove_owned(k);
	close_fd(&k->main_fd);
	if (!k->vm_watch)
		kvmb_loop_stop(k->loop);
}

static void on_helpers_late(void *arg)
{
	wait_for_vm(arg);
}

static void end_helpers(struct keeper *k)
{
	struct recipe *r, *next;

	kvmb_loop_del(k->main_watch);
	k->main_watch = NULL;
	if (k->followed.due_ms) /* nobody looks later */
		on_not_followed(k);
	kvmb_timer_cancel(&k->followed);
	k->step = KEEPER_ENDS_HELPERS;
	kvmb_timer_set(&k->late, END_MS);
	for (r = k->recipes; r; r = next) {
		next = r->next;
		if (!r->forgotten)
			forget_recipe(r);
	}
	if (!k->recipes)
		wait_for_vm(k);
}

/* It must end now, within a time that begins once. */
static void expect_end(struct keeper *k)
{
	if (k->vm_watch && !k->overdue.due_ms)
		kvmb_timer_set(&k->overdue, KEEPER_RELEASED_MS);
}

static int serve_vm(struct keeper *k, uint32_t what)
{
	static struct kvmb_ratelimit limit; /* its guest may have taken it over */

	if (what == KEEPER_RELEASE) {
		remove_owned(k);
		expect_end(k);
	} else if (what == KEEPER_TAKE_NAMES) {
		return take_names(k);
	} else if (what == KEEPER_STAY) {
		let_go_of_made(k, true);
	} else if (what == KEEPER_LOG_THREADS && kvmb_ratelimit_ok(&limit)) {
		kvmb_log_threads(k->name, getppid());
	} else {
		return -EPROTO;
	}
	return 0;
}

/* It can be reached by nobody, and may be a VM that was taken over and wants to go on unseen. */
static void on_overdue(void *arg)
{
	struct keeper *k = arg;

	kvmb_warn(k->name, "it began to end %u s ago and has not ended: killed",
		  KEEPER_RELEASED_MS / 1000);
	syscall(SYS_pidfd_send_signal, k->vm_fd, SIGKILL, NULL, 0);
}

static void on_vm_end(void *arg, uint32_t events)
{
	struct keeper *k = arg;

	(void)events;
	kvmb_loop_del(k->vm_watch);
	k->vm_watch = NULL;
	kvmb_timer_cancel(&k->overdue);
	if (k->step == KEEPER_SERVES)
		end_helpers(k);
	else if (k->step == KEEPER_WAITS)
		kvmb_loop_stop(k->loop);
}

static void on_main(void *arg, uint32_t events)
{
	struct keeper *k = arg;
	struct keeper_request *q = kvmb_xzalloc(sizeof(*q));
	int files[KVMB_RECIPE_MAX_FILES];
	ssize_t n = read_request(k->main_fd, q, files);

	(void)events;
	if (n > 0) {
		while (q->num_files)
			close(files[--q->num_files]);
		answer(k->main_fd, q->seq, serve_vm(k, q->what), "");
	} else if (n != -EAGAIN) {
		expect_end(k);
		end_helpers(k);
	}
	free(q);
}

/* ---- its beginning ---- */

/* "kvmbus-keeper NAME" for ps(1), in the place of the launcher's arguments. */
static void take_title(const char *name)
{
	char args[4096];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, args, sizeof(args));

	if (fd >= 0)
		close(fd);
	prctl(PR_SET_NAME, "kvmbus-keeper");
	/* glibc's name points at argv[0], and all arguments follow it without a gap */
	if (n > 0 && !strcmp(args, program_invocation_name)) {
		memset(program_invocation_name, 0, (size_t)n);
		snprintf(program_invocation_name, (size_t)n, "kvmbus-keeper %s", name);
	}
}

/* What the launcher has open is not ours to keep open, nor are its signals for us. */
static void leave_launcher(struct keeper_ends *e)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXFSZ };
	int null = open("/dev/null", O_RDWR), a = fcntl(e->main_fd, F_DUPFD, 10),
	    b = fcntl(e->reg_fd, F_DUPFD, 10), c = fcntl(e->vm_fd, F_DUPFD, 10), fd;
	size_t i;

	setsid();
	for (i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	dup2(null, 0);
	dup2(null, 1);
	dup2(a, 3);
	dup2(b, 4);
	e->vm_fd = dup2(c, 5); /* or -1 */
	syscall(SYS_close_range, e->vm_fd < 0 ? 5 : 6, ~0u, 0);
	e->main_fd = 3;
	e->reg_fd = 4;
	for (fd = 3; fd < 6; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(3, F_SETFL, O_NONBLOCK); /* a VM that does not read its answers */
	fcntl(4, F_SETFL, O_NONBLOCK);
	prctl(PR_SET_DUMPABLE, 0); /* a helper of the same user cannot look into us */
}

void keeper_main(const char *name, bool strict, const struct keeper_ends *ends)
{
	struct keeper k = { .name = strdup(name),
			    .strict = strict,
			    .kept_fd = -1,
			    .former_fd = -1,
			    .listener = { .fd = -1, .spare_fd = -1 } };
	struct keeper_ends e = *ends;

	leave_launcher(&e);
	take_title(k.name);
	kvmb_log_open_journal(KVMB_JOURNAL);
	k.main_fd = e.main_fd;
	k.vm_fd = e.vm_fd;
	k.loop = kvmb_loop_create();
	if (!k.loop)
		_exit(1);
	kvmb_timer_init(&k.overdue, k.loop, on_overdue, &k);
	kvmb_timer_init(&k.late, k.loop, on_helpers_late, &k);
	kvmb_timer_init(&k.followed, k.loop, on_not_followed, &k);
	k.main_watch = kvmb_loop_add(k.loop, k.main_fd, EPOLLIN, on_main, &k);
	k.vm_watch = k.vm_fd < 0 ? NULL : kvmb_loop_add(k.loop, k.vm_fd, EPOLLIN, on_vm_end, &k);
	add_registrar(&k, e.reg_fd, true);
	kvmb_loop_run(k.loop);
	let_go_of_made(&k, false);
	remove_owned(&k);
	_exit(0);
}
