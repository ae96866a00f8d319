// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus import`: a VM's file of what comes from elsewhere (manage/import.h, manage/p2v.h). */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/progress.h"
#include "lib/exits.h"
#include "lib/util.h"
#include "manage/import.h"
#include "manage/p2v.h"

static volatile sig_atomic_t interrupted;

static void note_interrupt(int signo)
{
	(void)signo;
	interrupted = 1;
}

/* A second one ends the process: nothing that has a name is left of an import (import_make.c). */
static void take_interrupts(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = note_interrupt, .sa_flags = SA_RESETHAND };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static bool tell_import(void *arg, const char *what, uint64_t done, uint64_t total)
{
	progress_tell(arg, what, (long long)done, (long long)total);
	return !interrupted;
}

/* ---- the answer ---- */

/* A file's name may be no UTF-8. */
static json_t *json_text(const char *s)
{
	json_t *o = json_string(s);
	char *copy, *p;

	if (o || !s)
		return o ? o : json_null();
	copy = strdup(s);
	for (p = copy; p && *p; p++)
		*p = *p & 0x80 ? '?' : *p;
	o = json_string(copy);
	free(copy);
	return o ? o : json_null();
}

static json_t *json_of_disk(const struct import_disk *d)
{
	return json_pack("{s:o, s:o, s:o, s:b}", "source", json_text(d->source), "path",
			 json_text(d->target ? d->target : d->found), "format",
			 json_text(d->format), "dvd", d->dvd);
}

static json_t *json_of(const struct import_vm *vm)
{
	json_t *o = json_object(), *disks = json_array(), *lacks = json_array();
	unsigned int i;

	for (i = 0; i < vm->num_disks; i++)
		json_array_append_new(disks, json_of_disk(&vm->disks[i]));
	for (i = 0; i < vm->num_lacks; i++)
		json_array_append_new(lacks, json_text(vm->lacks[i]));
	json_object_set_new(o, "name", json_text(vm->name));
	json_object_set_new(o, "file", json_text(vm->file));
	json_object_set_new(o, "origin", json_text(vm->origin));
	json_object_set_new(o, "disks", disks);
	json_object_set_new(o, "not_taken_over", lacks);
	json_object_set_new(o, "text", json_text(vm->text));
	return o;
}

static void show_import(const struct cli_args *a, const struct import_vm *vm)
{
	const char *quote; /* for a shell */
	unsigned int i;
	char *plain;
	json_t *o;

	if (cli_flag(a, "json")) {
		o = json_of(vm);
		progress_event(o, "imported");
		json_decref(o);
		return;
	}
	if (cli_flag(a, "dry-run")) {
		fputs(vm->text, stdout);
		return;
	}
	for (i = 0; i < vm->num_lacks; i++) {
		plain = cli_plain(vm->lacks[i]);
		printf("not taken over: %s\n", plain ? plain : "");
		free(plain);
	}
	plain = cli_plain(vm->file);
	quote = plain && strpbrk(plain, " \t\"$&;()<>|*?[]#~!`\\") && !strchr(plain, '\'') ? "'" :
											     "";
	printf("%s: start it with\n  kvmbus run --config %s%s%s\n", vm->name, quote,
	       plain ? plain : "", quote);
	free(plain);
}

/* ---- the question ---- */

static int read_mode(const struct cli_args *a, struct import_wish *w)
{
	bool copy = cli_flag(a, "copy"), in_place = cli_flag(a, "in-place");

	w->format = cli_text(a, "convert");
	if (copy + in_place + (w->format != NULL) > 1)
		return cli_bad(a->cmd, "--copy, --convert and --in-place: only one of them");
	w->mode_said = copy || in_place || w->format;
	w->mode = in_place ? IMPORT_IN_PLACE : w->format ? IMPORT_CONVERT : IMPORT_COPY;
	return EXIT_OK;
}

static int read_device_wish(const struct cli_args *a, const struct import_wish *w)
{
	if (a->num_words)
		return cli_bad(a->cmd, "--from-device goes without SOURCE");
	if (w->mode_said)
		return cli_bad(a->cmd, "--from-device makes a raw image; import that with --%s",
			       w->format	      ? "convert" :
			       w->mode == IMPORT_COPY ? "copy" :
							"in-place");
	if (w->source_format)
		return cli_bad(a->cmd, "--format is for an image; a device is raw");
	if (!w->name)
		return cli_bad(a->cmd, "--from-device needs --name: a disk has none");
	return EXIT_OK;
}

static int read_wish(const struct cli_args *a, struct import_wish *w)
{
	int code;

	w->source = a->num_words ? a->words[0] : NULL;
	w->dir = cli_text(a, "to");
	w->name = cli_text(a, "name");
	w->source_format = cli_text(a, "format");
	w->dry_run = cli_flag(a, "dry-run");
	w->verify = cli_flag(a, "verify");
	code = read_mode(a, w);
	if (code != EXIT_OK)
		return code;
	if (w->name && !cli_good_name(w->name))
		return cli_bad(a->cmd,
			       "--name \"%s\": use up to 32 letters, digits, - _ . "
			       "and begin with a letter or digit",
			       w->name);
	if (cli_text(a, "from-device"))
		return read_device_wish(a, w);
	if (!w->source)
		return cli_bad(a->cmd, "SOURCE is missing; see kvmbus help import");
	if (w->verify)
		return cli_bad(a->cmd, "--verify goes with --from-device");
	return EXIT_OK;
}

int cmd_import(struct cli_args *a)
{
	struct import_wish w = { .tell = tell_import };
	struct import_vm *vm = kvmb_xzalloc(sizeof(*vm));
	char why[IMPORT_WHY + PATH_MAX];
	int err, code = read_wish(a, &w);

	if (code != EXIT_OK) {
		free(vm);
		return code;
	}
	take_interrupts();
	w.arg = progress_begin_here(cli_flag(a, "json"));
	if (cli_text(a, "from-device")) {
		err = p2v_make(cli_text(a, "from-device"), &w, vm, why, sizeof(why));
	} else {
		err = import_read(&w, vm, why, sizeof(why));
		if (!err)
			err = import_make(&w, vm, why, sizeof(why));
	}
	progress_end(w.arg);
	if (err)
		cli_error("%s", why);
	else
		show_import(a, vm);
	import_free(vm);
	free(vm);
	return err ? EXIT_FAILED : EXIT_OK;
}
