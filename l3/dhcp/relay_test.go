package dhcp_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l3/dhcp"
)

var (
	server4, server6   = netip.MustParseAddr("10.9.0.53"), netip.MustParseAddr("fd00:9::53")
	gateway4, gateway6 = netip.MustParseAddr("10.1.1.1"), netip.MustParseAddr("fd00:1::1")
	source4, source6   = netip.MustParseAddr("10.99.0.1"), netip.MustParseAddr("fd00:99::1")
	link               = netip.MustParseAddr("fe80::11")
)

const (
	clientMAC = table.MAC(0x020000000101)
	circuit   = table.ACID(7)
	room      = 1472
)

func config() dhcp.Config {
	return dhcp.Config{
		VNI: 10101, Gateway4: gateway4, Gateway6: gateway6, Source4: source4, Source6: source6,
		Servers: []netip.Addr{server4, server6}, Circuits: map[table.ACID]string{circuit: "ra1.7"}, RemoteID: "leaf1",
	}
}

func relayOf(t testing.TB, change func(*dhcp.Config)) *dhcp.Relay {
	t.Helper()
	c := config()
	if change != nil {
		change(&c)
	}
	r, err := dhcp.New(c, dhcp.NewState())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// message4 returns a message as gopacket writes it, a DISCOVER before change.
func message4(t testing.TB, change func(*layers.DHCPv4)) []byte {
	t.Helper()
	d := &layers.DHCPv4{
		Operation: layers.DHCPOpRequest, HardwareType: layers.LinkTypeEthernet, HardwareLen: 6, Xid: 0x1234, Secs: 3,
		ClientHWAddr: net.HardwareAddr{2, 0, 0, 0, 1, 1},
		Options: layers.DHCPOptions{
			layers.NewDHCPOption(layers.DHCPOptMessageType, []byte{byte(layers.DHCPMsgTypeDiscover)}),
			layers.NewDHCPOption(layers.DHCPOptHostname, []byte("ra1")),
		},
	}
	if change != nil {
		change(d)
	}
	d.Options = append(d.Options, layers.NewDHCPOption(layers.DHCPOptEnd, nil))
	buf := gopacket.NewSerializeBuffer()
	if err := d.SerializeTo(buf, gopacket.SerializeOptions{FixLengths: true}); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(buf.Bytes())
}

// read4 is what gopacket makes of a message.
func read4(t testing.TB, b []byte) *layers.DHCPv4 {
	t.Helper()
	d := &layers.DHCPv4{}
	if err := d.DecodeFromBytes(b, gopacket.NilDecodeFeedback); err != nil {
		t.Fatalf("%v: %x", err, b)
	}
	return d
}

func option4(d *layers.DHCPv4, code layers.DHCPOpt) []byte {
	for _, o := range d.Options {
		if o.Type == code {
			return o.Data
		}
	}
	return nil
}

func forward4(r *dhcp.Relay, m []byte) ([]byte, dhcp.Fault) {
	dst := make([]byte, len(m)+dhcp.MaxAdded)
	n, f := r.Forward4(dst, m, circuit, room, 1)
	return dst[:n], f
}

// TestForward4: what a server gets, read by another implementation.
func TestForward4(t *testing.T) {
	const plain = "\x01\x0b10101/ra1.7\x02\x05leaf1\x05\x04\x0a\x01\x01\x01"
	for _, tt := range []struct {
		name   string
		change func(*dhcp.Config)
		agent  string
	}{
		{"plain", nil, plain},
		{"override", func(c *dhcp.Config) { c.Override = true }, plain + "\x0b\x04\x0a\x01\x01\x01"},
		{"VNI alone", func(c *dhcp.Config) { c.Circuits, c.RemoteID = nil, "" }, "\x01\x0510101\x05\x04\x0a\x01\x01\x01"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := message4(t, nil)
			was := bytes.Clone(m)
			out, f := forward4(relayOf(t, tt.change), m)
			if f != dhcp.None {
				t.Fatal(f)
			}
			if !bytes.Equal(m, was) {
				t.Error("the message itself was changed")
			}
			d := read4(t, out)
			if !d.RelayAgentIP.Equal(source4.AsSlice()) || d.RelayHops != 1 || d.Xid != 0x1234 || d.Secs != 3 {
				t.Errorf("giaddr %v, hops %d, xid %#x, secs %d", d.RelayAgentIP, d.RelayHops, d.Xid, d.Secs)
			}
			if got := string(option4(d, 82)); got != tt.agent {
				t.Errorf("option 82 %q, want %q", got, tt.agent)
			}
			if got := string(option4(d, layers.DHCPOptHostname)); got != "ra1" {
				t.Errorf("host name %q", got)
			}
			if len(out) < 300 {
				t.Errorf("%d bytes, want 300", len(out))
			}
		})
	}
}

