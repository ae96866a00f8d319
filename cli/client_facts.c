// SPDX-License-Identifier: GPL-2.0-only
/* What a VM's keeper knows: client_facts.h. */
#include "cli/client_facts.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cli_config.h"
#include "cli/client.h"
#include "lib/exits.h"
#include "lib/keeper.h"
#include "lib/util.h"
#include "vmm/note.h"
#include "vmm/state_file.h"

#define END_MS 120000 /* the VM closes its images */
#define KILL_MS 10000

static bool read_kept(int fd, struct client_facts *f)
{
	struct stat st;

	if (fstat(fd, &st) || st.st_size <= 0 || st.st_size > STATE_FILE_CONFIG_MAX)
		return false;
	f->config_len = (size_t)st.st_size;
	f->config = kvmb_xzalloc(f->config_len);
	return pread(fd, f->config, f->config_len, 0) == st.st_size;
}

/* passt cannot be moved (Debian's of 2023-03): the target starts another. */
static void say_what_breaks(const struct client_facts *f, const char *vm)
{
	struct vm_state_config c = { 0 };
	char why[200];

	if (!cli_config_parse(f->config, f->config_len, &c, why, sizeof(why)) && note_has_passt(&c))
		cli_error("warning: VM \"%s\": connections through its NIC of kind user break; "
			  "its guest sees the cable unplugged and plugged",
			  vm);
	vm_state_free_config(&c);
}

int client_learn(int fd, const char *vm, struct client_facts *f)
{
	char dir[PATH_MAX], why[200];
	int err, config;

	*f = (struct client_facts){ .process = -1 };
	err = client_reach_keeper(fd, vm, dir, sizeof(dir));
	if (err)
		return err;
	f->process = kvmb_keeper_vm(why, sizeof(why));
	/* we stay connected: as long as we are, nobody changes it (lib/keeper.h) */
	config = f->process < 0 ? f->process : kvmb_keeper_kept(why, sizeof(why));
	if (config >= 0 && read_kept(config, f)) {
		close(config);
		say_what_breaks(f, vm);
		return EXIT_OK;
	}
	if (config >= 0) {
		close(config);
		snprintf(why, sizeof(why), "its options cannot be read");
	}
	cli_error("VM \"%s\": %s", vm, why);
	return config == -EBUSY || config == -ESTALE ? EXIT_STATE : EXIT_FAILED;
}

int client_wait_for_end(const struct client_facts *f, const char *vm, const char *done)
{
	struct pollfd p = { .fd = f->process, .events = POLLIN };

	if (poll(&p, 1, END_MS) == 1)
		return EXIT_OK;
	syscall(SYS_pidfd_send_signal, f->process, SIGKILL, NULL, 0);
	if (poll(&p, 1, KILL_MS) == 1)
		return EXIT_OK;
	cli_error("VM \"%s\": %s, but its process has not ended; try: kvmbus kill %s", vm, done,
		  vm);
	return EXIT_TIMEOUT;
}

void client_forget(struct client_facts *f)
{
	if (f->process >= 0)
		close(f->process);
	free(f->config);
	kvmb_keeper_seal();
	*f = (struct client_facts){ .process = -1 };
}
