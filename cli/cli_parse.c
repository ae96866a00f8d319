// SPDX-License-Identifier: GPL-2.0-only
/* Parses a command line by the table: the rules of getopt_long(), without abbreviations. */
#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "cli/cli.h"
#include "lib/exits.h"
#include "lib/util.h"

/* ---- messages ---- */

char *cli_plain(const char *s)
{
	char *out = malloc(4 * strlen(s) + 1), *p = out;
	const unsigned char *c = (const unsigned char *)s;

	for (; out && *c; c++) {
		if (*c == '\n')
			p += sprintf(p, "\\n");
		else if (*c < 0x20 || *c == 0x7f)
			p += sprintf(p, "\\x%02x", *c);
		else if (*c == 0xc2 && c[1] >= 0x80 &&
			 c[1] < 0xa0) /* U+0080 to U+009F: commands, too */
			p += sprintf(p, "\\x%02x", *++c);
		else
			*p++ = (char)*c;
	}
	if (out)
		*p = 0;
	return out;
}

static void say(const char *prefix, const char *fmt, va_list ap)
{
	char *text = NULL, *plain = NULL;

	if (vasprintf(&text, fmt, ap) >= 0)
		plain = cli_plain(text);
	fprintf(stderr, "kvmbus%s: %s\n", prefix, plain ? plain : "no memory");
	free(plain);
	free(text);
}

static void (*before_error)(void *arg);
static void *before_error_arg;

void cli_before_error(void (*fn)(void *arg), void *arg)
{
	before_error = fn;
	before_error_arg = arg;
}

void cli_error(const char *fmt, ...)
{
	va_list ap;

	if (before_error)
		before_error(before_error_arg);
	va_start(ap, fmt);
	say("", fmt, ap);
	va_end(ap);
}

static const char *blamed;

void cli_blame(const char *where)
{
	blamed = where;
}

int cli_bad(const struct cli_command *cmd, const char *fmt, ...)
{
	char prefix[64 + PATH_MAX];
	va_list ap;

	snprintf(prefix, sizeof(prefix), " %s%s%s%s%s", cmd->verb, cmd->action ? " " : "",
		 cmd->action ? cmd->action : "", blamed ? ": " : "", blamed ? blamed : "");
	va_start(ap, fmt);
	say(prefix, fmt, ap);
	va_end(ap);
	return EXIT_USAGE;
}

bool cli_good_name(const char *s)
{
	size_t i;

	for (i = 0; s[i]; i++) {
		if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i]))
			return false;
	}
	return i && i <= 32 && s[0] != '.' && s[0] != '-';
}

/* ---- rows ---- */

const struct cli_command *cli_rows(const char *verb)
{
	const struct cli_command *c;

	for (c = cli_commands; c->verb; c++) {
		if (!strcmp(c->verb, verb))
			return c;
	}
	return NULL;
}

const struct cli_command *cli_row(const struct cli_command *rows, const char *action)
{
	const struct cli_command *c;

	for (c = rows; c->verb && !strcmp(c->verb, rows->verb); c++) {
		if (c->action && !strcmp(c->action, action))
			return c;
	}
	return NULL;
}

bool cli_wants_vm(const struct cli_command *cmd)
{
	return cmd->words[0].name && cmd->words[0].kind == OPT_VM;
}

/* An option of any of the verb's actions: which one it is may only be known later. */
static const struct opt_def *find_option(const struct cli_command *rows, const char *name)
{
	const struct cli_command *c;
	const struct opt_def *o = NULL;

	for (c = rows; !o && c->verb && !strcmp(c->verb, rows->verb); c++)
		o = opt_find(c->options, name);
	return o;
}

/* ---- parsing ---- */

struct parser {
	const struct cli_command *rows; /* of the verb */
	struct cli_command verb;	/* for messages, while the action is not known */
	struct cli_args *a;
	const char *action;
	int seen;	 /* words, the action among them */
	bool only_words; /* behind "--" */
};

static int unknown_option(const struct parser *p, const char *word)
{
	const struct cli_command *c;
	const struct opt_def *o = NULL;
	const char *name = word + strspn(word, "-");
	char bare[40];

	snprintf(bare, sizeof(bare), "%.*s", (int)KVMB_MIN(strcspn(name, "="), sizeof(bare) - 1),
		 name);
	o = find_option(p->rows, bare); /* "-kernel" */
	for (c = p->rows; !o && c->verb && !strcmp(c->verb, p->rows->verb); c++)
		o = opt_similar(c->options, bare);
	if (o)
		return cli_bad(p->a->cmd ? p->a->cmd : &p->verb,
			       "unknown option \"%s\"; did you mean --%s?", word, o->name);
	return cli_bad(p->a->cmd ? p->a->cmd : &p->verb,
		       "unknown option \"%s\"; see kvmbus help %s", word, p->rows->verb);
}

/* Return: words of argv that it took besides its own, or -1. */
static int take_option(struct parser *p, char *word, char *next)
{
	char *value = strchr(word, '='), name[40];
	const struct opt_def *o;

	snprintf(name, sizeof(name), "%.*s",
		 (int)(value ? value - word : (ptrdiff_t)strlen(word)) - 2, word + 2);
	o = strncmp(word, "--", 2) ? NULL : find_option(p->rows, name);
	if (!o) {
		unknown_option(p, word);
		return -1;
	}
	if (o->kind == OPT_FLAG && value) {
		cli_bad(&p->verb, "--%s takes no value", o->name);
		return -1;
	}
	if (o->kind != OPT_FLAG && !value && !next) {
		cli_bad(&p->verb, "--%s needs a value: %s", o->name, o->value);
		return -1;
	}
	if (value)
		value++;
	p->a->given[p->a->num_given++] =
		(struct cli_given){ o, value || o->kind == OPT_FLAG ? value : next, NULL };
	return o->kind != OPT_FLAG && !value;
}

