package tcpmd5_test

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/fabric/tcpmd5"
)

// packet returns an IP packet with a TCP segment, padded options and right checksums.
func packet(v6 bool, flags byte, options, payload string) []byte {
	for len(options)%4 != 0 {
		options += "\x01"
	}
	tcp := make([]byte, 20)
	binary.BigEndian.PutUint16(tcp, 179)
	binary.BigEndian.PutUint16(tcp[2:], 40000)
	binary.BigEndian.PutUint32(tcp[4:], 0x01020304)
	tcp[12], tcp[13] = byte(20+len(options))/4<<4, flags
	binary.BigEndian.PutUint16(tcp[14:], 5000)
	tcp = append(append(tcp, options...), payload...)
	var p []byte
	if v6 {
		p = make([]byte, 40, 40+len(tcp))
		wire.IPv6(p).Put(&wire.IPv6Fields{PayloadLen: len(tcp), NextHeader: 6, HopLimit: 64})
		copy(p[8:], "\xfd\x00sixteen bytes.")
		copy(p[24:], "\xfd\x00another such .")
		binary.BigEndian.PutUint16(tcp[16:], ^wire.Fold(wire.Sum(tcp, wire.IPv6(p).Pseudo(6, len(tcp)))))
	} else {
		p = make([]byte, 20, 20+len(tcp))
		wire.IPv4(p).Put(&wire.IPv4Fields{TotalLen: 20 + len(tcp), TTL: 64, Proto: 6, Src: 0x0a090001, Dst: 0x0a090002})
		binary.BigEndian.PutUint16(tcp[16:], ^wire.Fold(wire.Sum(tcp, wire.IPv4(p).Pseudo(6, len(tcp)))))
	}
	return append(p, tcp...)
}

// sign signs a copy.
func sign(p []byte, key string) ([]byte, bool) {
	b := append(slices.Clone(p), make([]byte, tcpmd5.Overhead)...)
	n, ok := tcpmd5.Sign(b, len(p), []byte(key))
	return b[:n], ok
}

// valid reports whether lengths and checksums of a packet are right.
func valid(p []byte) bool {
	if p[0]>>4 == 6 {
		h := wire.IPv6(p)
		return 40+h.PayloadLen() == len(p) && wire.Fold(wire.Sum(p[40:], h.Pseudo(6, len(p)-40))) == 0xffff
	}
	h := wire.IPv4(p)
	return h.TotalLen() == len(p) && h.HeaderSum() == 0xffff && wire.Fold(wire.Sum(p[20:], h.Pseudo(6, len(p)-20))) == 0xffff
}

const (
	mss        = "\x02\x04\x05\xb4"
	sackOK     = "\x04\x02"
	timestamps = "\x08\x0a\x11\x22\x33\x44\x55\x66\x77\x88"
	scale      = "\x03\x03\x07"
	sack       = "\x05\x0a\x00\x00\x00\x01\x00\x00\x00\x02"
)

func TestSign(t *testing.T) {
	for _, tt := range []struct {
		name          string
		v6            bool
		flags         byte
		options, want string // want: the options before the signature
		payload       string
	}{
		{"data", false, 0x18, "", "\x01\x01", "hello"},
		{"data of IPv6", true, 0x18, timestamps, timestamps, "hello!"},
		{"SYN", false, 0x02, mss + sackOK + timestamps + "\x01" + scale, "\x01" + mss + timestamps + scale, ""},
		{"SYN of IPv6", true, 0x02, mss + sackOK, "\x01\x01" + mss, ""},
		{"selective acknowledgment", false, 0x10, timestamps + sack, timestamps, ""},
		{"signed already", false, 0x18, mss + "\x13\x12sixteen bytes...", "\x01\x01" + mss, "x"},
		{"end of the list", false, 0x10, mss + "\x00\x08\x0a\x01", "\x01\x01" + mss, "x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := packet(tt.v6, tt.flags, tt.options, tt.payload)
			got, ok := sign(p, "secret")
			if !ok || !valid(got) {
				t.Fatalf("ok %v, % x", ok, got)
			}
			at := 20
			if tt.v6 {
				at = 40
			}
			tcp := got[at:]
			end := int(tcp[12]>>4) * 4
			options := string(tcp[20:end])
			if string(tcp[end:]) != tt.payload || options[:len(options)-16] != tt.want+"\x13\x12" {
				t.Fatalf("options % x, payload %q", options, tcp[end:])
			}
			// RFC 2385 section 2.0, by hand.
			h := md5.New()
			n := byte(len(tcp))
			if tt.v6 {
				h.Write(got[8:40])
				h.Write([]byte{0, 0, 0, n, 0, 0, 0, 6})
			} else {
				h.Write(got[12:20])
				h.Write([]byte{0, 6, 0, n})
			}
			header := slices.Clone(tcp[:20])
			header[16], header[17] = 0, 0
			h.Write(header)
			h.Write([]byte(tt.payload + "secret"))
			if want := h.Sum(nil); options[len(options)-16:] != string(want) {
				t.Errorf("signature % x, want % x", options[len(options)-16:], want)
			}
			if !tcpmd5.Signed(got) || !tcpmd5.Verify(got, []byte("secret")) || tcpmd5.Verify(got, []byte("Secret")) {
				t.Error("its signature is not taken, or another is")
			}
		})
	}
}

