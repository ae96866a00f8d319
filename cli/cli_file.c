// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus run --config`: a VM's file becomes options: cli_file.h. */
#include "cli/cli_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/exits.h"
#include "lib/util.h"
#include "manage/vm_file.h"

struct file_options {
	const char *path;
	char *dir; /* where names in it begin, absolute */
	struct cli_args *a;
	struct cli_given *given; /* given[num]: what comes out of it */
	int num;
};

/* Of the process that asks, and of one start: none of these makes a VM another one. */
static const char *const only_typed[] = { "config", "incoming", "tls", "insecure", "json" };

static bool is_one_of(const char *const *list, size_t num, const char *name)
{
	size_t i;

	for (i = 0; i < num; i++) {
		if (!strcmp(list[i], name))
			return true;
	}
	return false;
}

static bool adds_up(const char *name)
{
	static const char *const names[] = { "disk", "dvd", "nic", "ic", "verbose" };

	return is_one_of(names, ARRAY_SIZE(names), name);
}

static char *make_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *make_text(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	kvmb_assert(text);
	return text;
}

/* ---- names of files ---- */

static char *from_dir(const struct file_options *o, const char *prefix, const char *name)
{
	return *name && *name != '/' ? make_text("%s%s/%s", prefix, o->dir, name) :
				       make_text("%s%s", prefix, name);
}

/* A file, not a word that names some firmware; then the file of its variables. */
static char *firmware_of(const struct file_options *o, const char *value)
{
	const char *vars = strstr(value, ",vars=");
	char *rom, *all, *file = vars ? from_dir(o, ",vars=", vars + 6) : make_text("%s", "");

	rom = make_text("%.*s", (int)(vars ? vars - value : (ptrdiff_t)strlen(value)), value);
	if (strcmp(rom, "bios") && strcmp(rom, "uefi")) {
		all = from_dir(o, "", rom);
		free(rom);
		rom = all;
	}
	all = make_text("%s%s", rom, file);
	free(rom);
	free(file);
	return all;
}

static char *serial_of(const struct file_options *o, const char *value)
{
	static const char *const kinds[] = { "file=", "unix=" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!strncmp(value, kinds[i], 5))
			return from_dir(o, kinds[i], value + 5);
	}
	return strdup(value);
}

/* opt_disk_absolute() begins where the process is. */
static char *disk_of(const struct file_options *o, const char *value, bool dvd)
{
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *spec = NULL;

	if (here >= 0 && !chdir(o->dir)) {
		spec = opt_disk_absolute(value, dvd);
		if (fchdir(here)) {
			free(spec);
			spec = NULL;
		}
	}
	if (here >= 0)
		close(here);
	return spec;
}

static char *value_of(const struct file_options *o, const struct opt_def *opt, const char *value)
{
	if (!strcmp(opt->name, "disk") || !strcmp(opt->name, "dvd"))
		return disk_of(o, value, !strcmp(opt->name, "dvd"));
	if (!strcmp(opt->name, "firmware"))
		return firmware_of(o, value);
	if (!strcmp(opt->name, "serial"))
		return serial_of(o, value);
	return opt->kind == OPT_FILE ? from_dir(o, "", value) : strdup(value);
}

/* ---- options ---- */

static bool was_typed(const struct cli_args *a, const char *name)
{
	return !adds_up(name) && cli_flag(a, name);
}

/* Return: 1: it is set, 0: it is not, -1: neither is said. */
static int flag_of(const char *value)
{
	static const char *const words[] = { "off", "on", "no", "yes", "false", "true" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		if (!strcasecmp(value, words[i]))
			return i & 1;
	}
	return -1;
}

static int unknown_key(const struct file_options *o, const char *key)
{
	const struct opt_def *similar = opt_similar(o->a->cmd->options, key);

	if (similar)
		return cli_bad(o->a->cmd, "unknown key \"%s\"; did you mean %s?", key,
			       similar->name);
	return cli_bad(o->a->cmd, "unknown key \"%s\"; keys are options of kvmbus run", key);
}

static int take_flag(struct file_options *o, const struct opt_def *opt, const char *value,
		     const char *from)
{
	int set = flag_of(value);

	if (set < 0)
		return cli_bad(o->a->cmd, "%s \"%s\": must be on or off", opt->name, value);
	if (set)
		o->given[o->num++] = (struct cli_given){ opt, NULL, from };
	return EXIT_OK;
}

static int take_key(struct file_options *o, const struct vm_file_value *v, const char *from)
{
	const struct opt_def *opt = opt_find(o->a->cmd->options, v->key);
	char why[240], *value;

	if (!opt)
		return unknown_key(o, v->key);
	if (is_one_of(only_typed, ARRAY_SIZE(only_typed), v->key))
		return cli_bad(o->a->cmd, "\"%s\" is for the command line only", v->key);
	if (was_typed(o->a, v->key))
		return EXIT_OK;
	if (opt->kind == OPT_FLAG)
		return take_flag(o, opt, v->value, from);
	if (!opt_check(opt, v->value, why, sizeof(why)))
		return cli_bad(o->a->cmd, "%s \"%s\": %s", v->key, v->value, why);
	value = value_of(o, opt, v->value);
	if (!value)
		return cli_bad(o->a->cmd, "%s \"%.60s...\": too long", v->key, v->value);
	o->given[o->num++] = (struct cli_given){ opt, value, from };
	return EXIT_OK;
}

static int take_all(struct file_options *o, const struct vm_file *f)
{
	int code = EXIT_OK;
	int had;
	char *from;
	size_t i;

	for (i = 0; code == EXIT_OK && i < f->num; i++) {
		from = make_text("%s:%u", o->path, f->values[i].line);
		had = o->num;
		cli_blame(from);
		code = take_key(o, &f->values[i], from);
		if (o->num == had)
			free(from);
	}
	cli_blame(NULL);
	return code;
}

static char *dir_of(const char *path)
{
	char real[PATH_MAX], *slash;

	if (!realpath(path, real))
		return NULL;
	slash = strrchr(real, '/');
	slash[slash == real] = 0;
	return strdup(real);
}

int cli_file_take(struct cli_args *a)
{
	struct file_options o = { .path = cli_text(a, "config"), .a = a };
	struct vm_file f = { 0 };
	char why[PATH_MAX + 200];
	int code = EXIT_FAILED, i;

	if (!o.path)
		return EXIT_OK;
	if (vm_file_read(o.path, &f, why, sizeof(why))) {
		cli_error("%s", why);
		vm_file_free(&f);
		return EXIT_FAILED;
	}
	o.dir = dir_of(o.path);
	o.given = kvmb_xzalloc((f.num + (size_t)a->num_given) * sizeof(*o.given));
	if (!o.dir)
		cli_error("%s: %s", o.path, strerror(errno));
	else
		code = take_all(&o, &f);
	for (i = 0; i < a->num_given; i++) {
		if (strcmp(a->given[i].opt->name, "config"))
			o.given[o.num++] = a->given[i];
	}
	free(a->given);
	a->given = o.given;
	a->num_given = o.num;
	free(o.dir);
	vm_file_free(&f);
	return code;
}
