#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# One of the demo's shells: has sourced what an interactive shell does and more, holds some text, and answers the same
# questions as worker.py.
# shellcheck disable=SC1090,SC1091  # what is sourced is in the guest

. /usr/share/bash-completion/bash_completion
for f in git ssh mount tar curl rsync mutt make perl openssl iptables ip apt-get mplayer; do
	[ ! -r "/usr/share/bash-completion/completions/$f" ] || . "/usr/share/bash-completion/completions/$f"
done
cd /usr/share/bash-completion/completions || exit 1
text=$(cat -- [a-p]*)
mapfile -t lines <bind

answer() {
	{
		printf '%s\n' "$1" "${lines[@]}"
		printf '%s' "$text"
		declare -f
	} | sha256sum | { read -r sum _; echo "$sum"; }
}

change() {
	local i
	text=${text/shell/"shell $1"}
	for ((i = 0; i < ${#lines[@]}; i += 9)); do
		lines[i]="$1 ${lines[i]}"
	done
	eval "changed() { echo $1; }"
}

echo ready
while read -r what a b; do
	case $what in
	ask) answer "$a" ;;
	write) change "$a"; echo "done" ;;
	expect) (change "$b"; answer "$a") ;;
	esac
done
