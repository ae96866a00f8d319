// SPDX-License-Identifier: GPL-2.0-only
/*
 * Completion for the shells: what may be typed next. The answer comes from the table, and from
 * running VMs for names of disks and NICs.
 */
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "lib/util.h"

#define PATIENCE_S 1

struct cursor {
	/* words[num]: before the cursor, without options; also the action */
	char *words[CLI_MAX_WORDS];
	int num;
	const struct cli_command *rows, *cmd; /* cmd: NULL until the action is known */
	const char *typed; /* of the word at the cursor, what a candidate must begin with */
	char before[1024]; /* of the same word, what stays */
};

static void offer(const struct cursor *c, const char *word, const char *tail, const char *about)
{
	char candidate[300];

	snprintf(candidate, sizeof(candidate), "%s%s", word, tail);
	if (!strncmp(candidate, c->typed, strlen(c->typed)))
		printf("%s%s\t%s\n", c->before, candidate, about ? about : "");
}

/* Move what has been typed of the word over to what stays: up to @rest. */
static void step_over(struct cursor *c, const char *rest)
{
	size_t n = strlen(c->before);

	snprintf(c->before + n, sizeof(c->before) - n, "%.*s", (int)(rest - c->typed), c->typed);
	c->typed = rest;
}

/* ---- what only a VM knows ---- */

static void offer_vm(void *arg, const char *path, const char *name)
{
	(void)path;
	offer(arg, name, "", "VM");
}

static json_t *ask_vm(const struct cursor *c, const char *question)
{
	char path[200];

	return c->num && client_find(c->words[0], path, sizeof(path)) ?
		       client_try(path, question, PATIENCE_S) :
		       NULL;
}

/* Disks by place, NICs by name; what is in them stands behind. */
static void offer_units(const struct cursor *c, const char *question)
{
	json_t *all = ask_vm(c, question), *x, *about;
	char name[48], *plain;
	size_t i;

	json_array_foreach(all, i, x) {
		about = json_object_get(x, json_object_get(x, "lun") ? "path" : "mac");
		plain = cli_plain(json_is_string(about) ? json_string_value(about) : "empty");
		if (json_object_get(x, "lun"))
			snprintf(name, sizeof(name), "%lld:%lld",
				 (long long)json_integer_value(json_object_get(x, "controller")),
				 (long long)json_integer_value(json_object_get(x, "lun")));
		else
			snprintf(name, sizeof(name), "net%lld",
				 (long long)json_integer_value(json_object_get(x, "index")));
		offer(c, name, "", plain);
		free(plain);
	}
	json_decref(all);
}

/* ---- values ---- */

static void offer_files(const struct cursor *c)
{
	printf(":file\t%s\n", c->before);
}

static void offer_list(const struct cursor *c, const char *list, const char *about)
{
	char word[64];
	size_t n;

	for (; list && *list; list += n + (list[n] == ' ')) {
		n = strcspn(list, " ");
		snprintf(word, sizeof(word), "%.*s", (int)n, list);
		offer(c, word, "", about);
	}
}

static void offer_table(const struct cursor *c, const struct opt_def *o)
{
	for (; o && o->name; o++)
		offer(c, o->name, o->kind == OPT_FLAG ? "" : "=", o->help);
}

static void offer_value(struct cursor *c, const struct opt_def *o);

/* Behind a comma: a key, or the value of one. */
static void offer_sub(struct cursor *c, const struct opt_def *o)
{
	const char *comma = strrchr(c->typed, ','), *eq;
	const struct opt_def *key;
	char name[32];

	step_over(c, comma + 1);
	eq = strchr(c->typed, '=');
	if (!eq) {
		offer_table(c, o->sub);
		return;
	}
	snprintf(name, sizeof(name), "%.*s", (int)(eq - c->typed), c->typed);
	key = opt_find(o->sub, name);
	step_over(c, eq + 1);
	if (key)
		offer_value(c, key);
}

