// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus ic VM`: the integration services of a VM. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "lib/exits.h"

static const char *service_text(json_t *o, const char *key, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : otherwise;
}

/* "2.5 s ago"; "never". */
static const char *age_of(json_t *service, char *buf, size_t size)
{
	json_t *ms = json_object_get(service, "last_contact_ms");

	if (json_is_integer(ms))
		snprintf(buf, size, "%.1f s ago", (double)json_integer_value(ms) / 1000);
	else
		snprintf(buf, size, "never");
	return buf;
}

/* What is special of a service: a heartbeat's status, the last step of a clock. */
static void print_special(json_t *o)
{
	json_t *sync = json_object_get(o, "last_sync_ms"),
	       *answer = json_object_get(o, "answer_ms");
	json_t *offset = json_object_get(o, "guest_offset_ms");

	printf("%s", service_text(o, "status", ""));
	if (json_is_integer(sync))
		printf("clock set %lld s ago", (long long)json_integer_value(sync) / 1000);
	if (json_is_integer(answer))
		printf(", taken within %lld ms", (long long)json_integer_value(answer));
	if (json_is_integer(offset))
		printf(", it says %+lld ms", (long long)json_integer_value(offset));
}

static void print_services(json_t *all)
{
	const char *name;
	char age[40];
	json_t *o;

	printf("%-10s %-8s %-16s %-8s %-14s %s\n", "SERVICE", "ENABLED", "STATE", "VERSION",
	       "LAST CONTACT", "STATUS");
	json_object_foreach(all, name, o)
	{
		printf("%-10s %-8s %-16s %-8s %-14s ", name,
		       json_is_true(json_object_get(o, "enabled")) ? "yes" : "no",
		       service_text(o, "state", "-"), service_text(o, "version", "-"),
		       age_of(o, age, sizeof(age)));
		print_special(o);
		putchar('\n');
	}
}

static int list_services(struct cli_args *a)
{
	json_t *o = NULL;
	int err = client_ask(a->words[0], "ic-list", NULL, &o);

	if (!err)
		client_show(o, cli_flag(a, "json"), print_services);
	json_decref(o);
	return err;
}

/* ---- switching ---- */

/* "timesync,max=3.0" is what the VM calls "timesync=on,max=3.0". */
static int switch_one(struct cli_args *a, const char *typed, bool on)
{
	int len = (int)strcspn(typed, ",");
	char spec[80];
	json_t *o = NULL;
	int err;

	if (snprintf(spec, sizeof(spec), "%.*s=%s%s", len, typed, on ? "on" : "off", typed + len) >=
	    (int)sizeof(spec))
		return cli_bad(a->cmd, "\"%.40s...\": no service has such a name", typed);
	err = client_ask(a->words[0], "ic-set", json_pack("{s:s}", "spec", spec), &o);
	json_decref(o);
	if (!err && !cli_flag(a, "json"))
		printf("%.*s %s\n", len, typed, on ? "enabled" : "disabled");
	return err;
}

static bool says_change(const struct cli_given *g)
{
	return !strcmp(g->opt->name, "enable") || !strcmp(g->opt->name, "disable");
}

static int switch_all(struct cli_args *a)
{
	int i, err = 0;

	for (i = 0; i < a->num_given && !err; i++) {
		if (says_change(&a->given[i]))
			err = switch_one(a, a->given[i].value,
					 !strcmp(a->given[i].opt->name, "enable"));
	}
	return err || !cli_flag(a, "json") ? err : list_services(a);
}

/* ---- checking ---- */

static int verdict(const char *status)
{
	if (!strcmp(status, "ok"))
		return EXIT_OK;
	return !strcmp(status, "paused") || !strcmp(status, "disabled") ? EXIT_STATE : EXIT_FAILED;
}

static int check_heartbeat(struct cli_args *a)
{
	json_t *all = NULL, *o;
	const char *status;
	char age[40], *plain;
	int err = client_ask(a->words[0], "ic-list", NULL, &all);

	if (err)
		return err;
	o = json_object_get(all, "heartbeat");
	status = service_text(o, "status", "unknown");
	err = verdict(status);
	age_of(o, age, sizeof(age));
	plain = cli_plain(status);
	if (cli_flag(a, "json"))
		client_show(o, true, NULL);
	else if (!err)
		printf("heartbeat ok, last contact %s\n", age);
	if (err)
		cli_error("VM \"%s\": heartbeat %s, last contact %s", a->words[0],
			  plain ? plain : "-", age);
	free(plain);
	json_decref(all);
	return err;
}

int cmd_ic(struct cli_args *a)
{
	bool changes = false;
	int i;

	for (i = 0; i < a->num_given; i++)
		changes = changes || says_change(&a->given[i]);
	if (changes && cli_text(a, "check"))
		return cli_bad(a->cmd, "--check does not go with --enable and --disable");
	if (cli_text(a, "check"))
		return check_heartbeat(a);
	return changes ? switch_all(a) : list_services(a);
}
