// SPDX-License-Identifier: GPL-2.0-only
/* One VNC client: vnc_client.h. */
#include "cli/vnc_client.h"

#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cli/vnc_keys.h"
#include "cli/vnc_lib.h"
#include "lib/loop.h"
#include "lib/util.h"
#include "vmm/display.h"

#define FIRST_MS 10000 /* until the VM has sent a picture */
#define WRONG_MS 1000u /* after a wrong password */
#define BAND 16u       /* lines whose changes are marked together */

struct service {
	const struct vnc_client *c;
	struct vnc_keys keys;
	char *passwords[2]; /* of rfbCheckPasswordByList() */
	rfbScreenInfoPtr screen;
	rfbClientPtr client;
	uint32_t *shown; /* the library's frame buffer */
	uint32_t *new;	 /* new[of.height * of.width]: what the VM has sent last */
	struct display_picture of;
	bool asked; /* the VM for a picture */
	bool vm_is_gone, client_is_gone;
};

static struct service *service_of(rfbClientPtr cl)
{
	return cl->screen->screenData;
}

/* ---- to the VM ---- */

static void tell_vm(struct service *s, uint32_t op, uint32_t a, uint32_t b, uint32_t c)
{
	const struct display_say word = { op, a, b, c };

	if (send(s->c->display, &word, sizeof(word), MSG_NOSIGNAL) != sizeof(word))
		s->vm_is_gone = true;
}

static void press_key(void *arg, uint16_t code, bool down)
{
	tell_vm(arg, DISPLAY_KEY, code, down, 0);
}

static void on_key(rfbBool down, rfbKeySym keysym, rfbClientPtr cl)
{
	vnc_key(&service_of(cl)->keys, keysym, down);
}

/* RFB's five buttons are numbered as ours. */
static void on_pointer(int buttons, int x, int y, rfbClientPtr cl)
{
	if (x >= 0 && y >= 0)
		tell_vm(service_of(cl), DISPLAY_POINTER, (uint32_t)x, (uint32_t)y,
			(uint32_t)buttons & 31);
}

/* ---- pictures ---- */

static size_t pixels_of(const struct display_picture *p)
{
	return (size_t)p->width * p->height;
}

/* Return: 1; 0: there is none; -errno; -EPIPE: the VM is gone. */
static int take_picture(struct service *s)
{
	struct display_picture p;
	ssize_t n = recv(s->c->display, &p, sizeof(p), MSG_DONTWAIT);
	uint32_t *new;

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n != sizeof(p) || !p.width || !p.height || p.width > DISPLAY_MAX_WIDTH ||
	    p.height > DISPLAY_MAX_HEIGHT)
		return -EPIPE;
	new = realloc(s->new, pixels_of(&p) * sizeof(*new));
	if (!new)
		return -ENOMEM;
	s->new = new;
	s->of = p;
	s->asked = false;
	memset(new, 0, pixels_of(&p) * sizeof(*new));
	/* by pread(): who has the memfd may truncate it */
	return pread(s->c->picture, new, pixels_of(&p) * sizeof(*new), sizeof(p)) < 0 ? -errno : 1;
}

static int take_first_picture(struct service *s)
{
	struct pollfd p = { .fd = s->c->display, .events = POLLIN };

	tell_vm(s, DISPLAY_LOOK, 0, 0, 0);
	return poll(&p, 1, FIRST_MS) == 1 ? take_picture(s) : -ETIMEDOUT;
}

/* Red is in the third byte, whatever the library would like. */
static void set_format(rfbScreenInfoPtr screen)
{
	screen->serverFormat.redShift = 16;
	screen->serverFormat.greenShift = 8;
	screen->serverFormat.blueShift = 0;
}

/* Of @width pixels: where the first and the last differ. Return: false: nowhere. */
static bool differ(const uint32_t *a, const uint32_t *b, uint32_t width, uint32_t *from,
		   uint32_t *to)
{
	uint32_t i = 0, end = width;

	if (!memcmp(a, b, width * sizeof(*a)))
		return false;
	while (a[i] == b[i])
		i++;
	while (a[end - 1] == b[end - 1])
		end--;
	*from = KVMB_MIN(*from, i);
	*to = KVMB_MAX(*to, end);
	return true;
}

/* Lines @y to @end of the new picture are shown from now on. */
static void show_band(struct service *s, uint32_t y, uint32_t end)
{
	uint32_t screen_width = (uint32_t)s->screen->width, from = UINT32_MAX, to = 0, i;
	uint32_t width = KVMB_MIN(screen_width, s->of.width);

	for (i = y; i < end; i++) {
		uint32_t *shown = s->shown + (size_t)i * screen_width;
		const uint32_t *new = s->new + (size_t)i * s->of.width;

		if (differ(shown, new, width, &from, &to))
			memcpy(shown, new, width * sizeof(*shown));
	}
	if (from < to)
		vnc.rfbMarkRectAsModified(s->screen, (int)from, (int)y, (int)to, (int)end);
}

/* Of another size than the client knows: it keeps what does not overlap, and that is black. */
static void blacken(struct service *s)
{
	memset(s->shown, 0,
	       (size_t)s->screen->width * (size_t)s->screen->height * sizeof(*s->shown));
	vnc.rfbMarkRectAsModified(s->screen, 0, 0, s->screen->width, s->screen->height);
}

