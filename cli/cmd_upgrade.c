// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvmbus upgrade`: this process becomes the VM, which another process of this host hands over
 * (vmm/upgrade_out.h). Its options come from its keeper, and not from that process.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cli_config.h"
#include "cli/client.h"
#include "cli/client_facts.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/keeper.h"
#include "vmm/handed.h"
#include "vmm/handover.h"

/* Return: EXIT_OK with a connection to the VM's process that is handing the VM over. */
static int ask_for_it(int fd, const char *vm, int *stream)
{
	struct handover_fds fds = { .num = 1 };
	json_t *o = NULL;
	int sv[2], err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv)) {
		cli_error("%s", strerror(errno));
		return EXIT_FAILED;
	}
	fds.fd[0] = sv[1];
	err = client_ask_on(fd, vm, "upgrade", NULL, &fds, &o);
	json_decref(o);
	close(sv[1]);
	if (err)
		close(sv[0]);
	else
		*stream = sv[0];
	return err;
}

static int become_it(const char *vm, struct vm_handed *h, struct client_facts *f, int stream)
{
	struct mig_stream s = { .fd = stream };
	char why[MIG_WHY] = "";
	int err = handed_receive(&s, h, why);

	if (!err)
		return cli_run_config(vm, f->config, f->config_len, NULL, stream, NULL, h);
	cli_error("VM \"%s\": it cannot be handed over: %s", vm, why);
	return EXIT_FAILED;
}

int cmd_upgrade(struct cli_args *a)
{
	struct client_facts facts = { .process = -1 };
	struct vm_handed handed = { .process = -1 };
	const char *vm = a->words[0];
	char path[PATH_MAX];
	int fd = -1, stream = -1, err;

	signal(SIGPIPE, SIG_IGN);
	err = client_connect(vm, &fd);
	if (!err)
		err = client_as_owner(fd, vm);
	if (!err)
		err = client_learn(fd, vm, &facts);
	if (!err && client_socket(fd, path, sizeof(path)))
		handed.socket = path;
	if (!err)
		err = ask_for_it(fd, vm, &stream);
	if (fd >= 0)
		close(fd);
	kvmb_keeper_seal(); /* from here on the VM itself refuses changes of what it has */
	handed.process = facts.process;
	facts.process = -1;
	if (!err)
		err = become_it(vm, &handed, &facts, stream);
	handed_close(&handed);
	client_forget(&facts);
	return err;
}
