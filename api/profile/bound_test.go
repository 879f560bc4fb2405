package profile

import (
	"bytes"
	"testing"
)

// TestBoundWriter: it says once that it has enough, and loses nothing.
func TestBoundWriter(t *testing.T) {
	var out bytes.Buffer
	w := &boundWriter{to: &out, left: 10, full: make(chan struct{})}
	for i := range 5 {
		if n, err := w.Write(make([]byte, 4)); n != 4 || err != nil {
			t.Fatalf("write %d: %d, %v", i, n, err)
		}
		select {
		case <-w.full:
			if i < 2 {
				t.Errorf("full after %d bytes", out.Len())
			}
		default:
			if i >= 2 {
				t.Errorf("not full after %d bytes", out.Len())
			}
		}
	}
	if out.Len() != 20 {
		t.Errorf("%d bytes were kept, want 20", out.Len())
	}
}
