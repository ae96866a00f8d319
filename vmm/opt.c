// SPDX-License-Identifier: GPL-2.0-only
/* Values on the command line: numbers, sizes, words, and messages about wrong ones. */
#include "vmm/opt.h"

#include <ctype.h>
#include <string.h>

#include "lib/util.h"

#define MAX_NAME 32u /* letters that opt_distance() looks at */

bool opt_u32(const char *s, u32 min, u32 max, u32 *out)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(s, &end, 10);
	if (!isdigit((unsigned char)*s) || *end || errno || v < min || v > max)
		return false;
	*out = (u32)v;
	return true;
}

static unsigned int unit_shift(char c)
{
	static const char units[] = "KMGT";
	const char *p = c ? strchr(units, toupper((unsigned char)c)) : NULL;

	return p ? 10 * (unsigned int)(p - units + 1) : 0;
}

bool opt_size(const char *s, u64 *out, const char **end)
{
	unsigned int shift;
	char *p;
	u64 v;

	errno = 0;
	v = strtoull(s, &p, 10);
	if (!isdigit((unsigned char)*s) || errno)
		return false;
	shift = unit_shift(*p);
	if (shift)
		p++;
	p += !strncasecmp(p, "iB", 2) ? 2 : !strncasecmp(p, "B", 1);
	if (v > ~0ull >> shift || (!end && *p))
		return false;
	*out = v << shift;
	if (end)
		*end = p;
	return true;
}

const char *opt_size_str(u64 v, char *buf, size_t size)
{
	static const char units[] = " KMGT";
	unsigned int u = 0;

	while (v && u < 4 && !(v & 1023)) {
		v >>= 10;
		u++;
	}
	snprintf(buf, size, "%llu%.*s", (unsigned long long)v, u != 0, units + u);
	return buf;
}

bool opt_mac(const char *s, u8 *mac)
{
	static const u8 zero[6];
	unsigned int b[6];
	char tail;
	int i;

	if (strlen(s) != 17 ||
	    sscanf(s, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &tail) != 6 ||
	    b[0] & 1)
		return false;
	for (i = 0; i < 6; i++)
		mac[i] = (u8)b[i];
	return memcmp(mac, zero, sizeof(zero)) != 0;
}

bool opt_uuid(const char *s, u8 *uuid)
{
	static const u8 zero[16];
	unsigned int v;
	int i;

	if (strlen(s) != 36)
		return false;
	for (i = 0; i < 16; i++, s += 2) {
		if ((i == 4 || i == 6 || i == 8 || i == 10) && *s++ != '-')
			return false;
		if (!isxdigit((unsigned char)s[0]) || !isxdigit((unsigned char)s[1]) ||
		    sscanf(s, "%2x", &v) != 1)
			return false;
		uuid[i] = (u8)v;
	}
	return memcmp(uuid, zero, sizeof(zero)) != 0;
}

/* ---- tables ---- */

const struct opt_def *opt_find(const struct opt_def *table, const char *name)
{
	for (; table && table->name; table++) {
		if (!strcmp(table->name, name))
			return table;
	}
	return NULL;
}

bool opt_in_list(const char *list, const char *word, size_t len)
{
	size_t n;

	for (; list && *list; list += n + (list[n] == ' ')) {
		n = strcspn(list, " ");
		if (n == len && !strncasecmp(list, word, len))
			return true;
	}
	return false;
}

