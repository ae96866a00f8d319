// SPDX-License-Identifier: GPL-2.0-only
/*
 * Log lines and their rate limit.
 *
 * If standard error is a stream to journald, each line is sent to the journal as a datagram
 * instead, because only a datagram carries a priority and fields. We write the format ourselves,
 * in a dozen lines (systemd, "Native Journal Protocol"): loading libsystemd would add 0.5 to
 * 1.5 ms to each start, more than half of what /bin/true takes.
 */
#include "lib/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 512

static enum kvmb_log_level max_level = KVMB_LOG_WARN;
static pthread_mutex_t ratelimit_lock = PTHREAD_MUTEX_INITIALIZER;

/* Set by kvmb_log_open_journal() before other threads exist */
static bool is_stream; /* standard error leads to journald, which reads "<N>" at a line's begin */
static int journal_fd = -1;

/* syslog's, by level */
static const int priorities[] = {
	[KVMB_LOG_ERR] = 3, [KVMB_LOG_WARN] = 4, [KVMB_LOG_INFO] = 6, [KVMB_LOG_DBG] = 7
};

void kvmb_log_set_level(enum kvmb_log_level level)
{
	max_level = level;
}

/* ---- the journal ---- */

/*
 * Source: systemd.exec(5), JOURNAL_STREAM: of a program that inherited the variable, but not the
 * stream, it is wrong.
 */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       !fstat(STDERR_FILENO, &st) && st.st_dev == dev && st.st_ino == ino;
}

bool kvmb_log_open_journal(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	is_stream = stderr_is_journal();
	if (journal_fd >= 0)
		close(journal_fd);
	journal_fd = -1;
	if (!is_stream || strlen(path) >= sizeof(a.sun_path))
		return false;
	strcpy(a.sun_path, path);
	journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* later its name may be out of reach; journald may restart, systemd holds its socket */
	if (journal_fd >= 0 && connect(journal_fd, (struct sockaddr *)&a, sizeof(a))) {
		close(journal_fd);
		journal_fd = -1;
	}
	return journal_fd >= 0;
}

/*
 * One field. Its length in front, so that it may hold anything. Return: bytes, 0 when they do not
 * fit.
 */
static size_t put_field(char *at, size_t room, const char *key, const char *value, size_t len)
{
	size_t key_len = strlen(key), i;

	if (room < key_len + len + 10)
		return 0;
	memcpy(at, key, key_len);
	at += key_len;
	*at++ = '\n';
	for (i = 0; i < 8; i++) /* little-endian */
		*at++ = (char)((unsigned long long)len >> 8 * i);
	memcpy(at, value, len);
	at[len] = '\n';
	return key_len + len + 10;
}

/*
 * @who is "VM" or "VM/DEVICE". Return: 0, -EAGAIN when journald does not get on, else there is
 * none.
 */
static int send_journal(enum kvmb_log_level level, const char *who, const char *text)
{
	char d[2 * LINE_MAX_BYTES + 512], priority = (char)('0' + priorities[level]);
	size_t n = 0, vm = who ? strcspn(who, "/") : 0;

	n += put_field(d, sizeof(d), "PRIORITY", &priority, 1);
	n += put_field(d + n, sizeof(d) - n, "SYSLOG_IDENTIFIER", "kvmbus", 6);
	if (who)
		n += put_field(d + n, sizeof(d) - n, "KVMBUS_VM", who, vm);
	if (who && who[vm])
		n += put_field(d + n, sizeof(d) - n, "KVMBUS_DEVICE", who + vm + 1,
			       strlen(who + vm + 1));
	n += put_field(d + n, sizeof(d) - n, "MESSAGE", text, strlen(text));
	if (send(journal_fd, d, n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	return -errno;
}

/* ---- standard error ---- */

/*
 * One line, and nothing that moves a terminal: a file's name or a server's words may hold anything.
 */
static void make_plain(char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
		else if ((unsigned char)*s == 0xc2 && (unsigned char)s[1] >= 0x80 &&
			 (unsigned char)s[1] < 0xa0)
			s[0] = s[1] = '?'; /* U+0080 to U+009F: commands, too */
	}
}

static int write_stderr(enum kvmb_log_level level, const char *text)
{
	char line[LINE_MAX_BYTES];
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	int n = 0;

	if (poll(&p, 1, 0) < 1 || !(p.revents & POLLOUT))
		return -EAGAIN;
	if (is_stream)
		n = snprintf(line, sizeof(line), "<%d>", priorities[level]);
	n += snprintf(line + n, sizeof(line) - (size_t)n, "kvmbus: %s", text);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n] = 0;
	make_plain(line);
	line[n++] = '\n';
	return write(STDERR_FILENO, line, (size_t)n) < 0 ? -errno : 0;
}

/* ---- both ---- */

static int put_one(enum kvmb_log_level level, const char *who, const char *text)
{
	int err = journal_fd >= 0 ? send_journal(level, who, text) : -ENOENT;

	return err && err != -EAGAIN ? write_stderr(level, text) : err;
}

/* A reader of the log who has stopped reading loses lines; no thread of ours waits for him. */
static void put_line(enum kvmb_log_level level, const char *who, const char *text)
{
	/* nobody fills the room that another has seen */
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static unsigned int lost;
	char note[80];

	pthread_mutex_lock(&lock);
	if (lost) {
		snprintf(note, sizeof(note), "%u lines of the log were lost: nobody read it", lost);
		if (!put_one(KVMB_LOG_WARN, NULL, note))
			lost = 0;
	}
	if (lost || put_one(level, who, text))
		lost++;
	pthread_mutex_unlock(&lock);
}

void kvmb_log(enum kvmb_log_level level, const char *who, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list ap;
	int n = 0;

	if (level > max_level)
		return;
	if (who)
		n = snprintf(text, sizeof(text), "%s: ", who);
	va_start(ap, fmt);
	if (n < (int)sizeof(text))
		vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	put_line(level, who, text);
}

void kvmb_log_in_signal(const char *who, const char *text)
{
	const char *const parts[] = { is_stream ? "<3>" : "", "kvmbus: ", who, ": ", text };
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	char line[LINE_MAX_BYTES];
	size_t n = 0, i, len;

	if (journal_fd >= 0 && !send_journal(KVMB_LOG_ERR, who, text))
		return;
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		len = strnlen(parts[i], sizeof(line) - 1 - n);
		memcpy(line + n, parts[i], len);
		n += len;
	}
	line[n++] = '\n';
	if (poll(&p, 1, 0) == 1 && write(STDERR_FILENO, line, n) < 0)
		return; /* there is nobody else to tell */
}

bool kvmb_ratelimit_ok(struct kvmb_ratelimit *rl)
{
	struct timespec ts;
	uint64_t now;
	bool ok;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	pthread_mutex_lock(&ratelimit_lock);
	if (!rl->window_ms || now - rl->window_ms > KVMB_RATELIMIT_WINDOW_MS) {
		rl->window_ms = now ? now : 1;
		rl->count = 0;
	}
	ok = rl->count < KVMB_RATELIMIT_BURST;
	if (ok)
		rl->count++;
	else
		rl->missed++;
	pthread_mutex_unlock(&ratelimit_lock);
	return ok;
}
