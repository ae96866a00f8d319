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
#include "cli/mig_copies.h"
#include "cli/mig_link.h"
#include "cli/progress.h"
#include "lib/exits.h"
#include "lib/util.h"
#include "vmm/disk_copies.h"
#include "vmm/handover.h"
#include "vmm/mig_stream.h"

static int send_copies(struct mig_stream *s, const struct disk_copies *c)
{
	struct kvmb_tlv_out o = { 0 };

	disk_copies_put(c, &o);
	return mig_send_out(s, &o);
}

/* The other side builds such a VM. @copies: whose disks it makes; NULL = they are there */
static int announce(struct mig_link *l, const struct client_facts *f,
		    const struct disk_copies *copies)
{
	struct mig_stream s = { .fd = l->fd };
	const char *address = l->address->text;
	char why[MIG_WHY];
	int err = mig_send(&s, MIG_GREETING, strlen(MIG_GREETING));

	if (!err && copies)
		err = send_copies(&s, copies);
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

static long long figure(json_t *o, const char *name)
{
	return (long long)json_integer_value(json_object_get(o, name));
}

/* @wire: bytes that a pump has carried; -1 = there is none. */
static void print_result(const struct cli_args *a, json_t *o, int64_t wire)
{
	long long disks = (long long)json_integer_value(json_object_get(o, "disks_copied"));

	if (cli_flag(a, "json")) {
		if (wire >= 0)
			json_object_set_new(o, "wire_bytes", json_integer(wire));
		progress_event(o, "migrated");
		return;
	}
	printf("moved in %.1f s: the guest stood for %lld ms, %lld MiB in %lld rounds",
	       (double)figure(o, "total_ms") / 1000, figure(o, "downtime_ms"),
	       figure(o, "bytes") >> 20, figure(o, "rounds"));
	if (wire >= 0)
		printf(", %lld MiB over the wire", (long long)wire >> 20);
	if (figure(o, "later_ms"))
		printf("; for %.1f s it ran without all of its memory",
		       (double)figure(o, "later_ms") / 1000);
	putchar('\n');
	if (disks > 0)
		printf("%lld disk%s copied: the files here are out of date\n", disks,
		       disks == 1 ? " was" : "s were");
}

static json_t *move_wishes(struct cli_args *a)
{
	json_t *args = json_object();
	u64 bandwidth = 0;

	opt_size(cli_text(a, "bandwidth"), &bandwidth, NULL);
	json_object_set_new(args, "downtime", json_integer(cli_u32(a, "downtime")));
	json_object_set_new(args, "timeout", json_integer(cli_u32(a, "timeout")));
	json_object_set_new(args, "bandwidth", json_integer((json_int_t)bandwidth));
	json_object_set_new(args, "auto-converge", json_integer(cli_flag(a, "auto-converge")));
	json_object_set_new(args, "copy-storage", json_integer(cli_flag(a, "copy-storage")));
	json_object_set_new(args, "postcopy", json_boolean(cli_flag(a, "postcopy")));
	return args;
}

/* @peer goes to the VM's process. @f: it ends when all is done; NULL: it goes on, and so does @l */
static int hand_over(struct cli_args *a, int fd, int peer, const char *command,
		     const struct mig_link *l, const struct client_facts *f)
{
	struct handover_fds fds = { .fd = { peer }, .num = 1 };
	const char *vm = a->words[0];
	struct progress *progress;
	json_t *o = NULL;
	int pipes[2], err;

	if (pipe2(pipes, O_CLOEXEC)) {
		cli_error("%s", strerror(errno));
		return EXIT_FAILED;
	}
	fds.fd[fds.num++] = pipes[0];
	progress = progress_begin(vm, "migration", cli_flag(a, "json"));
	err = client_ask_on(fd, vm, command, move_wishes(a), &fds, &o);
	progress_end(progress);
	close(pipes[0]);
	if (!err && f)
		err = client_wait_for_end(f, vm, "it has moved");
	close(pipes[1]);
	if (!err && f)
		print_result(a, o, mig_link_wire_bytes(l));
	json_decref(o);
	return err;
}

static int move_to(struct cli_args *a, struct mig_link *l)
{
	static struct disk_copies copies;
	struct client_facts facts = { .process = -1 };
	bool copy = cli_flag(a, "copy-storage");
	const char *vm = a->words[0];
	int fd = -1, err;

	err = client_connect(vm, &fd);
	if (!err)
		err = client_as_owner(fd, vm);
	if (!err)
		err = client_learn(fd, vm, &facts);
	if (!err && copy)
		err = mig_copies_find(fd, vm, &facts, &copies);
	if (!err)
		err = mig_link_connect(l);
	if (!err)
		err = announce(l, &facts, copy ? &copies : NULL);
	if (!err)
		err = hand_over(a, fd, l->fd, "migrate", l, &facts);
	if (fd >= 0)
		close(fd);
	client_forget(&facts);
	return err;
}

/* Further connections go where the first leads: only an address can say that. */
static int prepare(struct cli_args *a, struct mig_link *l, const struct mig_address *address)
{
	if (cli_u32(a, "streams") > 1 && address->kind != MIG_TCP)
		return cli_bad(a->cmd, "--streams goes with tcp: only");
	return mig_link_prepare(l, address, cli_u32(a, "streams"),
				!strcmp(cli_text(a, "compress"), "zstd"));
}

/* ---- --recover ---- */

/* Where it was: connect. */
static int mend_from(struct cli_args *a, struct mig_link *l, int fd)
{
	struct client_facts facts = { .process = -1 };
	struct mig_stream s;
	int err = client_learn(fd, a->words[0], &facts), why;

	if (!err)
		err = mig_link_connect(l);
	if (!err) {
		s = (struct mig_stream){ .fd = l->fd };
		why = mig_send(&s, MIG_MEND_GREETING, strlen(MIG_MEND_GREETING));
		if (why) {
			cli_error("%s: %s", l->address->text, mig_why(why));
			err = EXIT_FAILED;
		}
	}
	if (!err)
		err = hand_over(a, fd, l->fd, "mend", l, &facts);
	client_forget(&facts);
	return err;
}

/* Where it runs: wait. With TLS the pump is a process of its own, and outlives us. */
static int mend_to(struct cli_args *a, const struct mig_address *address, int fd)
{
	struct mig_stream s = { .fd = -1 };
	int err = incoming_await(address, MIG_MEND_GREETING, &s, NULL);

	if (err)
		return err;
	err = hand_over(a, fd, s.fd, "mend", NULL, NULL);
	close(s.fd);
	if (!err && !cli_flag(a, "json"))
		printf("the rest of its memory comes\n");
	return err;
}

static int mend_over(struct cli_args *a, const struct mig_address *address, bool here, int fd)
{
	struct mig_link link;
	int err;

	if (here)
		return mend_to(a, address, fd);
	err = prepare(a, &link, address);
	if (!err) {
		err = mend_from(a, &link, fd);
		mig_link_end(&link);
	}
	return err;
}

/* Which side is it? Return: EXIT_OK and *@here: it runs here; else with one line printed. */
static int which_side(const char *vm, bool *here)
{
	json_t *o = NULL;
	int err = client_ask(vm, "info", NULL, &o);

	if (err)
		return err;
	*here = json_is_object(json_object_get(o, "memory_comes"));
	if (!*here && !json_is_object(json_object_get(o, "migration"))) {
		cli_error("VM \"%s\": no migration of it is to be mended", vm);
		err = EXIT_STATE;
	}
	json_decref(o);
	return err;
}

static int recover(struct cli_args *a)
{
	struct mig_address address;
	const char *vm = a->words[0];
	bool here;
	int fd, err = which_side(vm, &here);

	if (err)
		return err;
	err = client_connect(vm, &fd);
	if (err)
		return err;
	err = client_as_owner(fd, vm);
	if (!err) {
		err = mig_address_read(a, a->words[1], here, &address);
		if (!err)
			err = mend_over(a, &address, here, fd);
		mig_address_forget(&address);
	}
	close(fd);
	return err;
}

static int check_options(const struct cli_args *a)
{
	static const char *const others[] = { "postcopy", "auto-converge", "downtime",
					      "timeout",  "bandwidth",	   "copy-storage" };
	size_t i;
	int g;

	if (cli_flag(a, "postcopy") && cli_flag(a, "auto-converge"))
		return cli_bad(a->cmd, "--auto-converge does not go with --postcopy, which has one "
				       "round");
	if (cli_flag(a, "postcopy") && cli_flag(a, "copy-storage"))
		return cli_bad(a->cmd, "--copy-storage does not go with --postcopy: disks come "
				       "before the VM runs there");
	for (g = 0; cli_flag(a, "recover") && g < a->num_given; g++) {
		for (i = 0; i < ARRAY_SIZE(others); i++) {
			if (!strcmp(a->given[g].opt->name, others[i]))
				return cli_bad(a->cmd,
					       "--%s does not go with --recover, which goes "
					       "on with what was begun",
					       others[i]);
		}
	}
	return EXIT_OK;
}

int cmd_migrate(struct cli_args *a)
{
	struct mig_address address;
	struct mig_link link;
	int err;

	signal(SIGPIPE, SIG_IGN);
	err = check_options(a);
	if (err || cli_flag(a, "recover"))
		return err ? err : recover(a);
	err = mig_address_read(a, a->words[1], false, &address);
	if (!err)
		err = prepare(a, &link, &address);
	if (!err) {
		err = move_to(a, &link);
		mig_link_end(&link);
	}
	mig_address_forget(&address);
	return err;
}
