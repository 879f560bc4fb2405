package wireguard_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun/tuntest"

	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/wireguard"
	"github.com/ztos/ztos/wireguard/noise"
)

// The peer in these tests is wireguard-go's device, on its real clock, with a
// channel as its TUN. Our side is one Node with a control goroutine and two
// workers, as the engine has them.

// innerOurs and innerTheirs are the addresses inside the tunnel.
var (
	innerOurs   = netip.MustParseAddr("10.0.0.1")
	innerTheirs = netip.MustParseAddr("10.0.0.2")
)

// datagram is one UDP payload and the address of the other side.
type datagram struct {
	peer netip.AddrPort
	b    []byte
}

// wire is what our side sends to and receives from.
type wire interface {
	send(to netip.AddrPort, b []byte)
	recv() (datagram, bool) // false once closed
	close()
}

// memBind is a conn.Bind for wireguard-go, and a wire for us: two channels. src
// is where our datagrams come from and theirs is where its own do; both may
// change while it runs. It loses nothing: a full channel blocks.
type memBind struct {
	toThem, toUs chan datagram
	closed       chan struct{}
	once         sync.Once

	mu           sync.Mutex // guards what follows
	ours, theirs netip.AddrPort
	lastTo       netip.AddrPort // where it last sent to
	stop         chan struct{}  // ends the receive function that is open; nil when none is
	tap          func(outgoing bool, b []byte)
}

func newMemBind(ours, theirs netip.AddrPort) *memBind {
	return &memBind{
		toThem: make(chan datagram, 4096), toUs: make(chan datagram, 4096), closed: make(chan struct{}),
		ours: ours, theirs: theirs,
	}
}

func (m *memBind) send(_ netip.AddrPort, b []byte) {
	m.mu.Lock()
	src := m.ours
	m.mu.Unlock()
	m.sendFrom(src, b)
}

func (m *memBind) sendFrom(src netip.AddrPort, b []byte) {
	m.watch(true, b)
	select {
	case m.toThem <- datagram{src, append([]byte(nil), b...)}:
	case <-m.closed:
	}
}

func (m *memBind) watch(outgoing bool, b []byte) {
	m.mu.Lock()
	tap := m.tap
	m.mu.Unlock()
	if tap != nil {
		tap(outgoing, b)
	}
}

func (m *memBind) recv() (datagram, bool) {
	select {
	case d := <-m.toUs:
		return d, true
	case <-m.closed:
		return datagram{}, false
	}
}

func (m *memBind) close() { m.once.Do(func() { close(m.closed) }) }

func (m *memBind) set(ours, theirs netip.AddrPort) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ours, m.theirs = ours, theirs
}

func (m *memBind) sentTo() netip.AddrPort {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lastTo
}

// Open and the methods below are conn.Bind's. The device opens the bind anew when
// its configuration changes, so closing it only ends the receive function.
func (m *memBind) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	stop := make(chan struct{})
	m.mu.Lock()
	m.stop = stop
	m.mu.Unlock()
	return []conn.ReceiveFunc{func(bufs [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
		select {
		case d := <-m.toThem:
			sizes[0], eps[0] = copy(bufs[0], d.b), memEndpoint(d.peer)
			return 1, nil
		case <-stop:
			return 0, net.ErrClosed
		}
	}}, port, nil
}

func (m *memBind) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stop != nil {
		close(m.stop)
		m.stop = nil
	}
	return nil
}

func (m *memBind) Send(bufs [][]byte, ep conn.Endpoint) error {
	m.mu.Lock()
	src := m.theirs
	m.lastTo = netip.AddrPort(ep.(memEndpoint))
	m.mu.Unlock()
	for _, b := range bufs {
		m.watch(false, b)
		select {
		case m.toUs <- datagram{src, append([]byte(nil), b...)}:
		case <-m.closed:
			return net.ErrClosed
		}
	}
	return nil
}

func (m *memBind) SetMark(uint32) error { return nil }
func (m *memBind) BatchSize() int       { return 1 }
func (m *memBind) ParseEndpoint(s string) (conn.Endpoint, error) {
	a, err := netip.ParseAddrPort(s)
	return memEndpoint(a), err
}

type memEndpoint netip.AddrPort

func (e memEndpoint) ClearSrc()           {}
func (e memEndpoint) SrcToString() string { return "" }
func (e memEndpoint) DstToString() string { return netip.AddrPort(e).String() }
func (e memEndpoint) DstToBytes() []byte  { b, _ := netip.AddrPort(e).MarshalBinary(); return b }
func (e memEndpoint) DstIP() netip.Addr   { return netip.AddrPort(e).Addr() }
func (e memEndpoint) SrcIP() netip.Addr   { return netip.Addr{} }

// udpWire is a loopback socket.
type udpWire struct{ c *net.UDPConn }

