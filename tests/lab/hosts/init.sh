#!/bin/sh
# Process 1 of a host, before systemd. nspawn mounts the controllers of cgroup v1 read-only, and then MemoryMax= bites nobody.
# `bind` matters: a plain remount,rw fails without a word. Does nothing where there is only cgroup v2.
for controller in memory cpu cpuacct cpuset pids blkio devices freezer; do
  [ ! -e "/sys/fs/cgroup/$controller" ] || mount -o remount,bind,rw,nosuid,nodev,noexec "/sys/fs/cgroup/$controller"
done
exec /lib/systemd/systemd
