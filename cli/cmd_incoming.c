// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus run --incoming`: a VM that comes by a stream (vmm/mig_stream.h) goes on here. */
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cli_config.h"
#include "cli/cmd.h"
#include "cli/mig_address.h"
#include "lib/exits.h"
#include "vmm/mig_stream.h"

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

int cmd_incoming(struct cli_args *a, const char *address)
{
	struct mig_stream s = { .fd = -1 };
	struct mig_section sec = { 0 };
	int i, code;

	for (i = 0; i < a->num_given; i++) {
		if (strcmp(a->given[i].opt->name, "incoming"))
			return cli_bad(a->cmd, "--incoming stands alone: the VM brings its options "
					       "along");
	}
	s.fd = mig_accept(address);
	if (s.fd < 0)
		return EXIT_FAILED;
	code = greet(address, &s, &sec);
	if (code == EXIT_OK)
		code = cli_run_config(address, sec.buf, sec.len, NULL, s.fd);
	else
		close(s.fd); /* else it was taken over */
	mig_section_fini(&sec);
	return code;
}