func (u udpWire) send(to netip.AddrPort, b []byte) { u.c.WriteToUDPAddrPort(b, to) } //nolint:errcheck // a lost datagram
func (u udpWire) close()                           { u.c.Close() }
func (u udpWire) recv() (datagram, bool) {
	b := make([]byte, 65536)
	n, src, err := u.c.ReadFromUDPAddrPort(b)
	if err != nil {
		return datagram{}, false
	}
	return datagram{netip.AddrPortFrom(src.Addr().Unmap(), src.Port()), b[:n]}, true
}

// ours is our side, running.
type ours struct {
	t     *testing.T
	node  *wireguard.Node
	peer  *wireguard.Peer
	w     wire
	start time.Time

	mu      sync.Mutex // control: one goroutine at a time
	wake    chan struct{}
	stop    chan struct{}
	wg      sync.WaitGroup
	packets chan []byte // inner packets received
	drops   [counter.NumReasons]atomic.Uint64
	lost    atomic.Uint64 // packets that could not be sealed
	kept    atomic.Uint64 // keepalives received
}

func (o *ours) now() int64 { return int64(time.Since(o.start)) + 1 }

// control calls f as the control goroutine and sends what it returns.
func (o *ours) control(f func(now int64) []wireguard.Out) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range f(o.now()) {
		o.w.send(m.To.Addr, m.Msg)
	}
}

// controlLoop is the engine's control loop in small.
func (o *ours) controlLoop() {
	for {
		var d int64
		o.control(func(now int64) []wireguard.Out {
			out := o.node.Tick(now)
			d = o.node.NextDeadline(now) - now
			return out
		})
		select {
		case <-o.wake:
		case <-time.After(time.Duration(max(d, int64(time.Millisecond)))):
		case <-o.stop:
			return
		}
	}
}

func (o *ours) worker() {
	for {
		d, ok := o.w.recv()
		if !ok {
			return
		}
		o.receive(d)
	}
}

func (o *ours) receive(d datagram) {
	if noise.Classify(d.b) != noise.TypeData {
		o.control(func(now int64) []wireguard.Out { return o.node.HandleMessage(now, d.peer, d.b) })
		o.poke()
		return
	}
	s := o.node.Sessions().Lookup(noise.Data(d.b).Receiver())
	if s == nil {
		o.drops[counter.WGUnknownIndex].Add(1)
		return
	}
	now, n := o.now(), len(d.b)
	plain, r := s.Open(d.b, now)
	if r != counter.None {
		o.drops[r].Add(1)
		return
	}
	p := s.Peer()
	p.Received(now, s, d.peer, 1, uint64(n), len(plain) > 0)
	if len(plain) == 0 {
		o.kept.Add(1)
		return
	}
	in, r := wireguard.Inner(plain)
	if r == counter.None && !p.AllowedIPs().AllowsSource(in) {
		r = counter.WGNotAllowedIP
	}
	if r != counter.None {
		o.drops[r].Add(1)
		return
	}
	select {
	case o.packets <- append([]byte(nil), in...):
	case <-o.stop:
	}
}

func (o *ours) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// send seals one packet and sends it; false when there is no session.
func (o *ours) send(packet []byte) bool {
	now := o.now()
	s, c, r := o.peer.Reserve(now, 1)
	if r != counter.None {
		o.lost.Add(1)
		return false
	}
	slot := make([]byte, wireguard.SealedLen(len(packet), 1420))
	copy(slot[wireguard.HeaderSize:], packet)
	n := s.Seal(slot, c, len(packet), 1420)
	o.w.send(o.peer.Endpoint().Addr, slot[:n])
	o.peer.Sent(now, s, 1, uint64(n), true)
	return true
}

// lab is our side and a wireguard-go device.
type lab struct {
	*ours
	dev    *device.Device
	tun    *tuntest.ChannelTUN
	theirs netip.AddrPort
	bind   *memBind // nil with real sockets
	key    noise.PublicKey
}

// labConfig says how a lab is made. Zero: in memory, IPv4, no preshared key,
// whitepaper timers, only wireguard-go knows an endpoint.
type labConfig struct {
	udp     string // "127.0.0.1" or "::1": real sockets
	psk     bool
	params  wireguard.Params
	peer    func(*wireguard.PeerConfig)
	uapi    string // more lines for wireguard-go's peer
	weStart bool   // we know the endpoint and they do not
}

