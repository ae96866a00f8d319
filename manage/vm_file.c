// SPDX-License-Identifier: GPL-2.0-only
/* Reading and writing VMs' files: vm_file.h. */
#include "manage/vm_file.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io.h"
#include "lib/library.h"
#include "lib/util.h"

#ifndef LIBINIH /* a test has a host without it */
#define LIBINIH "libinih.so.1"
#endif

#define PIECE 120u   /* bytes of a value that libinih gets at once; it has room for 199 */
#define KEY_MOST 40u /* bytes of a key */

struct ini_calls {
	typeof(ini_parse_stream) *parse_stream;
};

static const struct kvmb_library_call calls_of_inih[] = {
	{ "ini_parse_stream", offsetof(struct ini_calls, parse_stream) },
};

static const struct kvmb_library libinih = { "libinih", "libinih1", calls_of_inih,
					     ARRAY_SIZE(calls_of_inih) };

struct vm_file_reader {
	const char *name, *at, *end; /* what of the text is not read yet */
	const char *more, *more_end; /* what of the value of this line is not handed over yet */
	uint32_t line;
	bool goes_on; /* what the handler gets next belongs to the value before */
	struct vm_file *f;
	char *why;
	size_t size;
	bool failed;
};

static void refuse_line(struct vm_file_reader *r, const char *what)
{
	if (!r->failed)
		snprintf(r->why, r->size, "%s:%u: %s", r->name, r->line, what);
	r->failed = true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Where the text of a line ends: a comment behind it is none of it. */
static const char *end_of_text(const char *s, const char *end)
{
	const char *p;

	for (p = s + 1; p < end; p++) {
		if (*p == ';' && is_blank(p[-1])) {
			end = p;
			break;
		}
	}
	while (end > s && is_blank(end[-1]))
		end--;
	return end;
}

static bool check_bytes(struct vm_file_reader *r, const char *s, const char *end)
{
	for (; s < end; s++) {
		if (!iscntrl((unsigned char)*s) || *s == '\t')
			continue;
		refuse_line(r, "a control character; it must be text");
		return false;
	}
	return true;
}

/* Where a piece of a value may end: libinih takes spaces off, and some beginnings for a comment. */
static const char *end_of_piece(const char *s, const char *end)
{
	const char *p;

	if ((size_t)(end - s) <= PIECE)
		return end;
	for (p = s + PIECE; p > s; p--) {
		if (!is_blank(p[0]) && !is_blank(p[-1]) && !strchr("#;[", p[0]))
			return p;
	}
	return NULL;
}

/* The next line that is not empty. Return: false: there is none, or it is refused. */
static bool next_line(struct vm_file_reader *r, const char **s, const char **end)
{
	const char *nl;

	while (r->at < r->end) {
		r->line++;
		*s = r->at;
		nl = memchr(r->at, '\n', (size_t)(r->end - r->at));
		*end = nl ? nl : r->end;
		r->at = nl ? nl + 1 : r->end;
		if (*end > *s && (*end)[-1] == '\r')
			(*end)--;
		while (*s < *end && is_blank(**s))
			(*s)++;
		if (*s == *end || **s == '#' || **s == ';')
			continue;
		*end = end_of_text(*s, *end);
		if (!check_bytes(r, *s, *end))
			return false;
		if ((size_t)(*end - *s) < VM_FILE_MAX_LINE)
			return true;
		refuse_line(r, "the line is too long");
		return false;
	}
	return false;
}

/* As fgets(): what libinih reads, a line or a piece of one. */
static char *feed_inih(char *str, int num, void *stream)
{
	struct vm_file_reader *r = stream;
	const char *s = r->more, *end = r->more_end, *stop;
	size_t len;

	r->goes_on = s != NULL;
	if (r->failed || (!s && !next_line(r, &s, &end)))
		return NULL;
	stop = end_of_piece(s, end);
	if (!stop || stop - s + 3 > num) {
		refuse_line(r, "libinih cannot hold such a line");
		return NULL;
	}
	len = (size_t)(stop - s); /* an indent says that it goes on */
	snprintf(str, (size_t)num, "%s%.*s\n", r->goes_on ? " " : "", (int)len, s);
	r->more = stop < end ? stop : NULL;
	r->more_end = end;
	return str;
}

static char *append(char *to, const char *more)
{
	char *text = NULL;

	if (asprintf(&text, "%s%s", to, more) < 0)
		text = NULL;
	kvmb_assert(text);
	free(to);
	return text;
}

static void add_line(struct vm_file *f, const char *key, const char *value, uint32_t line)
{
	/* by powers of two */
	if (!(f->num & (f->num - 1)))
		f->values = realloc(f->values, (f->num ? 2 * f->num : 1) * sizeof(*f->values));
	kvmb_assert(f->values);
	f->values[f->num++] = (struct vm_file_value){ strdup(key), strdup(value), line };
}

static int take_value(void *user, const char *section, const char *name, const char *value)
{
	struct vm_file_reader *r = user;

	if (r->failed)
		return 0;
	if (*section && strcmp(section, "vm"))
		refuse_line(r, "it is in another section than [vm]");
	else if (r->goes_on && r->f->num)
		r->f->values[r->f->num - 1].value =
			append(r->f->values[r->f->num - 1].value, value);
	else
		add_line(r->f, name, value, r->line);
	return !r->failed;
}

/* As options are called. */
static bool is_key(const char *s, const char *end)
{
	const char *p = s;

	while (p < end && (isalnum((unsigned char)*p) || *p == '-' || *p == '_'))
		p++;
	if (p == s || (size_t)(p - s) > KEY_MOST)
		return false;
	while (p < end && is_blank(*p))
		p++;
	return p == end;
}

/* What libinih would take for something else, or only count: before it reads. */
static void look_at_line(struct vm_file_reader *r, const char *s, const char *end)
{
	const char *eq = memchr(s, '=', (size_t)(end - s));

	if (*s == '[' && end[-1] == ']')
		return;
	if (*s == '[' || !eq || !is_key(s, eq))
		refuse_line(r, "write KEY = VALUE");
}

/* libinih hands a value over before it reads another line: r->line is the value's. */
static int parse_text(struct vm_file_reader *r, const struct ini_calls *ini)
{
	struct vm_file_reader look = *r;
	const char *s, *end;

	while (!look.failed && next_line(&look, &s, &end))
		look_at_line(&look, s, end);
	r->failed = look.failed;
	if (!r->failed && ini->parse_stream(feed_inih, r, take_value, r))
		refuse_line(r, "write KEY = VALUE");
	return r->failed ? -EINVAL : 0;
}

int vm_file_parse(const char *name, const char *text, size_t len, struct vm_file *f, char *why,
		  size_t size)
{
	struct vm_file_reader r = {
		.name = name, .at = text, .end = text + len, .f = f, .why = why, .size = size
	};
	void *lib = dlopen(LIBINIH, RTLD_NOW | RTLD_LOCAL);
	struct ini_calls ini;
	char what[200];
	int err;

	*f = (struct vm_file){ 0 };
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		r.at += 3; /* of an editor */
	err = kvmb_library_take(lib, &libinih, &ini, what, sizeof(what));
	if (err) {
		snprintf(why, size, "%s: %s", name, what);
		return err;
	}
	err = parse_text(&r, &ini);
	dlclose(lib);
	return err;
}

static int read_text(int fd, char **text, size_t *len)
{
	struct stat st;
	int err;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > VM_FILE_MAX)
		return -EFBIG;
	*len = (size_t)st.st_size;
	*text = malloc(*len + 1);
	if (!*text)
		return -ENOMEM;
	err = kvmb_pread_all(fd, *text, *len, 0);
	(*text)[*len] = 0;
	return err;
}

