// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvmbus save`: brings a file, and gives it its options and its name when the VM has filled it
 * (vmm/save.h, vmm/state_file.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/client_facts.h"
#include "cli/cmd.h"
#include "cli/progress.h"
#include "lib/exits.h"
#include "vmm/handover.h"
#include "vmm/state_file.h"

struct target {
	const char *path;
	int dir, file;
	struct client_facts facts;
};

static int cannot(const struct target *t, int err)
{
	cli_error("%s: %s", t->path, strerror(err));
	return EXIT_FAILED;
}

/* A file without a name, where it will get one. */
static int open_target(struct target *t)
{
	char *copy = strdup(t->path);
	struct stat st;

	if (!copy)
		return cannot(t, ENOMEM);
	t->dir = open(dirname(copy), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	free(copy);
	if (t->dir < 0)
		return cannot(t, errno);
	if (!lstat(t->path, &st))
		return cannot(t, EEXIST);
	t->file = openat(t->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (t->file < 0)
		return cannot(t, errno);
	/* nobody restores it before we have looked, or while the VM's process could write to it */
	flock(t->file, LOCK_EX | LOCK_NB);
	return EXIT_OK;
}

/* The VM goes on, and what has the name would be void. */
static void unname_target(const struct target *t)
{
	struct stat named, ours;

	if (!lstat(t->path, &named) && !fstat(t->file, &ours) && named.st_dev == ours.st_dev &&
	    named.st_ino == ours.st_ino)
		unlink(t->path);
}

static int name_target(struct target *t)
{
	int err = state_file_put_config(t->file, t->facts.config, t->facts.config_len);
	char self[32];

	if (err)
		return cannot(t, -err);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", t->file);
	if (linkat(AT_FDCWD, self, AT_FDCWD, t->path, AT_SYMLINK_FOLLOW))
		return cannot(t, errno);
	if (!fsync(t->dir))
		return EXIT_OK;
	err = errno;
	unname_target(t);
	return cannot(t, err);
}

/*
 * Has the VM ended for another reason, and taken the file back before it heard its name? Or has a
 * VM that was taken over given itself other options?
 */
static int check_target(struct target *t, const char *vm)
{
	char why[STATE_FILE_WHY];
	struct state_file f;
	bool honest;
	int err;

	fcntl(t->file, F_SETFL, 0); /* flags are shared with the VM's process */
	honest = state_file_has_config(t->file, t->facts.config, t->facts.config_len);
	if (!honest)
		state_file_void(t->file);
	err = state_file_open(&f, t->file, why);
	if (!err) {
		state_file_close(&f);
		t->file = -1;
	}
	if (!honest)
		cli_error("VM \"%s\": it changed the options in %s, which is not to be trusted and "
			  "was made void", vm, t->path);
	else if (err)
		cli_error("VM \"%s\": it ended before it was saved: %s: %s", vm, t->path, why);
	return honest && !err ? EXIT_OK : EXIT_FAILED;
}

/* Behind the answer: the file's name, the VM's end. */
static int finish_save(struct target *t, int word, const char *vm)
{
	int err = name_target(t);

	if (err) {
		cli_error("VM \"%s\": not saved; it goes on", vm);
		return err;
	}
	/* a VM that has ended does not hear it; what the file is then, it says itself */
	if (write(word, "k", 1) != 1 && errno != EPIPE)
		return cannot(t, errno);
	err = client_wait_for_end(&t->facts, vm, "it is saved");
	return err ? err : check_target(t, vm);
}

static json_t *wishes(const struct cli_args *a)
{
	json_t *args = json_object();

	if (cli_text(a, "compress"))
		json_object_set_new(args, "compress", json_string(cli_text(a, "compress")));
	if (cli_text(a, "threads"))
		json_object_set_new(args, "threads", json_integer(cli_u32(a, "threads")));
	return args;
}

static int save(struct cli_args *a, struct target *t, int fd)
{
	struct handover_fds fds = { 0 };
	struct progress *progress = NULL;
	const char *vm = a->words[0];
	json_t *o = NULL, *args = wishes(a);
	int word[2], err;

	if (pipe2(word, O_CLOEXEC)) {
		json_decref(args);
		return cannot(t, errno);
	}
	signal(SIGPIPE, SIG_IGN); /* the VM may end before it hears our word */
	fds.fd[fds.num++] = t->file;
	fds.fd[fds.num++] = word[0];
	if (!cli_flag(a, "json"))
		progress = progress_begin(vm, "save", false);
	err = client_ask_on(fd, vm, "save", args, &fds, &o);
	progress_end(progress);
	close(word[0]); /* the VM has its own */
	if (!err)
		err = finish_save(t, word[1], vm);
	close(word[1]);
	if (!err && cli_flag(a, "json"))
		client_show(o, true, NULL);
	json_decref(o);
	return err;
}

int cmd_save(struct cli_args *a)
{
	struct target t = { .path = a->words[1], .dir = -1, .file = -1, .facts.process = -1 };
	int fd = -1, err = client_connect(a->words[0], &fd);

	if (!err)
		err = client_as_owner(fd, a->words[0]);
	if (!err)
		err = client_learn(fd, a->words[0], &t.facts);
	if (!err)
		err = open_target(&t);
	if (!err)
		err = save(a, &t, fd);
	if (t.file >= 0)
		close(t.file);
	if (t.dir >= 0)
		close(t.dir);
	client_forget(&t.facts);
	if (fd >= 0)
		close(fd);
	return err;
}
