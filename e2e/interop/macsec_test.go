//go:build interop

package interop_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
)

// Secure channels of the two ends: system identifier and port 1.
var (
	leafSCI = config.SCI{2, 0, 0, 0, 0, 1, 0, 1}
	peerSCI = config.SCI{2, 0, 0, 0, 0, 2, 0, 1}
)

// keys is what both ends of a protected link know. A channel's SAKs are its own.
type keys struct {
	cipher   config.Cipher
	encrypt  bool
	leaf     [4]string // SAK of the leaf's transmit SA by AN, hex
	peer     [4]string
	salt     string
	firstPN  uint64 // of the peer; 0 is 1
	leafSSCI uint32
	peerSSCI uint32
}

func newKeys(c config.Cipher, encrypt bool) *keys {
	k := &keys{cipher: c, encrypt: encrypt, leafSSCI: 2, peerSSCI: 1}
	for an := range 4 {
		k.leaf[an], k.peer[an] = random(c.KeyLen()), random(c.KeyLen())
	}
	if c.XPN() {
		k.salt = random(12)
	}
	return k
}

// sa returns an SA as the engine's configuration has it.
func (k *keys) sa(b *bed, an uint8, sak string) config.SA {
	sa := config.SA{AN: an, KeyFile: b.file("sak-"+sak[:8], sak)}
	if k.salt != "" {
		sa.SaltFile = b.file("salt-"+k.salt[:8], k.salt)
	}
	return sa
}

// protect gives the bridge domain of c its SecY, with AN 0 both ways.
func (k *keys) protect(b *bed, c *config.Node) {
	bd := &c.BridgeDomains[0]
	m := &config.MACsec{
		Cipher: k.cipher, Encrypt: config.SwitchOf(k.encrypt),
		Tx:    config.TxSC{SCI: leafSCI, SAs: []config.SA{k.sa(b, 0, k.leaf[0])}},
		Peers: []config.RxSC{{VTEP: bd.VTEPs[0], SCI: peerSCI, SAs: []config.SA{k.sa(b, 0, k.peer[0])}}},
	}
	if k.cipher.XPN() {
		m.Tx.SSCI, m.Peers[0].SSCI = k.leafSSCI, k.peerSSCI
	}
	bd.MACsec, bd.Protection = m, config.ProtectMACsec
}

// pn writes a first packet number as ip-macsec(8) takes it.
func (k *keys) pn(n, ssci uint64) string {
	n = max(n, 1)
	if k.cipher.XPN() {
		return fmt.Sprintf("xpn %d ssci %d salt %s", n, ssci, k.salt)
	}
	return fmt.Sprintf("pn %d", n)
}

// txSA and rxSA are commands of ip-macsec(8) at the peer.
func (k *keys) txSA(an int) string {
	return fmt.Sprintf("ip macsec add ms0 tx sa %d %s on key %02d %s\n", an, k.pn(k.firstPN, uint64(k.peerSSCI)), an, k.peer[an])
}

func (k *keys) rxSA(an int) string {
	return fmt.Sprintf("ip macsec add ms0 rx sci %s sa %d %s on key %02d %s\n", leafSCI, an, k.pn(1, uint64(k.leafSSCI)), an+10, k.leaf[an])
}

// kernel is the script that puts MACsec device ms0 with the far host on the
// peer's vx0, which then sends nothing of its own.
func (k *keys) kernel(mtu int) string {
	onOff := map[bool]string{true: "on", false: "off"}
	return "ip link set vx0 addrgenmode none; ip link set vx0 up\n" +
		fmt.Sprintf("ip link add link vx0 ms0 type macsec sci %s cipher %s encrypt %s replay on window 64 validate strict\n", peerSCI, k.cipher, onOff[k.encrypt]) +
		k.txSA(0) + fmt.Sprintf("ip macsec add ms0 rx sci %s on\n", leafSCI) + k.rxSA(0) +
		fmt.Sprintf("ip link set ms0 mtu %d up\n", mtu) + addresses("ms0")
}

// badCounts are the counters of a SecY that stay 0 between two honest ends:
// names of IEEE 802.1AE's MIB and of the kernel.
var badCounts = []string{
	"InPktsNotValid", "InPktsInvalid", "InPktsBadTag", "InPktsNoTag", "InPktsUntagged", "InPktsNoSCI", "InPktsUnknownSCI",
	"InPktsNotUsingSA", "InPktsUnusedSA", "InPktsLate", "InPktsDelayed", "InPktsUnchecked", "InPktsReplayed", "InPktsModeMismatch",
	"InPktsOverrun", "OutPktsUntagged", "OutPktsTooLong",
}

// clean fails the test when one of badCounts is not 0, and when good is 0.
func clean(t *testing.T, who string, got map[string]uint64, good string) {
	t.Helper()
	for _, name := range badCounts {
		if got[name] > 0 {
			t.Errorf("%s: %s is %d: %v", who, name, got[name], got)
		}
	}
	if got[good] == 0 {
		t.Errorf("%s: %s is 0: %v", who, good, got)
	}
}

