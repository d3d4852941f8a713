#!/bin/sh
# SPDX-License-Identifier: MIT
# Changes the kernel's code under load: every function's entry by ftrace, probes, the static keys of all tracepoints and of
# schedstats, modules that come and go, socket filters. Each round prints the same lines.
# Usage: changing.sh FUNCTIONS ROUNDS   which ftrace traces: '*' for all, which takes minutes
tracing=/sys/kernel/tracing
mount -t tracefs tracefs $tracing
cd /changing || exit 1
while :; do
	ls -lR /bin /proc/self >/dev/null 2>&1
	seq 3000 | sort -r | md5sum >>/tmp/sums
done &
load=$!
echo "$1" >$tracing/set_ftrace_filter
for round in $(seq "$2"); do
	for tracer in function function_graph; do
		echo $tracer >$tracing/current_tracer || echo "no tracer $tracer"
		sleep 1
		echo 0 >$tracing/tracing_on # reading it is traced, too, and would not end
		grep -c . $tracing/trace >/tmp/lines
		echo nop >$tracing/current_tracer
		echo 1 >$tracing/tracing_on
		[ "$(cat /tmp/lines)" -gt 100 ] || echo "$tracer traces nothing"
	done
	echo 'p:changing vfs_read' >$tracing/kprobe_events && echo 1 >$tracing/events/kprobes/enable
	cat /proc/self/status >/dev/null
	echo 0 >$tracing/tracing_on
	grep -q changing $tracing/trace || echo "a probe is not hit"
	echo 0 >$tracing/events/kprobes/enable
	echo 1 >$tracing/tracing_on
	echo >$tracing/kprobe_events
	for on in 1 0 1 0; do
		echo $on >$tracing/events/sched/enable
		echo $on >$tracing/events/syscalls/enable
		echo $on >/proc/sys/kernel/sched_schedstats
	done
	for module in *.ko *.ko; do
		insmod "$module" && rmmod "${module%.ko}" || echo "module $module"
	done
	./filters || echo "filters: status $?"
	echo "round $round"
done
kill $load
[ "$(sort -u /tmp/sums | wc -l)" = 1 ] || echo "sums differ"
dmesg | grep -E 'BUG:|Oops|WARNING:|invalid opcode|general protection' || echo "kernel is well"
