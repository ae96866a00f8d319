// SPDX-License-Identifier: GPL-2.0-only
/* The commands of the control socket; docs/json.md describes their answers. */
#include "vmm/ctl_cmds.h"

#include <unistd.h>

#include "lib/util.h"
#include "vmbus-core/proto/ic.h"
#include "vmm/backup.h"
#include "vmm/disk_info.h"
#include "vmm/disks.h"
#include "vmm/display.h"
#include "vmm/dynmem.h"
#include "vmm/fcopy.h"
#include "vmm/handover.h"
#include "vmm/info.h"
#include "vmm/kvp.h"
#include "vmm/mig_out.h"
#include "vmm/mig_post.h"
#include "vmm/nics.h"
#include "vmm/save.h"
#include "vmm/screen.h"
#include "vmm/services.h"
#include "vmm/upgrade_out.h"

/* Why the guest was not asked, by kvmb_shutdown_ask(). */
static void stop_failed(struct ctl_client *c, int err)
{
	if (err == -EOPNOTSUPP)
		ctl_client_error(c, "failed",
				 "the guest's shutdown service has no hibernation: its "
				 "version is below 3.2");
	else if (err == -EILSEQ || err == -E2BIG)
		ctl_client_error(c, "usage", "the message has more than 1023 characters");
	else if (err == -ENOTCONN && !services_on(c->all->vm, SERVICE_SHUTDOWN))
		ctl_client_error(c, "failed",
				 "its service shutdown is switched off; try: kvmbus ic --enable "
				 "shutdown, or kvmbus kill");
	else if (err == -ENOTCONN)
		ctl_client_error(c, "failed",
				 "the guest has no shutdown service; try: kvmbus kill");
	else
		ctl_client_error(c, "failed",
				 "the guest has not answered an earlier request; try: kvmbus kill");
}

static void ask_to_stop(struct ctl_client *c, json_t *args, u32 flags)
{
	struct vm *vm = c->all->vm;
	json_t *t = json_object_get(args, "timeout");
	json_int_t timeout = json_is_integer(t) ? json_integer_value(t) : 60;
	int err;

	if (vm->state != VM_RUNNING) {
		ctl_client_error(c, "state",
				 "the VM is not running; try: kvmbus resume, or kvmbus kill");
		return;
	}
	timeout = KVMB_MAX(KVMB_MIN(timeout, 86400), 0);
	err = kvmb_shutdown_ask(&vm->shutdown, flags, (u32)timeout,
				json_string_value(json_object_get(args, "message")));
	if (err)
		stop_failed(c, err);
	else
		ctl_client_stop(c,
				flags == KVMB_SHUTDOWN_RESTART ? CLIENT_REBOOTING : CLIENT_STOPPING,
				(u64)timeout * 1000);
}

static void cmd_stop(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	bool reboot = json_is_true(json_object_get(args, "reboot"));

	(void)fds;
	ask_to_stop(c, args, reboot ? KVMB_SHUTDOWN_RESTART : 0);
}

/* A command of its own: an older process of a VM would power the guest off. */
static void cmd_hibernate(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)fds;
	ask_to_stop(c, args, KVMB_SHUTDOWN_HIBERNATE);
}

static void cmd_pause(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)args, (void)fds;
	if (c->all->vm->post)
		ctl_client_error(c, "state", "a part of the VM's memory has not come; try again");
	else if (vm_pause(c->all->vm))
		ctl_client_error(c, "state", "the VM is not running");
	else
		ctl_client_return(c, json_object());
}

static void cmd_resume(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	char why[300] = "the VM is not paused";
	struct vm *vm = c->all->vm;
	int err;

	(void)args, (void)fds;
	err = mig_out_is_undecided(vm) ? mig_out_resume(vm, why, sizeof(why)) : vm_resume(vm);
	if (err)
		ctl_client_error(c, "state", why);
	else
		ctl_client_return(c, json_object());
}

static void cmd_reset(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)args, (void)fds;
	if (vm_reset(c->all->vm))
		ctl_client_error(c, "state", "the VM is being reset or has ended");
	else
		ctl_client_return(c, json_object());
}

static void cmd_kill(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	bool undecided = mig_out_is_undecided(c->all->vm);
	u64 serves = mig_out_serves(c->all->vm);
	char why[256];

	(void)fds;
	if (serves && !json_is_true(json_object_get(args, "force"))) {
		snprintf(why, sizeof(why),
			 "it %s elsewhere, and %llu KiB of its memory are only here; without them "
			 "it is lost there; %sif it is to be: kvmbus kill --force",
			 mig_out_runs_there(c->all->vm) ? "runs" : "may run",
			 (unsigned long long)serves >> 10,
			 undecided ? "try: kvmbus migrate --recover; " : "");
		ctl_client_error(c, "state", why);
		return;
	}
	ctl_client_to(c, CLIENT_STOPPING);
	vm_kill(c->all->vm);
}

