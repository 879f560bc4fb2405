package xdp

import (
	"net/netip"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/underlay"
)

// Geometry of a receive queue: frames that one look at the rings takes, bundles
// that they are put together to, and each bundle's memory. Strides are no multiple
// of 4096, as underlay's are not.
const (
	rxFrames  = 256
	rxBundles = 32
	rxLook    = 8 // bundles, newest first, that a datagram may join
	stride    = 1<<16 + 128
)

// Rx is one receive queue of a device. One worker.
//
// A frame is copied to where the datagrams of its sender lie back to back. That
// costs less than it gives: the ciphers work a bundle at once, and the ring has
// its frames back at the next Recv whatever the worker does.
type Rx struct {
	rx  port.Rx
	vec *pkt.Vector
	at  int // frame of vec that is next

	buf       []byte
	bundles   [rxBundles]rxBundle
	malformed counter.Cell
}

// rxBundle is a bundle that is being put together.
type rxBundle struct {
	src  netip.AddrPort
	size int  // bytes of each datagram but the last
	len  int  // bytes in all
	n    int  // datagrams
	open bool // more may join
}

var _ underlay.Receiver = (*Rx)(nil)

func newRx(rx port.Rx) *Rx {
	return &Rx{rx: rx, vec: pkt.NewVector(rxFrames), buf: make([]byte, rxBundles*stride)}
}

// Recv fills b with what has arrived; see underlay.Receiver. While the device is
// down, or AF_XDP does not go with it, it returns an error that wraps
// port.ErrDown, as a port does.
//
// Hot path: no allocation (TestNoAllocs).
func (r *Rx) Recv(b []underlay.Bundle) (int, error) {
	if r.at >= r.vec.N {
		r.at = 0
		if err := r.rx.Recv(r.vec); err != nil {
			return 0, err
		}
	}
	n, most := 0, min(len(b), rxBundles)
	for ; r.at < r.vec.N; r.at++ {
		src, data, ok := parse(r.vec.Frames[r.at].Head)
		if !ok {
			r.malformed.Add(1)
			continue
		}
		if n, ok = r.place(n, most, src, data); !ok {
			break // the rest is for the next Recv
		}
	}
	for i := range r.bundles[:n] {
		x := &r.bundles[i]
		b[i] = underlay.Bundle{Buf: r.buf[i*stride : i*stride+x.len : (i+1)*stride], SegSize: x.size, Src: x.src}
	}
	if n == 0 {
		return 0, underlay.ErrTimeout
	}
	return n, nil
}

// place puts a datagram behind those of the same sender, or into a bundle of its
// own, and returns how many bundles there are; false when there is no room.
func (r *Rx) place(n, most int, src netip.AddrPort, data []byte) (int, bool) {
	for i := n - 1; i >= max(0, n-rxLook); i-- {
		x := &r.bundles[i]
		if x.src != src {
			continue
		}
		// Only the sender's last one: its datagrams stay in order.
		if !x.open || len(data) == 0 || len(data) > x.size || x.n == underlay.MaxSegments || x.len+len(data) > 1<<16 {
			break
		}
		copy(r.buf[i*stride+x.len:], data)
		x.len += len(data)
		x.n++
		x.open = len(data) == x.size
		return n, true
	}
	if n == most {
		return n, false
	}
	copy(r.buf[n*stride:], data)
	r.bundles[n] = rxBundle{src: src, size: len(data), len: len(data), n: 1, open: len(data) > 0}
	return n + 1, true
}

// Truncated returns 0: a datagram longer than a frame's memory does not fit the
// device's MTU either.
func (r *Rx) Truncated() uint64 { return 0 }
