package wireguard

import (
	"net/netip"

	"github.com/ztos/ztos/crypto/aead"
	"github.com/ztos/ztos/crypto/replay"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/wireguard/noise"
)

// Batch is one worker's scratch for sealing and opening many messages in one
// call of the cipher. It grows to the largest run and is then reused. The zero
// value is ready. Worker only.
type Batch struct {
	ops []aead.Op
	res []Opened
	at  []int // by op: which of res it belongs to
}

// Opened is what became of one datagram of a run.
type Opened struct {
	Session *Session       // that the message belongs to; nil when it is not a data message or unknown
	Msg     []byte         // the datagram
	Plain   []byte         // the packet, padded; empty for a keepalive; valid iff Type == TypeData and Reason == None
	Type    Type           // of the message; handshake messages are for Node.HandleMessage
	Reason  counter.Reason // why it was dropped; None for opened data and for handshake messages
}

// usualRun is more packets than a run usually has: the kernel segments into and
// gathers up to 128.
const usualRun = 128

// grow returns s with length n, its old content kept where it fits. The first
// call makes room for usualRun, so that a batch need not grow bit by bit.
func grow[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	return append(s[:cap(s)], make([]T, max(n, usualRun)-cap(s))...)[:n]
}

// SealRun seals n packets in one call: packet i lies at buf[i*slotLen:] as Seal
// wants it, is plainLen bytes long, the last one lastLen, and gets counter
// first+i. It returns how many bytes from the start of buf the messages span.
// When slotLen is SealedLen(plainLen, maxPlain) they lie back to back, ready for
// one UDP_SEGMENT send with segments of slotLen.
//
// Hot path: no allocation once b has grown (TestNoAllocs). Panics when buf or
// slotLen is too short.
func (s *Session) SealRun(b *Batch, buf []byte, slotLen, n int, first uint64, plainLen, lastLen, maxPlain int) int {
	if n <= 0 {
		return 0
	}
	b.ops = grow(b.ops, n)
	size, padded := 0, PaddedLen(plainLen, maxPlain)
	if n > 1 && slotLen < padded+Overhead {
		panic("wireguard: slots overlap")
	}
	for i := range n {
		if i == n-1 {
			plainLen, padded = lastLen, PaddedLen(lastLen, maxPlain)
		}
		size = padded + Overhead
		slot := buf[i*slotLen:][:size:size]
		frame(slot, first+uint64(i), plainLen, padded)
		op := &b.ops[i]
		op.Dst, op.Nonce, op.In = slot[HeaderSize:], slot[4:HeaderSize], slot[HeaderSize:HeaderSize+padded]
		op.AAD = nil
	}
	s.send.SealBatch(b.ops)
	for i := range n {
		if !b.ops[i].OK {
			panic("wireguard: slot too short") // not reached: slots were cut to size above
		}
		putReceiver(buf[i*slotLen:], s.remote)
	}
	return (n-1)*slotLen + size
}

// OpenRun opens the datagrams that lie back to back in buf, each segSize bytes
// long but the last, which may be shorter: what a receive call with UDP_GRO
// hands over. Sessions are looked up in t, and every datagram has its place in the
// result, in order. The result is borrowed until the next call.
//
// Hot path: no allocation once b has grown (TestNoAllocs).
func (b *Batch) OpenRun(t *IndexTable, now int64, buf []byte, segSize int) []Opened {
	if segSize <= 0 || len(buf) == 0 {
		b.res = b.res[:0]
		return nil
	}
	n := (len(buf) + segSize - 1) / segSize
	b.res, b.ops, b.at = grow(b.res, n), grow(b.ops, n), grow(b.at, n)
	var cur *Session
	k, from := 0, 0 // ops in use; the first that is not opened yet
	for i := range n {
		msg := buf[i*segSize : min((i+1)*segSize, len(buf))]
		o := &b.res[i]
		*o = Opened{Msg: msg, Type: noise.Classify(msg)}
		if o.Type == noise.TypeInvalid {
			o.Reason = counter.WGBadMessage
		}
		if o.Type != noise.TypeData {
			continue
		}
		m := noise.Data(msg)
		if s := cur; s == nil || s.local != m.Receiver() {
			if s = t.Lookup(m.Receiver()); s == nil {
				o.Reason = counter.WGUnknownIndex
				continue
			}
			b.open(cur, from, k)
			cur, from = s, k
		}
		o.Session = cur
		if o.Reason = cur.acceptable(m.Counter(), now); o.Reason != counter.None {
			continue
		}
		end := len(msg) - TagSize
		o.Plain = msg[HeaderSize:end:end]
		putReceiver(msg, 0) // msg[4:16] is the nonce now
		op := &b.ops[k]
		op.Dst, op.Nonce, op.In, op.AAD = o.Plain, msg[4:HeaderSize], msg[HeaderSize:], nil
		b.at[k] = i
		k++
	}
	b.open(cur, from, k)
	return b.res
}

// open opens the ops from up to k, all of session s, and completes their
// results.
func (b *Batch) open(s *Session, from, k int) {
	if from == k {
		return
	}
	s.recv.OpenBatch(b.ops[from:k])
	for j := from; j < k; j++ {
		o := &b.res[b.at[j]]
		putReceiver(o.Msg, s.local)
		switch {
		case !b.ops[j].OK:
			o.Plain, o.Reason = nil, counter.WGAuthFailed
		case s.window.Mark(noise.Data(o.Msg).Counter()) != replay.OK:
			o.Plain, o.Reason = nil, counter.WGReplayed
		}
	}
}

// Report tells the peers what the last OpenRun opened, once for each run of
// messages of one session: Peer.Received. src is where the bundle came from.
//
// Hot path: no allocation unless a peer roamed (TestNoAllocs).
func (b *Batch) Report(now int64, src netip.AddrPort) {
	var s *Session
	var packets, bytes uint64
	var data bool
	for i := range b.res {
		o := &b.res[i]
		if o.Type != noise.TypeData || o.Reason != counter.None {
			continue
		}
		if o.Session != s {
			if s != nil {
				s.peer.Received(now, s, src, packets, bytes, data)
			}
			s, packets, bytes, data = o.Session, 0, 0, false
		}
		packets++
		bytes += uint64(len(o.Msg))
		data = data || len(o.Plain) > 0
	}
	if s != nil {
		s.peer.Received(now, s, src, packets, bytes, data)
	}
}
