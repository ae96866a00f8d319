/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Marks for tests/perf/profile: a long no-op whose displacement says "KVM" and begin or end. The
 * emulator's plugin sees it executed, in a guest or on its host; everywhere else it does nothing.
 */
#ifndef KVMB_MARK_H
#define KVMB_MARK_H

/* nopw disp32(%rax,%rax) */
#define MARK_BEGIN() __asm__ volatile(".byte 0x66, 0x0f, 0x1f, 0x84, 0, 'K', 'V', 'M', 'b'")
#define MARK_END() __asm__ volatile(".byte 0x66, 0x0f, 0x1f, 0x84, 0, 'K', 'V', 'M', 'e'")

#endif