// overloaded puts options into sname, at 44, or file, at 108, and says so by option 52.
func overloaded(which byte, at int, options ...byte) func(*layers.DHCPv4) {
	return func(d *layers.DHCPv4) {
		d.Options = append(d.Options, layers.NewDHCPOption(52, []byte{which}))
		if at == 44 {
			d.ServerName = append(make([]byte, 0, 64), options...)
		} else {
			d.File = append(make([]byte, 0, 128), options...)
		}
	}
}

// TestForward4Refuses has a case for each reason.
func TestForward4Refuses(t *testing.T) {
	trusted := func(c *dhcp.Config) { c.Trusted = true }
	giaddr := func(a string) func(*layers.DHCPv4) {
		return func(d *layers.DHCPv4) { d.RelayAgentIP = net.ParseIP(a) }
	}
	typ := func(n byte) func(*layers.DHCPv4) {
		return func(d *layers.DHCPv4) { d.Options[0].Data = []byte{n} }
	}
	for _, tt := range []struct {
		name   string
		config func(*dhcp.Config)
		change func(*layers.DHCPv4)
		want   dhcp.Fault
	}{
		{"giaddr", nil, giaddr("10.1.1.9"), dhcp.ForgedRelay},
		{"giaddr, trusted", trusted, giaddr("10.1.1.9"), dhcp.None},
		{"the relay's own giaddr, trusted", trusted, giaddr("10.99.0.1"), dhcp.ForgedRelay},
		{"the gateway's giaddr, trusted", trusted, giaddr("10.1.1.1"), dhcp.ForgedRelay},
		{"option 82", trusted, func(d *layers.DHCPv4) {
			d.Options = append(d.Options, layers.NewDHCPOption(82, []byte{1, 1, 'x'}))
		}, dhcp.ForgedAgent},
		{"option 82 in file", nil, overloaded(1, 108, 12, 2, 'h', 'i', 82, 3, 1, 1, 'x', 255), dhcp.ForgedAgent},
		{"option 82 in sname", nil, overloaded(2, 44, 0, 82, 3, 1, 1, 'x', 255), dhcp.ForgedAgent},
		{"options in sname that do not end", nil, overloaded(3, 44, 12, 200), dhcp.ForgedAgent},
		{"other options in file", nil, overloaded(1, 108, 12, 2, 'h', 'i', 255, 82), dhcp.None},
		{"a file, and no options in it", nil, func(d *layers.DHCPv4) { copy(d.File, []byte{82, 3, 1, 1, 'x'}) }, dhcp.None},
		{"16 hops", nil, func(d *layers.DHCPv4) { d.RelayHops = 16 }, dhcp.None},
		{"17 hops", nil, func(d *layers.DHCPv4) { d.RelayHops = 17 }, dhcp.TooManyHops},
		{"BOOTREPLY", nil, func(d *layers.DHCPv4) { d.Operation = layers.DHCPOpReply }, dhcp.WrongType},
		{"an OFFER", nil, typ(2), dhcp.WrongType},
		{"an ACK", nil, typ(5), dhcp.WrongType},
		{"a REQUEST", nil, typ(3), dhcp.None},
		{"type 0", nil, typ(0), dhcp.Malformed},
		{"no type", nil, func(d *layers.DHCPv4) { d.Options = d.Options[1:] }, dhcp.Malformed},
		{"two types", nil, func(d *layers.DHCPv4) { d.Options = append(d.Options, d.Options[0]) }, dhcp.Malformed},
		{"not Ethernet", nil, func(d *layers.DHCPv4) { d.HardwareType = 6 }, dhcp.Malformed},
		{"a group's MAC", nil, func(d *layers.DHCPv4) { d.ClientHWAddr[0] = 1 }, dhcp.Malformed},
		{"too long", nil, func(d *layers.DHCPv4) {
			for range 5 {
				d.Options = append(d.Options, layers.NewDHCPOption(layers.DHCPOptVendorOption, make([]byte, 240)))
			}
		}, dhcp.TooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := relayOf(t, tt.config)
			_, f := forward4(r, message4(t, tt.change))
			if f != tt.want {
				t.Errorf("%v, want %v", f, tt.want)
			}
			recent := r.Recent()
			if tt.want == dhcp.Malformed {
				if len(recent) != 0 {
					t.Errorf("noted %+v", recent)
				}
			} else if len(recent) != 1 || recent[0].Fault != tt.want || recent[0].MAC != clientMAC || recent[0].Circuit != "10101/ra1.7" {
				t.Errorf("noted %+v", recent)
			}
		})
	}
}

