// SPDX-License-Identifier: GPL-2.0-only
/* Pictures of the screen, and keys: screen.h. */
#include "vmm/screen.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/util.h"
#include "machine/dev/screen.h"
#include "machine/dev/vga.h"
#include "machine/gen1.h"
#include "vmm/input.h"
#include "vmm/keys.h"
#include "vmm/synth.h"
#include "vmm/vm.h"

/* Of a screen that no driver has taken. */
#define BLANK_WIDTH 640u
#define BLANK_HEIGHT 400u

bool screen_is_there(struct vm *vm, struct ctl_reply reply)
{
	if (vm->machine.gen1 || vm->synth)
		return true;
	reply_refused(reply, "state",
		      "the VM has no screen: it was started with --kernel and without --video on");
	return false;
}

/* ---- pictures ---- */

/* Whatever a client sends, we wait for no file system. */
bool screen_is_memory(int fd)
{
	struct stat st;

	return fcntl(fd, F_GET_SEALS) >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode);
}

static int write_picture(int fd, const void *p, size_t len, off_t at)
{
	ssize_t n;

	while (len) {
		n = pwrite(fd, p, len, at);
		if (n <= 0)
			return n ? -errno : -EIO;
		p = (const u8 *)p + n;
		len -= (size_t)n;
		at += n;
	}
	return 0;
}

static int draw_blank(struct screen_image *im)
{
	*im = (struct screen_image){ BLANK_WIDTH, BLANK_HEIGHT,
				     calloc(BLANK_WIDTH * BLANK_HEIGHT, sizeof(u32)) };
	return im->pixels ? 0 : -ENOMEM;
}

static int draw_screen(struct vm *vm, struct screen_image *im)
{
	int err = synth_screen(vm, im);

	if (err != -ENODATA)
		return err;
	return vm->machine.gen1 ? vga_screen(gen1_vga(vm->machine.gen1), im) : draw_blank(im);
}

/* Numbers of two sources are never the same, but by chance. */
u64 screen_serial(struct vm *vm)
{
	if (synth_shows(vm))
		return synth_serial(vm);
	return vm->machine.gen1 ? vga_serial(gen1_vga(vm->machine.gen1)) : 0;
}

int screen_draw(struct vm *vm, int fd, struct screen_image *im)
{
	int err = draw_screen(vm, im);
	u32 head[2] = { im->width, im->height };

	if (err)
		return err;
	err = write_picture(fd, head, sizeof(head), 0);
	if (!err)
		err = write_picture(fd, im->pixels, (size_t)im->width * im->height * sizeof(u32),
				    sizeof(head));
	free(im->pixels);
	im->pixels = NULL;
	return err;
}

void screen_shot(struct vm *vm, int fd, struct ctl_reply reply)
{
	struct screen_image im = { 0 };
	int err;

	if (!screen_is_memory(fd)) {
		reply_refused(reply, "usage", "a memfd must come with the command");
	} else if (screen_is_there(vm, reply)) {
		err = screen_draw(vm, fd, &im);
		if (err)
			reply_refused(reply, "failed", "no picture: %s", strerror(-err));
		else
			reply_result(reply, json_pack("{s:i, s:i}", "width", (int)im.width,
						      "height", (int)im.height));
	}
	close(fd);
}

static json_t *lines_of(const char *text)
{
	json_t *lines = json_array();
	size_t n;

	for (; *text; text += n + (text[n] == '\n')) {
		n = strcspn(text, "\n");
		json_array_append_new(lines, json_stringn(text, n));
	}
	return lines;
}

void screen_text(struct vm *vm, struct ctl_reply reply)
{
	char *text = NULL;

	if (!screen_is_there(vm, reply))
		return;
	if (vm->machine.gen1 && !synth_shows(vm))
		text = vga_text(gen1_vga(vm->machine.gen1));
	if (text)
		reply_result(reply, json_pack("{s:o}", "lines", lines_of(text)));
	else
		reply_refused(reply, "state", "the screen shows graphics; ask for a picture");
	free(text);
}

/* ---- keys ---- */

static bool may_type(struct vm *vm, struct ctl_reply reply)
{
	if (!screen_is_there(vm, reply))
		return false;
	if (!input_types(vm) && vm->state == VM_RUNNING)
		return true;
	reply_refused(reply, "state",
		      input_types(vm) ? "somebody else types; try again" : "the VM is not running");
	return false;
}

static void refuse_keys(struct ctl_reply reply, int err, const char *wrong)
{
	if (err == -EINVAL && wrong && *wrong)
		reply_refused(reply, "usage", "there is no key for \"%.20s\"", wrong);
	else
		reply_refused(reply, "usage", "%s",
			      err == -E2BIG ? "that is too much at once" : "there is no key in it");
}

void screen_key(struct vm *vm, const char *names, struct ctl_reply reply)
{
	struct key_events keys = { 0 };
	const char *wrong = NULL;
	int err;

	if (!may_type(vm, reply))
		return;
	err = keys_press(names, &keys, &wrong);
	if (err)
		refuse_keys(reply, err, wrong);
	else
		input_type(vm, keys, reply);
}

void screen_type(struct vm *vm, const char *text, struct ctl_reply reply)
{
	struct key_events keys = { 0 };
	const char *wrong = NULL;
	int err;

	if (!may_type(vm, reply))
		return;
	err = keys_type(text, &keys, &wrong);
	if (err)
		refuse_keys(reply, err, wrong);
	else
		input_type(vm, keys, reply);
}
