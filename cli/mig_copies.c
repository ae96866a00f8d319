// SPDX-License-Identifier: GPL-2.0-only
/* Which disks go along with a VM: mig_copies.h. */
#include "cli/mig_copies.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/cli_config.h"
#include "cli/client.h"
#include "cli/client_facts.h"
#include "lib/exits.h"
#include "lib/util.h"
#include "vmm/disk_copies.h"
#include "vmm/note.h"
#include "vmm/opt.h"

#define DISK "--disk="

/* It may have been resized since it was started. Return: 0: it is not said. */
static u64 size_of(const json_t *list, const struct disk_copy *d)
{
	json_t *o;
	size_t i;
	long long n;

	json_array_foreach(list, i, o)
	{
		if (json_integer_value(json_object_get(o, "controller")) != d->controller ||
		    json_integer_value(json_object_get(o, "lun")) != d->lun)
			continue;
		n = json_integer_value(json_object_get(o, "size"));
		return n > 0 ? (u64)n : 0;
	}
	return 0;
}

static int bad_disk(const char *vm, const char *path, const char *why)
{
	cli_error("VM \"%s\": disk %.300s: %s", vm, path, why);
	return EXIT_FAILED;
}

static int add(const json_t *list, const char *vm, const struct disk_config *dc,
	       struct disk_copies *c)
{
	struct disk_copy d = { .controller = (u32)dc->controller, .lun = (u32)dc->lun };
	char why[200];
	struct stat st;
	int can = disk_copies_can(dc, why, sizeof(why));

	if (can < 0)
		return bad_disk(vm, dc->spec.path, why);
	if (!can)
		return EXIT_OK;
	if (dc->controller < 0)
		return bad_disk(vm, dc->spec.path, "a disk on IDE is not copied yet");
	d.bytes = size_of(list, &d);
	if (dc->controller < 0 || dc->lun < 0 || !d.bytes || c->num == KVMB_MAX_DISKS)
		return bad_disk(vm, dc->spec.path, "the VM does not say how large it is");
	if (!stat(dc->spec.path, &st)) /* one that was removed is open all the same */
		d.used = (u64)st.st_blocks * 512;
	c->disks[c->num++] = d;
	return EXIT_OK;
}

static int add_word(const json_t *list, const char *vm, const char *word, struct disk_copies *c)
{
	char why[KVMB_DISK_WHY], *copy;
	struct disk_config dc;
	int code;

	if (strncmp(word, DISK, strlen(DISK)))
		return EXIT_OK;
	copy = strdup(word + strlen(DISK));
	if (!copy || opt_disk(copy, false, &dc, why, sizeof(why)))
		code = bad_disk(vm, word, "its options cannot be read");
	else
		code = add(list, vm, &dc, c);
	free(copy);
	return code;
}

int mig_copies_find(int fd, const char *vm, const struct client_facts *facts, struct disk_copies *c)
{
	struct vm_state_config config = { 0 };
	json_t *list = NULL;
	char why[200];
	int code = client_ask_on(fd, vm, "disk-list", NULL, NULL, &list), i;

	c->num = 0;
	if (code == EXIT_OK &&
	    cli_config_parse(facts->config, facts->config_len, &config, why, sizeof(why))) {
		cli_error("VM \"%s\": %s", vm, why);
		code = EXIT_FAILED;
	}
	for (i = 1; code == EXIT_OK && i < config.num_args; i++)
		code = add_word(list, vm, config.args[i], c);
	vm_state_free_config(&config);
	json_decref(list);
	return code;
}
