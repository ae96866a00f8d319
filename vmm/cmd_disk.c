// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus disk VM ...`: disks of a running VM. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "lib/util.h"
#include "vmm/client.h"
#include "vmm/cmd.h"
#include "vmm/opt.h"

#define MAX_SPEC 12288

struct words { /* what stands behind the action */
	const char *pos[2]; /* disk and size, spec, or file */
	int num_pos;
	bool json, dvd, force;
	const char *iops, *bps;
};

static const char help_text[] =
	"usage: kvmbus disk VM list\n"
	"       kvmbus disk VM add [--dvd] F[,OPTION]...\n"
	"       kvmbus disk VM remove DISK\n"
	"       kvmbus disk VM resize DISK [SIZE]      no SIZE: look how large it is now\n"
	"       kvmbus disk VM eject DISK [--force]\n"
	"       kvmbus disk VM insert DISK F\n"
	"       kvmbus disk VM limit DISK [--iops N] [--bps SIZE]   0: none\n\n"
	"DISK is CONTROLLER:LUN, the image's path, or its serial number. --json everywhere.\n\n";

static int usage(const char *what, const char *word)
{
	fprintf(stderr, "kvmbus disk: %s%s%s%s; see kvmbus disk --help\n", what, word ? " \"" : "",
		word ? word : "", word ? "\"" : "");
	return EXIT_USAGE;
}

static bool parse(int argc, char **argv, struct words *w)
{
	int i;

	*w = (struct words){ 0 };
	for (i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			w->json = true;
		else if (!strcmp(argv[i], "--dvd"))
			w->dvd = true;
		else if (!strcmp(argv[i], "--force"))
			w->force = true;
		else if (!strcmp(argv[i], "--iops") && i + 1 < argc)
			w->iops = argv[++i];
		else if (!strcmp(argv[i], "--bps") && i + 1 < argc)
			w->bps = argv[++i];
		else if (argv[i][0] == '-' || w->num_pos == 2)
			return !usage("unexpected", argv[i]);
		else
			w->pos[w->num_pos++] = argv[i];
	}
	return true;
}

/* Append one word; relative file names become absolute, since the VM runs elsewhere. */
static bool append_word(char *out, size_t *n, const char *word, size_t len, bool first)
{
	size_t skip = !first && len > 8 && !strncmp(word, "backing=", 8) ? 8 : 0;
	bool file = (first && (len != 5 || memcmp(word, "empty", len))) || skip;
	char cwd[PATH_MAX];
	const char *p;

	if (file && word[skip] != '/' && !memmem(word, len, "://", 3) && getcwd(cwd, sizeof(cwd))) {
		*n += (size_t)snprintf(out + *n, MAX_SPEC - *n, "%s%.*s", first ? "" : ",", (int)skip, word);
		if (*n >= MAX_SPEC)
			return false;
		for (p = cwd; *p && *n < MAX_SPEC - 4; p++) {
			out[(*n)++] = *p;
			if (*p == ',')
				out[(*n)++] = ',';
		}
		*n += (size_t)snprintf(out + *n, MAX_SPEC - *n, "/%.*s", (int)(len - skip), word + skip);
	} else {
		*n += (size_t)snprintf(out + *n, MAX_SPEC - *n, "%s%.*s", first ? "" : ",", (int)len, word);
	}
	return *n < MAX_SPEC - 1;
}

static bool absolute(const char *spec, char *out)
{
	size_t n = 0, len;
	bool first = true;

	for (;;) {
		for (len = 0; spec[len]; len++) {
			if (spec[len] == ',' && spec[len + 1] == ',')
				len++;
			else if (spec[len] == ',')
				break;
		}
		if (!append_word(out, &n, spec, len, first))
			return false;
		if (!spec[len])
			return true;
		spec += len + 1;
		first = false;
	}
}

/* The disk's path may be what the user typed, relative to here. */
static json_t *disk_name(const char *s)
{
	unsigned int c, lun;
	char path[PATH_MAX], tail;

	if (s[0] == '/' || sscanf(s, "%u:%u%c", &c, &lun, &tail) == 2 || !realpath(s, path))
		return json_string(s);
	return json_string(path);
}

