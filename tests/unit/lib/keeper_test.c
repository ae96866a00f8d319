// SPDX-License-Identifier: GPL-2.0-only
/* The keeper: what channels can ask for, who may register, and that nothing outlives the VM. */
#include "lib/keeper.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "lib/fdpass.h"
#include "lib/jail.h"
#include "lib/keeper_priv.h"
#include "lib/sock.h"
#include "lib/util.h"
#include "tests/harness/keeper.h"

static char dir[64], why[256];
static struct kvmb_keeper_news news;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/kvmbus-keeper-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	stand_in(dir, "qemu-storage-daemon", "fake-helper");
	stand_in(dir, "passt", "fake-helper");
	start_keeper();
	return 0;
}

static int teardown(void **state)
{
	char cmd[96];

	(void)state;
	end_keeper();
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	return system(cmd);
}

/* Return: a channel for the fake helper. */
static int recipe(enum kvmb_recipe_kind kind, const char *mode, unsigned int ready_ms)
{
	static const char *const names[] = { "qemu-storage-daemon", "passt" };
	const char *argv[] = { names[kind], mode, NULL };
	char path[96];
	int fd, channel;
	struct kvmb_recipe r = { .kind = kind,
				 .argv = argv,
				 .files = &fd,
				 .num_files = 1,
				 .run_dir = dir,
				 .ready_ms = ready_ms };

	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(pwrite(fd, "content", 7, 0), 7);
	channel = kvmb_keeper_register(&r, why, sizeof(why));
	close(fd);
	if (channel < 0)
		fail_msg("%s", why);
	return channel;
}

static void get(int channel, enum kvmb_keeper_what what)
{
	assert_int_equal(kvmb_keeper_wait(channel, what, &news, PATIENCE_MS), 0);
	assert_int_equal(news.what, what);
}

static int start(int channel)
{
	assert_int_equal(kvmb_keeper_ask(channel, KVMB_KEEPER_START), 0);
	get(channel, KVMB_KEEPER_STARTED);
	return news.fd;
}

static void kill_it(int channel)
{
	assert_int_equal(kvmb_keeper_ask(channel, KVMB_KEEPER_KILL), 0);
	get(channel, KVMB_KEEPER_KILLED);
	assert_int_equal(news.err, 0);
}

static bool has_hung_up(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c[16];

	while (poll(&p, 1, PATIENCE_MS) == 1) {
		if (read(fd, c, sizeof(c)) <= 0)
			return true;
	}
	return false;
}

static void a_daemon_starts_serves_and_is_killed(void **state)
{
	int channel = recipe(KVMB_RECIPE_DAEMON, "serve", 0), monitor, fd, i;
	struct pollfd p = { .events = POLLIN };
	char buf[16] = "";

	(void)state;
	for (i = 0; i < 3; i++) {
		monitor = start(channel);
		assert_int_equal(news.err, 0);
		assert_int_equal(read(monitor, buf, sizeof(buf)), 7);
		assert_memory_equal(buf, "content", 7);
		assert_int_equal(kvmb_keeper_ask(channel, KVMB_KEEPER_START), 0);
		get(channel, KVMB_KEEPER_STARTED);
		assert_int_equal(news.err, -EBUSY); /* one at a time */
		assert_int_equal(kvmb_keeper_ask(channel, KVMB_KEEPER_CONNECT), 0);
		get(channel, KVMB_KEEPER_CONNECTED);
		p.fd = fd = news.fd;
		assert_int_equal(write(fd, "ping", 4), 4);
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		assert_int_equal(read(fd, buf, sizeof(buf)), 4);
		kill_it(channel);
		assert_true(WIFSIGNALED(news.status) && WTERMSIG(news.status) == SIGKILL);
		assert_true(has_hung_up(monitor) && has_hung_up(fd));
		close(monitor);
		close(fd);
		kill_it(channel); /* none is there, and that is answered too */
	}
	close(channel);
	assert_int_equal(rmdir(dir), -1); /* the files of setup() and recipe(), and no socket: */
	unlink(strcat(strcpy(why, dir), "/file"));
	unlink(strcat(strcpy(why, dir), "/passt"));
	unlink(strcat(strcpy(why, dir), "/qemu-storage-daemon"));
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(mkdir(dir, 0700), 0);
}

static void one_that_ends_says_why(void **state)
{
	int channel = recipe(KVMB_RECIPE_DAEMON, "fail", 0);

	(void)state;
	close(start(channel));
	get(channel, KVMB_KEEPER_ENDED);
	assert_true(WIFEXITED(news.status) && WEXITSTATUS(news.status) == 7);
	assert_string_equal(news.words, "first");
	close(channel);
	channel = recipe(KVMB_RECIPE_PASST, "fail", 0);
	close(start(channel));
	get(channel, KVMB_KEEPER_ENDED);
	assert_string_equal(news.words, "las?t"); /* nothing for a terminal to obey */
	close(channel);
}

/* ---- a host that lacks something ---- */