// kernelCounts returns the counters of the peer's ms0.
func kernelCounts(t *testing.T, p shell) map[string]uint64 {
	t.Helper()
	return stat(p.must(t, "ip -s macsec show ms0"))
}

// linker makes a protected link with a guest: the engine's keys, the guest's.
type linker func(*testing.T, *keys, *keys) *engine

// testMACsec: MACsec in VXLAN, with the guest at the other end.
func testMACsec(t *testing.T, b *bed, p shell) {
	h := in(b.host)
	const mtu = guestMTU - 82 // 14 + 32 + 8 + 8 + 20
	b.must(b.host.SetMTU("eth0", mtu))

	// link starts an engine with keys k, and sets the guest up with its own.
	link := func(t *testing.T, k, guests *keys) *engine {
		t.Helper()
		b := b.with(t)
		cfg := plain(b.base(guestMTU), leafU4, peerU4)
		k.protect(b, cfg)
		p.must(t, "ip link del vx0 2> /dev/null || true\n"+kernelVXLAN(peerU4, leafU4, "eth0", "udpcsum")+guests.kernel(mtu))
		e := b.start(t, b.leaf, cfg)
		if got := e.tenantMTU(); got != mtu {
			t.Errorf("tenant MTU %d, want %d", got, mtu)
		}
		h.must(t, "ip neigh flush dev eth0")
		return e
	}
	for _, tt := range []struct {
		name    string
		cipher  config.Cipher
		encrypt bool
		firstPN uint64
	}{
		{"GCM-AES-128", config.GCMAES128, true, 1},
		{"GCM-AES-256", config.GCMAES256, true, 1},
		{"GCM-AES-256, integrity only", config.GCMAES256, false, 1},
		{"GCM-AES-XPN-128", config.GCMAESXPN128, true, 1},
		{"GCM-AES-XPN-256 over the end of 32 bits", config.GCMAESXPN256, true, 1<<32 - 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKeys(tt.cipher, tt.encrypt)
			k.firstPN = tt.firstPN
			e := link(t, k, k)
			w := b.with(t).watch(b.leaf, "u0", "udp port 4789")
			protectedTraffic(t, h, p, mtu)
			packets := w.stop()
			checkProtected(t, packets, tt.encrypt, leafU4, peerU4)
			for _, reverse := range []bool{false, true} {
				r, err := h.tcp(far4, reverse)
				if err != nil || r.Bytes < 256<<10 {
					t.Errorf("TCP, reverse %v: %+v, %v", reverse, r, err)
				}
				t.Logf("TCP, reverse %v: %.0f Mbit/s, %d retransmits", reverse, r.BitsPerSecond/1e6, r.Retransmits)
			}
			s := e.secy()
			clean(t, "engine", counts(s), "InPktsOK")
			kc := kernelCounts(t, p)
			clean(t, "kernel", kc, "InPktsOK")
			t.Logf("engine %v\nkernel %v", counts(s), kc)
			if tt.firstPN > 1<<31 && s.RxSCs[0].SAs[0].NextPN <= 1<<32 {
				t.Errorf("the engine expects packet number %d: it did not follow over 2^32", s.RxSCs[0].SAs[0].NextPN)
			}
			e.lossless()
		})
	}
	t.Run("rollover", func(t *testing.T) { rollover(t, b, h, p, link) })
	t.Run("wrong key", func(t *testing.T) { wrongKey(t, h, p, link) })
	t.Run("cleartext", func(t *testing.T) { cleartext(t, h, p, link) })
	t.Run("attacks", func(t *testing.T) { attacks(t, b, h, p, link) })
	p.must(t, "ip link del vx0")
}

// protectedTraffic pings both ways with packets of all lengths around the border
// of short frames (48 octets of secure data, so 18 of ICMP payload) and full
// ones. ARP is a short frame too.
func protectedTraffic(t *testing.T, h, p shell, mtu int) {
	t.Helper()
	h.must(t, "ip neigh flush dev eth0")
	p.must(t, "ip neigh flush dev ms0")
	if err := errors.Join(h.reach(far4), h.reach(far6)); err != nil {
		t.Fatal(err)
	}
	for _, run := range []struct {
		what string
		err  error
	}{
		{"short packets", h.ping(far4, "-s 0")},
		{"17", h.ping(far4, "-s 17")},
		{"18", h.ping(far4, "-s 18")},
		{"19", h.ping(far4, "-s 19")},
		{"full packets", h.ping(far4, fmt.Sprintf("-M do -s %d", mtu-28))},
		{"full IPv6 packets", h.ping(far6, fmt.Sprintf("-M do -s %d", mtu-48))},
		{"short packets of the kernel", p.ping(host4, "-s 0")},
		{"full packets of the kernel", p.ping(host4, fmt.Sprintf("-M do -s %d", mtu-28))},
		{"full IPv6 packets of the kernel", p.ping(host6, fmt.Sprintf("-M do -s %d", mtu-48))},
	} {
		if run.err != nil {
			t.Errorf("%s: %v", run.what, run.err)
		}
	}
}

