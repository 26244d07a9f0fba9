#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: scripts/matrix.sh [-f] [-j N] [-t TESTS] [KERNEL...]
# make matrix: for each kernel of tests/kernels (or those named, see scripts/kernel.sh), the newest that its suite has:
# build the module with that suite's compiler, boot the kernel unmodified, load, test, unload, and print a row. A row is
# green when all of that went well: it was built without a warning, all its guests loaded and unloaded the module, no case
# failed, and pages were merged. A kernel that the mirror does not have is skipped, which its row says.
#   -f         all guest tests; otherwise those in $short, which use all that differs from kernel to kernel
#   -j N       guests at a time, default as many as there are CPUs
#   -t TESTS   these
# The last line is "N passed, N failed[, N skipped]", counted in kernels.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# Merging, COW and the rmap; zero pages and counters; swap and reclaim; migration; the trees of anon_vma; the split of a
# huge page; PTE bits of userfaultfd; charging; try_to_unmap(); mmu notifiers; loading and letting go.
short="merge_two cow forks zero swap migrate remap huge uffd memcg poison kvm unload"

tests=$short jobs=$(nproc)
while getopts fj:t:h o; do
	case $o in
	f) tests='' ;;
	j) jobs=$OPTARG ;;
	t) tests=$OPTARG ;;
	h) sed -n '3,/^$/s/^# \?//p' "$0"; exit ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
# shellcheck disable=SC2046  # a list
[ $# -gt 0 ] || set -- $("$top/scripts/kernel.sh" -l)

logs=$cache/logs/matrix
mkdir -p "$logs"
green=0 red=0 skipped=0

row() { printf '%-30s %-9s %-7s %-6s %8s %-7s %12s %8s  %-8s  %s\n' "$@"; }

# end VERDICT WHY [LOG [PATTERN]]: print what is known of the kernel, and of the log the lines that say why.
end() {
	local log=${3-} pattern=${4:-.}
	row "$release" "$suite" "$flavour" "$built" "$warnings" "$loaded" "$result" "$merged" "$unloaded" "$1: $2"
	[ -z "$log" ] || { grep -E "$pattern" "$log" || tail -n 5 "$log"; } | tail -n 15 | sed 's/^ */    | /'
}

# said PATTERN: in how many guests init said so
said() { cat "$keep"/*.ktap 2>/dev/null | grep -cE "^# $1" || true; }

kernel() {
	local name=$1 dir rc=0 sum log release=$1 suite=- flavour=- built=- warnings=- loaded=- result=- merged=- unloaded=- why=''
	log=$logs/$name.log
	dir=$("$top/scripts/kernel.sh" -u "$name" 2>"$log") || rc=$?
	grep -E '^the mirror' "$log" >&2 || true
	if [ $rc = 3 ]; then
		skipped=$((skipped + 1))
		end skipped "cannot be had" "$log"
		return
	elif [ $rc != 0 ]; then
		red=$((red + 1))
		end FAILED "kernel.sh" "$log"
		return
	fi
	name=${dir##*/}
	log=$logs/$name.log
	release=$(cat "$dir/release")
	suite=$(cat "$dir/suite")
	flavour=${name##*-}

	rc=0
	"$top/scripts/build-module.sh" "$name" >"$log" 2>&1 || rc=$?
	warnings=$(grep -cE '(warning|WARNING):|\[-Werror' "$log" || true)
	if [ $rc != 0 ]; then
		built=no red=$((red + 1))
		end FAILED "does not build" "$log" 'error:|warning:|^error|failed$'
		return
	fi
	built=yes

	keep=$(mktemp -d)
	# shellcheck disable=SC2086  # a list of tests
	"$top/tests/vm/run.sh" -j "$jobs" -k "$name" -r "$keep" $tests >"$log" 2>&1 || rc=$?
	sum=$(tail -n 1 "$log" | grep -E '^[0-9]+ passed, [0-9]+ failed' || true)
	if [ -n "$sum" ]; then
		result=$(awk '{ print $1 "/" $3 "/" $5 + 0 }' <<<"$sum")
		merged=$(cat "$keep"/*.ktap | awk '/^# init: merged/ { n += $4 } END { print n + 0 }')
		loaded=yes unloaded=yes
		if [ "$(said 'init: loaded')" = 0 ] || [ "$(said 'vm: insmod')" != 0 ]; then
			loaded=no why="does not load"
		elif [ "$(said 'init: unloaded')" = 0 ] || [ "$(said 'vm: (uksm does not unload|run=2|.*outlives)')" != 0 ]; then
			unloaded=no why="does not unload"
		elif [ "$merged" = 0 ]; then
			why="merges nothing"
		elif [[ $sum != *" 0 failed"* ]]; then
			why="tests failed"
		fi
	fi
	rm -rf "$keep"
	[ $rc = 0 ] || why=${why:-the run failed}
	if [ -n "$why" ]; then
		red=$((red + 1))
		end FAILED "$why" "$log" ': FAILED: |^ *(\| )?not ok |^    \| # [a-z_]+\.c:[0-9]+: '
		return
	fi
	green=$((green + 1))
	end ok "$(($(date +%s) - start)) s"
}

row release suite flavour built warnings loaded 'tests p/f/s' merged unloaded ''
for k; do
	start=$(date +%s)
	kernel "$k"
done
echo "$green passed, $red failed$([ $skipped = 0 ] || echo ", $skipped skipped")"
[ $red = 0 ] && [ $green -gt 0 ]
