// SPDX-License-Identifier: GPL-2.0-only
/* SMBIOS tables, as far as users say what is in them. */
#include "machine/boot/smbios.h"

#include <string.h>

#include "machine/machine_config.h"
#include "tests/unit/test.h"

/* Structure type 1: after type, length, handle and four strings. */
static const u8 *uuid_in(const struct smbios *s)
{
	const u8 *p = s->tables, *end = s->tables + s->len;

	while (p < end && p[0] != 1) {
		for (p += p[1]; p[0] || p[1]; p++)
			;
		p += 2;
	}
	assert_true(p < end);
	return p + 8;
}

CASE(uuid_has_three_little_endian_fields)
{
	static const u8 text[] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
				   0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	static const u8 table[] = { 0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, /* 7.2.1 */
				    0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	static const u8 none[16];
	struct machine_config cfg = { .cpus = 2, .memory = 1ull << 30 };
	static struct smbios s;

	smbios_build(&cfg, &s);
	CHECK_MEM(uuid_in(&s), none, 16);
	memcpy(cfg.uuid, text, sizeof(text));
	smbios_build(&cfg, &s);
	CHECK_MEM(uuid_in(&s), table, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uuid_has_three_little_endian_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
