// SPDX-License-Identifier: GPL-2.0-only
/* A VM's socket for its guest's sockets: its names, the host's side, the keeper that connects. */
#include "vmm/vsock.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/log.h"
#include "lib/sock.h"
#include "tests/harness/keeper.h"
#include "tests/harness/socket_guest.h"

static char dir[64], control[96], why[256];
static struct vm vm;

/* The bus is the box's; its own sockets are not used. */
static void begin(bool keeper, bool vsock)
{
	struct kvmb_wire_offer o[1];

	if (keeper)
		start_keeper();
	memset(&vm, 0, sizeof(vm));
	vm.cfg.name = "test";
	vm.cfg.vsock = vsock;
	assert_int_equal(vsock_open(&vm, control), 0);
	signal(SIGPIPE, SIG_IGN);
	memset(&box, 0, sizeof(box));
	fake_init(&box.f, KVMB_VERSION_NEWEST);
	vm.bus = box.f.bus;
	vm.loop = box.f.loop;
	assert_int_equal(vsock_create(&vm), 0);
	assert_int_equal(fake_connect(&box.f, KVMB_VERSION_NEWEST, o, 1), 0);
}

static void end(void)
{
	fake_rest(&box.f);
	vsock_destroy(&vm);
	assert_null(vm.vsock);
	fake_fini(&box.f);
	end_keeper();
}

