// SPDX-License-Identifier: GPL-2.0-only
/*
 * The RTC as guests use it at boot: time of day in binary or BCD, no update while it is being
 * read, a good battery. Setting the clock changes the guest's offset to the host. Alarms and
 * periodic interrupts are not implemented.
 *
 * Sources: Motorola MC146818A data sheet; the century byte at 0x32 as in ACPI's FADT; sizes of
 * memory in CMOS: SeaBIOS src/hw/rtc.h, edk2 OvmfPkg/Library/PlatformInitLib/MemDetect.c.
 */
#include "machine/dev/rtc.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "lib/tlv.h"
#include "lib/util.h"

#define REG_B_24H 0x02
#define REG_B_BINARY 0x04
#define REG_B_SET 0x80

struct rtc {
	pthread_mutex_t lock;
	u8 index;
	u8 cmos[128];
	s64 offset_s; /* guest minus host */
};

static u8 encode(const struct rtc *r, int v)
{
	return r->cmos[0x0b] & REG_B_BINARY ? (u8)v : (u8)(v / 10 << 4 | v % 10);
}

static int decode(const struct rtc *r, u8 v)
{
	return r->cmos[0x0b] & REG_B_BINARY ? v : (v >> 4) * 10 + (v & 15);
}

static u8 read_hour(const struct rtc *r, int hour)
{
	if (r->cmos[0x0b] & REG_B_24H)
		return encode(r, hour);
	return (u8)(encode(r, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0));
}

static int write_hour(const struct rtc *r, u8 v)
{
	int hour = decode(r, v & 0x7f);

	return r->cmos[0x0b] & REG_B_24H ? hour : hour % 12 + (v & 0x80 ? 12 : 0);
}

static void load_time(struct rtc *r)
{
	time_t t = time(NULL) + (time_t)r->offset_s;
	struct tm tm;

	gmtime_r(&t, &tm);
	r->cmos[0] = encode(r, tm.tm_sec);
	r->cmos[2] = encode(r, tm.tm_min);
	r->cmos[4] = read_hour(r, tm.tm_hour);
	r->cmos[6] = encode(r, tm.tm_wday + 1);
	r->cmos[7] = encode(r, tm.tm_mday);
	r->cmos[8] = encode(r, tm.tm_mon + 1);
	r->cmos[9] = encode(r, tm.tm_year % 100);
	r->cmos[0x32] = encode(r, 19 + tm.tm_year / 100);
}

static void store_time(struct rtc *r)
{
	struct tm tm = {
		.tm_sec = decode(r, r->cmos[0]),
		.tm_min = decode(r, r->cmos[2]),
		.tm_hour = write_hour(r, r->cmos[4]),
		.tm_mday = decode(r, r->cmos[7]),
		.tm_mon = decode(r, r->cmos[8]) - 1,
		.tm_year = decode(r, r->cmos[9]) + (decode(r, r->cmos[0x32]) - 19) * 100,
	};

	r->offset_s = (s64)timegm(&tm) - (s64)time(NULL);
}

static void put_units(struct rtc *r, u32 reg, u32 bytes, u64 units)
{
	u64 most = (1ull << bytes * 8) - 1;

	units = KVMB_MIN(units, most);
	while (bytes--) {
		r->cmos[reg++] = (u8)units;
		units >>= 8;
	}
}

void rtc_set_memory(struct rtc *r, u64 low, u64 high)
{
	u64 above_1m = low - KVMB_MIN(low, 1ull << 20);
	u64 above_16m = low - KVMB_MIN(low, 16ull << 20);

	pthread_mutex_lock(&r->lock);
	put_units(r, 0x15, 2, 640);
	put_units(r, 0x17, 2, above_1m >> 10);
	put_units(r, 0x30, 2, above_1m >> 10);
	put_units(r, 0x34, 2, above_16m >> 16);
	put_units(r, 0x5b, 3, high >> 16);
	pthread_mutex_unlock(&r->lock);
}

void rtc_access(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct rtc *r = dev;
	u8 old;

	(void)size;
	pthread_mutex_lock(&r->lock);
	if (!offset) {
		if (write)
			r->index = *val & 0x7f; /* bit 7 masks NMI */
		else
			*val = r->index;
	} else if (!write) {
		if ((r->index < 10 || r->index == 0x32) && !(r->cmos[0x0b] & REG_B_SET))
			load_time(r);
		*val = r->cmos[r->index];
	} else if (r->index == 0x0b) {
		old = r->cmos[0x0b];
		if (!(old & REG_B_SET) && *val & REG_B_SET)
			load_time(r); /* what the guest does not write stays */
		r->cmos[0x0b] = *val & 0x87; /* no interrupts, no square wave */
		if (old & REG_B_SET && !(*val & REG_B_SET))
			store_time(r);
	} else if (r->index != 0x0c && r->index != 0x0d) {
		r->cmos[r->index] = (u8)*val;
		if (r->index == 0x0a)
			r->cmos[0x0a] &= 0x7f; /* update in progress: never */
	}
	pthread_mutex_unlock(&r->lock);
}

/* ---- saved VMs ---- */

/* Fields of the clock. Numbers are never used again. */
enum {
	RTC_INDEX = 1,
	RTC_CMOS = 2,	/* 128 bytes */
	RTC_OFFSET = 3, /* seconds that the guest is ahead of the host, and OFFSET_ZERO */
};

#define OFFSET_ZERO (1ll << 40) /* two digits of a century and a year stay far below */

void rtc_save(struct rtc *r, struct kvmb_tlv_out *o)
{
	pthread_mutex_lock(&r->lock);
	kvmb_tlv_put(o, RTC_INDEX, r->index);
	kvmb_tlv_put_bytes(o, RTC_CMOS, r->cmos, sizeof(r->cmos));
	kvmb_tlv_put(o, RTC_OFFSET, (u64)(r->offset_s + OFFSET_ZERO));
	pthread_mutex_unlock(&r->lock);
}

int rtc_load(struct rtc *r, struct kvmb_tlv *group)
{
	u8 index = (u8)kvmb_tlv_get(group, RTC_INDEX, 0x7f), cmos[sizeof(r->cmos)];
	s64 offset = (s64)kvmb_tlv_get(group, RTC_OFFSET, 2 * OFFSET_ZERO) - OFFSET_ZERO;
	int err;

	kvmb_tlv_copy(group, RTC_CMOS, cmos, sizeof(cmos));
	/* as in rtc_access() */
	if (cmos[0x0a] & ~0x7f || cmos[0x0b] & ~0x87 || cmos[0x0c] || cmos[0x0d] != 0x80)
		kvmb_tlv_refuse(group, RTC_CMOS, "no guest can set that");
	err = kvmb_tlv_done(group);
	if (err)
		return err;
	pthread_mutex_lock(&r->lock);
	r->index = index;
	memcpy(r->cmos, cmos, sizeof(cmos));
	r->offset_s = offset;
	pthread_mutex_unlock(&r->lock);
	return 0;
}

struct rtc *rtc_create(void)
{
	struct rtc *r = kvmb_xzalloc(sizeof(*r));

	pthread_mutex_init(&r->lock, NULL);
	r->cmos[0x0a] = 0x26;
	r->cmos[0x0b] = REG_B_24H;
	r->cmos[0x0d] = 0x80; /* the battery is good */
	return r;
}

void rtc_destroy(struct rtc *r)
{
	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r);
}
