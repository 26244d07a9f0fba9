#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: scripts/bench-profile.sh LOG KERNEL
# The profiles in a log of the benchmark (make bench PROFILE=1), as tables: instructions by stage, by function of ours
# (inlined ones are told apart, by the module's debug information) and by function of the kernel that they call.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

log=$1
kernel=$2
ko=$("$top/scripts/build-module.sh" "$kernel")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# PLACE FILE FUNCTION: the innermost function that a file of src/ defines.
places() {
	sed -nE 's/^# profile [^ ]+ uksm [^ ]+ [0-9]+ ([0-9a-f]+) .*/0x\1/p' "$log" | sort -u >"$tmp/places"
	addr2line -a -f -i -s -j .text -e "$ko" <"$tmp/places" | awk '
		/^0x/ { place = $1; sub(/^0x0*/, "", place); done = 0; next }
		!f { f = $1; next }
		{
			split($1, at, ":")
			if (!done && at[1] ~ /\.c$/) {
				print place, at[1], f
				done = 1
			}
			f = ""
		}'
}

# The stage of a sample: FILE FUNCTION LEAF.
# shellcheck disable=SC2016  # awk
stages='
function stage(file, f, leaf) {
	if (leaf ~ /^(xxh|xxhash)/ || file == "digest.c") return "fingerprint"
	if (leaf ~ /^(memcmp|memchr_inv|bcmp)$/ || file == "bytes.c" || f ~ /compare|equal|is_zero/) return "compare"
	if (file == "index.c" || file == "match.c" || file == "lookup.c" || file == "share.c") return "index"
	if (f ~ /merge_lock|protect|change|try_share/) return "protect"
	if (file == "merge.c" || file == "rmap.c" || file == "ksyms.c") return "replace"
	if (file == "frame.c" || file == "table.c" || file == "sweep.c") return "frame"
	if (file == "huge.c") return "huge"
	if (file == "visit.c" && leaf ~ /put|free|uncharge|spin/) return "replace"
	if (file == "walk.c" || file == "visit.c" || file == "region.c" || file == "space.c" || file == "work.c") return "walk"
	return "round"
}
function ksm_stage(f, leaf) {
	if (leaf ~ /^xxh/) return "checksum"
	if (leaf ~ /^memcmp/) return "compare"
	if (f ~ /write_protect/) return "protect"
	if (f ~ /replace_page|try_to_merge/) return "replace"
	if (f ~ /tree|stable|ksm_get_folio|get_ksm_page/) return "trees"
	return "walk, and the rest"
}'

# table LOAD SYSTEM PHASE
table() {
	sed -n "s/^# profile $1 $2 $3 //p" "$log" | awk -v sys="$2" -v total="$(instructions "$@")" "$stages"'
		BEGIN { sort = "sort -t \"\t\" -k 1,1n -k 2,2nr | cut -f 3-" }
		FILENAME == "-" {
			n += $1
			file = "-"; f = $3
			if (sys == "uksm" && $2 in file_of) { file = file_of[$2]; f = f_of[$2] }
			s = sys == "uksm" ? stage(file, f, $4) : ksm_stage(f, $4)
			by[1, s] += $1
			by[2, file == "-" ? f : file " " f] += $1
			by[3, $4] += $1
			next
		}
		{ file_of[$1] = $2; f_of[$1] = $3 }
		END {
			if (!n) exit
			title[1] = "by stage"; title[2] = "by function of its own"; title[3] = "by function that runs"
			for (i = 1; i <= 3; i++)
				printf "%d\t%d\t  %s\n", i, n + 1, title[i] | sort
			for (k in by) {
				split(k, w, SUBSEP)
				if (w[1] == 1 || by[k] / n >= 0.01)
					printf "%d\t%d\t    %5.1f %%  %8.2f M  %s\n", w[1], by[k], 100 * by[k] / n,
						total * by[k] / n / 1e6, w[2] | sort
			}
		}' "$tmp/functions" -
}

# All instructions of the phase, without what sampling cost.
instructions() {
	awk -v l="$1" -v sys="$2" -v phase="$3" '
		$2 == "figure" && $3 == l && $4 == sys { sum[$6] += $7; n[$6]++ }
		END {
			if (phase == "merging" && n["saved"] && sum["saved"] > 0)
				print sum["cpu_per_saved"] / n["cpu_per_saved"] * sum["saved"] / n["saved"]
			else if (phase == "merging")
				print n["pages"] ? sum["cpu_per_unique"] / n["pages"] * sum["pages"] / n["pages"] : 0
			else if (phase == "rewritten")
				print n["pages"] ? sum["cpu_per_page"] / n["cpu_per_page"] * sum["pages"] / n["pages"] : 0
			else
				print n["cpu_per_round"] ? sum["cpu_per_round"] / n["cpu_per_round"] : 0
		}' "$log"
}

places >"$tmp/functions"
sed -nE 's/^# profile ([^ ]+ [^ ]+ [^ ]+) .*/\1/p' "$log" | sort -u | while read -r load system phase; do
	case $phase in
	idle) what="a round in which nothing changes" ;;
	rewritten) what="a round in which all pages were written before" ;;
	*) what="until all is merged" ;;
	esac
	echo "$load, $system, $what: $(instructions "$load" "$system" "$phase" | awk '{ printf "%.1f", $1 / 1e6 }') M instructions"
	table "$load" "$system" "$phase"
	echo
done
