#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: tests/vm/guest.sh KERNEL TEST
# Boot one guest for one test (or an interactive one: TEST is "shell"), judge it, and print one line. Called by run.sh,
# which has built everything and sets:
#   ko_KERNEL      the module for the kernel (with . and - as _)
#   results        a directory where the counts go, and what the guest said
#   opt_mem opt_smp opt_params opt_append opt_qemu opt_timeout opt_env opt_noload opt_icount opt_live opt_full opt_twice
#                  what its command line asked for
#
# A test says what it needs in its source, in comments "vm: ...":
#   mem=MiB  smp=CPUs  numa=NODES  swap=MiB  timeout=SECONDS  modules="zram kvm_amd"  params="run=0"  noload  manual
#   icount  one CPU, which is one that does an instruction in a nanosecond and never waits for the emulator: times are the
#           same on a loaded machine
#   turns   CPUs are emulated in turns, by one thread: for what runs KVM guests (docs/debugging.md, "What is the emulator's")
#   disk="MiB[,qemu drive options]"  append="kernel command line"  qemu="options"  args="of the program"
#   files="..."  files of this machine, put at the same place in the guest, programs with their libraries; the word
#                kernel stands for the image of the guest's own kernel, put at /vmlinuz

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

kernel=$1
test=$2
: "${results:=}"
# shellcheck disable=SC2034  # make_initrd writes the port for the guest
slow=${UKSM_SLOW:-1} console=ttyS0 port=ttyS1
# shellcheck disable=SC2034
case $kernel in
debug) slow=$((slow * 5)) ;;
*-rt) slow=$((slow * 2)) ;;
*-arm64) slow=$((slow * 2)) console=ttyAMA0 port=ttyS0 ;; # it has one serial port of its own
esac

# shellcheck disable=SC2034  # make_initrd writes them for the guest by name
needs() {
	local source line
	mem=1024 smp=2 numa=1 swap=0 disk='' timeout=300 modules='' params='' append='' qemu='' args='' files='' load=yes
	icount=no threads=multi
	source=$top/tests/guest/$test.c
	[ "$test" = "${test%.sh}" ] || source=$top/tests/guest/$test
	if [ "$test" != shell ]; then
		while read -r line; do
			eval "set -- $line"
			for word; do
				case $word in
				mem=* | smp=* | numa=* | swap=* | disk=* | timeout=* | modules=* | params=* | append=* | qemu=* | args=* | files=*)
					declare -g "$word"
					;;
				noload) load=no ;;
				icount) icount=yes ;;
				turns) threads=single ;;
				manual) ;; # only run when it is named
				*) die "$source: unknown need: $word" ;;
				esac
			done
		done < <(sed -nE 's|^[/ ]*[*#/] *vm: *(.*[^ ]) *$|\1|p' "$source" | sed 's| *\*/$||')
	fi
	mem=${opt_mem:-$mem} smp=${opt_smp:-$smp} params="$params ${opt_params:-}"
	timeout=${opt_timeout:-$((timeout * slow))}
	append="$append ${opt_append:-}" qemu="$qemu ${opt_qemu:-}"
	[ -z "${opt_noload:-}" ] || load=no
	icount=${opt_icount:-$icount}
	[ "$icount" != yes ] || smp=1
}

# Files of this machine that the test uses.
copy_files() {
	local over=$1 file
	for file in $files; do
		if [ "$file" = kernel ]; then
			cp "$("$top/scripts/kernel.sh" "$kernel")/vmlinuz" "$over/vmlinuz"
			continue
		fi
		[ -e "$file" ] || die "$test needs $file"
		echo "$file"
		[ ! -x "$file" ] || ldd "$file" 2>/dev/null | grep -o '/[^ ]*' || true # what is static has none
	done | sort -u | while read -r file; do
		mkdir -p "$over/${file%/*}"
		cp -L "$file" "$over/$file"
	done
}

