#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in the guests of scripts/dkms-upgrade.sh at the end of their boot, and writes what it sees to the second serial
# line, as NAME=VALUE. The kernel's command line says what to do: check=merge, look (at what is there), or install (from the source,
# instead of the package).

exec >/dev/ttyS1 2>&1
stty -F /dev/ttyS1 -opost
dir=/sys/kernel/mm/uksm
mode=$(sed -E 's/.*check=([a-z]+).*/\1/' /proc/cmdline)

state() { systemctl show -p ActiveState --value uksm; }
loaded() { [ -d /sys/module/uksm ] && echo yes || echo no; }
sharing() { cat $dir/pages_sharing; }

# wait_for SECONDS command...
wait_for() {
	n=$1
	shift
	while ! "$@" && [ "$n" -gt 0 ]; do
		n=$((n - 1))
		sleep 1
	done
}
there() { ls "$@" >/dev/null 2>&1; }
merged() { [ "$(sharing)" -ge $((3 * pages)) ]; }

# Four processes with the same pages, each of which differs from the others. At each step they say whether all is there.
pages=4096
# shellcheck disable=SC2016  # perl expands these
fill='
my ($pages, $i) = @ARGV;
my $sum = unpack("%32N*", my $x = join("", map { pack("N", $_ * 2654435761 % 4294967296) x 1024 } 1 .. $pages));
open(F, ">/run/filled.$i"); close(F);
for my $step (1, 2) {
	sleep 1 until -e "/run/step$step";
	open(F, ">/run/answer$step.$i");
	print F unpack("%32N*", $x) == $sum && substr($x, -4) eq pack("N", $pages * 2654435761 % 4294967296) ? "right" : "wrong";
	close(F);
}
substr($x, 0, 1) = "x"; # it is still mine to write to
'
answers() {
	touch "/run/step$1"
	for i in 1 2 3 4; do
		wait_for 60 test -s "/run/answer$1.$i"
	done
	cat "/run/answer$1".?
}

echo # firmware leaves something of its own in this line
echo "kernel=$(uname -r)"
echo "unit=$(state)"
echo "condition=$(systemctl show -p ConditionResult --value uksm)"
echo "loaded=$(loaded)"
echo "said=$(journalctl -b -u uksm -o cat | grep '^uksm: ')"
if [ "$mode" = merge ]; then
	echo full >$dir/cpu_governor
	echo 0 >$dir/min_age_millisecs
	for i in 1 2 3 4; do
		perl -e "$fill" $pages $i &
	done
	wait_for 120 there /run/filled.1 /run/filled.2 /run/filled.3 /run/filled.4
	wait_for 180 merged
	echo "shared=$(cat $dir/pages_shared)"
	echo "sharing=$(sharing)"
	echo "content=$(answers 1)"
	systemctl stop uksm
	echo "stopped=$(state)"
	echo "still=$(loaded)"
	echo "after=$(answers 2)"
	wait
fi

# make, of which the last line is told, but make's own.
source_make() { make -s -C /root/uksm "$1" 2>&1 </dev/null | grep -v '^make: ' | tail -n 1; }
compat=/root/uksm/include/uksm/compat.h
if [ "$mode" = install ]; then
	export HOME=/root
	dpkg --purge uksm-dkms >/dev/null 2>&1
	echo "purged=$(loaded)"
	mv "/lib/modules/$(uname -r)/build" /root/build
	echo "noheaders=$(source_make install)"
	mv /root/build "/lib/modules/$(uname -r)/build"
	cp $compat /root/compat.h
	sed -i '/define UKSM_COMPAT_H/a #error "planted"' $compat
	echo "nobuild=$(source_make install)"
	cp /root/compat.h $compat
	echo "install=$(source_make install)"
	echo "installed=$(state)"
	echo "runs=$(loaded)"
	echo "uninstall=$(source_make uninstall)"
	echo "gone=$(loaded)"
	echo "left=$(find /etc /lib/modules /usr/lib /usr/src /usr/share/doc /var/lib/dkms -name '*uksm*' ! -name 'uksm-check*' |
		tr '\n' ' ')"
fi
echo "bad=$(dmesg | grep -m 1 -E "$(cat /root/bad)")"
echo "end=$mode"
systemctl poweroff --force --force