static int take_size(struct service *s)
{
	uint32_t *shown = calloc(pixels_of(&s->of), sizeof(*shown));

	if (!shown)
		return -ENOMEM;
	vnc.rfbNewFramebuffer(s->screen, (char *)shown, (int)s->of.width, (int)s->of.height, 8, 3,
			      4);
	set_format(s->screen);
	s->screen->setTranslateFunction(s->client);
	free(s->shown);
	s->shown = shown;
	return 0;
}

static bool has_size(const struct service *s, const struct display_picture *p)
{
	return s->screen->width == (int)p->width && s->screen->height == (int)p->height;
}

static int show_picture(struct service *s, const struct display_picture *before)
{
	uint32_t y, height;
	int err = 0;

	if (!has_size(s, &s->of) && s->client->useNewFBSize)
		err = take_size(s);
	else if (before->width != s->of.width || before->height != s->of.height)
		blacken(s);
	height = KVMB_MIN((uint32_t)s->screen->height, s->of.height);
	for (y = 0; !err && y < height; y += BAND)
		show_band(s, y, KVMB_MIN(y + BAND, height));
	return err;
}

/* ---- the library ---- */

static void on_gone(rfbClientPtr cl)
{
	service_of(cl)->client_is_gone = true;
	service_of(cl)->client = NULL;
}

/* One who tries passwords has a try a second, of each of his connections. */
static rfbBool check_password(rfbClientPtr cl, const char *response, int len)
{
	const struct timespec wrong = { .tv_sec = WRONG_MS / 1000 };
	rfbBool right = vnc.rfbCheckPasswordByList(cl, response, len);

	if (!right)
		nanosleep(&wrong, NULL);
	return right;
}

static enum rfbNewClientAction on_new(rfbClientPtr cl)
{
	cl->clientGoneHook = on_gone;
	return RFB_CLIENT_ACCEPT;
}

static void ignore_cut(char *text, int len, rfbClientPtr cl)
{
	(void)text, (void)len, (void)cl;
}

static int begin_screen(struct service *s)
{
	int argc = 0;

	vnc.rfbLogEnable(0); /* a stranger would write into our log */
	s->screen = vnc.rfbGetScreen(&argc, NULL, (int)s->of.width, (int)s->of.height, 8, 3, 4);
	s->shown = calloc(pixels_of(&s->of), sizeof(*s->shown));
	if (!s->screen || !s->shown)
		return -ENOMEM;
	set_format(s->screen);
	s->screen->frameBuffer = (char *)s->shown;
	s->screen->screenData = s;
	s->screen->desktopName = s->c->name;
	s->screen->cursor = NULL; /* the guest draws its own */
	s->screen->alwaysShared = TRUE;
	s->screen->deferUpdateTime = 0;
	s->screen->permitFileTransfer = FALSE;
	s->screen->kbdAddEvent = on_key;
	s->screen->ptrAddEvent = on_pointer;
	s->screen->setXCutText = ignore_cut;
	s->screen->newClientHook = on_new;
	if (s->c->password) {
		s->passwords[0] = (char *)s->c->password;
		s->screen->authPasswdData = s->passwords;
		s->screen->passwordCheck = check_password;
	}
	return 0;
}

/* It has all of the last picture, and wants another one. */
static bool wants_picture(const struct service *s)
{
	return s->client && s->client->state == RFB_NORMAL &&
	       !vnc.sraRgnEmpty(s->client->requestedRegion);
}

/* Return: milliseconds that it has to greet; -1: it has; 0: too late. */
static int patience(const struct service *s, uint64_t until)
{
	uint64_t now = kvmb_now_ms();

	if (s->client->state == RFB_NORMAL)
		return -1;
	return now < until ? (int)(until - now) : 0;
}

/* Return: 0, or -errno: it ends. */
static int serve_once(struct service *s, uint64_t until)
{
	struct pollfd p[] = { { .fd = s->c->sock, .events = POLLIN },
			      { .fd = s->c->display, .events = POLLIN },
			      { .fd = s->c->door } };
	const struct display_picture before = s->of;
	int ms = patience(s, until), got = 0;

	if (!ms)
		return -ETIMEDOUT;
	if (!s->asked && wants_picture(s)) {
		tell_vm(s, DISPLAY_LOOK, 0, 0, 0);
		s->asked = true;
	}
	if (poll(p, ARRAY_SIZE(p), ms) < 0 && errno != EINTR)
		return -errno;
	if (p[2].revents)
		return -EPIPE;
	if (p[1].revents)
		got = take_picture(s);
	if (got > 0)
		got = show_picture(s, &before);
	if (got < 0)
		return got;
	vnc.rfbProcessEvents(s->screen, 0);
	return s->vm_is_gone ? -EPIPE : 0;
}

int vnc_client_run(const struct vnc_client *c)
{
	struct service s = { .c = c };
	const uint64_t until = kvmb_now_ms() + VNC_GREET_MS;
	int err = take_first_picture(&s);

	s.keys = (struct vnc_keys){ .press = press_key, .arg = &s };
	if (err > 0)
		err = c->sock < FD_SETSIZE ? begin_screen(&s) : -EMFILE; /* select() */
	if (err)
		return err;
	memcpy(s.shown, s.new, pixels_of(&s.of) * sizeof(*s.shown));
	s.client = vnc.rfbNewClient(s.screen, c->sock);
	while (!err && s.client && !s.client_is_gone)
		err = serve_once(&s, until);
	return 0;
}
