// SPDX-License-Identifier: GPL-2.0-only
/* Reading and writing the file of a saved VM: state_file.h. */
#include "vmm/state_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/sparse.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/mem_source.h"

#define CONFIG_AT 4096u
#define CHUNK (1u << 20) /* bytes between two reports, and of one write at most */
#define RAM_MAX (1ull << 46)

enum { STATUS_WRITING = 1, STATUS_COMPLETE = 2, STATUS_USED = 3 };

struct header { /* little-endian */
	char magic[16];
	__le32 version;
	__le32 status; /* not in the CRC: written by itself */
	__le64 ram_bytes;
	__le64 sections_at, sections_len;
	__le32 sections_crc; /* CRC-32C */
	__le32 crc;	     /* CRC-32C of what is above with status and this field zero */
};
static_assert(sizeof(struct header) == 56, "docs/migration.md");

static_assert(CONFIG_AT + STATE_FILE_CONFIG_MAX == STATE_FILE_MEMORY_AT,
	      "options end where memory begins");

static const char magic[16] = "kvmbus state\n\x1a\n";

static __le32 header_crc(const struct header *h)
{
	struct header copy = *h;

	copy.status = 0;
	copy.crc = 0;
	return cpu_to_le32(~kvmb_crc32c(~0u, &copy, sizeof(copy)));
}

static int file_failed(char *why, const char *what, int err)
{
	snprintf(why, STATE_FILE_WHY, "%s: %s", what, strerror(-err));
	return err;
}

/* ---- writing ---- */

