package status

import (
	"errors"
	"net/netip"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
)

// Errors of operations, besides config.Faults for requests that are wrong in
// themselves; they come wrapped with what they are about.
var (
	// ErrNotFound: there is no such VNI, SA, port or file.
	ErrNotFound = errors.New("not found")
	// ErrPrecondition: it is there, and its state does not allow the operation:
	// an AN in use, a key used before.
	ErrPrecondition = errors.New("not in a state for it")
)

// MACFilter chooses FDB entries; zero fields match everything.
type MACFilter struct {
	VNI  table.VNI
	MAC  table.MAC
	Port string
}

// Match reports whether m passes f.
func (f *MACFilter) Match(m *MAC) bool {
	return (f.VNI == 0 || f.VNI == m.VNI) && (f.MAC == 0 || f.MAC == m.MAC) && (f.Port == "" || f.Port == m.Port)
}

// Direction says which side of a SecY an SA is on.
type Direction uint8

// The values of Direction.
const (
	Tx Direction = iota + 1
	Rx
)

// String returns "tx", "rx" or, for the zero value, "".
func (d Direction) String() string {
	switch d {
	case Tx:
		return "tx"
	case Rx:
		return "rx"
	}
	return ""
}

// SARef names an SA.
type SARef struct {
	VNI       table.VNI
	Direction Direction
	SCI       config.SCI // of the channel; zero with Tx is the SecY's own
	AN        uint8      // 0 to 3
}

// SA asks for an SA. Its keys stay in files that only the engine's user reads.
type SA struct {
	SARef
	KeyFile  string // SAK in hex, mode 0600, absolute path on the engine's machine
	SaltFile string // XPN only
}

// TraceRequest asks for the ways of single frames.
type TraceRequest struct {
	Count int         // frames to follow, at least 1
	VNI   table.VNI   // 0 is any
	MAC   table.MAC   // source or destination of the tenant frame; 0 is any
	IP    netip.Addr  // source or destination, tenant's or outer; zero is any
	Stage trace.Stage // where a frame enters, port-rx or underlay-rx; 0 is any
	Snap  int         // bytes of each frame to hand over, 0 to 65535
	Begun func()      // called once when watching begins: frames from now on are seen; may be nil
}

// TraceRecord is one sighting of a followed frame.
type TraceRecord struct {
	ID     uint32 // of the frame, from 1
	Stage  trace.Stage
	Worker string
	Time   time.Time
	Reason counter.Reason // why it was dropped here; None when it went on
	VNI    table.VNI      // 0 when not known at this stage
	Port   string         // empty when none
	Peer   netip.AddrPort // other end at underlay stages; zero when none
	Out    bool           // towards Peer rather than from it
	Len    int            // bytes at this stage
	Segs   int            // GSO segments, 1 for a plain frame
	Data   []byte         // first bytes
	Note   string         // one short sentence for people
	Missed uint64         // records lost so far because the reader was slow
}

// CaptureRequest asks for copies of what passes stages.
type CaptureRequest struct {
	Stages   []trace.Stage // at least one
	VNI      table.VNI     // 0 is any
	Snap     int           // bytes of each packet, 1 to 65535
	Count    int           // packets, then it ends; 0 is no limit
	Duration time.Duration // then it ends; 0 is no limit
	Begun    func()        // called once when watching begins: packets from now on are seen; may be nil
}

// CapturePacket is a copy of what passed a stage.
type CapturePacket struct {
	Stage  trace.Stage
	Time   time.Time
	VNI    table.VNI // 0 when not known at this stage
	Port   string
	Peer   netip.AddrPort // other end at underlay stages; zero when none
	Out    bool           // towards Peer rather than from it
	Len    int            // bytes before Data was cut
	Segs   int
	Data   []byte
	Missed uint64 // packets lost so far because the reader was slow
}