static unsigned int jail_lacks; /* of the keeper that is forked next */
int __real_kvmb_jail_create(const char *program);
int __wrap_kvmb_jail_create(const char *program);
int __wrap_kvmb_jail_create(const char *program)
{
	return jail_lacks & KVMB_JAIL_NO_LANDLOCK ? -EOPNOTSUPP : __real_kvmb_jail_create(program);
}

void __real_kvmb_jail_enter_root(const char *program, unsigned int *lacks);
void __wrap_kvmb_jail_enter_root(const char *program, unsigned int *lacks);
void __wrap_kvmb_jail_enter_root(const char *program, unsigned int *lacks)
{
	if (jail_lacks & KVMB_JAIL_NO_ROOT)
		*lacks |= KVMB_JAIL_NO_ROOT;
	else
		__real_kvmb_jail_enter_root(program, lacks);
}

/* Return: what START is answered with. */
static int start_without(unsigned int lacks, bool strict)
{
	int channel, monitor, err;

	end_keeper();
	jail_lacks = lacks;
	assert_int_equal(kvmb_keeper_start("test", strict, why, sizeof(why)), 0);
	channel = recipe(KVMB_RECIPE_DAEMON, "serve", 0);
	monitor = start(channel);
	err = news.err;
	assert_true(err ? monitor < 0 : monitor >= 0);
	if (monitor >= 0)
		close(monitor);
	kill_it(channel); /* in any case that is answered */
	close(channel);
	return err;
}

static void a_strict_keeper_starts_no_daemon_that_could_open_files(void **state)
{
	const unsigned int both = KVMB_JAIL_NO_ROOT | KVMB_JAIL_NO_LANDLOCK;

	(void)state;
	assert_int_equal(start_without(both, false), 0);
	assert_true(kvmb_jail_opens_files(news.lacks));
	assert_int_equal(start_without(both, true), -EACCES);
	assert_int_equal(start_without(KVMB_JAIL_NO_LANDLOCK, true), 0);
	if (!start_without(KVMB_JAIL_NO_ROOT, false) && !kvmb_jail_opens_files(news.lacks))
		assert_int_equal(start_without(KVMB_JAIL_NO_ROOT, true), 0);
	jail_lacks = 0;
}

static void one_that_is_not_there_is_told(void **state)
{
	int channel = recipe(KVMB_RECIPE_PASST, "confined", 0);

	(void)state;
	strcat(strcpy(why, dir), "/passt");
	assert_int_equal(unlink(why), 0);
	assert_int_equal(symlink("/nonexistent", why), 0);
	start(channel);
	if (news.err) /* this machine may have a passt of its own */
		assert_int_equal(news.err, -ENOENT);
	close(channel);
}

static void passt_is_ready_when_it_is_confined(void **state)
{
	int channel = recipe(KVMB_RECIPE_PASST, "confined", 0), fd = start(channel);

	(void)state;
	get(channel, KVMB_KEEPER_READY);
	assert_string_equal(news.words, "");
	close(channel);
	assert_true(has_hung_up(fd)); /* with the channel went the helper */
	close(fd);
}

static void passt_that_does_not_confine_itself_is_killed(void **state)
{
	int channel = recipe(KVMB_RECIPE_PASST, "bare", 0), fd = start(channel);

	(void)state;
	assert_int_equal(kvmb_keeper_wait(channel, KVMB_KEEPER_READY, &news, PATIENCE_MS), 0);
	assert_int_equal(news.what, KVMB_KEEPER_ENDED);
	assert_int_equal(news.err, -EPERM);
	assert_true(has_hung_up(fd));
	close(fd);
	close(channel);
}

static void passt_that_is_late_is_killed(void **state)
{
	int channel = recipe(KVMB_RECIPE_PASST, "deaf", 100), fd = start(channel);

	(void)state;
	get(channel, KVMB_KEEPER_ENDED);
	assert_int_equal(news.err, -ETIME);
	close(fd);
	close(channel);
}

static void an_unknown_word_costs_the_recipe(void **state)
{
	int channel = recipe(KVMB_RECIPE_DAEMON, "serve", 0), monitor = start(channel);

	(void)state;
	assert_int_equal(send(channel, "\x77", 1, 0), 1);
	assert_true(has_hung_up(monitor));
	assert_true(has_hung_up(channel));
	assert_int_equal(kvmb_keeper_ask(channel, KVMB_KEEPER_START), -EPIPE);
	close(monitor);
	close(channel);
}

static void one_who_does_not_read_loses_the_recipe(void **state)
{
	int channel = recipe(KVMB_RECIPE_DAEMON, "serve", 0), err, i = 0;

	(void)state;
	while ((err = kvmb_keeper_ask(channel, KVMB_KEEPER_KILL)) != -EPIPE && i < 60000) {
		i += err == -EAGAIN; /* it has not read them all yet */
		usleep(err ? 1000 : 0);
	}
	assert_int_equal(err, -EPIPE);
	close(channel);
	close(recipe(KVMB_RECIPE_DAEMON, "serve", 0)); /* and the keeper lives */
}

