// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors and facts that come with a command: handover.h. */
#include "vmm/handover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/util.h"

void handover_close(struct handover_fds *fds)
{
	while (fds->num) {
		if (fds->fd[--fds->num] >= 0)
			close(fds->fd[fds->num]);
	}
}

/* ---- the client's side ---- */

static void put_one(json_t *list, const char *role, int fd, struct handover_fds *fds)
{
	kvmb_assert(fds->num < KVMB_FDPASS_MAX);
	fds->fd[fds->num++] = fd;
	json_array_append_new(list, json_string(role));
}

void handover_put_disk(json_t *args, struct kvmb_disk_files *files, struct handover_fds *fds)
{
	json_t *list = json_array();
	u32 i;

	for (i = 0; i < files->num; i++)
		put_one(list, i ? "parent" : "image", files->fd[i], fds);
	files->num = 0;
	json_object_set_new(args, "descriptors", list);
	json_object_set_new(args, "can_zero", json_boolean(files->can_zero));
}

/* ---- the VM's side ---- */

/* Is the list as long as what came? */
static bool fits(json_t *list, const struct handover_fds *fds, char *why, size_t size)
{
	if (json_array_size(list) == fds->num)
		return true;
	snprintf(why, size, "%u descriptors came with the command, and it lists %zu", fds->num,
		 json_array_size(list));
	return false;
}

static bool take_file(struct kvmb_disk_files *files, const char *role, struct handover_fds *fds,
		      u32 i)
{
	if (strcmp(role, files->num ? "parent" : "image") || files->num == KVMB_DISK_MAX_FILES)
		return false;
	files->fd[files->num++] = fds->fd[i];
	fds->fd[i] = -1;
	return true;
}

int handover_take_disk(json_t *args, struct handover_fds *fds, struct kvmb_disk_files *files,
		       char *why, size_t size)
{
	json_t *list = json_object_get(args, "descriptors"), *role;
	size_t i;

	*files = (struct kvmb_disk_files){
		.can_zero = json_is_true(json_object_get(args, "can_zero"))
	};
	if (!fits(list, fds, why, size))
		return -EINVAL;
	json_array_foreach(list, i, role) {
		if (json_is_string(role) &&
		    take_file(files, json_string_value(role), fds, (u32)i))
			continue;
		snprintf(why, size, "descriptor %zu is listed as what no disk has there", i);
		kvmb_disk_files_close(files);
		return -EINVAL;
	}
	return 0;
}
