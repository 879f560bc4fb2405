package pkt_test

import (
	"testing"

	"github.com/ztos/ztos/engine/pkt"
)

func TestTags(t *testing.T) {
	var f pkt.Frame
	a, b := pkt.Tag{TPID: 0x88a8, TCI: 0xe064}, pkt.Tag{TPID: 0x8100, TCI: 5}
	if !f.PushTag(b) || !f.PushTag(a) {
		t.Fatal("PushTag refused with room left")
	}
	if f.PushTag(b) || f.NumTags != 2 {
		t.Fatal("a third tag was taken")
	}
	if f.Tags[0] != a || a.VID() != 100 {
		t.Fatalf("outermost tag %+v (VID %d), want %+v with VID 100", f.Tags[0], a.VID(), a)
	}
	for _, want := range []pkt.Tag{a, b} {
		if got, ok := f.PopTag(); !ok || got != want {
			t.Fatalf("PopTag = %+v, %v; want %+v", got, ok, want)
		}
	}
	if _, ok := f.PopTag(); ok {
		t.Fatal("PopTag found a tag on an untagged frame")
	}
}

func TestCopyFromIsIndependent(t *testing.T) {
	var a, b pkt.Frame
	a.Reset([]byte("head"))
	a.Frags = append(a.Frags, []byte("one"), []byte("two"))
	b.CopyFrom(&a)
	a.Reset(nil)
	a.Frags = append(a.Frags, []byte("other"))
	if len(b.Frags) != 2 || string(b.Frags[0]) != "one" || string(b.Head) != "head" {
		t.Fatalf("the copy changed with its source: %q %q", b.Head, b.Frags)
	}
}

func TestSegments(t *testing.T) {
	for _, tt := range []struct {
		name     string
		len, hdr int
		off      pkt.Offload
		want     int
	}{
		{"plain", 1514, 54, pkt.Offload{}, 1},
		{"exact", 54 + 2*1448, 54, pkt.Offload{GSOType: pkt.GSOTCPv4, GSOSize: 1448}, 2},
		{"rest", 54 + 2*1448 + 1, 54, pkt.Offload{GSOType: pkt.GSOTCPv4, GSOSize: 1448}, 3},
		{"no payload", 54, 54, pkt.Offload{GSOType: pkt.GSOTCPv4, GSOSize: 1448}, 1},
	} {
		f := pkt.Frame{Len: tt.len, Offload: tt.off}
		if got := f.Segments(tt.hdr); got != tt.want {
			t.Errorf("%s: %d segments, want %d", tt.name, got, tt.want)
		}
	}
}

func TestVectorAllocatesNothing(t *testing.T) {
	v := pkt.NewVector(4)
	head := make([]byte, 60)
	if n := testing.AllocsPerRun(100, func() {
		v.Reset()
		for !v.Full() {
			v.Add(head)
		}
	}); n != 0 {
		t.Fatalf("%v allocations per burst, want 0", n)
	}
	if v.Add(head) != nil || len(v.Used()) != 4 {
		t.Fatal("a full vector took a frame")
	}
}
