// SPDX-License-Identifier: GPL-2.0-only
/* mkcerts DIR NAME NAME: certificates of both sides for a host with these names; for boot tests. */
#include <stdio.h>

#include "tests/harness/certs.h"

int main(int argc, char **argv)
{
	struct certs_wish w = { .days = 10 };
	struct certs *c;

	if (argc != 4) {
		fprintf(stderr, "mkcerts DIR NAME NAME\n");
		return 2;
	}
	c = certs_begin(argv[1]);
	certs_make(c, &w);
	w = (struct certs_wish){ .server = true, .name = argv[2], .name2 = argv[3], .days = 10 };
	certs_make(c, &w);
	certs_end(c);
	return 0;
}