// TestCutOff: a message that ends anywhere before its end is refused.
func TestCutOff(t *testing.T) {
	r := relayOf(t, nil)
	m := message4(t, nil)
	for n := range m[:slices.Index(m[240:], 255)+240] {
		if _, f := forward4(r, m[:n]); f != dhcp.Malformed {
			t.Errorf("%d of %d bytes: %v", n, len(m), f)
		}
	}
	six := message6(1)
	for n := range six {
		dst := make([]byte, 600)
		_, f := r.Forward6(dst, six[:n], link, clientMAC, circuit, room, 1)
		if whole := n == 4 || n == 12; (f == dhcp.None) != whole { // ends behind the header or an option
			t.Errorf("%d of %d bytes: %v", n, len(six), f)
		}
	}
}

// TestTrustedStaysAsItIs: what a relay relayed keeps its giaddr and option 82.
func TestTrustedStaysAsItIs(t *testing.T) {
	m := message4(t, func(d *layers.DHCPv4) {
		d.RelayAgentIP, d.RelayHops = net.IPv4(10, 1, 1, 9), 3
		d.Options = append(d.Options, layers.NewDHCPOption(82, []byte{1, 1, 'x'}))
	})
	out, f := forward4(relayOf(t, func(c *dhcp.Config) { c.Trusted = true }), m)
	if f != dhcp.None {
		t.Fatal(f)
	}
	if d := read4(t, out); !d.RelayAgentIP.Equal(net.IPv4(10, 1, 1, 9)) || d.RelayHops != 4 || string(option4(d, 82)) != "\x01\x01x" {
		t.Errorf("giaddr %v, hops %d, option 82 %q", d.RelayAgentIP, d.RelayHops, option4(d, 82))
	}
}

// reply4 is an OFFER to relayOf's relay before change.
func reply4(t testing.TB, change func(*layers.DHCPv4)) []byte {
	return message4(t, func(d *layers.DHCPv4) {
		d.Operation, d.YourClientIP, d.RelayAgentIP = layers.DHCPOpReply, net.IPv4(10, 1, 1, 101), net.IPv4(10, 99, 0, 1)
		d.Options[0].Data = []byte{2}
		d.Options = append(d.Options, layers.NewDHCPOption(82, []byte("\x01\x0510101\x05\x04\x0a\x01\x01\x01")))
		if change != nil {
			change(d)
		}
	})
}

