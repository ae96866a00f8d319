// SPDX-License-Identifier: GPL-2.0-only
/* The keeper as its users see it; theory of operation: keeper.h. */
#include "lib/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/fdpass.h"
#include "lib/keeper_priv.h"
#include "lib/sock.h"
#include "lib/util.h"

#define ANSWER_MS 10000

/* A process has one keeper, or talks to one. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* one request at a time on a socket */
static int main_fd = -1;				 /* until the end */
static int reg_fd = -1; /* until the guest runs; of a command: the connection */
static uint32_t last_seq; /* under the lock */
/* atomic: it did not answer when this VM began to end; nothing waits for it any more */
static bool deaf;

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- requests ---- */

static int no_keeper(int err, char *why, size_t size)
{
	snprintf(why, size, "the keeper of this VM does not answer: %s", strerror(-err));
	return err;
}

static int await(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, ms);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n ? 0 : -ETIMEDOUT;
}

static size_t request_len(const struct keeper_request *q)
{
	return offsetof(struct keeper_request, text) + q->text_len;
}

/* Return: 0; -ETIMEDOUT, -EPIPE; *@channel is the descriptor that came, -1 = none. */
static int read_answer(int fd, struct keeper_answer *a, int *channel, int ms)
{
	int num = channel ? 1 : 0, err = await(fd, ms);
	ssize_t n;

	if (err)
		return err;
	if (channel)
		*channel = -1;
	/* what a VM's threads may all do, when no descriptor comes */
	n = channel ? kvmb_recv_fds(fd, a, sizeof(*a), channel, &num, 0) : read(fd, a, sizeof(*a));
	return n == sizeof(*a) ? 0 : -EPIPE;
}

/* The same of request number @seq; what comes for an earlier one comes too late. */
static int read_answer_to(int fd, uint32_t seq, struct keeper_answer *a, int *channel, int ms)
{
	uint64_t until = kvmb_now_ms() + (uint64_t)ms, now = until - (uint64_t)ms;
	int err;

	for (;;) {
		err = read_answer(fd, a, channel, now < until ? (int)(until - now) : 0);
		if (err || a->seq == seq)
			return err;
		if (channel)
			shut(channel);
		now = kvmb_now_ms();
	}
}

/* Return: 0 or -errno with @why; *@channel is the descriptor that came. */
static int request(int fd, struct keeper_request *q, const int *files, int *channel, int ms,
		   char *why, size_t size)
{
	struct keeper_answer a;
	ssize_t n;
	int err;

	if (fd < 0)
		return no_keeper(-ENOTCONN, why, size);
	q->seq = ++last_seq;
	n = kvmb_send_fds(fd, q, request_len(q), files, (int)q->num_files);
	err = n < 0 ? (int)n : read_answer_to(fd, q->seq, &a, channel, ms);
	if (err)
		return no_keeper(err, why, size);
	if (a.err)
		snprintf(why, size, "%.*s", (int)sizeof(a.why), a.why);
	return a.err ? a.err : channel && *channel < 0 ? no_keeper(-EPIPE, why, size) : 0;
}

static int add_text(struct keeper_request *q, const char *s)
{
	size_t len = strlen(s) + 1;

	if (len > sizeof(q->text) - q->text_len)
		return -E2BIG;
	memcpy(q->text + q->text_len, s, len);
	q->text_len += (uint32_t)len;
	q->num_strings++;
	return 0;
}

static int describe(struct keeper_request *q, const struct kvmb_recipe *r)
{
	int err = add_text(q, r->run_dir ? r->run_dir : "/tmp"), i;

	q->what = KEEPER_REGISTER;
	q->kind = r->kind;
	q->num_files = (uint32_t)r->num_files;
	q->ready_ms = r->ready_ms;
	q->writable = r->writable;
	for (i = 0; r->argv[i] && !err; i++)
		err = i < KEEPER_MAX_ARGS ? add_text(q, r->argv[i]) : -E2BIG;
	return err;
}

