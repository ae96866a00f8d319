// SPDX-License-Identifier: GPL-2.0-only
/*
 * The RTC: time of day in binary or BCD, no update while it is being read, a good battery, three
 * interrupts. Setting the clock changes the guest's offset to the host.
 *
 * What has happened (a period is over, a second, the second of the alarm) is found out when
 * somebody looks: the guest at register C, or the loop, which has a timer for the next thing that
 * is to interrupt. So a guest that lets register C wait costs nothing. Periods that it has missed
 * are made up for, up to a second of them: there are guests that count them and call that time
 * (Windows with an APIC, up to 2008). A pause is longer than that, and is none of theirs.
 *
 * Sources: Motorola MC146818A data sheet; the century byte at 0x32 as in ACPI's FADT; sizes of
 * memory in CMOS: SeaBIOS src/hw/rtc.h, edk2 OvmfPkg/Library/PlatformInitLib/MemDetect.c. Who needs
 * interrupts: SeaBIOS src/clock.c (INT 15h, functions 83h and 86h), Linux drivers/rtc/rtc-cmos.c.
 */
#include "machine/dev/rtc.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "lib/loop.h"
#include "lib/tlv.h"
#include "lib/util.h"

#define REG_A_DIVIDER 0x70
#define REG_A_RUNS 0x20 /* of the divider: 32768 Hz */
#define REG_B_24H 0x02
#define REG_B_BINARY 0x04
#define REG_B_SET 0x80
/* enabled in register B, and so in register C */
#define PERIODIC 0x40u
#define ALARM 0x20u
#define UPDATE 0x10u
#define INTERRUPTS (PERIODIC | ALARM | UPDATE)
#define REG_C_IRQ 0x80u

#define DAY_S 86400
#define SECOND_NS 1000000000ull
#define LONGEST_MS 1000u /* the host's time may be set */

struct rtc {
	void (*set_irq)(void *arg, int level); /* NULL: not connected; immutable, as the next two */
	void *irq_arg;
	struct kvmb_loop *loop;

	pthread_mutex_t lock; /* guards the rest, but for the loop's */
	u8 index;
	u8 cmos[128];
	s64 offset_s; /* guest minus host */
	int level;    /* of the interrupt */
	u64 since_ns; /* CLOCK_MONOTONIC: periods begin there */
	u64 periods;  /* of them, those that were seen */
	u64 owed;     /* periods that the guest has missed */
	s64 second;   /* the guest's, that was seen last */

	/* the loop's */
	struct kvmb_work work;
	struct kvmb_timer timer;
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

static int decode_hour(const struct rtc *r, u8 v)
{
	int hour = decode(r, v & 0x7f);

	return r->cmos[0x0b] & REG_B_24H ? hour : hour % 12 + (v & 0x80 ? 12 : 0);
}

static s64 guest_time(const struct rtc *r)
{
	return (s64)time(NULL) + r->offset_s;
}

static void store_time(struct rtc *r)
{
	struct tm tm = {
		.tm_sec = decode(r, r->cmos[0]),
		.tm_min = decode(r, r->cmos[2]),
		.tm_hour = decode_hour(r, r->cmos[4]),
		.tm_mday = decode(r, r->cmos[7]),
		.tm_mon = decode(r, r->cmos[8]) - 1,
		.tm_year = decode(r, r->cmos[9]) + (decode(r, r->cmos[0x32]) - 19) * 100,
	};

	r->offset_s = (s64)timegm(&tm) - (s64)time(NULL);
	r->second = guest_time(r);
}

/* ---- interrupts; lock held ---- */

static u64 mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * SECOND_NS + (u64)t.tv_nsec;
}

/* ns; 0 = there are no periods */
static u64 period_of(const struct rtc *r)
{
	u32 rate = r->cmos[0x0a] & 0xf;

	if (!rate || (r->cmos[0x0a] & REG_A_DIVIDER) != REG_A_RUNS)
		return 0;
	return SECOND_NS / (rate < 3 ? 256u >> (rate - 1) : 32768u >> (rate - 1));
}

static void begin_periods(struct rtc *r)
{
	r->since_ns = mono_ns();
	r->periods = r->owed = 0;
}

