// SPDX-License-Identifier: GPL-2.0-only
/* Looking at disk images: probe.h. */
#include "manage/probe.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/image.h"
#include "lib/io.h"
#include "lib/util.h"
#include "manage/confined.h"
#include "manage/vhd.h"
#include "vmm/boot_find.h"

#define HEAD 65536u /* what boot_find() reads of a disk */

static const struct {
	const char *ours, *qemus;
} formats[] = { { "raw", "raw" },     { "vhd", "vpc" },	  { "vhdx", "vhdx" },
		{ "qcow2", "qcow2" }, { "vmdk", "vmdk" }, { "vdi", "vdi" } };

static const char *ours_of(const char *qemus)
{
	size_t i;

	for (i = 0; qemus && i < ARRAY_SIZE(formats); i++) {
		if (!strcmp(formats[i].qemus, qemus))
			return formats[i].ours;
	}
	return NULL;
}

static const char *qemus_of(const char *ours)
{
	size_t i;

	for (i = 0; ours && i < ARRAY_SIZE(formats); i++) {
		if (!strcmp(formats[i].ours, ours))
			return formats[i].qemus;
	}
	return NULL;
}

const char *probe_base_name(const char *name)
{
	const char *p;

	for (p = name; *p; p++) {
		if (*p == '/' || *p == '\\' || *p == ':')
			name = p + 1;
	}
	return *name && strcmp(name, ".") && strcmp(name, "..") ? name : NULL;
}

/* Return: what qemu-img says; NULL with @why. */
static json_t *ask_qemu(int fd, const char *format, char *why, size_t size)
{
	const char *argv[] = { "qemu-img", "info", "--output=json", "/proc/self/fd/10", NULL,
			       NULL,	   NULL };
	struct confined_file file = { fd, false };
	char *out = kvmb_xzalloc(CONFINED_OUT), said[PROBE_WHY];
	json_t *o = NULL;

	if (format) {
		argv[3] = "-f";
		argv[4] = qemus_of(format);
		argv[5] = "/proc/self/fd/10";
	}
	if (confined_ask(argv, &file, 1, out, said, sizeof(said))) {
		snprintf(why, size, "%s%s%s%s", format ? "it cannot be read as " : "",
			 format ? format : "", format ? ": " : "", said);
	} else {
		o = json_loads(out, 0, NULL);
		if (!json_is_object(o)) {
			snprintf(why, size, "qemu-img cannot tell what it is");
			json_decref(o);
			o = NULL;
		}
	}
	free(out);
	return o;
}

