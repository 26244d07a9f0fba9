#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make bench GROWTH="1 2 4 8 16": how cost grows with memory. The loads unique and mixed with uksm alone, in guests of so
# many GiB (and 64 MiB for what else there is), of which the load takes four fifths; a table with a line for each. What the
# figures are: docs/performance.md.
#   GROWTH="..."  GiB of each guest; as many are needed here, and a guest for which there is too little is left out
#   MIXED=4       GiB up to which mixed is run, too
#   K=6.12        the kernel, see kernel.sh
#   OUT=dir       where files go; default: a new directory in the cache
# usage: scripts/bench-growth.sh [-r DIR]   with -r: the table once more, of a run whose files are in DIR

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

kernel=${K:-6.12}
sizes=${GROWTH:-1 2 4 8 16}
out=${OUT:-$cache/bench/$kernel-growth-$(date +%Y%m%d-%H%M%S)}

# measure GiB: each of the four processes of the loads has 100 MiB times SCALE.
measure() {
	local have loads=unique
	have=$(awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo)
	if [ "$have" -lt $(($1 * 1024 + 576)) ]; then
		say "$1 GiB: left out, there are $have MiB here"
		return
	fi
	[ "$1" -gt "${MIXED:-4}" ] || loads="unique mixed"
	say "$1 GiB: $loads"
	K=$kernel LOADS=$loads SCALE=$((2 * $1)) MEM=$((1024 * $1 + 64)) ROUNDS=1 ONLY=uksm OUT=$out/$1 \
		"$top/scripts/bench.sh" >"$out/$1.log" 2>&1 || die "$1 GiB: failed, see $out/$1.log"
}

report() {
	local size
	printf '%-8s %10s %14s %14s %14s %12s %14s\n' "" "" "instructions," "instructions," "bytes of its" "" "instructions" \
		guest pages "first sight" "a page and" "own, a unique" "ms to 95 %" "per page saved" \
		GiB "of unique" "of a page" "quiet round" page "of mixed" "of mixed"
	for size in $(find "$out" -mindepth 2 -maxdepth 2 -name figures.csv -printf '%h\n' | sed 's|.*/||' | sort -n); do
		awk -F, -v size="$size" -v dir="$out/$size" '
			{ v[$1, $4] = $5 }
			function mixed(name, format) {
				return ("mixed", name) in v ? sprintf(format, v["mixed", name]) : "-"
			}
			END {
				if (!(("unique", "pages") in v)) {
					printf "%-8d was not measured, see %s\n", size, dir
					exit
				}
				printf "%-8d %10d %14.1f %14.2f %14.2f %12s %14s\n", size, v["unique", "pages"],
					v["unique", "cpu_per_unique"], v["unique", "cpu_per_round_page"],
					v["unique", "metadata"] / v["unique", "pages"],
					mixed("ms_to_95", "%.0f"), mixed("cpu_per_saved", "%.0f")
			}' "$out/$size/figures.csv"
	done
}

if [ "${1-}" = -r ]; then
	out=$2
else
	mkdir -p "$out"
	for size in $sizes; do
		measure "$size"
	done
fi
echo "uksm on Linux $kernel, instructions of the scan thread; files in $out"
echo
report | tee "$out/table"
