/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Options of the command line as tables, and parsing of their values: numbers, sizes, disks, NICs.
 *
 * An opt_def describes one option, word or comma option. The parser, --help, the manual and the
 * completion read the same tables (cli/cli_table.c), so they cannot disagree.
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
	const char *values;   /* words, separated by spaces; "word=" needs a value after it */
	u64 min, max;	      /* U32, SIZE: bounds; max 0 = none. TEXT: max characters */
	const char *fallback; /* the default, as it would be typed; NULL = none */
	const char *otherwise; /* the default in words, if @fallback cannot express it */
	const char *help;     /* one line */
	const char *more;     /* further sentences for the manual, scdoc's markup; NULL = none */
	const char *aka;      /* names in other programs, separated by spaces: "did you mean" */
	const struct opt_def *first; /* what the value may begin with, where that is in a table */
	const struct opt_def *sub;   /* comma options of the value */
	bool optional;	      /* a word that may be left out; a text that may be empty */
	bool needed;	      /* an option that there must be */
};

/* Comma options of --disk and --dvd, --nic, --memory; and what a --nic begins with. */
extern const struct opt_def opt_disk_options[], opt_nic_kinds[], opt_nic_options[];
extern const struct opt_def opt_memory_options[], opt_firmware_options[];

/**
 * opt_check() - Is @value allowed for @o?
 * @o:     the option or word
 * @value: as typed
 * @why:   why[size], on failure a phrase that says what would be right
 * @size:  bytes
 */
bool opt_check(const struct opt_def *o, const char *value, char *why, size_t size);

/** opt_find() - Find an entry by name. Return: NULL if there is none. */
const struct opt_def *opt_find(const struct opt_def *table, const char *name);

/**
 * opt_similar() - The entry that a user who typed @name may have meant
 *
 * Return: NULL when no entry is similar.
 */
const struct opt_def *opt_similar(const struct opt_def *table, const char *name);

/**
 * opt_distance() - Letters to change, add, drop or swap to turn @b into @a; ignores case
 */
unsigned int opt_distance(const char *a, const char *b);

/** opt_in_list() - Is @word, of @len bytes, one of @list, in any case? */
bool opt_in_list(const char *list, const char *word, size_t len);

/** opt_size_str() - Write "512M", in the largest unit that gives a whole number. Return: @buf. */
const char *opt_size_str(u64 v, char *buf, size_t size);

/**
 * opt_index() - Position of @value among the words of @o, in any case. Return: -1 = none of them.
 */
int opt_index(const struct opt_def *o, const char *value);

/** opt_u32() - Parse a decimal number within bounds. Return: false when it is not one. */
bool opt_u32(const char *s, u32 min, u32 max, u32 *out);

/**
 * opt_size() - A number of bytes with an optional unit K, M, G or T (powers of 1024)
 * @s:   text
 * @out: result
 * @end: set to the first character after the number; NULL = nothing may follow
 *
 * Return: false when it is not a number, or too large.
 */
bool opt_size(const char *s, u64 *out, const char **end);

/**
 * opt_mac() - Parse "00:15:5d:01:02:03"
 *
 * Return: false when it is not a MAC address, or all zero, or a group address.
 */
bool opt_mac(const char *s, u8 *mac);

/** opt_uuid() - Parse "d7e792a2-ca61-4ebb-8502-dc1fa5fd3bae". Return: false: it is none, or 0. */
bool opt_uuid(const char *s, u8 *uuid);

/**
 * opt_disk() - Parse "F[,ro][,controller=N][,lun=N][,format=...]..."
 * @s:    changed, and @dc points into it; two commas in a row are one comma in a name
 * @dvd:  a drive; F may be "empty"
 * @dc:   result
 * @why:  why[size], on failure what is wrong
 * @size: bytes
 *
 * Return: 0 or -EINVAL.
 */
int opt_disk(char *s, bool dvd, struct disk_config *dc, char *why, size_t size);

/**
 * opt_disk_absolute() - Rewrite a disk's specification with absolute file names
 * @spec: as for opt_disk(), not changed
 * @dvd:  as for opt_disk()
 *
 * Return: a new string; NULL when it is too long for the control socket.
 */
char *opt_disk_absolute(const char *spec, bool dvd);

/**
 * opt_with() - A disk's or NIC's specification with one comma option set anew
 * @spec:  not changed; what it begins with stays as it is
 * @key:   of an option that has a value; each @key= in it is taken out
 * @value: to put in, without a comma; NULL = none
 *
 * Return: a new string.
 */
char *opt_with(const char *spec, const char *key, const char *value);

/**
 * opt_nic() - Parse "user|tap=IF|macvtap=IF|bridge=BR|none[,OPTION]..."; otherwise as opt_disk()
 */
int opt_nic(char *s, struct nic_config *nc, char *why, size_t size);

/**
 * opt_memory_size() - Parse a size of memory in whole megabytes; a plain number is MiB
 *
 * Return: false, and @why has the reason.
 */
bool opt_memory_size(const char *s, u64 *out, char *why, size_t size);

/** opt_memory() - Parse "SIZE[,min=SIZE][,max=SIZE][,huge=on|off]". Otherwise as opt_disk(). */
int opt_memory(char *s, struct vm_config *c, char *why, size_t size);

/** opt_firmware() - Parse "bios|uefi|F[,vars=F]". Otherwise as opt_disk(). */
int opt_firmware(char *s, struct vm_config *c, char *why, size_t size);

#endif
