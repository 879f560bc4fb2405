package fdio_test

import (
	"encoding/binary"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/port/fdio"
	"golang.org/x/sys/unix"
)

// pipe returns a handle on the read end of a pipe and its write end.
func pipe(t *testing.T) (*fdio.Handle, int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	h, err := fdio.New(p[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close(); unix.Close(p[1]) })
	return h, p[1]
}

// openFDs counts this process's descriptors.
func openFDs(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

func TestWaitSeesData(t *testing.T) {
	h, w := pipe(t)
	if _, ok := h.Enter(); !ok {
		t.Fatal("Enter refused an open handle")
	}
	defer h.Leave()
	if r := h.Wait(unix.POLLIN, time.Millisecond); r != 0 {
		t.Errorf("Wait on an empty pipe = %#x, want 0", r)
	}
	unix.Write(w, []byte{1})
	if r := h.Wait(unix.POLLIN, time.Second); r&unix.POLLIN == 0 {
		t.Errorf("Wait with a byte in the pipe = %#x, want POLLIN", r)
	}
}

// TestCloseWakes: a Wait of a minute ends when the handle is closed, and the
// waiter is the one who frees.
func TestCloseWakes(t *testing.T) {
	before := openFDs(t)
	h, w := pipe(t)
	inside, left := make(chan bool), make(chan bool)
	go func() {
		h.Enter()
		close(inside)
		h.Wait(unix.POLLIN, time.Minute)
		h.Leave()
		close(left)
	}()
	<-inside
	h.Close()
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Fatal("Close did not wake Wait")
	}
	if _, ok := h.Enter(); ok {
		t.Error("Enter lets somebody in after Close")
	}
	h.Close()
	unix.Close(w)
	if after := openFDs(t); after != before {
		t.Errorf("%d descriptors open, were %d", after, before)
	}
}

// TestReplaceWakes: the worker goes on with the new descriptor.
func TestReplaceWakes(t *testing.T) {
	h, _ := pipe(t)
	var p [2]int
	unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK)
	defer unix.Close(p[1])
	unix.Write(p[1], []byte{42})

	got := make(chan byte)
	go func() {
		for {
			fd, ok := h.Enter()
			if !ok {
				return
			}
			h.Wait(unix.POLLIN, time.Minute)
			b := make([]byte, 1)
			n, _ := fdio.Read(fd, b)
			h.Leave()
			if n == 1 {
				got <- b[0]
				return
			}
		}
	}()
	h.Replace(p[0])
	select {
	case b := <-got:
		if b != 42 {
			t.Errorf("read %d, want 42", b)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Replace did not wake Wait")
	}
}

// TestConcurrency: control closes and replaces while a worker goes in and out;
// run with -race. No descriptor may leak.
func TestConcurrency(t *testing.T) {
	before := openFDs(t)
	for range 50 {
		var p [2]int
		unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK)
		unix.Close(p[1])
		h, err := fdio.New(p[0])
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Add(2)
		go func() {
			defer wg.Done()
			for {
				if _, ok := h.Enter(); !ok {
					return
				}
				h.Leave()
			}
		}()
		go func() {
			defer wg.Done()
			for range 10 {
				var p [2]int
				unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK)
				unix.Close(p[1])
				h.Replace(p[0])
				h.With(func(fd int) { unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0) })
			}
			h.Close()
		}()
		wg.Wait()
	}
	if after := openFDs(t); after != before {
		t.Errorf("%d descriptors open, were %d", after, before)
	}
}

func TestTwoWorkersPanic(t *testing.T) {
	var g fdio.Gate
	g.Enter()
	defer func() {
		if recover() == nil {
			t.Error("a second Enter did not panic")
		}
	}()
	g.Enter()
}

func TestGate(t *testing.T) {
	var g fdio.Gate
	if free, busy := g.Shut(); !free || busy {
		t.Errorf("Shut of an idle gate = %v, %v, want true, false", free, busy)
	}
	if free, busy := g.Shut(); free || busy {
		t.Errorf("second Shut = %v, %v, want false, false", free, busy)
	}
	g = fdio.Gate{}
	g.Enter()
	if free, busy := g.Shut(); free || !busy {
		t.Errorf("Shut of a busy gate = %v, %v, want false, true", free, busy)
	}
	if !g.Leave() {
		t.Error("Leave after Shut does not free")
	}
	if g.Enter() {
		t.Error("Enter after Shut")
	}
}

// cmsg builds one control message.
func cmsg(level, typ int32, payload []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(payload)))
	binary.NativeEndian.PutUint64(b, uint64(unix.CmsgLen(len(payload))))
	binary.NativeEndian.PutUint32(b[8:], uint32(level))
	binary.NativeEndian.PutUint32(b[12:], uint32(typ))
	copy(b[16:], payload)
	return b
}

func TestCmsg(t *testing.T) {
	two := append(cmsg(1, 2, []byte{1, 2, 3}), cmsg(17, 104, []byte{5, 6, 7, 8})...)
	for _, tt := range []struct {
		name string
		b    []byte
		n    int
		want byte
	}{
		{"second of two", two, 4, 5},
		{"alone", cmsg(17, 104, []byte{9, 0, 0, 0}), 4, 9},
		{"too short", cmsg(17, 104, []byte{9}), 4, 0},
		{"other", cmsg(17, 103, []byte{9, 0, 0, 0}), 4, 0},
		{"cut off", two[:20], 4, 0},
		{"empty", nil, 4, 0},
	} {
		p := fdio.Cmsg(tt.b, 17, 104, tt.n)
		if tt.want == 0 && p != nil || tt.want != 0 && (p == nil || p[0] != tt.want) {
			t.Errorf("%s: Cmsg = %v, want first byte %d", tt.name, p, tt.want)
		}
	}
}

// FuzzCmsg: what the kernel may never send must not panic either, and a payload
// is never shorter than asked for.
func FuzzCmsg(f *testing.F) {
	f.Add(cmsg(17, 104, []byte{1, 2, 3, 4}))
	f.Add(append(cmsg(1, 2, []byte{1}), cmsg(17, 104, []byte{1, 2, 3, 4})...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p := fdio.Cmsg(b, 17, 104, 4); p != nil && len(p) < 4 {
			t.Errorf("payload of %d bytes", len(p))
		}
	})
}

func TestNoAllocs(t *testing.T) {
	h, _ := pipe(t)
	b := make([]byte, 8)
	if n := testing.AllocsPerRun(100, func() {
		fd, _ := h.Enter()
		fdio.Read(fd, b)
		h.Wait(unix.POLLIN, 0)
		h.Leave()
	}); n != 0 {
		t.Errorf("%v allocations per burst, want 0", n)
	}
}
