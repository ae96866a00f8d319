#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Names that the documents quote exist: `dir/file.c:function` and `dir/file` in README.md and docs/.
cd "$(dirname "$0")/../.." || exit 1
bad=0
while IFS=: read -r doc ref; do
	file=${ref%%:*} fn=
	[[ $ref == *:* ]] && fn=${ref#*:} && fn=${fn%()}
	[ -e "$file" ] || { echo "not ok docs: $doc names $file, which does not exist"; bad=1; continue; }
	[ -z "$fn" ] || grep -qw "$fn" "$file" || { echo "not ok docs: $doc names $ref: no $fn in there"; bad=1; }
done < <(grep -oHE '`(vmbus-core|lib|host-vsp|ic-services|vmm|guest-vsc|tests|docs)/[A-Za-z0-9_./-]+(:[A-Za-z0-9_]+(\(\))?)?`' README.md docs/*.md docs/*/*.md 2>/dev/null | tr -d '`')
[ $bad = 0 ] && echo "ok docs"
exit $bad