static void count_periods(struct rtc *r)
{
	u64 period = period_of(r), all, new;

	if (!period)
		return;
	all = (mono_ns() - r->since_ns) / period;
	new = all - r->periods;
	r->periods = all;
	if (!new)
		return;
	if (r->cmos[0x0b] & PERIODIC) /* one that is not taken yet is one of them */
		r->owed += new - !(r->cmos[0x0c] & PERIODIC);
	r->owed = KVMB_MIN(r->owed, SECOND_NS / period);
	r->cmos[0x0c] |= PERIODIC;
}

static bool alarm_has(u8 alarm, int decoded, int now)
{
	return alarm >= 0xc0 || decoded == now; /* or it is every one */
}

static bool is_alarm(const struct rtc *r, s64 t)
{
	int of_day = (int)((t % DAY_S + DAY_S) % DAY_S);

	return alarm_has(r->cmos[1], decode(r, r->cmos[1]), of_day % 60) &&
	       alarm_has(r->cmos[3], decode(r, r->cmos[3]), of_day / 60 % 60) &&
	       alarm_has(r->cmos[5], decode_hour(r, r->cmos[5]), of_day / 3600);
}

/* Of a host whose time was set back, or far ahead, the new second counts. */
static void count_seconds(struct rtc *r)
{
	s64 now = guest_time(r), t = r->second;

	if (r->cmos[0x0b] & REG_B_SET || now == t)
		return;
	if (t > now || now - t > DAY_S)
		t = now - 1;
	r->cmos[0x0c] |= UPDATE;
	while (t++ < now) {
		if (is_alarm(r, t))
			r->cmos[0x0c] |= ALARM;
	}
	r->second = now;
}

static void put_level(struct rtc *r)
{
	int level = (r->cmos[0x0b] & r->cmos[0x0c] & INTERRUPTS) != 0;

	if (level != r->level && r->set_irq)
		r->set_irq(r->irq_arg, level);
	r->level = level;
}

static void look(struct rtc *r)
{
	count_periods(r);
	count_seconds(r);
	put_level(r);
}

/* The loop's timer is for what has not happened yet. */
static void look_and_wait(struct rtc *r)
{
	look(r);
	if (r->loop && r->cmos[0x0b] & INTERRUPTS && !r->level)
		kvmb_loop_post(r->loop, &r->work);
}

static u8 read_events(struct rtc *r)
{
	u8 val;

	look(r);
	val = (u8)(r->cmos[0x0c] | (r->level ? REG_C_IRQ : 0));
	r->cmos[0x0c] = 0;
	put_level(r); /* down, and up again for what is owed: an edge each */
	if (r->owed) {
		r->owed--;
		r->cmos[0x0c] = PERIODIC;
	}
	look_and_wait(r);
	return val;
}

static void write_b(struct rtc *r, u8 val)
{
	u8 old = r->cmos[0x0b];

	look(r);
	val &= (u8)(INTERRUPTS | 0x87); /* no square wave */
	if (val & REG_B_SET)
		val &= (u8)~UPDATE;
	if (!(old & REG_B_SET) && val & REG_B_SET)
		load_time(r); /* what the guest does not write stays */
	if (!(val & PERIODIC))
		r->owed = 0;
	r->cmos[0x0b] = val;
	if (old & REG_B_SET && !(val & REG_B_SET))
		store_time(r);
	look_and_wait(r);
}

static void write_a(struct rtc *r, u8 val)
{
	look(r);
	r->cmos[0x0a] = val & 0x7f; /* update in progress: never */
	begin_periods(r);
	look_and_wait(r);
}

/* ---- the loop ---- */

static u64 ms_to_second(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return 1000 - (u64)t.tv_nsec / 1000000;
}

/* Lock held. ms until something may interrupt; 0 = nothing does */
static u64 ms_to_interrupt(const struct rtc *r)
{
	u64 period = period_of(r), ms = 0, due, now;

	if (r->level)
		return 0;
	if (r->cmos[0x0b] & (ALARM | UPDATE))
		ms = ms_to_second();
	if (!(r->cmos[0x0b] & PERIODIC) || !period)
		return ms;
	due = r->since_ns + (r->periods + 1) * period;
	now = mono_ns();
	due = due > now ? (due - now + 999999) / 1000000 : 1;
	return ms ? KVMB_MIN(ms, due) : due;
}