func newLab(t *testing.T, c labConfig) *lab {
	t.Helper()
	l := &lab{ours: &ours{
		t: t, start: time.Now(), wake: make(chan struct{}, 1), stop: make(chan struct{}), packets: make(chan []byte, 65536),
	}}
	ourKey, theirKey, psk := newKey(t), newKey(t), newKey(t)
	if !c.psk {
		psk = secret.New32(new([32]byte))
	}
	theirPub, err := noise.PublicOf(theirKey)
	if err != nil {
		t.Fatal(err)
	}
	l.key = theirPub
	l.node, err = wireguard.NewNode(wireguard.Config{Private: ourKey, Wall: time.Now, Params: c.params, Wake: l.poke})
	if err != nil {
		t.Fatal(err)
	}

	var bind conn.Bind
	var ourAddr netip.AddrPort
	if c.udp != "" {
		u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(c.udp), 0)))
		if err != nil {
			t.Fatal(err)
		}
		l.w, bind = udpWire{u}, conn.NewDefaultBind()
		ourAddr = u.LocalAddr().(*net.UDPAddr).AddrPort()
	} else {
		ourAddr, l.theirs = addrA, addrC
		l.bind = newMemBind(ourAddr, l.theirs)
		l.w, bind = l.bind, l.bind
	}

	l.tun = tuntest.NewChannelTUN()
	l.dev = device.NewDevice(l.tun.TUN(), bind, device.NewLogger(device.LogLevelError, "wireguard-go: "))
	ourPub := l.node.PublicKey()
	uapi := fmt.Sprintf("private_key=%x\nlisten_port=0\npublic_key=%x\nallowed_ip=%v/32\n", theirKey.Bytes(), ourPub[:], innerOurs)
	if c.psk {
		uapi += fmt.Sprintf("preshared_key=%x\n", psk.Bytes())
	}
	if !c.weStart {
		uapi += fmt.Sprintf("endpoint=%v\n", ourAddr)
	}
	if err := l.dev.IpcSet(uapi + c.uapi); err != nil {
		t.Fatal(err)
	}
	if err := l.dev.Up(); err != nil {
		t.Fatal(err)
	}
	if c.udp != "" {
		l.theirs = netip.AddrPortFrom(netip.MustParseAddr(c.udp), l.port())
	}

	pc := wireguard.PeerConfig{PublicKey: theirPub, AllowedIPs: []netip.Prefix{netip.PrefixFrom(innerTheirs, 32)}}
	if c.psk {
		pc.PSK = psk
	}
	if c.weStart {
		pc.Endpoint = l.theirs
	}
	if c.peer != nil {
		c.peer(&pc)
	}
	if l.peer, err = l.node.AddPeer(l.now(), pc); err != nil {
		t.Fatal(err)
	}
	l.wg.Go(l.controlLoop)
	for range 2 {
		l.wg.Go(l.worker)
	}
	t.Cleanup(func() {
		close(l.stop)
		l.w.close()
		l.wg.Wait()
		l.dev.Close()
	})
	return l
}

// port asks wireguard-go which port it got.
func (l *lab) port() uint16 {
	l.t.Helper()
	s, err := l.dev.IpcGet()
	if err != nil {
		l.t.Fatal(err)
	}
	var p uint16
	for i := 0; i+12 < len(s); i++ {
		if s[i:i+12] == "listen_port=" {
			fmt.Sscanf(s[i+12:], "%d", &p) //nolint:errcheck // p stays 0
		}
	}
	return p
}

// packet returns an inner packet of n bytes with a sequence number.
func packet(src, dst netip.Addr, n int, seq uint32) []byte {
	b := ipv4(max(n, 24), src)
	copy(b[16:20], dst.AsSlice())
	binary.BigEndian.PutUint32(b[20:], seq)
	return b
}

// waitFor waits until ok, at most 10 s.
func (l *lab) waitFor(what string, ok func() bool) {
	l.t.Helper()
	for range 5000 {
		if ok() {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	l.t.Fatalf("timed out: %s; drops %v", what, l.dropped())
}

// toThem sends one packet from us, again until it arrives once a session is there.
func (l *lab) toThem(n int, seq uint32) {
	l.t.Helper()
	want := packet(innerOurs, innerTheirs, n, seq)
	l.waitFor("a session", func() bool { return l.peer.Usable(l.now()) })
	l.send(want)
	l.expect(l.tun.Inbound, want)
}

// toUs sends one packet from wireguard-go.
func (l *lab) toUs(n int, seq uint32) {
	l.t.Helper()
	want := packet(innerTheirs, innerOurs, n, seq)
	l.tun.Outbound <- want
	l.expect(l.packets, want)
}

func (l *lab) expect(ch chan []byte, want []byte) {
	l.t.Helper()
	select {
	case got := <-ch:
		if hex.EncodeToString(got) != hex.EncodeToString(want) {
			l.t.Fatalf("\n got %x\nwant %x", got, want)
		}
	case <-time.After(10 * time.Second):
		l.t.Fatalf("packet did not arrive; drops %v", l.dropped())
	}
}

// dropped returns what our workers dropped, by reason.
func (l *lab) dropped() map[string]uint64 {
	m := map[string]uint64{}
	for r := range l.drops {
		if n := l.drops[r].Load(); n > 0 {
			m[counter.Reason(r).String()] = n
		}
	}
	return m
}

// count reads one of our stats.
func (l *lab) count(s wireguard.Stat) uint64 { return l.node.Count(s) }

// theirPeer is our entry in wireguard-go.
func (l *lab) theirPeer() *device.Peer {
	return l.dev.LookupPeer(device.NoisePublicKey(l.node.PublicKey()))
}
