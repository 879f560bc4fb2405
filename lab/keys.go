package lab

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ztos/ztos/config"
)

// makeKeys writes every key file that the engine configurations of t name and
// that is not there yet into dir, mode 0600, and returns the WireGuard public keys
// by node. New keys are drawn from the system's random source.
func (t *Topology) makeKeys(dir string) (map[string]config.PublicKey, error) {
	public := map[string]config.PublicKey{}
	for i := range t.Nodes {
		n := &t.Nodes[i]
		if !n.Kind.Engine() {
			continue
		}
		k, err := identity(filepath.Join(dir, wireGuardKey(n.Name)))
		if err != nil {
			return nil, fmt.Errorf("lab: WireGuard key of %s: %w", n.Name, err)
		}
		public[n.Name] = config.PublicKey(k.PublicKey().Bytes())
		for _, nb := range t.neighbours(n.Name) {
			name := presharedKey(n.Name, nb.node.Name)
			if err := writeSecret(dir, name, base64.StdEncoding.EncodeToString(random(32))); err != nil {
				return nil, err
			}
		}
	}
	for _, tn := range t.Tenants {
		if tn.Protection != config.ProtectMACsec {
			continue
		}
		for _, leaf := range t.leaves(tn.Name) {
			for an := range tn.Keys {
				if err := writeSecret(dir, sak(tn.Name, leaf.Name, an), hex.EncodeToString(random(tn.Cipher.KeyLen()))); err != nil {
					return nil, err
				}
				if !tn.Cipher.XPN() {
					continue
				}
				if err := writeSecret(dir, salt(tn.Name, leaf.Name, an), hex.EncodeToString(random(12))); err != nil {
					return nil, err
				}
			}
		}
	}
	return public, nil
}

// identity reads the WireGuard private key in the file at path, or makes it.
func identity(path string) (*ecdh.PrivateKey, error) {
	line, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		k, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return k, writeSecret(filepath.Dir(path), filepath.Base(path), base64.StdEncoding.EncodeToString(k.Bytes()))
	}
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(line)))
	if err != nil {
		return nil, fmt.Errorf("%s: not base64", path) // the error would quote the key
	}
	return ecdh.X25519().NewPrivateKey(raw)
}

// random returns n random bytes.
func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails (crypto/rand)
	return b
}

// writeSecret writes one line into a new file of mode 0600; one that is there
// stays as it is.
func writeSecret(dir, name, line string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	_, err = f.WriteString(line + "\n")
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}
