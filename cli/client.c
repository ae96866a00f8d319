// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands' side of the control socket: finding a VM, one exchange. The rules are in
 * client.h.
 */
#include "cli/client.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/exits.h"
#include "lib/fdpass.h"
#include "lib/keeper.h"
#include "lib/loop.h"
#include "lib/rundir.h"
#include "lib/sock.h"
#include "lib/util.h"
#include "vmm/handover.h"

#define PATIENCE_S 10
#define LAST_S 1
#define KILL_TRIES 6 /* times so long a VM may take to end that answers otherwise */

int client_patience(void)
{
	const char *s = getenv("KVMBUS_PATIENCE");
	u32 v;

	return s && opt_u32(s, 1, 3600, &v) ? (int)v : PATIENCE_S;
}

/* ---- one exchange ---- */

static int connect_path(const char *path, int seconds)
{
	struct timeval tv = { .tv_sec = seconds };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sa.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)); /* counts for connect(), too */
	if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return fd;
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

static void send_command(int fd, const char *name, json_t *arguments,
			 const struct handover_fds *fds)
{
	json_t *o = json_pack("{s:s}", "execute", name);
	char *s;

	if (arguments)
		json_object_set_new(o, "arguments", arguments);
	s = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (!s)
		return;
	/* what cannot be sent will not be answered */
	if (kvmb_send_fds(fd, s, strlen(s), fds ? fds->fd : NULL, fds ? (int)fds->num : 0) > 0)
		send(fd, "\n", 1, MSG_NOSIGNAL);
	free(s);
}

struct answer {
	char *line; /* line[len], of a malloc(size) */
	size_t len, size;
};

static bool grow(struct answer *a)
{
	size_t size = a->size ? 2 * a->size : 65536;
	char *more = a->len < a->size	       ? a->line :
		     size <= CLIENT_MAX_ANSWER ? realloc(a->line, size) :
						 NULL;

	if (!more)
		return false;
	if (a->len == a->size)
		a->size = size;
	a->line = more;
	return true;
}

/*
 * One line; console bytes behind it stay in the socket. May be called again after -ETIMEDOUT.
 * Return: 0, -ETIMEDOUT, -EMSGSIZE, -ECONNRESET.
 */
