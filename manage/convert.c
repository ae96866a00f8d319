// SPDX-License-Identifier: GPL-2.0-only
/* Converting images: convert.h. */
#include "manage/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/util.h"
#include "manage/confined.h"
#include "manage/copier.h"
#include "manage/probe.h"

#define TICK_MS 200
#define OPTS 2048

static void list_files(const struct probe_chain *c, struct confined_file *files, unsigned int first)
{
	unsigned int i;

	for (i = 0; i < c->num; i++)
		files[first + i] = (struct confined_file){ c->at[i].fd, false };
}

/* "    (12.34/100%)" as often as it likes, each with a carriage return. */
static double percent_in(const char *text, double before)
{
	const char *p = strrchr(text, '(');
	double v;

	return p && sscanf(p, "(%lf/100%%)", &v) == 1 && v >= 0 && v <= 100 ? v : before;
}

/* Until it closes its output. Return: 0 or -EINTR. */
static int follow(struct confined *run, uint64_t total, const struct convert_ear *ear)
{
	char text[512];
	double percent = 0;
	ssize_t n;

	for (;;) {
		n = confined_read(run, text, sizeof(text) - 1, TICK_MS);
		if (n > 0) {
			text[n] = 0;
			percent = percent_in(text, percent);
		} else if (n != -EAGAIN) {
			return 0;
		}
		if (!ear->tell(ear->arg, "converting", (uint64_t)((double)total * percent / 100),
			       total))
			return -EINTR;
	}
}

static int run_qemu_img(const struct probe_chain *c, int to, const char *format,
			const struct convert_ear *ear, char *why, size_t size)
{
	struct confined_file files[PROBE_CHAIN + 1] = { { to, true } };
	bool vhd = !strcmp(format, "vhd");
	char opts[OPTS];
	const char *argv[] = {
		"qemu-img", "convert",		"-p", "--image-opts", "-O", vhd ? "vpc" : format,
		opts,	    "/proc/self/fd/10", NULL, NULL,	      NULL
	};
	struct confined run;
	int err, status;

	if (vhd) { /* force_size: as large as it is, not rounded to cylinders */
		argv[6] = "-o";
		argv[7] = "subformat=dynamic,force_size=on";
		argv[8] = opts;
		argv[9] = "/proc/self/fd/10";
	}
	list_files(c, files, 1);
	probe_chain_opts(c, CONFINED_FILES + 1, opts, sizeof(opts));
	err = confined_start(&run, argv, files, c->num + 1, why, size);
	if (err)
		return err;
	err = follow(&run, c->at[0].bytes, ear);
	status = confined_end(&run, err != 0);
	if (err) {
		snprintf(why, size, "interrupted");
	} else if (status) {
		snprintf(why, size, "%s", run.said[0] ? run.said : "qemu-img failed");
		err = -EIO;
	}
	return err;
}

/* ---- by our copier ---- */

struct ear_and_what {
	const struct convert_ear *ear;
	const char *what;
};

static bool pass_on(void *arg, uint64_t done, uint64_t total)
{
	struct ear_and_what *e = arg;

	return e->ear->tell(e->ear->arg, e->what, done, total);
}

static int run_copier(struct copier_source *s, int to, const char *what,
		      const struct convert_ear *ear, char *why, size_t size)
{
	struct ear_and_what e = { ear, what };
	struct copier c = { .source = s, .fd = to, .fresh = true, .tell = pass_on, .arg = &e };
	int err = ftruncate(to, (off_t)s->bytes) ? -errno : 0;

	if (err) {
		snprintf(why, size, "%s", strerror(-err));
	} else {
		err = copier_run(&c, why, size);
	}
	if (c.source)
		c.source->ops->close(c.source);
	return err;
}

int convert_copy(int from, int to, const struct convert_ear *ear, char *why, size_t size)
{
	struct copier_source *s;

	if (!ioctl(to, FICLONE, from)) {
		if (!fsync(to))
			return 0;
		snprintf(why, size, "%s", strerror(errno));
		return -errno;
	}
	s = copy_file_take(from, "", why, size);
	return s ? run_copier(s, to, "copying", ear, why, size) : -EIO;
}

static bool is_vhd_chain(const struct probe_chain *c)
{
	return c->num > 1 && !strcmp(c->at[0].format, "vhd");
}

/* QEMU reads no differencing VHD: first one raw image, then that in the format. */
static int flatten_vhds(const struct probe_chain *c, int to, const char *format, int dir,
			const struct convert_ear *ear, char *why, size_t size)
{
	bool raw = !strcmp(format, "raw");
	int fd = raw ? to : openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct copier_source *s = copy_vhd_open(c, why, size);
	struct probe_chain whole = { .num = 1 };
	int err = s ? 0 : -EINVAL;

	if (!err && fd < 0) {
		err = -errno;
		snprintf(why, size, "%s", strerror(-err));
		s->ops->close(s);
	}
	if (!err) {
		whole.at[0] = (struct probe_image){ .fd = fd, .format = "raw", .bytes = s->bytes };
		err = run_copier(s, fd, "flattening", ear, why, size);
	}
	if (!err && !raw)
		err = run_qemu_img(&whole, to, format, ear, why, size);
	if (!raw && fd >= 0)
		close(fd);
	return err;
}

int convert_chain(const struct probe_chain *c, int to, const char *format, int dir,
		  const struct convert_ear *ear, char *why, size_t size)
{
	int err;

	if (is_vhd_chain(c))
		err = flatten_vhds(c, to, format, dir, ear, why, size);
	else if (c->num == 1 && !strcmp(format, "raw") && !strcmp(c->at[0].format, "raw"))
		err = convert_copy(c->at[0].fd, to, ear, why, size);
	else
		err = run_qemu_img(c, to, format, ear, why, size);
	if (!err && fsync(to)) {
		err = -errno;
		snprintf(why, size, "%s", strerror(-err));
	}
	return err;
}

uint64_t convert_needs(const struct probe_chain *c)
{
	struct confined_file files[PROBE_CHAIN];
	char opts[OPTS], why[PROBE_WHY], *out = kvmb_xzalloc(CONFINED_OUT);
	const char *argv[] = { "qemu-img",     "measure", "--output=json",
			       "--image-opts", "-O",	  "qcow2",
			       opts,	       NULL };
	json_int_t bytes = 0;
	json_t *o;

	list_files(c, files, 0);
	probe_chain_opts(c, CONFINED_FILES, opts, sizeof(opts));
	if (!is_vhd_chain(c) && !confined_ask(argv, files, c->num, out, why, sizeof(why))) {
		o = json_loads(out, 0, NULL);
		bytes = json_integer_value(json_object_get(o, "required"));
		json_decref(o);
	}
	free(out);
	return bytes > 0 ? (uint64_t)bytes : 0;
}
