// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus host memory`: share the host's memory among its VMs, by what their guests demand. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "cli/share.h"
#include "lib/exits.h"
#include "lib/util.h"

#define PATIENCE_S 3
#define MAX_VMS 4096u

struct known {
	char *path, *name;
};

struct round {		      /* of all VMs that answer */
	struct known *known;  /* known[num] */
	struct share_vm *vms; /* vms[num] */
	size_t num;
};

static uint64_t bytes_in(json_t *o, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v > 0 ? KVMB_MIN((uint64_t)v, SHARE_MOST) : 0;
}

/* What a VM's process says: hostile. */
static struct share_vm read_vm(json_t *info)
{
	json_t *d = json_object_get(info, "dynamic_memory");

	if (!json_is_object(d))
		return (struct share_vm){ .assigned = bytes_in(info, "memory") };
	return (struct share_vm){ .dynamic = true,
				  .reports = json_is_integer(json_object_get(d, "demand")),
				  .min = bytes_in(d, "min"),
				  .max = bytes_in(d, "max"),
				  .assigned = bytes_in(d, "assigned"),
				  .demand = bytes_in(d, "demand"),
				  .target = bytes_in(d, "target") };
}

static void note_vm(void *arg, const char *path, const char *name)
{
	struct round *r = arg;
	json_t *info = r->num < MAX_VMS ? client_try(path, "info", PATIENCE_S) : NULL;

	if (!info) /* it is busy, ends, or is another one's: the next round may know more */
		return;
	r->known = reallocarray(r->known, r->num + 1, sizeof(*r->known));
	r->vms = reallocarray(r->vms, r->num + 1, sizeof(*r->vms));
	if (!r->known || !r->vms)
		abort();
	r->known[r->num] = (struct known){ strdup(path), strdup(name) };
	if (!r->known[r->num].path || !r->known[r->num].name)
		abort();
	r->vms[r->num++] = read_vm(info);
	json_decref(info);
}

static void forget_round(struct round *r)
{
	while (r->num) {
		free(r->known[--r->num].path);
		free(r->known[r->num].name);
	}
	free(r->known);
	free(r->vms);
}

static json_t *vm_json(const struct known *k, const struct share_vm *v)
{
	return json_pack("{s:s, s:b, s:I, s:o, s:o}", "name", k->name, "dynamic", v->dynamic,
			 "assigned", (json_int_t)v->assigned, "demand",
			 v->reports ? json_integer((json_int_t)v->demand) : json_null(), "target",
			 v->dynamic ? json_integer((json_int_t)v->target) : json_null());
}

static void print_vm(const struct known *k, const struct share_vm *v, uint64_t before)
{
	char *name = cli_plain(k->name);

	printf("%-20s %8llu MiB", name ? name : "?", (unsigned long long)v->assigned >> 20);
	if (v->reports)
		printf(", wants %llu MiB", (unsigned long long)v->demand >> 20);
	if (v->dynamic)
		printf(", target %llu MiB%s", (unsigned long long)v->target >> 20,
		       v->target == before ? "" : " (new)");
	putchar('\n');
	free(name);
}

static void set_target(const struct known *k, uint64_t target)
{
	json_t *o = NULL;

	if (!client_ask(k->path, "memory-set", json_pack("{s:I}", "size", (json_int_t)target), &o))
		json_decref(o);
}

/* Return: false: even the minima are more than @limit. */
static bool one_round(uint64_t limit, bool only_look, bool as_json)
{
	json_t *list = json_array();
	struct round r = { 0 };
	uint64_t *before, sum;
	size_t i;

	client_each(note_vm, &r);
	before = kvmb_xzalloc((r.num + 1) * sizeof(*before));
	for (i = 0; i < r.num; i++)
		before[i] = r.vms[i].target;
	sum = share_memory(r.vms, r.num, limit);
	for (i = 0; i < r.num; i++) {
		if (as_json)
			json_array_append_new(list, vm_json(&r.known[i], &r.vms[i]));
		else
			print_vm(&r.known[i], &r.vms[i], before[i]);
		if (r.vms[i].target != before[i] && !only_look)
			set_target(&r.known[i], r.vms[i].target);
	}
	if (as_json) {
		json_t *o = json_pack("{s:I, s:I, s:O}", "limit", (json_int_t)limit, "sum",
				      (json_int_t)sum, "vms", list);

		json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		putchar('\n');
		json_decref(o);
	}
	json_decref(list);
	free(before);
	forget_round(&r);
	return sum <= limit;
}

int cmd_host(struct cli_args *a)
{
	const char *text = cli_text(a, "limit");
	bool once = cli_flag(a, "once") || cli_flag(a, "dry-run"), fits;
	char why[160];
	u64 limit;

	if (strcmp(a->words[0], "memory"))
		return cli_bad(a->cmd, "there is only: kvmbus host memory");
	if (!text)
		return cli_bad(a->cmd, "say how much they may have: --limit SIZE");
	if (!opt_memory_size(text, &limit, why, sizeof(why)))
		return cli_bad(a->cmd, "--limit \"%s\": %s", text, why);
	for (;;) {
		fits = one_round(limit, cli_flag(a, "dry-run"), cli_flag(a, "json"));
		if (!fits)
			cli_error("host memory: the VMs have more than the limit at the least");
		if (once || fflush(stdout) || ferror(stdout))
			return fits ? EXIT_OK : EXIT_FAILED;
		sleep(cli_u32(a, "interval"));
	}
}