static int ask(const char *vm, const char *command, json_t *args, const struct words *w, const char *done)
{
	json_t *o = NULL;
	int err;

	if (!args)
		return usage("a name that is not UTF-8 cannot be asked for", NULL);
	err = client_ask(vm, command, args, &o);
	if (!err && w->json)
		client_print_json(o);
	else if (!err)
		printf("disk %s %s\n", json_string_value(json_object_get(o, "disk")), done);
	json_decref(o);
	return err;
}

static int do_list(const char *vm, const struct words *w)
{
	json_t *o = NULL, *x;
	size_t i;
	int err = client_ask(vm, "disk-list", NULL, &o);

	if (!err && w->json)
		client_print_json(o);
	else
		json_array_foreach(o, i, x)
			client_print_disk("", x);
	json_decref(o);
	return err;
}

static int do_add(const char *vm, const struct words *w)
{
	char spec[MAX_SPEC];

	if (w->num_pos != 1)
		return usage("add what?", NULL);
	if (!absolute(w->pos[0], spec))
		return usage("too long:", w->pos[0]);
	return ask(vm, "disk-add", json_pack("{s:s, s:b}", "spec", spec, "dvd", w->dvd), w, "added");
}

static int do_remove(const char *vm, const struct words *w)
{
	if (w->num_pos != 1)
		return usage("remove which?", NULL);
	return ask(vm, "disk-remove", json_pack("{s:o}", "disk", disk_name(w->pos[0])), w, "removed");
}

static int do_resize(const char *vm, const struct words *w)
{
	json_t *args;
	u64 size = 0;

	if (!w->num_pos)
		return usage("resize which?", NULL);
	if (w->num_pos == 2 && (!opt_size(w->pos[1], &size, NULL) || !size))
		return usage("bad size", w->pos[1]);
	args = json_pack("{s:o, s:I}", "disk", disk_name(w->pos[0]), "size", (json_int_t)size);
	return ask(vm, "disk-resize", args, w, "resized");
}

static int do_eject(const char *vm, const struct words *w)
{
	if (w->num_pos != 1)
		return usage("eject which?", NULL);
	return ask(vm, "disk-eject", json_pack("{s:o, s:b}", "disk", disk_name(w->pos[0]), "force", w->force),
		   w, "ejected");
}

static int do_insert(const char *vm, const struct words *w)
{
	char spec[MAX_SPEC];

	if (w->num_pos != 2)
		return usage("insert what into which drive?", NULL);
	if (!absolute(w->pos[1], spec))
		return usage("too long:", w->pos[1]);
	return ask(vm, "disk-insert", json_pack("{s:o, s:s}", "disk", disk_name(w->pos[0]), "spec", spec), w,
		   "loaded");
}

static int do_limit(const char *vm, const struct words *w)
{
	json_t *args;
	u64 v;

	if (w->num_pos != 1 || (!w->iops && !w->bps))
		return usage("limit which disk, --iops or --bps?", NULL);
	if ((w->iops && !opt_size(w->iops, &v, NULL)) || (w->bps && !opt_size(w->bps, &v, NULL)))
		return usage("bad number", NULL);
	args = json_pack("{s:o}", "disk", disk_name(w->pos[0]));
	if (w->iops && opt_size(w->iops, &v, NULL))
		json_object_set_new(args, "iops", json_integer((json_int_t)v));
	if (w->bps && opt_size(w->bps, &v, NULL))
		json_object_set_new(args, "bps", json_integer((json_int_t)v));
	return ask(vm, "disk-limit", args, w, "limited");
}

static const struct {
	const char *name;
	int (*fn)(const char *vm, const struct words *w);
} actions[] = {
	{ "list", do_list },   { "add", do_add },	{ "remove", do_remove }, { "resize", do_resize },
	{ "eject", do_eject }, { "insert", do_insert }, { "limit", do_limit },
};

int cmd_disk(int argc, char **argv)
{
	struct words w;
	size_t i;

	for (i = 1; i < (size_t)argc; i++) {
		if (!strcmp(argv[i], "--help")) {
			printf("%s%s", help_text, opt_disk_help);
			return EXIT_OK;
		}
	}
	if (argc < 3)
		return usage(argc < 2 ? "which VM?" : "do what? list, add, remove, resize, eject, insert, limit",
			     NULL);
	for (i = 0; i < ARRAY_SIZE(actions); i++) {
		if (!strcmp(argv[2], actions[i].name))
			return parse(argc - 3, argv + 3, &w) ? actions[i].fn(argv[1], &w) : EXIT_USAGE;
	}
	return usage("unknown action", argv[2]);
}
