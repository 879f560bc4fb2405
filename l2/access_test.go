package l2_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

const (
	c8100 = 0x8100
	s88a8 = 0x88a8
)

// tag is TPID and TCI in one.
type tag uint32

func ctag(vid int) tag { return tag(c8100<<16 | vid) }
func stag(vid int) tag { return tag(s88a8<<16 | vid) }

// frame builds DA SA tags type payload, n bytes of payload.
func frame(dst, src table.MAC, n int, tags ...tag) []byte {
	b := make([]byte, 12, 14+4*len(tags)+n)
	dst.Put(b)
	src.Put(b[6:])
	for _, t := range tags {
		b = binary.BigEndian.AppendUint32(b, uint32(t))
	}
	b = append(b, 0x08, 0x00)
	for i := range n {
		b = append(b, byte(i))
	}
	return b
}

// tagged returns a frame whose first `outside` tags the device took off.
func tagged(outside int, tags ...tag) *pkt.Frame {
	f := &pkt.Frame{}
	f.Reset(frame(mac(1), mac(2), 46, tags[outside:]...))
	for i := outside - 1; i >= 0; i-- {
		f.PushTag(pkt.Tag{TPID: uint16(tags[i] >> 16), TCI: uint16(tags[i])})
	}
	return f
}

// left returns the tags that f still has, wherever they are.
func left(f *pkt.Frame) []tag {
	var ts []tag
	for _, t := range f.Tags[:f.NumTags] {
		ts = append(ts, tag(uint32(t.TPID)<<16|uint32(t.TCI)))
	}
	for b := f.Head[12:]; len(b) >= 4; b = b[4:] {
		v := binary.BigEndian.Uint32(b)
		if v>>16 != c8100 && v>>16 != s88a8 {
			break
		}
		ts = append(ts, tag(v))
	}
	return ts
}

