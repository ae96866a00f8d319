// SPDX-License-Identifier: GPL-2.0-only
/*
 * Saved state of a gen1 machine: a good sample with changes, or bytes of any kind. What is taken
 * goes on, and is reset. Link it with --wrap=ioctl,--wrap=kvmb_log.
 */
#include "lib/log.h"
#include "tests/harness/gen1_box.h"
#include "tests/fuzz/fuzz_change.h"

static struct kvmb_tlv_out sample;

void __wrap_kvmb_log(enum kvmb_log_level level, const char *who, const char *fmt, ...);

/* Video memory that is where RAM is, and other firmware, are told of again and again. */
void __wrap_kvmb_log(enum kvmb_log_level level, const char *who, const char *fmt, ...)
{
	(void)level, (void)who, (void)fmt;
}

static void make_sample(void)
{
	box_install(&world[0], BIOS_HERE, VGA_BIOS, 1);
	box_install(&world[1], BIOS_THERE, VGA_BIOS, 9);
	box_build(&world[0], "one");
	gen1_box_live(&world[0]);
	box_save(&world[0], &sample);
	box_take_apart(&world[0]);
	box_uninstall(&world[0]);
}

static struct section copy_sample(void)
{
	struct section sec = { .len = sample.len - HEADER, .room = sample.len + 8192 };

	sec.buf = malloc(sec.room);
	memcpy(sec.buf, sample.buf + HEADER, sec.len);
	return sec;
}

static int load_section(const struct section *sec)
{
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv t = { .p = sec->buf, .len = sec->len, .error = &e };
	int err;

	t.tag = KVMB_SEC_MACHINE;
	err = gen1_load(world[1].m.gen1, &t);
	if (err != e.err || !e.text[0] != !err)
		abort(); /* whoever refuses says why */
	return err;
}

/* A guest that does a little of everything. */
static void go_on(struct world *w)
{
	struct ide *ide = gen1_ide(w->m.gen1);
	u32 i;

	gen1_loaded(w->m.gen1);
	ide_resume(ide);
	for (i = 0; i < 600; i++)
		inb(w, 0x511), inb(w, 0x1f0), inb(w, 0x170);
	for (i = 1; i < 8; i++)
		inb(w, (u16)(0x1f0 + i)), inb(w, (u16)(0x170 + i));
	for (i = 0; i < 64; i++)
		inb(w, 0x60), box_says(w, "a");
	box_config(w, 1, 1, 0x20, 0xc001);
	box_config(w, 1, 1, 4, 5);
	outb(w, 0xc000, 1), outb(w, 0xc008, 1);
	box_config(w, 2, 0, 0x10, VIDEO_AT);
	ide_stop(ide, NULL, NULL);
	gen1_enter(w->m.gen1);
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	struct section sec;
	struct change c;
	u32 changes = 0;

	if (!sample.len)
		make_sample();
	if (!left)
		return 0;
	box_build(&world[1], "another");
	sec = copy_sample();
	if (in[0] & 1) { /* bytes of any kind */
		sec.len = KVMB_MIN(left - 1, sec.room);
		memcpy(sec.buf, in + 1, sec.len);
		left = changes = 1;
	}
	for (in++, left--; left >= sizeof(c); in += sizeof(c), left -= sizeof(c), changes++) {
		memcpy(&c, in, sizeof(c));
		apply(&sec, &c);
	}
	if (!load_section(&sec))
		go_on(&world[1]);
	else if (!changes)
		abort(); /* the sample itself is good */
	box_take_apart(&world[1]);
	free(sec.buf);
	return 0;
}
