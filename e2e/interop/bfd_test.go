//go:build interop

package interop_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/fabric/bfd"
)

// TestBFDReadByTshark: tshark reads what a session sends as this project means it,
// in every state and with each way to authenticate.
func TestBFDReadByTshark(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "bfd.pcap")
	var capture bytes.Buffer
	w := pcapgo.NewWriter(&capture)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, a := range []bfd.Auth{
		{},
		{Type: bfd.KeyedSHA1, KeyID: 9, Key: secret.New([]byte("fabric"))},
		{Type: bfd.MeticulousSHA1, KeyID: 200, Key: secret.New([]byte("fabric"))},
	} {
		for _, p := range bfdLife(t, a) {
			want = append(want, p.words)
			raw := bfdDatagram(t, p.raw)
			if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(1, 0), CaptureLength: len(raw), Length: len(raw)}, raw); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(file, capture.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-n", "-r", file, "-T", "fields", "-E", "separator=|"}
	for _, f := range []string{
		"bfd.version", "bfd.diag", "bfd.sta", "bfd.flags.p", "bfd.flags.f", "bfd.flags.c", "bfd.flags.a", "bfd.flags.d", "bfd.flags.m",
		"bfd.detect_time_multiplier", "bfd.message_length", "bfd.my_discriminator", "bfd.your_discriminator",
		"bfd.desired_min_tx_interval", "bfd.required_min_rx_interval", "bfd.required_min_echo_interval",
		"bfd.auth.type", "bfd.auth.len", "bfd.auth.key", "_ws.malformed",
	} {
		args = append(args, "-e", f)
	}
	cmd := exec.Command("tshark", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, stderr.Bytes())
	}
	got := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(got) != len(want) {
		t.Fatalf("tshark reads %d packets of %d", len(got), len(want))
	}
	states := map[string]bool{}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("packet %d: tshark says\n%s, want\n%s", i, got[i], want[i])
		}
		states[strings.Split(want[i], "|")[2]] = true
	}
	if len(states) != 4 {
		t.Errorf("packets of states %v, want of all four", states)
	}
}

// bfdPacket is a packet and how tshark should print its fields.
type bfdPacket struct {
	raw   []byte
	words string
}

// bfdLife returns what one end sends from the start of a session to its end.
func bfdLife(t *testing.T, a bfd.Auth) (out []bfdPacket) {
	t.Helper()
	n := uint32(0)
	dice := func() uint32 { n += 0x01020305; return n }
	c := bfd.Config{Name: "x", Remote: netip.MustParseAddr("192.0.2.2"), Hops: 1, Tx: 50e6, Rx: 40e6, Mult: 3, Auth: a}
	near, far := bfd.NewTable(dice), bfd.NewTable(dice)
	back := c
	back.Remote = netip.MustParseAddr("192.0.2.1")
	now := int64(1)
	var deliver func(from *bfd.Table, outs []bfd.Out)
	deliver = func(from *bfd.Table, outs []bfd.Out) {
		for _, o := range append([]bfd.Out(nil), outs...) {
			to, addr := near, c.Remote
			if from == near {
				out = append(out, bfdPacket{o.Packet, bfdWords(t, o.Packet, a)})
				to, addr = far, back.Remote
			}
			answer, _ := to.Receive(now, &bfd.Arrival{From: addr, TTL: 255, Port: bfd.SingleHopPort, Payload: o.Packet})
			deliver(to, answer)
		}
	}
	apply := func(at *bfd.Table, cs ...bfd.Config) {
		outs, err := at.Apply(now, cs)
		if err != nil {
			t.Fatal(err)
		}
		deliver(at, outs)
	}
	run := func(until int64) {
		for ; now < until; now += 5e6 {
			deliver(near, near.Tick(now))
			deliver(far, far.Tick(now))
		}
	}
	apply(near, c)
	run(3e9) // alone
	apply(far, back)
	run(8e9)
	apply(near) // no longer configured
	return out
}

// bfdWords reads a packet, by the layout of RFC 5880 section 4.1, into tshark's
// words.
func bfdWords(t *testing.T, b []byte, a bfd.Auth) string {
	t.Helper()
	var p bfd.Packet
	if _, fault := p.Decode(b); fault != 0 {
		t.Fatalf("% x: %v", b, fault)
	}
	bit := func(x bool) int {
		if x {
			return 1
		}
		return 0
	}
	auth := "||"
	if p.Auth {
		auth = fmt.Sprintf("%d|28|%d", a.Type, a.KeyID)
	}
	return fmt.Sprintf("1|0x%02x|0x%02x|%d|%d|%d|%d|%d|%d|%d|%d|0x%08x|0x%08x|%d|%d|%d|%s|",
		uint8(p.Diag), uint8(p.State), bit(p.Poll), bit(p.Final), bit(p.Independent), bit(p.Auth), bit(p.Demand), bit(p.Multipoint),
		p.Mult, len(b), p.Mine, p.Yours, p.DesiredTx, p.RequiredRx, p.RequiredEcho, auth)
}

// bfdDatagram returns an IP packet with b to BFD's port.
func bfdDatagram(t *testing.T, b []byte) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 255, Protocol: layers.IPProtocolUDP, SrcIP: []byte{192, 0, 2, 1}, DstIP: []byte{192, 0, 2, 2}}
	udp := &layers.UDP{SrcPort: bfd.FirstSource, DstPort: bfd.SingleHopPort}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, udp, gopacket.Payload(b)); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