static void offer_value(struct cursor *c, const struct opt_def *o)
{
	const char *eq = strchr(c->typed, '=');

	if (o->sub && strchr(c->typed, ',')) {
		offer_sub(c, o);
	} else if (o->kind == OPT_VM) {
		client_each(offer_vm, c);
	} else if (o->kind == OPT_DISK) {
		offer_units(c, "disk-list");
	} else if (o->kind == OPT_NIC) {
		offer_units(c, "nic-list");
	} else if (o->kind == OPT_FILE) {
		offer_list(c, o->values, NULL);
		offer_files(c);
	} else if (o->values && eq && strstr(o->values, "file=")) { /* "file=", "unix=" */
		step_over(c, eq + 1);
		offer_files(c);
	} else if (o->values && eq) { /* "heartbeat=" */
		step_over(c, eq + 1);
		offer_list(c, "on off", NULL);
	} else {
		offer_table(c, o->first);
		offer_list(c, o->values, NULL);
		if (o->sub == opt_disk_options || o->sub == opt_firmware_options)
			offer_files(c);
	}
}

/* ---- words and options ---- */

static const struct opt_def *find_def(const struct cursor *c, const char *name, size_t len)
{
	const struct cli_command *r;
	const struct opt_def *o;
	char text[40];

	snprintf(text, sizeof(text), "%.*s", (int)KVMB_MIN(len, sizeof(text) - 1), name);
	for (r = c->cmd ? c->cmd : c->rows; r->verb && !strcmp(r->verb, c->rows->verb); r++) {
		o = opt_find(r->options, text);
		if (o)
			return o;
	}
	return NULL;
}

static void offer_options(struct cursor *c)
{
	const struct opt_def *o;

	step_over(c, c->typed + strspn(c->typed, "-"));
	snprintf(c->before, sizeof(c->before), "--");
	for (o = c->cmd ? c->cmd->options : NULL; o && o->name; o++)
		offer(c, o->name, "", o->help);
	offer(c, "help", "", "about this command");
}

static void offer_verbs(const struct cursor *c)
{
	const struct cli_command *r;

	for (r = cli_commands; r->verb; r++) {
		if (r == cli_commands || strcmp(r->verb, r[-1].verb))
			offer(c, r->verb, "", r->summary);
	}
}

static void offer_actions(const struct cursor *c, const struct cli_command *rows)
{
	const struct cli_command *r;

	for (r = rows; r && r->verb && !strcmp(r->verb, rows->verb); r++) {
		if (r->action)
			offer(c, r->action, "", r->summary);
	}
}

static void offer_word(struct cursor *c)
{
	int i = c->num - (c->rows->action && c->num > 1); /* place in the table's words */

	if (!strcmp(c->rows->verb, "help") && c->num == 0)
		offer_verbs(c);
	else if (!strcmp(c->rows->verb, "help"))
		offer_actions(c, cli_rows(c->words[0]));
	else if (c->rows->action && c->num == 1)
		offer_actions(c, c->rows);
	else if (c->cmd || !c->num) {
		if (i < CLI_MAX_WORDS && (c->cmd ? c->cmd : c->rows)->words[i].name)
			offer_value(c, &(c->cmd ? c->cmd : c->rows)->words[i]);
		else
			offer_options(c);
	}
}

void cli_complete(int argc, char **argv)
{
	struct cursor c = { .typed = argc ? argv[argc - 1] : "" };
	const struct opt_def *value_of = NULL;
	const char *eq;
	int i;

	if (argc < 2) {
		offer_verbs(&c);
		offer(&c, "--help", "", "all commands");
		offer(&c, "--version", "", NULL);
		return;
	}
	c.rows = cli_rows(argv[0]);
	if (!c.rows)
		return;
	c.cmd = c.rows->action ? NULL : c.rows;
	for (i = 1; i < argc - 1; i++) {
		if (value_of) {
			value_of = NULL;
		} else if (!strncmp(argv[i], "--", 2)) {
			value_of = strchr(argv[i], '=') ?
					   NULL :
					   find_def(&c, argv[i] + 2, strlen(argv[i] + 2));
			if (value_of && value_of->kind == OPT_FLAG)
				value_of = NULL;
		} else if (c.num < CLI_MAX_WORDS) {
			if (c.rows->action && c.num == 1)
				c.cmd = cli_row(c.rows, argv[i]);
			c.words[c.num++] = argv[i];
		}
	}
	eq = strchr(c.typed, '=');
	if (!value_of && !strncmp(c.typed, "--", 2) && eq) {
		value_of = find_def(&c, c.typed + 2, (size_t)(eq - c.typed) - 2);
		step_over(&c, eq + 1);
		if (!value_of)
			return;
	}
	if (value_of)
		offer_value(&c, value_of);
	else if (*c.typed == '-')
		offer_options(&c);
	else
		offer_word(&c);
}
