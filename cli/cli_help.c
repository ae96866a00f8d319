// SPDX-License-Identifier: GPL-2.0-only
/* --help, the lists of the manual, and the table as text, all made from the table. */
#include <ctype.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/util.h"

#define COLUMN 23 /* where help's explanations begin */
#define VERB_COLUMN 30
#define MAX_SHOWN 7 /* options in a usage line; more are "[options]" */

static const struct {
	const struct opt_def *table;
	const char *name, *title;
} subs[] = {
	{ opt_nic_kinds, "kinds", "kinds of a NIC" },
	{ opt_nic_options, "nic", "options of a NIC, after a comma" },
	{ opt_disk_options, "disk", "options of a disk or DVD drive, after a comma" },
	{ opt_memory_options, "memory", "options of --memory, after a comma" },
	{ opt_firmware_options, "firmware", "options of --firmware, after a comma" },
};

static bool same_verb(const struct cli_command *a, const struct cli_command *b)
{
	return b->verb && !strcmp(a->verb, b->verb);
}

static int count(const struct opt_def *o)
{
	int n = 0;

	for (; o->name; o++)
		n++;
	return n;
}

/* ---- usage lines: for help, and with scdoc's marks for the manual ---- */

static void escape(FILE *f, const char *s)
{
	for (; *s; s++)
		fprintf(f, strchr("*_\\<>`", *s) ? "\\%c" : "%c", *s);
}

/* Names of values are in capitals: "[tcp:|udp:]PORT" to "[tcp:|udp:]_PORT_" */
static void print_value(FILE *f, const char *s, bool man)
{
	size_t n;

	for (; man && *s; s += n) {
		n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
		if (n) {
			fprintf(f, "_%.*s_", (int)n, s);
		} else {
			fprintf(f, strchr("*_\\", *s) ? "\\%c" : "%c", *s);
			n = 1;
		}
	}
	fputs(s, f);
}

static void print_words(FILE *f, const struct cli_command *c, int from, bool man)
{
	int i;

	for (i = from; i < CLI_MAX_WORDS && c->words[i].name; i++) {
		fprintf(f, c->words[i].optional ? " [" : " ");
		print_value(f, c->words[i].name, man);
		fprintf(f, c->words[i].optional ? "]" : "");
	}
}

static void print_usage(FILE *f, const struct cli_command *c, bool man)
{
	const struct opt_def *o;

	fprintf(f, man ? "*%s*" : "%s", c->verb);
	if (c->action) {
		fprintf(f, man ? " _VM_ *%s*" : " VM %s", c->action);
		print_words(f, c, 1, man);
	} else {
		print_words(f, c, 0, man);
	}
	for (o = c->options; o->name; o++) {
		if (!o->needed && count(c->options) > MAX_SHOWN)
			continue;
		fprintf(f, " %s--%s%s", o->needed ? "" : "[", o->name, o->value ? " " : "");
		print_value(f, o->value ? o->value : "", man);
		fprintf(f, o->needed ? "" : "]");
	}
	if (count(c->options) > MAX_SHOWN)
		fprintf(f, " [options]");
	if (c->rest) {
		fprintf(f, c->rest_at_once ? " " : " -- ");
		print_value(f, c->rest, man);
	}
}

/* ---- help ---- */

static void print_option(FILE *f, const struct opt_def *o, const char *dashes)
{
	const char *between = !o->value ? "" : *dashes ? " " : "=";
	int n = fprintf(f, "  %s%s%s%s", dashes, o->name, between, o->value ? o->value : "");

	if (n > COLUMN - 2)
		n = fprintf(f, "\n") - 1;
	fprintf(f, "%*s%s", COLUMN - n, "", o->help);
	if (o->fallback || o->otherwise)
		fprintf(f, " (default: %s)", o->otherwise ? o->otherwise : o->fallback);
	fputc('\n', f);
}

static bool uses(const struct cli_command *c, const struct opt_def *table)
{
	const struct opt_def *o;
	int i;

	for (o = c->options; o->name; o++) {
		if (o->sub == table || o->first == table)
			return true;
	}
	for (i = 0; i < CLI_MAX_WORDS && c->words[i].name; i++) {
		if (c->words[i].sub == table || c->words[i].first == table)
			return true;
	}
	return false;
}