// TestReturn4: the link of a reply, where it goes, and that option 82 is gone.
func TestReturn4(t *testing.T) {
	yours := netip.MustParseAddr("10.1.1.101")
	all := netip.MustParseAddr("255.255.255.255")
	for _, tt := range []struct {
		name   string
		change func(*layers.DHCPv4)
		from   netip.Addr
		link   dhcp.Fault
		want   dhcp.Fault
		to     netip.Addr
		mac    table.MAC
	}{
		{"offer", nil, server4, dhcp.None, dhcp.None, yours, clientMAC},
		{"broadcast", func(d *layers.DHCPv4) { d.Flags = 0x8000 }, server4, dhcp.None, dhcp.None, all, table.Broadcast},
		{"NAK", func(d *layers.DHCPv4) { d.Options[0].Data, d.YourClientIP = []byte{6}, nil }, server4, dhcp.None, dhcp.None, all, table.Broadcast},
		{"ACK of an INFORM", func(d *layers.DHCPv4) {
			d.Options[0].Data, d.YourClientIP, d.ClientIP = []byte{5}, nil, net.IPv4(10, 1, 1, 55)
		}, server4, dhcp.None, dhcp.None, netip.MustParseAddr("10.1.1.55"), clientMAC},
		{"no server", nil, netip.MustParseAddr("10.9.0.54"), dhcp.None, dhcp.NotServer, all, 0},
		{"a request", func(d *layers.DHCPv4) { d.Operation = layers.DHCPOpRequest }, server4, dhcp.WrongType, 0, all, 0},
		{"a DISCOVER", func(d *layers.DHCPv4) { d.Options[0].Data = []byte{1} }, server4, dhcp.WrongType, 0, all, 0},
		{"another relay's", func(d *layers.DHCPv4) { d.RelayAgentIP = net.IPv4(10, 99, 0, 2) }, server4, dhcp.NoLink, 0, all, 0},
		{"no option 82", func(d *layers.DHCPv4) { d.Options = d.Options[:2] }, server4, dhcp.NoLink, 0, all, 0},
		{"no link selection", func(d *layers.DHCPv4) { d.Options[2] = layers.NewDHCPOption(82, []byte{1, 1, 'x'}) }, server4, dhcp.NoLink, 0, all, 0},
		{"sub-option cut off", func(d *layers.DHCPv4) { d.Options[2] = layers.NewDHCPOption(82, []byte{5, 4, 10, 1}) }, server4, dhcp.NoLink, 0, all, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := reply4(t, tt.change)
			at, f := dhcp.Link4(m, source4)
			if f != tt.link {
				t.Fatalf("link: %v, want %v", f, tt.link)
			}
			if f != dhcp.None {
				return
			}
			if at != gateway4 {
				t.Errorf("link %v", at)
			}
			dst := make([]byte, len(m)+300)
			d, f := relayOf(t, nil).Return4(dst, m, tt.from)
			if f != tt.want {
				t.Fatalf("%v, want %v", f, tt.want)
			}
			if f != dhcp.None {
				return
			}
			if d.Addr != tt.to || d.MAC != tt.mac || d.Port != 68 {
				t.Errorf("to %+v", d)
			}
			back := read4(t, dst[:d.Len])
			if option4(back, 82) != nil || string(option4(back, layers.DHCPOptHostname)) != "ra1" || d.Len < 300 {
				t.Errorf("%d bytes: %v", d.Len, back.Options)
			}
		})
	}
}

// message6 returns a message of a type with a client id.
func message6(typ byte) []byte {
	return slices.Concat([]byte{typ, 1, 2, 3}, []byte{0, 8, 0, 4, 9, 9, 9, 9}, []byte{0, 1, 0, 10, 0, 3, 0, 1, 2, 0, 0, 0, 1, 1})
}

func read6(t testing.TB, b []byte) *layers.DHCPv6 {
	t.Helper()
	d := &layers.DHCPv6{}
	if err := d.DecodeFromBytes(b, gopacket.NilDecodeFeedback); err != nil {
		t.Fatalf("%v: %x", err, b)
	}
	return d
}

func option6(d *layers.DHCPv6, code layers.DHCPv6Opt) []byte {
	for _, o := range d.Options {
		if o.Code == code {
			return o.Data
		}
	}
	return nil
}

// TestForward6: what a server gets, read by another implementation.
func TestForward6(t *testing.T) {
	r := relayOf(t, nil)
	m := message6(1)
	dst := make([]byte, len(m)+dhcp.MaxAdded)
	n, f := r.Forward6(dst, m, link, clientMAC, circuit, room, 1)
	if f != dhcp.None {
		t.Fatal(f)
	}
	d := read6(t, dst[:n])
	if d.MsgType != layers.DHCPv6MsgTypeRelayForward || d.HopCount != 0 || !d.LinkAddr.Equal(gateway6.AsSlice()) || !d.PeerAddr.Equal(link.AsSlice()) {
		t.Errorf("%v, hops %d, link %v, peer %v", d.MsgType, d.HopCount, d.LinkAddr, d.PeerAddr)
	}
	if got := string(option6(d, layers.DHCPv6OptInterfaceID)); got != "10101/ra1.7" {
		t.Errorf("interface id %q", got)
	}
	if got := option6(d, 79); !bytes.Equal(got, []byte{0, 1, 2, 0, 0, 0, 1, 1}) {
		t.Errorf("client link-layer address %x", got)
	}
	if got := option6(d, layers.DHCPv6OptRelayMessage); !bytes.Equal(got, m) {
		t.Errorf("relayed %x, want %x", got, m)
	}
}

