package pkt

// GSO types as the virtio-net header names them (virtio 1.2 section 5.1.6).
const (
	GSONone  uint8 = 0 // one frame, not larger than the MTU
	GSOTCPv4 uint8 = 1
	GSOTCPv6 uint8 = 4
	GSOUDP   uint8 = 5 // UDP_L4: equal-sized datagrams of one flow
)

// Offload is the part of a virtio-net header that the engine keeps: what the
// kernel, or the merger, left undone in a frame. The zero value is a complete
// plain frame.
type Offload struct {
	GSOType   uint8  // GSONone, GSOTCPv4, GSOTCPv6 or GSOUDP; the ECN bit is masked off
	NeedsCsum bool   // the L4 checksum field holds the pseudo-header sum only
	ECN       bool   // the super-frame's first segment carries TCP CWR
	GSOSize   uint16 // L4 payload bytes in each segment but the last; 0 iff GSONone
	CsumStart uint16 // bytes from the start of Head to the L4 header; valid iff NeedsCsum
	CsumOff   uint16 // bytes from CsumStart to the checksum field; valid iff NeedsCsum
}

// Tag is one 802.1Q or 802.1ad tag that was taken off a frame.
type Tag struct {
	TPID uint16 // 0x8100 or 0x88a8, host order
	TCI  uint16 // PCP 3 bits, DEI 1 bit, VID 12 bits, host order
}

// VID returns the VLAN identifier, 0 to 4095.
func (t Tag) VID() uint16 { return t.TCI & 0x0fff }

// MaxTags is the deepest stack of tags that the engine takes off a frame.
const MaxTags = 2

// Frame is one tenant Ethernet frame or GSO super-frame.
//
// Head starts at the destination MAC. In a frame from a port Head holds
// everything and Frags is empty; in a frame put together by the merger Head is
// the whole first segment and Frags are the L4 payloads of the others, in order.
// Tags that were taken off are in Tags, outermost first, and not in Head.
//
// The zero value is an empty frame. Worker only.
type Frame struct {
	Head  []byte
	Frags [][]byte
	Len   int // len(Head) plus the lengths of Frags, bytes

	Offload Offload
	Tags    [MaxTags]Tag
	NumTags uint8

	// Set by wire.Parse. Offsets are bytes from the start of Head; 0 means
	// absent or not understood.
	L3Off     uint16
	L4Off     uint16
	EtherType uint16 // of the frame without its tags, host order
	IPProto   uint8  // 0 when not IP or when a fragment beyond the first
	Parsed    bool
	Hash      uint32 // of the flow: equal for every frame of one flow, either way of splitting

	// Where the frame is on its way. Zero is "not known yet".
	InPort uint32 // table.PortID
	InAC   uint32 // table.ACID, the attachment circuit it came in by
	VNI    uint32 // of the bridge domain, host order
	VTEP   uint32 // table.VTEPID of the leaf it came from; 0 for a local frame

	TraceID uint32 // not 0: the frame is sampled for tracing
}

// Reset makes f an untagged, unparsed frame over head.
//
// Hot path: no allocation.
func (f *Frame) Reset(head []byte) {
	*f = Frame{Head: head, Len: len(head)}
}

// PushTag puts t in front of the tags taken off so far. It reports false, and
// changes nothing, when f already has MaxTags.
func (f *Frame) PushTag(t Tag) bool {
	if f.NumTags >= MaxTags {
		return false
	}
	copy(f.Tags[1:], f.Tags[:f.NumTags])
	f.Tags[0] = t
	f.NumTags++
	return true
}

// PopTag takes the outermost tag away and returns it; ok is false when there
// is none.
func (f *Frame) PopTag() (t Tag, ok bool) {
	if f.NumTags == 0 {
		return Tag{}, false
	}
	t = f.Tags[0]
	copy(f.Tags[:], f.Tags[1:f.NumTags])
	f.NumTags--
	f.Tags[f.NumTags] = Tag{}
	return t, true
}

// Segments returns how many frames the wire will carry for f: 1 for a plain
// frame, the number of GSO segments for a parsed super-frame.
// hdr is the bytes of Head before the L4 payload.
func (f *Frame) Segments(hdr int) int {
	if f.Offload.GSOType == GSONone || f.Offload.GSOSize == 0 {
		return 1
	}
	n := (f.Len - hdr + int(f.Offload.GSOSize) - 1) / int(f.Offload.GSOSize)
	return max(n, 1)
}

// CopyFrom makes f another view of src: the same bytes, the same Frags, and tags
// and offload of its own.
//
// Hot path: no allocation.
func (f *Frame) CopyFrom(src *Frame) { *f = *src }
