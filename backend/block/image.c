// SPDX-License-Identifier: GPL-2.0-only
/* Files that an image's header names; why that matters: image.h. */
#include "backend/block/image.h"

#include <sys/stat.h>
#include <unistd.h>

#include "lib/be.h"
#include "lib/util.h"
#include "vmbus-core/env.h"

#define SECTOR 512u
#define QCOW2_CLUSTER_MAX (2u << 20) /* all that can name something is in the first cluster */
#define QCOW2_DATA_FILE 4u	     /* incompatible feature */
#define QCOW2_EXT_DATA_FILE 0x44415441u
#define VMDK_DESC_MAX (1u << 20)
#define VMDK_QEMU_DESC \
	(20 * SECTOR) /* QEMU reads this much at sector 1, whatever the header says */
#define VHD_FIXED 2
#define VHD_DIFFERENCING 4

struct part { /* a private copy of a part of the file */
	u8 *p;
	size_t len; /* may be less than was asked for, at the file's end */
};

static u64 le64(const u8 *p)
{
	__le64 v;

	memcpy(&v, p, sizeof(v));
	return le64_to_cpu(v);
}

/* @part->p is free()d by the caller, also after a failure. */
static int fetch(int fd, u64 at, size_t len, struct part *part, char *why, size_t size)
{
	ssize_t n = 0;

	part->len = 0;
	part->p = malloc(len + 1); /* a 0 behind it: it may be searched as text */
	if (part->p && at <= INT64_MAX - len)
		n = pread(fd, part->p, len, (off_t)at);
	if (!part->p || n < 0) {
		n = part->p ? -errno : -ENOMEM;
		snprintf(why, size, "it cannot be read: %s", strerror((int)-n));
		return (int)n;
	}
	part->len = (size_t)n;
	part->p[n] = 0;
	return 0;
}

void kvmb_image_quote(char *out, const unsigned char *name, size_t len, size_t step)
{
	size_t i, n = 0;
	bool wide;

	for (i = 0; i + step <= len && n < KVMB_IMAGE_NAME - 1; i += step) {
		wide = step == 2 && name[i + 1];
		if (!name[i] && !wide)
			break;
		out[n++] = !wide && name[i] >= 0x20 && name[i] < 0x7f ? (char)name[i] : '?';
	}
	out[n] = 0;
}

int kvmb_image_overlay(const char *parent, bool can_name, char *why, size_t size)
{
	if (can_name)
		snprintf(
			why, size,
			"it is an overlay of \"%s\", which kvmbus opens only if you name it: "
			"backing=FILE",
			parent);
	else
		snprintf(
			why, size,
			"it is an overlay of \"%s\", which kvmbus does not open: overlays must be "
			"qcow2 or vmdk",
			parent);
	return -EINVAL;
}

static int not_a(const char *what, char *why, size_t size)
{
	snprintf(why, size, "it is not a %s image, or its header is damaged", what);
	return -EINVAL;
}

/* ---- qcow2 ---- */

/* The name in the extension for a data file. Return: false when there is no such extension. */
static bool data_file_of(const struct part *h, u32 at, char *name)
{
	u32 type, len;

	while (at <= h->len && h->len - at >= 8) {
		type = get_be32(h->p + at);
		len = get_be32(h->p + at + 4);
		at += 8;
		if (!type)
			break;
		if (type == QCOW2_EXT_DATA_FILE) {
			kvmb_image_quote(name, h->p + at, KVMB_MIN(len, h->len - at), 1);
			return true;
		}
		if (len > h->len - at)
			break;
		at += KVMB_ALIGN_UP(len, 8u);
	}
	return false;
}