int kvmb_keeper_register(const struct kvmb_recipe *r, char *why, size_t size)
{
	struct keeper_request *q = kvmb_xzalloc(sizeof(*q));
	int channel = -1, err = describe(q, r);

	kvmb_assert(r->num_files <= KVMB_RECIPE_MAX_FILES);
	pthread_mutex_lock(&lock);
	if (err)
		snprintf(why, size, "its arguments are too long");
	else
		err = request(reg_fd, q, r->files, &channel, ANSWER_MS, why, size);
	pthread_mutex_unlock(&lock);
	free(q);
	return err ? err : channel;
}

/* A request about a socket at a path, which is pinned by a descriptor so that nobody else gets
 * its inode's number. @give: the keeper gets the listener.
 */
static int own(uint32_t what, const struct kvmb_listener *l, bool give, char *why, size_t size)
{
	struct keeper_request *q = kvmb_xzalloc(sizeof(*q));
	const char *path = l->path;
	int fds[2] = { open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), l->fd };
	int err = fds[0] < 0 ? -errno : add_text(q, path);

	if (!err)
		err = add_text(q, l->later);
	q->what = what;
	q->num_files = give ? 2 : 1;
	pthread_mutex_lock(&lock);
	if (err)
		snprintf(why, size, "socket %s: %s", path, strerror(-err));
	else
		err = request(reg_fd, q, fds, NULL, ANSWER_MS, why, size);
	pthread_mutex_unlock(&lock);
	if (fds[0] >= 0)
		close(fds[0]);
	free(q);
	return err;
}

int kvmb_keeper_adopt(struct kvmb_listener *l)
{
	char why[256];
	int err = own(KEEPER_ADOPT, l, false, why, sizeof(why));

	l->kept = !err;
	return err;
}

int kvmb_keeper_adopt_file(int fd, const char *path, char *why, size_t size)
{
	struct keeper_request *q = kvmb_xzalloc(sizeof(*q));
	int err = add_text(q, path);

	q->what = KEEPER_ADOPT_FILE;
	q->num_files = 1;
	pthread_mutex_lock(&lock);
	if (err)
		snprintf(why, size, "its name is too long");
	else
		err = request(reg_fd, q, &fd, NULL, ANSWER_MS, why, size);
	pthread_mutex_unlock(&lock);
	free(q);
	return err;
}

int kvmb_keeper_path(const char *control, char *path, size_t size)
{
	size_t len = strlen(control);

	if (len > 5 && !strcmp(control + len - 5, ".sock"))
		len -= 5;
	return snprintf(path, size, "%.*s.keeper", (int)len, control) < (int)size ? 0 :
										    -ENAMETOOLONG;
}

/* @l goes to the keeper. */
static int give_listener(struct kvmb_listener *l, char *why, size_t size)
{
	int err = own(KEEPER_LISTEN, l, true, why, size);

	if (err) {
		kvmb_unlisten_unix(l);
	} else {
		close(l->fd);
		close(l->spare_fd);
	}
	return err;
}

int kvmb_keeper_listen(const char *path, char *why, size_t size)
{
	struct kvmb_listener l;

	return kvmb_listen_unix_as(&l, SOCK_SEQPACKET, path, why, size) ?
		       -EADDRINUSE :
		       give_listener(&l, why, size);
}

int kvmb_keeper_listen_later(const char *path, char *why, size_t size)
{
	struct kvmb_listener l;

	return kvmb_listen_unix_later(&l, SOCK_SEQPACKET, path, why, size) ?
		       -EADDRINUSE :
		       give_listener(&l, why, size);
}

/* A request of few words, about @files. Return: 0 or -errno. */
static int ask(uint32_t what, const int *files, uint32_t num, int *get, char *why, size_t size)
{
	struct keeper_request *q = kvmb_xzalloc(sizeof(*q));
	int err;

	q->what = what;
	q->num_files = num;
	pthread_mutex_lock(&lock);
	err = request(reg_fd, q, files, get, ANSWER_MS, why, size);
	pthread_mutex_unlock(&lock);
	free(q);
	return err;
}

