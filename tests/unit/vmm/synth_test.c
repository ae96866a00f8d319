// SPDX-License-Identifier: GPL-2.0-only
/* A VM's synthetic devices: whose VMs have them, where memory may be, the screen, their section. */
#include "vmm/synth.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/boot/boot.h"
#include "machine/dev/ps2.h"
#include "machine/dev/screen.h"
#include "machine/dev/vga.h"
#include "machine/gen1.h"
#include "machine/mem.h"
#include "tests/harness/synth_guest.h"
#include "tests/unit/test.h"
#include "vmm/input.h"
#include "vmm/screen.h"

/* The guest is the box's; the devices are the VM's. */
static struct vm vm;
static u64 shown_at; /* slot of KVM's */
static u8 *shown;
static u8 card[KVMB_VIDEO_MEMORY * 2];
static bool kvm_refuses;

/* ---- the machine ---- */

int mem_show(struct machine *m, u32 slot, u64 gpa, void *hva, u64 size)
{
	assert_ptr_equal(m, &vm.machine);
	assert_int_equal(slot, MEM_SLOT_SYNTH);
	assert_true(!size == !!shown_at); /* one place at a time */
	if (size && kvm_refuses)
		return -EEXIST;
	shown_at = size ? gpa : 0;
	shown = hva;
	return 0;
}

bool acpi_has_mmio(const struct machine *m, u64 gpa, u64 size)
{
	(void)m;
	return gpa >= SYNTH_FREE && size <= SYNTH_FREE + (64u << 20) - gpa;
}

const u8 *vga_memory_at(const struct vga *v, u64 gpa, u64 len)
{
	assert_ptr_equal(v, &vm);
	return gpa >= SYNTH_CARD && gpa + len <= SYNTH_CARD + sizeof(card) ?
		       card + (gpa - SYNTH_CARD) :
		       NULL;
}

struct vga *gen1_vga(struct gen1 *g)
{
	return (struct vga *)g;
}
struct ps2 *gen1_ps2(struct gen1 *g)
{
	return (struct ps2 *)g;
}

bool ps2_key(struct ps2 *p, u32 code, bool down)
{
	(void)p, (void)code, (void)down;
	return true;
}

void ps2_mouse(struct ps2 *p, s32 dx, s32 dy, s32 dz, u32 buttons)
{
	(void)p, (void)dx, (void)dy, (void)dz, (void)buttons;
}

u64 vga_serial(struct vga *v)
{
	(void)v;
	return 0x1234567812345678;
}

int vga_screen(struct vga *v, struct screen_image *out)
{
	(void)v;
	*out = (struct screen_image){ 3, 2, calloc(6, sizeof(u32)) };
	return 0;
}

char *vga_text(struct vga *v)
{
	(void)v;
	return strdup("text\n");
}

/* ---- a VM and its guest ---- */

static char answer[200];