static int qcow2_names(const struct part *h, bool has_parent, char *why, size_t size)
{
	u32 version = get_be32(h->p + 4), header_len = version >= 3 ? get_be32(h->p + 100) : 72;
	u64 features = version >= 3 ? get_be64(h->p + 72) : 0, parent = get_be64(h->p + 8);
	char name[KVMB_IMAGE_NAME] = "";

	if (data_file_of(h, header_len, name) || features & QCOW2_DATA_FILE) {
		snprintf(why, size,
			 "it keeps its data in another file, \"%s\", which kvmbus does not open: "
			 "the image must be a single file",
			 name);
		return -EINVAL;
	}
	if (get_be32(h->p + 32)) {
		snprintf(why, size, "it is encrypted, which is not supported");
		return -EINVAL;
	}
	if (!parent || has_parent)
		return 0;
	if (parent < h->len)
		kvmb_image_quote(name, h->p + parent,
				 KVMB_MIN(get_be32(h->p + 16), h->len - parent), 1);
	return kvmb_image_overlay(name, true, why, size);
}

static int check_qcow2(int fd, bool has_parent, char *why, size_t size)
{
	struct part h;
	u32 version;
	int err = fetch(fd, 0, QCOW2_CLUSTER_MAX, &h, why, size);

	if (!err && (h.len < 104 || memcmp(h.p, "QFI\xfb", 4)))
		err = not_a("qcow2", why, size);
	version = err ? 0 : get_be32(h.p + 4);
	if (!err && version != 2 && version != 3) {
		snprintf(why, size,
			 "it is a qcow image of version %u; versions 2 and 3 are supported",
			 version);
		err = -EINVAL;
	}
	if (!err)
		err = qcow2_names(&h, has_parent, why, size);
	free(h.p);
	return err;
}

/* ---- vmdk ---- */

/* What stands in quotes next, on the same line. */
static void quoted(const char *text, char *name)
{
	const char *from = strpbrk(text, "\"\n"), *to;

	name[0] = 0;
	if (!from || *from == '\n')
		return;
	to = strpbrk(from + 1, "\"\n");
	kvmb_image_quote(name, (const u8 *)from + 1,
			 to ? (size_t)(to - from) - 1 : strlen(from + 1), 1);
}

/* The first extent that a descriptor lists. */
static void first_extent(const char *text, char *name)
{
	static const char *const access[] = { "RW ", "RDONLY ", "NOACCESS " };
	const char *line = text;
	size_t i;

	name[0] = 0;
	while (line) {
		for (i = 0; i < ARRAY_SIZE(access); i++) {
			if (strncmp(line, access[i], strlen(access[i])))
				continue;
			quoted(line, name);
			return;
		}
		line = strchr(line, '\n');
		if (line)
			line++;
	}
}

static int names_extents(const char *descriptor, char *why, size_t size)
{
	char name[KVMB_IMAGE_NAME];

	first_extent(descriptor, name);
	snprintf(
		why, size,
		"it is a VMDK descriptor that keeps its data in other files, \"%s\", which kvmbus "
		"does not open: the image must be a single file",
		name);
	return -EINVAL;
}

/*
 * A descriptor may name a parent; QEMU looks for the name at sector 1, others where the header
 * says.
 */
static int vmdk_parent(int fd, u64 at, size_t len, char *why, size_t size)
{
	char name[KVMB_IMAGE_NAME];
	struct part d;
	const char *hint;
	int err = fetch(fd, at, len, &d, why, size);

	hint = err ? NULL : strstr((const char *)d.p, "parentFileNameHint");
	if (hint) {
		quoted(hint, name);
		err = kvmb_image_overlay(name, true, why, size);
	}
	free(d.p);
	return err;
}

static int check_sparse(int fd, const u8 *h, bool has_parent, char *why, size_t size)
{
	u64 capacity = le64(h + 12), sector = le64(h + 28), sectors = le64(h + 36);
	u64 at = sector < INT64_MAX / SECTOR ? sector * SECTOR : 0;
	size_t len = sectors < VMDK_DESC_MAX / SECTOR ? (size_t)sectors * SECTOR : VMDK_DESC_MAX;
	struct part d;
	int err;

	if (!capacity) { /* then the descriptor counts, and may list any file */
		err = fetch(fd, at, len, &d, why, size);
		if (!err)
			err = names_extents((const char *)d.p, why, size);
		free(d.p);
		return err;
	}
	if (has_parent)
		return 0;
	err = vmdk_parent(fd, SECTOR, VMDK_QEMU_DESC, why, size);
	return err || at == SECTOR ? err : vmdk_parent(fd, at, len, why, size);
}