static void cmd_info(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)args, (void)fds;
	ctl_client_return(c, info_vm(c->all->vm));
}

static void cmd_stats(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)args, (void)fds;
	ctl_client_return(c, info_stats(c->all->vm));
}

static void cmd_console(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)args, (void)fds;
	ctl_client_return(c, json_object());
	ctl_client_console(c);
}

static const char *arg_str(json_t *args, const char *key)
{
	const char *s = json_string_value(json_object_get(args, key));

	return s ? s : "";
}

static s64 arg_num(json_t *args, const char *key, s64 otherwise)
{
	json_t *n = json_object_get(args, key);

	return json_is_integer(n) && json_integer_value(n) >= 0 ? json_integer_value(n) : otherwise;
}

/* Of a change that the options of a saved VM must follow. */
static struct ctl_reply noted_reply(struct ctl_client *c, json_t *args)
{
	struct ctl_reply reply = ctl_client_reply(c);

	reply.noted = json_is_true(json_object_get(args, "noted"));
	return reply;
}

static void cmd_disk_list(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)args, (void)fds;
	ctl_client_return(c, disks_list(c->all->vm));
}

/* What came with the command for a disk. Return: false: it was refused. */
static bool take_disk(struct ctl_client *c, json_t *args, struct handover_fds *fds,
		      struct kvmb_disk_files *files)
{
	char why[120];

	if (!handover_take_disk(args, fds, files, why, sizeof(why)))
		return true;
	ctl_client_error(c, "usage", why);
	return false;
}

static void cmd_disk_add(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	struct kvmb_disk_files files;

	if (!take_disk(c, args, fds, &files))
		return;
	disks_add(c->all->vm, arg_str(args, "spec"), json_is_true(json_object_get(args, "dvd")),
		  &files, noted_reply(c, args));
	kvmb_disk_files_close(&files);
}

static void cmd_disk_remove(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)fds;
	disks_remove(c->all->vm, arg_str(args, "disk"), noted_reply(c, args));
}

static void cmd_disk_resize(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)fds;
	disks_resize(c->all->vm, arg_str(args, "disk"), (u64)arg_num(args, "size", 0),
		     ctl_client_reply(c));
}

static void cmd_disk_eject(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)fds;
	disks_eject(c->all->vm, arg_str(args, "disk"), json_is_true(json_object_get(args, "force")),
		    noted_reply(c, args));
}

static void cmd_disk_insert(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	struct kvmb_disk_files files;

	if (!take_disk(c, args, fds, &files))
		return;
	disks_insert(c->all->vm, arg_str(args, "disk"), arg_str(args, "spec"), &files,
		     noted_reply(c, args));
	kvmb_disk_files_close(&files);
}

static void cmd_disk_limit(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)fds;
	disks_limit(c->all->vm, arg_str(args, "disk"), arg_num(args, "iops", -1),
		    arg_num(args, "bps", -1), noted_reply(c, args));
}

static void cmd_nic_list(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)args, (void)fds;
	ctl_client_return(c, nics_list(c->all->vm));
}

static void cmd_nic_add(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	struct kvmb_net_files files;
	char why[120];

	if (handover_take_nic(args, fds, &files, why, sizeof(why))) {
		ctl_client_error(c, "usage", why);
		return;
	}
	nics_add(c->all->vm, arg_str(args, "spec"), &files, noted_reply(c, args));
	kvmb_net_files_close(&files);
}

static void cmd_nic_remove(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)fds;
	nics_remove(c->all->vm, arg_str(args, "nic"), noted_reply(c, args));
}

static void cmd_nic_link(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)fds;
	nics_link(c->all->vm, arg_str(args, "nic"), json_is_true(json_object_get(args, "up")),
		  ctl_client_reply(c));
}

static void cmd_nic_mtu(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)fds;
	nics_mtu(c->all->vm, arg_str(args, "nic"), (u32)KVMB_MIN(arg_num(args, "mtu", 0), 65535),
		 ctl_client_reply(c));
}

static void cmd_ic_list(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)args, (void)fds;
	ctl_client_return(c, services_info(c->all->vm));
}

static void cmd_ic_set(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)fds;
	services_set(c->all->vm, arg_str(args, "spec"), ctl_client_reply(c));
}

static void cmd_kvp_list(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)args, (void)fds;
	kvp_list(c->all->vm, ctl_client_reply(c));
}

static void cmd_kvp_set(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)fds;
	kvp_set(c->all->vm, arg_str(args, "key"), arg_str(args, "value"), ctl_client_reply(c));
}

static void cmd_kvp_delete(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)fds;
	kvp_delete(c->all->vm, arg_str(args, "key"), ctl_client_reply(c));
}

