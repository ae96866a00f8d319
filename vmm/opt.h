/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What may be said on the command line, as tables; and its numbers, sizes, disks and NICs.
 *
 * One opt_def describes one option, word or comma option. The parser, --help, the manual and the
 * completion all read the same tables (cli/cli_table.c), so they cannot disagree.
 */
#ifndef KVMB_OPT_H
#define KVMB_OPT_H

#include "vmm/config.h"

enum opt_kind {
	OPT_FLAG, /* no value */
	OPT_U32,  /* min..max */
	OPT_SIZE, /* bytes, with or without a unit */
	OPT_WORD, /* one of @values, in any case */
	OPT_TEXT, /* anything; @values are examples for the completion */
	OPT_FILE,
	OPT_VM,   /* a running VM's name or socket */
	OPT_DISK, /* one of a VM's disks */
	OPT_NIC,  /* one of a VM's NICs */
};

struct opt_def {
	const char *name;     /* without dashes; NULL ends a table */
	enum opt_kind kind;
	const char *value;    /* how help calls the value: "N"; NULL of a flag or a word */
	const char *values;   /* words, separated by spaces; "word=" wants more behind it */
	u64 min, max;	      /* U32, SIZE: bounds; max 0 = none. TEXT: max characters */
	const char *fallback; /* the default, as it would be typed; NULL = none */
	const char *otherwise; /* the default in words, where @fallback does not say it */
	const char *help;     /* one line */
	const char *more;     /* further sentences for the manual, scdoc's markup; NULL = none */
	const char *aka;      /* what others call it, separated by spaces: for "did you mean" */
	const struct opt_def *first; /* what the value may begin with, where that is in a table */
	const struct opt_def *sub;   /* comma options of the value */
	bool optional;	      /* a word that may be left out; a text that may be empty */
	bool needed;	      /* an option that there must be */
};

/* Comma options of --disk and --dvd, --nic, --memory; and what a --nic begins with. */
extern const struct opt_def opt_disk_options[], opt_nic_kinds[], opt_nic_options[];
extern const struct opt_def opt_memory_options[];

/**
 * opt_check() - Is @value what @o wants?
 * @why: on failure, a phrase that says what would be right
 */
bool opt_check(const struct opt_def *o, const char *value, char *why, size_t size);

/** opt_find() - The entry of a table with that name. Return: NULL if there is none. */
const struct opt_def *opt_find(const struct opt_def *table, const char *name);

/**
 * opt_similar() - The entry that somebody who typed @name may have meant
 * Return: NULL when nothing comes near.
 */
const struct opt_def *opt_similar(const struct opt_def *table, const char *name);

/**
 * opt_distance() - How many letters to change, add, drop or swap make @a of @b, whatever their
 * case.
 */
unsigned int opt_distance(const char *a, const char *b);

/** opt_in_list() - Is @word, of @len bytes, one of @list, in any case? */
bool opt_in_list(const char *list, const char *word, size_t len);

/** opt_size_str() - "512M": the largest unit that makes it a whole number. Return: @buf. */
const char *opt_size_str(u64 v, char *buf, size_t size);

/**
 * opt_index() - Position of @value among the words of @o, in any case. Return: -1 = none of them.
 */
int opt_index(const struct opt_def *o, const char *value);

/** opt_u32() - A decimal number within bounds. Return: false when it is none. */
bool opt_u32(const char *s, u32 min, u32 max, u32 *out);

/**
 * opt_size() - A number of bytes with an optional unit K, M, G or T (powers of 1024)
 * @end: first character that is not part of it; NULL = there must be none
 * Return: false when it is none, or too large.
 */
bool opt_size(const char *s, u64 *out, const char **end);

/**
 * opt_mac() - "00:15:5d:01:02:03"; not all zero and not a group address. Return: false when it is
 * none.
 */
bool opt_mac(const char *s, u8 *mac);

/**
 * opt_disk() - "F[,ro][,controller=N][,lun=N][,format=...]..." to a configuration
 * @s:   changed: @dc points into it; two commas in a row are one comma of a name
 * @dvd: a drive; F may be "empty"
 * @why: on failure, what is wrong
 * Return: 0 or -EINVAL.
 */
int opt_disk(char *s, bool dvd, struct disk_config *dc, char *why, size_t size);

/**
 * opt_disk_absolute() - The same disk, with file names that are right in any directory
 * @spec: as for opt_disk(), not changed
 * Return: a new string, or NULL when it is too long for the control socket.
 */
char *opt_disk_absolute(const char *spec);

/**
 * opt_nic() - "user|tap=IF|macvtap=IF|bridge=BR|none[,OPTION]..." to a configuration
 * Else as opt_disk().
 */
int opt_nic(char *s, struct nic_config *nc, char *why, size_t size);

/** opt_memory() - "SIZE[,huge=on|off]"; a plain number is MiB. Else as opt_disk(). */
int opt_memory(char *s, struct vm_config *c, char *why, size_t size);

#endif
