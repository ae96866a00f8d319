#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# backend/block/noxml.sh SOURCE COMPILER...: the object that stands in for libxml2 (nbd_noxml.h), as bytes in C
set -e
source=$1; shift
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
echo 'LIBXML2_2.4.30 { xml*; };' >"$dir/versions"
"$@" -O2 -fPIC -shared -nostdlib -fno-sanitize=all -Wl,-soname,libxml2.so.2 -Wl,--version-script,"$dir/versions" \
	-Wl,-z,noseparate-code -Wl,-z,max-page-size=4096 -Wl,--build-id=none -s -o "$dir/object" "$source"
echo 'extern const unsigned char kvmb_noxml[];'
echo 'extern const unsigned long kvmb_noxml_len;'
echo 'const unsigned char kvmb_noxml[] = {'
od -An -v -tu1 "$dir/object" | sed 's/ *\([0-9][0-9]*\)/\1,/g'
echo '};'
echo 'const unsigned long kvmb_noxml_len = sizeof(kvmb_noxml);'
