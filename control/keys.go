package control

import (
	"fmt"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/crypto/secret"
)

// keyring is the key material that a configuration names, read from its files.
type keyring struct {
	private secret.Key32            // WireGuard; invalid without WireGuard peers
	psk     map[string]secret.Key32 // by peer name
	sak     map[string]secret.Key   // by file
	salt    map[string]secret.Key   // by file
	bgp     map[string]secret.Key   // passwords of sessions, by name; not wiped: the speaker keeps them
	bfd     map[string]secret.Key   // keys of sessions, by name; not wiped: the service keeps them
	outside map[string]secret.Key   // passwords of routers outside the fabric, by file; not wiped: the stacks keep them
}

// saltLen is the salt of an XPN suite, bytes (IEEE 802.1AEbw; known second-hand).
const saltLen = 12

// loadKeys reads every key file that n names and returns all faults at once.
func loadKeys(n *config.Node) (*keyring, config.Faults) {
	k := newKeyring()
	var faults config.Faults
	fault := func(path string, err error) {
		faults = append(faults, config.Fault{Path: path, Problem: err.Error()})
	}
	if n.WireGuard.PrivateKeyFile != "" {
		key, err := secret.LoadBase64(n.WireGuard.PrivateKeyFile)
		if err != nil {
			fault("wireguard.private-key-file", err)
		}
		k.private = key
	}
	for i := range n.Peers {
		p := &n.Peers[i]
		if p.PresharedKeyFile == "" {
			continue
		}
		key, err := secret.LoadBase64(p.PresharedKeyFile)
		if err != nil {
			fault(fmt.Sprintf("peers[%d].preshared-key-file", i), err)
			continue
		}
		k.psk[p.Name] = key
	}
	k.loadBGP(n.BGP, fault)
	k.loadBFD(n.BFD, fault)
	k.loadExternals(n.VRFs, fault)
	for i := range n.BridgeDomains {
		k.loadDomain(&n.BridgeDomains[i], i, fault)
	}
	return k, faults
}

func newKeyring() *keyring {
	return &keyring{psk: map[string]secret.Key32{}, sak: map[string]secret.Key{}, salt: map[string]secret.Key{}, bgp: map[string]secret.Key{}, bfd: map[string]secret.Key{}, outside: map[string]secret.Key{}}
}

// loadDomain reads the key files of bridge domain i.
func (k *keyring) loadDomain(bd *config.BridgeDomain, i int, fault func(string, error)) {
	m := bd.MACsec
	if m == nil {
		return
	}
	at := fmt.Sprintf("bridge-domains[%d].macsec", i)
	k.loadSAs(at+".tx", m.Cipher, m.Tx.SAs, fault)
	for j := range m.Peers {
		k.loadSAs(fmt.Sprintf("%s.peers[%d]", at, j), m.Cipher, m.Peers[j].SAs, fault)
	}
}

func (k *keyring) loadSAs(at string, c config.Cipher, sas []config.SA, fault func(string, error)) {
	for i := range sas {
		sa := &sas[i]
		if _, done := k.sak[sa.KeyFile]; !done {
			key, err := secret.LoadHex(sa.KeyFile, c.KeyLen())
			if err != nil {
				fault(fmt.Sprintf("%s.sas[%d].key-file", at, i), err)
				continue
			}
			k.sak[sa.KeyFile] = key
		}
		if sa.SaltFile == "" {
			continue
		}
		if _, done := k.salt[sa.SaltFile]; !done {
			salt, err := secret.LoadHex(sa.SaltFile, saltLen)
			if err != nil {
				fault(fmt.Sprintf("%s.sas[%d].salt-file", at, i), err)
				continue
			}
			k.salt[sa.SaltFile] = salt
		}
	}
}

// wipe overwrites all keys. The crypto objects made from them keep their own
// expanded form until they are retired (wipeRetired).
func (k *keyring) wipe() {
	k.private.Wipe()
	for _, m := range []map[string]secret.Key{k.sak, k.salt} {
		for _, key := range m {
			key.Wipe()
		}
	}
	for _, key := range k.psk {
		key.Wipe()
	}
}