static int take_word(struct parser *p, char *word)
{
	struct cli_args *a = p->a;
	int most = 0;

	if (p->rows->action && p->seen++ == 1) {
		p->action = word;
		a->cmd = cli_row(p->rows, word);
		if (a->cmd)
			return EXIT_OK;
		return cli_bad(&p->verb, "unknown action \"%s\"; see kvmbus help %s", word,
			       p->rows->verb);
	}
	while (a->cmd && most < CLI_MAX_WORDS && a->cmd->words[most].name)
		most++;
	if (a->cmd && a->num_words >= most)
		return cli_bad(a->cmd, "unexpected word \"%s\"; see kvmbus help %s", word,
			       p->rows->verb);
	a->words[a->num_words++] = word;
	return EXIT_OK;
}

static void list_actions(const struct cli_command *rows, char *s, size_t size)
{
	const struct cli_command *c;
	size_t n = 0;

	for (c = rows; c->verb && !strcmp(c->verb, rows->verb) && n < size; c++)
		n += (size_t)snprintf(s + n, size - n, "%s%s", c == rows ? "" : ", ", c->action);
}

/* Everything has been read: is something missing, or not right? */
static int check(struct parser *p)
{
	const struct cli_command *cmd = p->a->cmd;
	char why[240];
	int i;

	if (!p->a->num_words && cli_wants_vm(p->rows))
		return cli_bad(&p->verb, "which VM? see kvmbus list");
	if (!cmd) {
		list_actions(p->rows, why, sizeof(why));
		return cli_bad(&p->verb, "do what? %s", why);
	}
	for (i = 0; i < CLI_MAX_WORDS && cmd->words[i].name; i++) {
		if (i >= p->a->num_words && !cmd->words[i].optional)
			return cli_bad(cmd, "%s is missing; see kvmbus help %s", cmd->words[i].name,
				       cmd->verb);
		if (i < p->a->num_words &&
		    !opt_check(&cmd->words[i], p->a->words[i], why, sizeof(why)))
			return cli_bad(cmd, "%s \"%s\": %s", cmd->words[i].name, p->a->words[i],
				       why);
	}
	for (i = 0; i < p->a->num_given; i++) {
		const struct opt_def *o = p->a->given[i].opt;
		const char *value = p->a->given[i].value;

		o = opt_find(cmd->options, o->name);
		if (!o)
			return cli_bad(cmd, "--%s does not belong here; see kvmbus help %s",
				       p->a->given[i].opt->name, cmd->verb);
		p->a->given[i].opt = o;
		if (value && !opt_check(o, value, why, sizeof(why)))
			return cli_bad(cmd, "--%s \"%s\": %s", o->name, value, why);
	}
	return EXIT_OK;
}

static bool has_all_words(const struct cli_args *a)
{
	return a->num_words && (a->num_words == CLI_MAX_WORDS || !a->cmd->words[a->num_words].name);
}

static bool is_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h");
}

int cli_parse(int argc, char **argv, struct cli_args *a)
{
	struct parser p = { .rows = cli_rows(argv[0]), .verb.verb = argv[0], .a = a };
	int i, n, err;

	*a = (struct cli_args){ .cmd = p.rows->action ? NULL : p.rows };
	a->given = kvmb_xzalloc((size_t)argc * sizeof(*a->given));
	for (i = 1; i < argc; i++) {
		if (a->cmd && a->cmd->rest_at_once && has_all_words(a)) {
			i += !strcmp(argv[i], "--");
			a->rest = argv + i;
			a->num_rest = argc - i;
			break;
		}
		if (!p.only_words && is_help(argv[i])) {
			/* "disk VM add --help", "disk add --help" */
			cli_help(stdout, argv[0],
				 p.action     ? p.action :
				 a->num_words ? a->words[0] :
						NULL);
			return -1;
		}
		if (!p.only_words && !strcmp(argv[i], "--") && p.rows->rest) {
			a->rest = argv + i + 1;
			a->num_rest = argc - i - 1;
			break;
		}
		if (!p.only_words && !strcmp(argv[i], "--")) {
			p.only_words = true;
		} else if (!p.only_words && argv[i][0] == '-' && argv[i][1]) {
			n = take_option(&p, argv[i], argv[i + 1]);
			if (n < 0)
				return EXIT_USAGE;
			i += n;
		} else {
			err = take_word(&p, argv[i]);
			if (err)
				return err;
		}
	}
	return check(&p);
}

void cli_free(struct cli_args *a)
{
	int i;

	for (i = 0; a->given && i < a->num_given; i++) {
		if (!a->given[i].from)
			continue;
		free(a->given[i].value);
		free((char *)a->given[i].from);
	}
	free(a->given);
	a->given = NULL;
}

/* ---- what was given ---- */

bool cli_flag(const struct cli_args *a, const char *name)
{
	int i;

	for (i = 0; i < a->num_given; i++) {
		if (!strcmp(a->given[i].opt->name, name))
			return true;
	}
	return false;
}

const char *cli_text(const struct cli_args *a, const char *name)
{
	const struct opt_def *o = opt_find(a->cmd->options, name);
	const char *value = o ? o->fallback : NULL;
	int i;

	for (i = 0; i < a->num_given; i++) {
		if (!strcmp(a->given[i].opt->name, name))
			value = a->given[i].value;
	}
	return value;
}

u32 cli_u32(const struct cli_args *a, const char *name)
{
	return (u32)strtoul(cli_text(a, name), NULL, 10);
}