static void cmd_kvp_ip(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)fds;
	kvp_ip(c->all->vm, args, ctl_client_reply(c));
}

/* Two descriptors: the file, the pipe (vmm/fcopy.h). */
static void cmd_copy(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	int file, pipe;

	if (fds->num != 2) {
		ctl_client_error(c, "usage", "a file and a pipe must come with the command");
		return;
	}
	file = fds->fd[0];
	pipe = fds->fd[1];
	fds->num = 0;
	fcopy_begin(c->all->vm, args, file, pipe, ctl_client_reply(c));
}

/* Two descriptors: the file, the pipe (vmm/save.h). */
static void cmd_save(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	const char *compress = arg_str(args, "compress");
	struct state_file_wish wish = { .zstd = !strcmp(compress, "zstd") };
	int file, pipe;

	wish.threads = (u32)KVMB_MIN(arg_num(args, "threads", 0), STATE_FILE_THREADS_MAX);
	if (*compress && !wish.zstd) {
		ctl_client_error(c, "usage", "it can be compressed by zstd only");
		return;
	}
	if (fds->num != 2) {
		ctl_client_error(c, "usage", "a file and a pipe must come with the command");
		return;
	}
	file = fds->fd[0];
	pipe = fds->fd[1];
	fds->num = 0;
	save_begin(c->all->vm, file, pipe, &wish, ctl_client_reply(c));
}

/* Two descriptors: the connection to the target, the pipe (vmm/mig_out.h). */
static void cmd_migrate(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	const struct mig_out_wish wish = { .downtime_ms = (u32)arg_num(args, "downtime", 100),
					   .timeout_s = (u32)arg_num(args, "timeout", 0),
					   .bandwidth = (u64)arg_num(args, "bandwidth", 0),
					   .copy_storage = arg_num(args, "copy-storage", 0),
					   .auto_converge = arg_num(args, "auto-converge", 0),
					   .later = json_is_true(
						   json_object_get(args, "postcopy")) };
	int peer, pipe;

	if (fds->num != 2) {
		ctl_client_error(c, "usage", "a connection and a pipe must come with the command");
		return;
	}
	if (wish.later && wish.copy_storage) {
		ctl_client_error(c, "usage", "copy-storage does not go with postcopy");
		return;
	}
	peer = fds->fd[0];
	pipe = fds->fd[1];
	fds->num = 0;
	mig_out_begin(c->all->vm, peer, pipe, &wish, ctl_client_reply(c));
}

/* A connection to the other side of a post-copy whose link has broken, and a pipe. */
static void cmd_mend(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	struct vm *vm = c->all->vm;
	int peer, pipe;

	(void)args;
	if (fds->num != 2) {
		ctl_client_error(c, "usage", "a connection and a pipe must come with the command");
		return;
	}
	peer = fds->fd[0];
	pipe = fds->fd[1];
	fds->num = 0;
	if (!vm->post) {
		mig_out_mend(vm, peer, pipe, ctl_client_reply(c));
		return;
	}
	close(pipe);
	mig_post_mend(vm, peer, ctl_client_reply(c));
}

/* One descriptor: the connection to the process that the VM goes to (vmm/upgrade_out.h). */
static void cmd_upgrade(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	char why[300];

	(void)args;
	if (fds->num != 1) {
		ctl_client_error(c, "usage", "a connection must come with the command");
		return;
	}
	fds->num = 0;
	if (upgrade_out_begin(c->all->vm, fds->fd[0], why, sizeof(why)))
		ctl_client_error(c, "state", why);
	else
		ctl_client_return(c, json_object());
}

/* One descriptor: a memfd, for the picture; with "text", none. */
static void cmd_screenshot(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	struct vm *vm = c->all->vm;

	if (json_is_true(json_object_get(args, "text"))) {
		screen_text(vm, ctl_client_reply(c));
	} else if (fds->num != 1) {
		ctl_client_error(c, "usage", "a memfd must come with the command");
	} else {
		fds->num = 0;
		screen_shot(vm, fds->fd[0], ctl_client_reply(c));
	}
}

/* Two descriptors: a socket, whose other end looks from now on, and a memfd (vmm/display.h). */
static void cmd_display(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	if (fds->num != 2) {
		ctl_client_error(c, "usage", "a socket and a memfd must come with the command");
		return;
	}
	fds->num = 0;
	display_add(c->all->vm, fds->fd[0], fds->fd[1],
		    json_is_true(json_object_get(args, "view-only")), ctl_client_reply(c));
}

static void cmd_key(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)fds;
	screen_key(c->all->vm, arg_str(args, "keys"), ctl_client_reply(c));
}

static void cmd_type(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)fds;
	screen_type(c->all->vm, arg_str(args, "text"), ctl_client_reply(c));
}