static bool shown_before(const struct cli_command *first, const struct cli_command *c,
			 const struct opt_def *o)
{
	const struct opt_def *earlier;

	for (; first < c; first++) {
		earlier = opt_find(first->options, o->name);
		if (earlier && !strcmp(earlier->help, o->help))
			return true;
	}
	return false;
}

/* The rows first..last-1, which are of one verb. */
static void help_rows(FILE *f, const struct cli_command *first, const struct cli_command *last)
{
	const struct cli_command *c;
	const struct opt_def *o;
	size_t i;

	for (c = first; c < last; c++) {
		fprintf(f, c == first ? "usage: kvmbus " : "       kvmbus ");
		print_usage(f, c, false);
		fputc('\n', f);
	}
	fputc('\n', f);
	for (c = first; c < last; c++)
		fprintf(f, "%s%s%s\n", c->action ? c->action : "", c->action ? ": " : "",
			c->summary);
	fputc('\n', f);
	for (c = first; c < last; c++) {
		for (o = c->options; o->name; o++) {
			if (!shown_before(first, c, o))
				print_option(f, o, "--");
		}
	}
	fprintf(f, "  --help               this text\n");
	for (i = 0; i < ARRAY_SIZE(subs); i++) {
		for (c = first; c < last && !uses(c, subs[i].table); c++)
			;
		if (c == last)
			continue;
		fprintf(f, "\n%s:\n", subs[i].title);
		for (o = subs[i].table; o->name; o++)
			print_option(f, o, "");
	}
}

/* "VM list|add|remove": the first action's summary is the verb's. */
static void print_verb(FILE *f, const struct cli_command *c)
{
	const struct cli_command *a;

	fprintf(f, "%-8s", c->verb);
	if (c->action)
		fprintf(f, " VM");
	else
		print_words(f, c, 0, false);
	for (a = c; c->action && same_verb(c, a); a++)
		fprintf(f, "%c%s", a == c ? ' ' : '|', a->action);
}

static void help_all(FILE *f)
{
	const struct cli_command *c;
	char *words;
	size_t size;
	FILE *w;

	fprintf(f, "usage: kvmbus COMMAND ...\n\n");
	for (c = cli_commands; c->verb; c++) {
		if (c > cli_commands && same_verb(c, c - 1))
			continue;
		words = NULL;
		w = open_memstream(&words, &size);
		if (w) {
			print_verb(w, c);
			fclose(w);
		}
		fprintf(f, "  %-*s", VERB_COLUMN, words ? words : c->verb);
		if (words && strlen(words) >= VERB_COLUMN)
			fprintf(f, "\n  %*s", VERB_COLUMN, "");
		fprintf(f, "%s\n", c->summary);
		free(words);
	}
	fprintf(f,
		"\n`kvmbus help COMMAND` lists its options. Every command that prints something "
		"takes --json. The manual is kvmbus(8).\n");
}

void cli_help(FILE *f, const char *verb, const char *action)
{
	const struct cli_command *rows = verb ? cli_rows(verb) : NULL, *row, *last;

	if (!rows) {
		help_all(f);
		return;
	}
	row = action ? cli_row(rows, action) : NULL;
	for (last = rows; same_verb(rows, last); last++)
		;
	if (row)
		help_rows(f, row, row + 1);
	else
		help_rows(f, rows, last);
}

int cmd_help(struct cli_args *a)
{
	const struct cli_command *rows = a->num_words ? cli_rows(a->words[0]) : NULL;

	if (a->num_words && !rows)
		return cli_unknown(a->words[0]);
	if (a->num_words > 1 && !cli_row(rows, a->words[1]))
		return cli_bad(a->cmd, "%s has no action \"%s\"; see kvmbus help %s", a->words[0],
			       a->words[1], a->words[0]);
	cli_help(stdout, a->words[0], a->words[1]);
	return EXIT_OK;
}

/* ---- the manual ---- */

/*
 * "one line" to "One line."; but what begins with one of the words that may be typed keeps it as it
 * is typed
 */
static void sentence(FILE *f, const char *s, const char *words)
{
	bool typed = opt_in_list(words, s, strcspn(s, " ,"));
	char start[2] = { typed ? *s : (char)toupper((unsigned char)*s) };

	escape(f, start);
	escape(f, s + 1);
	if (*s && !strchr(".?", s[strlen(s) - 1]))
		fputc('.', f);
}