static int write_at(int fd, const void *buf, size_t len, u64 at)
{
	const u8 *p = buf;
	ssize_t n;

	for (; len; len -= (size_t)n, p += n, at += (u64)n) {
		n = pwrite(fd, p, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return n ? -errno : -EIO;
	}
	return 0;
}

/* Pages at the front that are all zero, or all not. Return: bytes. */
static u64 alike(const u8 *p, u64 len, bool *zero)
{
	u64 n;

	*zero = kvmb_all_zero(p, KVMB_PAGE_SIZE);
	for (n = KVMB_PAGE_SIZE; n < len; n += KVMB_PAGE_SIZE) {
		if (kvmb_all_zero(p + n, KVMB_PAGE_SIZE) != *zero)
			break;
	}
	return n;
}

static int write_chunk(int fd, const u8 *p, u64 len, u64 at)
{
	bool zero;
	u64 n;
	int err = 0;

	for (; len && !err; len -= n, p += n, at += n) {
		n = alike(p, len, &zero);
		if (!zero)
			err = write_at(fd, p, n, at);
	}
	return err;
}

/* The regions follow each other in the file, and in this process (machine/mem.c). */
static int write_memory(int fd, const struct kvmb_gm *gm, const struct state_file_progress *p)
{
	u64 size = kvmb_gm_size(gm), at, from, to, n;
	const u8 *ram = gm->regions[0].hva;
	int err, data;

	for (at = 0; (data = kvmb_next_data(gm->memfd, at, size, &from, &to)) > 0; at = to) {
		for (; from < to; from += n) {
			n = KVMB_MIN(to - from, CHUNK);
			err = write_chunk(fd, ram + from, n, STATE_FILE_MEMORY_AT + from);
			if (err)
				return err;
			if (!p->fn(p->arg, from + n, size))
				return -ECANCELED;
		}
	}
	return data;
}

int state_file_write(int fd, const struct kvmb_gm *gm, const void *sections, size_t len,
		     const struct state_file_progress *p, char *why)
{
	struct header h = {
		.version = cpu_to_le32(1),
		.status = cpu_to_le32(STATUS_WRITING),
		.ram_bytes = cpu_to_le64(kvmb_gm_size(gm)),
		.sections_at = cpu_to_le64(STATE_FILE_MEMORY_AT + kvmb_gm_size(gm)),
		.sections_len = cpu_to_le64(len),
		.sections_crc = cpu_to_le32(~kvmb_crc32c(~0u, sections, len)),
	};
	int err;

	memcpy(h.magic, magic, sizeof(magic));
	h.crc = header_crc(&h);
	err = write_at(fd, &h, sizeof(h), 0);
	if (!err)
		err = write_memory(fd, gm, p);
	if (!err)
		err = write_at(fd, sections, len, STATE_FILE_MEMORY_AT + kvmb_gm_size(gm));
	if (!err && fdatasync(fd))
		err = -errno;
	return err ? file_failed(why, "cannot write the state", err) : 0;
}

int state_file_put_config(int fd, const void *config, size_t len)
{
	int err;

	kvmb_assert(len <= STATE_FILE_CONFIG_MAX);
	err = write_at(fd, config, len, CONFIG_AT);
	return err ? err : fdatasync(fd) ? -errno : 0;
}

static int set_status(int fd, u32 status)
{
	__le32 s = cpu_to_le32(status);
	int err = write_at(fd, &s, sizeof(s), offsetof(struct header, status));

	return err ? err : fdatasync(fd) ? -errno : 0;
}

int state_file_complete(int fd)
{
	return set_status(fd, STATUS_COMPLETE);
}

/* Synced last: what was written in vain never goes to the disk, and the VM does not wait for it. */
void state_file_void(int fd)
{
	__le32 used = cpu_to_le32(STATUS_USED);
	int err = write_at(fd, &used, sizeof(used), offsetof(struct header, status));

	if (ftruncate(fd, KVMB_PAGE_SIZE) && err)
		return;
	fdatasync(fd);
}

/* ---- reading ---- */

static int read_all(int fd, void *buf, size_t len, u64 at)
{
	u8 *p = buf;
	ssize_t n;

	for (; len; len -= (size_t)n, p += n, at += (u64)n) {
		n = pread(fd, p, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return n ? -errno : -EPROTO;
	}
	return 0;
}

bool state_file_has_config(int fd, const void *config, size_t len)
{
	u8 *have = kvmb_xzalloc(len);
	bool same = !read_all(fd, have, len, CONFIG_AT) && !memcmp(have, config, len);

	free(have);
	return same;
}

static int check_header(const struct header *h, char *why)
{
	const char *what = NULL;

	if (memcmp(h->magic, magic, sizeof(magic)))
		what = "this is not the state of a VM";
	else if (le32_to_cpu(h->version) != 1)
		what = "this state is of a newer kvmbus";
	else if (h->crc != header_crc(h))
		what = "its header is damaged";
	else if (le32_to_cpu(h->status) == STATUS_WRITING)
		what = "the save was not finished";
	else if (le32_to_cpu(h->status) != STATUS_COMPLETE)
		what = "it was used before; its VM has gone on since";
	else if (!h->ram_bytes || le64_to_cpu(h->ram_bytes) > RAM_MAX ||
		 le64_to_cpu(h->sections_at) != STATE_FILE_MEMORY_AT + le64_to_cpu(h->ram_bytes) ||
		 le64_to_cpu(h->sections_len) > KVMB_TLV_MAX_SECTION)
		what = "its header makes no sense";
	if (!what)
		return 0;
	snprintf(why, STATE_FILE_WHY, "%s", what);
	return le32_to_cpu(h->status) == STATUS_USED ? -ESTALE : -EPROTO;
}

static int read_sections(struct state_file *f, const struct header *h, char *why)
{
	int err;

	f->len = le64_to_cpu(h->sections_len);
	f->sections = malloc(f->len + 1);
	if (!f->sections)
		return file_failed(why, "its sections", -ENOMEM);
	err = read_all(f->fd, f->sections, f->len, le64_to_cpu(h->sections_at));
	if (!err && le32_to_cpu(h->sections_crc) == ~kvmb_crc32c(~0u, f->sections, f->len))
		return 0;
	free(f->sections);
	f->sections = NULL;
	if (err && err != -EPROTO)
		return file_failed(why, "its sections", err);
	snprintf(why, STATE_FILE_WHY, "it is %s", err ? "cut off" : "damaged");
	return -EPROTO;
}

static int read_config(struct state_file *f, char *why)
{
	int err;

	f->config_len = STATE_FILE_CONFIG_MAX;
	f->config = malloc(f->config_len);
	if (!f->config)
		return file_failed(why, "its options", -ENOMEM);
	err = read_all(f->fd, f->config, f->config_len, CONFIG_AT);
	if (!err)
		return 0;
	free(f->config);
	f->config = NULL;
	return file_failed(why, "its options", err);
}

int state_file_open(struct state_file *f, int fd, char *why)
{
	struct header h;
	int err = read_all(fd, &h, sizeof(h), 0);

	*f = (struct state_file){ .fd = fd };
	if (err == -EPROTO)
		snprintf(why, STATE_FILE_WHY, "this is not the state of a VM");
	else if (err)
		file_failed(why, "cannot read it", err);
	if (!err)
		err = check_header(&h, why);
	if (!err)
		err = read_sections(f, &h, why);
	if (!err)
		err = read_config(f, why);
	f->ram_bytes = err ? 0 : le64_to_cpu(h.ram_bytes);
	if (err) {
		f->fd = -1; /* not ours */
		state_file_close(f);
	}
	return err;
}

/* A hole at its end is no memory, and no end of the file either: sections follow. */
static bool is_whole(const struct state_file *f)
{
	struct stat st;

	return !fstat(f->fd, &st) &&
	       (u64)st.st_size >= STATE_FILE_MEMORY_AT + f->ram_bytes + f->len;
}

int state_file_check_memory(const struct state_file *f, const struct kvmb_gm *gm, char *why)
{
	u64 size = kvmb_gm_size(gm);

	if (size != f->ram_bytes) {
		snprintf(why, STATE_FILE_WHY, "it has %llu bytes of memory, the VM %llu",
			 (unsigned long long)f->ram_bytes, (unsigned long long)size);
		return -EPROTO;
	}
	if (!is_whole(f)) {
		snprintf(why, STATE_FILE_WHY, "it was given up, or cut off");
		return -ESTALE;
	}
	return 0;
}

int state_file_memory(const struct state_file *f, struct mem_source **out, char *why)
{
	int fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 3);
	struct mem_source *s = NULL;

	if (fd >= 0)
		s = mem_source_file(fd, STATE_FILE_MEMORY_AT, f->ram_bytes);
	if (s) {
		*out = s;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return file_failed(why, "its memory", -ENOMEM);
}

int state_file_read_memory(struct state_file *f, const struct kvmb_gm *gm, char *why)
{
	struct mem_source *s = NULL;
	int err = state_file_check_memory(f, gm, why);

	if (!err)
		err = state_file_memory(f, &s, why);
	if (err)
		return err;
	err = mem_source_fill(s, gm->regions[0].hva);
	mem_source_close(s);
	return err ? file_failed(why, "its memory", err) : 0;
}

/* The last look: whoever saved it may have given it up since it was opened. */
int state_file_use(struct state_file *f)
{
	__le32 status;
	int err = read_all(f->fd, &status, sizeof(status), offsetof(struct header, status));

	if (!err && le32_to_cpu(status) != STATUS_COMPLETE)
		err = -ESTALE;
	if (err)
		return err;
	err = set_status(f->fd, STATUS_USED);
	if (err) /* the guest does not run: it may be tried again */
		set_status(f->fd, STATUS_COMPLETE);
	return err;
}

void state_file_close(struct state_file *f)
{
	free(f->sections);
	free(f->config);
	f->sections = f->config = NULL;
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}
