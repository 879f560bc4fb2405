package underlay

import "golang.org/x/sys/unix"

// netOff is the offset at which a classic BPF program finds the IP header
// (linux/filter.h, SKF_NET_OFF): the program itself begins at the UDP payload.
const netOff = -0x100000

// steer makes the sockets of the listening port share datagrams by the sender's
// port modulo their number, instead of by the kernel's hash. A peer of ours sends
// from ports that follow each other (openSource), so each socket gets as many of
// its paths as the others, which by a hash of a handful it would not. Where the
// kernel refuses it hashes, as well where a program can't find the port: both
// keep a path at one socket.
//
// sock is one of them, after all were bound.
func steer(sock, queues int) error {
	op := func(code uint16, k int) unix.SockFilter { return unix.SockFilter{Code: code, K: uint32(int32(k))} }
	jeq := func(k int, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: yes, Jf: no, K: uint32(k)}
	}
	code := []unix.SockFilter{
		op(unix.BPF_LD|unix.BPF_B|unix.BPF_ABS, netOff), // version and header length
		op(unix.BPF_ALU|unix.BPF_RSH|unix.BPF_K, 4),
		jeq(4, 0, 2),
		op(unix.BPF_LDX|unix.BPF_B|unix.BPF_MSH, netOff), // X = 4 * IHL
		op(unix.BPF_JMP|unix.BPF_JA, 1),
		op(unix.BPF_LDX|unix.BPF_W|unix.BPF_IMM, 40),
		op(unix.BPF_LD|unix.BPF_H|unix.BPF_IND, netOff), // source port
		op(unix.BPF_ALU|unix.BPF_MOD|unix.BPF_K, queues),
		op(unix.BPF_RET|unix.BPF_A, 0),
	}
	return unix.SetsockoptSockFprog(sock, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
		&unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]})
}
