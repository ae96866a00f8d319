// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus run --incoming`: a VM that comes by a stream (vmm/mig_stream.h) goes on here. */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cli_config.h"
#include "cli/cmd.h"
#include "cli/mig_address.h"
#include "cli/mig_link.h"
#include "lib/exits.h"
#include "lib/loop.h"
#include "vmm/mig_stream.h"

#ifndef MIG_GREETING_MS	      /* tests have less */
#define MIG_GREETING_MS 10000 /* of a stranger, who keeps others waiting */
#endif

/* The greeting, and its options. */
static int greet(const char *address, struct mig_stream *s, struct mig_section *sec)
{
	char greeting[sizeof(MIG_GREETING)] = "";
	int err = mig_recv(s, greeting, sizeof(greeting) - 1);

	if (!err && strcmp(greeting, MIG_GREETING)) {
		cli_error("%s: who connected is no kvmbus that migrates a VM, or a newer one",
			  address);
		return EXIT_FAILED;
	}
	if (!err)
		err = mig_recv_section(s, sec);
	if (!err)
		return EXIT_OK;
	cli_error("%s: %s", address, sec->error.text[0] ? sec->error.text : mig_why(err));
	return EXIT_FAILED;
}

/* Return: EXIT_OK with the stream of one who has greeted. */
static int await_source(struct mig_door *door, struct mig_stream *s, struct mig_section *sec)
{
	int code;

	do {
		*s = (struct mig_stream){ .fd = mig_door_wait(door) };
		if (s->fd < 0)
			return EXIT_FAILED;
		s->deadline_ms = door->open ? kvmb_now_ms() + MIG_GREETING_MS : 0;
		code = greet(door->address->text, s, sec);
		if (code != EXIT_OK)
			close(s->fd);
	} while (code != EXIT_OK && door->open);
	return code;
}

/* The pump lets in who proves who he is: his failure is the end. */
static int await_proof(const struct mig_address *address, struct mig_stream *s,
		       struct mig_section *sec)
{
	struct pollfd p = { .fd = mig_link_serve(address), .events = POLLIN };
	char byte;
	int code;

	if (p.fd < 0)
		return EXIT_FAILED;
	while (poll(&p, 1, -1) < 0)
		;
	*s = (struct mig_stream){ .fd = p.fd };
	code = recv(p.fd, &byte, 1, MSG_PEEK) == 1 ? greet(address->text, s, sec) : EXIT_FAILED;
	if (code != EXIT_OK)
		close(p.fd);
	return code;
}

static int await_door(const struct mig_address *address, struct mig_stream *s,
		      struct mig_section *sec)
{
	struct mig_door door;
	int code;

	if (mig_door_open(&door, address))
		return EXIT_FAILED;
	code = await_source(&door, s, sec);
	mig_door_close(&door);
	return code;
}

static int receive(const struct mig_address *address)
{
	struct mig_section sec = { 0 };
	struct mig_stream s;
	int code = (address->tls ? await_proof : await_door)(address, &s, &sec);

	if (code == EXIT_OK) /* it takes the stream over */
		code = cli_run_config(address->text, sec.buf, sec.len, NULL, s.fd, NULL);
	mig_section_fini(&sec);
	return code;
}

int cmd_incoming(struct cli_args *a, const char *text)
{
	struct mig_address address;
	int i, code;

	for (i = 0; i < a->num_given; i++) {
		const char *name = a->given[i].opt->name;

		if (strcmp(name, "incoming") && strcmp(name, "insecure") && strcmp(name, "tls"))
			return cli_bad(a->cmd, "--incoming stands alone: the VM brings its options "
					       "along");
	}
	code = mig_address_read(a, text, true, &address);
	if (code == EXIT_OK)
		code = receive(&address);
	mig_address_forget(&address);
	return code;
}
