// SPDX-License-Identifier: GPL-2.0-only
/* Running a VM in this process: signals, descriptors, the loop, the exit status. */
#include "vmm/run.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/bits.h"
#include "lib/exits.h"
#include "lib/keeper.h"
#include "lib/log.h"
#include "lib/util.h"
#include "vmm/build.h"
#include "vmm/confine.h"
#include "vmm/console.h"
#include "vmm/guard.h"
#include "vmm/handed.h"
#include "vmm/mig_in.h"
#include "vmm/names.h"
#include "vmm/note.h"
#include "vmm/places.h"
#include "vmm/policy.h"
#include "vmm/restore.h"
#include "vmm/state_file.h"
#include "vmm/term.h"
#include "vmm/upgrade_in.h"
#include "vmm/vm.h"
#include "vmm/vm_state.h"

#define KEEPER_END_MS 6000u /* it needs five seconds at most */

struct run {
	const struct vm_config *cfg;
	struct vm *vm;
	int sig_fd;
	int *inherited; /* inherited[num_inherited], descriptors above 2 that were open before us */
	size_t num_inherited;
};

static void on_signal(void *arg, uint32_t events)
{
	struct run *r = arg;
	struct signalfd_siginfo si;

	(void)events;
	while (read(r->sig_fd, &si, sizeof(si)) == sizeof(si)) {
		if (!term_signal(r->vm->term, (int)si.ssi_signo))
			guard_end_process(r->cfg->name, (int)si.ssi_signo);
	}
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

/* nohup(1) has it ignored; but what is blocked is not, and would come to signalfd nevertheless. */
static bool outlives_terminal(void)
{
	struct sigaction hup;

	return !sigaction(SIGHUP, NULL, &hup) && hup.sa_handler == SIG_IGN;
}

/* Before any thread exists, so that all of them inherit the mask. */
static int take_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (!outlives_terminal())
		sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int no_guard(const struct run *r, int err)
{
	kvmb_err(r->cfg->name, "cannot start a thread: %s", strerror(-err));
	return EXIT_FAILED;
}

static void ignore_signals(void)
{
	signal(SIGPIPE, SIG_IGN);
	/* a limit of the user's is an error of a write, as a full disk is */
	signal(SIGXFSZ, SIG_IGN);
}

static void say_lacks(const struct run *r)
{
	char list[128];

	if (kvmb_bit_names(list, sizeof(list), r->vm->lacks, confine_lack_name)[0])
		kvmb_warn(r->cfg->name, "sandbox: this host lacks: %s; the rest protects", list);
}

static int install_policy(struct run *r, char *why, size_t size)
{
	enum policy_mode mode = r->cfg->sandbox == SANDBOX_LOG ? POLICY_LOG : POLICY_STRICT;
	int err = policy_install(mode, r->cfg->name, why, size);

	if (err != -ENOSYS)
		return err;
	r->vm->lacks |= CONFINE_NO_SECCOMP;
	return 0;
}

/*
 * What a shell left open is not the VM's. An option may name one (/dev/fd/3), so they are closed
 * when all names are opened.
 */
static void note_inherited(struct run *r)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	const struct vm_handed *h = r->cfg->handed;
	int fd, from = r->cfg->state ? r->cfg->state->fd : r->cfg->incoming ? r->cfg->incoming : -1;

	while (d && (e = readdir(d))) {
		fd = atoi(e->d_name);
		if (fd <= STDERR_FILENO || fd == dirfd(d) || fd == from || (h && handed_has(h, fd)))
			continue;
		r->inherited = realloc(r->inherited, (r->num_inherited + 1) * sizeof(int));
		kvmb_assert(r->inherited);
		r->inherited[r->num_inherited++] = fd;
	}
	if (d)
		closedir(d);
}

static void close_inherited(struct run *r)
{
	while (r->num_inherited)
		close(r->inherited[--r->num_inherited]);
	free(r->inherited);
	r->inherited = NULL;
}

/* What the keeper has makes the very same VM again. Return: 0, or -errno with one line printed. */
static int keep_options(struct vm *vm)
{
	struct vm_state_config c;
	char why[200];
	int err;

	places_settle(&vm->cfg, vm->names);
	note_create(&vm->cfg, &c);
	err = vm_state_keep_config(&c, why, sizeof(why));
	vm_state_free_config(&c);
	if (err)
		kvmb_err(vm->cfg.name, "%s", why);
	return err;
}

