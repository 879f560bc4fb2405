package l2

import (
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/wire"
)

// Oversize reports whether f, or a segment of super-frame f, carries more than
// tenantMTU bytes behind its Ethernet header. Tags that travel in the frame count
// against the MTU: they take underlay bytes like payload. A super-frame whose
// headers wire.Parse did not understand counts whole.
//
// Hot path: no allocation.
func Oversize(f *pkt.Frame, tenantMTU int) bool {
	n := f.Len
	if f.Offload.GSOType != pkt.GSONone && f.L4Off != 0 {
		n = min(n, headersLen(f)+int(f.Offload.GSOSize))
	}
	return n-wire.EthernetLen+int(f.NumTags)*wire.TagLen > tenantMTU
}

// headersLen returns the bytes of f up to the L4 payload; f is a super-frame
// with a known L4 header.
func headersLen(f *pkt.Frame) int {
	n := int(f.L4Off)
	if f.Offload.GSOType == pkt.GSOUDP {
		return n + wire.UDPLen
	}
	if t := wire.TCP(f.Head[min(n, len(f.Head)):]); t.Valid() {
		return n + t.HeaderLen()
	}
	return n + wire.TCPLen
}

// wireFrames returns how many frames of the wire f stands for.
func wireFrames(f *pkt.Frame) int {
	if f.Offload.GSOType == pkt.GSONone {
		return 1
	}
	return f.Segments(headersLen(f))
}

// tagBytes returns how many bytes of tags stand in front of f's IP header.
func tagBytes(f *pkt.Frame) int {
	return int(f.L3Off) - wire.EthernetLen + int(f.NumTags)*wire.TagLen
}

// MaxTooBig is the room that TooBig.Answer needs at most, bytes.
const MaxTooBig = wire.MaxTooBig

// TooBig answers oversized frames in place of the router that a tenant segment
// does not have. Any number of workers.
type TooBig struct{ rate Bucket }

// DefaultTooBigRate is how many answers per second a bridge domain may send;
// path MTU discovery needs one per destination every ten minutes.
const DefaultTooBigRate = 100

// NewTooBig returns a TooBig that sends at most perSecond answers each second.
func NewTooBig(perSecond uint64) *TooBig {
	t := &TooBig{}
	t.rate.init(perSecond, burstNs)
	return t
}

// Answer writes into dst the complete frame that tells f's sender the MTU that
// holds for f, tenantMTU less f's own tags, and returns its length with
// OversizedICMPSent; or 0 with OversizedNoICMP when nobody may or can be told. f
// is to be dropped for the reason returned. The answer leaves by the attachment
// circuit that f came in by, through AC.Egress: tags that Classify took off are
// not in it.
//
// The answer comes from f's own destination address and MAC: a bridge has no
// address that the tenant knows, and Linux' bridged VXLAN does the same. Not
// answered are: what is not IP; fragments beyond the first; ICMP errors; anything
// to or from a group or an address that is not one host's; an MTU below 68 or
// 1280; and what is over the rate.
//
// f must be parsed; now is ns since start. Hot path: no allocation.
func (t *TooBig) Answer(dst []byte, f *pkt.Frame, tenantMTU int, now int64) (n int, r counter.Reason) {
	if !t.rate.Open(now) {
		return 0, counter.OversizedNoICMP
	}
	n = wire.TooBig(dst, f, tenantMTU-tagBytes(f), wire.Addr{})
	if n == 0 || !t.rate.Take(1, now) {
		return 0, counter.OversizedNoICMP
	}
	return n, counter.OversizedICMPSent
}

// ClampMSS lowers the MSS option of a TCP SYN or SYN-ACK to what tenantMTU
// holds, less f's own tags, and reports whether it changed f. A checksum that is
// complete stays right; one that the sender left to be made is not touched.
//
// f must be parsed. Hot path: no allocation.
func ClampMSS(f *pkt.Frame, tenantMTU int) bool {
	if f.IPProto != wire.ProtoTCP || f.L4Off == 0 {
		return false
	}
	return wire.ClampMSS(f, tenantMTU-tagBytes(f))
}