static void after_the_seal_nothing_is_registered(void **state)
{
	const char *argv[] = { "passt", NULL };
	struct kvmb_recipe r = { .kind = KVMB_RECIPE_PASST, .argv = argv };
	int channel = recipe(KVMB_RECIPE_DAEMON, "serve", 0), monitor;

	(void)state;
	kvmb_keeper_seal();
	assert_true(kvmb_keeper_register(&r, why, sizeof(why)) < 0);
	monitor = start(channel); /* what is known stays */
	assert_int_equal(news.err, 0);
	close(monitor);
	close(channel);
}

/* ---- commands ---- */

/* One of another user, which does not look who the keeper is. Return: was it hung up on? */
static bool is_refused(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char c;

	strcpy(a.sun_path, path);
	return !connect(fd, (struct sockaddr *)&a, sizeof(a)) && recv(fd, &c, 1, 0) <= 0;
}

/* Our parent is the VM. */
static bool is_vm(int pidfd)
{
	char path[48], line[128];
	int pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f) && sscanf(line, "Pid: %d", &pid) != 1)
		;
	return pid == (int)getppid();
}

static int file_with(const char *text)
{
	int fd = memfd_create("kept", MFD_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static bool has_text(int fd, const char *text)
{
	char buf[16] = "";

	return pread(fd, buf, sizeof(buf) - 1, 0) == (ssize_t)strlen(text) && !strcmp(buf, text);
}

/* The last file is kept. */
static void keep_files(void)
{
	int first = file_with("first"), second = file_with("kept");

	assert_int_equal(kvmb_keeper_kept(why, sizeof(why)), -ENOENT);
	assert_int_equal(kvmb_keeper_keep(first, why, sizeof(why)), 0);
	assert_int_equal(kvmb_keeper_keep(second, why, sizeof(why)), 0);
	close(first);
	close(second);
}

/* In a process of its own: a command. Return: its exit status. */
static int command(const char *path, uid_t uid)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		const char *argv[] = { "qemu-storage-daemon", "serve", NULL };
		struct kvmb_recipe r = { .argv = argv, .run_dir = dir };
		int channel;

		if (uid && setuid(uid))
			_exit(9);
		if (uid && !is_refused(path))
			_exit(8);
		if (kvmb_keeper_connect(path, why, sizeof(why)))
			_exit(2); /* its descriptors are not for another user's process */
		channel = kvmb_keeper_register(&r, why, sizeof(why));
		if (channel < 0)
			_exit(3);
		if (!is_vm(kvmb_keeper_vm(why, sizeof(why))))
			_exit(5);
		if (!has_text(kvmb_keeper_kept(why, sizeof(why)), "kept"))
			_exit(6);
		if (kvmb_keeper_ask(channel, KVMB_KEEPER_START) ||
		    kvmb_keeper_wait(channel, KVMB_KEEPER_STARTED, &news, PATIENCE_MS) || news.err)
			_exit(4);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void a_command_of_the_same_user_may_register(void **state)
{
	char path[96], control[96];
	struct stat st;

	(void)state;
	snprintf(control, sizeof(control), "%s/vm.sock", dir);
	assert_int_equal(kvmb_keeper_path(control, path, sizeof(path)), 0);
	assert_int_equal(kvmb_keeper_listen(path, why, sizeof(why)), 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	keep_files();
	kvmb_keeper_seal();
	assert_int_equal(command(path, 0), 0);
	if (!geteuid()) {
		chmod(dir, 0755);
		chmod(path, 0666); /* even then */
		assert_int_equal(command(path, 65534), 2);
	}
	assert_int_equal(kvmb_keeper_release(PATIENCE_MS), 0);
	assert_int_equal(lstat(path, &st), -1);
}

/* ---- the file that is kept, and commands that change it ---- */

struct actor { /* a command, in a process of its own, which does what it is told */
	pid_t pid;
	int sock;
};

static int act(char what, int *seen)
{
	int fd;

	switch (what) {
	case 'a':
		return kvmb_keeper_announce(why, sizeof(why));
	case 'c':
		return kvmb_keeper_recall(why, sizeof(why));
	case 'k':
		fd = kvmb_keeper_kept(why, sizeof(why));
		if (fd >= 0)
			*seen = fd;
		return fd < 0 ? fd : 0;
	case '1':
	case '2':
		return kvmb_keeper_replace(file_with(what == '1' ? "one" : "two"), *seen, why,
					   sizeof(why));
	case 'o':
		return !has_text(*seen, "kept");
	case 'n':
		return !has_text(*seen, "one");
	case 't':
		return !has_text(*seen, "two");
	}
	return kvmb_keeper_keep(file_with("evil"), why, sizeof(why));
}

static struct actor begin_actor(const char *path)
{
	struct actor a;
	int sv[2], err, seen = -1;
	char what;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	a = (struct actor){ .pid = fork(), .sock = sv[0] };
	if (!a.pid) {
		close(sv[0]);
		if (kvmb_keeper_connect(path, why, sizeof(why)))
			_exit(1);
		while (read(sv[1], &what, 1) == 1) {
			err = act(what, &seen);
			if (write(sv[1], &err, sizeof(err)) != sizeof(err))
				_exit(2);
		}
		_exit(0);
	}
	close(sv[1]);
	return a;
}

static int tell(const struct actor *a, char what)
{
	int err = 1;

	assert_int_equal(write(a->sock, &what, 1), 1);
	assert_int_equal(read(a->sock, &err, sizeof(err)), sizeof(err));
	return err;
}

/* Another one has ended, which the keeper sees in its own time. */
static int tell_when_free(const struct actor *a, char what)
{
	int err;

	while ((err = tell(a, what)) == -EBUSY)
		usleep(1000);
	return err;
}

static void end_actor(struct actor *a)
{
	int status;

	close(a->sock);
	assert_int_equal(waitpid(a->pid, &status, 0), a->pid);
	assert_int_equal(status, 0);
}

static char kept_path[96];

static void keep_for_actors(void)
{
	char control[96];

	snprintf(control, sizeof(control), "%s/vm.sock", dir);
	assert_int_equal(kvmb_keeper_path(control, kept_path, sizeof(kept_path)), 0);
	assert_int_equal(kvmb_keeper_listen(kept_path, why, sizeof(why)), 0);
	keep_files();
	kvmb_keeper_seal();
}

static void nobody_gets_the_file_while_it_is_being_changed(void **state)
{
	struct actor a, b;

	(void)state;
	keep_for_actors();
	a = begin_actor(kept_path);
	b = begin_actor(kept_path);
	assert_int_equal(tell(&a, 'a'), 0);
	assert_int_equal(tell(&b, 'k'), -EBUSY);
	assert_int_equal(tell(&a, 'c'), 0);
	assert_int_equal(tell(&b, 'k') || tell(&b, 'o'), 0);
	assert_int_equal(tell(&a, 'a'), -EBUSY); /* b has it, and saves the VM */
	end_actor(&b);
	assert_int_equal(tell_when_free(&a, 'a'), 0);
	assert_int_equal(tell(&a, 'k') || tell(&a, 'o') || tell(&a, '1'), 0);
	b = begin_actor(kept_path);
	assert_int_equal(tell(&b, 'k') || tell(&b, 'n'), 0);
	end_actor(&b); /* which has a's socket, too */
	end_actor(&a);
}

static void two_at_once_lose_no_change(void **state)
{
	struct actor a, b;

	(void)state;
	keep_for_actors();
	a = begin_actor(kept_path);
	b = begin_actor(kept_path);
	assert_int_equal(tell(&a, 'a') || tell(&b, 'a') || tell(&a, 'k') || tell(&b, 'k'), 0);
	assert_int_equal(tell(&a, '1'), 0);
	assert_int_equal(tell(&b, '2'), -EAGAIN); /* made of what was there before */
	assert_int_equal(tell(&a, 'k'), -EBUSY);  /* b is not done */
	assert_int_equal(tell(&b, 'k') || tell(&b, 'n') || tell(&b, '2'), 0);
	assert_int_equal(tell(&a, 'k') || tell(&a, 't'), 0);
	end_actor(&b);
	end_actor(&a);
}

static void a_change_that_was_interrupted_leaves_a_doubt(void **state)
{
	struct actor a, b;

	(void)state;
	keep_for_actors();
	a = begin_actor(kept_path);
	b = begin_actor(kept_path);
	assert_int_equal(tell(&a, 'a'), 0);
	kill(a.pid, SIGKILL);
	close(a.sock);
	waitpid(a.pid, NULL, 0);
	assert_int_equal(tell_when_free(&b, 'k'), -ESTALE);
	assert_int_equal(tell(&b, 'k'), -ESTALE);
	assert_int_equal(tell(&b, 'a') || tell(&b, 'k') || tell(&b, '1'), 0); /* others go on */
	assert_int_equal(tell(&b, 'k'), -ESTALE);
	end_actor(&b);
}

static void who_announced_nothing_changes_nothing(void **state)
{
	struct actor a;

	(void)state;
	keep_for_actors();
	a = begin_actor(kept_path);
	assert_int_equal(tell(&a, 'k'), 0);
	assert_int_equal(tell(&a, '1'), -EPROTO);
	assert_int_equal(tell(&a, 'e'), -EPROTO);
	assert_int_equal(tell(&a, 'k') || tell(&a, 'o'), 0);
	end_actor(&a);
}

/* ---- the end ---- */

static void a_killed_vm_leaves_nothing_behind(void **state)
{
	char path[96], other[96], keeper[96];
	struct kvmb_listener l, l2;
	struct stat st;
	int p[2], monitor, num = 1, i;
	pid_t pid;
	char c;

	(void)state;
	end_keeper(); /* setup()'s */
	snprintf(path, sizeof(path), "%s/vm.sock", dir);
	snprintf(other, sizeof(other), "%s/serial", dir);
	snprintf(keeper, sizeof(keeper), "%s/vm.keeper", dir);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	pid = fork();
	if (!pid) {
		close(p[0]);
		start_keeper();
		if (kvmb_listen_unix(&l, path, why, sizeof(why)) || kvmb_keeper_adopt(&l) ||
		    kvmb_listen_unix(&l2, other, why, sizeof(why)) || kvmb_keeper_adopt(&l2) ||
		    kvmb_keeper_listen(keeper, why, sizeof(why)))
			_exit(1);
		monitor = start(recipe(KVMB_RECIPE_DAEMON, "serve", 0));
		if (read(monitor, &c, 1) != 1)
			_exit(1);
		if (kvmb_send_fds(p[1], "x", 1, &monitor, 1) != 1)
			_exit(1);
		pause();
	}
	close(p[1]);
	assert_int_equal(kvmb_recv_fds(p[0], &c, 1, &monitor, &num, 0), 1);
	assert_int_equal(lstat(path, &st), 0);
	unlink(other); /* somebody else's by now */
	assert_int_equal(open(other, O_CREAT | O_CLOEXEC, 0600) >= 0, 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(has_hung_up(monitor));
	close(monitor);
	for (i = 0; i < 6000 && (!lstat(path, &st) || !lstat(keeper, &st)); i++)
		usleep(10000);
	assert_int_equal(lstat(path, &st), -1);
	assert_int_equal(lstat(keeper, &st), -1);
	assert_int_equal(lstat(other, &st), 0);
	close(p[0]);
}

static void the_orderly_end_waits_for_helpers(void **state)
{
	int channel = recipe(KVMB_RECIPE_DAEMON, "serve", 0), monitor = start(channel);
	char c[16];

	(void)state;
	assert_int_equal(read(monitor, c, sizeof(c)), 7);
	kvmb_keeper_end(PATIENCE_MS);
	assert_int_equal(recv(monitor, c, sizeof(c), MSG_DONTWAIT), 0); /* gone, not going */
	close(monitor);
	close(channel);
}

static void a_daemon_may_write_back_when_nobody_needs_it(void **state)
{
	int channel = recipe(KVMB_RECIPE_DAEMON, "serve", 0), monitor = start(channel), fd;
	char path[96], buf[16];

	(void)state;
	assert_int_equal(read(monitor, buf, sizeof(buf)), 7);
	assert_int_equal(kvmb_keeper_close(channel, PATIENCE_MS), 0);
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, buf, sizeof(buf)), 7);
	assert_memory_equal(buf, "flushed", 7);
	close(fd);
	close(monitor);
}

static void one_that_does_not_end_is_killed(void **state)
{
	int channel = recipe(KVMB_RECIPE_DAEMON, "deaf", 0), monitor = start(channel);

	(void)state;
	assert_int_equal(kvmb_keeper_close(channel, PATIENCE_MS), 0);
	assert_true(has_hung_up(monitor));
	close(monitor);
}

/* ---- a keeper, or a VM, that does not do its part ---- */

static void an_answer_that_comes_late_is_not_the_next_one(void **state)
{
	pid_t keeper = find_keeper();
	int i;

	(void)state;
	for (i = 0; !kvmb_keeper_log_threads(PATIENCE_MS); i++)
		assert_true(i < 1000); /* until it is asked too often */
	kill(keeper, SIGSTOP);
	assert_int_equal(kvmb_keeper_log_threads(50), -ETIMEDOUT);
	kill(keeper, SIGCONT);
	assert_int_equal(kvmb_keeper_release(PATIENCE_MS), 0);
}

static void a_keeper_that_is_stopped_is_not_waited_for(void **state)
{
	int channel = recipe(KVMB_RECIPE_DAEMON, "serve", 0), monitor = start(channel);
	pid_t keeper = find_keeper();
	uint64_t begun;

	(void)state;
	kill(keeper, SIGSTOP);
	begun = kvmb_now_ms();
	assert_int_equal(kvmb_keeper_release(100), -ETIMEDOUT);
	assert_int_equal(kvmb_keeper_close(channel, PATIENCE_MS), -ETIMEDOUT);
	kvmb_keeper_end(PATIENCE_MS);
	assert_true(kvmb_now_ms() - begun < PATIENCE_MS / 2);
	kill(keeper, SIGCONT); /* it does then what it has to */
	assert_true(has_hung_up(monitor));
	close(monitor);
}

/* Return: 0: it cannot be seen. */
static unsigned int first_free_fd(pid_t pid)
{
	char path[48], target[64];
	unsigned int fd = 0;

	do
		snprintf(path, sizeof(path), "/proc/%d/fd/%u", (int)pid, fd);
	while (readlink(path, target, sizeof(target)) >= 0 && ++fd);
	return fd;
}

static void a_keeper_without_descriptors_hangs_up(void **state)
{
	struct rlimit none, many;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	pid_t keeper = find_keeper();

	(void)state;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/vm.keeper", dir);
	assert_int_equal(kvmb_keeper_listen(a.sun_path, why, sizeof(why)), 0);
	keep_files();
	none.rlim_cur = first_free_fd(keeper);
	if (!none.rlim_cur)
		skip(); /* only root may look into a keeper */
	assert_int_equal(prlimit(keeper, RLIMIT_NOFILE, NULL, &many), 0);
	none.rlim_max = many.rlim_max;
	assert_int_equal(prlimit(keeper, RLIMIT_NOFILE, &none, NULL), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_true(has_hung_up(fd));
	close(fd);
	assert_int_equal(prlimit(keeper, RLIMIT_NOFILE, &many, NULL), 0);
	kvmb_keeper_seal();
	assert_int_equal(command(a.sun_path, 0), 0);
}

static bool hurry; /* in keepers that are forked from now on */
void __real_kvmb_timer_set(struct kvmb_timer *t, uint64_t ms);
void __wrap_kvmb_timer_set(struct kvmb_timer *t, uint64_t ms);
void __wrap_kvmb_timer_set(struct kvmb_timer *t, uint64_t ms)
{
	__real_kvmb_timer_set(
		t, hurry && (ms == KEEPER_RELEASED_MS || ms == KEEPER_FOLLOWED_MS) ? 100 : ms);
}

static void a_vm_without_sockets_is_killed_when_it_does_not_end(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	end_keeper(); /* setup()'s */
	pid = fork();
	if (!pid) {
		hurry = true;
		start_keeper();
		if (kvmb_keeper_release(PATIENCE_MS))
			_exit(1);
		alarm(PATIENCE_MS / 1000);
		for (;;)
			pause();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* It may close what leads to the keeper (vmm/policy.c), and go on with its guest. */
static void a_vm_that_hangs_up_and_does_not_end_is_killed(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	end_keeper(); /* setup()'s */
	pid = fork();
	if (!pid) {
		hurry = true;
		start_keeper();
		close(start(recipe(KVMB_RECIPE_DAEMON, "serve", 0)));
		kvmb_keeper_end(PATIENCE_MS);
		alarm(PATIENCE_MS / 1000);
		for (;;)
			pause();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* An orderly end: the keeper lives until its VM's process has ended, and no longer. */
static void a_keeper_ends_after_its_vm(void **state)
{
	int out[2], go[2], status;
	pid_t pid;
	char c;

	(void)state;
	end_keeper(); /* setup()'s */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go), 0);
	pid = fork();
	if (!pid) {
		dup2(out[1], STDERR_FILENO); /* which the keeper keeps */
		close(out[1]);
		start_keeper();
		kvmb_keeper_end(PATIENCE_MS);
		close(STDERR_FILENO);
		if (write(go[1], "x", 1) != 1 || read(go[1], &c, 1) != 1)
			_exit(1);
		_exit(waitpid(-1, NULL, WNOHANG) ? 2 : 0); /* it waits for us */
	}
	close(out[1]);
	assert_int_equal(read(go[0], &c, 1), 1);
	assert_int_equal(recv(out[0], &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(write(go[0], "x", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(has_hung_up(out[0]));
	close(out[0]);
	close(go[0]);
	close(go[1]);
}

static ino_t inode(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? 0 : st.st_ino;
}

/* A VM with its two sockets, or one that follows it. Return: when its sockets are there. */
static pid_t start_named_vm(const char *path, const char *keeper, bool later, pid_t former)
{
	int p[2], pidfd = later ? (int)syscall(SYS_pidfd_open, former, 0) : -1;
	struct kvmb_listener l;
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		hurry = true;
		start_keeper();
		if (later ? kvmb_keeper_follow(pidfd, why, sizeof(why)) ||
				    kvmb_listen_unix_later(&l, SOCK_STREAM, path, why,
							   sizeof(why)) ||
				    kvmb_keeper_adopt(&l) ||
				    kvmb_keeper_listen_later(keeper, why, sizeof(why)) :
			    kvmb_listen_unix(&l, path, why, sizeof(why)) || kvmb_keeper_adopt(&l) ||
				    kvmb_keeper_listen(keeper, why, sizeof(why)))
			_exit(1);
		kvmb_keeper_seal();
		if (write(p[1], "x", 1) != 1)
			_exit(1);
		if (later && kvmb_keeper_take_names(PATIENCE_MS))
			_exit(2);
		if (later && write(p[1], "y", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(p[0], &c, 1), 1);
	if (later) {
		assert_int_not_equal(inode(path), 0);
		assert_int_equal(read(p[0], &c, 1), 1);
	}
	close(p[0]);
	close(p[1]);
	if (pidfd >= 0)
		close(pidfd);
	return pid;
}

/*
 * An upgrade: who comes takes the names over in one step, and who goes leaves them alone, whenever
 * it goes. One that does not go is ended.
 */
static void names_of_a_vm_that_is_handed_over_are_always_there(void **state)
{
	char path[96], keeper[96], later[104];
	int status;
	pid_t former, now;
	ino_t before;

	(void)state;
	end_keeper(); /* setup()'s */
	snprintf(path, sizeof(path), "%s/vm.sock", dir);
	snprintf(later, sizeof(later), "%s" KVMB_SOCK_NEW, path);
	snprintf(keeper, sizeof(keeper), "%s/vm.keeper", dir);
	former = start_named_vm(path, keeper, false, 0);
	before = inode(path);
	now = start_named_vm(path, keeper, true, former);
	assert_int_not_equal(inode(path), before);
	assert_int_equal(inode(later), 0);
	before = inode(path);
	assert_int_equal(waitpid(former, &status, 0), former); /* it does not go by itself */
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	usleep(300000); /* its keeper */
	assert_int_equal(inode(path), before);
	assert_int_equal(command(keeper, 0), 5); /* it is there, and its VM is not we */
	kill(now, SIGKILL);
	waitpid(now, NULL, 0);
	for (status = 0; status < (int)PATIENCE_MS / 10 && (inode(path) || inode(keeper)); status++)
		usleep(10000);
	assert_int_equal(inode(path) + inode(keeper), 0);
}

static void a_vm_that_left_its_socket_to_another_has_ended(void **state)
{
	char path[96], c;
	unsigned int i;
	int p[2];
	pid_t pid, child = 0;
	struct stat st;

	(void)state;
	end_keeper(); /* setup()'s */
	snprintf(path, sizeof(path), "%s/vm.keeper", dir);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		start_keeper();
		if (kvmb_keeper_listen(path, why, sizeof(why)))
			_exit(1);
		child = fork(); /* with all descriptors */
		if (child && write(p[1], &child, sizeof(child)) != sizeof(child))
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(p[0], &child, sizeof(child)), sizeof(child));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (i = 0; i < PATIENCE_MS / 10 && !lstat(path, &st); i++)
		usleep(10000);
	kill(child, SIGKILL);
	close(p[1]);
	assert_int_equal(read(p[0], &c, 1), 0);
	close(p[0]);
	assert_true(i < PATIENCE_MS / 10);
}

/* ---- addresses ---- */

static int dial(const char *const *argv)
{
	struct kvmb_recipe r = { .kind = KVMB_RECIPE_DIAL, .argv = argv };
	int channel = kvmb_keeper_register(&r, why, sizeof(why));

	assert_true(channel >= 0);
	assert_int_equal(kvmb_keeper_ask(channel, KVMB_KEEPER_CONNECT), 0);
	get(channel, KVMB_KEEPER_CONNECTED);
	return channel;
}

static void addresses_are_dialled(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char path[96], port[16];
	const char *tcp[] = { "tcp", "127.0.0.1", port, NULL };
	const char *local[] = { "unix", path, NULL };
	socklen_t len = sizeof(a);
	struct kvmb_listener l;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), channel, i;

	(void)state;
	snprintf(path, sizeof(path), "%s/server", dir);
	assert_int_equal(kvmb_listen_unix(&l, path, why, sizeof(why)), 0);
	channel = dial(local);
	assert_int_equal(news.err, 0);
	close(news.fd);
	for (i = 0; i < 50; i++) { /* again and again, at once */
		assert_int_equal(kvmb_keeper_ask(channel, KVMB_KEEPER_CONNECT), 0);
		get(channel, KVMB_KEEPER_CONNECTED);
		assert_int_equal(news.err, 0);
		close(news.fd);
		close(kvmb_accept_unix(&l, 0));
	}
	close(channel);
	kvmb_unlisten_unix(&l);
	channel = dial(local);
	assert_int_equal(news.err, -ENOENT);
	close(channel);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	snprintf(port, sizeof(port), "%u", ntohs(a.sin_port));
	channel = dial(tcp);
	assert_int_equal(news.err, -ECONNREFUSED);
	assert_string_equal(news.words, "Connection refused");
	close(channel);
	assert_int_equal(listen(fd, 1), 0);
	channel = dial(tcp);
	assert_int_equal(news.err, 0);
	close(news.fd);
	close(channel);
	close(fd);
}

/* ---- ports ---- */

static void expect_port(int channel, uint32_t port, int err)
{
	assert_int_equal(kvmb_keeper_ask_port(channel, port), 0);
	get(channel, KVMB_KEEPER_CONNECTED);
	assert_int_equal(news.err, err);
	assert_int_equal(news.fd >= 0, !err);
}

static int ports_recipe(const char *prefix)
{
	const char *argv[] = { prefix, NULL };
	struct kvmb_recipe r = { .kind = KVMB_RECIPE_PORTS, .argv = argv };
	int channel = kvmb_keeper_register(&r, why, sizeof(why));

	assert_true(channel >= 0);
	return channel;
}

static void ports_are_connected_to_and_nothing_else(void **state)
{
	char prefix[80], path[96], elsewhere[96];
	struct kvmb_listener l, other;
	int channel, i, c;
	char b;

	(void)state;
	snprintf(prefix, sizeof(prefix), "%s/vm.vsock", dir);
	snprintf(path, sizeof(path), "%s_5", prefix);
	snprintf(elsewhere, sizeof(elsewhere), "%s/other_5", dir);
	channel = ports_recipe(prefix);
	expect_port(channel, 5, -ENOENT);
	assert_int_equal(kvmb_listen_unix(&l, path, why, sizeof(why)), 0);
	assert_int_equal(kvmb_listen_unix(&other, elsewhere, why, sizeof(why)), 0);
	for (i = 0; i < 20; i++) {
		expect_port(channel, 5, 0);
		assert_true(fcntl(news.fd, F_GETFL) & O_NONBLOCK);
		c = kvmb_accept_unix(&l, 0);
		assert_int_equal(write(c, "x", 1), 1);
		assert_int_equal(read(news.fd, &b, 1), 1);
		close(c);
		close(news.fd);
	}
	snprintf(path, sizeof(path), "%s_6", prefix); /* a link to a socket, and no socket */
	assert_int_equal(symlink(elsewhere, path), 0);
	expect_port(channel, 6, -ENOTSOCK);
	snprintf(path, sizeof(path), "%s_7", prefix);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	expect_port(channel, 7, -ENOTSOCK);
	if (!geteuid()) { /* one of another user's */
		assert_int_equal(chown(l.path, 12345, 12345), 0);
		expect_port(channel, 5, -EACCES);
		assert_int_equal(chown(l.path, 0, 0), 0);
	}
	expect_port(channel, 55, -ENOENT);
	expect_port(channel, UINT32_MAX, -ENOENT);
	kvmb_unlisten_unix(&l);
	expect_port(channel, 5, -ENOENT);
	/* it is no program, and nothing to dial */
	assert_int_equal(kvmb_keeper_ask(channel, KVMB_KEEPER_START), 0);
	get(channel, KVMB_KEEPER_STARTED);
	assert_int_equal(news.err, -EINVAL);
	assert_int_equal(kvmb_keeper_ask(channel, KVMB_KEEPER_CONNECT), 0);
	get(channel, KVMB_KEEPER_CONNECTED);
	assert_int_equal(news.err, -EINVAL);
	close(channel);
	kvmb_unlisten_unix(&other);
}

static void asks_for_ports_that_are_none_cost_the_recipe(void **state)
{
	static const char *const nowhere[] = { "unix", "/nonesuch", NULL };
	const uint32_t asks[][3] = { { KVMB_KEEPER_PORT }, { KVMB_KEEPER_PORT, 5, 0 }, { 99, 5 } };
	const size_t sizes[] = { 4, 12, 8 };
	int channel;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(asks); i++) {
		channel = ports_recipe("/nonesuch");
		assert_int_equal(send(channel, asks[i], sizes[i], MSG_NOSIGNAL), sizes[i]);
		assert_int_equal(kvmb_keeper_wait(channel, KVMB_KEEPER_CONNECTED, &news,
						  PATIENCE_MS),
				 -EPIPE);
		close(channel);
	}
	channel = dial(nowhere); /* of another kind */
	assert_int_equal(kvmb_keeper_ask_port(channel, 5), 0);
	assert_int_equal(kvmb_keeper_wait(channel, KVMB_KEEPER_CONNECTED, &news, PATIENCE_MS),
			 -EPIPE);
	close(channel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_daemon_starts_serves_and_is_killed),
		T(one_that_ends_says_why),
		T(a_strict_keeper_starts_no_daemon_that_could_open_files),
		T(one_that_is_not_there_is_told),
		T(passt_is_ready_when_it_is_confined),
		T(passt_that_does_not_confine_itself_is_killed),
		T(passt_that_is_late_is_killed),
		T(an_unknown_word_costs_the_recipe),
		T(one_who_does_not_read_loses_the_recipe),
		T(after_the_seal_nothing_is_registered),
		T(a_command_of_the_same_user_may_register),
		T(nobody_gets_the_file_while_it_is_being_changed),
		T(two_at_once_lose_no_change),
		T(a_change_that_was_interrupted_leaves_a_doubt),
		T(who_announced_nothing_changes_nothing),
		T(a_killed_vm_leaves_nothing_behind),
		T(the_orderly_end_waits_for_helpers),
		T(a_daemon_may_write_back_when_nobody_needs_it),
		T(one_that_does_not_end_is_killed),
		T(an_answer_that_comes_late_is_not_the_next_one),
		T(a_keeper_that_is_stopped_is_not_waited_for),
		T(a_keeper_without_descriptors_hangs_up),
		T(a_vm_without_sockets_is_killed_when_it_does_not_end),
		T(a_vm_that_hangs_up_and_does_not_end_is_killed),
		T(a_keeper_ends_after_its_vm),
		T(a_vm_that_left_its_socket_to_another_has_ended),
		T(names_of_a_vm_that_is_handed_over_are_always_there),
		T(addresses_are_dialled),
		T(ports_are_connected_to_and_nothing_else),
		T(asks_for_ports_that_are_none_cost_the_recipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