static int read_line(int fd, struct answer *a, int seconds)
{
	uint64_t end = kvmb_now_ms() + (uint64_t)seconds * 1000, now;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char *nl = NULL;
	ssize_t n;

	while (!nl) {
		now = kvmb_now_ms();
		if (now >= end || !poll(&p, 1, (int)(end - now)))
			return -ETIMEDOUT;
		if (!grow(a))
			return -EMSGSIZE;
		n = recv(fd, a->line + a->len, a->size - a->len, MSG_PEEK | MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		nl = n > 0 ? memchr(a->line + a->len, '\n', (size_t)n) : NULL;
		if (n > 0) /* what we have seen, up to the line's end */
			n = recv(fd, a->line + a->len,
				 nl ? (size_t)(nl + 1 - a->line) - a->len : (size_t)n, 0);
		if (n <= 0)
			return -ECONNRESET;
		a->len += (size_t)n;
	}
	return 0;
}

json_t *client_try(const char *path, const char *name, int seconds)
{
	int fd = connect_path(path, seconds), err;
	struct answer a = { 0 };
	json_t *o = NULL, *result = NULL;

	if (fd < 0)
		return NULL;
	send_command(fd, name, NULL, NULL);
	err = read_line(fd, &a, seconds);
	if (!err)
		o = json_loadb(a.line, a.len, 0, NULL);
	result = json_incref(json_object_get(o, "return"));
	json_decref(o);
	free(a.line);
	close(fd);
	errno = err == -ETIMEDOUT ? EAGAIN : -err;
	return result;
}

static int report_error(const char *vm, json_t *answer)
{
	json_t *e = json_object_get(answer, "error");
	const char *class = json_string_value(json_object_get(e, "class"));
	const char *desc = json_string_value(json_object_get(e, "desc"));

	cli_error("VM \"%s\": %s", vm, desc ? desc : "its answer makes no sense");
	if (class && !strcmp(class, "state"))
		return EXIT_STATE;
	if (class && !strcmp(class, "timeout"))
		return EXIT_TIMEOUT;
	return class && !strcmp(class, "usage") ? EXIT_USAGE : EXIT_FAILED;
}

static int report_silence(const char *vm, int err)
{
	if (err == -ETIMEDOUT) {
		cli_error(
			"VM \"%s\": its process has not answered for %d seconds; try: "
			"kvmbus kill %s",
			vm, client_patience(), vm);
		return EXIT_TIMEOUT;
	}
	cli_error("VM \"%s\": %s", vm,
		  err == -EMSGSIZE ? "its answer is too long" : "the connection was lost");
	return EXIT_FAILED;
}

/* One that took its name over (kvmb_rename_unix()) tells for ever how it was called before. */
bool client_socket(int fd, char *path, size_t size)
{
	const size_t end = strlen(KVMB_SOCK_NEW);
	struct sockaddr_un sa = { 0 };
	socklen_t sa_len = sizeof(sa);
	size_t len;

	if (getpeername(fd, (struct sockaddr *)&sa, &sa_len))
		return false;
	snprintf(path, size, "%.*s", (int)sizeof(sa.sun_path), sa.sun_path);
	len = strlen(path);
	if (len > end && !strcmp(path + len - end, KVMB_SOCK_NEW))
		path[len - end] = 0;
	return *path;
}

/* Has only this command's answer not come yet, or does the process serve nobody? */
static bool is_alive(int fd)
{
	char path[PATH_MAX];
	json_t *o = NULL;

	if (client_socket(fd, path, sizeof(path)))
		o = client_try(path, "info", client_patience());
	json_decref(o);
	return o;
}

int client_find_keeper(int fd, const char *vm, char *dir, size_t size, char *why, size_t why_size)
{
	char path[PATH_MAX], keeper[PATH_MAX];
	char *slash;

	snprintf(why, why_size, "it has none");
	/* the socket's own name may be relative to where the VM, and with it the keeper, started */
	if (!client_socket(fd, path, sizeof(path)) ||
	    kvmb_keeper_path(strchr(vm, '/') ? vm : path, keeper, sizeof(keeper)) ||
	    kvmb_keeper_connect(keeper, why, why_size))
		return -ECONNREFUSED;
	slash = strrchr(path, '/');
	snprintf(dir, size, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	return 0;
}

int client_reach_keeper(int fd, const char *vm, char *dir, size_t size)
{
	char why[200];

	if (!client_find_keeper(fd, vm, dir, size, why, sizeof(why)))
		return EXIT_OK;
	cli_error("VM \"%s\": its keeper cannot be reached: %s", vm, why);
	return EXIT_FAILED;
}

/* @heard: it is an answer. Return: EXIT_*, with one line already printed. */
static int take_answer(const char *vm, struct answer *a, json_t **out, bool *heard)
{
	json_t *answer = json_loadb(a->line, a->len, 0, NULL),
	       *value = json_object_get(answer, "return");
	int code = EXIT_OK;

	*heard = value || json_object_get(answer, "error");
	if (value)
		*out = json_incref(value);
	else
		code = report_error(vm, answer);
	json_decref(answer);
	free(a->line);
	return code;
}

int client_ask_heard(int fd, const char *vm, const char *name, json_t *arguments,
		     const struct handover_fds *fds, json_t **out, bool *heard)
{
	struct answer a = { 0 };
	int err;

	*heard = false;
	send_command(fd, name, arguments, fds);
	do {
		err = read_line(fd, &a, client_patience());
	} while (err == -ETIMEDOUT && is_alive(fd));
	if (err == -ETIMEDOUT) /* it may have answered, and ended, before it was asked that */
		err = read_line(fd, &a, LAST_S);
	if (err) {
		free(a.line);
		return report_silence(vm, err);
	}
	return take_answer(vm, &a, out, heard);
}

int client_ask_on(int fd, const char *vm, const char *name, json_t *arguments,
		  const struct handover_fds *fds, json_t **out)
{
	bool heard;

	return client_ask_heard(fd, vm, name, arguments, fds, out, &heard);
}

int client_ask(const char *vm, const char *name, json_t *arguments, json_t **out)
{
	int fd, code = client_connect(vm, &fd);

	if (code) {
		json_decref(arguments);
		return code;
	}
	code = client_ask_on(fd, vm, name, arguments, NULL, out);
	close(fd);
	return code;
}

int client_change(struct cli_args *a, const char *command, json_t *args, const char *done)
{
	json_t *o = NULL;
	int err;

	if (!args)
		return cli_bad(a->cmd, "a name that is not UTF-8 cannot be sent to the VM");
	err = client_ask(a->words[0], command, args, &o);
	if (!err)
		client_print_done(o, cli_flag(a, "json"), done);
	json_decref(o);
	return err;
}

/* ---- finding ---- */

/* Directories of this user, then for root those of the others. */
struct places {
	struct kvmb_rundirs own;
	glob_t users;
	int num_users;
};

static void find_places(struct places *p)
{
	kvmb_rundir_list(&p->own);
	p->users = (glob_t){ 0 };
	p->num_users = !geteuid() && !glob("/run/user/*/kvmbus", GLOB_NOSORT, NULL, &p->users) ?
			       (int)p->users.gl_pathc :
			       0;
}

/*
 * Return: NULL = no more. A user's directory counts only when it is one, and was not among the
 * first.
 */
static const char *place(const struct places *p, int i)
{
	return i < p->own.num		     ? p->own.dir[i] :
	       i - p->own.num < p->num_users ? p->users.gl_pathv[i - p->own.num] :
					       NULL;
}

static bool foreign(const struct places *p, int i)
{
	return i >= p->own.num;
}

static bool seen_before(const struct places *p, int i)
{
	int k;

	for (k = 0; k < i && k < p->own.num; k++) {
		if (!strcmp(p->own.dir[k], place(p, i)))
			return true;
	}
	return false;
}

/* What somebody else's directory holds may be a link to where only we may go. */
static bool trap(const char *path, mode_t type)
{
	struct stat st;

	return lstat(path, &st) || (st.st_mode & S_IFMT) != type;
}

static int name_too_long(const char *vm)
{
	cli_error("VM \"%.60s...\": a socket's path has at most %zu bytes", vm,
		  sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	return EXIT_NO_VM;
}

/*
 * Every place in turn. Return: EXIT_OK with *fd and @path; EXIT_NO_VM and errno; EXIT_TIMEOUT and
 * @path.
 */
static int find_name(const char *vm, int seconds, int *fd, char *path, size_t size)
{
	char other[PATH_MAX];
	struct places p;
	int i, one, code = EXIT_NO_VM, why = ENOENT;
	bool ours = false;

	find_places(&p);
	for (i = 0; place(&p, i); i++) {
		if (foreign(&p, i) && (ours || seen_before(&p, i) || trap(place(&p, i), S_IFDIR)))
			continue;
		if (kvmb_rundir_socket(place(&p, i), vm, other, sizeof(other)) ||
		    (foreign(&p, i) && trap(other, S_IFSOCK)))
			continue;
		one = connect_path(other, seconds);
		if (one < 0) {
			why = errno == EACCES || errno == EAGAIN || errno == ENAMETOOLONG ? errno :
											    why;
			if (errno == EAGAIN)
				ours |= !foreign(&p, i); /* it is there: nobody else's is meant */
			if (errno == EAGAIN && code != EXIT_OK) {
				code = EXIT_TIMEOUT;
				snprintf(path, size, "%s", other);
			}
			continue;
		}
		if (code == EXIT_OK) { /* two of that name */
			cli_error("VM \"%s\" is running twice; give the socket instead: "
				  "%s or %s", vm, path,
				  other);
			close(one);
			close(*fd);
			code = EXIT_USAGE;
			break;
		}
		*fd = one;
		snprintf(path, size, "%s", other);
		code = EXIT_OK;
		ours = !foreign(&p, i);
	}
	globfree(&p.users);
	errno = why;
	return code;
}

/* A name, or the path of a socket given to run --control. Return: as find_name(). */
static int find_vm(const char *vm, int seconds, int *fd, char *path, size_t size)
{
	*fd = -1;
	if (!strchr(vm, '/'))
		return find_name(vm, seconds, fd, path, size);
	snprintf(path, size, "%s", vm);
	*fd = connect_path(vm, seconds);
	return *fd >= 0 ? EXIT_OK : errno == EAGAIN ? EXIT_TIMEOUT : EXIT_NO_VM;
}

bool client_find(const char *vm, char *path, size_t size)
{
	int fd, code = find_vm(vm, 1, &fd, path, size);

	if (fd >= 0 && !code)
		close(fd);
	return !code;
}

static int report_not_found(const char *vm, int code)
{
	if (code == EXIT_TIMEOUT)
		report_silence(vm, -ETIMEDOUT);
	else if (code == EXIT_NO_VM && errno == ENAMETOOLONG)
		return name_too_long(vm);
	else if (code == EXIT_NO_VM && errno == EACCES)
		cli_error("VM \"%s\": it belongs to another user", vm);
	else if (code == EXIT_NO_VM)
		cli_error("no VM \"%s\" is running; see: kvmbus list", vm);
	return code;
}

int client_connect(const char *vm, int *fd)
{
	char path[PATH_MAX];
	int code = find_vm(vm, client_patience(), fd, path, sizeof(path));

	return code ? report_not_found(vm, code) : EXIT_OK;
}

static int drop_rights(uid_t uid, gid_t gid)
{
	struct passwd *pw = getpwuid(uid);

	if (pw ? initgroups(pw->pw_name, gid) : setgroups(0, NULL))
		return -errno;
	return setresgid(gid, gid, gid) || setresuid(uid, uid, uid) ? -errno : 0;
}

int client_peer(int fd, struct ucred *peer)
{
	socklen_t len = sizeof(*peer);

	*peer = (struct ucred){ 0 };
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &len) ? -errno : 0;
}

int client_as_owner(int fd, const char *vm)
{
	struct ucred owner;
	int err = client_peer(fd, &owner);

	if (!err && !geteuid() && owner.uid)
		err = drop_rights(owner.uid, owner.gid);
	if (!err)
		return EXIT_OK;
	cli_error("VM \"%s\": cannot act as its owner: %s", vm, strerror(-err));
	return EXIT_FAILED;
}

/*
 * The end takes a while when a disk is slow: a process that answers others meanwhile gets more
 * time.
 * Return: as read_line().
 */
static int await_end(int fd, struct answer *a)
{
	int tries, err = -ETIMEDOUT;

	for (tries = 0; tries < KILL_TRIES && err == -ETIMEDOUT; tries++) {
		err = read_line(fd, a, client_patience());
		if (err == -ETIMEDOUT && !is_alive(fd))
			break;
	}
	return err;
}

/* Nobody serves its socket any more. */
static bool has_ended(const char *path)
{
	int fd = connect_path(path, 1);

	if (fd < 0)
		return errno == ENOENT || errno == ECONNREFUSED;
	close(fd);
	return false;
}

int client_kill(const char *vm, bool force, json_t **out)
{
	struct answer a = { 0 };
	char path[PATH_MAX];
	int fd, code = find_vm(vm, client_patience(), &fd, path, sizeof(path)), err = -ETIMEDOUT;
	bool heard;

	if (code && code != EXIT_TIMEOUT)
		return report_not_found(vm, code);
	if (!code) {
		send_command(fd, "kill", json_pack("{s:b}", "force", force), NULL);
		err = await_end(fd, &a);
	}
	if (!err) {
		code = take_answer(vm, &a, out, &heard);
	} else {
		free(a.line);
		if (err == -ETIMEDOUT)
			code = client_end_process(fd, vm, path);
		else if (err == -ECONNRESET && has_ended(path))
			code = EXIT_OK; /* it was ending anyway */
		else
			code = report_silence(vm, err);
		*out = code ? NULL : json_pack("{s:s}", "state", "killed");
	}
	if (fd >= 0)
		close(fd);
	return code;
}

/* ---- all of them ---- */

/* ".sock" behind what may be a VM's name; others' files are not printed. */
static size_t name_length(const char *file)
{
	size_t n = strspn(file,
			  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."),
	       len = strlen(file);

	return n == len && len > 5 && !strcmp(file + len - 5, ".sock") ? len - 5 : 0;
}

static int each_in(const char *dir, bool foreign_dir,
		   void (*fn)(void *arg, const char *path, const char *name), void *arg)
{
	char path[PATH_MAX], name[NAME_MAX + 1];
	struct dirent *e;
	DIR *d = opendir(dir);

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((e = readdir(d))) {
		size_t len = name_length(e->d_name);

		if (!len)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)len, e->d_name);
		if (!kvmb_rundir_socket(dir, name, path, sizeof(path)) &&
		    !(foreign_dir && trap(path, S_IFSOCK)))
			fn(arg, path, name);
	}
	closedir(d);
	return 0;
}

/* A variable that leads nowhere: the VMs that somebody means may be elsewhere. */
static bool bad_variable(void)
{
	const char *x = getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (!x || !*x || (*x == '/' && !stat(x, &st) && S_ISDIR(st.st_mode)))
		return false;
	cli_error("XDG_RUNTIME_DIR is \"%s\", which is not a directory", x);
	return true;
}

int client_each(void (*fn)(void *arg, const char *path, const char *name), void *arg)
{
	int i, err, code = bad_variable() ? EXIT_FAILED : EXIT_OK;
	struct places p;

	find_places(&p);
	for (i = 0; place(&p, i); i++) {
		if (foreign(&p, i) && (seen_before(&p, i) || trap(place(&p, i), S_IFDIR)))
			continue;
		err = each_in(place(&p, i), foreign(&p, i), fn, arg);
		if (err && !code) {
			cli_error("%s: %s", place(&p, i), strerror(-err));
			code = EXIT_FAILED;
		}
	}
	globfree(&p.users);
	return code;
}
