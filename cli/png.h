/* SPDX-License-Identifier: GPL-2.0-only */
/* Pictures of a guest's screen as PNG files, by libpng, which is loaded when it is wanted. */
#ifndef KVMB_CLI_PNG_H
#define KVMB_CLI_PNG_H

#include <stddef.h>
#include <stdint.h>

#define PNG_MAX_SIDE 16384u /* pixels */

/**
 * png_write() - Write a picture
 * @path:   of the file, which is replaced; "-": standard output
 * @rgb:    rgb[height * width], red << 16 | green << 8 | blue
 * @width:  pixels, 1 to PNG_MAX_SIDE
 * @height: pixels, 1 to PNG_MAX_SIDE
 * @why:    why[size], on failure: one line
 *
 * Return: 0; -EINVAL: of no size; -ENOENT: there is no libpng; -ENOMEM; another -errno of the file,
 * a part of which is not left behind.
 */
int png_write(const char *path, const uint32_t *rgb, uint32_t width, uint32_t height, char *why,
	      size_t size);

#endif
