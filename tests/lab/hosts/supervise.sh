#!/bin/bash
# supervise.sh FOLDER: boots the host that FOLDER/settings describes, again after each reboot, until it powers off.
set -u
cd "$1" || exit 1
. ./settings
echo $$ > supervisor.pid

# A subtree of the host's own in every hierarchy, from before its first process on.
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
  [ -e "$hierarchy/cgroup.procs" ] || continue
  mkdir -p "$hierarchy/$CGROUP"
  if [ -e "$hierarchy/cpuset.cpus" ]; then  # these two are empty at first, and then refuse a process
    for key in mems cpus; do cat "$hierarchy/cpuset.$key" > "$hierarchy/$CGROUP/cpuset.$key"; done
  fi
  # To the scheduler a host is one among this machine's programs, of 1024 each, however much runs on it.
  [ ! -e "$hierarchy/$CGROUP/cpu.shares" ] || echo 4096 > "$hierarchy/$CGROUP/cpu.shares"
  echo $$ > "$hierarchy/$CGROUP/cgroup.procs"
done

unplug() {
  [ -n "$VETH" ] || return 0
  ip link del "$VETH" 2>/dev/null
  ip netns del "$NAMESPACE" 2>/dev/null
}

# The namespace is made anew for each boot, or firewall rules and sockets would outlive a reboot.
plug() {
  [ -n "$VETH" ] || return 0
  unplug
  ip netns add "$NAMESPACE" || return
  ip link add "$VETH" mtu "$MTU" type veth peer name eth0 address "$MAC" mtu "$MTU" netns "$NAMESPACE" || return
  ip -n "$NAMESPACE" link set lo up
  ip -n "$NAMESPACE" addr add "$ADDRESS" dev eth0 nodad || ip -n "$NAMESPACE" addr add "$ADDRESS" dev eth0 || return
  ip -n "$NAMESPACE" link set eth0 up
  ip link set "$VETH" master "$BRIDGE" up || return
  ip -n "$NAMESPACE" route add default via "$GATEWAY"
}

# Not SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: on a machine with both kinds of cgroups, 0 hangs at shutdown and 1 has no controllers.
export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network SYSTEMD_NSPAWN_TMPFS_TMP=0
boots=$(cat boots 2>/dev/null || echo 0)
while :; do
  plug || { echo "no network for this host"; exit 1; }
  echo $((boots += 1)) > boots
  systemd-nspawn --quiet --directory="$PWD/root" --register=no --keep-unit --machine="$MACHINE" --hostname="$NAME" \
    --network-namespace-path="/run/netns/$NAMESPACE" --capability=all --system-call-filter="@keyring bpf" \
    --kill-signal=SIGRTMIN+3 --console=pipe --resolv-conf=off --timezone=off /sbin/lab-init &
  echo $! > nspawn.pid
  wait $!
  ended=$?
  unplug
  rm -f nspawn.pid
  [ "$ended" = 133 ] && [ ! -e stop ] || exit "$ended"  # 133: it reboots
done
