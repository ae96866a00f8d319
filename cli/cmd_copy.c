// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus copy VM FILE :/PATH`: a file of the host becomes one of the guest. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "cli/progress.h"
#include "lib/exits.h"
#include "lib/util.h"
#include "vmm/handover.h"

/* Return: descriptor, or -1 with one line printed. */
static int open_source(const char *name, off_t *size)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		cli_error("%s: %s", name, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		cli_error("%s: it is no file", name);
	} else {
		*size = st.st_size;
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/*
 * ":/dir/name" and ":/dir/", of the guest. Return: the command's arguments; NULL: they are not
 * UTF-8.
 */
static json_t *make_args(struct cli_args *a, off_t size)
{
	char *path = strdup(a->words[2] + (*a->words[2] == ':')),
	     *slash = path ? strrchr(path, '/') : NULL;
	char *source = strdup(a->words[1]);
	const char *name = slash && slash[1] ? slash + 1 : source ? basename(source) : "";
	json_t *args = json_pack("{s:s, s:I, s:b, s:b}", "name", name, "size", (json_int_t)size,
				 "overwrite", cli_flag(a, "overwrite"), "make_path",
				 cli_flag(a, "make-directories"));
	json_t *dir;

	if (slash)
		slash[slash == path] = 0; /* "/" stays */
	dir = json_string(path ? path : "");
	if (args && json_object_set_new(args, "path", dir)) {
		json_decref(args);
		args = NULL;
	}
	free(source);
	free(path);
	return args;
}

static void print_copied(json_t *o)
{
	char size[32];

	printf("%s copied\n",
	       client_size(json_integer_value(json_object_get(o, "bytes")), size, sizeof(size)));
}

/* @args: reference is taken. @ends: of a pipe; ours stays open until the answer has come. */
static int ask_for_copy(struct cli_args *a, int vm, int fd, json_t *args, const int ends[2])
{
	struct handover_fds fds = { .fd = { fd, ends[0] }, .num = 2 };
	bool as_json = cli_flag(a, "json");
	struct progress *p = progress_begin(a->words[0], "copy", as_json);
	json_t *o = NULL;
	int err = client_ask_on(vm, a->words[0], "copy", args, &fds, &o);

	progress_end(p);
	if (!err && as_json)
		progress_event(o, "copied");
	else if (!err)
		client_show(o, false, print_copied);
	json_decref(o);
	return err;
}

/* The VM gets what its owner may read. */
static int copy_to(struct cli_args *a, int vm)
{
	int fd, ends[2], err = client_as_owner(vm, a->words[0]);
	json_t *args;
	off_t size;

	if (err)
		return err;
	fd = open_source(a->words[1], &size);
	if (fd < 0)
		return EXIT_FAILED;
	args = make_args(a, size);
	if (!args) {
		err = cli_bad(a->cmd, "a name that is not UTF-8 cannot be sent to the VM");
	} else if (pipe2(ends, O_CLOEXEC)) {
		cli_error("no pipe: %s", strerror(errno));
		json_decref(args);
		err = EXIT_FAILED;
	} else {
		err = ask_for_copy(a, vm, fd, args, ends);
		close(ends[0]);
		close(ends[1]);
	}
	close(fd);
	return err;
}

int cmd_copy(struct cli_args *a)
{
	const char *to = a->words[2] + (*a->words[2] == ':');
	int vm, err;

	if (*to != '/')
		return cli_bad(a->cmd, "the guest's path begins with :/, not \"%s\"", a->words[2]);
	err = client_connect(a->words[0], &vm);
	if (err)
		return err;
	err = copy_to(a, vm);
	close(vm);
	return err;
}
