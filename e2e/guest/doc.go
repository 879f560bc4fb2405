// Package guest boots Debian's cloud kernel in QEMU, so that tests have a real
// kernel with macsec, wireguard, vxlan and vrf as a peer, whatever kernel the
// machine itself runs.
//
//	test -- g.Run("ip link ...") --> virtio-serial --> sh in the guest
//	engine in a namespace -- AF_PACKET, UDP --> tap0 ==QEMU== eth0 of the guest
//
// The kernel comes from the machine's own package source by `apt-get download`
// and is kept under build/cache/guest. The root file system is an initramfs
// built here from busybox-static, the modules needed, and a few programs of
// the machine (ip, wg, ...) with their libraries. No KVM is needed: QEMU
// emulates (TCG).
//
// QEMU runs inside a network namespace, where its TAP devices are; nothing
// connects them to the machine's own network. A Guest belongs to one test; Run
// may be called from several goroutines. Root is needed.
//
// Tests that boot guests have the build tag `interop` and names that begin with
// TestInterop: `go test -tags interop -run Interop ./e2e/...`, which is what
// `make interop` and so `make test` run. Plain `go test ./...` boots nothing.
package guest