// relayed6 puts m into a message of a relay.
func relayed6(typ, hops byte, iface string, m []byte) []byte {
	b := make([]byte, 34)
	b[0], b[1] = typ, hops
	p := link.As16()
	copy(b[18:], p[:])
	b = binary.BigEndian.AppendUint16(append(b, 0, 18), uint16(len(iface)))
	b = append(b, iface...)
	return append(binary.BigEndian.AppendUint16(append(b, 0, 9), uint16(len(m))), m...)
}

// TestForward6Refuses has a case for each reason.
func TestForward6Refuses(t *testing.T) {
	trusted := func(c *dhcp.Config) { c.Trusted = true }
	for _, tt := range []struct {
		name   string
		config func(*dhcp.Config)
		m      []byte
		want   dhcp.Fault
	}{
		{"RENEW", nil, message6(5), dhcp.None},
		{"a type of the future", nil, message6(200), dhcp.None},
		{"type 0", nil, message6(0), dhcp.Malformed},
		{"ADVERTISE", nil, message6(2), dhcp.WrongType},
		{"REPLY", nil, message6(7), dhcp.WrongType},
		{"RECONFIGURE", nil, message6(10), dhcp.WrongType},
		{"RELAY-REPL", trusted, relayed6(13, 0, "1", message6(7)), dhcp.WrongType},
		{"RELAY-FORW", nil, relayed6(12, 0, "1", message6(1)), dhcp.ForgedRelay},
		{"RELAY-FORW, trusted", trusted, relayed6(12, 7, "1", message6(1)), dhcp.None},
		{"8 hops, trusted", trusted, relayed6(12, 8, "1", message6(1)), dhcp.TooManyHops},
		{"RELAY-FORW with nothing inside", trusted, relayed6(12, 0, "1", nil), dhcp.Malformed},
		{"too long", nil, append(message6(1), append([]byte{0, 16, 5, 160}, make([]byte, 1440)...)...), dhcp.TooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dst := make([]byte, len(tt.m)+dhcp.MaxAdded)
			n, f := relayOf(t, tt.config).Forward6(dst, tt.m, link, clientMAC, circuit, room, 1)
			if f != tt.want {
				t.Fatalf("%v, want %v", f, tt.want)
			}
			if f == dhcp.None && tt.m[0] == 12 && dst[1] != tt.m[1]+1 {
				t.Errorf("%d hops after %d, %x", dst[1], tt.m[1], dst[:n])
			}
		})
	}
}

// TestReturn6: only a server's reply to a client that asked lately goes back.
func TestReturn6(t *testing.T) {
	r := relayOf(t, nil)
	reply := relayed6(13, 0, "10101/ra1.7", message6(7))
	dst := make([]byte, 600)
	if _, f := r.Return6(dst, reply, server6, 1); f != dhcp.NoClient {
		t.Errorf("nobody asked: %v", f)
	}
	if _, f := r.Forward6(dst, message6(1), link, clientMAC, circuit, room, 1); f != dhcp.None {
		t.Fatal(f)
	}
	d, f := r.Return6(dst, reply, server6, 2)
	if f != dhcp.None || d.Addr != link || d.MAC != clientMAC || d.Port != 546 || !bytes.Equal(dst[:d.Len], message6(7)) {
		t.Errorf("%v %+v %x", f, d, dst[:d.Len])
	}
	if d, f := r.Return6(dst, relayed6(13, 0, "10101", relayed6(13, 0, "x", message6(7))), server6, 2); f != dhcp.None || d.Port != 547 {
		t.Errorf("to a relay: %v %+v", f, d)
	}
	if _, f := r.Return6(dst, reply, netip.MustParseAddr("fd00:9::54"), 2); f != dhcp.NotServer {
		t.Errorf("no server: %v", f)
	}
	if _, f := r.Return6(dst, relayed6(13, 0, "10101", []byte{7, 1}), server6, 2); f != dhcp.Malformed {
		t.Errorf("cut off inside: %v", f)
	}
	if _, f := r.Return6(dst, reply, server6, 62e9); f != dhcp.NoClient {
		t.Errorf("a minute later: %v", f)
	}
}

