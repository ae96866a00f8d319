// SPDX-License-Identifier: GPL-2.0-only
/* SMBIOS tables: smbios.h. */
#include "machine/boot/smbios.h"

#include "lib/util.h"
#include "machine/machine_config.h"

/*
 * As Hyper-V's generation 1: Linux leaves disks on a PIIX to hv_storvsc if it finds these two
 * (drivers/ata/ata_piix.c:piix_ignore_devices_quirk), and a disk has one path only.
 */
#define MAKER "Microsoft Corporation"
#define PRODUCT "Virtual Machine"

struct out {
	struct smbios *s;
	u32 begin;  /* of the structure */
	u16 handle; /* of the next */
	u16 num;
	u32 longest;
};

static void put(struct out *o, const void *p, u32 n)
{
	kvmb_assert(o->s->len + n <= sizeof(o->s->tables));
	memcpy(o->s->tables + o->s->len, p, n);
	o->s->len += n;
}

static void put8(struct out *o, u8 v)
{
	put(o, &v, 1);
}

static void put16(struct out *o, u16 v)
{
	put(o, &v, 2);
}

static void put32(struct out *o, u32 v)
{
	put(o, &v, 4);
}

static void put64(struct out *o, u64 v)
{
	put(o, &v, 8);
}

static void zeroes(struct out *o, u32 n)
{
	while (n--)
		put8(o, 0);
}

static u16 begin(struct out *o, u8 type)
{
	o->begin = o->s->len;
	put8(o, type);
	put8(o, 0);
	put16(o, o->handle);
	return o->handle++;
}

/* Its length, then its strings: "one\0two\0", which the compiler ends with one more NUL. */
static void end(struct out *o, const char *strings, u32 len)
{
	o->s->tables[o->begin + 1] = (u8)(o->s->len - o->begin);
	put(o, strings, len);
	if (len < 2)
		put8(o, 0);
	o->longest = KVMB_MAX(o->longest, o->s->len - o->begin);
	o->num++;
}

#define END(o, strings) end(o, strings, sizeof(strings))

static void bios(struct out *o)
{
	begin(o, 0);
	put8(o, 1);
	put8(o, 2);
	put16(o, 0xe000);
	put8(o, 3);
	put8(o, 0);
	put64(o, 1u << 7 | 1u << 15 | 1u << 16); /* PCI; boot from CD, a choice of devices */
	put8(o, 1);				 /* ACPI */
	put8(o, 1u << 4);			 /* a virtual machine */
	zeroes(o, 2);
	put16(o, 0xffff);
	END(o, "SeaBIOS\0001\00001/01/2026\0");
}

/* The first three fields are little-endian in there (7.2.1). */
static void system_uuid(struct out *o, const u8 *uuid)
{
	static const u8 order[] = { 3, 2, 1, 0, 5, 4, 7, 6 };
	u32 i;

	for (i = 0; i < sizeof(order); i++)
		put8(o, uuid[order[i]]);
	put(o, uuid + 8, 8);
}

static void systems(struct out *o, const struct machine_config *cfg)
{
	begin(o, 1);
	put8(o, 1);
	put8(o, 2);
	put8(o, 3);
	put8(o, 0);
	system_uuid(o, cfg->uuid);
	put8(o, 6);    /* power switch */
	put8(o, 0);
	put8(o, 0);
	END(o, MAKER "\0" PRODUCT "\0"
		     "gen1\0");
	begin(o, 3);
	put8(o, 1);
	put8(o, 1); /* other */
	zeroes(o, 3);
	put8(o, 3);
	put8(o, 3);
	put8(o, 3);
	put8(o, 2);
	zeroes(o, 8);
	END(o, MAKER "\0");
}

static void processor(struct out *o, u32 cpus)
{
	begin(o, 4);
	put8(o, 1);
	put8(o, 3); /* central processor */
	put8(o, 1); /* family: other */
	put8(o, 2);
	zeroes(o, 8);
	put8(o, 0);
	put8(o, 0);
	zeroes(o, 6);
	put8(o, 0x41); /* populated, enabled */
	put8(o, 1);
	put16(o, 0xffff);
	put16(o, 0xffff);
	put16(o, 0xffff);
	zeroes(o, 3);
	put8(o, (u8)KVMB_MIN(cpus, 255u));
	put8(o, (u8)KVMB_MIN(cpus, 255u));
	put8(o, (u8)KVMB_MIN(cpus, 255u));
	put16(o, 4); /* 64 bits */
	put16(o, 2);
	END(o, "CPU 0\0" MAKER "\0");
}

static void memory(struct out *o, u64 bytes)
{
	u64 kib = bytes >> 10, mib = bytes >> 20;
	u16 array = begin(o, 16);

	put8(o, 1);
	put8(o, 3);
	put8(o, 3);
	put32(o, 0x80000000); /* the size is the extended one */
	put16(o, 0xfffe);
	put16(o, 1);
	put64(o, bytes);
	END(o, "");
	begin(o, 17);
	put16(o, array);
	put16(o, 0xfffe);
	put16(o, 64);
	put16(o, 64);
	put16(o, mib < 0x7fff ? (u16)mib : 0x7fff);
	put8(o, 9);
	put8(o, 0);
	put8(o, 1);
	put8(o, 0);
	put8(o, 7);
	put16(o, 2);
	put16(o, 0);
	zeroes(o, 5);
	put32(o, mib < 0x7fff ? 0 : (u32)mib);
	put16(o, 0);
	END(o, "DIMM 0\0");
	begin(o, 19);
	put32(o, 0xffffffff);
	put32(o, 0xffffffff);
	put16(o, array);
	put8(o, 1);
	put64(o, 0);
	put64(o, (kib << 10) - 1);
	END(o, "");
}

static void last(struct out *o)
{
	begin(o, 127);
	END(o, "");
}

static void anchor(struct out *o)
{
	u8 *a = o->s->anchor;
	u16 longest = (u16)o->longest, len = (u16)o->s->len;

	memcpy(a, "_SM_", 4);
	a[5] = SMBIOS_ANCHOR_LEN;
	a[6] = 2;
	a[7] = 8;
	memcpy(a + 8, &longest, 2);
	memcpy(a + 16, "_DMI_", 5);
	memcpy(a + 22, &len, 2);
	memcpy(a + 28, &o->num, 2);
	a[30] = 0x28;
}

void smbios_build(const struct machine_config *cfg, struct smbios *s)
{
	struct out o = { .s = s };

	memset(s, 0, sizeof(*s));
	bios(&o);
	systems(&o, cfg);
	processor(&o, cfg->cpus);
	memory(&o, cfg->memory);
	last(&o);
	anchor(&o);
}
