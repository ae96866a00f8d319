#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The arrows: who may include whom (docs/architecture.md). Reads the #include lines.
cd "$(dirname "$0")/../.." || exit 1
bad=0
# rule DIRECTORY "allowed prefixes" [only files like] [but not like]
rule() {
	local f inc ok a
	for f in $(git ls-files "$1" | grep -E '\.[ch]$' | grep -E "${3:-.}" | grep -vE "${4:-^$}"); do
		while read -r inc; do
			ok=; for a in $2; do [[ $inc == $a* ]] && ok=1; done
			[ -n "$ok" ] || { echo "not ok layers: $f includes $inc"; bad=1; }
		done < <(sed -n 's/^#[ \t]*include[ \t]*"\(.*\)"/\1/p' "$f")
	done
}
rule vmbus-core "vmbus-core/"
rule lib "lib/"
rule backend "vmbus-core/env.h lib/ backend/"
rule backend/block "vmbus-core/env.h lib/ backend/block/ backend/iov.h backend/throttle.h"
rule backend/net "vmbus-core/env.h lib/ backend/net/ backend/iov.h backend/throttle.h"
rule host-vsp "vmbus-core/ lib/ backend/ host-vsp/"
guest_file='_guest\.[ch] ' # in a line of includes
guest='(_guest|/ic_chardev)\.[ch]$' # guest halves live in the kernel, beside their host halves
rule ic-services "vmbus-core/ lib/ host-vsp/ ic-services/" . "$guest"
rule ic-services "vmbus-core/ guest-vsc/ ic-services/ic_guest.h ic-services/ic_chardev.h" "$guest"
rule machine "vmbus-core/ lib/ host-vsp/ machine/"
rule vmm "vmbus-core/ lib/ backend/ host-vsp/ ic-services/ machine/ vmm/"
rule manage "vmbus-core/env.h lib/ backend/block/image.h backend/block/nbd_lib.h vmm/boot_find.h manage/"
rule cli "lib/ cli/ vmm/opt.h vmm/config.h vmm/disk_copies.h vmm/handover.h vmm/names.h vmm/note.h vmm/places.h" . "cli/(cmd_(r(un|estore)|exec|save|import|incoming|migrate|upgrade)|cli_(config|file)|client_facts|mig_apart|vnc_client|vnc_keys).c"
rule cli/cli_file.c "lib/ cli/ vmm/opt.h manage/vm_file.h"
rule cli/cmd_exec.c "lib/ cli/ vmbus-core/proto/agent.h"
rule cli/cmd_import.c "lib/ cli/ vmm/opt.h manage/"
rule cli/cmd_restore.c "lib/ cli/ vmm/state_file.h"
rule cli/cli_config.c "lib/ cli/ vmm/state_file.h vmm/vm_state.h"
rule cli/client_facts.c "lib/ cli/ vmm/note.h vmm/state_file.h"
rule cli/cmd_incoming.c "lib/ cli/ vmm/disk_copies.h vmm/mig_stream.h"
rule cli/cmd_migrate.c "lib/ cli/ vmm/disk_copies.h vmm/handover.h vmm/mig_stream.h"
rule cli/mig_apart.c "lib/ cli/ vmm/confine.h"
rule cli/vnc_client.c "lib/ cli/ vmm/display.h"
rule cli/vnc_keys.c "lib/ cli/ vmm/keys.h"
rule cli/cmd_upgrade.c "lib/ cli/ vmm/handover.h vmm/handed.h"
rule cli/cmd_save.c "lib/ cli/ vmm/handover.h vmm/state_file.h"
rule cli/cmd_run.c "lib/ cli/ vmm/boot_order.h vmm/disk_copies.h vmm/opt.h vmm/opt_ic.h vmm/run.h machine/cpuid.h vmbus-core/version.h"
rule guest-vsc "vmbus-core/ guest-vsc/"
# Nobody stands on who stands on him: neither rooms nor the files of vmm/. Reads "FROM TO" lines.
no_circle() {
	local loop
	loop=$(tsort 2>&1 >/dev/null | sed -n 's/^tsort: \([^:]*\)$/\1/p' | paste -sd' ')
	[ -z "$loop" ] || { echo "not ok layers: a circle of $1: $loop"; bad=1; }
}
includes() { git grep -E '^#include "' -- "$@" | sed -E 's/^([^:]*):#include "([^"]*)".*/\1 \2/'; }
room='s#^(backend/[^/]*|[^/ ]*)/[^ ]* (backend/[^/]*|[^/ ]*)/.*#\1 \2#'
rooms='vmbus-core lib backend host-vsp machine ic-services vmm manage cli'
no_circle rooms < <(includes $rooms | grep -v "$guest_file" | sed -E "$room" | sort -u)
no_circle 'files of vmm/' < <(includes vmm | grep ' vmm/' | sed -E 's#vmm/##g; s#(_priv)?\.[ch]##g' | sort -u)
# a static function's name stands once in its folder: a backtrace then says which one it is
twice=$(git grep -E '^static [^;=]*[ *][a-z_0-9]+\([^;]*$' -- $(printf '%s/*.c ' $rooms) ':!*_guest.c' |
	sed -E 's#^(.*)/([^/]*):[^(]*[ *]([a-z_0-9]+)\(.*#\1 \3 \2#' | sort -u | awk '$1 " " $2 == last { print $2 " in " $1 "/" file ", " $3 } { last = $1 " " $2; file = $3 }')
[ -z "$twice" ] || { sed 's/^/not ok layers: one name twice: /' <<<"$twice"; bad=1; }
# private headers stay in their directory
for h in $(git ls-files '*_priv.h'); do
	d=$(dirname "$h")
	git grep -l "\"$h\"" -- '*.c' '*.h' ':!tests' | grep -v "^$d/" | sed "s|^|not ok layers: |; s|\$| includes the private $h|" | grep . && bad=1
done
[ $(git grep -l '__KERNEL__' -- '*.c' '*.h' | grep -vc '^vmbus-core/env.h$') = 0 ] || { echo "not ok layers: __KERNEL__ outside vmbus-core/env.h"; bad=1; }
for f in $(git ls-files '*.c' '*.h' '*.S' '*.sh' '*.py' Makefile meson.build Kbuild); do
	head -3 "$f" | grep -q 'SPDX-License-Identifier: GPL-2.0-only' || { echo "not ok layers: no SPDX line in $f"; bad=1; }
done
# a VM with raw disks does not load libnbd and what comes with it
[ ! -e build/kvmbus ] || ! ldd build/kvmbus | grep -E 'libnbd|libgnutls|libpng|libvncserver|libzstd|libinih|libxml2|libarchive' || { echo "not ok layers: build/kvmbus is linked with a library that is loaded"; bad=1; }
[ $bad = 0 ] && echo "ok layers"
exit $bad
