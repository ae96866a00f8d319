// SPDX-License-Identifier: GPL-2.0-only
/* Writing PNG by the simple interface of libpng 1.6: libpng-manual, "VI. The simplified API". */
#include "cli/png.h"

#include <dlfcn.h>
#include <png.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "lib/library.h"
#include "lib/util.h"

#ifndef LIBPNG /* a test has a host without it */
#define LIBPNG "libpng16.so.16"
#endif

struct png_calls {
	typeof(png_image_write_to_stdio) *write_to_stdio;
	typeof(png_image_free) *image_free;
};

static const struct kvmb_library_call calls_of_png[] = {
	{ "png_image_write_to_stdio", offsetof(struct png_calls, write_to_stdio) },
	{ "png_image_free", offsetof(struct png_calls, image_free) },
};

static const struct kvmb_library libpng = { "libpng", "libpng16-16", calls_of_png,
					    ARRAY_SIZE(calls_of_png) };

static uint8_t *bytes_of(const uint32_t *rgb, size_t num)
{
	uint8_t *bytes = malloc(num * 3);
	size_t i;

	for (i = 0; bytes && i < num; i++) {
		bytes[i * 3] = (uint8_t)(rgb[i] >> 16);
		bytes[i * 3 + 1] = (uint8_t)(rgb[i] >> 8);
		bytes[i * 3 + 2] = (uint8_t)rgb[i];
	}
	return bytes;
}

static int write_image(const struct png_calls *png, FILE *f, const uint8_t *bytes, uint32_t width,
		       uint32_t height, char *why, size_t size)
{
	png_image image = { .version = PNG_IMAGE_VERSION,
			    .width = width,
			    .height = height,
			    .format = PNG_FORMAT_RGB };

	errno = 0;
	if (png->write_to_stdio(&image, f, 0, bytes, 0, NULL) && !fflush(f))
		return 0;
	snprintf(why, size, "cannot write the picture: %s",
		 errno ? strerror(errno) : image.message);
	png->image_free(&image);
	return errno ? -errno : -EIO;
}

static bool is_file(const char *path)
{
	struct stat st;

	return !lstat(path, &st) && S_ISREG(st.st_mode);
}

static int write_file(const struct png_calls *png, const char *path, const uint8_t *bytes,
		      uint32_t width, uint32_t height, char *why, size_t size)
{
	FILE *f = fopen(path, "we");
	int err;

	if (!f) {
		err = -errno;
		snprintf(why, size, "%s: %s", path, strerror(errno));
		return err;
	}
	err = write_image(png, f, bytes, width, height, why, size);
	if (fclose(f) && !err) {
		err = -errno;
		snprintf(why, size, "%s: %s", path, strerror(errno));
	}
	if (err && is_file(path))
		unlink(path);
	return err;
}

int png_write(const char *path, const uint32_t *rgb, uint32_t width, uint32_t height, char *why,
	      size_t size)
{
	struct png_calls png;
	uint8_t *bytes;
	int err;

	if (!width || !height || width > PNG_MAX_SIDE || height > PNG_MAX_SIDE) {
		snprintf(why, size, "a picture of %ux%u", width, height);
		return -EINVAL;
	}
	err = kvmb_library_take(dlopen(LIBPNG, RTLD_NOW | RTLD_LOCAL), &libpng, &png, why, size);
	if (err)
		return err;
	bytes = bytes_of(rgb, (size_t)width * height);
	if (!bytes) {
		snprintf(why, size, "no memory for a picture of %ux%u", width, height);
		return -ENOMEM;
	}
	if (strcmp(path, "-"))
		err = write_file(&png, path, bytes, width, height, why, size);
	else
		err = write_image(&png, stdout, bytes, width, height, why, size);
	free(bytes);
	return err;
}
