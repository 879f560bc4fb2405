package pnstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// fileName is the store's file inside the state directory.
const fileName = "packet-numbers.json"

// document is the file's content.
type document struct {
	Version int               `json:"version"`
	Limits  map[string]uint64 `json:"limits"` // digest -> first PN never granted
}

// Store is the file of granted limits. Any goroutine.
type Store struct {
	path string

	mu     sync.Mutex
	limits map[string]uint64
}

// Open reads the store in dir, which it makes with mode 0700 when it is missing.
// A file that can't be read or parsed is an error, never an empty store: an
// empty store would let packet numbers begin again at 1.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("pnstore: %w", err)
	}
	s := &Store{path: filepath.Join(dir, fileName), limits: map[string]uint64{}}
	b, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("pnstore: %w", err)
	}
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("pnstore: %s is damaged (%w): replace every MACsec SAK that this node transmits with, then remove the file", s.path, err)
	}
	if d.Version != 1 {
		return nil, fmt.Errorf("pnstore: %s has version %d, want 1: it was written by a newer engine", s.path, d.Version)
	}
	for k, v := range d.Limits {
		s.limits[k] = v
	}
	return s, nil
}

// Limit returns the first packet number that was never granted under digest; 1
// for an unknown one.
func (s *Store) Limit(digest string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, ok := s.limits[digest]; ok {
		return l
	}
	return 1
}

// Raise puts limits on disk, synced, and returns when numbers below them may be
// used. A limit lower than the stored one is ignored. On an error nothing was
// raised and the numbers must not be used.
func (s *Store) Raise(limits map[string]uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(map[string]uint64, len(s.limits)+len(limits))
	for k, v := range s.limits {
		next[k] = v
	}
	changed := false
	for k, v := range limits {
		if v > next[k] {
			next[k] = v
			changed = true
		}
	}
	if !changed {
		return nil
	}
	b, err := json.Marshal(document{Version: 1, Limits: next})
	if err != nil {
		return fmt.Errorf("pnstore: %w", err)
	}
	if err := replace(s.path, b); err != nil {
		return fmt.Errorf("pnstore: %w", err)
	}
	s.limits = next
	return nil
}

// replace writes b beside path, syncs it, moves it over path and syncs the
// folder, so that path holds the old or the new content whatever happens.
func replace(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".pn-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(b); err != nil {
		f.Close()
		return err
	}
	if err = f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