static void answered(void *arg, json_t *result, const char *class, const char *why)
{
	char *s = result ? json_dumps(result, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	(void)arg;
	if (s)
		snprintf(answer, sizeof(answer), "%s", s);
	else
		snprintf(answer, sizeof(answer), "%s: %s", class, why);
	free(s);
	json_decref(result);
}

static const struct ctl_reply reply = { .fn = answered };

static u32 begin(bool gen1, enum video_mode video)
{
	struct kvmb_wire_offer o[SYNTH_NUM + 1];
	u32 i, num;

	memset(&box, 0, sizeof(box));
	fake_init(&box.f, KVMB_VERSION_NEWEST);
	vm = (struct vm){ .cfg = { .name = "t", .video = video, .machine.gen1 = gen1 },
			  .loop = box.f.loop,
			  .bus = box.f.bus,
			  .state = VM_RUNNING };
	vm.machine.gen1 = gen1 ? (struct gen1 *)&vm : NULL;
	assert_int_equal(synth_create(&vm), 0);
	num = fake_connect(&box.f, KVMB_VERSION_NEWEST, o, ARRAY_SIZE(o));
	for (i = 0; i < num; i++) {
		const struct kvmb_guid keyboard = KVMB_KEYBOARD_TYPE_GUID;
		const struct kvmb_guid mouse = KVMB_MOUSE_TYPE_GUID;
		u32 which = kvmb_guid_equal(&o[i].type, &keyboard) ? SYNTH_KEYBOARD :
			    kvmb_guid_equal(&o[i].type, &mouse)	   ? SYNTH_MOUSE :
								     SYNTH_VIDEO;

		box.relid[which] = le32_to_cpu(o[i].relid);
		assert_int_equal(le16_to_cpu(o[i].mmio_megabytes), which == SYNTH_VIDEO ? 8 : 0);
	}
	return num;
}

static void end(void)
{
	u32 i;

	for (i = 0; i < SYNTH_NUM; i++) {
		if (box.is_open[i])
			fake_unmap(&box.c[i]);
		box.is_open[i] = false;
	}
	input_forget(&vm);
	fake_fini(&box.f);
	assert_true(!shown_at);
	synth_destroy(&vm);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(begin(true, VIDEO_AUTO), SYNTH_NUM);
	kvm_refuses = false;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	end();
	return 0;
}

/* ---- tests ---- */

static void synth_is_there_by_option_or_with_firmware(void **state)
{
	static const struct {
		bool gen1;
		enum video_mode video;
		u32 num;
	} vms[] = { { true, VIDEO_OFF, 0 },
		    { false, VIDEO_AUTO, 0 },
		    { false, VIDEO_OFF, 0 },
		    { false, VIDEO_ON, SYNTH_NUM },
		    { true, VIDEO_ON, SYNTH_NUM } };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(vms); i++) {
		end();
		CHECK_ROW(begin(vms[i].gen1, vms[i].video), vms[i].num, i);
		answer[0] = 0;
		CHECK_ROW(screen_is_there(&vm, reply), vms[i].gen1 || vms[i].num, i);
		assert_false(synth_shows(&vm) || synth_takes_keys(&vm) || synth_takes_points(&vm));
	}
}

