//go:build interop

package interop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ztos/ztos/e2e/guest"
	"github.com/ztos/ztos/perf/iperf"
)

// shell runs a script where a peer or a host is: in a namespace or in a guest.
// It returns what the script wrote.
type shell func(ctx context.Context, script string) (string, error)

// shellLimit bounds one script.
const shellLimit = 40 * time.Second

// inGuest returns a shell in a guest.
func inGuest(g *guest.Guest) shell { return g.RunContext }

// try runs a script.
func (s shell) try(script string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), shellLimit)
	defer cancel()
	return s(ctx, script)
}

// must runs a script that has to succeed, up to its first failing command.
func (s shell) must(t testing.TB, script string) string {
	t.Helper()
	out, err := s.try("set -e\n" + script)
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

// limited keeps the first MiB written to it. Any goroutine.
type limited struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *limited) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if room := 1<<20 - l.b.Len(); room > 0 {
		l.b.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

func (l *limited) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// pings is what a run of ping(8) saw.
type pings struct {
	sent int
	got  []int // sequence numbers answered, sorted
	dups int
	text string
}

var (
	pingSeq  = regexp.MustCompile(`bytes from .*icmp_seq=(\d+) `)
	pingSent = regexp.MustCompile(`(\d+) packets transmitted`)
)

// parsePing reads ping's output, which must not be of ping -q.
func parsePing(text string) pings {
	p := pings{text: text}
	for line := range strings.SplitSeq(text, "\n") {
		if m := pingSeq.FindStringSubmatch(line); m != nil {
			if strings.Contains(line, "(DUP!)") {
				p.dups++
				continue
			}
			n, _ := strconv.Atoi(m[1])
			p.got = append(p.got, n)
		}
		if m := pingSent.FindStringSubmatch(line); m != nil {
			p.sent, _ = strconv.Atoi(m[1])
		}
	}
	slices.Sort(p.got)
	return p
}

// lossless returns an error when a request was not answered, of those up to the
// last one that was, or when fewer than want were. What was sent after that one
// may be under way.
func (p pings) lossless(want int) error {
	var missing []int
	next := 1
	for _, n := range p.got {
		for ; next < n; next++ {
			missing = append(missing, next)
		}
		next = n + 1
	}
	switch {
	case len(missing) > 0:
		return fmt.Errorf("of %d requests these were not answered: %v\n%s", p.sent, missing, tail(p.text))
	case len(p.got) < max(want, 1):
		return fmt.Errorf("%d requests, %d answers, want %d\n%s", p.sent, len(p.got), want, tail(p.text))
	case p.dups > 0:
		return fmt.Errorf("%d answers came twice", p.dups)
	}
	return nil
}

func tail(s string) string { return s[max(0, len(s)-600):] }

// reach waits until addr answers, which fills neighbour tables and FDBs.
func (s shell) reach(addr string) error {
	// One by one: ping -w gives up when its own host cannot resolve addr.
	out, err := s.try("i=0; until ping -n -c 1 -W 1 " + addr + "; do i=$((i+1)); test $i -lt 20 || exit 1; sleep 0.1; done")
	if err != nil {
		return fmt.Errorf("%s does not answer: %w\n%s", addr, err, tail(out))
	}
	return nil
}

// ping sends requests until 10 are answered, and wants no other lost. Without
// -w it would give up on the last ones after twice the longest round trip so far.
func (s shell) ping(addr string, options string) error {
	out, _ := s.try("ping -n -c 10 -i 0.02 -w 5 " + options + " " + addr) // the summary says what the status says
	return parsePing(out).lossless(10)
}

// silence wants no answer to pings.
func (s shell) silence(addr string) error {
	out, err := s.try("ping -n -c 4 -i 0.1 -W 1 " + addr)
	if err == nil || len(parsePing(out).got) > 0 {
		return fmt.Errorf("%s answers, and should not\n%s", addr, out)
	}
	return nil
}

// pinging is a ping that goes on until it is stopped.
type pinging struct {
	done   chan struct{}
	out    string
	finish context.CancelFunc
	stopIt func() error
}

// keepPinging pings from a namespace or guest until stop, at most until the test
// ends. interval in seconds.
func (s shell) keepPinging(t *testing.T, addr, interval, tag string) *pinging {
	t.Helper()
	p := &pinging{done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	p.finish = cancel
	pid := fmt.Sprintf("/tmp/ztos-interop-ping-%d-%s", os.Getpid(), tag)
	t.Cleanup(func() { cancel(); <-p.done; os.Remove(pid) })
	// exec: the number in the file is ping's own.
	script := fmt.Sprintf("echo $$ > %s; exec ping -n -W 2 -i %s %s", pid, interval, addr)
	p.stopIt = func() error {
		_, err := s.try("kill -INT $(cat " + pid + "); rm -f " + pid)
		return err
	}
	go func() {
		p.out, _ = s(ctx, script) // its summary tells
		close(p.done)
	}()
	return p
}

// inFlight is how many requests of keepPinging may be under way when it is
// stopped: emulated machines answer late.
const inFlight = 100

// lossless stops the ping and wants every request answered.
func (p *pinging) lossless(t *testing.T) {
	t.Helper()
	got, err := p.stop()
	if err == nil {
		err = got.lossless(got.sent - inFlight)
	}
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d pings, %d answers", got.sent, len(got.got))
}

// stop interrupts the ping and returns what it saw.
func (p *pinging) stop() (pings, error) {
	defer p.finish()
	select {
	case <-p.done:
		return pings{}, fmt.Errorf("ping ended by itself:\n%s", tail(p.out))
	default:
	}
	if err := p.stopIt(); err != nil {
		return pings{}, err
	}
	select {
	case <-p.done:
		return parsePing(p.out), nil
	case <-time.After(10 * time.Second):
		return pings{}, errors.New("ping does not end")
	}
}

// serve starts an iperf3 server that ends with the namespace or guest.
func (s shell) serve(t testing.TB, bind string) {
	t.Helper()
	// It goes into the background before it listens: wait for port 0x1451.
	s.must(t, "iperf3 -s -D -B "+bind+" > /dev/null 2>&1\n"+
		"i=0; until grep -q ':1451 00000000:0000 0A' /proc/net/tcp; do i=$((i+1)); test $i -lt 200; sleep 0.05; done")
}

// tcp runs one TCP stream for a second from or, reversed, to the shell's place
// and returns the bytes that arrived.
func (s shell) tcp(addr string, reverse bool) (iperf.Result, error) {
	r := ""
	if reverse {
		r = " -R"
	}
	var res iperf.Result
	// A server listens again only some time after a test; who has connected while it
	// was about to close is reset.
	for range 10 {
		out, err := s.try("iperf3 -J -t 1 --connect-timeout 5000 -c " + addr + r)
		var perr error
		if res, perr = iperf.Parse([]byte(out)); perr == nil {
			return res, nil
		}
		again := func(what string) bool { return strings.Contains(perr.Error(), what) }
		if !again("refused") && !again("busy") && !again("control message: Connection reset") {
			return res, errors.Join(perr, err)
		}
		time.Sleep(300 * time.Millisecond)
	}
	return res, errors.New("iperf3: the server does not listen")
}

// stat reads columns of numbers under a line of names, as `ip -s macsec show`
// prints them, and sums each name over all of its lines.
func stat(text string) map[string]uint64 {
	out := map[string]uint64{}
	var names []string
	for line := range strings.SplitSeq(text, "\n") {
		words := strings.Fields(line)
		if i := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "InPkts") || strings.HasPrefix(w, "OutPkts") }); i >= 0 {
			names = words[i:]
			continue
		}
		if len(words) == len(names) {
			for i, w := range words {
				n, err := strconv.ParseUint(w, 10, 64)
				if err != nil {
					break
				}
				out[names[i]] += n
			}
		}
		names = nil
	}
	return out
}
