#compdef kvmbus
# SPDX-License-Identifier: GPL-2.0-only
# zsh completion of kvmbus: `kvmbus __complete` knows what may be typed.
local candidate about
local -a plain open
while IFS=$'\t' read -r candidate about; do
	if [[ $candidate == :file ]]; then
		compset -P "${(b)about}"
		_files
	elif [[ $candidate == *= ]]; then
		open+=("$candidate")
	else
		plain+=("$candidate")
	fi
done < <($words[1] __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
compadd -a plain
compadd -S '' -a open
