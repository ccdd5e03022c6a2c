#!/bin/bash
# become-node.sh NAME NUMBER HOME: make of this process a node and sleep. It is started in the node's network namespace,
# with a mount and a UTS namespace of its own. Its pods are 10.244.NUMBER.0/24; a static VXLAN leads to the other node,
# laid as flannel lays it. HOME/pid holds the process to enter by.
set -euo pipefail
name=$1 number=$2 home=$3
hostname "$name"
mount --make-rshared /
# So all default paths hold, and two nodes live side by side.
for path in /var/lib/{cni,kubelet,containerd} /run/{containerd,netns} /var/log/{pods,containers} /etc/cni/net.d /opt/cni/bin /etc/kubernetes; do
  mkdir -p "$path" "$home$path"
  mount --bind "$home$path" "$path"
done
# These settings are the whole machine's. The kubelet finds here what it wants, and so writes nothing.
mkdir -p "$home/sysctl"
wanted="vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000"
for setting in $wanted; do
  file=$home/sysctl/$(tr / . <<< "${setting%=*}")
  echo "${setting#*=}" > "$file"
  mount --bind "$file" "/proc/sys/${setting%=*}"
done
# The kubelet makes no root of its cgroups, and a cpuset without processors takes nobody in.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir -p "/sys/fs/cgroup/whowas-$name"
else
  for controller in /sys/fs/cgroup/*/; do
    [ "$controller" = /sys/fs/cgroup/unified/ ] || mkdir -p "${controller}whowas-$name"
  done
  for part in cpus mems; do cat "/sys/fs/cgroup/cpuset/cpuset.$part" > "/sys/fs/cgroup/cpuset/whowas-$name/cpuset.$part"; done
fi
sysctl -qw net.ipv4.ip_forward=1
other=$((3 - number))
ip link set lo up
ip link add flannel.1 address "0a:58:0a:f4:0$number:00" mtu 1450 type vxlan id 1 dstport 8472 local "10.10.0.1$number" nolearning dev eth0
ip link set flannel.1 up
ip address add "10.244.$number.0/32" dev flannel.1
ip route add "10.244.$other.0/24" via "10.244.$other.0" dev flannel.1 onlink
ip neigh add "10.244.$other.0" dev flannel.1 lladdr "0a:58:0a:f4:0$other:00" nud permanent
bridge fdb add "0a:58:0a:f4:0$other:00" dev flannel.1 dst "10.10.0.1$other" self permanent
echo $$ > "$home/pid"
exec sleep infinity
