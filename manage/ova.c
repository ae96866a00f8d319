// SPDX-License-Identifier: GPL-2.0-only
/* The tar around an OVF: ovf.h. Source: libarchive, archive_read(3), tar(5). */
#include <archive.h>
#include <archive_entry.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io.h"
#include "lib/library.h"
#include "lib/sparse.h"
#include "lib/util.h"
#include "manage/import.h"
#include "manage/ovf.h"

#ifndef LIBARCHIVE /* a test has a host without it */
#define LIBARCHIVE "libarchive.so.13"
#endif

#define MOST_ENTRIES 1000u
#define BLOCK 65536u
#define HOLE 4096u

struct ova {
	typeof(archive_read_new) *read_new;
	typeof(archive_read_free) *read_free;
	typeof(archive_read_support_format_tar) *format_tar;
	typeof(archive_read_open_fd) *open_fd;
	typeof(archive_read_next_header) *next_header;
	typeof(archive_read_data) *read_data;
	typeof(archive_error_string) *error_string;
	typeof(archive_entry_pathname) *pathname;
	typeof(archive_entry_size) *entry_size;
	typeof(archive_entry_filetype) *filetype;
	typeof(archive_entry_hardlink) *hardlink;
	struct archive *a;
	unsigned int seen;
};

#define CALL(name, field)                         \
	{                                         \
		name, offsetof(struct ova, field) \
	}
static const struct kvmb_library_call calls_of_archive[] = {
	CALL("archive_read_new", read_new),
	CALL("archive_read_free", read_free),
	CALL("archive_read_support_format_tar", format_tar),
	CALL("archive_read_open_fd", open_fd),
	CALL("archive_read_next_header", next_header),
	CALL("archive_read_data", read_data),
	CALL("archive_error_string", error_string),
	CALL("archive_entry_pathname", pathname),
	CALL("archive_entry_size", entry_size),
	CALL("archive_entry_filetype", filetype),
	CALL("archive_entry_hardlink", hardlink),
};

static const struct kvmb_library libarchive = { "libarchive", "libarchive13", calls_of_archive,
						ARRAY_SIZE(calls_of_archive) };

bool ova_is(int fd)
{
	char magic[5];

	return !kvmb_pread_all(fd, magic, sizeof(magic), 257) && !memcmp(magic, "ustar", 5);
}

static int fail_ova(const struct ova *o, char *why, size_t size)
{
	const char *text = o->error_string(o->a);

	snprintf(why, size, "the archive: %s", text ? text : "it is damaged");
	return -EIO;
}

static int open_ova(struct ova *o, int fd, char *why, size_t size)
{
	int err = kvmb_library_take(dlopen(LIBARCHIVE, RTLD_NOW | RTLD_LOCAL), &libarchive, o, why,
				    size);

	if (err)
		return err;
	if (lseek(fd, 0, SEEK_SET))
		return -errno;
	o->a = o->read_new();
	o->seen = 0;
	kvmb_assert(o->a);
	o->format_tar(o->a);
	if (o->open_fd(o->a, fd, BLOCK) == ARCHIVE_OK)
		return 0;
	err = fail_ova(o, why, size);
	o->read_free(o->a);
	return err;
}

/* The next regular file that is in no directory. Return: 0; -ENOENT: no more; -errno. */
static int next_file(struct ova *o, struct archive_entry **e, char *why, size_t size)
{
	const char *name;
	int r;

	for (;;) {
		r = o->next_header(o->a, e);
		if (r == ARCHIVE_EOF)
			return -ENOENT;
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
			return fail_ova(o, why, size);
		if (++o->seen > MOST_ENTRIES) {
			snprintf(why, size, "the archive has too many files");
			return -E2BIG;
		}
		name = o->pathname(*e);
		if (name && !strchr(name, '/') && o->filetype(*e) == AE_IFREG && !o->hardlink(*e))
			return 0;
	}
}

static bool is_ovf(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && !strcasecmp(name + n - 4, ".ovf");
}

static int read_ovf(struct ova *o, struct archive_entry *e, char **text, size_t *len, char *why,
		    size_t size)
{
	int64_t bytes = o->entry_size(e);
	ssize_t n = 0;

	if (bytes <= 0 || bytes > IMPORT_TEXT) {
		snprintf(why, size, "its description is %s", bytes > 0 ? "too large" : "empty");
		return -EINVAL;
	}
	*text = kvmb_xzalloc((size_t)bytes + 1);
	for (*len = 0; *len < (size_t)bytes; *len += (size_t)n) {
		n = o->read_data(o->a, *text + *len, (size_t)bytes - *len);
		if (n <= 0)
			break;
	}
	if (n > 0)
		return 0;
	free(*text);
	*text = NULL;
	return fail_ova(o, why, size);
}

int ova_find_ovf(int fd, char **text, size_t *len, char *why, size_t size)
{
	struct archive_entry *e;
	struct ova o;
	int err = open_ova(&o, fd, why, size);

	if (err)
		return err;
	do {
		err = next_file(&o, &e, why, size);
	} while (!err && !is_ovf(o.pathname(e)));
	if (!err)
		err = read_ovf(&o, e, text, len, why, size);
	else if (err == -ENOENT)
		snprintf(why, size, "there is no .ovf in it");
	o.read_free(o.a);
	return err;
}

static int write_block(int to, const char *buf, size_t len, uint64_t at)
{
	size_t n;
	int err = 0;

	for (; !err && len; buf += n, len -= n, at += n) {
		n = KVMB_MIN(len, HOLE);
		if (!kvmb_all_zero(buf, n))
			err = kvmb_pwrite_all(to, buf, n, at);
	}
	return err;
}

static int unpack_file(struct ova *o, struct archive_entry *e, int to,
		       bool (*tell)(void *arg, const char *what, uint64_t done, uint64_t total),
		       void *arg, char *why, size_t size)
{
	char *buf = kvmb_xzalloc(BLOCK);
	int64_t bytes = o->entry_size(e);
	uint64_t at = 0;
	ssize_t n = 1;
	int err = ftruncate(to, bytes < 0 ? -1 : bytes) ? -errno : 0;

	if (err)
		snprintf(why, size, "%s", strerror(-err));
	while (!err && n > 0) {
		n = o->read_data(o->a, buf, BLOCK);
		if (n > 0 && at + (uint64_t)n > (uint64_t)bytes)
			n = -1;
		if (n > 0)
			err = write_block(to, buf, (size_t)n, at);
		if (err)
			snprintf(why, size, "%s", strerror(-err));
		at += n > 0 ? (uint64_t)n : 0;
		if (!err && !tell(arg, "unpacking", at, (uint64_t)bytes))
			err = -EINTR;
	}
	free(buf);
	if (!err && (n < 0 || at != (uint64_t)bytes))
		err = fail_ova(o, why, size);
	return err;
}

int ova_unpack(int fd, const char *name, int to,
	       bool (*tell)(void *arg, const char *what, uint64_t done, uint64_t total), void *arg,
	       char *why, size_t size)
{
	struct archive_entry *e;
	struct ova o;
	int err = open_ova(&o, fd, why, size);

	if (err)
		return err;
	do {
		err = next_file(&o, &e, why, size);
	} while (!err && strcmp(o.pathname(e), name));
	if (!err)
		err = unpack_file(&o, e, to, tell, arg, why, size);
	else if (err == -ENOENT)
		snprintf(why, size, "the archive has no file \"%s\"", name);
	o.read_free(o.a);
	return err;
}