/* Descriptors: a pipe, and a file for each disk (vmm/backup.h). */
static void cmd_backup(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	backup_begin(c->all->vm, args, fds, ctl_client_reply(c));
}

static void cmd_memory(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)args, (void)fds;
	dynmem_show(c->all->vm, ctl_client_reply(c));
}

static void cmd_memory_set(struct ctl_client *c, json_t *args, struct handover_fds *fds)
{
	(void)fds;
	dynmem_set(c->all->vm, (u64)arg_num(args, "size", 0), ctl_client_reply(c));
}

static const struct {
	const char *name;
	void (*fn)(struct ctl_client *c, json_t *args, struct handover_fds *fds);
	enum { IDLE, LIVE, ANY_TIME } when; /* see is_busy() */
} commands[] = {
	{ "info", cmd_info, ANY_TIME },
	{ "stats", cmd_stats, ANY_TIME },
	{ "stop", cmd_stop, LIVE },
	{ "hibernate", cmd_hibernate, LIVE },
	{ "kill", cmd_kill, ANY_TIME },
	{ "pause", cmd_pause, LIVE },
	{ "resume", cmd_resume, LIVE },
	{ "reset", cmd_reset },
	{ "console", cmd_console, LIVE },
	{ "disk-list", cmd_disk_list, ANY_TIME },
	{ "disk-add", cmd_disk_add },
	{ "disk-remove", cmd_disk_remove },
	{ "disk-resize", cmd_disk_resize },
	{ "disk-eject", cmd_disk_eject },
	{ "disk-insert", cmd_disk_insert },
	{ "disk-limit", cmd_disk_limit },
	{ "nic-list", cmd_nic_list, ANY_TIME },
	{ "nic-add", cmd_nic_add },
	{ "nic-remove", cmd_nic_remove },
	{ "nic-link", cmd_nic_link },
	{ "nic-mtu", cmd_nic_mtu },
	{ "ic-list", cmd_ic_list, ANY_TIME },
	{ "ic-set", cmd_ic_set, LIVE },
	{ "kvp-list", cmd_kvp_list, LIVE },
	{ "kvp-set", cmd_kvp_set, LIVE },
	{ "kvp-delete", cmd_kvp_delete, LIVE },
	{ "kvp-ip", cmd_kvp_ip, LIVE },
	{ "copy", cmd_copy },
	{ "memory", cmd_memory, ANY_TIME },
	{ "memory-set", cmd_memory_set, LIVE },
	{ "screenshot", cmd_screenshot, LIVE },
	{ "display", cmd_display, LIVE },
	{ "key", cmd_key, LIVE },
	{ "type", cmd_type, LIVE },
	{ "backup", cmd_backup },
	{ "save", cmd_save },
	{ "migrate", cmd_migrate },
	{ "mend", cmd_mend, ANY_TIME },
	{ "upgrade", cmd_upgrade },
};

/* Does a save or a migration keep the VM from this command? Return: a phrase; NULL: no. */
static const char *is_busy(const struct vm *vm, int when)
{
	if (when == ANY_TIME)
		return NULL;
	if (vm->save)
		return "the VM is being saved";
	if (vm->backup && (when == IDLE || backup_stands(vm)))
		return "the VM is being backed up; try again, or interrupt kvmbus backup";
	if (vm->upgrade)
		return "the VM is being handed over to another process; try again";
	if (mig_post_is_broken(vm))
		return "the VM waits for memory; try: kvmbus migrate --recover, or kvmbus kill";
	if (vm->post && when == IDLE)
		return "a part of the VM's memory has not come; try again";
	if (mig_out_runs_there(vm))
		return "the VM has moved, and the rest of its memory is sent";
	if (!vm->migration || (when == LIVE && (mig_out_is_live(vm) || mig_out_is_undecided(vm))))
		return NULL;
	if (!mig_out_is_undecided(vm))
		return "the VM is being migrated";
	return mig_out_serves(vm) ?
		       "nobody knows whether the VM has moved; try: kvmbus migrate --recover" :
		       "nobody knows whether the VM has moved; try: kvmbus resume, or kvmbus kill";
}

void ctl_run_line(struct ctl_client *c, const char *line, size_t len, struct handover_fds *fds)
{
	json_t *o = json_loadb(line, len, 0, NULL);
	const char *name = json_string_value(json_object_get(o, "execute"));
	const char *why;
	size_t i;

	for (i = 0; name && i < ARRAY_SIZE(commands); i++) {
		if (strcmp(name, commands[i].name))
			continue;
		why = is_busy(c->all->vm, commands[i].when);
		if (why)
			ctl_client_error(c, "state", why);
		else
			commands[i].fn(c, json_object_get(o, "arguments"), fds);
		json_decref(o);
		return;
	}
	ctl_client_error(c, "usage",
			 name ? "unknown command" : "not a command: one JSON object a line");
	json_decref(o);
}
