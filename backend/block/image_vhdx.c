// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks a VHDX: does it name a parent, and if it is damaged, how? (QEMU 7.2 only says "Invalid
 * argument".) A region table leads to the metadata, whose items are parameters and the locator
 * of the parent. Why we check: image.h.
 *
 * Source: [MS-VHDX] 2.2.3 (region table), 2.6.1 (metadata table), 2.6.2.1 (file parameters),
 * 2.6.2.6 (parent locator).
 */
#include <unistd.h>

#include "backend/block/image.h"
#include "backend/block/vhdx_log.h"
#include "lib/util.h"
#include "vmbus-core/env.h"

#define TABLE (64u << 10) /* the size of both kinds of table, and where items begin behind one */
#define REGIONS_AT (192u << 10)
#define ENTRY 32u
#define ENTRIES_MAX 2047u
#define REGION_MAX (1u << 30) /* nobody's metadata is so long; so that sums stay small */
#define LOCATOR_MAX (64u << 10)
#define HAS_PARENT 2u

static const u8 metadata_guid[16] = { 0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
				      0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e };
static const u8 params_guid[16] = { 0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d,
				    0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b };
static const u8 locator_guid[16] = { 0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45,
				     0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c };

static u32 le(const u8 *p, u32 bytes)
{
	u32 v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

static bool fetch_vhdx(int fd, u64 at, u8 *buf, size_t len)
{
	return at <= INT64_MAX - len && pread(fd, buf, len, (off_t)at) == (ssize_t)len;
}

static int damaged(const char *what, char *why, size_t size)
{
	snprintf(why, size,
		 "it is damaged or truncated: %s; repair it with the program that made it, "
		 "or use a "
		 "copy",
		 what);
	return -EINVAL;
}

/* The entry of @guid in a table of num entries from @from on. Return: NULL when there is none. */
static const u8 *entry_of(const u8 *table, u32 from, u32 num, const u8 *guid)
{
	u32 i;

	for (i = 0; i < num && num <= ENTRIES_MAX; i++) {
		if (!memcmp(table + from + i * ENTRY, guid, 16))
			return table + from + i * ENTRY;
	}
	return NULL;
}

/* Keys and values of a locator are UTF-16; any of these says where the parent is. */
static void parent_name(const u8 *loc, u32 len, char *name)
{
	static const char *const keys[] = { "relative_path", "absolute_win32_path", "volume_path" };
	char key[KVMB_IMAGE_NAME];
	u32 num, i, k, kat, vat, klen, vlen;

	name[0] = 0;
	num = len >= 20 ? le(loc + 18, 2) : 0;
	for (i = 0; i < num && 20 + 12 * (i + 1) <= len; i++) {
		const u8 *e = loc + 20 + 12 * i;

		kat = le(e, 4);
		vat = le(e + 4, 4);
		klen = le(e + 8, 2);
		vlen = le(e + 10, 2);
		if (kat > len || klen > len - kat || vat > len || vlen > len - vat)
			continue;
		kvmb_image_quote(key, loc + kat, klen, 2);
		for (k = 0; k < ARRAY_SIZE(keys); k++) {
			if (!strcmp(key, keys[k]))
				kvmb_image_quote(name, loc + vat, vlen, 2);
		}
	}
}

static int check_metadata(int fd, u64 at, u8 *buf, char *why, size_t size)
{
	const u8 *params, *locator;
	char name[KVMB_IMAGE_NAME] = "";
	u32 num, off, len;
	u8 bits[8];

	if (!fetch_vhdx(fd, at, buf, TABLE) || memcmp(buf, "metadata", 8))
		return damaged("no metadata table", why, size);
	num = le(buf + 10, 2);
	params = entry_of(buf, ENTRY, num, params_guid);
	off = params ? le(params + 16, 4) : 0;
	if (!params || off > REGION_MAX || !fetch_vhdx(fd, at + off, bits, sizeof(bits)))
		return damaged("its metadata have no file parameters", why, size);
	if (!(le(bits + 4, 4) & HAS_PARENT))
		return 0;
	locator = entry_of(buf, ENTRY, num, locator_guid);
	if (locator) {
		off = le(locator + 16, 4);
		len = le(locator + 20, 4);
		if (len <= LOCATOR_MAX && off <= REGION_MAX && fetch_vhdx(fd, at + off, buf, len))
			parent_name(buf, len, name);
	}
	return kvmb_image_overlay(name, false, why, size);
}

static int check_regions(int fd, u8 *buf, char *why, size_t size)
{
	const u8 *meta;
	u64 at;

	if (!fetch_vhdx(fd, 0, buf, 8) || memcmp(buf, "vhdxfile", 8)) {
		snprintf(why, size, "it is not a VHDX image, or its header is damaged");
		return -EINVAL;
	}
	if (!fetch_vhdx(fd, REGIONS_AT, buf, TABLE) || memcmp(buf, "regi", 4) ||
	    le(buf + 4, 4) != kvmb_vhdx_checksum(buf, TABLE))
		return damaged("its region table does not match its checksum", why, size);
	meta = entry_of(buf, 16, le(buf + 8, 4), metadata_guid);
	if (!meta)
		return damaged("its region table has no metadata region", why, size);
	at = (u64)le(meta + 20, 4) << 32 | le(meta + 16, 4);
	return check_metadata(fd, at, buf, why, size);
}

int kvmb_image_vhdx(int fd, char *why, size_t size)
{
	u8 *buf = malloc(TABLE);
	int err = -ENOMEM;

	if (buf)
		err = check_regions(fd, buf, why, size);
	else
		snprintf(why, size, "no memory");
	free(buf);
	return err;
}
