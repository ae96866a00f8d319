// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM's file of any bytes: values or one line. What was read is written, and read again it is the
 * same, if it can be written.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util.h"
#include "manage/vm_file.h"

static void write_again(const struct vm_file *f)
{
	struct vm_file again;
	char *text = NULL, why[300];
	size_t len, i;
	FILE *out = open_memstream(&text, &len);

	kvmb_assert(out);
	for (i = 0; i < f->num; i++) {
		if (vm_file_put(out, f->values[i].key, f->values[i].value))
			kvmb_assert(f->values[i].value[0]);
	}
	fclose(out);
	if (!vm_file_parse("again", text, len, &again, why, sizeof(why))) {
		for (i = 0; i < again.num && again.num == f->num; i++) {
			kvmb_assert(!strcmp(again.values[i].key, f->values[i].key));
			kvmb_assert(!strcmp(again.values[i].value, f->values[i].value));
		}
	}
	vm_file_free(&again);
	free(text);
}

int LLVMFuzzerTestOneInput(const unsigned char *in, size_t len);
int LLVMFuzzerTestOneInput(const unsigned char *in, size_t len)
{
	static void *keep; /* or it is loaded anew each time */
	char why[300] = "";
	struct vm_file f;
	size_t i;

	if (!keep)
		keep = dlopen("libinih.so.1", RTLD_NOW | RTLD_LOCAL);
	if (vm_file_parse("f", (const char *)in, len, &f, why, sizeof(why))) {
		kvmb_assert(why[0] && !strchr(why, '\n'));
	} else {
		for (i = 0; i < f.num; i++)
			kvmb_assert(f.values[i].line && *f.values[i].key &&
				    (!i || f.values[i].line > f.values[i - 1].line));
		write_again(&f);
	}
	vm_file_free(&f);
	return 0;
}