func equalTags(a, b []tag) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func access(t testing.TB, acs ...*l2.AC) *l2.Access {
	t.Helper()
	a, err := l2.NewAccess(acs)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestClassify tries every division of the tags between device and bytes.
func TestClassify(t *testing.T) {
	trunk := []*l2.AC{
		{ID: 1, Match: l2.Match{Kind: l2.MatchUntagged}},
		{ID: 2, Match: l2.Match{Kind: l2.MatchVLAN, VLAN: 100}},
		{ID: 3, Match: l2.Match{Kind: l2.MatchVLAN, VLAN: 101}, Tunnel: true},
		{ID: 4, Match: l2.Match{Kind: l2.MatchQinQ, VLAN: 200, Inner: 5}},
		{ID: 5, Match: l2.Match{Kind: l2.MatchQinQ, VLAN: 200, Inner: 6}, Tunnel: true},
		{ID: 6, Match: l2.Match{Kind: l2.MatchQinQ, VLAN: 100, Inner: 7}},
		{ID: 7, Match: l2.Match{Kind: l2.MatchVLAN, VLAN: 300, TPID: s88a8}},
	}
	only := func(m l2.MatchKind, tunnel bool) []*l2.AC {
		return []*l2.AC{{ID: 9, Match: l2.Match{Kind: m}, Tunnel: tunnel}}
	}
	for _, tt := range []struct {
		name string
		acs  []*l2.AC
		tags []tag
		want table.ACID
		left []tag
		r    counter.Reason
	}{
		{"untagged", trunk, nil, 1, nil, 0},
		{"priority tag", trunk, []tag{ctag(0x6000)}, 1, nil, 0},
		{"priority and another", trunk, []tag{ctag(0), ctag(100)}, 0, nil, counter.VLANNotAllowed},
		{"VLAN", trunk, []tag{ctag(100)}, 2, nil, 0},
		{"VLAN with priority bits", trunk, []tag{ctag(0xe000 | 100)}, 2, nil, 0},
		{"VLAN by S-tag", trunk, []tag{stag(100)}, 2, nil, 0},
		{"VLAN with TPID, right", trunk, []tag{stag(300)}, 7, nil, 0},
		{"VLAN with TPID, wrong", trunk, []tag{ctag(300)}, 0, nil, counter.VLANNotAllowed},
		{"VLAN unknown", trunk, []tag{ctag(102)}, 0, nil, counter.VLANNotAllowed},
		{"VLAN with tenant tag refused", trunk, []tag{ctag(100), ctag(8)}, 0, nil, counter.VLANNotAllowed},
		{"VLAN with tenant tag tunnelled", trunk, []tag{ctag(101), ctag(8)}, 3, []tag{ctag(8)}, 0},
		{"VLAN with two tenant tags tunnelled", trunk, []tag{ctag(101), ctag(8), ctag(9)}, 3, []tag{ctag(8), ctag(9)}, 0},
		{"QinQ", trunk, []tag{stag(200), ctag(5)}, 4, nil, 0},
		{"QinQ by two C-tags", trunk, []tag{ctag(200), ctag(5)}, 4, nil, 0},
		{"QinQ beside a VLAN", trunk, []tag{ctag(100), ctag(7)}, 6, nil, 0},
		{"QinQ, inner unknown", trunk, []tag{stag(200), ctag(7)}, 0, nil, counter.VLANNotAllowed},
		{"QinQ, inner missing", trunk, []tag{stag(200)}, 0, nil, counter.VLANNotAllowed},
		{"QinQ, third tag refused", trunk, []tag{stag(200), ctag(5), ctag(1)}, 0, nil, counter.TagStackTooDeep},
		{"QinQ, third tag tunnelled", trunk, []tag{stag(200), ctag(6), ctag(1)}, 5, []tag{ctag(1)}, 0},

		{"access only, tagged", only(l2.MatchUntagged, false), []tag{ctag(5)}, 0, nil, counter.VLANNotAllowed},
		{"access tunnel", only(l2.MatchUntagged, true), []tag{ctag(5), ctag(6)}, 9, []tag{ctag(5), ctag(6)}, 0},
		{"access tunnel, priority and another", only(l2.MatchUntagged, true), []tag{ctag(0), ctag(6)}, 9, []tag{ctag(6)}, 0},
		{"all, untagged", only(l2.MatchAll, false), nil, 9, nil, 0},
		{"all, priority tag stays", only(l2.MatchAll, false), []tag{ctag(0)}, 9, []tag{ctag(0)}, 0},
		{"all, three tags", only(l2.MatchAll, false), []tag{stag(1), ctag(2), ctag(3)}, 9, []tag{stag(1), ctag(2), ctag(3)}, 0},
		{"nothing", nil, nil, 0, nil, counter.VLANNotAllowed},
	} {
		for outside := 0; outside <= min(len(tt.tags), pkt.MaxTags); outside++ {
			t.Run(tt.name, func(t *testing.T) {
				f := tagged(outside, tt.tags...)
				f.Offload = pkt.Offload{NeedsCsum: true, CsumStart: uint16(len(f.Head) - 20), CsumOff: 16}
				id, r := access(t, tt.acs...).Classify(f)
				if id != tt.want || r != tt.r {
					t.Fatalf("%d tags outside: Classify = %d, %v, want %d, %v", outside, id, r, tt.want, tt.r)
				}
				if r != counter.None {
					if !equalTags(left(f), tt.tags) {
						t.Errorf("a refused frame was changed: %x", left(f))
					}
					return
				}
				if !equalTags(left(f), tt.left) {
					t.Errorf("tags left %x, want %x", left(f), tt.left)
				}
				if f.Len != len(f.Head) || int(f.Offload.CsumStart) != len(f.Head)-20 {
					t.Errorf("Len %d of %d, CsumStart %d", f.Len, len(f.Head), f.Offload.CsumStart)
				}
				// Whatever is left can be put back into the bytes.
				if n := l2.InlineTags(make([]byte, 200), f); n == 0 || f.NumTags != 0 {
					t.Fatalf("InlineTags = %d", n)
				}
				if want := frame(mac(1), mac(2), 46, tt.left...); !bytes.Equal(f.Head, want) || f.Len != len(want) {
					t.Errorf("inline %x\n  want %x", f.Head, want)
				}
			})
		}
	}
}

func TestClassifyBroken(t *testing.T) {
	a := access(t, &l2.AC{ID: 1, Match: l2.Match{Kind: l2.MatchVLAN, VLAN: 5}})
	for _, tt := range []struct {
		name string
		f    *pkt.Frame
		want counter.Reason
	}{
		{"short", &pkt.Frame{Head: make([]byte, 13)}, counter.FrameTooShort},
		{"tag cut off", &pkt.Frame{Head: frame(mac(1), mac(2), 0, ctag(5))[:16]}, counter.FrameTooShort},
		{"checksum in the tag", &pkt.Frame{
			Head: frame(mac(1), mac(2), 50, ctag(5)), Offload: pkt.Offload{NeedsCsum: true, CsumStart: 14},
		}, counter.BadOffload},
	} {
		if _, r := a.Classify(tt.f); r != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, r, tt.want)
		}
	}
}

