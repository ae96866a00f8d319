/* SPDX-License-Identifier: GPL-2.0-only */
/* MC146818 real-time clock and CMOS memory at 0x70/0x71; shows the host's UTC. */
#ifndef KVMB_RTC_H
#define KVMB_RTC_H

#include "vmbus-core/env.h"

struct rtc;

/** rtc_create() - Make a clock that shows the host's UTC. Return: never NULL. */
struct rtc *rtc_create(void);

/** rtc_destroy() - NULL is fine. */
void rtc_destroy(struct rtc *r);

/** rtc_access() - Port access, for iobus_add(). Any vCPU's thread. */
void rtc_access(void *dev, u16 offset, u32 size, bool write, u32 *val);

#endif
