#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make bench: uksm and the kernel's own ksmd in turn on the same loads, in a guest whose CPU time is a count of
# instructions; a table of both with the targets, CSV files and plots. What each figure is: docs/performance.md.
#   K=6.12        the kernel, see kernel.sh
#   LOADS="..."   some of: mixed unique duplicate zero huge small large guests interpreters rewritten volatile sparse dense
#                 dense_vm reads beside threads threads_work; small500 takes 3.5 GiB, and is only run when it is named
#   ROUNDS=2      how often each, the order alternates
#   SCALE=1       times the memory of each load, and of the guest (1.5 GiB)
#   MEM=MiB       memory of the guest, instead
#   ONLY=uksm     only that one, or ksmd
#   PROFILE=1     where the instructions go, too: by stage and function, of the loads that merge and of rewritten
#   OUT=dir       where files go; default: a new directory in the cache
# usage: scripts/bench.sh [-r DIR]   with -r: the table and plots once more, of a run whose files are in DIR
# The last line says how many targets are met. Not meeting one is no failure of the run.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

kernel=${K:-6.12}
all="mixed unique duplicate zero huge small large guests interpreters"
all+=" rewritten volatile sparse dense dense_vm reads beside threads threads_work"
loads=${LOADS:-$all}
out=${OUT:-$cache/bench/$kernel-$(date +%Y%m%d-%H%M%S)}

# Each in a guest of its own, so that memory is as fresh for one as for the other.
run_load() {
	local start=$SECONDS disk memory=$((1536 * ${SCALE:-1})) rounds=${ROUNDS:-2} program=bench options=()
	case $1 in
	small500) memory=3584 ;;
	threads) program=bench_threads memory=$((2048 * ${SCALE:-1})) rounds=${ROUNDS:-5} ;;
	threads_work)
		program=bench_threads memory=$((2048 * ${SCALE:-1})) rounds=1
		options=(-i -e BENCH_COUNT=1)
		;;
	interpreters)
		disk=$("$top/scripts/disk.sh" interpreters python3 python3-requests nodejs node-lodash node-typescript)
		options=(-q "-drive file=$disk,if=virtio,format=raw,readonly=on")
		;;
	esac
	if "$top/tests/vm/run.sh" "${options[@]}" -k "$kernel" -r "$out" -m "${MEM:-$memory}" -T $((3600 * ${SCALE:-1})) \
		-e BENCH_LOADS="$1" -e BENCH_ROUNDS="$rounds" -e BENCH_SCALE="${SCALE:-1}" -e BENCH_ONLY="${ONLY:-}" \
		-e BENCH_PROFILE="${PROFILE:-0}" "$program" >"$out/$1.log" 2>&1; then
		sed -n "s/^# skipped: /$1: skipped: /p" "$out"/*.ktap | uniq
		echo "$1: $((SECONDS - start)) s"
		rm "$out/$1.log"
	else
		echo "$1: FAILED, see $out/$1.log"
		failed="$failed $1"
	fi
	cat "$out"/*.ktap >>"$out/log" 2>/dev/null || true
	rm -f "$out"/*.ktap
}

csv() {
	echo "load,system,round,figure,value"
	sed -n 's/^# figure //p' "$out/log" | tr ' ' ,
}

csv_samples() {
	echo "load,system,round,ms,cpu_us,pages_saved,full_scans,pages_unshared"
	sed -n 's/^# sample //p' "$out/log" | tr ' ' ,
}

# Memory saved over time and over CPU time, all systems and rounds.
plot() {
	local load=$1 system over_time='' over_cpu=''
	for system in uksm ksmd; do
		awk -F, -v l="$load" -v which="$system" '
			$1 != l || $2 != which { next }
			$3 != round { if (n++) print ""; round = $3 }
			{ printf "%s %s %.3f\n", $4 / 1000, $5 / 1e6, $6 / 256 }' "$out/samples.csv" >"$tmp/$system"
		[ -s "$tmp/$system" ] || continue
		over_time+="${over_time:+, }\"$tmp/$system\" using 1:3 with lines lw 2 title \"$system\""
		over_cpu+="${over_cpu:+, }\"$tmp/$system\" using 2:3 with lines lw 2 title \"$system\""
	done
	gnuplot <<-END
		set terminal svg size 1000,420 background "white"
		set output "$out/$load.svg"
		set multiplot layout 1,2 title "$load, Linux $kernel: memory saved"
		set key bottom right
		set grid
		set ylabel "MiB saved"
		set yrange [0:*]
		set xrange [0:*]
		set xlabel "time, seconds of the guest (10^9 instructions)"
		plot $over_time
		set xlabel "CPU time of the scan thread (10^9 instructions)"
		plot $over_cpu
	END
}

report() {
	local load
	csv >"$out/figures.csv"
	csv_samples >"$out/samples.csv"
	awk -F, 'NR > 1 && $6 > 0 { print $1 }' "$out/samples.csv" | sort -u | while read -r load; do
		plot "$load"
	done
	echo
	! grep -q '^# profile ' "$out/log" || "$top/scripts/bench-profile.sh" "$out/log" "$kernel"
	echo "instructions of the scan thread (1 ns of guest time each), Linux $kernel; files in $out"
	echo
	awk -F, -f "$top/scripts/bench-table.awk" "$out/figures.csv" | tee "$out/table"
}

"$top/scripts/deps.sh" vm bench
failed=
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
if [ "${1-}" = -r ]; then
	out=$2
	[ -e "$out/log" ] || die "there is no log of a run in $out"
else
	mkdir -p "$out"
	: >"$out/log"
	say "measuring on Linux $kernel, some minutes for each load, the log is $out/log: $loads"
	for load in $loads; do
		run_load "$load"
	done
fi
report
[ -z "$failed" ] || die "not all was measured:$failed"
