// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvmbus backup`: makes a directory with a file for each disk, and has the VM fill them
 * (cli/backup_dir.h, vmm/backup.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "cli/backup_dir.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "cli/progress.h"
#include "lib/exits.h"
#include "lib/util.h"
#include "vmm/handover.h"

struct job {
	struct cli_args *a;
	const char *vm, *base; /* an older backup, NULL = none */
	int fd;		       /* connection to the VM */
	char id[BACKUP_DIR_ID], base_id[BACKUP_DIR_ID];
	struct backup_dir dir;
	pthread_mutex_t lock; /* of dir, against who cleans up after a signal */
};

/* ---- Ctrl-C ---- */

/* Our end is the pipe's, and the VM gives up; only the files are ours to remove. */
static void *await_signal(void *arg)
{
	struct job *j = arg;
	sigset_t set;
	int sig = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigwait(&set, &sig))
		return NULL;
	pthread_mutex_lock(&j->lock); /* for ever: nothing is added or finished any more */
	backup_dir_undo(&j->dir);
	signal(sig, SIG_DFL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	kill(getpid(), sig);
	return NULL;
}

static void catch_signals(struct job *j)
{
	pthread_t thread;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (!pthread_create(&thread, NULL, await_signal, j))
		pthread_detach(thread);
	else
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- files ---- */

static int make_id(char id[BACKUP_DIR_ID])
{
	u8 bytes[16];
	u32 i;

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) {
		cli_error("no random numbers: %s", strerror(errno));
		return EXIT_FAILED;
	}
	for (i = 0; i < sizeof(bytes); i++)
		snprintf(id + 2 * i, 3, "%02x", bytes[i]);
	return EXIT_OK;
}

static bool is_disk(json_t *o)
{
	const char *type = json_string_value(json_object_get(o, "type"));

	return type && !strcmp(type, "disk") && json_is_false(json_object_get(o, "read_only"));
}

static int add_file(struct job *j, json_t *o)
{
	json_int_t c = json_integer_value(json_object_get(o, "controller"));
	json_int_t lun = json_integer_value(json_object_get(o, "lun"));
	json_int_t size = json_integer_value(json_object_get(o, "size"));
	int code;

	if (c < 0 || c > 255 || lun < 0 || lun > 255 || size <= 0) {
		cli_error("VM \"%s\": its list of disks makes no sense", j->vm);
		return EXIT_FAILED;
	}
	pthread_mutex_lock(&j->lock);
	code = backup_dir_add(&j->dir, (u32)c, (u32)lun, (u64)size);
	pthread_mutex_unlock(&j->lock);
	return code;
}

static int make_files(struct job *j)
{
	json_t *list = NULL, *o;
	int code;
	size_t i;

	code = client_ask_on(j->fd, j->vm, "disk-list", NULL, NULL, &list);
	if (code)
		return code;
	pthread_mutex_lock(&j->lock);
	code = backup_dir_make(&j->dir, cli_text(j->a, "to"));
	pthread_mutex_unlock(&j->lock);
	json_array_foreach(list, i, o)
	{
		if (!code && is_disk(o))
			code = add_file(j, o);
	}
	json_decref(list);
	if (!code && !j->dir.num) {
		cli_error("VM \"%s\": it has no disk that could be backed up", j->vm);
		code = EXIT_FAILED;
	}
	if (!code && j->base)
		code = backup_dir_fill(&j->dir, j->base, j->base_id);
	return code;
}

/* ---- the VM's part ---- */

static json_t *backup_wishes(const struct job *j)
{
	json_t *args = json_object(), *disks = json_array();
	u64 bandwidth = 0;
	u32 i;

	opt_size(cli_text(j->a, "bandwidth"), &bandwidth, NULL);
	for (i = 0; i < j->dir.num; i++) {
		const struct backup_file *f = &j->dir.files[i];

		json_array_append_new(disks,
				      json_pack("{s:i, s:i, s:I}", "controller", f->controller,
						"lun", f->lun, "bytes", (json_int_t)f->bytes));
	}
	json_object_set_new(args, "id", json_string(j->id));
	if (j->base)
		json_object_set_new(args, "base", json_string(j->base_id));
	json_object_set_new(args, "freeze", json_boolean(!cli_flag(j->a, "no-freeze")));
	json_object_set_new(args, "rate", json_integer((json_int_t)bandwidth));
	json_object_set_new(args, "disks", disks);
	return args;
}

static int fill_by_vm(struct job *j, json_t **out)
{
	struct handover_fds fds = { 0 };
	struct progress *progress;
	int pipes[2], code;
	u32 i;

	if (pipe2(pipes, O_CLOEXEC)) {
		cli_error("%s", strerror(errno));
		return EXIT_FAILED;
	}
	fds.fd[fds.num++] = pipes[0];
	for (i = 0; i < j->dir.num; i++)
		fds.fd[fds.num++] = j->dir.files[i].fd;
	progress = progress_begin(j->vm, "backup", cli_flag(j->a, "json"));
	code = client_ask_on(j->fd, j->vm, "backup", backup_wishes(j), &fds, out);
	progress_end(progress);
	close(pipes[0]); /* the VM has its own */
	close(pipes[1]);
	return code;
}

/* ---- the result ---- */

static json_int_t number_of(json_t *o, const char *name)
{
	return KVMB_MAX(json_integer_value(json_object_get(o, name)), 0);
}

/* Of what the VM says, only numbers and yes or no. */
static json_t *make_manifest(const struct job *j, json_t *result)
{
	json_t *disks = json_array(), *list = json_object_get(result, "disks"), *o;
	time_t now = time(NULL);
	char when[32];
	struct tm tm;
	u32 i;

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	for (i = 0; i < j->dir.num; i++) {
		const struct backup_file *f = &j->dir.files[i];

		o = json_array_get(list, i);
		json_array_append_new(disks, json_pack("{s:i, s:i, s:I, s:I, s:b}", "controller",
						       f->controller, "lun", f->lun, "bytes",
						       (json_int_t)f->bytes, "copied",
						       number_of(o, "copied"), "cloned",
						       json_is_true(json_object_get(o, "cloned"))));
	}
	return json_pack("{s:i, s:s, s:s, s:s, s:o, s:b, s:I, s:o}", "kvmbus_backup", 1, "vm",
			 j->vm, "id", j->id, "time", when, "base",
			 j->base ? json_string(j->base_id) : json_null(), "frozen",
			 json_is_true(json_object_get(result, "frozen")), "stood_ms",
			 number_of(result, "stood_ms"), "disks", disks);
}

static void show_backup(const struct job *j, json_t *manifest)
{
	char copied[32], size[32];
	json_t *o;
	u32 i;

	if (cli_flag(j->a, "json")) {
		progress_event(manifest, "backed-up");
		return;
	}
	for (i = 0; i < j->dir.num; i++) {
		o = json_array_get(json_object_get(manifest, "disks"), i);
		client_size(number_of(o, "copied"), copied, sizeof(copied));
		client_size(number_of(o, "bytes"), size, sizeof(size));
		if (json_is_true(json_object_get(o, "cloned")))
			printf("%s/%s: %s, cloned\n", j->dir.path, j->dir.files[i].name, size);
		else
			printf("%s/%s: %s, %s %s\n", j->dir.path, j->dir.files[i].name, size,
			       copied, j->base ? "changed" : "read");
	}
	printf("%s; the guest stood for %lld ms\n",
	       json_is_true(json_object_get(manifest, "frozen")) ?
		       "file systems were frozen" :
		       "the guest was not asked: as after a power cut",
	       (long long)number_of(manifest, "stood_ms"));
}

static int finish_backup(struct job *j, json_t *result)
{
	json_t *manifest = make_manifest(j, result);
	int code;

	if (!manifest) {
		cli_error("VM \"%s\": no manifest can be made", j->vm);
		return EXIT_FAILED;
	}
	pthread_mutex_lock(&j->lock);
	code = backup_dir_finish(&j->dir, manifest);
	pthread_mutex_unlock(&j->lock);
	if (!code)
		show_backup(j, manifest);
	json_decref(manifest);
	return code;
}

int cmd_backup(struct cli_args *a)
{
	static struct job j; /* a thread may look at it until the end of the process */
	json_t *result = NULL;
	int code;

	if (!cli_text(a, "to"))
		return cli_bad(a->cmd, "--to is missing: the directory to make");
	j = (struct job){ .a = a, .vm = a->words[0], .base = cli_text(a, "incremental"), .fd = -1 };
	j.dir.fd = -1;
	pthread_mutex_init(&j.lock, NULL);
	signal(SIGPIPE, SIG_IGN);
	code = client_connect(j.vm, &j.fd);
	if (!code)
		code = client_as_owner(j.fd, j.vm);
	if (!code)
		code = make_id(j.id);
	if (!code) {
		catch_signals(&j);
		code = make_files(&j);
	}
	if (!code)
		code = fill_by_vm(&j, &result);
	if (!code)
		code = finish_backup(&j, result);
	pthread_mutex_lock(&j.lock);
	if (code)
		backup_dir_undo(&j.dir);
	backup_dir_close(&j.dir);
	pthread_mutex_unlock(&j.lock);
	json_decref(result);
	if (j.fd >= 0)
		close(j.fd);
	return code;
}
