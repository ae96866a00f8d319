/* SPDX-License-Identifier: GPL-2.0-only */
/* Files of sysfs as a user has them; /sys is mounted by tests/kunit/init. */
#ifndef KVMB_SYSFS_KUNIT_H
#define KVMB_SYSFS_KUNIT_H

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/string.h>

#define SYSFS_BUS "/sys/bus/kvmbus/"

/* Return: 0 or -errno */
static inline int sysfs_write(const char *path, const char *text)
{
	struct file *f = filp_open(path, O_WRONLY, 0);
	loff_t pos = 0;
	ssize_t n;

	if (IS_ERR(f))
		return PTR_ERR(f);
	n = kernel_write(f, text, strlen(text), &pos);
	filp_close(f, NULL);
	return n < 0 ? n : 0;
}

/* What @path says, as a string. Return: 0 or -errno */
static inline int sysfs_read(const char *path, char *buf, size_t size)
{
	struct file *f = filp_open(path, O_RDONLY, 0);
	loff_t pos = 0;
	ssize_t n;

	if (IS_ERR(f))
		return PTR_ERR(f);
	n = kernel_read(f, buf, size - 1, &pos);
	filp_close(f, NULL);
	if (n < 0)
		return n;
	buf[n] = 0;
	return 0;
}

#endif