// TestLink6 has the VNI of replies.
func TestLink6(t *testing.T) {
	for _, tt := range []struct {
		m    []byte
		vni  table.VNI
		want dhcp.Fault
	}{
		{relayed6(13, 0, "10101/ra1.7", message6(7)), 10101, dhcp.None},
		{relayed6(13, 0, "16777215", message6(10)), table.MaxVNI, dhcp.None},
		{relayed6(13, 0, "16777216", message6(7)), 0, dhcp.NoLink},
		{relayed6(13, 0, "0", message6(7)), 0, dhcp.NoLink},
		{relayed6(13, 0, "ra1", message6(7)), 0, dhcp.NoLink},
		{relayed6(13, 0, "10101", message6(1)), 0, dhcp.WrongType},
		{relayed6(12, 0, "10101", message6(7)), 0, dhcp.WrongType},
		{relayed6(13, 0, "", message6(7)), 0, dhcp.Malformed},
		{message6(7), 0, dhcp.WrongType},
	} {
		if vni, f := dhcp.Link6(tt.m); vni != tt.vni || f != tt.want {
			t.Errorf("%x: VNI %d, %v; want %d, %v", tt.m, vni, f, tt.vni, tt.want)
		}
	}
}

// TestPeersAreBounded: who asks last is remembered, however many ask.
func TestPeersAreBounded(t *testing.T) {
	r := relayOf(t, nil)
	dst := make([]byte, 600)
	at := func(i int) netip.Addr {
		a := link.As16()
		binary.BigEndian.PutUint32(a[8:], uint32(i))
		return netip.AddrFrom16(a)
	}
	reply := func(i int) dhcp.Fault {
		m := relayed6(13, 0, "10101", message6(7))
		a := at(i).As16()
		copy(m[18:], a[:])
		_, f := r.Return6(dst, m, server6, 2)
		return f
	}
	for i := range 1025 {
		if _, f := r.Forward6(dst, message6(1), at(i), clientMAC, circuit, room, 1); f != dhcp.None {
			t.Fatal(f)
		}
	}
	if f := reply(0); f != dhcp.NoClient {
		t.Errorf("the first of 1025: %v", f)
	}
	for _, i := range []int{1, 1024} {
		if f := reply(i); f != dhcp.None {
			t.Errorf("number %d of 1025: %v", i, f)
		}
	}
}

// TestRecent keeps the last requests, the newest first.
func TestRecent(t *testing.T) {
	r := relayOf(t, nil)
	m := message4(t, nil)
	dst := make([]byte, 1000)
	for i := range int64(20) {
		r.Forward4(dst, m, 0, room, i)
	}
	q := r.Recent()
	if len(q) != 16 || q[0].At != 19 || q[15].At != 4 || q[0].Type != "DISCOVER" || q[0].Circuit != "10101" {
		t.Errorf("%+v", q)
	}
}

// TestNewRefuses has what makes no relay.
func TestNewRefuses(t *testing.T) {
	for name, change := range map[string]func(*dhcp.Config){
		"without servers":    func(c *dhcp.Config) { c.Servers = nil },
		"IPv4 address":       func(c *dhcp.Config) { c.Source4 = netip.Addr{} },
		"IPv6 address":       func(c *dhcp.Config) { c.Gateway6 = netip.Addr{} },
		"more than 4":        func(c *dhcp.Config) { c.Servers = slices.Repeat([]netip.Addr{server4}, 5) },
		"remote id of 101":   func(c *dhcp.Config) { c.RemoteID = strings.Repeat("x", 101) },
		"circuit id of 106 ": func(c *dhcp.Config) { c.Circuits[1] = strings.Repeat("x", 100) },
	} {
		c := config()
		change(&c)
		if _, err := dhcp.New(c, dhcp.NewState()); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The longest names still fit one option 82.
	r := relayOf(t, func(c *dhcp.Config) {
		c.RemoteID, c.Circuits[circuit], c.Override = strings.Repeat("x", 100), strings.Repeat("y", 94), true
	})
	out, f := forward4(r, message4(t, nil))
	if agent := option4(read4(t, out), 82); f != dhcp.None || len(agent) != 102+102+6+6 {
		t.Errorf("%v, option 82 of %d bytes", f, len(agent))
	}
}

func TestFaultNames(t *testing.T) {
	seen := map[string]bool{}
	for f := range dhcp.Fault(dhcp.NumFaults) {
		if f.String() == "" || seen[f.String()] {
			t.Errorf("fault %d: name %q", f, f)
		}
		seen[f.String()] = true
	}
}
