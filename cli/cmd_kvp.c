// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus kvp VM ...`: items of the guest and for it, addresses of its NICs. */
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/util.h"

static const char *kvp_text(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* Items of the pool that was asked for, or with that key, of an answer. Return: a new reference. */
static json_t *chosen_items(struct cli_args *a, json_t *answer, const char *key)
{
	json_t *out = json_array(), *i;
	const char *pool = cli_text(a, "pool");
	size_t n;

	json_array_foreach(json_object_get(answer, "items"), n, i)
	{
		if (pool && strcasecmp(pool, kvp_text(i, "pool")))
			continue;
		if (!key || !strcmp(key, kvp_text(i, "key")))
			json_array_append(out, i);
	}
	return out;
}

static void print_items(json_t *items)
{
	json_t *i;
	size_t n;

	json_array_foreach(items, n, i) printf(
		"%-9s %s = %s%s\n", kvp_text(i, "pool"), kvp_text(i, "key"), kvp_text(i, "value"),
		json_is_true(json_object_get(i, "owed")) ? " (the guest has not got it)" : "");
}

static void print_kvp_value(json_t *item)
{
	puts(kvp_text(item, "value"));
}

int kvp_cmd_list(struct cli_args *a)
{
	json_t *o = NULL, *items;
	int err = client_ask(a->words[0], "kvp-list", NULL, &o);

	if (!err) {
		items = chosen_items(a, o, NULL);
		client_show(items, cli_flag(a, "json"), print_items);
		json_decref(items);
	}
	json_decref(o);
	return err;
}

int kvp_cmd_get(struct cli_args *a)
{
	json_t *o = NULL, *items;
	int err = client_ask(a->words[0], "kvp-list", NULL, &o);

	if (err)
		return err;
	items = chosen_items(a, o, a->words[1]);
	if (json_array_size(items)) {
		client_show(json_array_get(items, 0), cli_flag(a, "json"), print_kvp_value);
	} else {
		cli_error("VM \"%s\": the guest has no item \"%s\"", a->words[0], a->words[1]);
		err = EXIT_FAILED;
	}
	json_decref(items);
	json_decref(o);
	return err;
}

static int ask_and_show(struct cli_args *a, const char *command, json_t *args,
			void (*print)(json_t *o))
{
	json_t *o = NULL;
	int err;

	if (!args)
		return cli_bad(a->cmd, "what is not UTF-8 cannot be sent to the VM");
	err = client_ask(a->words[0], command, args, &o);
	if (!err)
		client_show(o, cli_flag(a, "json"), print);
	json_decref(o);
	return err;
}

static void print_owed(json_t *o)
{
	if (json_is_true(json_object_get(o, "owed")))
		puts("kept; the guest gets it when its service starts");
}

int kvp_cmd_set(struct cli_args *a)
{
	return ask_and_show(a, "kvp-set",
			    json_pack("{s:s, s:s}", "key", a->words[1], "value",
				      a->num_words > 2 ? a->words[2] : ""),
			    print_owed);
}

int kvp_cmd_delete(struct cli_args *a)
{
	return ask_and_show(a, "kvp-delete", json_pack("{s:s}", "key", a->words[1]), NULL);
}

/* ---- addresses ---- */

/* All values of an option. Return: a new reference; NULL: one is not UTF-8. */
static json_t *values_of(struct cli_args *a, const char *option)
{
	json_t *out = json_array();
	int i;

	for (i = 0; i < a->num_given; i++) {
		if (strcmp(a->given[i].opt->name, option))
			continue;
		if (json_array_append_new(out, json_string(a->given[i].value))) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

static void print_ip_list(const char *title, json_t *list)
{
	json_t *s;
	size_t i;

	json_array_foreach(list, i, s) printf("%-12s %s\n", title, json_string_value(s) ?: "");
}

static void print_ip(json_t *o)
{
	json_t *addresses = json_object_get(o, "addresses");
	json_t *subnets = json_object_get(o, "subnets"), *s;
	size_t i;

	if (!json_is_array(addresses)) /* they were set */
		return;
	json_array_foreach(addresses, i, s)
		printf("%-12s %s %s\n", "Address:", json_string_value(s) ?: "",
		       json_string_value(json_array_get(subnets, i)) ?: "");
	print_ip_list("Gateway:", json_object_get(o, "gateways"));
	print_ip_list("DNS:", json_object_get(o, "dns"));
	printf("%-12s %s\n", "DHCP:", json_is_true(json_object_get(o, "dhcp")) ? "yes" : "no");
}

int kvp_cmd_ip(struct cli_args *a)
{
	json_t *args, *addresses = values_of(a, "address"), *gateways = values_of(a, "gateway"),
		      *dns = values_of(a, "dns");
	bool dhcp = cli_flag(a, "dhcp");

	if (!dhcp && !json_array_size(addresses) &&
	    (json_array_size(gateways) || json_array_size(dns))) {
		json_decref(addresses);
		json_decref(gateways);
		json_decref(dns);
		return cli_bad(a->cmd, "--gateway and --dns go with --address");
	}
	args = json_pack("{s:s, s:b, s:o, s:o, s:o}", "nic", cli_text(a, "nic"), "dhcp", dhcp,
			 "addresses", addresses, "gateways", gateways, "dns", dns);
	return ask_and_show(a, "kvp-ip", args, print_ip);
}
