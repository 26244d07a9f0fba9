#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make test: the unit tests, all guest tests on the oldest stock kernel and on one between, a part of them on the newest
# (see tests/kernels), and the most telling on the debug kernel, whose first build takes some 10 minutes (DEBUG=no leaves
# it out). What failed, and what had to be run twice (-2 of tests/vm/run.sh), is said once more at the end, where it is
# found; the last line sums up: "N passed, N failed".

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

sums=$(mktemp)
failures=$(mktemp)
trap 'rm -f "$sums" "$failures"' EXIT

# Run one part; it prints its own sum as its last line, which is kept, or else it counts as one test.
part() {
	local title=$1 log rc=0 sum
	shift
	log=$(mktemp)
	echo "== $title"
	"$@" 2>&1 | tee "$log" || rc=1
	sum=$(tail -n 1 "$log" | grep -E '^[0-9]+ passed, [0-9]+ failed' || true)
	if [ -z "$sum" ]; then
		[ $rc = 0 ] && sum="1 passed, 0 failed" || sum="0 passed, 1 failed"
	elif [ $rc != 0 ] && grep -q ' 0 failed' <<<"$sum"; then
		sum="${sum/ 0 failed/ 1 failed}"
	fi
	echo "$sum" >>"$sums"
	grep -E ': (FAILED|failed once): |: ok, the second time |^ *(\| )?not ok |^    \| # [a-z_]+\.c:[0-9]+: ' "$log" >>"$failures" || true
	rm -f "$log"
}

# Those that use what differs from kernel to kernel: PTE bits, rmap and anon_vma, swap entries, the split of huge pages,
# migration, charging, the hooks. A newest kernel that the mirror does not have is a skip.
newest() {
	local rc=0
	"$top/scripts/kernel.sh" newest >/dev/null || rc=$?
	if [ $rc = 3 ]; then
		echo "newest: cannot be had"
		echo "0 passed, 0 failed, 1 skipped"
	else
		"$top/tests/vm/run.sh" -2 -j "$(nproc)" -k newest merge_two cow forks zero swap migrate remap huge uffd memcg poison unload threads
	fi
}

[ ! -e "$top/tests/unit/Makefile" ] || part "unit tests" make -s -C "$top/tests/unit"
part "guest tests, 6.1 and 6.12" "$top/tests/vm/run.sh" -2 -j "$(nproc)" -k "6.1 6.12"
part "guest tests, newest kernel" newest
[ "${DEBUG:-}" = no ] || part "guest tests, debug kernel" "$top/tests/vm/run.sh" -2 -j "$(nproc)" -k debug \
	merge_two cow forks zero swap migrate hmm contig faults

[ ! -s "$failures" ] || { echo "== failed, or failed once"; cat "$failures"; }
awk '{ p += $1; f += $3; s += $5 }
	END {
		printf "%d passed, %d failed%s\n", p, f, s ? ", " s " skipped" : ""
		exit f > 0
	}' "$sums" || exit 1
