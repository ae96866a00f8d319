// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus disk VM ...`: disks of a running VM. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/client_note.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/util.h"
#include "vmm/handover.h"
#include "vmm/note.h"

/* ---- which disk ---- */

/* The same file, device or server, however it is written. */
static bool same_file(const char *path, const char *name)
{
	struct stat a, b;

	if (!strcmp(path, name))
		return true;
	if (stat(path, &a) || stat(name, &b))
		return false;
	return S_ISBLK(a.st_mode) && S_ISBLK(b.st_mode) ?
		       a.st_rdev == b.st_rdev :
		       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static bool is_place(const char *name)
{
	unsigned int c, lun;
	char tail;

	return sscanf(name, "%u:%u%c", &c, &lun, &tail) == 2;
}

static bool fits(json_t *disk, const char *name)
{
	const char *path = json_string_value(json_object_get(disk, "path"));
	const char *serial = json_string_value(json_object_get(disk, "serial"));
	unsigned int c, lun;

	if (is_place(name)) {
		sscanf(name, "%u:%u", &c, &lun);
		return json_integer_value(json_object_get(disk, "controller")) == c &&
		       json_integer_value(json_object_get(disk, "lun")) == lun;
	}
	return (path && same_file(path, name)) || (serial && !strcmp(serial, name));
}

/*
 * The disk that the user means. Here and not in the VM's process: relative names are relative to
 * where the user is, and looking at files takes time. @disk: what the VM says of it; NULL: the VM
 * has none of that name, and says so better when it is asked.
 * Return: EXIT_*.
 */
static int find_disk(struct cli_args *a, const char *name, char place[32], json_t **disk)
{
	json_t *all = NULL, *x;
	size_t i;
	int err = client_ask(a->words[0], "disk-list", NULL, &all);

	*disk = NULL;
	json_array_foreach(all, i, x) {
		if (!fits(x, name))
			continue;
		if (*disk) {
			err = cli_bad(
				a->cmd,
				"\"%s\" names more than one disk; use CONTROLLER:LUN, see: "
				"kvmbus disk %s list",
				name, a->words[0]);
			break;
		}
		*disk = json_incref(x);
		snprintf(place, 32, "%lld:%lld",
			 (long long)json_integer_value(json_object_get(x, "controller")),
			 (long long)json_integer_value(json_object_get(x, "lun")));
	}
	json_decref(all);
	if (err)
		json_decref(*disk);
	return err;
}

/* The argument "disk" of a command, for json_pack()'s "o". NULL: nothing that JSON can carry. */
static int disk_argument(struct cli_args *a, json_t **out)
{
	char place[32];
	json_t *disk;
	int err = find_disk(a, a->words[1], place, &disk);

	if (err)
		return err;
	*out = json_string(disk ? place : a->words[1]);
	json_decref(disk);
	return EXIT_OK;
}

/* ---- what is noted of a change (cli/client_note.h) ---- */

struct change {
	const char *spec; /* absolute; NULL = no medium */
	bool dvd;
	s64 iops, bps; /* -1 = as before */
};

static bool place_of(json_t *answer, u32 *controller, u32 *lun)
{
	json_t *says_c = json_object_get(answer, "controller");
	json_t *says_l = json_object_get(answer, "lun");
	json_int_t c = json_integer_value(says_c), l = json_integer_value(says_l);

	*controller = (u32)c;
	*lun = (u32)l;
	return json_is_integer(says_c) && json_is_integer(says_l) && c >= 0 &&
	       c < (json_int_t)KVMB_STORAGE_MAX_CONTROLLERS && l >= 0 &&
	       l < (json_int_t)KVMB_STORAGE_MAX_LUNS;
}

static int note_disk_added(struct vm_state_config *c, json_t *answer, void *arg)
{
	const struct change *ch = arg;
	u32 k, lun;

	return place_of(answer, &k, &lun) ? note_add_disk(c, ch->spec, ch->dvd, k, lun) : -EPROTO;
}

static int note_disk_removed(struct vm_state_config *c, json_t *answer, void *arg)
{
	u32 k, lun;

	(void)arg;
	return place_of(answer, &k, &lun) ? note_remove_disk(c, k, lun) : -EPROTO;
}

static int note_medium(struct vm_state_config *c, json_t *answer, void *arg)
{
	const struct change *ch = arg;
	u32 k, lun;

	return place_of(answer, &k, &lun) ? note_set_medium(c, k, lun, ch->spec) : -EPROTO;
}

static int note_limits(struct vm_state_config *c, json_t *answer, void *arg)
{
	const struct change *ch = arg;
	u32 k, lun;

	return place_of(answer, &k, &lun) ? note_limit_disk(c, k, lun, ch->iops, ch->bps) : -EPROTO;
}

/* ---- actions ---- */

int disk_list(struct cli_args *a)
{
	json_t *o = NULL;
	int err = client_ask(a->words[0], "disk-list", NULL, &o);

	if (!err)
		client_show(o, cli_flag(a, "json"), client_print_disks);
	json_decref(o);
	return err;
}

/*
 * A spec that can be sent, checked here so that the message speaks of what was typed. NULL:
 * EXIT_USAGE was said.
 */
static char *good_spec(struct cli_args *a, const char *spec, bool dvd)
{
	char why[KVMB_DISK_WHY], *copy = strdup(spec), *absolute = NULL;
	struct disk_config dc;
	json_t *text = json_string(spec);

	if (!text)
		cli_bad(a->cmd, "a name that is not UTF-8 cannot be sent to the VM");
	else if (copy && opt_disk(copy, dvd, &dc, why, sizeof(why)))
		cli_bad(a->cmd, "%s", why);
	else if (!(absolute = opt_disk_absolute(spec, dvd)))
		cli_bad(a->cmd, "too long: \"%.60s...\"", spec);
	json_decref(text);
	free(copy);
	return absolute;
}

/* Open what a spec names; the descriptors go with the command. Return: EXIT_*. */
static int open_names(const struct client_note *n, const char *spec, bool dvd, json_t *args,
		      struct handover_fds *fds)
{
	char why[KVMB_DISK_WHY], *text = strdup(spec);
	struct kvmb_disk_files files = { 0 };
	struct disk_config dc;
	int err = EXIT_OK;

	if (!text || opt_disk(text, dvd, &dc, why, sizeof(why))) {
		free(text);
		return EXIT_FAILED; /* good_spec() has seen to it */
	}
	if (dc.spec.path && kvmb_disk_needs_keeper(&dc.spec))
		err = client_note_keeper(n);
	dc.spec.run_dir = n->dir;
	if (!err && dc.spec.path && kvmb_disk_resolve(&dc.spec, &files, why, sizeof(why))) {
		cli_error("VM \"%s\": disk %s: %s", n->vm, dc.spec.path, why);
		err = EXIT_FAILED;
	}
	if (!err)
		handover_put_disk(args, &files, fds);
	free(text);
	return err;
}

/* A change that brings a disk's files. Takes the reference to @args. */
static int bring_disk(struct cli_args *a, const char *command, json_t *args, struct change *change,
		      client_note_edit *edit, const char *done)
{
	struct handover_fds fds = { 0 };
	struct client_note n;
	json_t *o = NULL;
	int err = client_note_begin(a->words[0], &n);

	if (!err)
		err = open_names(&n, change->spec, change->dvd, args, &fds);
	if (!err)
		err = client_note_change(&n, command, json_incref(args), &fds, edit, change, &o);
	client_note_end(&n);
	if (!err)
		client_print_done(o, cli_flag(a, "json"), done);
	json_decref(o);
	json_decref(args);
	handover_close(&fds);
	return err;
}

int disk_add(struct cli_args *a)
{
	bool dvd = cli_flag(a, "dvd");
	char *spec = good_spec(a, a->words[1], dvd);
	int err;

	if (!spec)
		return EXIT_USAGE;
	err = bring_disk(a, "disk-add", json_pack("{s:s, s:b}", "spec", spec, "dvd", dvd),
			 &(struct change){ .spec = spec, .dvd = dvd }, note_disk_added, "added");
	free(spec);
	return err;
}

int disk_remove(struct cli_args *a)
{
	json_t *disk;
	int err = disk_argument(a, &disk);

	return err ? err :
		     client_note_simple(a, "disk-remove", json_pack("{s:o}", "disk", disk),
					"removed", note_disk_removed, NULL);
}

/* A size with a digit too many would be for ever: images only grow. */
static bool too_large(json_t *disk, u64 size, u64 *most)
{
	const char *path = json_string_value(json_object_get(disk, "path"));
	struct statvfs fs;
	struct stat st;

	if (!path || stat(path, &st) || !S_ISREG(st.st_mode) || statvfs(path, &fs))
		return false;
	*most = (u64)fs.f_blocks * fs.f_frsize;
	return size > *most && size > (u64)json_integer_value(json_object_get(disk, "size"));
}

static void print_resized(json_t *o, bool as_json, json_t *disk)
{
	json_int_t before = json_integer_value(json_object_get(disk, "size"));
	json_int_t now = json_integer_value(json_object_get(o, "size"));
	char done[120], from[40], to[40];

	json_object_set_new(o, "old_size", json_integer(before));
	client_size(before, from, sizeof(from));
	client_size(now, to, sizeof(to));
	if (before == now)
		snprintf(done, sizeof(done), "has %s, as before", to);
	else
		snprintf(done, sizeof(done), "resized from %s to %s", from, to);
	client_print_done(o, as_json, done);
}

static int resize(struct cli_args *a, const char *place, json_t *disk, u64 size)
{
	json_t *args = json_pack("{s:s, s:I}", "disk", place, "size", (json_int_t)size), *o = NULL;
	char most_text[40];
	u64 most;
	int err;

	if (!args)
		return cli_bad(a->cmd, "a name that is not UTF-8 cannot be sent to the VM");
	if (disk && !cli_flag(a, "force") && too_large(disk, size, &most)) {
		json_decref(args);
		cli_error(
			"VM \"%s\": disk %s: %s is larger than its whole file system (%s), "
			"and a disk cannot shrink "
			"again; use --force to do it anyway",
			a->words[0], place, a->words[2],
			client_size((long long)most, most_text, sizeof(most_text)));
		return EXIT_FAILED;
	}
	err = client_ask(a->words[0], "disk-resize", args, &o);
	if (!err)
		print_resized(o, cli_flag(a, "json"), disk);
	json_decref(o);
	return err;
}

int disk_resize(struct cli_args *a)
{
	char place[32];
	json_t *disk;
	u64 size = 0;
	int err = find_disk(a, a->words[1], place, &disk);

	if (err)
		return err;
	if (a->words[2])
		opt_size(a->words[2], &size, NULL);
	err = resize(a, disk ? place : a->words[1], disk, size);
	json_decref(disk);
	return err;
}

int disk_eject(struct cli_args *a)
{
	json_t *disk;
	int err = disk_argument(a, &disk);

	return err ? err :
		     client_note_simple(a, "disk-eject",
					json_pack("{s:o, s:b}", "disk", disk, "force",
						  cli_flag(a, "force")),
					"ejected", note_medium, &(struct change){ .dvd = true });
}

int disk_insert(struct cli_args *a)
{
	char *spec = good_spec(a, a->words[2], true);
	json_t *disk;
	int err;

	if (!spec)
		return EXIT_USAGE;
	err = disk_argument(a, &disk);
	if (!err)
		err = bring_disk(a, "disk-insert",
				 json_pack("{s:o, s:s}", "disk", disk, "spec", spec),
				 &(struct change){ .spec = spec, .dvd = true }, note_medium,
				 "loaded");
	free(spec);
	return err;
}

int disk_limit(struct cli_args *a)
{
	const char *iops = cli_text(a, "iops"), *bps = cli_text(a, "bps");
	struct change change = { .iops = -1, .bps = -1 };
	json_t *disk, *args;
	u64 v;
	int err;

	if (!iops && !bps)
		return cli_bad(a->cmd, "give --iops or --bps");
	err = disk_argument(a, &disk);
	if (err)
		return err;
	args = json_pack("{s:o}", "disk", disk);
	if (iops && opt_size(iops, &v, NULL)) {
		change.iops = (s64)v;
		json_object_set_new(args, "iops", json_integer(change.iops));
	}
	if (bps && opt_size(bps, &v, NULL)) {
		change.bps = (s64)v;
		json_object_set_new(args, "bps", json_integer(change.bps));
	}
	return client_note_simple(a, "disk-limit", args, "limited", note_limits, &change);
}