int kvmb_keeper_vm(char *why, size_t size)
{
	int pidfd = -1, err = ask(KEEPER_VM, NULL, 0, &pidfd, why, size);

	return err ? err : pidfd;
}

int kvmb_keeper_keep(int fd, char *why, size_t size)
{
	return ask(KEEPER_KEEP, &fd, 1, NULL, why, size);
}

int kvmb_keeper_announce(char *why, size_t size)
{
	return ask(KEEPER_ANNOUNCE, NULL, 0, NULL, why, size);
}

int kvmb_keeper_replace(int fd, int old, char *why, size_t size)
{
	const int files[] = { fd, old };

	return ask(KEEPER_KEEP, files, 2, NULL, why, size);
}

int kvmb_keeper_recall(char *why, size_t size)
{
	return ask(KEEPER_RECALL, NULL, 0, NULL, why, size);
}

int kvmb_keeper_follow(int process, char *why, size_t size)
{
	return ask(KEEPER_FOLLOW, &process, 1, NULL, why, size);
}

int kvmb_keeper_kept(char *why, size_t size)
{
	int fd = -1, err = ask(KEEPER_KEPT, NULL, 0, &fd, why, size);

	return err ? err : fd;
}

/* A request of the VM's process. */
static int vm_request(uint32_t what, unsigned int ms)
{
	struct keeper_request *q = kvmb_xzalloc(sizeof(*q));
	char why[256];
	int err;

	q->what = what;
	pthread_mutex_lock(&lock);
	err = request(main_fd, q, NULL, NULL, (int)ms, why, sizeof(why));
	pthread_mutex_unlock(&lock);
	free(q);
	return err;
}

int kvmb_keeper_release(unsigned int ms)
{
	int err = vm_request(KEEPER_RELEASE, ms);

	if (err == -ETIMEDOUT)
		__atomic_store_n(&deaf, true, __ATOMIC_RELAXED);
	return err;
}

/* It ends its helpers when it goes on. */
static unsigned int patience(unsigned int ms)
{
	return __atomic_load_n(&deaf, __ATOMIC_RELAXED) ? 0 : ms;
}

int kvmb_keeper_take_names(unsigned int ms)
{
	return vm_request(KEEPER_TAKE_NAMES, ms);
}

int kvmb_keeper_stay(unsigned int ms)
{
	return vm_request(KEEPER_STAY, ms);
}

int kvmb_keeper_log_threads(unsigned int ms)
{
	return vm_request(KEEPER_LOG_THREADS, ms);
}

/* ---- its life ---- */

int kvmb_keeper_start(const char *name, bool strict, char *why, size_t size)
{
	int life[2] = { -1, -1 }, reg[2] = { -1, -1 };
	int vm = (int)syscall(SYS_pidfd_open, getpid(), 0);
	const int type = SOCK_SEQPACKET | SOCK_CLOEXEC;
	pid_t pid = 0;
	int err = 0;

	kvmb_assert(main_fd < 0);
	if (socketpair(AF_UNIX, type, 0, life) || socketpair(AF_UNIX, type, 0, reg))
		err = -errno;
	pid = err ? -1 : fork();
	if (!err && pid < 0)
		err = -errno;
	if (!pid) {
		close(life[0]);
		close(reg[0]);
		keeper_main(name, strict, &(struct keeper_ends){ life[1], reg[1], vm });
	}
	shut(&vm);
	shut(&life[1]);
	shut(&reg[1]);
	if (err) {
		shut(&life[0]);
		shut(&reg[0]);
		snprintf(why, size, "cannot start the keeper of helper programs: %s",
			 strerror(-err));
		return err;
	}
	fcntl(life[0], F_SETFL, O_NONBLOCK); /* one that does not read is not waited for */
	deaf = false;
	main_fd = life[0];
	reg_fd = reg[0];
	return 0;
}

