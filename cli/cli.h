/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kvmbus command: its table of commands, and the code that reads it.
 *
 * cli_commands[] defines what may be typed. cli_parse() parses a command line by it; --help, the
 * manual (`kvmbus __man`), the completion for shells (`kvmbus __complete`) and
 * tests/checks/cli-table.sh (`kvmbus __table`) are made from it. A command's function is called
 * when all arguments have been checked.
 */
#ifndef KVMB_CLI_H
#define KVMB_CLI_H

#include <stdio.h>

#include "vmm/opt.h"

#define CLI_MAX_WORDS 4

struct cli_args;

struct cli_command {
	const char *verb;	/* "disk"; NULL ends the table */
	const char *action;	/* "add": comes after the VM; NULL: the verb has none */
	const char *summary;	/* one line */
	const char *more;	/* further sentences for the manual; NULL = none */
	int (*run)(struct cli_args *a); /* returns EXIT_* of lib/exits.h */
	struct opt_def words[CLI_MAX_WORDS]; /* the VM first, even if an action follows it */
	const struct opt_def *options;
	const char *rest;  /* what comes behind "--", as it is: "CMD [ARG]..."; NULL = more words */
	bool rest_at_once; /* ... or behind the last word, without "--" */
};

/* A command line that fits the table. */
struct cli_args {
	const struct cli_command *cmd;
	char *words[CLI_MAX_WORDS]; /* words[num_words]: the VM first, then those of the table */
	int num_words;
	char **rest; /* rest[num_rest]: behind "--" */
	int num_rest;
	struct cli_given {
		const struct opt_def *opt;
		char *value; /* NULL of a flag */
		const char *from; /* "FILE:LINE" of a VM's file (cli_file.h); NULL = typed */
	} *given; /* given[num_given], in the order of the command line */
	int num_given;
};

extern const struct cli_command cli_commands[];

/**
 * cli_parse() - Parse a command line
 * @argc: words
 * @argv: argv[argc]; argv[0] is the verb. @a points into it
 * @a:    result; free with cli_free(), also after a failure
 *
 * Long options as getopt_long() takes them, "--x=y" or "--x y", anywhere before "--", but without
 * abbreviations.
 *
 * Return: EXIT_OK; EXIT_USAGE with one line already printed; -1 when help was requested and
 * printed.
 */
int cli_parse(int argc, char **argv, struct cli_args *a);

/** cli_good_name() - Can a VM be called so? */
bool cli_good_name(const char *s);

/** cli_free() - Free what cli_parse() allocated. */
void cli_free(struct cli_args *a);

/** cli_flag() - Was the flag given? */
bool cli_flag(const struct cli_args *a, const char *name);

/**
 * cli_text() - The value of an option: the last one given, else the table's default
 *
 * Return: NULL if there is neither.
 */
const char *cli_text(const struct cli_args *a, const char *name);

/** cli_u32() - cli_text() as a number; the table must have a default. */
u32 cli_u32(const struct cli_args *a, const char *name);

/**
 * cli_bad() - Print "kvmbus VERB ACTION: ..." as one line on standard error
 *
 * Return: EXIT_USAGE.
 */
int cli_bad(const struct cli_command *cmd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** cli_blame() - What cli_bad() says from now on is about @where, "FILE:LINE"; NULL = nothing */
void cli_blame(const char *where);

/**
 * cli_error() - Print "kvmbus: ..." as one line on standard error, control characters escaped
 */
void cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** cli_before_error() - Call @fn before each line of cli_error(), to clear what stands there */
void cli_before_error(void (*fn)(void *arg), void *arg);

/**
 * cli_plain() - Copy @s with control characters as \n, \x1b, ...
 *
 * Return: a new string, freed by the caller. Trust: @s may come from a VM's process that its guest
 * has taken over.
 */
char *cli_plain(const char *s);

/** cli_unknown() - Print the line about an unknown verb, with a hint. Return: EXIT_USAGE. */
int cli_unknown(const char *verb);

/**
 * cli_rows() - The first row of a verb; the following rows with the same verb are its actions
 *
 * Return: NULL when there is no such verb.
 */
const struct cli_command *cli_rows(const char *verb);

/** cli_row() - The row of a verb's action. Return: NULL when it has no such action. */
const struct cli_command *cli_row(const struct cli_command *rows, const char *action);

/** cli_wants_vm() - Is the first word a VM? */
bool cli_wants_vm(const struct cli_command *cmd);

/* ---- what is made from the table ---- */

/** cli_help() - Print help: all commands, one @verb, or one @action of it. Both may be NULL. */
void cli_help(FILE *f, const char *verb, const char *action);

/**
 * cli_man() - Print the manual: @template, with each placeholder in at signs ("commands") filled in
 * Return: EXIT_*.
 */
int cli_man(const char *template);

/** cli_man_hints() - Print a part of the manual: other programs' verbs and ours. */
void cli_man_hints(void);

/**
 * cli_dump() - Print the table, one line per option, fields separated by tabs, for cli-table.sh
 */
void cli_dump(void);

/**
 * cli_complete() - Print what may be typed at the cursor
 * @argc: words
 * @argv: argv[argc]: the words after "kvmbus", the last one as far as it has been typed
 *
 * One line per candidate: the candidate, a tab, one line about it. ":file" and a tab mean names of
 * files; after the tab comes what precedes the name.
 */
void cli_complete(int argc, char **argv);

#endif
