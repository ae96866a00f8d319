// SPDX-License-Identifier: GPL-2.0-only
/* Sockets between a VM's guest and this host: vsock.h. */
#include "vmm/vsock.h"

#include <limits.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vsp/hvsock/hvsock.h"
#include "lib/keeper.h"
#include "lib/log.h"
#include "lib/rundir.h"
#include "lib/sock.h"
#include "lib/util.h"

struct vm_vsock {
	struct kvmb_listener listener;
	struct kvmb_watch *watch;
	int channel; /* of the keeper's recipe, -1 = none: nobody on the host can be reached */
	struct kvmb_watch *channel_watch;
	struct kvmb_hvsock *sockets; /* NULL before vsock_create() */
};

/* ---- names ---- */

/* Where it is known; a VM that is handed over gets its name when it is here. */
static const char *vsock_path(const struct vm_vsock *v)
{
	return v->listener.later[0] ? v->listener.later : v->listener.path;
}

static int make_vsock(struct vm *vm, const char *control, char *why, size_t size)
{
	struct kvmb_listener *l = &vm->vsock->listener;
	char path[PATH_MAX];
	int err = kvmb_rundir_beside(control, ".vsock", path, sizeof(path));

	if (err) {
		snprintf(why, size, "its path would be too long");
		return err;
	}
	if (vm->cfg.handed ? kvmb_listen_unix_later(l, SOCK_STREAM, path, why, size) :
			     kvmb_listen_unix(l, path, why, size))
		return -EADDRINUSE;
	return 0;
}

/* A process without a keeper removes its socket itself, and reaches nobody. */
static int tell_vsock_keeper(struct vm_vsock *v, char *why, size_t size)
{
	const char *argv[] = { vsock_path(v), NULL };
	const struct kvmb_recipe r = { .kind = KVMB_RECIPE_PORTS, .argv = argv };
	int err = kvmb_keeper_adopt(&v->listener);

	if (err == -ENOTCONN)
		return 0;
	if (err) {
		snprintf(why, size, "the keeper does not take care of it");
		return err;
	}
	v->channel = kvmb_keeper_register(&r, why, size);
	return KVMB_MIN(v->channel, 0);
}

int vsock_open(struct vm *vm, const char *control)
{
	char why[300];
	int err;

	if (!vm->cfg.vsock)
		return 0;
	vm->vsock = kvmb_xzalloc(sizeof(*vm->vsock));
	vm->vsock->listener.fd = vm->vsock->channel = -1;
	err = make_vsock(vm, control, why, sizeof(why));
	if (!err)
		err = tell_vsock_keeper(vm->vsock, why, sizeof(why));
	if (err)
		kvmb_err(vm->cfg.name, "socket for the guest's sockets: %s; --vsock off has none",
			 why);
	return err;
}

/* ---- the host's side ---- */

static void on_vsock_client(void *arg, uint32_t events)
{
	struct vm *vm = arg;
	int fd = kvmb_accept_unix(&vm->vsock->listener, SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0)
		kvmb_hvsock_take(vm->vsock->sockets, fd);
}

static int ask_keeper(void *arg, u32 port)
{
	struct vm_vsock *v = arg;

	return v->channel < 0 ? -ENOTCONN : kvmb_keeper_ask_port(v->channel, port);
}

static void lose_keeper(struct vm *vm)
{
	struct vm_vsock *v = vm->vsock;

	kvmb_warn(vm->cfg.name, "its keeper is gone: the guest's sockets reach nobody any more");
	kvmb_loop_del(v->channel_watch);
	v->channel_watch = NULL;
	close(v->channel);
	v->channel = -1;
	while (kvmb_hvsock_dialled(v->sockets, -EPIPE, -1))
		;
}

static void on_keeper_answer(void *arg, uint32_t events)
{
	struct vm *vm = arg;
	struct kvmb_keeper_news news;
	int err;

	(void)events;
	while (!(err = kvmb_keeper_read(vm->vsock->channel, &news))) {
		if (news.what == KVMB_KEEPER_CONNECTED)
			kvmb_hvsock_dialled(vm->vsock->sockets, news.err, news.fd);
		else if (news.fd >= 0)
			close(news.fd);
	}
	if (err != -EAGAIN)
		lose_keeper(vm);
}

/* ---- life ---- */

int vsock_create(struct vm *vm)
{
	struct vm_vsock *v = vm->vsock;
	struct kvmb_hvsock_config cfg = {
		.bus = vm->bus, .who = vm->cfg.name, .dial = ask_keeper, .arg = v
	};

	if (!v)
		return 0;
	v->sockets = kvmb_hvsock_create(&cfg);
	if (v->sockets)
		v->watch = kvmb_loop_add(vm->loop, v->listener.fd, EPOLLIN, on_vsock_client, vm);
	if (v->watch && v->channel >= 0)
		v->channel_watch =
			kvmb_loop_add(vm->loop, v->channel, EPOLLIN, on_keeper_answer, vm);
	if (v->watch && (v->channel < 0 || v->channel_watch))
		return 0;
	kvmb_err(vm->cfg.name, "the guest's sockets: no descriptors are left");
	return -EMFILE;
}

void vsock_destroy(struct vm *vm)
{
	struct vm_vsock *v = vm->vsock;

	if (!v)
		return;
	kvmb_loop_del(v->watch);
	kvmb_loop_del(v->channel_watch);
	kvmb_hvsock_destroy(v->sockets);
	kvmb_unlisten_unix(&v->listener);
	if (v->channel >= 0)
		close(v->channel);
	free(v);
	vm->vsock = NULL;
}

/* ---- info ---- */

static void add_socket(void *arg, const struct kvmb_hvsock_info *i)
{
	json_array_append_new(
		arg, json_pack("{s:I, s:I, s:s, s:s, s:I, s:I}", "port", (json_int_t)i->port,
			       "peer_port", (json_int_t)i->peer_port, "from",
			       i->from_host ? "host" : "guest", "state", i->state, "to_guest",
			       (json_int_t)i->to_guest, "to_host", (json_int_t)i->to_host));
}

json_t *vsock_info(struct vm *vm)
{
	json_t *list = json_array();

	if (!vm->vsock || !vm->vsock->sockets) {
		json_decref(list);
		return json_null();
	}
	kvmb_hvsock_for_each(vm->vsock->sockets, add_socket, list);
	return json_pack("{s:s?, s:o}", "path", vsock_path(vm->vsock), "connections", list);
}
