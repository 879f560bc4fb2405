package port

import (
	"errors"
	"time"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
)

// Errors that Recv returns; drivers wrap ErrDown with the device's name.
var (
	// ErrTimeout: nothing arrived within the receive time-out. Not a fault.
	ErrTimeout = errors.New("port: receive timed out")
	// ErrDown: the device is down or gone. The worker waits and tries again;
	// the driver reopens by itself when the device is back.
	ErrDown = errors.New("port: device is down")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("port: closed")
)

// MaxFrame is the largest frame or super-frame that anything of ours puts
// together, bytes from the destination MAC without tags: kernel paths that
// bypass the queueing discipline refuse 65,536 bytes and more.
const MaxFrame = 65535

// MaxRecvFrame is the largest super-frame that a driver hands over, and that a
// Tx takes: an IP packet of 65,535 bytes, its Ethernet header, and two tags in
// the bytes. Only a tenant that sends UDP GSO to the limit goes beyond MaxFrame.
const MaxRecvFrame = 65535 + 14 + 8

// IdleTimeout is how long Recv blocks when nothing arrives, so that a worker
// notices a stop or a settled snapshot.
const IdleTimeout = 250 * time.Millisecond

// Port is one device. Its methods are for control, any goroutine.
type Port interface {
	// Name returns the name from the configuration.
	Name() string
	// Queues returns how many Rx the port has, fixed at open; at least 1.
	Queues() int
	// Rx returns receive queue q, 0 to Queues()-1; always the same object.
	Rx(q int) Rx
	// NewTx opens a transmit side for one worker.
	NewTx() (Tx, error)
	// Status asks the device how it is.
	Status() Status
	// SetMTU sets the device's MTU, bytes of Ethernet payload. ErrNotOwned
	// when the engine does not own the device.
	SetMTU(mtu int) error
	// Close ends every Rx and Tx: a Recv in progress returns ErrClosed.
	Close() error
}

// ErrNotOwned: the device belongs to somebody else; its MTU is not ours to set.
var ErrNotOwned = errors.New("port: device is not owned by the engine")

// Drivers, as Status names them.
const (
	AFPacket = "afpacket"
	AFXDP    = "afxdp"
	TAP      = "tap"
	Memory   = "mem"
)

// Status is what a device says of itself.
type Status struct {
	Driver  string // the driver of ours that the port goes by: AFPacket, AFXDP, TAP, Memory
	Note    string // one plain sentence when that is not the wanted one, and why; else empty
	Present bool   // the device exists
	Up      bool   // administratively up, with carrier
	MTU     int    // bytes of Ethernet payload; 0 when unknown
	MAC     [6]byte
	Detail  string // one line for people: the device's driver, offloads, why down
}

// Rx is one receive queue. One worker only.
type Rx interface {
	// Recv resets v, waits until at least one frame is there or IdleTimeout is
	// over, and fills v with what has arrived, at most v's capacity. Frames'
	// memory is borrowed until the next Recv; the worker may overwrite it.
	// VLAN tags that the device stripped are in Frame.Tags; tags still in the
	// bytes stay there. Frames too short for Ethernet, cut off, or with an
	// offload header that does not fit are not handed over but counted in
	// Dropped.
	//
	// ErrDown comes at once when the device goes down, and then once every
	// IdleTimeout while it stays down. The same Rx goes on when the device
	// is back, even when it was removed and created again. Compare with
	// errors.Is: ErrDown is wrapped.
	Recv(v *pkt.Vector) error
	// Dropped returns how many frames the driver or the kernel dropped on
	// this queue since open, and fits no Reason of ours. Any goroutine.
	Dropped() uint64
}

// Tx is a transmit side. One worker only.
type Tx interface {
	// Push queues f for sending; on the wire f gets the tags in f.Tags in
	// front. f and its memory must stay unchanged until Flush. When the batch
	// is full Push flushes by itself. A super-frame leaves whole with its
	// virtio-net header, or is cut into what the wire carries (afxdp).
	Push(f *pkt.Frame)
	// Flush sends what is queued and returns how many frames were sent and
	// how many the device refused (down, or full beyond a short wait), since
	// the Flush before: whatever Push flushed by itself is included.
	Flush() (sent, refused int)
	// Refusal returns why the last refused frame of the last Flush was
	// refused: PortDown, PortTxFull, FrameTooLong, FrameTooShort or
	// BadOffload; None when no frame was. All frames refused by one Flush
	// count under it.
	Refusal() counter.Reason
	// CanUDPGSO reports whether the device takes super-frames of GSOUDP; when
	// not, the merger must leave UDP alone. It may turn false, never true
	// again, while the port is open.
	CanUDPGSO() bool
}
