#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make demo: boot a stock kernel in QEMU, with real programs in it, load uksm, and show what happens. K=6.1 or any other
# kernel of kernel.sh; MEM and CPUS as QEMU takes them. demo/show.c is what runs in the guest.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

kernel=${K:-6.12}
[ "${kernel%-arm64}" = "$kernel" ] || die "the demo is for x86-64 kernels: its programs are this machine's"
timeout=${DEMO_TIMEOUT:-600}

"$top/scripts/deps.sh" vm
vm=$("$top/scripts/kernel.sh" "$kernel")
ko=$("$top/scripts/build-module.sh" "$kernel")
initramfs=$("$top/tests/vm/initramfs.sh" "$kernel")
image=$("$top/scripts/disk.sh" demo python3 bash bash-completion coreutils)
run=$(mktemp -d "$cache/logs/$kernel-demo.XXXX")
mkdir -p "$run/over/tests" "$run/over/worker"
quietly gcc -std=gnu11 -O2 -Wall -Wextra -Werror -static -o "$run/over/tests/show" "$top/demo/show.c"
cp "$ko" "$run/over/uksm.ko"
cp "$top"/demo/worker.* "$run/over/worker/"

live=plain
[ ! -t 1 ] || live=live
word="uksm-demo-$RANDOM$RANDOM$RANDOM-done"
{
	printf '%s=%q\n' test show args "$live" load no bad "$bad" word "$word"
	printf '%s=%q\n' modules "virtio_pci virtio_blk ext4"
} >"$run/over/vm.conf"
{
	cat "$initramfs"
	(cd "$run/over" && find . -mindepth 1 -print0 | cpio --quiet -0 -o -H newc -R 0:0)
} >"$run/initrd"

say "booting Linux $(cat "$vm/release") in QEMU"
touch "$run/out"
timeout --foreground -k 5 "$timeout" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
	-accel tcg,thread=multi -cpu max -smp "${CPUS:-2}" -m "${MEM:-2G}" -kernel "$vm/vmlinuz" -initrd "$run/initrd" \
	-drive "file=$image,if=virtio,format=raw,readonly=on" -serial "file:$run/console" -serial stdio \
	-append "console=ttyS0 loglevel=5 panic_on_warn=1 oops=panic panic=-1 watchdog_thresh=30
		rcupdate.rcu_cpu_stall_timeout=60 workqueue.watchdog_thresh=0" 2>"$run/qemu" </dev/null |
	tee "$run/out" | sed -u "/^$word/d; /^# vm:/d; /^# init$/d" || true

if tail -n 1 "$run/out" | grep -qxF -- "$word" && ! grep -qE "$bad" "$run/console"; then
	rm -rf "$run"
	exit 0
fi
say "FAILED: $(grep -m 1 '^# vm:' "$run/out" || echo "the guest did not finish"); see $run"
{ grep -m 1 -B 5 -A 40 -E "$bad|Kernel panic" "$run/console" || tail -n 20 "$run/console" "$run/qemu"; } >&2
exit 1
