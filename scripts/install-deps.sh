#!/usr/bin/env bash
# Installs the Debian packages that the demonstration, the full benchmark or the
# tests need:
#
#   scripts/install-deps.sh demo|perf|test ...
#
# Safe to run again: when nothing is missing it does nothing, needs no root and
# no network. Go itself and make are expected to be there.
set -euo pipefail

usage() {
  echo "usage: ${0##*/} demo|perf|test ..." >&2
  exit 2
}

fail() {
  echo "install-deps: $*" >&2
  exit 1
}

# What all need: namespaces, traffic, captures and a judge of frames that is
# not ours (scapy).
demo=(
  iproute2 iputils-ping iperf3 tcpdump tshark ethtool procps ca-certificates
  python3 python3-scapy python3-cryptography
)
# The full benchmark compares with one more peer; the tests make a short run of it.
perf=("${demo[@]}" nebula)
# The tests also run FRR, boot a Debian kernel in QEMU with a root of busybox, and the
# race detector needs a C compiler. DHCP is relayed between busybox, dhclient and
# dnsmasq.
test=(
  "${perf[@]}"
  qemu-system-x86 wireguard-tools busybox-static kmod cpio xz-utils zstd git frr
  gcc libc6-dev dnsmasq-base isc-dhcp-client
)

[ $# -gt 0 ] || usage
wanted=()
guest=no
for arg in "$@"; do
  case $arg in
    demo) wanted+=("${demo[@]}") ;;
    perf) wanted+=("${perf[@]}") ;;
    test) wanted+=("${test[@]}"); guest=yes ;;
    *) usage ;;
  esac
done

command -v dpkg-query >/dev/null || fail "this is not a Debian machine (no dpkg): install by hand: ${wanted[*]}"
command -v apt-get >/dev/null || fail "apt-get is missing: install by hand: ${wanted[*]}"

# Go fetches the exact version of go.mod by itself from 1.21 on.
command -v go >/dev/null || fail "Go is missing: install Go 1.21 or newer (https://go.dev/dl), and put it into PATH"
goversion=$(go env GOVERSION)
minor=${goversion#go1.}
minor=${minor%%[!0-9]*}
[ "${minor:-0}" -ge 21 ] || fail "$goversion is too old: install Go 1.21 or newer (https://go.dev/dl)"

installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=()
for p in "${wanted[@]}"; do
  case " ${missing[*]-} " in *" $p "*) continue ;; esac
  installed "$p" || missing+=("$p")
done

# The kernel of the guests is downloaded by the tests, which need the package
# lists for its name, unless one is in the cache.
lists=yes
if [ $guest = yes ]; then
  cached=$(compgen -G "$(dirname "$0")/../build/cache/guest/linux-image-*/boot/vmlinuz-*" || true)
  if [ -z "$cached" ] && [ -z "$(apt-cache search --names-only '^linux-image-[0-9].*-cloud-amd64$')" ]; then
    lists=no
  fi
fi

if [ ${#missing[@]} -eq 0 ] && [ $lists = yes ]; then
  echo "install-deps: nothing is missing for: $*"
  exit 0
fi

[ ${#missing[@]} -eq 0 ] || echo "install-deps: missing: ${missing[*]}"
[ "$(id -u)" -eq 0 ] || fail "needs root to install: run as root: $0 $*"

export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Runs apt-get with its output in the log; the lines that tell how far it is are
# shown, and everything when it fails.
show() {
  if ! "${apt[@]}" "$@" 2>&1 | tee "$log" |
    sed -un -e 's/^Need to get \(.*\) of archives.*/install-deps:   downloading \1/p' \
      -e 's/^Setting up \([^ ]*\) .*/install-deps:   \1/p'; then
    tail -n 40 "$log" >&2
    fail "apt-get $1 failed"
  fi
}

echo "install-deps: updating the package lists"
show update
if [ ${#missing[@]} -gt 0 ]; then
  echo "install-deps: installing ${#missing[@]} packages and what they need"
  show install --no-install-recommends "${missing[@]}"
  for p in "${missing[@]}"; do
    installed "$p" || fail "$p is still not installed"
  done
fi
echo "install-deps: done: $*"