static void screen_is_the_synthetic_one_while_it_shows(void **state)
{
	struct screen_image im = { 0 };
	u64 vga = screen_serial(&vm), synth;
	int fd = memfd_create("t", MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(screen_draw(&vm, fd, &im), 0);
	assert_int_equal(im.width, 3);
	screen_text(&vm, reply);
	assert_string_equal(answer, "{\"lines\":[\"text\"]}");
	synth_open_all();
	synth_ready_all(SYNTH_FREE);
	assert_true(shown_at == SYNTH_FREE && synth_shows(&vm));
	assert_int_equal(screen_draw(&vm, fd, &im), 0);
	assert_int_equal(im.width, 64);
	assert_int_equal(im.height, 4);
	synth = screen_serial(&vm);
	assert_true(synth != vga);
	screen_text(&vm, reply);
	assert_non_null(strstr(answer, "graphics"));
	synth_send(SYNTH_VIDEO, 0, "nonsense", 8); /* it has lied: back to the card */
	assert_true(!shown_at && !synth_shows(&vm));
	assert_true(screen_serial(&vm) == vga);
	assert_int_equal(screen_draw(&vm, fd, &im), 0);
	assert_int_equal(im.width, 3);
	close(fd);
}

static void screen_without_a_card_is_black_until_a_driver_comes(void **state)
{
	struct screen_image im = { 0 };
	int fd = memfd_create("t", MFD_ALLOW_SEALING);

	(void)state;
	end();
	begin(false, VIDEO_ON);
	assert_int_equal(screen_draw(&vm, fd, &im), 0);
	assert_int_equal(im.width, 640);
	screen_text(&vm, reply);
	assert_non_null(strstr(answer, "graphics"));
	synth_open_all();
	synth_ready_all(SYNTH_FREE);
	assert_int_equal(screen_draw(&vm, fd, &im), 0);
	assert_int_equal(im.width, 64);
	synth_close(SYNTH_VIDEO);
	assert_int_equal(screen_draw(&vm, fd, &im), 0);
	assert_int_equal(im.width, 640);
	close(fd);
}

static void video_memory_may_be_on_the_card(void **state)
{
	struct screen_image im = { 0 };

	(void)state;
	synth_open_all();
	synth_ready_all(SYNTH_CARD);
	assert_true(!shown_at && synth_shows(&vm));
	card[4] = 0x77;
	assert_int_equal(synth_screen(&vm, &im), 0);
	assert_int_equal(im.pixels[1], 0x77);
	free(im.pixels);
	end(); /* the same, where there is no card */
	begin(false, VIDEO_ON);
	synth_open_all();
	synth_ready_all(SYNTH_CARD);
	assert_false(synth_shows(&vm));
}

static void place_that_kvm_refuses_costs_the_channel(void **state)
{
	(void)state;
	kvm_refuses = true;
	synth_open_all();
	synth_ready_all(SYNTH_FREE);
	assert_false(synth_shows(&vm));
	assert_true(!shown_at);
	assert_true(synth_takes_keys(&vm)); /* others live */
	kvm_refuses = false;
	synth_close(SYNTH_VIDEO);
	synth_open(SYNTH_VIDEO, 64);
	video_ask_version(KVMB_VIDEO_VERSION(3, 2));
	video_locate(SYNTH_FREE, 1, true);
	video_situate(0, 32, 64, 4, 256);
	assert_true(synth_shows(&vm));
}

static void pointer_reaches_from_edge_to_edge(void **state)
{
	static const struct {
		u32 x, width;
		u16 to;
	} points[] = {
		{ 0, 1, 0 },
		{ 0, 1024, 0 },
		{ 1023, 1024, KVMB_MOUSE_MAX },
		{ 512, 1025, KVMB_MOUSE_MAX / 2 },
		{ 2559, 2560, KVMB_MOUSE_MAX },
	};
	struct kvmb_wire_mouse_report r;
	const u8 *body;
	size_t i;

	(void)state;
	synth_open_all();
	synth_ready_all(SYNTH_FREE);
	synth_hear_all(SYNTH_MOUSE);
	for (i = 0; i < ARRAY_SIZE(points); i++) {
		synth_point(&vm, points[i].x, points[i].x, points[i].width, points[i].width, -1,
			    PS2_RIGHT);
		body = synth_hears_message(SYNTH_MOUSE, KVMB_MOUSE_REPORT);
		assert_non_null(body);
		memcpy(&r, body, sizeof(r));
		CHECK_ROW(le16_to_cpu(r.x), points[i].to, i);
		CHECK_ROW(le16_to_cpu(r.y), points[i].to, i);
		CHECK_ROW(r.buttons, PS2_RIGHT, i);
	}
}

static int load(struct kvmb_tlv_out *o, char *why)
{
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;
	int err;

	assert_int_equal(kvmb_tlv_next(o->buf, o->len, &pos, &t, &e), 0);
	err = synth_load(&vm, &t);
	assert_int_equal(err, e.err);
	memcpy(why, e.text, sizeof(e.text));
	return err;
}

static void section_is_there_if_the_devices_are(void **state)
{
	struct kvmb_tlv_out o = { 0 }, none = { 0 };
	char why[200];

	(void)state;
	synth_save(&vm, &o);
	assert_true(o.len);
	assert_int_equal(load(&o, why), 0);
	end();
	begin(true, VIDEO_OFF);
	assert_int_not_equal(load(&o, why), 0);
	assert_non_null(strstr(why, "--video off"));
	synth_save(&vm, &none);
	assert_int_equal(none.len, 0);
	end();
	begin(true, VIDEO_AUTO);
	kvmb_tlv_begin(&none, KVMB_SEC_SYNTH, 0, 0);
	kvmb_tlv_end(&none);
	assert_int_not_equal(load(&none, why), 0);
	assert_non_null(strstr(why, "missing"));
	kvmb_tlv_out_fini(&o);
	kvmb_tlv_out_fini(&none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(synth_is_there_by_option_or_with_firmware),
		T(screen_is_the_synthetic_one_while_it_shows),
		T(screen_without_a_card_is_black_until_a_driver_comes),
		T(video_memory_may_be_on_the_card),
		T(place_that_kvm_refuses_costs_the_channel),
		T(pointer_reaches_from_edge_to_edge),
		T(section_is_there_if_the_devices_are),
	};

	kvmb_log_set_level(KVMB_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
