// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus run --incoming`: a VM that comes by a stream (vmm/mig_stream.h) goes on here. */
#include <assert.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cli_config.h"
#include "cli/cmd.h"
#include "cli/mig_address.h"
#include "cli/mig_link.h"
#include "cli/mig_serve.h"
#include "lib/exits.h"
#include "lib/loop.h"
#include "vmm/disk_copies.h"
#include "vmm/mig_stream.h"

#ifndef MIG_GREETING_MS	      /* tests have less */
#define MIG_GREETING_MS 10000 /* of a stranger, who keeps others waiting */
#endif

static_assert(sizeof(MIG_BUNDLE_GREETING) == sizeof(MIG_GREETING) &&
		      sizeof(MIG_MEND_GREETING) == sizeof(MIG_GREETING),
	      "it is read before it is known");

struct awaited {
	const struct mig_address *address;
	const char *greeting;
	struct mig_stream *s;
	struct mig_section *sec; /* NULL = it is over with the greeting */
};

static struct disk_copies copies; /* of the source: num = 0, none */

/* Before its options it says which disks come along. Return: 0 or -errno with @sec->error. */
static int hear_copies(struct mig_stream *s, struct mig_section *sec)
{
	int err = disk_copies_get(&sec->t, &copies);

	return err ? err : mig_recv_section(s, sec);
}

/* Return: EXIT_OK: the stream has said its first words; else its pump has said why not. */
static int await_pump(const char *address, int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;
	int n;

	while ((n = poll(&p, 1, ms)) < 0)
		;
	if (!n)
		cli_error("%s: who connected says nothing any more", address);
	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1 ? EXIT_OK : EXIT_FAILED;
}

static int no_greeting(const struct awaited *w)
{
	cli_error(w->sec ? "%s: who connected is no kvmbus that migrates a VM, or a newer one" :
			   "%s: who connected does not go on with a migration (--recover)",
		  w->address->text);
	return EXIT_FAILED;
}

/* The greeting, and its options. */
static int hear_options(const struct awaited *w, const char *greeting)
{
	int err = 0;

	if (strcmp(greeting, w->greeting))
		return no_greeting(w);
	copies.num = 0;
	if (w->sec)
		err = mig_recv_section(w->s, w->sec);
	if (!err && w->sec && w->sec->t.tag == KVMB_SEC_COPY)
		err = hear_copies(w->s, w->sec);
	if (!err)
		return EXIT_OK;
	cli_error("%s: %s", w->address->text,
		  w->sec->error.text[0] ? w->sec->error.text : mig_why(err));
	return EXIT_FAILED;
}

static int await_greeting(const struct awaited *w, char *greeting)
{
	int err = mig_recv(w->s, greeting, strlen(MIG_GREETING));

	if (err)
		cli_error("%s: %s", w->address->text, mig_why(err));
	return err ? EXIT_FAILED : EXIT_OK;
}

static int greet(const struct awaited *w)
{
	char greeting[sizeof(MIG_GREETING)] = "";

	if (await_greeting(w, greeting) != EXIT_OK)
		return EXIT_FAILED;
	return hear_options(w, greeting);
}

/* A pump takes over who sends records; what it passes on is the stream. */
static int greet_through_pump(const struct awaited *w, struct mig_door *door)
{
	const int fd = mig_serve_bundle(door, w->s->fd);

	*w->s = (struct mig_stream){ .fd = fd };
	if (fd < 0 || await_pump(w->address->text, fd, MIG_SERVE_MS + MIG_GREETING_MS))
		return EXIT_FAILED;
	w->s->deadline_ms = kvmb_now_ms() + MIG_GREETING_MS;
	return greet(w);
}

static int greet_directly(const struct awaited *w, struct mig_door *door)
{
	char greeting[sizeof(MIG_GREETING)] = "";

	w->s->deadline_ms = door->open ? kvmb_now_ms() + MIG_GREETING_MS : 0;
	if (await_greeting(w, greeting) != EXIT_OK)
		return EXIT_FAILED;
	if (!strcmp(greeting, MIG_BUNDLE_GREETING))
		return greet_through_pump(w, door);
	return hear_options(w, greeting);
}

/* Return: EXIT_OK with the stream of one who has greeted. */
static int await_source(const struct awaited *w, struct mig_door *door)
{
	int code;

	do {
		*w->s = (struct mig_stream){ .fd = mig_door_wait(door) };
		if (w->s->fd < 0)
			return EXIT_FAILED;
		code = greet_directly(w, door);
		if (code != EXIT_OK && w->s->fd >= 0)
			close(w->s->fd);
	} while (code != EXIT_OK && door->open);
	return code;
}

/* The pump lets in who proves who he is: his failure is the end. */
static int await_proof(const struct awaited *w)
{
	int code, fd = mig_serve_tls(w->address);

	if (fd < 0)
		return EXIT_FAILED;
	*w->s = (struct mig_stream){ .fd = fd };
	code = await_pump(w->address->text, fd, -1);
	if (code == EXIT_OK)
		code = greet(w);
	if (code != EXIT_OK)
		close(fd);
	return code;
}

static int await_door(const struct awaited *w)
{
	struct mig_door door;
	int code;

	if (mig_door_open(&door, w->address))
		return EXIT_FAILED;
	code = await_source(w, &door);
	mig_door_close(&door);
	return code;
}

int incoming_await(const struct mig_address *address, const char *greeting, struct mig_stream *s,
		   struct mig_section *sec)
{
	const struct awaited w = { address, greeting, s, sec };

	return address->tls ? await_proof(&w) : await_door(&w);
}

static int receive(const struct mig_address *address)
{
	struct mig_section sec = { 0 };
	struct mig_stream s;
	int code = incoming_await(address, MIG_GREETING, &s, &sec);

	if (code == EXIT_OK) /* it takes the stream over */
		code = cli_run_config(address->text, sec.buf, sec.len, NULL, s.fd,
				      copies.num ? &copies : NULL, NULL);
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
