package netport_test

import (
	"encoding/binary"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/gso"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/afpacket"
	"github.com/ztos/ztos/engine/port/afxdp"
	"github.com/ztos/ztos/engine/port/nstest"
)

// drivers are what is compared.
var drivers = []string{port.AFPacket, port.AFXDP}

// openBy opens a device by one driver.
func openBy(b *testing.B, driver string, ns *nstest.NS, device string) port.Port {
	b.Helper()
	var p port.Port
	var err error
	ns.Do(func() {
		if driver == port.AFXDP {
			p, err = afxdp.Open(afxdp.Config{Device: device})
		} else {
			p, err = afpacket.Open(afpacket.Config{Device: device})
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Close() })
	return p
}

func txOf(b *testing.B, p port.Port) port.Tx {
	b.Helper()
	tx, err := p.NewTx()
	if err != nil {
		b.Fatal(err)
	}
	return tx
}

// tcpFrame makes a frame of TCP over IPv4, its checksum left to the device; a
// super-frame when size is not 0. The protocol's ports are closed: nobody answers.
func tcpFrame(payload, size int) *pkt.Frame {
	b := make([]byte, 54+payload)
	copy(b, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45})
	binary.BigEndian.PutUint16(b[16:], uint16(40+payload))
	b[22], b[23] = 64, 6
	copy(b[26:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	b[46], b[47] = 0x50, 0x10
	f := new(pkt.Frame)
	f.Reset(b)
	f.Offload = pkt.Offload{NeedsCsum: true, CsumStart: 34, CsumOff: 16}
	if size > 0 {
		f.Offload.GSOType, f.Offload.GSOSize = pkt.GSOTCPv4, uint16(size)
	}
	return f
}

// benchFrames are what a host with offloads hands over, what a wire does, and
// small ones.
func benchFrames(b *testing.B) []struct {
	name string
	f    *pkt.Frame
} {
	wire, small := tcpFrame(1460, 0), tcpFrame(6, 0)
	for _, f := range []*pkt.Frame{wire, small} {
		if r := gso.CompleteChecksum(f); r != counter.None {
			b.Fatal(r)
		}
	}
	return []struct {
		name string
		f    *pkt.Frame
	}{{"super", tcpFrame(44*1448, 1448)}, {"wire", wire}, {"small", small}}
}

// perSegment reports the time of one frame as the wire would have it.
func perSegment(b *testing.B, f *pkt.Frame, burst int) {
	segs := float64(b.N) * float64(burst) * float64(f.Segments(54))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/segs, "ns/segment")
}

// BenchmarkTx sends bursts of 32 into a cable whose other end drops them.
func BenchmarkTx(b *testing.B) {
	for _, c := range benchFrames(b) {
		for _, driver := range drivers {
			b.Run(c.name+"/"+driver, func(b *testing.B) {
				nsA, nsB := nstest.New(b), nstest.New(b)
				nstest.Veth(b, nsA, "a", nsB, "b")
				tx := txOf(b, openBy(b, driver, nsA, "a"))
				b.ReportAllocs()
				for b.Loop() {
					for range 32 {
						tx.Push(c.f)
					}
					if _, refused := tx.Flush(); refused != 0 {
						b.Fatal(tx.Refusal())
					}
				}
				perSegment(b, c.f, 32)
			})
		}
	}
}

// BenchmarkRx receives bursts of 32 that AF_PACKET sends at the other end: the
// sender is the same for both. A host that meets AF_XDP sends no super-frames:
// the kernel cuts them.
func BenchmarkRx(b *testing.B) {
	for _, c := range benchFrames(b) {
		for _, driver := range drivers {
			b.Run(c.name+"/"+driver, func(b *testing.B) {
				nsA, nsB := nstest.New(b), nstest.New(b)
				nstest.Veth(b, nsA, "a", nsB, "b")
				p, tx := openBy(b, driver, nsB, "b"), txOf(b, openBy(b, port.AFPacket, nsA, "a"))
				burst := 32
				if c.f.Offload.GSOType != pkt.GSONone {
					burst = 4 // 176 segments: veth's ring has 256 places
				}
				want := burst * c.f.Segments(54)
				v := pkt.NewVector(64)
				b.ReportAllocs()
				for b.Loop() {
					for range burst {
						tx.Push(c.f)
					}
					tx.Flush()
					for got := 0; got < want; {
						if err := p.Rx(0).Recv(v); err != nil {
							b.Fatalf("%v after %d of %d, %d dropped", err, got, want, p.Rx(0).Dropped())
						}
						for i := range v.Used() {
							got += v.Frames[i].Segments(54)
						}
					}
				}
				perSegment(b, c.f, burst)
			})
		}
	}
}

// BenchmarkTurn sends one frame and has it sent back: what waking up costs.
func BenchmarkTurn(b *testing.B) {
	for _, driver := range drivers {
		b.Run(driver, func(b *testing.B) {
			nsA, nsB := nstest.New(b), nstest.New(b)
			nstest.Veth(b, nsA, "a", nsB, "b")
			near, far := openBy(b, port.AFPacket, nsA, "a"), openBy(b, driver, nsB, "b")
			nstest.Forward(b, far, far, nil)
			tx, v, f := txOf(b, near), pkt.NewVector(4), frame()
			for b.Loop() {
				tx.Push(f)
				tx.Flush()
				for near.Rx(0).Recv(v) != nil {
				}
			}
		})
	}
}

// BenchmarkTCP carries a TCP stream from host to host through two ports: of hosts
// with offloads, and of hosts without, who send and take frames as a wire does.
func BenchmarkTCP(b *testing.B) {
	const bytes = 64 << 20
	for _, offloads := range []string{"on", "off"} {
		for _, driver := range drivers {
			b.Run("offloads="+offloads+"/"+driver, func(b *testing.B) {
				engine := nstest.New(b)
				var hosts []*nstest.NS
				var ports []port.Port
				for i, dev := range []string{"p1", "p2"} {
					ns := nstest.New(b)
					nstest.Veth(b, ns, "eth0", engine, dev)
					ns.IP("addr add 10.7.0." + []string{"1", "2"}[i] + "/24 dev eth0")
					if offloads == "off" {
						if out, err := ns.Exec("ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off", "gro", "off"); err != nil {
							b.Fatalf("ethtool: %v\n%s", err, out)
						}
					}
					hosts, ports = append(hosts, ns), append(ports, openBy(b, driver, engine, dev))
				}
				nstest.Forward(b, ports[0], ports[1], nil)
				nstest.Forward(b, ports[1], ports[0], nil)
				b.SetBytes(bytes)
				for b.Loop() {
					if err := nstest.TCP(hosts[0], hosts[1], "10.7.0.2", bytes); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
