/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kvmbus command: its table of commands, and what reads it.
 *
 * cli_commands[] says what may be typed. cli_parse() takes a command line apart by it; --help, the
 * manual (`kvmbus __man`), the shells' completion (`kvmbus __complete`) and
 * tests/checks/cli-table.sh (`kvmbus __table`) are made from it. A command's own file is called
 * when all that it was given has been checked.
 */
#ifndef KVMB_CLI_H
#define KVMB_CLI_H

#include <stdio.h>

#include "vmm/opt.h"

#define CLI_MAX_WORDS 4

struct cli_args;

struct cli_command {
	const char *verb;	/* "disk"; NULL ends the table */
	const char *action;	/* "add": stands behind the VM; NULL: the verb has none */
	const char *summary;	/* one line */
	const char *more;	/* further sentences for the manual; NULL = none */
	int (*run)(struct cli_args *a); /* returns EXIT_* of lib/exits.h */
	struct opt_def words[CLI_MAX_WORDS]; /* the VM first, also where an action stands behind it */
	const struct opt_def *options;
};

/* A command line that fits the table. */
struct cli_args {
	const struct cli_command *cmd;
	char *words[CLI_MAX_WORDS]; /* words[num_words]: the VM first, then those of the table */
	int num_words;
	struct cli_given {
		const struct opt_def *opt;
		char *value; /* NULL of a flag */
	} *given; /* given[num_given], in the order of the command line */
	int num_given;
};

extern const struct cli_command cli_commands[];

/**
 * cli_parse() - Take a command line apart
 * @argc, @argv: argv[0] is the verb; @a points into it
 * @a: owned by the caller: cli_free()
 *
 * Long options as getopt_long() takes them, "--x=y" or "--x y", anywhere before "--"; but never
 * abbreviated.
 *
 * Return: EXIT_OK; EXIT_USAGE with one line already printed; -1: help was asked for and given.
 */
int cli_parse(int argc, char **argv, struct cli_args *a);
void cli_free(struct cli_args *a);

/** cli_flag() - Was the flag given? */
bool cli_flag(const struct cli_args *a, const char *name);

/**
 * cli_text() - The value that was given last, else the table's default. Return: NULL if there is
 * neither.
 */
const char *cli_text(const struct cli_args *a, const char *name);

/** cli_u32() - The same as a number; the table has a default for it. */
u32 cli_u32(const struct cli_args *a, const char *name);

/**
 * cli_bad() - "kvmbus VERB ACTION: ..." as one line on standard error
 * Return: EXIT_USAGE.
 */
int cli_bad(const struct cli_command *cmd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * cli_error() - "kvmbus: ..." as one line on standard error. What would move a terminal is escaped.
 */
void cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * cli_plain() - @s with control characters as \n, \x1b, ...
 * Return: a new string, the caller frees it. Trust: @s may come from a VM's process that its guest
 * has taken over.
 */
char *cli_plain(const char *s);

/** cli_unknown() - The one line about a verb that there is not. Return: EXIT_USAGE. */
int cli_unknown(const char *verb);

/**
 * cli_rows() - The verb's first row. Return: NULL: no such verb. The next rows with the same verb
 * are its actions.
 */
const struct cli_command *cli_rows(const char *verb);

/** cli_row() - The verb's row of an action. Return: NULL: it has no such action. */
const struct cli_command *cli_row(const struct cli_command *rows, const char *action);

/** cli_wants_vm() - Is the first word a VM? */
bool cli_wants_vm(const struct cli_command *cmd);

/* ---- what is made from the table ---- */

/** cli_help() - About everything, a verb, or one of its actions (each may be NULL). */
void cli_help(FILE *f, const char *verb, const char *action);

/**
 * cli_man() - Print the manual: @template, with each placeholder in at signs ("commands") filled in
 * Return: EXIT_*.
 */
int cli_man(const char *template);

/** cli_man_hints() - Part of it: other programs' verbs and ours. */
void cli_man_hints(void);

/**
 * cli_dump() - The table itself, a line an option, fields between tabs: tests/checks/cli-table.sh.
 */
void cli_dump(void);

/**
 * cli_complete() - What may stand where the cursor is
 * @argv: the words behind "kvmbus", the last one as far as it has been typed
 *
 * A line each: candidate, tab, one line about it. ":file" and a tab: files; behind the tab what
 * stands before the name.
 */
void cli_complete(int argc, char **argv);

#endif