static const char *text_in(json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

/* A fixed VHD has only a footer, and QEMU looks at the beginning. */
static const char *format_of(int fd, json_t *o, char *why, size_t size)
{
	const char *qemus = text_in(o, "format"), *ours = ours_of(qemus);

	if (ours && !strcmp(ours, "raw") && vhd_has_footer(fd))
		return "vhd";
	if (!ours)
		snprintf(why, size, "its format is %.20s, which is not supported", qemus);
	return ours;
}

static bool take_parent(struct probe_image *p, const char *name, char *why, size_t size)
{
	const char *base = probe_base_name(name);

	if (base && strlen(base) < sizeof(p->parent)) {
		strcpy(p->parent, base);
		return true;
	}
	snprintf(why, size, "it is an overlay, and the name of its parent makes no sense");
	return false;
}

static bool find_parent(struct probe_image *p, json_t *o, char *why, size_t size)
{
	char name[PROBE_NAME] = "";
	int kind = 0;

	if (!strcmp(p->format, "qcow2") || !strcmp(p->format, "vmdk"))
		snprintf(name, sizeof(name), "%s", text_in(o, "backing-filename"));
	else if (!strcmp(p->format, "vhd"))
		kind = vhd_parent_of(p->fd, name, sizeof(name));
	if (kind < 0) {
		snprintf(why, size, "its header is damaged");
		return false;
	}
	return !*name || take_parent(p, name, why, size);
}

static bool is_stream(json_t *o)
{
	json_t *data = json_object_get(json_object_get(o, "format-specific"), "data");

	return !strcmp(text_in(data, "create-type"), "streamOptimized");
}

int probe_image(int fd, const char *format, struct probe_image *p, char *why, size_t size)
{
	json_t *o = ask_qemu(fd, format, why, size);
	json_int_t bytes = json_integer_value(json_object_get(o, "virtual-size"));
	int err = o ? 0 : -EINVAL;

	*p = (struct probe_image){ .fd = fd };
	if (!err) {
		p->format = format ? format : format_of(fd, o, why, size);
		p->bytes = bytes > 0 ? (uint64_t)bytes : 0;
		p->stream = is_stream(o);
		if (!p->format || !find_parent(p, o, why, size))
			err = -EINVAL;
	}
	/* a parent is looked for in its folder; all else that it could name is not */
	if (!err && !(p->parent[0] && !strcmp(p->format, "vhd")))
		err = kvmb_image_check(fd, p->format, p->parent[0], why, size);
	if (!err && !p->bytes) {
		snprintf(why, size, "it is empty");
		err = -EINVAL;
	}
	json_decref(o);
	return err;
}

void probe_chain_opts(const struct probe_chain *c, unsigned int first, char *opts, size_t size)
{
	char prefix[PROBE_CHAIN * 8 + 1] = "";
	unsigned int i;
	size_t n = 0;

	for (i = 0; i < c->num && n < size; i++) {
		n += (size_t)snprintf(opts + n, size - n,
				      "%s%sdriver=%s,%sfile.driver=file,"
				      "%sfile.filename=/proc/self/fd/%u,%sread-only=on",
				      i ? "," : "", prefix, qemus_of(c->at[i].format), prefix,
				      prefix, first + i, prefix);
		strcat(prefix, "backing.");
	}
}

/* ---- which firmware ---- */

struct head {
	uint8_t bytes[HEAD];
};

static bool read_head(void *arg, u64 offset, void *buf, u32 len)
{
	struct head *h = arg;

	if (offset > HEAD || len > HEAD - offset)
		return false;
	memcpy(buf, h->bytes + offset, len);
	return true;
}

/* Its first bytes, by qemu-img into memory. */
static bool fetch_head(const struct probe_chain *c, struct head *h)
{
	struct confined_file files[PROBE_CHAIN + 1];
	char opts[2048], src[2200], *out = kvmb_xzalloc(CONFINED_OUT), why[PROBE_WHY];
	const char *argv[] = { "qemu-img", "convert", "--image-opts",	  "-O",
			       "raw",	   src,	      "/proc/self/fd/10", NULL };
	struct probe_chain part = *c;
	int fd = memfd_create("head", MFD_CLOEXEC);
	size_t n = 0;
	unsigned int i;
	bool ok;

	/* "a.driver=x" of a chain below "raw" is "file.a.driver=x" */
	files[0] = (struct confined_file){ fd, true };
	for (i = 0; i < c->num; i++)
		files[i + 1] = (struct confined_file){ c->at[i].fd, false };
	probe_chain_opts(&part, CONFINED_FILES + 1, opts, sizeof(opts));
	n = (size_t)snprintf(src, sizeof(src), "driver=raw,read-only=on,offset=0,size=%llu",
			     (unsigned long long)KVMB_MIN(c->at[0].bytes & ~511ull, HEAD));
	for (char *s = opts, *word; (word = strsep(&s, ",")) && n < sizeof(src);)
		n += (size_t)snprintf(src + n, sizeof(src) - n, ",file.%s", word);
	ok = fd >= 0 && n < sizeof(src) &&
	     !confined_ask(argv, files, c->num + 1, out, why, sizeof(why)) &&
	     pread(fd, h->bytes, HEAD, 0) > 0;
	if (fd >= 0)
		close(fd);
	free(out);
	return ok;
}

enum probe_boot probe_boot(const struct probe_chain *c)
{
	struct head *h = kvmb_xzalloc(sizeof(*h));
	struct boot_source s = { .read = read_head, .arg = h };
	enum boot_kind kind = BOOT_NONE;
	bool ok;

	if (!strcmp(c->at[0].format, "raw"))
		ok = pread(c->at[0].fd, h->bytes, HEAD, 0) > 0;
	else
		ok = fetch_head(c, h);
	if (ok)
		kind = boot_find(&s);
	free(h);
	return kind == BOOT_UEFI ? PROBE_BOOT_UEFI :
	       kind == BOOT_BIOS ? PROBE_BOOT_BIOS :
				   PROBE_BOOT_NONE;
}

void probe_chain_close(struct probe_chain *c)
{
	while (c->num)
		close(c->at[--c->num].fd);
}