# What differs from guest to guest, appended to the kernel's common archive.
make_initrd() {
	local over=$run/over v programs=$work/programs
	[ "$console" = ttyS0 ] || programs+=-arm64
	word="uksm-vm-$RANDOM$RANDOM$RANDOM-done"
	mkdir -p "$over/tests"
	for v in test args modules swap load params bad word port; do
		printf '%s=%q\n' "$v" "${!v}"
	done >"$over/vm.conf"
	printf 'export UKSM_KERNEL=%q UKSM_SLOW=%q %s\n' "$kernel" "$slow" "${opt_env:-}" >>"$over/vm.conf"
	v=ko_${kernel//[.-]/_}
	[ -z "${!v:-}" ] || cp "${!v}" "$over/uksm.ko"
	case $test in
	shell) cp "$programs"/* "$top"/tests/guest/*.sh "$over/tests/" 2>/dev/null || true ;;
	*.sh) cp "$top/tests/guest/$test" "$over/tests/" ;;
	*) cp "$programs/$test" "$over/tests/" ;;
	esac
	rm -f "$over"/tests/*.o
	copy_files "$over"
	{
		cat "$("$top/tests/vm/initramfs.sh" "$kernel")"
		(cd "$over" && find . -mindepth 1 -print0 | cpio --quiet -0 -o -H newc -R 0:0)
	} >"$run/initrd"
	rm -rf "$over"
}

qemu_command() {
	local i cpus cpu=max topology=$smp machine=(qemu-system-x86_64) first=file:$run/console second=$run/ktap ports
	local accel=(-accel "tcg,thread=$threads")
	[ "$icount" != yes ] || accel=(-accel "tcg,thread=single" -icount "shift=0,sleep=off")
	[ "$test" != shell ] || first=mon:stdio second=/dev/null
	ports=(-serial "$first" -serial "file:$second")
	# An interrupt while the boot CPU's features are being read finds the kernel in doubt whether it has five levels of
	# page tables, and KASAN takes a good address for a wild one.
	[ "$kernel" != debug ] || cpu=max,la57=off
	# KVM wants a constant TSC on PREEMPT_RT. The emulator's is that of the machine, but does not say so.
	[ "${kernel%-rt}" = "$kernel" ] || cpu=max,x-force-features=on,invtsc=on
	[ $((smp % numa)) != 0 ] || topology=$smp,sockets=$numa
	if [ "$console" = ttyAMA0 ]; then
		machine=(qemu-system-aarch64 -M "virt,gic-version=3,mte=on")
		cpu=max,pauth-impdef=on # pointer authentication as it is specified is slow to emulate
		ports=(-serial "$first" -chardev "file,id=ktap,path=$second" -device "pci-serial,chardev=ktap")
	fi
	cmd=("${machine[@]}" -nodefaults -no-user-config -display none -no-reboot
		"${accel[@]}" -cpu "$cpu" -smp "$topology" -m "$mem"
		-kernel "$("$top/scripts/kernel.sh" "$kernel")/vmlinuz" -initrd "$run/initrd")
	if [ "$numa" -gt 1 ]; then
		for ((i = 0; i < numa; i++)); do
			cpus= # whole sockets, or all of them on the first node
			[ $((smp % numa)) != 0 ] || cpus=",cpus=$((i * smp / numa))-$(((i + 1) * smp / numa - 1))"
			cmd+=(-object "memory-backend-ram,id=node$i,size=$((mem / numa))M"
				-numa "node,nodeid=$i,memdev=node$i$cpus")
		done
	fi
	if [ "$swap" != 0 ]; then
		truncate -s "${swap}M" "$run/swap"
		cmd+=(-drive "file=$run/swap,if=virtio,format=raw,cache=unsafe")
	fi
	if [ -n "$disk" ]; then
		truncate -s "${disk%%,*}M" "$run/disk"
		cmd+=(-drive "file=$run/disk,if=virtio,format=raw,cache=unsafe${disk#"${disk%%,*}"}")
	fi
	append="console=$console loglevel=5 log_buf_len=4M panic_on_warn=1 oops=panic panic=-1 $append"
	# An emulated CPU may stand still for long when the machine is busy.
	append="watchdog_thresh=30 rcupdate.rcu_cpu_stall_timeout=60 workqueue.watchdog_thresh=0 $append"
	# shellcheck disable=SC2206  # options are words
	cmd+=("${ports[@]}" -append "$append" $qemu)
}

# Count the KTAP cases; nested results are indented and do not count. Sets passed, failed, skipped, planned.
count() {
	eval "$(awk '
		/^1\.\.[0-9]+/ { planned = substr($1, 4) + 0 }
		/^1\.\.0 *# SKIP/ { planned = 1; skipped = 1 }
		/^ok .*# SKIP/ { skipped++; next }
		/^ok / { passed++ }
		/^not ok / { failed++ }
		END { printf "passed=%d failed=%d skipped=%d planned=%d\n", passed, failed, skipped, planned }' \
		"$run/ktap")"
}

judge() {
	why='' passed=0 failed=0 skipped=0 planned=0
	count
	if [ "$rc" = 124 ] || [ "$rc" = 137 ]; then
		why="no end within $timeout s"
	elif ! tail -n 1 "$run/ktap" | grep -qxF -- "$word"; then
		why=$(grep -m 1 '^# vm:' "$run/ktap" | cut -c 7- || true)
		why=${why:-the run did not finish}
	elif grep -qE "$bad" "$run/console"; then
		why="the kernel complained"
	elif [ "$planned" = 0 ]; then
		why="no plan"
	elif [ $((passed + failed + skipped)) != "$planned" ]; then
		why="$((passed + failed + skipped)) of $planned cases"
	elif [ "$failed" != 0 ]; then
		why="$failed of $planned cases"
	fi
	# A guest that failed counts as a failure even when each case it got to was all right.
	if [ -n "$why" ] && [ "$failed" = 0 ]; then
		failed=1
	fi
}

# Of the log, what matters: from the first complaint on, or else the end.
excerpt() {
	if [ -n "${opt_full:-}" ]; then
		cat "$run/qemu" "$run/console"
	elif grep -qE "$bad|Kernel panic" "$run/console"; then
		grep -m 1 -B 5 -A 60 -E "$bad|Kernel panic" "$run/console"
	else
		cat "$run/qemu" "$run/console" |
			grep -vE 'mtrr: your CPUs|fail to add MMCONFIG|amd_pstate:|taints kernel|taint:' | tail -n 40
	fi
}

# Until init has set up, or the guest of that process has ended; after a minute it is made to.
wait_for_init() {
	local n
	for ((n = 0; n < 60 * slow; n++)); do
		if grep -q '^# init$' "$run/ktap" || ! jobs -rp | grep -qx "$1"; then
			return
		fi
		sleep 1
	done
	kill "$1"
}

# Did the emulator let a CPU run into a breakpoint that was gone (docs/debugging.md), when all was well until then? A
# breakpoint that was there is the byte before the one that the kernel marks in its code.
emulated_wrong() {
	local byte
	if grep -q '^not ok' "$run/ktap" || grep -qE "$bad" < <(sed '/int3: 0000/,$d' "$run/console"); then
		return 1
	fi
	byte=$(grep -A 20 -m 1 'int3: 0000' "$run/console" | sed -nE '/Code: /{s/.* ([0-9a-f]{2}) <.*/\1/p;q}')
	[ -n "$byte" ] && [ "$byte" != cc ]
}

