//go:build interop

package interop_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/ztos/ztos/config"
)

// association is one SA as testdata/decode.py takes it.
type association struct {
	Key     string `json:"key"`
	SCI     string `json:"sci"`
	Salt    string `json:"salt"`
	AN      int    `json:"an"`
	SSCI    uint32 `json:"ssci"`
	Offset  int    `json:"offset"`
	Encrypt bool   `json:"encrypt"`
	XPN     bool   `json:"xpn"`
}

// decoded is one packet as scapy read it.
type decoded struct {
	VNI   int    `json:"vni"`
	AN    int    `json:"an"`
	PN    uint32 `json:"pn"`
	Frame string `json:"frame"`
	Error string `json:"error"`
}

// TestInteropDecode: what the engine puts on the wire is read by scapy, with the
// key, and by tshark, without it. Nobody is at the other end.
func TestInteropDecode(t *testing.T) {
	for _, tt := range []struct {
		name    string
		cipher  config.Cipher
		encrypt bool
		offset  int
		mode    config.MACsecMode
	}{
		{"GCM-AES-128", config.GCMAES128, true, 0, config.ModeStandard},
		{"GCM-AES-256", config.GCMAES256, true, 0, config.ModeStandard},
		{"integrity only", config.GCMAES128, false, 0, config.ModeStandard},
		{"offset 30", config.GCMAES128, true, 30, config.ModeStandard},
		{"offset 50", config.GCMAES256, true, 50, config.ModeStandard},
		{"GCM-AES-XPN-128", config.GCMAESXPN128, true, 0, config.ModeStandard},
		{"GCM-AES-XPN-256", config.GCMAESXPN256, true, 0, config.ModeStandard},
		{"hidden mode", config.GCMAES256, true, 0, config.ModeHidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t)
			peer := b.underlay(1600, false)
			cfg := plain(b.base(1600), leafU4, peerU4)
			k := newKeys(tt.cipher, tt.encrypt)
			k.protect(b, cfg)
			m := cfg.BridgeDomains[0].MACsec
			m.Offset, m.Mode = tt.offset, tt.mode
			e := b.start(t, b.leaf, cfg)
			mtu := e.tenantMTU()
			b.must(b.host.SetMTU("eth0", mtu))

			h := in(b.host)
			// What is on the wire is a part of what the tenant sent.
			tenant := b.watch(b.host, "eth0", "")
			wire := b.watch(peer, "u0", "udp dst port 4789")
			h.must(t, fmt.Sprintf("ip neigh add %s lladdr %s dev eth0; ip neigh add %s lladdr %s dev eth0", far4, peerMAC, far6, peerMAC)+`
				for n in 0 1 17 18 19 20 40 56 200 1000 `+fmt.Sprint(mtu-28)+`; do
					ping -n -c 1 -W 0.05 -s $n `+far4+` || true
				done
				ping -n -c 3 -i 0.02 -W 0.05 -s 1200 `+far6+` || true
				ping -n -c 2 -i 0.02 -W 0.05 10.1.0.99 || true`)
			packets := wire.stop()
			want := map[string]int{}
			for _, p := range tenant.stop() {
				want[hex.EncodeToString(p.Data())]++
			}
			if len(packets) < 15 {
				t.Errorf("captured %d packets, of %d frames", len(packets), len(want))
			}
			if tt.mode == config.ModeStandard {
				checkProtected(t, packets, tt.encrypt, leafU4)
			}
			sa := association{Key: k.leaf[0], SCI: leafSCI.String(), Salt: k.salt, SSCI: k.leafSSCI, Offset: tt.offset, Encrypt: tt.encrypt, XPN: tt.cipher.XPN()}
			got := scapy(t, wire.file, sa)
			for i, d := range got {
				if d.Error != "" || d.VNI != testVNI || d.AN != 0 || d.PN != got[0].PN+uint32(i) {
					t.Fatalf("packet %d: scapy says %+v", i, d)
				}
				frame := d.Frame
				if tt.mode == config.ModeHidden {
					// Addresses of ours around a whole frame of EtherType 0x6558.
					if frame[24:28] != "6558" {
						t.Fatalf("packet %d: hidden frame %s", i, frame)
					}
					frame = frame[28:]
				}
				if want[frame]--; want[frame] < 0 {
					t.Errorf("packet %d: the tenant did not send %s", i, frame)
				}
			}
			tshark(t, wire.file, len(packets))
			scapyRefuses(t, wire.file, sa)
			e.lossless()
		})
	}
}

// scapy reads a capture.
func scapy(t *testing.T, file string, sa association) []decoded {
	t.Helper()
	in, err := json.Marshal(sa)
	if err != nil {
		t.Fatal(err)
	}
	python := "/usr/bin/python3" // Debian's own, which sees Debian's packages
	if _, err := os.Stat(python); err != nil {
		python = "python3"
	}
	cmd := exec.Command(python, "testdata/decode.py", file)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v; needed: apt-get install python3-scapy python3-cryptography\n%s", err, stderr.Bytes())
	}
	var res []decoded
	if err := json.Unmarshal(out, &res); err != nil {
		t.Fatal(err)
	}
	return res
}

// scapyRefuses checks that scapy would have noticed: with another key, and with
// one bit of each packet changed, nothing opens.
func scapyRefuses(t *testing.T, file string, sa association) {
	t.Helper()
	wrong := sa
	wrong.Key = random(len(sa.Key) / 2)
	for i, d := range scapy(t, file, wrong) {
		if d.Error == "" {
			t.Fatalf("packet %d: scapy opened it with a wrong key", i)
		}
	}
	changed := file + ".changed"
	if err := changeLast(file, changed); err != nil {
		t.Fatal(err)
	}
	for i, d := range scapy(t, changed, sa) {
		if d.Error == "" {
			t.Fatalf("packet %d: scapy opened it with a changed ICV", i)
		}
	}
}

// changeLast copies a capture, with the last bit of every packet changed.
func changeLast(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	r, err := pcapgo.NewReader(in)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	w := pcapgo.NewWriter(&out)
	if err := w.WriteFileHeader(r.Snaplen(), r.LinkType()); err != nil {
		return err
	}
	for {
		data, ci, err := r.ReadPacketData()
		if err != nil {
			break // the end; tcpdump wrote whole packets
		}
		data[len(data)-1] ^= 1
		if err := w.WritePacket(ci, data); err != nil {
			return err
		}
	}
	return os.WriteFile(to, out.Bytes(), 0o600)
}

// tshark reads a capture: every packet is VXLAN with an 802.1AE frame, and
// nothing is malformed.
func tshark(t *testing.T, file string, packets int) {
	t.Helper()
	cmd := exec.Command("tshark", "-n", "-r", file, "-T", "fields", "-E", "separator=|",
		"-e", "vxlan.vni", "-e", "macsec.SCI.system_identifier", "-e", "macsec.AN", "-e", "macsec.PN", "-e", "frame.protocols", "-e", "_ws.malformed", "-e", "_ws.expert.severity")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, stderr.Bytes())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != packets {
		t.Errorf("tshark reads %d packets of %d", len(lines), packets)
	}
	for i, line := range lines {
		f := strings.Split(line, "|")
		if len(f) != 7 || f[0] != fmt.Sprint(testVNI) || f[1] != "02:00:00:00:00:01" || f[3] == "" ||
			!strings.Contains(f[4], ":vxlan:eth:ethertype:macsec") || f[5] != "" || strings.Contains(f[6], "8388608") {
			t.Fatalf("packet %d: tshark says %s", i, line)
		}
	}
}
