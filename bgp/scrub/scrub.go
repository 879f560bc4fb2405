package scrub

import "net/netip"

// Counts says what a Scrubber has taken out.
type Counts struct {
	Total     uint64      // sum of the others
	Unknown   [256]uint64 // EVPN routes by type, of types that are not known
	Malformed uint64      // EVPN routes of known types, wrong in themselves
}

// Add adds o to c.
func (c *Counts) Add(o *Counts) {
	c.Total += o.Total
	c.Malformed += o.Malformed
	for typ, n := range o.Unknown {
		c.Unknown[typ] += n
	}
}

// Scrubber rewrites the messages of one direction of a connection.
type Scrubber struct {
	Counts Counts
	// Self is the session's own address; Relay the one that GoBGP takes for it.
	// Out only. No next hop is changed unless both are valid.
	Self, Relay netip.Addr

	buf  []byte // scratch: attributes
	buf2 []byte // scratch: value of one attribute
}

// In appends msg, one whole message from the peer, to out as GoBGP shall see it.
// Messages that need no change are copied; what cannot be taken apart is copied
// too, for GoBGP to answer.
//
// An UPDATE of which nothing remains becomes a KEEPALIVE: an empty one would say
// End-of-RIB (RFC 4724 section 2), and none would let the hold timer run.
func (s *Scrubber) In(out, msg []byte) []byte {
	return s.message(out, msg, s.inAttr)
}

// Out appends msg, one whole message from GoBGP, to out as the peer shall see it.
func (s *Scrubber) Out(out, msg []byte) []byte {
	return s.message(out, msg, s.outAttr)
}

// change says what becomes of an attribute.
type change uint8

const (
	same    change = iota // as it was
	changed               // as in the returned value
	gone                  // left out
)

// message rewrites the attributes of an UPDATE with fn. fn's value may lie in
// s.buf2.
func (s *Scrubber) message(out, msg []byte, fn func(a attr) (change, []byte)) []byte {
	if len(msg) < HeaderLen || Type(msg) != Update {
		return append(out, msg...)
	}
	u, ok := cut(msg[HeaderLen:])
	if !ok {
		return append(out, msg...)
	}
	s.buf = s.buf[:0]
	touched, reach := false, len(u.nlri) > 0 || len(u.withdrawn) > 0
	for rest := u.attrs; len(rest) > 0; {
		var a attr
		if a, rest, ok = nextAttr(rest); !ok {
			return append(out, msg...)
		}
		what, value := fn(a)
		switch what {
		case same:
			s.buf = append(s.buf, a.raw...)
			reach = reach || a.typ == attrMPReach || a.typ == attrMPUnreach
		case changed:
			touched, reach = true, true
			s.buf = appendAttr(s.buf, a.flags, a.typ, value)
		case gone:
			touched = true
		}
	}
	switch {
	case !touched:
		return append(out, msg...)
	case !reach:
		return AppendKeepalive(out)
	}
	n := HeaderLen + 4 + len(u.withdrawn) + len(s.buf) + len(u.nlri)
	if n > len(msg) && n > maxPlain {
		return append(out, msg...) // the peer may not take a longer one
	}
	out = appendHeader(out, Update, n)
	out = append(out, byte(len(u.withdrawn)>>8), byte(len(u.withdrawn)))
	out = append(out, u.withdrawn...)
	out = append(out, byte(len(s.buf)>>8), byte(len(s.buf)))
	out = append(out, s.buf...)
	return append(out, u.nlri...)
}

func (s *Scrubber) inAttr(a attr) (change, []byte) {
	switch a.typ {
	case attrMPReach:
		// AFI 2, SAFI 1, length of next hop 1, next hop, reserved 1, NLRI.
		v := a.value
		if len(v) < 5 || family(v[:3]) != evpnFamily || len(v) < 5+int(v[3]) {
			return same, nil
		}
		return s.routes(v, 5+int(v[3]))
	case attrMPUnreach:
		// AFI 2, SAFI 1, NLRI; without NLRI it says End-of-RIB.
		v := a.value
		if len(v) < 3 || family(v[:3]) != evpnFamily {
			return same, nil
		}
		return s.routes(v, 3)
	case attrExtComm:
		return s.communities(a.value, inType)
	}
	return same, nil
}

// routes sifts the EVPN routes in v, which begin at head.
func (s *Scrubber) routes(v []byte, head int) (change, []byte) {
	if clean(v[head:]) {
		return same, nil
	}
	kept, ok := sift(append(s.buf2[:0], v[:head]...), v[head:], &s.Counts)
	if !ok {
		return same, nil // GoBGP's to answer
	}
	s.buf2 = kept
	if len(kept) == head {
		return gone, nil
	}
	return changed, kept
}

// communities gives the extended communities of a list other types.
func (s *Scrubber) communities(list []byte, fn func(byte) (byte, bool)) (change, []byte) {
	if plain(list) {
		return same, nil
	}
	s.buf2 = retype(s.buf2[:0], list, fn)
	if len(s.buf2) == 0 {
		// An empty attribute is malformed (RFC 7606 section 7.14).
		return gone, nil
	}
	return changed, s.buf2
}

func (s *Scrubber) outAttr(a attr) (change, []byte) {
	switch a.typ {
	case attrExtComm:
		return s.communities(a.value, outType)
	case attrMPReach:
		return s.nextHop(a.value)
	}
	return same, nil
}

// nextHop puts Self in place of Relay. GoBGP sets a next hop of its own in
// route target memberships, whatever the policy says.
func (s *Scrubber) nextHop(v []byte) (change, []byte) {
	if !s.Self.IsValid() || !s.Relay.Is4() || len(v) < 8 || v[3] != 4 {
		return same, nil
	}
	if netip.AddrFrom4([4]byte(v[4:8])) != s.Relay {
		return same, nil
	}
	self := s.Self.Unmap().AsSlice()
	s.buf2 = append(s.buf2[:0], v[:3]...)
	s.buf2 = append(s.buf2, byte(len(self)))
	s.buf2 = append(s.buf2, self...)
	s.buf2 = append(s.buf2, v[8:]...)
	return changed, s.buf2
}