func TestNewAccessRefuses(t *testing.T) {
	vlan := func(v, i int, k l2.MatchKind) *l2.AC {
		return &l2.AC{ID: 1, Match: l2.Match{Kind: k, VLAN: uint16(v), Inner: uint16(i)}}
	}
	for name, acs := range map[string][]*l2.AC{
		"two untagged": {{ID: 1}, {ID: 2}},
		"two all":      {{Match: l2.Match{Kind: l2.MatchAll}}, {Match: l2.Match{Kind: l2.MatchAll}}},
		"one VLAN":     {vlan(5, 0, l2.MatchVLAN), vlan(5, 0, l2.MatchVLAN)},
		"one QinQ":     {vlan(5, 6, l2.MatchQinQ), vlan(5, 6, l2.MatchQinQ)},
		"VID 0":        {vlan(0, 0, l2.MatchVLAN)},
		"VID 4095":     {vlan(4095, 0, l2.MatchVLAN)},
		"inner 0":      {vlan(5, 0, l2.MatchQinQ)},
		"inner 4095":   {vlan(5, 4095, l2.MatchQinQ)},
		"TPID":         {{Match: l2.Match{TPID: 0x9100}}},
		"kind":         {{Match: l2.Match{Kind: 9}}},
	} {
		if _, err := l2.NewAccess(acs); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestEgress(t *testing.T) {
	for _, tt := range []struct {
		name string
		ac   l2.AC
		had  []tag
		want []tag
		r    counter.Reason
	}{
		{"untagged", l2.AC{}, nil, nil, 0},
		{"all", l2.AC{Match: l2.Match{Kind: l2.MatchAll}}, []tag{ctag(3)}, []tag{ctag(3)}, 0},
		{"VLAN", l2.AC{Match: l2.Match{Kind: l2.MatchVLAN, VLAN: 100}, PCP: 5}, nil, []tag{ctag(0xa000 | 100)}, 0},
		{"VLAN over a tag", l2.AC{Match: l2.Match{Kind: l2.MatchVLAN, VLAN: 100}}, []tag{ctag(3)}, []tag{ctag(100), ctag(3)}, 0},
		{"VLAN over two", l2.AC{Match: l2.Match{Kind: l2.MatchVLAN, VLAN: 100}}, []tag{ctag(3), ctag(4)}, []tag{ctag(3), ctag(4)}, counter.TagStackTooDeep},
		{"QinQ", l2.AC{Match: l2.Match{Kind: l2.MatchQinQ, VLAN: 200, Inner: 5}}, nil, []tag{stag(200), ctag(5)}, 0},
		{"QinQ, TPID", l2.AC{Match: l2.Match{Kind: l2.MatchQinQ, VLAN: 200, Inner: 5, TPID: c8100}}, nil, []tag{ctag(200), ctag(5)}, 0},
		{"QinQ over a tag", l2.AC{Match: l2.Match{Kind: l2.MatchQinQ, VLAN: 200, Inner: 5}}, []tag{ctag(3)}, []tag{ctag(3)}, counter.TagStackTooDeep},
	} {
		f := tagged(len(tt.had), tt.had...)
		if r := tt.ac.Egress(f); r != tt.r || !equalTags(left(f), tt.want) {
			t.Errorf("%s: %v, tags %x, want %v, %x", tt.name, r, left(f), tt.r, tt.want)
		}
	}
}

func TestInlineTagsTooShort(t *testing.T) {
	f := tagged(2, stag(1), ctag(2))
	if n := l2.InlineTags(make([]byte, len(f.Head)+7), f); n != 0 || f.NumTags != 2 {
		t.Errorf("InlineTags = %d, tags %d", n, f.NumTags)
	}
}

// FuzzClassify: no panic, a refused frame is unchanged, and what a circuit took
// off its Egress puts back: the frame that leaves is the frame that came, but for
// priorities and TPIDs.
func FuzzClassify(f *testing.F) {
	f.Add(frame(mac(1), mac(2), 46), uint8(0), false)
	f.Add(frame(mac(1), mac(2), 46, ctag(100)), uint8(1), false)
	f.Add(frame(mac(1), mac(2), 46, stag(200), ctag(5), ctag(6)), uint8(2), true)
	f.Add(frame(mac(1), mac(2), 0, ctag(0), ctag(1)), uint8(1), true)
	f.Fuzz(func(t *testing.T, b []byte, outside uint8, tunnel bool) {
		if len(b) > 2000 {
			return
		}
		acs := []*l2.AC{
			{ID: 1, Tunnel: tunnel},
			{ID: 2, Match: l2.Match{Kind: l2.MatchVLAN, VLAN: 100}, Tunnel: tunnel},
			{ID: 3, Match: l2.Match{Kind: l2.MatchQinQ, VLAN: 200, Inner: 5}, Tunnel: tunnel},
			{ID: 4, Match: l2.Match{Kind: l2.MatchQinQ, VLAN: 100, Inner: 5}},
		}
		if tunnel {
			acs = append(acs, &l2.AC{ID: 5, Match: l2.Match{Kind: l2.MatchAll}})
		}
		fr := &pkt.Frame{}
		fr.Reset(bytes.Clone(b))
		for range outside % 3 {
			fr.PushTag(pkt.Tag{TPID: c8100, TCI: 5})
		}
		before := *fr
		var was []tag // Classify moves the bytes that before shares
		if len(b) >= 14 {
			was = left(&before)
		}
		id, r := access(t, acs...).Classify(fr)
		if r != counter.None {
			if !bytes.Equal(fr.Head, b) || fr.NumTags != before.NumTags {
				t.Fatal("a refused frame was changed")
			}
			return
		}
		ac := acs[id-1]
		if l2.InlineTags(make([]byte, len(b)+8), fr) == 0 {
			t.Fatal("InlineTags refused")
		}
		if r := ac.Egress(fr); r != counter.None {
			t.Fatalf("Egress: %v", r)
		}
		is := left(fr)
		if ac.Match.Kind == l2.MatchUntagged && len(was) > 0 && was[0]&0xfff == 0 {
			was = was[1:]
		}
		if len(is) != len(was) {
			t.Fatalf("came with %x, left with %x", was, is)
		}
		for i := range is {
			if is[i]&0xfff != was[i]&0xfff {
				t.Fatalf("came with %x, left with %x", was, is)
			}
		}
	})
}

func BenchmarkClassify(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	acs := []*l2.AC{{ID: 1}}
	for v := 1; v <= 4000; v++ {
		acs = append(acs, &l2.AC{ID: table.ACID(v + 1), Match: l2.Match{Kind: l2.MatchVLAN, VLAN: uint16(v)}})
	}
	a := access(b, acs...)
	for _, n := range []int{0, 1} {
		b.Run([]string{"untagged", "vlan by device"}[n], func(b *testing.B) {
			f := tagged(0)
			b.ReportAllocs()
			for b.Loop() {
				if n == 1 {
					f.PushTag(pkt.Tag{TPID: c8100, TCI: uint16(1 + rng.IntN(4000))})
				}
				if _, r := a.Classify(f); r != counter.None {
					b.Fatal(r)
				}
			}
		})
	}
}