static void man_option(const struct opt_def *o, const char *dashes, const char *indent)
{
	printf("%s*%s%s%s*", indent, dashes, o->name, o->value && !*dashes ? "=" : "");
	if (o->value) {
		printf(*dashes ? " " : "");
		print_value(stdout, o->value, true);
	}
	printf("\n%s\t", indent);
	sentence(stdout, o->help, o->values);
	if (o->more)
		printf(" %s", o->more);
	if (o->fallback || o->otherwise) {
		printf(" Default: ");
		escape(stdout, o->otherwise ? o->otherwise : o->fallback);
		putchar('.');
	}
	printf("\n\n");
}

static void man_options(const struct opt_def *o, const char *dashes, const char *indent)
{
	for (; o->name; o++) {
		if (!*indent || strcmp(o->name, "json")) /* said once for all commands */
			man_option(o, dashes, indent);
	}
}

static void man_commands(void)
{
	const struct cli_command *c;

	for (c = cli_commands; c->verb; c++) {
		print_usage(stdout, c, true);
		printf("\n\t");
		sentence(stdout, c->summary, NULL);
		printf("%s%s\n\n", c->more ? " " : "", c->more ? c->more : "");
		if (c->options != cli_rows("run")->options) /* they have a part of their own */
			man_options(c->options, "--", "\t");
	}
}

static void man_synopsis(void)
{
	const struct cli_command *c;

	for (c = cli_commands; c->verb; c++) {
		printf("*kvmbus* ");
		print_usage(stdout, c, true);
		printf(c[1].verb ? "++\n" : "\n");
	}
}

/* A line of the template that is "@something@". Return: false: it is none. */
static bool expand(const char *line)
{
	char token[32];
	size_t i;

	if (!strcmp(line, "@synopsis@\n"))
		man_synopsis();
	else if (!strcmp(line, "@commands@\n"))
		man_commands();
	else if (!strcmp(line, "@options run@\n"))
		man_options(cli_rows("run")->options, "--", "");
	else if (!strcmp(line, "@hints@\n"))
		cli_man_hints();
	else {
		for (i = 0; i < ARRAY_SIZE(subs); i++) {
			snprintf(token, sizeof(token), "@sub %s@\n", subs[i].name);
			if (!strcmp(line, token))
				break;
		}
		if (i == ARRAY_SIZE(subs))
			return false;
		man_options(subs[i].table, "", "");
	}
	return true;
}

int cli_man(const char *template)
{
	FILE *f = fopen(template, "r");
	char *line = NULL;
	size_t size = 0;

	if (!f) {
		cli_error("%s: %s", template, strerror(errno));
		return EXIT_FAILED;
	}
	while (getline(&line, &size, f) > 0) {
		if (!expand(line))
			fputs(line, stdout);
	}
	free(line);
	fclose(f);
	return EXIT_OK;
}

/* ---- the table itself ---- */

static void dump_def(const char *what, const struct cli_command *c, const char *of,
		     const struct opt_def *o)
{
	static const char *const kinds[] = { "flag", "u32", "size", "word", "text",
					     "file", "vm",  "disk", "nic" };

	printf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%llu\t%llu\n", what, c->verb,
	       c->action ? c->action : "-", of, o->name, kinds[o->kind], o->value ? o->value : "-",
	       o->values ? o->values : "-", (unsigned long long)o->min, (unsigned long long)o->max);
}

static void dump_sub(const struct cli_command *c, const struct opt_def *o)
{
	const struct opt_def *s;

	for (s = o->first; s && s->name; s++)
		dump_def("first", c, o->name, s);
	for (s = o->sub; s && s->name; s++)
		dump_def("sub", c, o->name, s);
}

void cli_dump(void)
{
	const struct cli_command *c;
	const struct opt_def *o;
	int i;

	for (c = cli_commands; c->verb; c++) {
		printf("command\t%s\t%s\n", c->verb, c->action ? c->action : "-");
		for (i = 0; i < CLI_MAX_WORDS && c->words[i].name; i++) {
			dump_def("word", c, c->words[i].optional ? "optional" : "needed",
				 &c->words[i]);
			dump_sub(c, &c->words[i]);
		}
		for (o = c->options; o->name; o++) {
			dump_def("option", c, "-", o);
			dump_sub(c, o);
		}
	}
}
