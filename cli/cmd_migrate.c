// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvmbus migrate`: connects to who waits for the VM, tells him its options, which it has from the
 * VM's keeper, and hands the connection to the VM's process (vmm/mig_out.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/client_facts.h"
#include "cli/cmd.h"
#include "cli/mig_address.h"
#include "cli/mig_link.h"
#include "cli/progress.h"
#include "lib/exits.h"
#include "vmm/handover.h"
#include "vmm/mig_stream.h"

/* The other side builds such a VM. */
static int announce(struct mig_link *l, const struct client_facts *f)
{
	struct mig_stream s = { .fd = l->fd };
	const char *address = l->address->text;
	char why[MIG_WHY];
	int err = mig_send(&s, MIG_GREETING, strlen(MIG_GREETING));

	if (!err)
		err = mig_send(&s, f->config, f->config_len);
	if (err)
		snprintf(why, sizeof(why), "%s", mig_why(err));
	else
		err = mig_hear(&s, MIG_READY, why);
	if (!err)
		return EXIT_OK;
	mig_link_end(l);
	if (l->why[0]) {
		cli_error("%s: %s", address, l->why);
		return EXIT_FAILED;
	}
	cli_error("%s: %s%s", address, why,
		  err == -EPIPE ? "; it says there why it cannot be the VM" : "");
	return EXIT_FAILED;
}

/* @wire: bytes that a pump has carried; -1 = there is none. */
static void print_result(const struct cli_args *a, json_t *o, int64_t wire)
{
	if (cli_flag(a, "json")) {
		if (wire >= 0)
			json_object_set_new(o, "wire_bytes", json_integer(wire));
		progress_event(o, "migrated");
		return;
	}
	printf("moved in %.1f s: the guest stood for %lld ms, %lld MiB in %lld rounds",
	       (double)json_integer_value(json_object_get(o, "total_ms")) / 1000,
	       (long long)json_integer_value(json_object_get(o, "downtime_ms")),
	       (long long)json_integer_value(json_object_get(o, "bytes")) >> 20,
	       (long long)json_integer_value(json_object_get(o, "rounds")));
	if (wire >= 0)
		printf(", %lld MiB over the wire", (long long)wire >> 20);
	putchar('\n');
}

/* The stream goes to the VM's process. */
static int hand_over(struct cli_args *a, int fd, const struct mig_link *l,
		     const struct client_facts *f)
{
	struct handover_fds fds = { .fd = { l->fd }, .num = 1 };
	const char *vm = a->words[0];
	json_t *o = NULL, *args = json_object();
	struct progress *progress;
	u64 bandwidth = 0;
	int pipes[2], err;

	opt_size(cli_text(a, "bandwidth"), &bandwidth, NULL);
	if (pipe2(pipes, O_CLOEXEC)) {
		cli_error("%s", strerror(errno));
		json_decref(args);
		return EXIT_FAILED;
	}
	fds.fd[fds.num++] = pipes[0];
	json_object_set_new(args, "downtime", json_integer(cli_u32(a, "downtime")));
	json_object_set_new(args, "timeout", json_integer(cli_u32(a, "timeout")));
	json_object_set_new(args, "bandwidth", json_integer((json_int_t)bandwidth));
	json_object_set_new(args, "auto-converge", json_integer(cli_flag(a, "auto-converge")));
	progress = progress_begin(vm, "migration", cli_flag(a, "json"));
	err = client_ask_on(fd, vm, "migrate", args, &fds, &o);
	progress_end(progress);
	close(pipes[0]);
	if (!err)
		err = client_wait_for_end(f, vm, "it has moved");
	close(pipes[1]);
	if (!err)
		print_result(a, o, mig_link_wire_bytes(l));
	json_decref(o);
	return err;
}

static int move_to(struct cli_args *a, struct mig_link *l)
{
	struct client_facts facts = { .process = -1 };
	const char *vm = a->words[0];
	int fd = -1, err;

	err = client_connect(vm, &fd);
	if (!err)
		err = client_as_owner(fd, vm);
	if (!err)
		err = client_learn(fd, vm, &facts);
	if (!err)
		err = mig_link_connect(l);
	if (!err)
		err = announce(l, &facts);
	if (!err)
		err = hand_over(a, fd, l, &facts);
	if (fd >= 0)
		close(fd);
	client_forget(&facts);
	return err;
}

/* Further connections go where the first leads: only an address can say that. */
static int check_streams(struct cli_args *a, const struct mig_address *address)
{
	if (cli_u32(a, "streams") == 1 || address->kind == MIG_TCP)
		return EXIT_OK;
	return cli_bad(a->cmd, "--streams goes with tcp: only");
}

int cmd_migrate(struct cli_args *a)
{
	struct mig_address address;
	struct mig_link link;
	int err;

	signal(SIGPIPE, SIG_IGN);
	err = mig_address_read(a, a->words[1], false, &address);
	if (!err)
		err = check_streams(a, &address);
	if (!err)
		err = mig_link_prepare(&link, &address, cli_u32(a, "streams"),
				       !strcmp(cli_text(a, "compress"), "zstd"));
	if (!err) {
		err = move_to(a, &link);
		mig_link_end(&link);
	}
	mig_address_forget(&address);
	return err;
}
