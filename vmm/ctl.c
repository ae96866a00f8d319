// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control socket.
 *
 * DOC: Protocol
 *
 * One JSON object per line, similar to QMP but not compatible with it:
 *   {"execute": "info"}                       -> {"return": {...}}
 *   {"execute": "stop", "arguments": {...}}   -> {"return": {...}} when it has happened
 *   {"execute": "console"}                    -> {"return": {}}, then raw bytes both ways
 * Commands are served in order: the next one when the previous one has been answered. A client
 * that closes its sending half still gets all answers.
 * Errors: {"error": {"class": "state|failed|timeout|usage", "desc": "..."}}.
 *
 * The socket has mode 0600, because whoever may connect controls the VM.
 */
#include "vmm/ctl.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/keeper.h"
#include "lib/log.h"
#include "lib/rundir.h"
#include "lib/sock.h"
#include "lib/util.h"
#include "vmbus-core/proto/ic.h"
#include "vmm/ctl_client.h"
#include "vmm/ctl_cmds.h"
#include "vmm/handed.h"

#define MAX_CLIENTS 32u
#define RELEASE_MS 1000u

struct ctl {
	struct vm *vm;
	struct kvmb_listener listener;
	struct kvmb_watch *watch;
	struct ctl_clients clients;
};

void ctl_console_output(void *arg)
{
	struct ctl *ctl = arg;
	struct ctl_client *c;

	for (c = ctl->clients.first; c; c = c->next)
		ctl_client_output(c);
}

void ctl_console_room(void *arg)
{
	struct ctl *ctl = arg;
	struct ctl_client *c, *next;

	for (c = ctl->clients.first; c; c = next) {
		next = c->next;
		ctl_client_room(c);
	}
}

static void on_ctl_connect(void *arg, uint32_t events)
{
	struct ctl *ctl = arg;
	struct ctl_client *c, *next;
	int fd = kvmb_accept_unix(&ctl->listener, 0);

	(void)events;
	if (fd < 0)
		return;
	for (c = ctl->clients.first; c && ctl->clients.num == MAX_CLIENTS; c = next) {
		next = c->next;
		if (!c->watch) /* a console whose guest does not read */
			ctl_client_drop(c);
	}
	if (ctl->clients.num == MAX_CLIENTS)
		close(fd);
	else
		ctl_client_add(&ctl->clients, fd);
}

static void tell_refused(struct ctl_client *c)
{
	const struct kvmb_shutdown *s = &c->all->vm->shutdown;
	char why[80];

	snprintf(why, sizeof(why), "the guest refused to %s (status %#x)",
		 s->flags & KVMB_SHUTDOWN_HIBERNATE ? "hibernate" :
		 s->flags & KVMB_SHUTDOWN_RESTART   ? "restart" :
						      "shut down",
		 s->status);
	ctl_client_error(c, "failed", why);
}

static void tell_client(struct ctl_client *c, enum ctl_event e)
{
	if (e == CTL_EVENT_SHUTDOWN_REFUSED)
		tell_refused(c);
	else if (e == CTL_EVENT_ENDED && c->all->vm->end == VM_END_SAVED)
		ctl_client_error(c, "failed",
				 "the VM was saved, or has moved, before it stopped; its guest may "
				 "still do so there");
	else if (e == CTL_EVENT_ENDED)
		ctl_client_return(c, json_pack("{s:s}", "state", "ended"));
	else if (c->state == CLIENT_REBOOTING)
		ctl_client_return(c, json_pack("{s:s}", "state", "rebooted"));
	else
		ctl_client_error(c, "failed", "the guest rebooted instead of powering off");
	ctl_client_done(c);
}

void ctl_notify(struct ctl *ctl, enum ctl_event e)
{
	struct ctl_client *c;

	for (c = ctl->clients.first; c; c = c->next) {
		if (c->state == CLIENT_STOPPING || c->state == CLIENT_REBOOTING)
			tell_client(c, e);
	}
}

/* A VM that is handed over gets its name when it is here. */
static int listen_at(struct ctl *ctl, const char *path, char *why, size_t size)
{
	if (ctl->vm->cfg.handed)
		return kvmb_listen_unix_later(&ctl->listener, SOCK_STREAM, path, why, size);
	return kvmb_listen_unix(&ctl->listener, path, why, size);
}

/* The runtime directory is wanted in any case: sockets of storage daemons are made there, too. */
static int listen_for(struct ctl *ctl, char *why, size_t size)
{
	const struct vm_config *cfg = &ctl->vm->cfg;
	char path[PATH_MAX];
	int err = kvmb_rundir_make(why, size);

	if (cfg->control)
		return listen_at(ctl, cfg->control, why, size);
	if (cfg->handed) /* where it is known, whatever our environment says */
		return listen_at(ctl, cfg->handed->socket, why, size);
	if (err)
		return err;
	if (kvmb_rundir_socket(kvmb_rundir(), cfg->name, path, sizeof(path))) {
		snprintf(why, size, "the name is too long");
		return -ENAMETOOLONG;
	}
	return listen_at(ctl, path, why, size);
}

/* The keeper takes recipes of commands beside our socket, and removes both at the end. */
static int tell_keeper(struct kvmb_listener *l, char *why, size_t size)
{
	char path[PATH_MAX];
	int err = kvmb_keeper_adopt(l);

	if (err == -ENOTCONN)
		return 0; /* a process without a keeper: it removes its socket itself */
	if (err || kvmb_keeper_path(l->later[0] ? l->later : l->path, path, sizeof(path))) {
		snprintf(why, size, "the keeper does not take care of socket %s", l->path);
		return err ? err : -ENAMETOOLONG;
	}
	return l->later[0] ? kvmb_keeper_listen_later(path, why, size) :
			     kvmb_keeper_listen(path, why, size);
}

struct ctl *ctl_create(struct vm *vm, char *why, size_t size)
{
	struct ctl *ctl = kvmb_xzalloc(sizeof(*ctl));

	ctl->vm = vm;
	ctl->clients = (struct ctl_clients){ .vm = vm, .run_line = ctl_run_line };
	ctl->listener.fd = -1;
	if (listen_for(ctl, why, size) || tell_keeper(&ctl->listener, why, size)) {
		ctl_destroy(ctl);
		return NULL;
	}
	ctl->watch = kvmb_loop_add(vm->loop, ctl->listener.fd, EPOLLIN, on_ctl_connect, ctl);
	return ctl;
}

const char *ctl_path(const struct ctl *ctl)
{
	return ctl->listener.later[0] ? ctl->listener.later : ctl->listener.path;
}

void ctl_destroy(struct ctl *ctl)
{
	if (!ctl)
		return;
	kvmb_loop_del(ctl->watch);
	/* one who waits for our end finds the name free; before it is closed, as in sock.c */
	kvmb_keeper_release(RELEASE_MS);
	kvmb_unlisten_unix(&ctl->listener);
	while (ctl->clients.first)
		ctl_client_drop(ctl->clients.first);
	free(ctl);
}
