# SPDX-License-Identifier: GPL-2.0-only
# bash completion of kvmbus: `kvmbus __complete` knows what may be typed.
_kvmbus() {
	local line=${COMP_LINE:0:COMP_POINT} words cur keep candidate about file
	read -ra words <<<"$line"
	[[ $line != *[[:space:]] ]] || words+=("")
	cur=${words[-1]}
	# bash takes a word apart at these, and replaces only the last part of it
	keep=${cur%"${cur##*[=:]}"}
	COMPREPLY=()
	while IFS=$'\t' read -r candidate about; do
		if [ "$candidate" = :file ]; then
			compopt -o filenames
			while read -r file; do
				COMPREPLY+=("${about#"$keep"}$file")
			done < <(compgen -f -- "${cur#"$about"}")
		else
			[[ $candidate != *= ]] || compopt -o nospace
			COMPREPLY+=("${candidate#"$keep"}")
		fi
	done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
}
complete -F _kvmbus kvmbus