int vm_file_read(const char *path, struct vm_file *f, char *why, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;
	char *text = NULL;
	size_t len = 0;

	*f = (struct vm_file){ 0 };
	err = read_text(fd, &text, &len);
	if (err)
		snprintf(why, size, "%s: %s", path,
			 err == -EINVAL ? "it is not a file" :
			 err == -EFBIG	? "too large for a VM's file" :
					  strerror(-err));
	else
		err = vm_file_parse(path, text, len, f, why, size);
	free(text);
	if (fd >= 0)
		close(fd);
	return err;
}

void vm_file_free(struct vm_file *f)
{
	size_t i;

	for (i = 0; i < f->num; i++) {
		free(f->values[i].key);
		free(f->values[i].value);
	}
	free(f->values);
	*f = (struct vm_file){ 0 };
}

/* ---- writing ---- */

static bool can_hold(const char *value)
{
	size_t i, len = strlen(value);

	if (len >= VM_FILE_MAX_LINE - KEY_MOST - 3 ||
	    (len && (is_blank(value[0]) || is_blank(value[len - 1]) || value[0] == ';')))
		return false;
	for (i = 0; i < len; i++) {
		if (iscntrl((unsigned char)value[i]) ||
		    (value[i] == ';' && i && is_blank(value[i - 1])))
			return false;
	}
	return true;
}

int vm_file_put(FILE *out, const char *key, const char *value)
{
	if (!can_hold(value))
		return -EINVAL;
	fprintf(out, "%s = %s\n", key, value);
	return 0;
}

void vm_file_remark(FILE *out, const char *text)
{
	fputs("# ", out);
	for (; *text; text++)
		fputc(iscntrl((unsigned char)*text) ? '?' : *text, out);
	fputc('\n', out);
}

int vm_file_make(int dir, const char *name, const char *text, size_t len)
{
	int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), err;
	char self[32];

	if (fd < 0)
		return -errno;
	err = kvmb_pwrite_all(fd, text, len, 0);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (!err && (fsync(fd) || linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW))) {
		err = -errno;
	} else if (!err && fsync(dir)) {
		err = -errno;
		unlinkat(dir, name, 0); /* ours: nothing was there before */
	}
	close(fd);
	return err;
}