static void rtc_wait(void *arg)
{
	struct rtc *r = arg;
	u64 ms;

	pthread_mutex_lock(&r->lock);
	look(r);
	ms = ms_to_interrupt(r);
	pthread_mutex_unlock(&r->lock);
	if (ms)
		kvmb_timer_set(&r->timer, KVMB_MIN(ms, LONGEST_MS));
	else
		kvmb_timer_cancel(&r->timer);
}

/* ---- CMOS memory ---- */

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

static void write_register(struct rtc *r, u8 val)
{
	switch (r->index) {
	case 0x0a:
		write_a(r, val);
		break;
	case 0x0b:
		write_b(r, val);
		break;
	case 0x0c:
	case 0x0d:
		break;
	case 1: /* of the alarm */
	case 3:
	case 5:
		look(r);
		r->cmos[r->index] = val;
		break;
	default:
		r->cmos[r->index] = val;
	}
}

static u8 read_register(struct rtc *r)
{
	if (r->index == 0x0c)
		return read_events(r);
	if ((r->index == 0 || r->index == 2 || r->index == 4 || r->index == 0x32 ||
	     (r->index >= 6 && r->index < 10)) &&
	    !(r->cmos[0x0b] & REG_B_SET))
		load_time(r);
	return r->cmos[r->index];
}

void rtc_access(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct rtc *r = dev;

	(void)size;
	pthread_mutex_lock(&r->lock);
	if (!offset) {
		if (write)
			r->index = *val & 0x7f; /* bit 7 masks NMI */
		else
			*val = r->index;
	} else if (write) {
		write_register(r, (u8)*val);
	} else {
		*val = read_register(r);
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

/* Events that interrupt are in it; others a guest finds again, and older versions know none. */
void rtc_save(struct rtc *r, struct kvmb_tlv_out *o)
{
	u8 cmos[sizeof(r->cmos)];

	pthread_mutex_lock(&r->lock);
	memcpy(cmos, r->cmos, sizeof(cmos));
	cmos[0x0c] &= cmos[0x0b] & INTERRUPTS;
	kvmb_tlv_put(o, RTC_INDEX, r->index);
	kvmb_tlv_put_bytes(o, RTC_CMOS, cmos, sizeof(cmos));
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
	if (cmos[0x0a] & ~0x7f || cmos[0x0b] & ~(0x87u | INTERRUPTS) ||
	    cmos[0x0c] & ~(cmos[0x0b] & INTERRUPTS) || cmos[0x0d] != 0x80)
		kvmb_tlv_refuse(group, RTC_CMOS, "no guest can set that");
	err = kvmb_tlv_done(group);
	if (err)
		return err;
	pthread_mutex_lock(&r->lock);
	r->index = index;
	memcpy(r->cmos, cmos, sizeof(cmos));
	r->offset_s = offset;
	r->second = guest_time(r);
	begin_periods(r);
	pthread_mutex_unlock(&r->lock);
	return 0;
}

void rtc_loaded(struct rtc *r)
{
	pthread_mutex_lock(&r->lock);
	look_and_wait(r);
	pthread_mutex_unlock(&r->lock);
}

/* ---- life ---- */

void rtc_reset(struct rtc *r)
{
	pthread_mutex_lock(&r->lock);
	r->cmos[0x0b] &= (u8)~INTERRUPTS;
	r->cmos[0x0c] = 0;
	r->owed = 0;
	put_level(r);
	pthread_mutex_unlock(&r->lock);
}

struct rtc *rtc_create(void)
{
	struct rtc *r = kvmb_xzalloc(sizeof(*r));

	pthread_mutex_init(&r->lock, NULL);
	begin_periods(r);
	r->second = guest_time(r);
	r->cmos[0x0a] = 0x26;
	r->cmos[0x0b] = REG_B_24H;
	r->cmos[0x0d] = 0x80; /* the battery is good */
	return r;
}

void rtc_connect(struct rtc *r, struct kvmb_loop *loop, void (*set_irq)(void *arg, int level),
		 void *arg)
{
	r->loop = loop;
	r->set_irq = set_irq;
	r->irq_arg = arg;
	kvmb_work_init(&r->work, rtc_wait, r);
	kvmb_timer_init(&r->timer, loop, rtc_wait, r);
}

void rtc_destroy(struct rtc *r)
{
	if (!r)
		return;
	if (r->loop) {
		kvmb_loop_unpost(r->loop, &r->work);
		kvmb_timer_cancel(&r->timer);
	}
	pthread_mutex_destroy(&r->lock);
	free(r);
}
