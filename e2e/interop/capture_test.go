//go:build interop

package interop_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/ztos/ztos/lab/netplumb"
)

// watch is a tcpdump that writes what passes a device to a file.
type watch struct {
	*bed
	cmd  *exec.Cmd
	file string
	err  *limited
}

// watchLimit is the most packets that one watch keeps.
const watchLimit = "4000"

// watch starts a capture of at most watchLimit packets, and returns when it
// sees.
func (b *bed) watch(ns *netplumb.Namespace, dev, filter string) *watch {
	b.Helper()
	f, err := os.CreateTemp(b.dir, "*.pcap")
	b.must(err, f.Close())
	// Immediate mode, or the last second is lost; -Z, or tcpdump changes its
	// user and cannot write here.
	w := &watch{bed: b, file: f.Name(), err: &limited{},
		cmd: exec.Command("tcpdump", "-i", dev, "-n", "--immediate-mode", "-U", "-Z", "root", "-s", "0", "-c", watchLimit, "-w", f.Name(), filter)}
	w.cmd.Stderr = w.err
	b.must(netplumb.Start(ns.Name(), w.cmd))
	b.await("tcpdump", 10*time.Second, func() error {
		if !strings.Contains(w.err.String(), "listening on") {
			return errors.New(w.err.String())
		}
		return nil
	})
	return w
}

// stop ends the capture and returns its packets.
func (w *watch) stop() []gopacket.Packet {
	w.Helper()
	time.Sleep(100 * time.Millisecond)       // what the kernel still holds
	_ = w.cmd.Process.Signal(syscall.SIGINT) // at its limit it has ended by itself
	if err := w.cmd.Wait(); err != nil {
		w.Fatalf("tcpdump: %v\n%s", err, w.err)
	}
	f, err := os.Open(filepath.Clean(w.file))
	w.must(err)
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	w.must(err)
	var out []gopacket.Packet
	for {
		data, ci, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return out
		}
		w.must(err)
		p := gopacket.NewPacket(data, layers.LinkTypeEthernet, gopacket.Default)
		p.Metadata().CaptureInfo = ci
		out = append(out, p)
	}
}
