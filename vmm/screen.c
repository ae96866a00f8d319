// SPDX-License-Identifier: GPL-2.0-only
/* Pictures of the screen, and keys: screen.h. */
#include "vmm/screen.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/util.h"
#include "machine/dev/ps2.h"
#include "machine/dev/screen.h"
#include "machine/dev/vga.h"
#include "machine/gen1.h"
#include "vmm/keys.h"
#include "vmm/vm.h"

#define AGAIN_MS 20u
#define KEY_MS 50u /* between two keys: a BIOS takes all at once, and keeps 15 for its program */

struct typing {
	struct vm *vm;
	struct key_events keys;
	size_t at;
	u64 since_ms; /* it took a key last */
	struct kvmb_timer timer;
	struct ctl_reply reply;
};

bool screen_is_there(struct vm *vm, struct ctl_reply reply)
{
	if (vm->machine.gen1)
		return true;
	reply_refused(reply, "state", "the VM has no screen: it was started with --kernel");
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

int screen_draw(struct vm *vm, int fd, struct screen_image *im)
{
	int err = vga_screen(gen1_vga(vm->machine.gen1), im);
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
	char *text;

	if (!screen_is_there(vm, reply))
		return;
	text = vga_text(gen1_vga(vm->machine.gen1));
	if (text)
		reply_result(reply, json_pack("{s:o}", "lines", lines_of(text)));
	else
		reply_refused(reply, "state", "the screen shows graphics; ask for a picture");
	free(text);
}

/* ---- keys ---- */

static struct ctl_reply end_typing(struct vm *vm)
{
	struct typing *t = vm->typing;
	struct ctl_reply reply = t->reply;

	vm->typing = NULL;
	kvmb_timer_cancel(&t->timer);
	free(t->keys.list);
	free(t);
	return reply;
}

static void type_on(void *arg)
{
	struct vm *vm = arg;
	struct typing *t = vm->typing;
	struct ps2 *ps2 = gen1_ps2(vm->machine.gen1);

	bool released = false;

	while (t->at < t->keys.num && !released &&
	       ps2_key(ps2, t->keys.list[t->at].code, t->keys.list[t->at].down)) {
		released = !t->keys.list[t->at].down;
		t->at++;
		t->since_ms = kvmb_now_ms();
	}
	if (t->at == t->keys.num)
		reply_result(end_typing(vm), json_object());
	else if (kvmb_now_ms() - t->since_ms >= SCREEN_PATIENCE_MS)
		reply_refused(end_typing(vm), "failed", "the guest does not read its keyboard");
	else
		kvmb_timer_set(&t->timer, released ? KEY_MS : AGAIN_MS);
}

static void begin_typing(struct vm *vm, struct key_events keys, struct ctl_reply reply)
{
	struct typing *t = kvmb_xzalloc(sizeof(*t));

	*t = (struct typing){ .vm = vm, .keys = keys, .since_ms = kvmb_now_ms(), .reply = reply };
	kvmb_timer_init(&t->timer, vm->loop, type_on, vm);
	vm->typing = t;
	type_on(vm);
}

static bool may_type(struct vm *vm, struct ctl_reply reply)
{
	if (!screen_is_there(vm, reply))
		return false;
	if (!vm->typing && vm->state == VM_RUNNING)
		return true;
	reply_refused(reply, "state",
		      vm->typing ? "somebody else types; try again" : "the VM is not running");
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
		begin_typing(vm, keys, reply);
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
		begin_typing(vm, keys, reply);
}

void screen_forget(struct vm *vm)
{
	if (vm->typing)
		reply_refused(end_typing(vm), "state", "the VM has ended");
}
