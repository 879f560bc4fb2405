package hoststack

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"github.com/ztos/ztos/engine/bell"
	"github.com/ztos/ztos/engine/port"
)

const (
	nicID = 1
	// queueLen bounds the packets that wait in either direction; what finds
	// the queue full is dropped and counted by the caller.
	queueLen = 512
)

// Netstack is a userspace IP stack with the node's addresses. Deliver and Read
// are for one worker each; the rest is for any goroutine.
type Netstack struct {
	stack *stack.Stack
	ep    *channel.Endpoint

	in     chan []byte // copies of delivered packets
	out    notifier    // rings when the stack has sent something, and at Close
	closed chan struct{}
	once   atomic.Bool
	guards guards
}

// New returns a stack that owns addrs, with the given MTU (bytes of IP packet).
func New(addrs []netip.Addr, mtu int) (*Netstack, error) {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
	})
	out, err := bell.New()
	if err != nil {
		return nil, fmt.Errorf("hoststack: %w", err)
	}
	n := &Netstack{
		stack:  s,
		ep:     channel.New(queueLen, uint32(mtu), ""),
		in:     make(chan []byte, queueLen),
		out:    notifier{out},
		closed: make(chan struct{}),
		guards: guards{mtu: mtu},
	}
	n.ep.AddNotify(n.out)
	sack := tcpip.TCPSACKEnabled(true)
	if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, &sack); err != nil {
		return nil, fmt.Errorf("hoststack: enable SACK: %v", err)
	}
	if err := s.CreateNIC(nicID, n.ep); err != nil {
		return nil, fmt.Errorf("hoststack: create NIC: %v", err)
	}
	for _, a := range addrs {
		pa := tcpip.ProtocolAddress{
			Protocol:          protocolOf(a),
			AddressWithPrefix: tcpip.AddrFromSlice(a.AsSlice()).WithPrefix(),
		}
		if err := s.AddProtocolAddress(nicID, pa, stack.AddressProperties{}); err != nil {
			return nil, fmt.Errorf("hoststack: add address %v: %v", a, err)
		}
	}
	s.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: nicID},
		{Destination: header.IPv6EmptySubnet, NIC: nicID},
	})
	go n.inject()
	return n, nil
}

// notifier rings when the stack has something (channel.Notification).
type notifier struct{ *bell.Bell }

// WriteNotify rings.
func (n notifier) WriteNotify() { n.Ring() }

func protocolOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return ipv4.ProtocolNumber
	}
	return ipv6.ProtocolNumber
}

// Deliver copies p, one whole IP packet addressed to the node, into the stack's
// queue. It reports false, and drops p, when the stack does not keep up.
func (n *Netstack) Deliver(p []byte) bool {
	if len(n.in) == cap(n.in) {
		return false
	}
	select {
	case n.in <- append([]byte(nil), p...):
		return true
	default:
		return false
	}
}

// inject feeds delivered packets to the stack off the worker's thread, because
// the stack may answer, and take its locks, in the call.
func (n *Netstack) inject() {
	for {
		select {
		case <-n.closed:
			return
		case p := <-n.in:
			if !n.guards.admit(p) {
				continue
			}
			proto := ipv4.ProtocolNumber
			if header.IPVersion(p) == header.IPv6Version {
				proto = ipv6.ProtocolNumber
			}
			pk := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(p)})
			n.ep.InjectInbound(proto, pk)
			pk.DecRef()
		}
	}
}

// Read waits for packets that the stack sends and copies up to len(bufs) of them
// into bufs, their lengths into sizes. It returns how many; port.ErrTimeout when
// none came within port.IdleTimeout, port.ErrClosed after Close. A packet longer
// than its buffer is dropped. Waiting does not allocate.
func (n *Netstack) Read(bufs [][]byte, sizes []int) (int, error) {
	for {
		if got := n.drain(bufs, sizes); got > 0 {
			return got, nil
		}
		if n.once.Load() {
			return 0, port.ErrClosed
		}
		if !n.out.Wait(port.IdleTimeout) {
			return 0, port.ErrTimeout
		}
	}
}

// drain is Read without waiting; 0 when there is nothing.
func (n *Netstack) drain(bufs [][]byte, sizes []int) (got int) {
	for got < len(bufs) {
		pk := n.ep.Read()
		if pk == nil {
			break
		}
		v := pk.ToView()
		if v.Size() <= len(bufs[got]) {
			var ok bool
			if sizes[got], ok = n.guards.send(bufs[got], copy(bufs[got], v.AsSlice())); ok {
				got++
			}
		}
		v.Release()
		pk.DecRef()
	}
	return got
}

// ListenTCP listens on an address of the node in the fabric VRF.
func (n *Netstack) ListenTCP(at netip.AddrPort) (net.Listener, error) {
	return gonet.ListenTCP(n.stack, fullAddress(at), protocolOf(at.Addr()))
}

// DialTCP connects to an address in the fabric VRF.
func (n *Netstack) DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return gonet.DialContextTCP(ctx, n.stack, fullAddress(to), protocolOf(to.Addr()))
}

func fullAddress(a netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nicID, Addr: tcpip.AddrFromSlice(a.Addr().AsSlice()), Port: a.Port()}
}

// Close ends the stack, and a Read in progress with port.ErrClosed.
func (n *Netstack) Close() error {
	if n.once.Swap(true) {
		return nil
	}
	close(n.closed)
	n.out.Ring()
	n.ep.Close()
	n.stack.Close()
	done := make(chan struct{})
	go func() { n.stack.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
	return nil
}
