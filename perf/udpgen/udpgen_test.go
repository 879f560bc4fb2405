package udpgen_test

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/perf/udpgen"
)

func FuzzDecode(f *testing.F) {
	b := make([]byte, udpgen.HeaderLen)
	udpgen.PutHeader(b, 7, 1<<40+3)
	f.Add(b)
	f.Add(b[:15])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		trial, seq, ok := udpgen.Decode(b)
		if !ok {
			return
		}
		again := make([]byte, udpgen.HeaderLen)
		udpgen.PutHeader(again, trial, seq)
		if !bytes.Equal(again, b[:udpgen.HeaderLen]) {
			t.Errorf("%x decodes to trial %d, number %d, which is %x", b, trial, seq, again)
		}
	})
}

// bundle returns payloads of size bytes with those sequence numbers, joined.
func bundle(trial uint32, size int, seqs ...uint64) []byte {
	var out []byte
	for _, s := range seqs {
		p := make([]byte, size)
		udpgen.PutHeader(p, trial, s)
		out = append(out, p...)
	}
	return out
}

func TestCount(t *testing.T) {
	const trial = 9
	for _, tt := range []struct {
		name    string
		bundles [][]byte
		sizes   []int
		want    udpgen.Count
	}{
		{
			name:    "in order, merged and single",
			bundles: [][]byte{bundle(trial, 64, 0, 1, 2), bundle(trial, 64, 3)},
			sizes:   []int{64, 0},
			want:    udpgen.Count{Received: 4},
		},
		{
			name:    "the last of a bundle is shorter",
			bundles: [][]byte{append(bundle(trial, 64, 0, 1), bundle(trial, 20, 2)...)},
			sizes:   []int{64},
			want:    udpgen.Count{Received: 3},
		},
		{
			name:    "loss, a late one, and both of them twice",
			bundles: [][]byte{bundle(trial, 16, 0, 3, 1, 3, 1, 5)},
			sizes:   []int{16},
			want:    udpgen.Count{Received: 4, Reordered: 1, Duplicates: 2},
		},
		{
			name:    "of another trial, not announced, too short, empty",
			bundles: [][]byte{bundle(trial-1, 64, 0), bundle(trial, 64, 1<<20), {1, 2, 3}, {}},
			sizes:   []int{0, 0, 0, 0},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := udpgen.CountOf(trial, 100, tt.bundles, tt.sizes); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestPacer runs pacers on a clock of their own.
func TestPacer(t *testing.T) {
	for _, rate := range []float64{900, 33_333, 1_000_000} {
		p := udpgen.NewPacer(rate)
		var now time.Duration
		sent, most := 0, 1+int(udpgen.Interval.Seconds()*rate)
		for now < 100*time.Millisecond {
			n, wait := p.Due(now)
			if n > most {
				t.Fatalf("rate %v: %d frames at once, at most %d", rate, n, most)
			}
			sent += n
			if n == 0 {
				now += max(wait, 60*time.Microsecond) // a sleep that is late
			}
		}
		if want := rate / 10; float64(sent) < want-float64(most)-1 || float64(sent) > want+float64(most)+1 {
			t.Errorf("rate %v: %d frames in 100 ms, want %v", rate, sent, want)
		}
	}
}

// TestPacerForgives: after a pause of 50 ms a sender makes up for 1 ms only.
func TestPacerForgives(t *testing.T) {
	p := udpgen.NewPacer(100_000)
	sent := 0
	for n := 1; n > 0; sent += n {
		n, _ = p.Due(50 * time.Millisecond)
	}
	if sent < 90 || sent > 110 {
		t.Errorf("%d frames after the pause, want about 100", sent)
	}
}

func TestFrame(t *testing.T) {
	dev := &net.Interface{HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}
	next := net.HardwareAddr{2, 0, 0, 0, 0, 2}
	src, dst := netip.MustParseAddrPort("10.1.0.1:40000"), netip.MustParseAddrPort("10.1.0.2:5300")
	for _, size := range []int{16, 64, 511, 1400} {
		for seq := range uint64(70_000) {
			if seq > 100 && seq%997 != 0 {
				continue
			}
			f := udpgen.Frame(dev, next, src, dst, size, 0xffff1234, seq)
			p := gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.Default)
			if p.ErrorLayer() != nil {
				t.Fatal(p.ErrorLayer().Error())
			}
			udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
			if !ok || udp.SrcPort != 40000 || udp.DstPort != 5300 || len(udp.Payload) != size {
				t.Fatalf("size %d: %v", size, p)
			}
			if err := udp.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
				t.Fatal(err)
			}
			if err, bad := p.VerifyChecksums(); err != nil || len(bad) > 0 {
				t.Fatalf("size %d, number %d: checksums %v, %v", size, seq, bad, err)
			}
			if trial, got, ok := udpgen.Decode(udp.Payload); !ok || got != seq || trial != 0xffff1234 {
				t.Fatalf("number %d of trial %#x: %v", got, trial, ok)
			}
		}
	}
}

func TestParseRoutes(t *testing.T) {
	// On a little-endian machine, as the kernel prints it.
	const text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"t2\t0001660A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n" +
		"t2\t0002660A\tFE01660A\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n" +
		"eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
	for _, tt := range []struct{ dst, dev, next string }{
		{"10.102.1.9", "t2", "10.102.1.9"},
		{"10.102.2.1", "t2", "10.102.1.254"},
		{"192.0.2.1", "eth0", "10.0.0.1"},
	} {
		dev, next, err := udpgen.ParseRoutes(text, netip.MustParseAddr(tt.dst))
		if err != nil || dev != tt.dev || next.String() != tt.next {
			t.Errorf("%s: by %v on %s (%v), want %s on %s", tt.dst, next, dev, err, tt.next, tt.dev)
		}
	}
	if _, _, err := udpgen.ParseRoutes("", netip.MustParseAddr("10.0.0.1")); err == nil {
		t.Error("a route where there is none")
	}
}

func TestParseNeighbours(t *testing.T) {
	const text = `IP address       HW type     Flags       HW address            Mask     Device
10.1.0.2         0x1         0x0         00:00:00:00:00:00     *        t1
10.1.0.3         0x1         0x2         02:00:00:00:00:03     *        t1
`
	if mac, ok := udpgen.ParseNeighbours(text, "t1", netip.MustParseAddr("10.1.0.3")); !ok || mac.String() != "02:00:00:00:00:03" {
		t.Errorf("got %v, %v", mac, ok)
	}
	for _, who := range [][2]string{{"t1", "10.1.0.2"}, {"t1", "10.1.0.4"}, {"t2", "10.1.0.3"}} {
		if _, ok := udpgen.ParseNeighbours(text, who[0], netip.MustParseAddr(who[1])); ok {
			t.Errorf("%v has an entry", who)
		}
	}
}
