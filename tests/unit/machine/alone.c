// SPDX-License-Identifier: GPL-2.0-only
/* The whole machine/, linked with what stands below it and nothing else. */
#include "machine/machine.h"

int main(void)
{
	return 0; /* the linker has had its say */
}
