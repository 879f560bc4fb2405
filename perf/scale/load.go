package scale

import (
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ztos/ztos/config"
)

// Load is a configuration of one node by its size. The zero value is a leaf
// with nothing on it.
type Load struct {
	VNIs  int // bridge domains, each with one attachment circuit
	VTEPs int // remote VTEPs of each bridge domain
	// SAs says that bridge domains are protected: one transmit SA each and one
	// receive SA for each remote VTEP.
	SAs   bool
	Peers int // WireGuard peers; at least one, over which all VTEPs are reached
	// Liveness is the interval of the peers' failure detection; 0 is off.
	Liveness time.Duration
}

// vlansPerPort is how many circuits a port of a Load gets: all that 802.1Q has.
const vlansPerPort = 4094

// Site is a folder with a Load's documents and keys.
type Site struct {
	Dir  string
	Load Load
}

// Addresses of a Load: the node, its listening port, its first VNI.
const (
	nodeAddress = "10.255.0.1"
	listenPort  = 51820
	firstVNI    = 10000
)

// NewSite writes the keys of l into dir, which it makes.
func NewSite(dir string, l Load) (*Site, error) {
	if err := os.MkdirAll(filepath.Join(dir, "keys"), 0o700); err != nil {
		return nil, fmt.Errorf("scale: %w", err)
	}
	s := &Site{Dir: dir, Load: l}
	if err := s.write("keys/wg.key", base64.StdEncoding.EncodeToString(privateKey(0))); err != nil {
		return nil, err
	}
	if !l.SAs {
		return s, nil
	}
	for v := range l.VNIs {
		for c := range l.VTEPs + 1 {
			sak := sha256.Sum256(fmt.Appendf(nil, "sak %d %d", v, c))
			if err := s.write(s.sak(v, c), hex.EncodeToString(sak[:])); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// write makes a key file, unless a former Site of the folder has it.
func (s *Site) write(name, line string) error {
	path := filepath.Join(s.Dir, name)
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(path, []byte(line+"\n"), 0o600); err != nil {
		return fmt.Errorf("scale: %w", err)
	}
	return nil
}

func (s *Site) sak(vni, channel int) string { return fmt.Sprintf("keys/%d.%d.sak", vni, channel) }

// Socket returns the path of the engine's API.
func (s *Site) Socket() string { return filepath.Join(s.Dir, "sock") }

// privateKey returns the WireGuard key of the node, 0, or of a peer, from 1.
func privateKey(i int) []byte {
	k := sha256.Sum256(fmt.Appendf(nil, "wireguard %d", i))
	return k[:]
}

func publicKey(i int) config.PublicKey {
	k, err := ecdh.X25519().NewPrivateKey(privateKey(i))
	if err != nil {
		panic(err) // any 32 bytes are a key
	}
	return config.PublicKey(k.PublicKey().Bytes())
}

// vtep returns the address of remote VTEP i of 0 to 65533.
func vtep(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 200, byte((i + 1) >> 8), byte(i + 1)})
}

// Document returns the node's configuration. changed gives bridge domain 0
// another ageing time for each value of it: the smallest change there is.
func (s *Site) Document(changed int) []byte {
	var b strings.Builder
	l := s.Load
	fmt.Fprintf(&b, "node: {name: scale, roles: [leaf, spine], address: %s, state-dir: %s/state}\n", nodeAddress, s.Dir)
	fmt.Fprintf(&b, "api: {socket: %s, metrics: 127.0.0.1:9464}\n", s.Socket())
	fmt.Fprintf(&b, "underlay: {listen: \"127.0.0.1:%d\", source-ports: 0}\nhost: {mode: none}\n", listenPort)
	fmt.Fprintf(&b, "wireguard: {private-key-file: %s/keys/wg.key}\npeers:\n", s.Dir)
	for i := range max(1, l.Peers) {
		key, _ := publicKey(i + 1).MarshalText() // never fails
		fmt.Fprintf(&b, "- name: peer-%d\n  public-key: %s\n  allowed-ips: [%s/32", i, key, vtep(i))
		if i == 0 {
			b.WriteString(", 10.200.0.0/16")
		}
		b.WriteString("]\n")
		if l.Liveness > 0 {
			fmt.Fprintf(&b, "  liveness: {interval: %v, multiplier: 20}\n", l.Liveness)
		}
	}
	b.WriteString("vrfs:\n- {name: all, vnis: [1], vteps: [10.255.0.1]}\nports:\n")
	for p := range (l.VNIs + vlansPerPort - 1) / vlansPerPort {
		fmt.Fprintf(&b, "- {name: t%d, kind: tap, device: scale%d}\n", p, p)
	}
	b.WriteString("bridge-domains:\n")
	for v := range l.VNIs {
		s.domain(&b, v, changed)
	}
	return []byte(b.String())
}

func (s *Site) domain(b *strings.Builder, v, changed int) {
	fmt.Fprintf(b, "- vni: %d\n  attach:\n  - {port: t%d, vlan: %d}\n  vteps: [", firstVNI+v, v/vlansPerPort, v%vlansPerPort+1)
	for i := range s.Load.VTEPs {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(vtep(s.remote(v, i)).String())
	}
	b.WriteString("]\n")
	if v == 0 && changed > 0 {
		fmt.Fprintf(b, "  ageing: %ds\n", 300+changed)
	}
	if !s.Load.SAs {
		b.WriteString("  protection: none\n")
		return
	}
	fmt.Fprintf(b, "  macsec:\n    tx: {sci: \"0a%06x00000001\", sas: [{an: 0, key-file: %s/%s}]}\n    peers:\n", v, s.Dir, s.sak(v, 0))
	for i := range s.Load.VTEPs {
		fmt.Fprintf(b, "    - vtep: %s\n      sci: \"0b%06x%08x\"\n      sas:\n      - {an: 0, key-file: %s/%s}\n",
			vtep(s.remote(v, i)), v, i+1, s.Dir, s.sak(v, i+1))
	}
}

// remote returns the number of the VTEP that is bridge domain v's i-th: domains
// spread over the peers.
func (s *Site) remote(v, i int) int { return (v + i) % max(s.Load.Peers, s.Load.VTEPs, 1) }