// Each byte that is signed matters; what is not signed are options, the checksum and,
// of the IP header, all but addresses.
func TestVerify(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		p, _ := sign(packet(v6, 0x18, timestamps, "some routes"), "secret")
		tcp := 20
		if v6 {
			tcp = 40
		}
		signature := tcp + 20 + len(timestamps) // without padding: 10 and 18 bytes
		for i := range p {
			q := slices.Clone(p)
			q[i] ^= 1
			free := i >= tcp+20 && i < signature || i == tcp+16 || i == tcp+17 // options, checksum
			if v6 {
				free = free || i < 4 || i == 7
			} else {
				free = free || i == 1 || i == 4 || i == 5 || i == 8 || i == 10 || i == 11
			}
			if got := tcpmd5.Verify(q, []byte("secret")); got && !free {
				t.Errorf("v6 %v: octet %d changed, and it was taken", v6, i)
			}
		}
	}
	for name, p := range map[string][]byte{
		"none":      packet(false, 0x18, "", "x"),
		"short":     packet(false, 0x18, "\x13\x04\x00\x00", "x"),
		"no packet": {},
		"UDP": func() []byte {
			p := packet(false, 0x18, "", "x")
			p[9] = 17
			return p
		}(),
	} {
		if tcpmd5.Signed(p) || tcpmd5.Verify(p, []byte("secret")) {
			t.Errorf("%s: it was taken", name)
		}
		if _, ok := sign(p, "k"); ok != (name == "none" || name == "short") {
			t.Errorf("%s: signed %v", name, ok)
		}
	}
}

func TestSignRoom(t *testing.T) {
	p := packet(false, 0x18, "", "x")
	b := append(slices.Clone(p), make([]byte, tcpmd5.Overhead-1)...)
	if n, ok := tcpmd5.Sign(b, len(p), []byte("k")); ok || n != len(p) || !bytes.Equal(b[:n], p) {
		t.Errorf("no room: %d %v", n, ok)
	}
	// 24 bytes of options that have to stay.
	p = packet(false, 0x18, "\x22\x18"+string(make([]byte, 22)), "x")
	if got, ok := sign(p, "k"); ok || !bytes.Equal(got, p) {
		t.Error("options that do not fit: signed")
	}
}

func TestAdmit(t *testing.T) {
	for _, tt := range []struct {
		name          string
		v6            bool
		flags         byte
		options, want string
		mtu           int
	}{
		{"SYN", false, 0x02, mss + sackOK + timestamps, "\x02\x04\x04\xc4" + "\x01\x01" + timestamps, 1280},
		{"SYN of IPv6", true, 0x02, mss + sackOK, "\x02\x04\x04\xb0\x01\x01\x01\x01", 1280},
		{"a smaller one", false, 0x12, "\x02\x04\x02\x18", "\x02\x04\x02\x04", 1280},
		{"absurd", false, 0x02, "\x02\x04\x00\x05", "\x02\x04\x00\x01", 1280},
		{"no SYN", false, 0x10, mss, mss, 1280},
		{"broken", false, 0x02, "\x02\x05\x05\xb4", "\x02\x05\x05\xb4", 1280},
	} {
		p := packet(tt.v6, tt.flags, tt.options, "")
		tcpmd5.Admit(p, tt.mtu)
		if at := len(p) - len(tt.want); !valid(p) || string(p[at:]) != tt.want {
			t.Errorf("%s: options % x, want % x; valid %v", tt.name, p[at:], tt.want, valid(p))
		}
	}
	p := packet(false, 0x02, mss, "")
	p[36] ^= 1
	q := slices.Clone(p)
	if tcpmd5.Admit(p, 1280); !bytes.Equal(p, q) {
		t.Error("a segment with a wrong checksum was changed")
	}
}

// FuzzSign: no packet makes it read beyond, or sign what it then refuses.
func FuzzSign(f *testing.F) {
	f.Add(packet(false, 0x18, timestamps, "x"), "key")
	f.Add(packet(true, 0x02, mss+sackOK, ""), "key")
	f.Add(packet(false, 0x18, "\x13\x12sixteen bytes...", "x"), "key")
	f.Fuzz(func(t *testing.T, p []byte, key string) {
		tcpmd5.Admit(slices.Clone(p), 1280)
		if got, ok := sign(p, key); ok && !tcpmd5.Verify(got, []byte(key)) {
			t.Errorf("% x signed is % x", p, got)
		}
	})
}
