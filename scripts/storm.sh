#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make storm: KVM guests that each fill most of their memory, nine tenths of it alike, are started one after the other on
# a stock host without swap that has far less memory than they all together. A line a guest, and one that sums up. All in
# QEMU: the host is emulated, and as many MiB of this machine's memory are used as the host has. It takes hours.
#   GUESTS=52 SIZE=1024 FILL=700 HOST=16384   how many, MiB of each, MiB of it that each fills, MiB of the host
#   PAUSE=10      seconds from one start to the next, at least; the one before must have filled its memory
#   GOVERNOR=medium  cpu_governor of uksm
#   WITH=uksm     or ksmd, the kernel's own, as fast as it goes; or none, to see when memory is used up
#   KIND=linux    Linux under QEMU; or machine, a KVM guest without either, which is cheaper
#   CLOCK=wall    or count: a second is 10^9 instructions of the host's, however loaded this machine is. That is the default
#                 of KIND=machine. QEMU 7.2 then gives a guest some interrupts twice, and one of Linux may wait for a lock
#                 that it holds itself; that became rare, see qemu_run() in tests/guest/lib_qemu.c
#   K=6.12 T=14400   the host's kernel, and seconds that it may take

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

guests=${GUESTS:-52} size=${SIZE:-1024} host=${HOST:-16384} with=${WITH:-uksm}
fill=${FILL:-$((size * 700 / 1024))}
have=$(($(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo) / 1024))
[ "$have" -ge $((host + 512)) ] ||
	die "a host of $host MiB needs $((host + 512)) MiB here, and $have are available: make storm HOST=$((have / 2)) GUESTS=..."

options=(-k "${K:-6.12}" -m "$host" -T "${T:-14400}" -l)
case ${KIND:-linux} in
linux) test=storm clock=${CLOCK:-wall} ;;
machine) test=storm_short clock=${CLOCK:-count} ;;
*) die "KIND is linux or machine" ;;
esac
case $clock in
count) options+=(-i -e STORM_PATIENCE=600) ;;
wall) options+=(-w) ;;
*) die "CLOCK is count or wall" ;;
esac
case $with in
uksm) ;;
ksmd) options+=(-n -e TEST_KSMD=1) ;;
none) options+=(-n) ;;
*) die "WITH is uksm, ksmd or none" ;;
esac
options+=(-e "STORM_GUESTS=$guests" -e "STORM_MIB=$size" -e "STORM_FILL=$fill" -e "STORM_PAUSE=${PAUSE:-10}"
	-e "STORM_GOVERNOR=${GOVERNOR:-medium}")

say "$guests guests of $size MiB on a host of $host MiB, with $with"
"$top/tests/vm/run.sh" "${options[@]}" "$test" | sed -u 's/^# //; /^init/d; /^KTAP/d; /^1\.\./d; /^uksm-vm-/d; /^    [|>]/d'
