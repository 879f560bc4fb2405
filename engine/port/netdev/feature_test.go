package netdev

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// reply lays out an answer of the family with the given attributes.
func reply(typ uint16, payload []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(nlHdr+len(payload)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, make([]byte, 10)...)
	return append(b, payload...)
}

func TestReply(t *testing.T) {
	attrs := append(attr(1, []byte{1, 0, 0, 0}), attr(3, []byte{5, 0, 0, 0, 0, 0, 0, 0})...)
	got, err := genlReply(reply(0x20, append(make([]byte, genlHdr), attrs...)))
	if err != nil || !bytes.Equal(got, attrs) {
		t.Fatalf("%x, %v", got, err)
	}
	if v := findAttr(got, 3); len(v) != 8 || v[0] != 5 {
		t.Errorf("attribute 3 = %x", v)
	}
	if v := findAttr(got, 2); v != nil {
		t.Errorf("attribute 2 = %x", v)
	}
	enoent := int32(-int32(unix.ENOENT))
	if _, err := genlReply(reply(unix.NLMSG_ERROR, binary.NativeEndian.AppendUint32(nil, uint32(enoent)))); !errors.Is(err, unix.ENOENT) {
		t.Errorf("error message: %v", err)
	}
	for _, b := range [][]byte{nil, reply(0x20, nil), reply(0x20, make([]byte, 4))[:18], reply(unix.NLMSG_ERROR, make([]byte, 4))} {
		if _, err := genlReply(b); err == nil {
			t.Errorf("%x: no error", b)
		}
	}
	if a := attr(2, []byte("netdev\x00")); len(a) != 12 || a[0] != 11 {
		t.Errorf("attr = %x", a)
	}
}

// FuzzReply: whatever arrives, nothing is read behind it.
func FuzzReply(f *testing.F) {
	f.Add(reply(0x20, append(make([]byte, genlHdr), attr(3, make([]byte, 8))...)), uint16(3))
	f.Add(reply(unix.NLMSG_ERROR, make([]byte, 4)), uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, typ uint16) {
		attrs, err := genlReply(b)
		if err != nil {
			return
		}
		if v := findAttr(attrs, typ); len(v) > len(attrs) {
			t.Errorf("%d bytes of %d", len(v), len(attrs))
		}
		word(findAttr(attrs, typ))
	})
}