static int setup(void **state)
{
	(void)state;
	kvmb_log_set_level(KVMB_LOG_ERR);
	strcpy(dir, "/tmp/kvmbus-vsock-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(control, sizeof(control), "%s/web.sock", dir);
	return 0;
}

static int teardown(void **state)
{
	char cmd[96];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	return system(cmd);
}

static int connect_to(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", dir, name);
	if (!connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return fd;
	close(fd);
	return -1;
}

static void opens(struct sock_conn *s)
{
	const struct kvmb_wire_offer *o = fake_wait(&box.f, KVMB_MSG_OFFER);

	assert_non_null(o);
	s->relid = le32_to_cpu(o->relid);
	assert_int_equal(fake_open(&box.f, &s->c, s->relid, SOCK_PAGES), 0);
	s->is_open = true;
}

static void talk(struct sock_conn *s)
{
	char buf[8] = "";

	assert_int_equal(guest_sends(s, "hello", 5), 0);
	assert_int_equal(host_hears(s->host, buf, 5), 5);
	assert_string_equal(buf, "hello");
}

static void finish(struct sock_conn *s)
{
	const u8 *data;

	close(s->host);
	assert_int_equal(guest_hears(s, &data, PATIENCE_MS), 0);
	assert_non_null(fake_wait(&box.f, KVMB_MSG_RESCIND));
	guest_releases(s);
}

static void expect_info(const char *from, json_int_t port)
{
	json_t *o = vsock_info(&vm), *list = json_object_get(o, "connections");
	json_t *c = json_array_get(list, 0);

	assert_non_null(strstr(json_string_value(json_object_get(o, "path")), "/web.vsock"));
	assert_int_equal(json_array_size(list), from != NULL);
	if (from) {
		assert_string_equal(json_string_value(json_object_get(c, "from")), from);
		assert_int_equal(json_integer_value(json_object_get(c, "port")), port);
		assert_string_equal(json_string_value(json_object_get(c, "state")), "open");
	}
	json_decref(o);
}

static void host_reaches_the_guest(void **state)
{
	struct sock_conn s = { 0 };
	struct stat st;
	char line[32] = "";

	(void)state;
	begin(true, true);
	expect_info(NULL, 0);
	s.host = connect_to("web.vsock");
	assert_true(s.host >= 0);
	assert_false(fstat(s.host, &st));
	assert_int_equal(write(s.host, "CONNECT 77\n", 11), 11);
	opens(&s);
	assert_true(host_hears(s.host, line, sizeof(line) - 1) > 0);
	assert_string_equal(line, "OK 2147483648\n");
	talk(&s);
	expect_info("host", 77);
	finish(&s);
	end();
	assert_int_equal(connect_to("web.vsock"), -1); /* the name is gone with the VM */
}

static void guest_reaches_the_host(void **state)
{
	struct sock_conn s = { 0 };
	struct kvmb_listener l;
	char path[96];

	(void)state;
	snprintf(path, sizeof(path), "%s/web.vsock_1234", dir);
	begin(true, true);
	guest_asks(70000, 1234);
	assert_non_null(fake_wait(&box.f, KVMB_MSG_TL_CONNECT_RESULT)); /* nobody is there */
	assert_int_equal(kvmb_listen_unix(&l, path, why, sizeof(why)), 0);
	guest_asks(70000, 1234);
	opens(&s);
	s.host = kvmb_accept_unix(&l, SOCK_NONBLOCK);
	assert_true(s.host >= 0);
	talk(&s);
	expect_info("guest", 1234);
	finish(&s);
	kvmb_unlisten_unix(&l);
	end();
}

static void socket_is_its_owners_alone(void **state)
{
	char path[96];
	struct stat st;

	(void)state;
	begin(true, true);
	snprintf(path, sizeof(path), "%s/web.vsock", dir);
	assert_false(stat(path, &st));
	assert_int_equal(st.st_mode & 0777, 0600);
	end();
}

static void vm_without_sockets_has_none(void **state)
{
	json_t *o;

	(void)state;
	begin(true, false);
	assert_null(vm.vsock);
	assert_int_equal(connect_to("web.vsock"), -1);
	o = vsock_info(&vm);
	assert_true(json_is_null(o));
	json_decref(o);
	guest_asks(70000, 1234);
	assert_non_null(fake_wait(&box.f, KVMB_MSG_TL_CONNECT_RESULT));
	end();
}

static void vm_without_a_keeper_reaches_nobody(void **state)
{
	(void)state;
	begin(false, true);
	guest_asks(70000, 1234);
	assert_non_null(fake_wait(&box.f, KVMB_MSG_TL_CONNECT_RESULT));
	end();
	assert_int_equal(connect_to("web.vsock"), -1);
}

static void vm_whose_keeper_dies_goes_on(void **state)
{
	struct sock_conn s = { 0 };

	(void)state;
	begin(true, true);
	kill(find_keeper(), SIGSTOP);
	guest_asks(70000, 1234); /* is not answered any more */
	kill(find_keeper(), SIGKILL);
	assert_non_null(fake_wait(&box.f, KVMB_MSG_TL_CONNECT_RESULT));
	guest_asks(70000, 1234);
	assert_non_null(fake_wait(&box.f, KVMB_MSG_TL_CONNECT_RESULT));
	s.host = connect_to("web.vsock");
	assert_int_equal(write(s.host, "CONNECT 77\n", 11), 11);
	opens(&s);
	close(s.host);
	fake_run(&box.f);
	fake_unmap(&s.c);
	end();
}

static void name_in_use_is_refused(void **state)
{
	struct kvmb_listener l;
	char path[96];

	(void)state;
	snprintf(path, sizeof(path), "%s/web.vsock", dir);
	assert_int_equal(kvmb_listen_unix(&l, path, why, sizeof(why)), 0);
	memset(&vm, 0, sizeof(vm));
	vm.cfg.name = "test";
	vm.cfg.vsock = true;
	kvmb_log_set_level(KVMB_LOG_ERR);
	assert_int_equal(vsock_open(&vm, control), -EADDRINUSE);
	vsock_destroy(&vm);
	kvmb_unlisten_unix(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(host_reaches_the_guest),
		T(guest_reaches_the_host),
		T(socket_is_its_owners_alone),
		T(vm_without_sockets_has_none),
		T(vm_without_a_keeper_reaches_nobody),
		T(vm_whose_keeper_dies_goes_on),
		T(name_in_use_is_refused),
	};

	return cmocka_run_group_tests_name("vmm/vsock", tests, NULL, NULL);
}