# Was it nothing but a time, a count or a state that was not as expected? Wrong bytes, a complaint of the kernel, a signal
# and a time limit are not: who has seen those once need not see them twice.
may_be_chance() {
	[ "$rc" = 0 ] && [ $((passed + failed + skipped)) = "$planned" ] || return 1
	grep -qxF "# vm: $test ended with 1" "$run/ktap" && ! grep -qE "$bad" "$run/console" || return 1
	awk '
		/^# [a-z_0-9]+\.c:[0-9]+: / { said = 1; if (/bad|page_is|holds|memcmp|wrong|corrupt/) grave = 1 }
		/^# (time limit of|killed|processes of the case)/ { grave = 1 }
		/^not ok / { n++; if (!said) grave = 1 }
		/^(not )?ok / { said = 0 }
		END { exit !n || grave }' "$run/ktap"
}

report() {
	echo "$1"
	sed 's/^/    | /' "$run/ktap"
	excerpt | tr -d '\r' | sed 's/^/    > /'
}

needs
run=$(mktemp -d "$cache/logs/$kernel-$test.XXXX")
make_initrd
qemu_command
if [ "$test" = shell ]; then
	"${cmd[@]}" || true
	rm -rf "$run"
	exit
fi

# An emulated machine does not always come up. What ends, or hangs, before our init has set up says nothing of us, for the
# module is not loaded yet, and is tried again; init's first line is proof that it has. So is what ended by a fault that only
# the emulator can make.
# With opt_twice, so is once what may be chance; that is said, and its report is kept.
again='' first=
for try in 1 2 3; do
	: >"$run/console"
	: >"$run/ktap"
	start=$EPOCHREALTIME
	rc=0
	timeout -k 5 "$timeout" "${cmd[@]}" </dev/null >"$run/qemu" 2>&1 &
	guest=$! live=
	[ -z "${opt_live:-}" ] || { tail -s 0.2 -n +1 -f --pid="$guest" "$run/ktap" & live=$!; }
	wait_for_init "$guest"
	wait "$guest" || rc=$?
	[ -z "$live" ] || kill "$live" 2>/dev/null || true
	judge
	if emulated_wrong; then
		again="the emulator kept a breakpoint that was gone"
	elif ! grep -q '^# init$' "$run/ktap"; then
		again="the kernel ended, or hung, before init had set up"
	elif [ -n "$why" ] && [ -n "${opt_twice:-}" ] && [ -z "$first" ] && [ $try != 3 ] && may_be_chance; then
		first=$run/first again="that may be chance"
		report "$kernel $test: failed once: $failed of $planned cases, see $first" >"$first"
		cat "$first"
	else
		break
	fi
	[ $try = 3 ] || echo "$kernel $test: $again, once more"
done
took=$(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $start }")
echo "$passed $failed $skipped" >"$results/$kernel-$test"
cp "$run/ktap" "$results/$kernel-$test.ktap"

line="$kernel $test:"
if [ -z "$why" ]; then
	skips=
	[ "$skipped" = 0 ] || skips=", $skipped skipped"
	[ -z "${opt_full:-}" ] || cat "$run/ktap" "$run/console"
	echo "$line ok${first:+, the second time} ($((passed + skipped)) cases$skips, $took s)"
	if [ -n "$first" ]; then
		rm -f "$run"/{swap,disk,initrd}
	else
		rm -rf "$run"
	fi
	exit 0
fi
printf '%q ' "${cmd[@]}" >"$run/command"
rm -f "$run/swap" "$run/disk"
report "$line FAILED: $why ($took s), see $run" >"$run/report"
cat "$run/report" # in one go: another guest may print, too
exit 1
