/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The log: one line per message, prefixed with the instance ("vm1/net0: ").
 *
 * err = needs a human; warn = degraded; info = life cycle; dbg = the rest. Messages that a
 * peer can trigger use the _ratelimited forms; each call site has its own budget.
 */
#ifndef KVMB_LOG_H
#define KVMB_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum kvmb_log_level { KVMB_LOG_ERR, KVMB_LOG_WARN, KVMB_LOG_INFO, KVMB_LOG_DBG };

struct kvmb_ratelimit {
	uint64_t window_ms; /* start of the current window, monotonic */
	unsigned int count; /* lines in it */
	unsigned int missed;
};

#define KVMB_RATELIMIT_BURST 5u
#define KVMB_RATELIMIT_WINDOW_MS 5000u

/**
 * kvmb_log_set_level() - Choose what is printed
 * @level: most verbose level that is still printed; default KVMB_LOG_WARN
 */
void kvmb_log_set_level(enum kvmb_log_level level);

#define KVMB_JOURNAL "/run/systemd/journal/socket"

/**
 * kvmb_log_open_journal() - Log to journald with fields if standard error leads there anyway
 * @path: KVMB_JOURNAL, or a test's
 *
 * The fields are MESSAGE, PRIORITY (3, 4, 6 or 7), SYSLOG_IDENTIFIER=kvmbus, KVMBUS_VM and
 * KVMBUS_DEVICE. If journald does not answer at @path, lines go to standard error with the
 * priority in front, "<4>".
 *
 * Return: whether the journal is there. Context: before other threads exist.
 */
bool kvmb_log_open_journal(const char *path);

/**
 * kvmb_log() - Print one line to stderr, or to the journal
 * @level: of this line
 * @who:   instance prefix, NULL for none; "VM" or "VM/DEVICE"
 * @fmt:   printf format without newline
 *
 * Context: any thread; one system call per line. It never waits for a reader: when the reader is
 * slow, lines are dropped and counted.
 */
void kvmb_log(enum kvmb_log_level level, const char *who, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * kvmb_log_in_signal() - The same for a signal handler, as an error
 * @who:  "VM" or "VM/DEVICE"
 * @text: printable
 *
 * It takes no lock and no memory: the thread that was interrupted may hold the log's lock, so this
 * line may come within another. Context: any, one to three system calls.
 */
void kvmb_log_in_signal(const char *who, const char *text);

/**
 * kvmb_ratelimit_ok() - May this call site print now?
 * @rl: state of the call site
 *
 * Return: true at most KVMB_RATELIMIT_BURST times per window. Context: any thread.
 */
bool kvmb_ratelimit_ok(struct kvmb_ratelimit *rl);

/**
 * kvmb_log_threads() - One warning a thread of a process: its name, its state, where it waits
 * @who: as of kvmb_log()
 * @pid: the process; what of it we may not read is "?"
 *
 * A thread called "overdue" is left out.
 */
void kvmb_log_threads(const char *who, int pid);

#define kvmb_err(who, ...) kvmb_log(KVMB_LOG_ERR, who, __VA_ARGS__)
#define kvmb_warn(who, ...) kvmb_log(KVMB_LOG_WARN, who, __VA_ARGS__)
#define kvmb_info(who, ...) kvmb_log(KVMB_LOG_INFO, who, __VA_ARGS__)
#define kvmb_dbg(who, ...) kvmb_log(KVMB_LOG_DBG, who, __VA_ARGS__)
#define kvmb_warn_ratelimited(who, ...)                                                      \
	do {                                                                                 \
		static struct kvmb_ratelimit rl_;                                            \
		if (kvmb_ratelimit_ok(&rl_))                                                 \
			kvmb_warn(who, __VA_ARGS__);                                         \
	} while (0)

#endif
