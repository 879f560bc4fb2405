// Package afxdp is a port on a network device by AF_XDP: the driver's receive
// path hands frames to a ring in our memory before the kernel's stack sees them.
//
//	device --XDP program--> socket of the queue --rx ring--> Rx, worker
//	          |                 ^--fill ring-- (frames given back)
//	          +-- tag, partial checksum: 16 bytes in front of the frame
//	device <--tx ring-- socket of the queue <--mutex-- Tx of every worker
//	                            --completion ring--> (frames to send from)
//
// Where the program runs. In the driver (native) where the driver can; behind it
// (generic) only for hardware whose tags stay in the bytes. Zero copy is tried
// where the driver says that it can, and copy mode is taken otherwise. What
// stands in the way is said in one sentence (IsObstacle, Why), and the caller
// takes another driver: package netport does.
//
// What arrives. Frames of one UMEM frame, never super-frames: a veth's other end
// loses TSO and GSO while the program is attached. The bytes alone do not say
// all of a frame. A VLAN tag that the device took off is asked for by
// bpf_xdp_metadata_rx_vlan_tag; on veth, the checksum that the sending stack
// left undone is read from its socket buffer. So Frame.Tags and Offload are what
// AF_PACKET would say. Devices on which that is not possible are refused, rather
// than a frame delivered in the wrong VLAN or with a wrong checksum.
//
// What leaves. Plain frames: the Tx copies into UMEM, cuts super-frames and
// completes checksums.
//
// A device that goes down and comes back keeps its sockets; one that was removed
// and created again gets new ones, as in package afpacket. The kernel gives a
// queue to one memory only, so all Tx on a queue share its socket under a mutex.
//
// Needs CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and CAP_NET_RAW, and Linux 6.8.
// MTU at most MaxMTU: frames in several buffers are not supported.
//
// Layer 1. No goroutine, no clock.
package afxdp