/* From here on nothing is opened by a name. Return: EXIT_OK, or not with one line printed. */
static int confine(struct run *r)
{
	const struct vm_config *cfg = r->cfg;
	uid_t uid = cfg->uid;
	gid_t gid = cfg->gid;
	char why[200];
	int err;

	if (keep_options(r->vm))
		return EXIT_FAILED;
	kvmb_keeper_seal();
	close_inherited(r);
	r->vm->uid = geteuid();
	if (cfg->sandbox == SANDBOX_OFF)
		return EXIT_OK;
	names_seal(cfg);
	if (!geteuid() && uid == (uid_t)-1)
		uid = gid = CONFINE_UID_BASE + (uid_t)getpid();
	err = install_policy(r, why, sizeof(why)); /* for threads to come; it reads files */
	if (!err)
		err = confine_process(uid, gid, &r->vm->lacks, why, sizeof(why));
	if (err) {
		kvmb_err(cfg->name, "%s; --sandbox off goes without", why);
		return EXIT_FAILED;
	}
	r->vm->uid = geteuid();
	say_lacks(r);
	return EXIT_OK;
}

static const struct vm_loader *from_where(const struct vm_config *cfg)
{
	return cfg->state    ? &restore_loader :
	       cfg->handed   ? &upgrade_in_loader :
	       cfg->incoming ? &mig_in_loader :
			       NULL;
}

/* Return: EXIT_OK: it runs. */
static int build_vm(struct run *r)
{
	struct guard guard;
	int err = guard_start(&guard, r->cfg->name, r->sig_fd);

	if (err)
		return no_guard(r, err);
	err = vm_build(r->vm);
	if (!err)
		err = vm_start(r->vm, from_where(r->cfg));
	guard_stop(&guard);
	return err ? EXIT_FAILED : EXIT_OK;
}

static int serve_vm(struct run *r)
{
	struct kvmb_watch *w = kvmb_loop_add(r->vm->loop, r->sig_fd, EPOLLIN, on_signal, r);
	int err = kvmb_loop_run(r->vm->loop);

	kvmb_loop_del(w);
	if (err)
		return EXIT_FAILED;
	return r->vm->end == VM_END_KILLED ? EXIT_KILLED : r->vm->exit_code;
}

static void take_apart(struct run *r)
{
	struct guard guard;
	int err = guard_start(&guard, r->cfg->name, r->sig_fd);

	vm_destroy(r->vm);
	if (!err)
		guard_stop(&guard);
}

static bool start_keeper(const struct vm_config *cfg)
{
	char why[128];
	int err = kvmb_keeper_start(cfg->name, cfg->sandbox == SANDBOX_STRICT, why, sizeof(why));

	if (!err && cfg->handed)
		err = kvmb_keeper_follow(cfg->handed->process, why, sizeof(why));
	if (err)
		kvmb_err(cfg->name, "%s", why);
	return !err;
}

/*
 * Memory, disks and taps are another process's, which runs the VM. Taking this one's parts apart
 * would close channels in that memory, and detach queues of those taps.
 */
static void leave_at_once(int code)
{
	console_restore_tty();
	_exit(code);
}

int run_vm(const struct vm_config *cfg, bool json)
{
	struct run r = { .cfg = cfg, .sig_fd = -1 };
	int code;

	note_inherited(&r);
	ignore_signals();
	kvmb_log_open_journal(KVMB_JOURNAL);
	allow_many_fds();
	/* in there a signal has its usual effect, which also ends a wait for a dead server */
	r.vm = start_keeper(cfg) ? vm_open(cfg) : NULL;
	if (!r.vm) {
		kvmb_keeper_end(KEEPER_END_MS);
		close_inherited(&r);
		return EXIT_FAILED;
	}
	code = confine(&r);
	r.sig_fd = take_signals();
	if (code == EXIT_OK)
		code = build_vm(&r);
	if (code != EXIT_OK && cfg->handed) {
		kvmb_keeper_end(KEEPER_END_MS);
		leave_at_once(code);
	}
	if (code == EXIT_OK) {
		if (json)
			dprintf(STDERR_FILENO, "{\"name\": \"%s\", \"pid\": %d}\n", cfg->name,
				(int)getpid());
		code = serve_vm(&r);
	}
	if (r.vm->end == VM_END_HANDED_OVER)
		leave_at_once(EXIT_OK);
	take_apart(&r);
	kvmb_keeper_end(KEEPER_END_MS);
	close(r.sig_fd);
	return code;
}
