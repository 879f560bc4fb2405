package main

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/ztos/ztos/api/nodetest"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/trace"
)

// traffic is an error stream that sends frames through a node once the command
// has said that it watches.
type traffic struct {
	bytes.Buffer
	once sync.Once
	send func()
}

// Write collects, and sends at the first line.
func (w *traffic) Write(b []byte) (int, error) {
	w.once.Do(w.send)
	return w.Buffer.Write(b)
}

// watched runs a watching command while send makes traffic.
func watched(t *testing.T, send func(), args ...string) (code int, out, errs string) {
	t.Helper()
	var o bytes.Buffer
	e := &traffic{send: send}
	code = run(args, strings.NewReader(""), &o, e)
	return code, o.String(), e.String()
}

// sendTwo sends a frame that leaves by WireGuard and one that is dropped.
func sendTwo(n *nodetest.Node) func() {
	return func() {
		at := func(r trace.Record) *trace.Record {
			r.Worker, r.Segs, r.Data = "leaf-in h1.0", 1, []byte("0123456789")
			return &r
		}
		for drop := range 2 {
			ms := int64(drop) * 1e6
			id := n.Tap.Enter(at(trace.Record{Stage: trace.PortRx, Port: 1, Len: 98, Nanos: ms}))
			n.Tap.See(at(trace.Record{ID: id, Stage: trace.Access, Port: 1, VNI: 10100, Len: 98, Nanos: ms + 1000}))
			if drop == 1 {
				n.Tap.See(at(trace.Record{ID: id, Stage: trace.Bridge, VNI: 10100, Len: 98, Nanos: ms + 2000, Reason: counter.FDBDrop, Note: "blackhole entry"}))
				continue
			}
			n.Tap.See(at(trace.Record{ID: id, Stage: trace.MACsecProtect, VNI: 10100, Len: 130, Nanos: ms + 2000, Note: "AN 0 PN 17"}))
			n.Tap.See(at(trace.Record{ID: id, Stage: trace.WireGuardSeal, VNI: 10100, Len: 212, Nanos: ms + 3000, Out: true, Peer: netip.MustParseAddrPort("192.0.2.1:51820")}))
		}
	}
}

func TestTrace(t *testing.T) {
	n := nodetest.New()
	socket := serve(t, n)
	code, out, errs := watched(t, sendTwo(n), "trace", "--count", "2", "--socket", socket)
	if code != exitOK || !strings.HasPrefix(errs, "following 2 frames") {
		t.Errorf("exit %d, %s", code, errs)
	}
	golden(t, "trace.table", out)

	n = nodetest.New()
	code, out, errs = watched(t, sendTwo(n), "trace", "--count", "2", "--snaplen", "4", "-o", "json", "--socket", serve(t, n))
	if code != exitOK {
		t.Errorf("exit %d, %s", code, errs)
	}
	golden(t, "trace.json", out)
	for line := range strings.Lines(out) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	// Nothing comes, and the time is up: that is no failure.
	if code, _, errs := ztosctl(t, "", "trace", "--duration", "20ms", "--socket", socket); code != exitOK {
		t.Errorf("duration: exit %d, %s", code, errs)
	}
}

// sendStages passes a packet by each kind of stage.
func sendStages(n *nodetest.Node) func() {
	return func() {
		peer := netip.MustParseAddrPort("192.0.2.1:51820")
		n.Tap.See(&trace.Record{Stage: trace.PortRx, Port: 1, VNI: 10100, Len: 60, Segs: 1, Data: []byte("ethernet")})
		n.Tap.See(&trace.Record{Stage: trace.VXLANEncap, VNI: 10100, Len: 6, Segs: 1, Data: []byte("\x45ipv4.")})
		n.Tap.See(&trace.Record{Stage: trace.WireGuardSeal, Len: 4, Segs: 1, Data: []byte{4, 0, 0, 0}, Peer: peer, Out: true})
		n.Tap.See(&trace.Record{Stage: trace.UnderlayRx, Len: 8, Segs: 1, Data: []byte{8, 0, 0, 0, 0, 39, 116, 0}, Peer: netip.MustParseAddrPort("[2001:db8::1]:4789")})
	}
}

