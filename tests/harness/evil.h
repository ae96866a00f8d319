/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Images that name other files (evil-images.py), and what they name, watched. For evil_test.c and
 * evil_jail_test.c.
 */
#ifndef KVMB_EVIL_H
#define KVMB_EVIL_H

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/block/disk.h"
#include "lib/loop.h"
#include "lib/util.h"
#include "tests/harness/daemon.h"
#include "tests/harness/open_named.h"

static char dir[64];
static int watch_fd = -1, sock_fd = -1;

static int make_images(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char cmd[256], path[128];

	(void)state;
	strcpy(dir, "/tmp/kvmbus-evil-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(cmd, sizeof(cmd), "python3 '" EVIL_IMAGES "' %s", dir);
	if (system(cmd))
		return -1;
	snprintf(path, sizeof(path), "%s/victim", dir);
	watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (inotify_add_watch(watch_fd, path, IN_OPEN | IN_ACCESS | IN_MODIFY) < 0)
		return -1;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/sock", dir);
	sock_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return bind(sock_fd, (struct sockaddr *)&a, sizeof(a)) || listen(sock_fd, 8);
}

static int remove_images(void **state)
{
	char cmd[128];

	(void)state;
	close(watch_fd);
	close(sock_fd);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	return system(cmd);
}

static bool victim_was_touched(void)
{
	char buf[4096];
	bool touched = read(watch_fd, buf, sizeof(buf)) > 0;
	int fd = accept4(sock_fd, NULL, NULL, SOCK_CLOEXEC);

	while (read(watch_fd, buf, sizeof(buf)) > 0)
		;
	if (fd >= 0)
		close(fd);
	return touched || fd >= 0;
}

/* "a.qcow2,backing=b.qcow2,format=qcow2", relative to dir */
static int open_spec(const char *text, struct kvmb_disk **d, char *why)
{
	struct kvmb_disk_spec spec = { .run_dir = dir };
	static char words[512], paths[KVMB_DISK_MAX_BACKING + 1][256];
	u32 n = 0;
	char *w, *s = words;

	snprintf(words, sizeof(words), "%s", text);
	while ((w = strsep(&s, ","))) {
		if (!strncmp(w, "format=", 7)) {
			spec.format = w + 7;
			continue;
		}
		if (!strncmp(w, "backing=", 8))
			w += 8;
		snprintf(paths[n], sizeof(paths[n]), strstr(w, ":/") ? "%.0s%s" : "%s/%s", dir, w);
		if (n)
			spec.backing[spec.num_backing++] = paths[n];
		else
			spec.path = paths[n];
		n++;
	}
	why[0] = 0;
	*d = NULL;
	return open_named(&spec, d, why, KVMB_DISK_WHY);
}

/* For each line of "cases": what to say after --disk, and words of the refusal. */
static int for_each_case(void (*fn)(const char *spec, const char *words))
{
	char line[512], *words;
	int n = 0;
	FILE *f;

	snprintf(line, sizeof(line), "%s/cases", dir);
	f = fopen(line, "r");
	assert_non_null(f);
	for (; fgets(line, sizeof(line), f); n++) {
		words = strchr(line, '\t');
		*words++ = 0;
		words[strcspn(words, "\n")] = 0;
		fn(line, words);
	}
	fclose(f);
	return n;
}

#endif