int kvmb_keeper_connect(const char *path, char *why, size_t size)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const struct timeval limit = { .tv_sec = ANSWER_MS / 1000 };
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);

	if (strlen(path) >= sizeof(a.sun_path)) {
		snprintf(why, size, "socket %s: the path is too long", path);
		return -ENAMETOOLONG;
	}
	strcpy(a.sun_path, path);
	shut(&reg_fd);
	reg_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	setsockopt(reg_fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (reg_fd >= 0 && !connect(reg_fd, (struct sockaddr *)&a, sizeof(a))) {
		if (!getsockopt(reg_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) &&
		    peer.uid == geteuid())
			return 0; /* what we register comes with the descriptors of images */
		errno = EACCES;
	}
	snprintf(why, size, "socket %s: %s", path, strerror(errno));
	shut(&reg_fd);
	return -ECONNREFUSED;
}

void kvmb_keeper_seal(void)
{
	pthread_mutex_lock(&lock);
	shut(&reg_fd);
	pthread_mutex_unlock(&lock);
}

void kvmb_keeper_end(unsigned int ms)
{
	char c;

	kvmb_keeper_seal();
	if (main_fd < 0)
		return;
	shutdown(main_fd, SHUT_WR);
	/* it hangs up when everything is done, and then waits for the end of this process */
	while (!await(main_fd, (int)patience(ms)) && read(main_fd, &c, 1) > 0)
		; /* a late answer */
	shut(&main_fd);
}

/* ---- channels ---- */

int kvmb_keeper_ask(int channel, enum kvmb_keeper_op op)
{
	uint8_t b = (uint8_t)op;
	ssize_t n = send(channel, &b, 1, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n == 1)
		return 0;
	return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
}

int kvmb_keeper_ask_port(int channel, uint32_t port)
{
	struct keeper_ask a = { .op = KVMB_KEEPER_PORT, .port = port };

	if (send(channel, &a, sizeof(a), MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(a))
		return 0;
	return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
}

int kvmb_keeper_read(int channel, struct kvmb_keeper_news *news)
{
	struct keeper_wire w;
	int fd = -1, num = 1;
	ssize_t n = kvmb_recv_fds(channel, &w, sizeof(w), &fd, &num, MSG_DONTWAIT);
	size_t head = offsetof(struct keeper_wire, words);

	if (n == -EAGAIN)
		return -EAGAIN;
	if (n < (ssize_t)head) {
		if (n > 0 && num)
			close(fd);
		return -EPIPE;
	}
	*news = (struct kvmb_keeper_news){ .what = (enum kvmb_keeper_what)w.what,
					   .err = w.err,
					   .fd = num ? fd : -1,
					   .status = w.status,
					   .lacks = w.lacks };
	snprintf(news->words, sizeof(news->words), "%.*s", (int)((size_t)n - head), w.words);
	return 0;
}

int kvmb_keeper_wait(int channel, enum kvmb_keeper_what what, struct kvmb_keeper_news *news,
		     unsigned int ms)
{
	struct pollfd p = { .fd = channel, .events = POLLIN };
	uint64_t until = kvmb_now_ms() + patience(ms), now;
	int err;

	for (;;) {
		err = kvmb_keeper_read(channel, news);
		if (!err && (news->what == what ||
			     (what == KVMB_KEEPER_READY && news->what == KVMB_KEEPER_ENDED)))
			return 0;
		if (!err && news->fd >= 0)
			close(news->fd);
		if (err == -EPIPE)
			return err;
		now = kvmb_now_ms();
		if (err && now >= until)
			return -ETIMEDOUT;
		if (err)
			poll(&p, 1, (int)(until - now));
	}
}

int kvmb_keeper_close(int channel, unsigned int ms)
{
	struct kvmb_keeper_news news;
	int err;

	shutdown(channel, SHUT_WR);
	err = kvmb_keeper_wait(channel, 0, &news, ms); /* of no kind: until the channel ends */
	close(channel);
	return err == -EPIPE ? 0 : err;
}