func TestCapturePcapng(t *testing.T) {
	n := nodetest.New()
	file := filepath.Join(t.TempDir(), "x.pcapng")
	code, out, errs := watched(t, sendStages(n), "capture", "--socket", serve(t, n), "--count", "4", "-w", file,
		"--stage", "port-rx", "--stage", "vxlan-encap,wireguard-seal", "--stage", "underlay-rx")
	if code != exitOK || out != "" || !strings.HasSuffix(errs, "4 packets\n") {
		t.Fatalf("exit %d, %s%s", code, out, errs)
	}
	if st, err := os.Stat(file); err != nil || st.Mode() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		stage string
		link  int
		head  string
		tail  string
		len   int
	}{
		{"port-rx", 1, "ethernet", "ethernet", 60},
		{"vxlan-encap", 101, "\x45", "ipv4.", 6},
		{"wireguard-seal", 252, "\x00\x0c\x00\x04wg\x00\x00\x00\x15\x00\x04\xc0\x00\x02\x01\x00\x18\x00\x04\x00\x00\x00\x03\x00\x1a\x00\x04\x00\x00\xca\x6c\x00\x00\x00\x00", "\x04\x00\x00\x00", 40},
		{"underlay-rx", 252, "\x00\x0c\x00\x08vxlan\x00\x00\x00\x00\x16\x00\x10", "\x08\x00\x00\x00\x00\x27\x74\x00", 60},
	}
	for _, w := range want {
		data, ci, err := r.ReadPacketData()
		if err != nil {
			t.Fatal(err)
		}
		i, err := r.Interface(ci.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		if i.Name != w.stage || i.Description != "ztos stage "+w.stage || int(i.LinkType) != w.link {
			t.Errorf("interface %q %q of link type %d, want %s of %d", i.Name, i.Description, i.LinkType, w.stage, w.link)
		}
		if !strings.HasPrefix(string(data), w.head) || !strings.HasSuffix(string(data), w.tail) || ci.Length != w.len || !ci.Timestamp.Equal(nodetest.Epoch) {
			t.Errorf("%s: got % x of %d bytes at %v", w.stage, data, ci.Length, ci.Timestamp)
		}
	}
	if _, _, err := r.ReadPacketData(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestCaptureLines(t *testing.T) {
	for _, format := range []string{"table", "json"} {
		n := nodetest.New()
		code, out, errs := watched(t, sendStages(n), "capture", "--socket", serve(t, n), "--count", "2", "-o", format,
			"--stage", "port-rx,wireguard-seal")
		if code != exitOK {
			t.Errorf("exit %d, %s", code, errs)
		}
		golden(t, "capture."+format, out)
	}
	n := nodetest.New()
	code, out, _ := watched(t, sendStages(n), "capture", "--socket", serve(t, n), "--count", "1", "-w", "-", "--stage", "port-rx")
	if code != exitOK || !strings.HasPrefix(out, "\x0a\x0d\x0d\x0a") {
		t.Errorf("to stdout: exit %d, %q", code, out)
	}
	if code, _, errs := ztosctl(t, "", "capture", "--socket", serve(t, n), "--duration", "5ms", "--stage", "port-rx"); code != exitOK || !strings.HasSuffix(errs, "0 packets\n") {
		t.Errorf("duration: exit %d, %s", code, errs)
	}
	if code, _, _ := ztosctl(t, "", "capture", "--socket", serve(t, n), "-w", t.TempDir(), "--stage", "port-rx"); code != exitFailure {
		t.Errorf("into a folder: exit %d", code)
	}
}

// TestMACsecSteps does a rollover by hand.
func TestMACsecSteps(t *testing.T) {
	n := nodetest.New()
	socket := serve(t, n)
	for _, tt := range []struct{ args, want string }{
		{"install rx --vni 10100 --sci 0a00000000020001 --an 1 --key-file /k", "VNI 10100: rx AN 1 is installed\n"},
		{"install tx --vni 10100 --an 1 --key-file k", "VNI 10100: tx AN 1 is installed\n"},
		{"use --vni 10100 --an 1", "VNI 10100: transmits with AN 1\n"},
		{"remove tx --vni 10100 --an 0", "VNI 10100: tx AN 0 is removed\n"},
		{"remove rx --vni 10100 --sci 0a00000000020001 --an 0", "VNI 10100: rx AN 0 is removed\n"},
	} {
		code, out, errs := ztosctl(t, "", append(append([]string{"macsec"}, strings.Fields(tt.args)...), "--socket", socket)...)
		if code != exitOK || out != tt.want {
			t.Errorf("%s: exit %d, %s%s", tt.args, code, out, errs)
		}
	}
}

// receiver returns a node that receives the channel 0a00000000010001.
func receiver(t *testing.T) *nodetest.Node {
	t.Helper()
	n := nodetest.New()
	n.SetRxSCI(n.SecYs()[0].TxSCI)
	return n
}

func TestRollover(t *testing.T) {
	sender, r1, r2 := nodetest.New(), receiver(t), receiver(t)
	code, out, errs := ztosctl(t, "", "macsec", "rollover", "--vni", "10100", "--key-file", "/k", "--drain", "1ms",
		"--socket", serve(t, sender), "--receiver", serve(t, r1), "--receiver", serve(t, r2))
	if code != exitOK || out != "VNI 10100: AN 1 took over from AN 0\n" || !strings.Contains(errs, "[8/8] remove rx AN 0") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	only1 := func(n *nodetest.Node) bool {
		y := n.SecYs()[0]
		return len(y.RxSCs[0].SAs) == 1 && y.RxSCs[0].SAs[0].AN == 1
	}
	if y := sender.SecYs()[0]; y.TxAN != 1 || len(y.TxSAs) != 1 || !only1(r1) || !only1(r2) {
		t.Errorf("afterwards: %+v", y)
	}
}

// TestRolloverUndone: a receiver that cannot take the SA stops the rollover, and
// the others are as before.
func TestRolloverUndone(t *testing.T) {
	sender, good, bad := nodetest.New(), receiver(t), nodetest.New()
	code, _, errs := ztosctl(t, "", "macsec", "rollover", "--vni", "10100", "--key-file", "/k", "--drain", "1ms",
		"--socket", serve(t, sender), "--receiver", serve(t, good), "--receiver", serve(t, bad))
	if code != exitFailure || !strings.Contains(errs, "ztosctl: nothing has changed: ") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if y := sender.SecYs()[0]; y.TxAN != 0 || len(y.TxSAs) != 1 {
		t.Errorf("sender: %+v", y)
	}
	if y := good.SecYs()[0]; len(y.RxSCs[0].SAs) != 1 {
		t.Errorf("good receiver: %+v", y.RxSCs[0])
	}
}

func TestWriteErrorEnds(t *testing.T) {
	n := nodetest.New()
	e := &traffic{send: sendTwo(n)}
	code := run([]string{"trace", "--count", "2", "-o", "json", "--socket", serve(t, n)}, nil, full{}, e)
	if code != exitFailure || !strings.Contains(e.String(), fs.ErrClosed.Error()) {
		t.Errorf("exit %d, %s", code, e.String())
	}
}

// full is a stream that nobody reads any more.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, fs.ErrClosed }
