package mem_test

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/ztos/ztos/engine/underlay"
	"github.com/ztos/ztos/engine/underlay/mem"
)

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func open(t *testing.T, s *mem.Switch, cfg mem.Config) *mem.Mux {
	t.Helper()
	m, err := s.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// recv returns what one Recv of queue q gets.
func recv(t *testing.T, m *mem.Mux, q int) []underlay.Bundle {
	t.Helper()
	b := make([]underlay.Bundle, 64)
	n, err := m.Rx(q).Recv(b)
	if (err == nil) != (n > 0) || err != nil && err != underlay.ErrTimeout {
		t.Fatalf("Recv = %d, %v", n, err)
	}
	return b[:n]
}

func TestGroups(t *testing.T) {
	for _, tt := range []struct {
		name  string
		noGRO bool
		hook  mem.Hook
		want  []string // bundles, datagrams separated by |
	}{
		{"whole", false, nil, []string{"aa|bb|cc|d"}},
		{"without GRO", true, nil, []string{"aa", "bb", "cc", "d"}},
		{"one dropped", false, func(d mem.Datagram) []mem.Datagram {
			if d.Data[0] == 'b' {
				return nil
			}
			return []mem.Datagram{d}
		}, []string{"aa|cc|d"}},
		{"one twice", false, func(d mem.Datagram) []mem.Datagram {
			if d.Data[0] == 'd' {
				return []mem.Datagram{d, d}
			}
			return []mem.Datagram{d}
		}, []string{"aa|bb|cc|d", "d"}},
		{"one changed", false, func(d mem.Datagram) []mem.Datagram {
			if d.Data[0] == 'b' {
				d.Data[1] ^= 1
			}
			return []mem.Datagram{d}
		}, []string{"aa|bc|cc|d"}},
		{"one longer", false, func(d mem.Datagram) []mem.Datagram {
			if d.Data[0] == 'b' {
				d.Data = append(d.Data, 'x')
			}
			return []mem.Datagram{d}
		}, []string{"aa", "bbx|cc", "d"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := mem.NewSwitch()
			a := open(t, s, mem.Config{Listen: at("10.0.0.1:1")})
			b := open(t, s, mem.Config{Listen: at("10.0.0.2:2"), DisableGRO: tt.noGRO})
			s.SetHook(tt.hook)
			tx, data := a.NewTx(), []byte("aabbccd")
			tx.Push(underlay.NewEndpoint(at("10.0.0.2:2")), 0, data, 2)
			if sent, failed := tx.Flush(); sent != 4 || failed != 0 {
				t.Errorf("Flush = %d, %d", sent, failed)
			}
			if !bytes.Equal(data, []byte("aabbccd")) {
				t.Error("the sender's bytes were changed")
			}
			var got []string
			for _, x := range recv(t, b, 0) {
				var parts [][]byte
				for d := x.Buf; len(d) > 0; d = d[min(x.SegSize, len(d)):] {
					parts = append(parts, d[:min(x.SegSize, len(d))])
				}
				got = append(got, string(bytes.Join(parts, []byte("|"))))
				if x.Src != at("10.0.0.1:1") {
					t.Errorf("from %v", x.Src)
				}
			}
			if len(got) != len(tt.want) {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			}
			if b.Rx(0).Pending() != 0 {
				t.Error("something is left")
			}
		})
	}
}

func TestPaths(t *testing.T) {
	s := mem.NewSwitch()
	a := open(t, s, mem.Config{Listen: at("10.0.0.1:1"), SourcePorts: 3, Queues: 2})
	b := open(t, s, mem.Config{Listen: at("[fd00::2]:2")})
	tx := a.NewTx()
	for path := range 8 {
		tx.Push(underlay.NewEndpoint(at("[fd00::2]:2")), path, []byte{byte(path)}, 1)
	}
	tx.Flush()
	ports := a.Status().SourcePorts
	got := recv(t, b, 0)
	if len(got) != 8 || a.Paths() != 4 {
		t.Fatalf("%d bundles, %d paths", len(got), a.Paths())
	}
	for _, x := range got {
		if x.Src.Port() != ports[x.Buf[0]%4] {
			t.Errorf("path %d from %v", x.Buf[0], x.Src)
		}
		if err := b.SendTo(underlay.NewEndpoint(x.Src), x.Buf); err != nil {
			t.Error(err)
		}
	}
	if n := len(recv(t, a, 0)) + len(recv(t, a, 1)); n != 8 {
		t.Errorf("%d answers", n)
	}
}

func TestFaults(t *testing.T) {
	s := mem.NewSwitch()
	a := open(t, s, mem.Config{Listen: at("10.0.0.1:1"), Depth: 2})
	if _, err := s.Open(mem.Config{Listen: at("10.0.0.1:1")}); err == nil {
		t.Error("an address twice")
	}
	if _, err := s.Open(mem.Config{Listen: at("10.0.0.1:0")}); err == nil {
		t.Error("no port")
	}
	s.SetMTU(128)
	tx := a.NewTx()
	dst := underlay.NewEndpoint(at("10.0.0.1:1"))
	tx.Push(dst, 0, make([]byte, 303), 101)
	tx.Push(dst, 0, make([]byte, 300), 100)
	tx.Push(underlay.NewEndpoint(at("10.0.0.9:1")), 0, make([]byte, 5), 5)
	if sent, failed := tx.Flush(); sent != 4 || failed != 3 || tx.Oversized() != 3 {
		t.Errorf("Flush = %d, %d, %d oversized", sent, failed, tx.Oversized())
	}
	if s.Lost() != 2 || a.Rx(0).Pending() != 2 {
		t.Errorf("%d lost, %d pending, want 2, 2", s.Lost(), a.Rx(0).Pending())
	}
	if err := a.SendTo(dst, make([]byte, 101)); err == nil || a.Status().LastError == "" {
		t.Error("SendTo beyond the MTU")
	}
	s.Send(mem.Datagram{Src: at("10.0.0.7:7"), Dst: at("10.0.0.1:1"), Data: []byte("x")})
	a.Close()
	a.Close()
	if _, err := a.Rx(0).Recv(make([]underlay.Bundle, 1)); err != underlay.ErrClosed {
		t.Errorf("Recv after Close: %v", err)
	}
	if err := a.SendTo(dst, nil); !errors.Is(err, underlay.ErrClosed) {
		t.Errorf("SendTo after Close: %v", err)
	}
	tx.Push(dst, 0, make([]byte, 5), 1)
	if sent, failed := tx.Flush(); sent != 0 || failed != 5 {
		t.Errorf("Flush after Close = %d, %d", sent, failed)
	}
	open(t, s, mem.Config{Listen: at("10.0.0.1:1")})
}

// TestDual: a listener on [::] gets what is for IPv6 addresses nobody has, one
// on 0.0.0.0 the same for IPv4.
func TestDual(t *testing.T) {
	s := mem.NewSwitch()
	b := open(t, s, mem.Config{Listen: at("0.0.0.0:5")})
	s.Send(mem.Datagram{Src: at("10.0.0.1:1"), Dst: at("10.0.0.2:5"), Data: []byte("x")})
	if got := recv(t, b, 0); len(got) != 1 || got[0].Src != at("10.0.0.1:1") {
		t.Errorf("got %v", got)
	}
}
