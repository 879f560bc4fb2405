package dhcp_test

import (
	"bytes"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/l3/dhcp"
)

// FuzzMessage4: no message makes the relay panic or write beyond its room, and what
// it relays comes back from a server that echoes option 82 as the client's own
// options.
func FuzzMessage4(f *testing.F) {
	f.Add(message4(f, nil))
	f.Add(message4(f, func(d *layers.DHCPv4) {
		d.Options = append(d.Options, layers.NewDHCPOption(82, []byte{5, 4, 10, 1, 1, 1}))
	}))
	f.Add(reply4(f, nil))
	f.Fuzz(func(t *testing.T, m []byte) {
		r := relayOf(t, nil)
		dst := make([]byte, len(m)+dhcp.MaxAdded)
		was := bytes.Clone(m)
		n, fault := r.Forward4(dst, m, circuit, room, 1)
		if !bytes.Equal(m, was) {
			t.Fatal("the message itself was changed")
		}
		if fault == dhcp.None {
			if n < 300 || n > room {
				t.Fatalf("%d bytes", n)
			}
			out := dst[:n]
			if d := (&layers.DHCPv4{}); d.DecodeFromBytes(out, gopacket.NilDecodeFeedback) != nil {
				t.Fatalf("what it relays is no DHCP: %x", out)
			}
			// What a server echoes is a client's message all the same.
			if out[0] = 2; bytes.Contains(out[240:], []byte{53, 1, 1}) {
				if _, fault := dhcp.Link4(out, source4); fault != dhcp.WrongType {
					t.Fatalf("a client's message passes for a server's: %v", fault)
				}
			}
		}
		if at, fault := dhcp.Link4(m, source4); fault == dhcp.None && !at.Is4() {
			t.Fatalf("link %v", at)
		}
		back := make([]byte, len(m)+300)
		d, fault := r.Return4(back, m, server4)
		if fault == dhcp.None && (d.Len < 300 || !d.Addr.IsValid() || d.MAC == 0) {
			t.Fatalf("to %+v", d)
		}
		if fault == dhcp.None {
			again := make([]byte, d.Len+300)
			if e, fault := r.Return4(again, back[:d.Len], server4); fault != dhcp.None || e != d || !bytes.Equal(again[:e.Len], back[:d.Len]) {
				t.Fatalf("once more: %v, %+v after %+v", fault, e, d)
			}
		}
	})
}

// FuzzMessage6: no message makes the relay panic or write beyond its room, and what
// it relays is read back as it was.
func FuzzMessage6(f *testing.F) {
	f.Add(message6(1))
	f.Add(relayed6(12, 3, "1", message6(1)))
	f.Add(relayed6(13, 0, "10101/ra1.7", message6(7)))
	f.Fuzz(func(t *testing.T, m []byte) {
		r := relayOf(t, func(c *dhcp.Config) { c.Trusted = true })
		dst := make([]byte, len(m)+dhcp.MaxAdded)
		n, fault := r.Forward6(dst, m, link, clientMAC, circuit, room, 1)
		if fault == dhcp.None {
			if n > room {
				t.Fatalf("%d bytes", n)
			}
			if !bytes.HasSuffix(dst[:n], m) {
				t.Fatalf("%x is not in %x", m, dst[:n])
			}
			// A server that sends it back.
			dst[0] = 13
			vni, fault := dhcp.Link6(dst[:n])
			if fault != dhcp.WrongType {
				t.Fatalf("a client's message passes for a server's: %v, VNI %d", fault, vni)
			}
		}
		dhcp.Link6(m)
		back := make([]byte, len(m))
		d, fault := r.Return6(back, m, server6, 1)
		if fault == dhcp.None && (d.Addr != link || d.MAC != clientMAC || d.Len == 0) {
			t.Fatalf("to %+v", d)
		}
	})
}