int opt_index(const struct opt_def *o, const char *value)
{
	const char *list = o->values;
	size_t n, len = strlen(value);
	int i;

	for (i = 0; list && *list; list += n + (list[n] == ' '), i++) {
		n = strcspn(list, " ");
		if (n == len && !strncasecmp(list, value, len))
			return i;
	}
	return -1;
}

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Three rows of the usual table: two letters that changed places cost one. */
unsigned int opt_distance(const char *a, const char *b)
{
	unsigned int rows[3][MAX_NAME + 1], *two = rows[0], *one = rows[1], *row = rows[2], *swap,
					    i, j;
	unsigned int la = (unsigned int)strnlen(a, MAX_NAME),
		     lb = (unsigned int)strnlen(b, MAX_NAME);

	for (j = 0; j <= lb; j++)
		row[j] = j;
	for (i = 1; i <= la; i++) {
		swap = two;
		two = one;
		one = row;
		row = swap;
		row[0] = i;
		for (j = 1; j <= lb; j++) {
			row[j] = one[j - 1] + !same(a[i - 1], b[j - 1]);
			row[j] = KVMB_MIN(row[j], KVMB_MIN(one[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
				row[j] = KVMB_MIN(row[j], two[j - 2] + 1);
		}
	}
	return row[lb];
}

const struct opt_def *opt_similar(const struct opt_def *table, const char *name)
{
	const struct opt_def *o, *best = NULL;
	unsigned int d, least = (unsigned int)KVMB_MIN(strlen(name) / 3 + 1, 3u);
	size_t len = strlen(name);

	for (o = table; o && o->name; o++) {
		if (opt_in_list(o->aka, name, len) || !strcasecmp(o->name, name))
			return o;
	}
	for (o = table; o && o->name; o++) {
		/* "mem" may be "memory" */
		d = len > 2 && !strncasecmp(o->name, name, len) ? 1 : opt_distance(name, o->name);
		if (d <= least && d < strlen(o->name)) {
			least = d - (d > 0);
			best = o;
		}
	}
	return best;
}

/* ---- checks ---- */

/* "a, b or c" */
static void list_words(const char *list, char *out, size_t size)
{
	size_t n, used = 0;
	const char *rest;

	for (*out = 0; *list && used < size; list = rest) {
		n = strcspn(list, " ");
		rest = list + n + (list[n] == ' ');
		used += (size_t)snprintf(out + used, size - used, "%.*s%s", (int)n, list,
					 !*rest		   ? "" :
					 strchr(rest, ' ') ? ", " :
							     " or ");
	}
}

static void why_no_size(const char *value, char *why, size_t size)
{
	unsigned int whole, shift;
	char unit, tail, *end;
	double v = strtod(value, &end);

	if (sscanf(value, "%u.%u%c%c", &whole, &whole, &unit, &tail) >= 3 &&
	    (shift = unit_shift(unit)) >= 20 && v > 0 && v < 1e6)
		snprintf(why, size, "must be a whole number: %.0f%c", v * 1024,
			 " KMGT"[shift / 10 - 1]);
	else
		snprintf(why, size, "not a size; for example 512M or 4G");
}

static bool check_size(const struct opt_def *o, const char *value, char *why, size_t size)
{
	u64 v, max = o->max ? o->max : (u64)INT64_MAX;
	char low[32], high[32];

	if (!opt_size(value, &v, NULL)) {
		why_no_size(value, why, size);
		return false;
	}
	if (v >= o->min && v <= max)
		return true;
	if (o->max)
		snprintf(why, size, "must be %s to %s", opt_size_str(o->min, low, sizeof(low)),
			 opt_size_str(o->max, high, sizeof(high)));
	else
		snprintf(why, size, v > max ? "too large" : "must not be 0");
	return false;
}

bool opt_check(const struct opt_def *o, const char *value, char *why, size_t size)
{
	char words[200];
	u32 v;

	switch (o->kind) {
	case OPT_FLAG:
		break;
	case OPT_U32:
		snprintf(why, size, "must be %llu to %llu", (unsigned long long)o->min,
			 (unsigned long long)o->max);
		return opt_u32(value, (u32)o->min, (u32)o->max, &v);
	case OPT_SIZE:
		return check_size(o, value, why, size);
	case OPT_WORD:
		list_words(o->values, words, sizeof(words));
		snprintf(why, size, "must be %s", words);
		return opt_index(o, value) >= 0;
	case OPT_TEXT:
		snprintf(why, size, "at most %llu characters", (unsigned long long)o->max);
		if (o->max && strlen(value) > o->max)
			return false;
		__attribute__((fallthrough));
	case OPT_FILE:
	case OPT_VM:
	case OPT_DISK:
	case OPT_NIC:
		if (*value || o->optional)
			break;
		snprintf(why, size, "must not be empty");
		return false;
	}
	return true;
}
