#!/bin/busybox sh
# First and only process of the guest's own: mounts, modules, then a loop that
# runs one command per line of the control port.
#
#   line from the host:  ID BASE64(COMMANDS)
#   line to the host:    ID STATUS BASE64(OUTPUT)     (in order of completion)
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /var/run /bin /sbin /usr/bin /usr/sbin /etc
/bin/busybox --install -s
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /root
mount -t devpts pts /dev/pts
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
ln -sf /proc/self/fd /dev/fd
echo 'root:x:0:0::/root:/bin/sh' > /etc/passwd
echo 1 > /proc/sys/kernel/panic_on_oops
for m in $(cat /etc/modules); do
  modprobe "$m" || echo "guest: no module $m"
done
# Addresses are usable at once, and nothing configures itself.
for c in all default; do
  echo 0 > /proc/sys/net/ipv6/conf/$c/accept_dad
  echo 0 > /proc/sys/net/ipv6/conf/$c/accept_ra
done
ip link set lo up
port=/dev/vport0p1
i=0
while [ ! -c $port ]; do
  i=$((i + 1))
  [ $i -lt 200 ] || { echo "guest: no control port"; poweroff -f; }
  sleep 0.05
done
exec 3<> $port
run() {
  echo "$2" | base64 -d > /tmp/cmd.$1
  # Not busybox's shell: it would prefer its own ip to the real one.
  dash /tmp/cmd.$1 < /dev/null > /tmp/out.$1 2>&1 3>&-
  echo "$1 $? $(base64 /tmp/out.$1 | tr -d '\n')" > /tmp/answer.$1
  # One answer at a time: a long one is several writes.
  while ! mkdir /tmp/lock 2> /dev/null; do sleep 0.01; done
  cat /tmp/answer.$1 >&3
  rmdir /tmp/lock
  rm -f /tmp/cmd.$1 /tmp/out.$1 /tmp/answer.$1
}
echo "ready $(uname -r)" >&3
while read -r id text <&3; do
  run "$id" "$text" &
done
poweroff -f
