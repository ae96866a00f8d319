// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus screenshot`, `kvmbus key` and `kvmbus type`: a VM's screen and keyboard. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "cli/png.h"
#include "lib/exits.h"
#include "lib/util.h"
#include "vmm/handover.h"

#define MAX_PIXELS (16u << 20)

static void show_lines(json_t *o)
{
	json_t *line;
	size_t i;

	json_array_foreach(json_object_get(o, "lines"), i, line)
		puts(json_is_string(line) ? json_string_value(line) : "");
}

static int text_of(struct cli_args *a)
{
	json_t *o = NULL;
	int err = client_ask(a->words[0], "screenshot", json_pack("{s:b}", "text", 1), &o);

	if (!err)
		client_show(o, cli_flag(a, "json"), show_lines);
	json_decref(o);
	return err;
}

/* Whatever the VM's process has written. Return: EXIT_*. */
static int write_png(const char *vm, int fd, const char *path)
{
	uint32_t head[2], *rgb;
	char why[300] = "";
	size_t bytes;
	int err = -EPROTO;

	if (pread(fd, head, sizeof(head), 0) != sizeof(head) || !head[0] || !head[1] ||
	    head[0] > PNG_MAX_SIDE || head[1] > PNG_MAX_SIDE ||
	    (uint64_t)head[0] * head[1] > MAX_PIXELS) {
		cli_error("VM \"%s\": its process has sent no picture", vm);
		return EXIT_FAILED;
	}
	bytes = (size_t)head[0] * head[1] * sizeof(*rgb);
	rgb = kvmb_xzalloc(bytes);
	if (pread(fd, rgb, bytes, sizeof(head)) == (ssize_t)bytes)
		err = png_write(path, rgb, head[0], head[1], why, sizeof(why));
	else
		snprintf(why, sizeof(why), "its process has sent a part of a picture");
	if (err)
		cli_error("VM \"%s\": screenshot: %s", vm, why);
	free(rgb);
	return err ? EXIT_FAILED : EXIT_OK;
}

static int picture_of(struct cli_args *a)
{
	int picture = memfd_create("kvmbus-screenshot", MFD_CLOEXEC | MFD_ALLOW_SEALING), fd, err;
	struct handover_fds fds = { .fd = { picture }, .num = 1 };
	json_t *o = NULL;

	if (picture < 0) {
		cli_error("screenshot: %s", strerror(errno));
		return EXIT_FAILED;
	}
	err = client_connect(a->words[0], &fd);
	if (!err) {
		err = client_ask_on(fd, a->words[0], "screenshot", NULL, &fds, &o);
		close(fd);
	}
	if (!err)
		err = write_png(a->words[0], picture, a->words[1]);
	if (!err && cli_flag(a, "json"))
		client_show(o, true, NULL);
	json_decref(o);
	close(picture);
	return err;
}

int cmd_screenshot(struct cli_args *a)
{
	if (cli_flag(a, "text") == (a->words[1] != NULL))
		return cli_bad(a->cmd, "name a file for the picture, or give --text");
	return cli_flag(a, "text") ? text_of(a) : picture_of(a);
}

static int ask_keyboard(struct cli_args *a, const char *what, const char *key)
{
	json_t *o = NULL;
	int err = client_ask(a->words[0], what, json_pack("{s:s}", key, a->words[1]), &o);

	if (!err && cli_flag(a, "json"))
		client_show(o, true, NULL);
	json_decref(o);
	return err;
}

int cmd_key(struct cli_args *a)
{
	return ask_keyboard(a, "key", "keys");
}

int cmd_type(struct cli_args *a)
{
	return ask_keyboard(a, "type", "text");
}