// rollover changes the keys of both directions while pings flow: receivers
// first, then senders, then the old keys go. No ping is lost.
func rollover(t *testing.T, b *bed, h, p shell, link linker) {
	b = b.with(t)
	k := newKeys(config.GCMAES128, true)
	e := link(t, k, k)
	if err := h.reach(far4); err != nil {
		t.Fatal(err)
	}
	flood := h.keepPinging(t, far4, "0.005", "rollover")
	rest := func() { time.Sleep(300 * time.Millisecond) }
	ref := func(d status.Direction, an uint8) status.SARef {
		r := status.SARef{VNI: testVNI, Direction: d, AN: an}
		if d == status.Rx {
			r.SCI = peerSCI
		}
		return r
	}
	install := func(d status.Direction, an uint8, sak string) {
		t.Helper()
		if err := e.api.InstallSA(e.call(), status.SA{SARef: ref(d, an), KeyFile: k.sa(b, an, sak).KeyFile}); err != nil {
			t.Fatal(err)
		}
	}
	// Three times, so that the ANs 0 to 3 were all in use.
	for old := range uint8(3) {
		an := old + 1
		rest()
		install(status.Rx, an, k.peer[an])
		p.must(t, k.rxSA(int(an)))
		rest()
		install(status.Tx, an, k.leaf[an])
		if err := e.api.UseAN(e.call(), testVNI, an); err != nil {
			t.Fatal(err)
		}
		p.must(t, k.txSA(int(an))+fmt.Sprintf("ip link set ms0 type macsec encodingsa %d", an))
		// What was sent under the old keys has been received when what is sent now is
		// answered, both ways.
		if err := errors.Join(h.ping(far4, ""), p.ping(host4, "")); err != nil {
			t.Error(err)
		}
		for _, d := range []status.Direction{status.Tx, status.Rx} {
			if err := e.api.RemoveSA(e.call(), ref(d, old)); err != nil {
				t.Error(err)
			}
		}
		p.must(t, fmt.Sprintf("ip macsec set ms0 tx sa %d off; ip macsec del ms0 tx sa %d\n", old, old)+
			fmt.Sprintf("ip macsec set ms0 rx sci %s sa %d off; ip macsec del ms0 rx sci %s sa %d", leafSCI, old, leafSCI, old))
	}
	rest()
	flood.lossless(t)
	s := e.secy()
	if s.TxAN != 3 || len(s.TxSAs) != 1 || s.TxSAs[0].OutPkts == 0 || len(s.RxSCs[0].SAs) != 1 || s.RxSCs[0].SAs[0].NextPN < 10 {
		t.Errorf("after it: %+v", s)
	}
	if out := p.must(t, "ip macsec show ms0"); !strings.Contains(out, "TXSC: "+peerSCI.String()+" on SA 3") {
		t.Errorf("the kernel does not use AN 3:\n%s", out)
	}
	clean(t, "engine", counts(s), "InPktsOK")
	clean(t, "kernel", kernelCounts(t, p), "InPktsOK")
	e.lossless()
}

// wrongKey: with a key that the other end does not have nothing passes, and
// each receiver says why.
func wrongKey(t *testing.T, h, p shell, link linker) {
	for _, end := range []string{"engine", "kernel"} {
		t.Run("receiver is the "+end, func(t *testing.T) {
			k := newKeys(config.GCMAES128, true)
			wrong := *k
			if end == "engine" {
				wrong.peer[0] = random(16)
			} else {
				wrong.leaf[0] = random(16)
			}
			e := link(t, k, &wrong)
			if err := h.silence(far4); err != nil {
				t.Error(err)
			}
			if err := p.silence(host4); err != nil {
				t.Error(err)
			}
			got := counts(e.secy())
			if end == "kernel" {
				got = kernelCounts(t, p)
			} else if n := e.drops()["macsec-not-valid"]; n == 0 {
				t.Errorf("macsec-not-valid was not counted: %v", e.drops())
			}
			if got["InPktsNotValid"] == 0 || got["InPktsOK"] > 0 {
				t.Errorf("%s: %v", end, got)
			}
		})
	}
}

// cleartext: the VNI is protected, and the kernel sends on the bare vxlan device.
func cleartext(t *testing.T, h, p shell, link linker) {
	k := newKeys(config.GCMAES256, true)
	e := link(t, k, k)
	p.must(t, "ip link del ms0\n"+addresses("vx0"))
	if err := p.silence(host4); err != nil {
		t.Error(err)
	}
	if d := e.drops(); d["macsec-untagged"] == 0 {
		t.Errorf("macsec-untagged was not counted: %v", d)
	}
	if c := counts(e.secy()); c["InPktsNoTag"] == 0 {
		t.Errorf("engine: %v", c)
	}
	if err := h.silence(far4); err != nil {
		t.Error(err)
	}
}
