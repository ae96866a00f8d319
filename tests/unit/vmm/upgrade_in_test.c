// SPDX-License-Identifier: GPL-2.0-only
/* The new process of an upgrade: it runs only when it could say so, and changes nothing before. */
#include "vmm/upgrade_in.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/keeper.h"
#include "lib/log.h"
#include "tests/unit/test.h"
#include "vmm/handed.h"
#include "vmm/mig_in.h"
#include "vmm/vars.h"
#include "vmm/vm.h"

static struct vm vm;
static struct mig_stream source;
static char why[MIG_WHY];

static int load_nothing(struct vm *v)
{
	(void)v;
	return 0;
}

const struct vm_loader mig_in_loader = { .load = load_nothing };

static unsigned int names_taken;

int kvmb_keeper_take_names(unsigned int ms)
{
	(void)ms;
	names_taken++;
	return 0;
}

static int setup(void **state)
{
	int sv[2];

	(void)state;
	kvmb_log_set_level(KVMB_LOG_ERR);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	source = (struct mig_stream){ .fd = sv[0] };
	vm = (struct vm){ .cfg = { .name = "t", .incoming = sv[1] } };
	names_taken = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(source.fd);
	close(vm.cfg.incoming);
	return 0;
}

static void it_says_so_before_it_runs_and_takes_its_names_then(void **state)
{
	struct vm_handed h = { .stopped_ns = 1 };
	char byte;

	(void)state;
	assert_int_equal(mig_say(&source, MIG_GO, NULL), 0);
	assert_int_equal(upgrade_in_loader.commit(&vm), 0);
	assert_int_equal(mig_hear(&source, MIG_LOADED, why), 0);
	assert_int_equal(mig_hear(&source, MIG_RUNNING, why), 0);
	assert_int_equal(names_taken, 0);
	assert_int_equal(recv(source.fd, &byte, 1, MSG_DONTWAIT), -1); /* it has not hung up */
	vm.cfg.handed = &h;
	upgrade_in_settle(&vm);
	assert_int_equal(names_taken, 1);
	assert_int_equal(recv(source.fd, &byte, 1, 0), 0);
	vm.cfg.incoming = -1;
}

/* A parts-sharing VM is never taken apart: vm_start() asks for that. */
static void its_failure_leaves_everything_as_it_is(void **state)
{
	(void)state;
	assert_true(upgrade_in_loader.shares);
	shutdown(source.fd, SHUT_WR);
	assert_int_equal(upgrade_in_loader.commit(&vm), -EPIPE);
	teardown(state);
	setup(state);
	assert_int_equal(mig_say(&source, MIG_REFUSED, "it ends"), 0);
	assert_int_equal(upgrade_in_loader.commit(&vm), -ECONNREFUSED);
	teardown(state);
	setup(state);
	assert_int_equal(mig_say(&source, MIG_RUNNING, NULL), 0); /* a liar */
	assert_int_equal(upgrade_in_loader.commit(&vm), -EPROTO);
	assert_int_equal(mig_hear(&source, MIG_LOADED, why), 0);
	assert_int_equal(mig_hear(&source, MIG_RUNNING, why), -ECONNREFUSED);
}

static void *wait_no_longer(void *arg)
{
	char text[MIG_WHY];

	(void)arg;
	assert_int_equal(mig_hear(&source, MIG_LOADED, text), 0);
	shutdown(source.fd, SHUT_RD);
	mig_say(&source, MIG_GO, NULL);
	return NULL;
}

/* The source has waited long enough, and the VM goes on there (upgrade_out.c: hear_running()). */
static void it_does_not_run_when_it_cannot_say_so(void **state)
{
	pthread_t t;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, wait_no_longer, NULL), 0);
	assert_int_equal(upgrade_in_loader.commit(&vm), -EPIPE);
	pthread_join(t, NULL);
}

/* The process that it comes from has their lock until it ends. */
static void variables_are_locked_when_the_other_process_has_gone(void **state)
{
	static const u8 fresh[4096];
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[] = "/tmp/kvmb-upgrade-XXXXXX", file[40];
	struct vm_handed h = { .stopped_ns = 1 };
	u8 content[4096];
	int other, fd, i;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(file, sizeof(file), "%s/vars", path);
	fd = vars_open(file, fresh, sizeof(fresh), false, why, sizeof(why));
	other = open(file, O_RDWR);
	assert_int_equal(fcntl(other, F_OFD_SETLK, &fl), 0);
	vm.loop = kvmb_loop_create();
	vm.vars = vars_create("t", fd, content, sizeof(content), why, sizeof(why));
	vm.cfg.handed = &h;
	upgrade_in_settle(&vm);
	for (i = 0; i < 5; i++)
		kvmb_loop_once(vm.loop, 50);
	close(other); /* it ends */
	other = open(file, O_RDWR);
	while (!fcntl(other, F_OFD_SETLK, &fl)) {
		fl.l_type = F_UNLCK;
		fcntl(other, F_OFD_SETLK, &fl);
		fl.l_type = F_WRLCK;
		kvmb_loop_once(vm.loop, 50);
	}
	assert_int_equal(vm.lock_vars.due_ms, 0);
	close(other);
	assert_true(vars_destroy(vm.vars, 5000));
	kvmb_loop_destroy(vm.loop);
	unlink(file);
	rmdir(path);
	vm.cfg.incoming = -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_says_so_before_it_runs_and_takes_its_names_then),
		T(its_failure_leaves_everything_as_it_is),
		T(it_does_not_run_when_it_cannot_say_so),
		T(variables_are_locked_when_the_other_process_has_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
