// SPDX-License-Identifier: GPL-2.0-only
/* This process as a VM: signals, descriptors, the loop, the exit status. */
#include "vmm/run.h"

#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/util.h"
#include "vmm/cmd.h"
#include "vmm/vm.h"

static void on_signal(void *arg, uint32_t events)
{
	(void)events;
	vm_kill(arg); /* the descriptor stays readable; the loop is about to end */
}

/* A large VM has more than the usual 1024: five of each vCPU, four of each queue of a NIC. */
static void allow_many_fds(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

int run_vm(const struct vm_config *cfg, bool json)
{
	struct kvmb_watch *w;
	sigset_t set;
	struct vm *vm;
	int fd, code;

	/* before any thread exists, so that all of them inherit the mask */
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	allow_many_fds();
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	vm = vm_create(cfg);
	if (!vm)
		return EXIT_FAILED;
	w = kvmb_loop_add(vm->loop, fd, EPOLLIN | EPOLLONESHOT, on_signal, vm);
	if (vm_start(vm)) {
		vm_destroy(vm);
		return EXIT_FAILED;
	}
	if (json) {
		fprintf(stderr, "{\"name\": \"%s\", \"pid\": %d}\n", cfg->name, (int)getpid());
		fflush(stderr);
	}
	code = kvmb_loop_run(vm->loop) ? EXIT_FAILED : vm->exit_code;
	kvmb_loop_del(w);
	close(fd);
	vm_destroy(vm);
	return code;
}
