/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The file of a VM, NAME.conf: what `kvmbus run` would be told on its command line.
 *
 * DOC: Theory of operation
 *
 * One "KEY = VALUE" a line; a key is a long option of `kvmbus run` without its dashes, so there is
 * one vocabulary. Several lines of one key are several values. A line that begins with # or ; is
 * a comment, and so is the rest of a line behind a space and a semicolon. There may be a line
 * "[vm]" before the first key; other sections are refused, they are for later.
 *
 * This room knows lines, keys and values. What a key means, and whether a value is right, is the
 * command's to say (cli/cli_file.h): every value carries its line number for that.
 *
 * libinih reads it. Debian's has a line of 200 bytes on the stack, cuts longer ones in two without
 * a word, and takes an indented line for more of the one before; so our reader hands it a longer
 * line in pieces, and lines without what they begin with. The library is loaded for the reading
 * and unloaded: a VM's process does not keep it.
 *
 * Trust: who may write the file says what his VM is. It is still read with care: a file of any
 * bytes gives values or one line about what is wrong.
 */
#ifndef KVMB_VM_FILE_H
#define KVMB_VM_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define VM_FILE_MAX (1u << 20)	/* bytes of a file */
#define VM_FILE_MAX_LINE 16384u /* as long as a disk of the control socket may be */
#define VM_FILE_SUFFIX ".conf"

struct vm_file_value {
	char *key, *value; /* of one line, without space around them; @value may be "" */
	uint32_t line;	   /* from 1 */
};

struct vm_file {
	struct vm_file_value *values; /* values[num], in the order of the file */
	size_t num;
};

/**
 * vm_file_read() - Read a VM's file
 * @path: of a regular file
 * @f:    filled; vm_file_free(), also after a failure
 * @why:  why[size], on failure "FILE: what" or "FILE:LINE: what"
 * @size: bytes
 *
 * Return: 0 or -errno. Context: blocks on the file. Trust: hostile.
 */
int vm_file_read(const char *path, struct vm_file *f, char *why, size_t size);

/** vm_file_parse() - The same of text[len]; @name is the file's, for @why. */
int vm_file_parse(const char *name, const char *text, size_t len, struct vm_file *f, char *why,
		  size_t size);

/** vm_file_free() - Free what vm_file_read() allocated. */
void vm_file_free(struct vm_file *f);

/**
 * vm_file_put() - Write one line "key = value"
 *
 * Return: 0; -EINVAL when no file could hold the value: it has a line's end or a control character,
 * begins or ends with a space, or has what begins a comment.
 */
int vm_file_put(FILE *out, const char *key, const char *value);

/** vm_file_remark() - Write text as a comment line; what a line cannot hold becomes "?". */
void vm_file_remark(FILE *out, const char *text);

/**
 * vm_file_make() - Give text[len] a name, all of it at once
 * @dir:  descriptor of the directory
 * @name: in it; nothing there is overwritten
 *
 * The file is on disk when this returns. Return: 0; -EEXIST; -errno. Context: blocks.
 */
int vm_file_make(int dir, const char *name, const char *text, size_t len);

#endif
