/* SPDX-License-Identifier: GPL-2.0-only */
/* MC146818 real-time clock and CMOS memory at 0x70/0x71; shows the host's UTC. */
#ifndef KVMB_RTC_H
#define KVMB_RTC_H

#include "vmbus-core/env.h"

struct kvmb_loop;
struct kvmb_tlv;
struct kvmb_tlv_out;
struct rtc;

/** rtc_create() - Make a clock that shows the host's UTC. Return: never NULL. */
struct rtc *rtc_create(void);

/**
 * rtc_connect() - Give it its interrupt, 8
 * @loop:    borrowed; on its thread interrupts come
 * @set_irq: any thread, with the clock's lock held
 * @arg:     of @set_irq
 *
 * Context: main thread; nothing runs.
 */
void rtc_connect(struct rtc *r, struct kvmb_loop *loop, void (*set_irq)(void *arg, int level),
		 void *arg);

/** rtc_reset() - No interrupts; time and memory stay. Main thread; vCPUs stand. */
void rtc_reset(struct rtc *r);

/** rtc_destroy() - NULL is fine. Main thread. */
void rtc_destroy(struct rtc *r);

/**
 * rtc_set_memory() - Say in CMOS memory how much RAM there is, for firmware
 * @r:    the clock
 * @low:  bytes below 4 GiB
 * @high: bytes from 4 GiB on
 *
 * OVMF takes what is below 4 GiB from there. Context: main thread; vCPUs stand.
 */
void rtc_set_memory(struct rtc *r, u64 low, u64 high);

/** rtc_access() - Port access, for iobus_add(). Any vCPU's thread. */
void rtc_access(void *dev, u16 offset, u32 size, bool write, u32 *val);

/** rtc_save() - Registers, memory and how far it is from the host's time: a group. Main thread. */
void rtc_save(struct rtc *r, struct kvmb_tlv_out *o);

/**
 * rtc_load() - What rtc_save() wrote
 * @r:     new
 * @group: hostile
 *
 * Return: 0; -errno with one line in @group->error: @r is as before. Context: main thread.
 */
int rtc_load(struct rtc *r, struct kvmb_tlv *group);

/** rtc_loaded() - Interrupt controllers are there: go on. Main thread. */
void rtc_loaded(struct rtc *r);

#endif
