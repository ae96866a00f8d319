// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors and facts that come with a command: handover.h. */
#include "vmm/handover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/util.h"
#include "vmm/opt.h"

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

static void put_channel(json_t *list, int *channel, struct handover_fds *fds)
{
	if (*channel)
		put_one(list, "keeper", *channel, fds);
	*channel = 0;
}

void handover_put_disk(json_t *args, struct kvmb_disk_files *files, struct handover_fds *fds)
{
	json_t *list = json_array();
	u32 i;

	for (i = 0; i < files->num; i++)
		put_one(list, i ? "parent" : "image", files->fd[i], fds);
	put_channel(list, &files->channel, fds);
	files->num = 0;
	json_object_set_new(args, "descriptors", list);
	json_object_set_new(args, "can_zero", json_boolean(files->can_zero));
	json_object_set_new(args, "threads", json_boolean(files->threads));
}

void handover_put_nic(json_t *args, struct kvmb_net_files *files, struct handover_fds *fds)
{
	const u8 *m = files->mac;
	json_t *list = json_array();
	u32 i;

	for (i = 0; i < files->num; i++)
		put_one(list, "queue", files->fd[i], fds);
	put_channel(list, &files->channel, fds);
	files->num = 0;
	json_object_set_new(args, "descriptors", list);
	json_object_set_new(args, "interface_mtu", json_integer(files->mtu));
	if (files->has_mac)
		json_object_set_new(args, "interface_mac",
				    json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2],
						 m[3], m[4], m[5]));
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

/* Is descriptor @i a channel, and the first? Then it is taken. */
static bool take_channel(int *channel, const char *role, struct handover_fds *fds, u32 i)
{
	if (strcmp(role, "keeper") || *channel)
		return false;
	*channel = fds->fd[i];
	fds->fd[i] = -1;
	return true;
}

static bool take_file(struct kvmb_disk_files *files, const char *role, struct handover_fds *fds,
		      u32 i)
{
	if (take_channel(&files->channel, role, fds, i))
		return true;
	if (strcmp(role, files->num ? "parent" : "image") || files->num == KVMB_DISK_MAX_FILES)
		return false;
	files->fd[files->num++] = fds->fd[i];
	fds->fd[i] = -1;
	return true;
}

static bool take_queue(struct kvmb_net_files *files, const char *role, struct handover_fds *fds,
		       u32 i)
{
	if (take_channel(&files->channel, role, fds, i))
		return true;
	if (strcmp(role, "queue") || files->num == KVMB_NET_MAX_QUEUES)
		return false;
	files->fd[files->num++] = fds->fd[i];
	fds->fd[i] = -1;
	return true;
}

static int not_there(size_t i, const char *what, char *why, size_t size)
{
	snprintf(why, size, "descriptor %zu is listed as what no %s has there", i, what);
	return -EINVAL;
}

int handover_take_disk(json_t *args, struct handover_fds *fds, struct kvmb_disk_files *files,
		       char *why, size_t size)
{
	json_t *list = json_object_get(args, "descriptors"), *role;
	size_t i;

	*files = (struct kvmb_disk_files){
		.can_zero = json_is_true(json_object_get(args, "can_zero")),
		.threads = json_is_true(json_object_get(args, "threads"))
	};
	if (!fits(list, fds, why, size))
		return -EINVAL;
	json_array_foreach(list, i, role) {
		if (json_is_string(role) &&
		    take_file(files, json_string_value(role), fds, (u32)i))
			continue;
		kvmb_disk_files_close(files);
		return not_there(i, "disk", why, size);
	}
	return 0;
}

int handover_take_nic(json_t *args, struct handover_fds *fds, struct kvmb_net_files *files,
		      char *why, size_t size)
{
	json_t *list = json_object_get(args, "descriptors"), *role;
	json_t *mtu = json_object_get(args, "interface_mtu");
	const char *mac = json_string_value(json_object_get(args, "interface_mac"));
	size_t i;

	*files = (struct kvmb_net_files){ 0 };
	files->has_mac = mac && opt_mac(mac, files->mac);
	if (json_is_integer(mtu) && json_integer_value(mtu) > 0)
		files->mtu = (u32)KVMB_MIN(json_integer_value(mtu), 65535);
	if (!fits(list, fds, why, size))
		return -EINVAL;
	json_array_foreach(list, i, role) {
		if (json_is_string(role) &&
		    take_queue(files, json_string_value(role), fds, (u32)i))
			continue;
		kvmb_net_files_close(files);
		return not_there(i, "NIC", why, size);
	}
	return 0;
}