static int check_vmdk(int fd, bool has_parent, char *why, size_t size)
{
	struct part h;
	int err = fetch(fd, 0, VMDK_DESC_MAX, &h, why, size);

	if (!err && h.len >= SECTOR && !memcmp(h.p, "KDMV", 4))
		err = check_sparse(fd, h.p, has_parent, why, size);
	else if (!err && strstr((const char *)h.p, "# Disk DescriptorFile"))
		err = names_extents((const char *)h.p, why, size);
	else if (!err)
		err = not_a("monolithic sparse VMDK", why, size);
	free(h.p);
	return err;
}

/* ---- vhd ---- */

/* The parent's name is in the header of a dynamic one, to which the footer points. */
static int vhd_parent(int fd, const u8 *footer, char *why, size_t size)
{
	char name[KVMB_IMAGE_NAME] = "";
	struct part d;
	int err = fetch(fd, get_be64(footer + 16), 1024, &d, why, size);

	if (!err && d.len >= 64 + 512) /* UTF-16, big-endian: from its first low byte on */
		kvmb_image_quote(name, d.p + 65, 511, 2);
	free(d.p);
	return err ? err : kvmb_image_overlay(name, false, why, size);
}

/* Return: the type in the footer at @at, 0 when there is none; -EINVAL for a differencing one. */
static int vhd_footer(int fd, u64 at, char *why, size_t size)
{
	struct part f;
	int type, err = fetch(fd, at, SECTOR, &f, why, size);

	type = !err && f.len >= SECTOR - 1 && !memcmp(f.p, "conectix", 8) ?
		       (int)(get_be32(f.p + 60) & 0xffff) :
		       0;
	if (type == VHD_DIFFERENCING)
		err = vhd_parent(fd, f.p, why, size);
	free(f.p);
	return err ? err : type;
}

/*
 * It is at the end, and one that is not fixed has a copy in front; QEMU takes it for fixed if that
 * is not there.
 */
static int check_vhd(int fd, char *why, size_t size)
{
	struct stat st;
	int front = vhd_footer(fd, 0, why, size), end;

	if (front < 0 || fstat(fd, &st))
		return front < 0 ? front : -errno;
	/* old ones have a footer of 511 bytes */
	end = st.st_size > (off_t)SECTOR ?
		vhd_footer(fd, KVMB_ALIGN_UP((u64)st.st_size, SECTOR) - SECTOR, why, size) : 0;
	if (end < 0)
		return end;
	return front || end == VHD_FIXED ? 0 : not_a("VHD", why, size);
}

/* ---- all ---- */

static int check_vdi(int fd, char *why, size_t size)
{
	static const u8 signature[] = { 0x7f, 0x10, 0xda, 0xbe };
	struct part h;
	int err = fetch(fd, 0, SECTOR, &h, why, size); /* it has no room for a name */

	if (!err && (h.len < SECTOR || memcmp(h.p + 64, signature, 4)))
		err = not_a("VDI", why, size);
	free(h.p);
	return err;
}

int kvmb_image_check(int fd, const char *format, bool has_parent, char *why, size_t size)
{
	if (!strcmp(format, "raw"))
		return 0;
	if (!strcmp(format, "qcow2"))
		return check_qcow2(fd, has_parent, why, size);
	if (!strcmp(format, "vmdk"))
		return check_vmdk(fd, has_parent, why, size);
	if (!strcmp(format, "vhd"))
		return check_vhd(fd, why, size);
	if (!strcmp(format, "vhdx"))
		return kvmb_image_vhdx(fd, why, size);
	if (!strcmp(format, "vdi"))
		return check_vdi(fd, why, size);
	snprintf(why, size, "%.8s is not a file format", format);
	return -EINVAL;
}
