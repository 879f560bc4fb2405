package isolation_test

import (
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/control/isolation"
	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/l3"
	"github.com/ztos/ztos/macsec"
)

var (
	leaf2 = netip.MustParseAddr("10.255.0.2")
	leaf3 = netip.MustParseAddr("10.255.0.3")
)

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// bed is a node with two tenants of the same shape: VRF red has bridge domain 101
// with L3VNI 501, VRF blue 201 with 601; each has a circuit on port p1 and a VTEP.
// 301 is only bridged. Handles are the VNI's for VTEPs, a tenth of it for circuits.
type bed struct {
	t      testing.TB
	doc    string
	tables fabric.Tables
	vrfs   map[string]*l3.VRF
	routes map[string]*l3.Routes
	fdbs   map[table.VNI]*l2.FDB
}

const document = `
node: {name: leaf1, roles: [leaf, spine], address: 10.255.0.1}
wireguard: {private-key-file: /k}
peers: [{name: spine1, public-key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=, endpoint: "192.0.2.1:51820", allowed-ips: [10.255.0.0/16]}]
ports: [{name: p1, kind: afpacket, device: eth1}]
bridge-domains:
- {vni: 101, attach: [{port: p1}], vteps: [10.255.0.2], protection: none, vrf: red, gateway: {addresses: [10.1.1.1/24]}}
- {vni: 201, attach: [{port: p1, vlan: 7}], vteps: [10.255.0.2], protection: none, vrf: blue, gateway: {addresses: [10.1.1.1/24]}}
- {vni: 301, attach: [{port: p1, vlan: 8, inner-vlan: 9}], vteps: [10.255.0.2], protection: none}
- {vni: 501, vteps: [10.255.0.2], protection: none}
- {vni: 601, vteps: [10.255.0.2], protection: none}
vrfs:
- {name: red, l3vni: 501, vnis: [101, 501, 901], vteps: [10.255.0.2]}
- {name: blue, l3vni: 601, vnis: [201, 601, 902], vteps: [10.255.0.2, 10.255.0.3]}
`

func newBed(t testing.TB) *bed {
	t.Helper()
	b := &bed{
		t: t, doc: document, vrfs: map[string]*l3.VRF{}, routes: map[string]*l3.Routes{}, fdbs: map[table.VNI]*l2.FDB{},
	}
	for i, name := range []string{"red", "blue"} {
		b.routes[name] = l3.NewRoutes()
		b.vrfs[name] = &l3.VRF{ID: uint32(i + 1), Name: name, FIB: b.routes[name].FIB()}
	}
	port := &fabric.Port{ID: 1, Name: "p1"}
	var acs []*l2.AC
	for _, c := range []struct {
		vni   table.VNI
		vrf   string
		match *l2.Match
	}{
		{101, "red", &l2.Match{Kind: l2.MatchUntagged}}, {201, "blue", &l2.Match{Kind: l2.MatchVLAN, VLAN: 7}},
		{301, "", &l2.Match{Kind: l2.MatchQinQ, VLAN: 8, Inner: 9}}, {501, "red", nil}, {601, "blue", nil},
	} {
		d := &fabric.Domain{Adjacencies: map[netip.Addr]*fabric.Adjacency{}}
		cfg := l2.BDConfig{VNI: c.vni, FDB: l2.NewFDB(), VTEPs: []table.VTEPID{table.VTEPID(c.vni)}}
		b.fdbs[c.vni] = cfg.FDB
		if c.match != nil {
			ac := &l2.AC{ID: table.ACID(c.vni / 10), Port: 1, VNI: c.vni, Match: *c.match}
			acs = append(acs, ac)
			cfg.ACs = []*l2.AC{ac}
			b.tables.ACs = append(b.tables.ACs, &fabric.AC{AC: ac, Port: port, Domain: d})
			b.fdbs[c.vni].Put(l2.Entry{MAC: 0x020000000001, Dest: l2.Local(ac.ID)})
		}
		b.fdbs[c.vni].Put(l2.Entry{MAC: 0x020000000002, Dest: l2.Remote(table.VTEPID(c.vni))})
		var err error
		if d.BD, err = l2.NewBD(cfg); err != nil {
			t.Fatal(err)
		}
		d.Adjacencies[leaf2] = &fabric.Adjacency{ID: table.VTEPID(c.vni), VTEP: leaf2, Domain: d}
		if c.vrf != "" {
			var in *l3.Interface
			if c.match != nil {
				if in, err = l3.NewInterface(l3.Interface{VNI: c.vni, MAC: l3.DefaultMAC(c.vni), Addresses: []netip.Prefix{pfx("10.1.1.1/24")}}); err != nil {
					t.Fatal(err)
				}
				b.routes[c.vrf].Set(l3.OriginGateway, pfx("10.1.1.0/24"), &l3.Route{Kind: l3.Connected, VNI: c.vni})
				b.routes[c.vrf].Set(l3.OriginNeighbour, pfx("10.1.1.5/32"), &l3.Route{
					Kind: l3.Forward, Paths: []l3.Path{{Host: &l3.Neighbour{VNI: c.vni}}},
				})
			} else {
				b.routes[c.vrf].Set(l3.OriginEVPN, pfx("10.2.0.0/16"), b.leaf(c.vni, c.vni))
			}
			d.IRB = fabric.NewIRB(b.vrfs[c.vrf], in)
		}
		b.tables.Domains = append(b.tables.Domains, d)
	}
	b.routes["red"].Set(l3.OriginStatic, pfx("10.66.0.0/16"), &l3.Route{Kind: l3.Blackhole})
	var err error
	if port.Access, err = l2.NewAccess(acs); err != nil {
		t.Fatal(err)
	}
	b.tables.Ports = []*fabric.Port{port}
	b.tables.VRFs = map[table.VNI]*fabric.VRF{
		901: {Name: "red", Members: map[netip.Addr]struct{}{leaf2: {}}},
		902: {Name: "blue", Members: map[netip.Addr]struct{}{leaf2: {}, leaf3: {}}},
	}
	return b
}

// leaf is a route by the VTEP of a VNI, sent with another VNI or the same.
func (b *bed) leaf(vtep, vni table.VNI) *l3.Route {
	return &l3.Route{Kind: l3.Forward, Paths: []l3.Path{{VNI: vni, VTEP: table.VTEPID(vtep), Addr: leaf2}}}
}

func (b *bed) domain(vni table.VNI) *fabric.Domain {
	i := slices.IndexFunc(b.tables.Domains, func(d *fabric.Domain) bool { return d.BD.VNI == vni })
	return b.tables.Domains[i]
}

func (b *bed) route(vrf, p string, r *l3.Route) { b.routes[vrf].Set(l3.OriginEVPN, pfx(p), r) }

// secY gives a VNI a SecY with a transmit key and a key of a peer.
func (b *bed) secY(vni table.VNI, tx, rx byte) {
	b.t.Helper()
	peer := macsec.SCI{2, byte(vni), 9}
	s, err := macsec.New(macsec.Config{Suite: macsec.GCMAES128, Mode: macsec.Standard, TxSCI: macsec.SCI{2, byte(vni), 1}})
	if err == nil {
		_, err = s.InstallTxSA(macsec.TxSAConfig{SAK: secret.New(slices.Repeat([]byte{tx}, 16))})
	}
	if err == nil {
		_, err = s.AddRxSC(peer, table.VTEPID(vni))
	}
	if err == nil {
		_, err = s.InstallRxSA(peer, macsec.RxSAConfig{SAK: secret.New(slices.Repeat([]byte{rx}, 16))})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.domain(vni).SecY = s
}

func (b *bed) verify() isolation.Report {
	b.t.Helper()
	n, err := config.Parse([]byte(b.doc), "")
	if err != nil {
		b.t.Fatal(err)
	}
	for _, r := range b.routes {
		if err := r.Commit(); err != nil {
			b.t.Fatal(err)
		}
	}
	return isolation.Verify(isolation.PlanOf(n), fabric.NewSnapshot(b.tables))
}

// TestIsolated: tenants with the same addresses, MACs and VTEPs are apart, and
// every entry was looked at.
func TestIsolated(t *testing.T) {
	b := newBed(t)
	b.secY(501, 1, 2)
	b.secY(601, 3, 4)
	r := b.verify()
	if !r.OK() || r.More != 0 || r.Nowhere != 0 {
		t.Errorf("%+v", r)
	}
	// 3 circuits of ports; floods to 3 circuits and 5 VTEPs; 8 MACs; 5 adjacencies;
	// 4 IRBs; 4 keys; 4 + 3 routes; 2 guarded VNIs with 3 members.
	if want := 3 + 8 + 8 + 5 + 4 + 4 + 7 + 5; r.Steps != want || r.Tenants != 3 {
		t.Errorf("%d steps of %d tenants, want %d of 3", r.Steps, r.Tenants, want)
	}
	before := r.Steps
	b.fdbs[101].Put(l2.Entry{MAC: 0x020000000009, Dest: l2.Blackhole})
	b.fdbs[101].Put(l2.Entry{MAC: 0x02000000000a, Dest: l2.Local(99)})
	b.fdbs[101].Put(l2.Entry{MAC: 0x02000000000b, Dest: l2.Remote(99)})
	b.route("red", "10.3.0.0/16", b.leaf(99, 501))
	b.route("red", "10.4.0.0/16", &l3.Route{Kind: l3.Connected, VNI: 99})
	if r := b.verify(); !r.OK() || r.Nowhere != 4 || r.Steps != before+4 {
		t.Errorf("entries that lead nowhere: %+v", r)
	}
	if r := isolation.Verify(isolation.Plan{}, fabric.NewSnapshot(fabric.Tables{})); !r.OK() || r.Steps != 0 {
		t.Errorf("an empty node: %+v", r)
	}
}

// TestBreaches: each kind of entry that leads to another tenant is found.
func TestBreaches(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(b *bed)
		want string // From > To: a part of the step
	}{
		{"circuit", func(b *bed) { b.tables.ACs[0].Domain = b.domain(201) }, "VRF red > VRF blue: port p1, untagged leads into VNI 201"},
		{"QinQ circuit", func(b *bed) { b.tables.ACs[2].Domain = b.domain(201) }, "VNI 301 > VRF blue: port p1, vlan 8.9 leads into VNI 201"},
		{"circuit of nobody", func(b *bed) { b.doc = strings.Replace(b.doc, "vlan: 7", "vlan: 6", 1) }, "nobody > VRF blue: port p1, vlan 7 leads into VNI 201"},
		{"VNI of a circuit", func(b *bed) { b.tables.ACs[0].VNI = 201 }, "VRF blue > VRF red: port p1, untagged of VNI 201 leads into VNI 101"},
		{"MAC at a circuit", func(b *bed) { b.fdbs[101].Put(l2.Entry{MAC: 0x020000000009, Dest: l2.Local(20)}) }, "VRF red > VRF blue: VNI 101 has 02:00:00:00:00:09 at port p1, vlan 7"},
		{"MAC behind a segment", func(b *bed) {
			b.fdbs[101].SetGroup(1, &l2.Group{Members: []l2.Dest{l2.Remote(101), l2.Remote(301)}})
			b.fdbs[101].Put(l2.Entry{MAC: 0x020000000009, Dest: l2.InGroup(1)})
		}, "VRF red > VNI 301: VNI 101 has 02:00:00:00:00:09 at VTEP 10.255.0.2 of VNI 301"},
		{"MAC at a VTEP", func(b *bed) { b.fdbs[101].Put(l2.Entry{MAC: 0x020000000009, Dest: l2.Remote(301)}) }, "VRF red > VNI 301: VNI 101 has 02:00:00:00:00:09 at VTEP 10.255.0.2 of VNI 301"},
		{"flood to a VTEP", func(b *bed) { b.domain(201).BD.VTEPs = []table.VTEPID{101} }, "VRF blue > VRF red: VNI 201 floods to VTEP 10.255.0.2 of VNI 101"},
		{"flood to a circuit", func(b *bed) { b.domain(301).BD.ACs = b.domain(101).BD.ACs }, "VNI 301 > VRF red: VNI 301 floods to port p1, untagged"},
		{"two domains of a VNI", func(b *bed) { c := *b.domain(301); b.tables.Domains = append(b.tables.Domains, &c) }, "VNI 301 > VNI 301: VNI 301 has two bridge domains"},
		{"VTEP that is not named", func(b *bed) {
			b.domain(101).Adjacencies[leaf3] = &fabric.Adjacency{ID: 102, VTEP: leaf3, Domain: b.domain(101)}
		}, "VRF red > nobody: VNI 101 is sent to VTEP 10.255.0.3"},
		{"another VRF", func(b *bed) { b.domain(501).IRB = b.domain(601).IRB }, "VRF red > VRF blue: VNI 501 is routed in VRF blue"},
		{"routed without a VRF", func(b *bed) { b.domain(301).IRB = b.domain(601).IRB }, "VNI 301 > VRF blue: VNI 301 is routed in VRF blue"},
		{"another gateway", func(b *bed) { b.domain(101).IRB.Interface = b.domain(201).IRB.Interface }, "VRF red > VRF blue: VNI 101 has the gateway of VNI 201"},
		{"one FIB for two", func(b *bed) { b.vrfs["red"].FIB = b.vrfs["blue"].FIB }, "VRF blue > VRF red: VRF blue has the FIB of VRF red"},
		{"one handle for two", func(b *bed) { b.vrfs["blue"].ID = 1 }, "VRF blue > VRF red: VRF blue has the handle of VRF red"},
		{"connected", func(b *bed) { b.route("red", "10.3.0.0/16", &l3.Route{Kind: l3.Connected, VNI: 201}) }, "VRF red > VRF blue: VRF red routes 10.3.0.0/16 into VNI 201"},
		{"gateway's own", func(b *bed) { b.route("red", "10.3.0.1/32", &l3.Route{Kind: l3.Local, VNI: 201}) }, "VRF red > VRF blue: VRF red routes 10.3.0.1/32 into VNI 201"},
		{"host", func(b *bed) {
			b.route("blue", "10.3.0.1/32", &l3.Route{Kind: l3.Forward, Paths: []l3.Path{{Host: &l3.Neighbour{VNI: 201}}, {Host: &l3.Neighbour{VNI: 101}}}})
		}, "VRF blue > VRF red: VRF blue routes 10.3.0.1/32 into VNI 101"},
		{"leaf", func(b *bed) { b.route("red", "10.3.0.0/16", b.leaf(601, 601)) }, "VRF red > VRF blue: VRF red routes 10.3.0.0/16 by VTEP 10.255.0.2 of VNI 601"},
		{"leaf, VNI alone", func(b *bed) { b.route("red", "10.3.0.0/16", b.leaf(501, 601)) }, "VRF red > VRF blue: VRF red routes 10.3.0.0/16 by VTEP 10.255.0.2 of VNI 601"},
		{"leaf, VTEP alone", func(b *bed) { b.route("red", "10.3.0.0/16", b.leaf(601, 501)) }, "VRF red > VRF blue: VRF red routes 10.3.0.0/16 into VNI 501 by a VTEP of VNI 601"},
		{"one SecY for two", func(b *bed) { b.secY(501, 1, 2); b.domain(601).SecY = b.domain(501).SecY }, "VRF blue > VRF red: VNI 601 has the SecY of VNI 501"},
		{"one key for two", func(b *bed) { b.secY(501, 1, 2); b.secY(601, 3, 2) }, "VRF blue > VRF red: VNI 601 has a key of VNI 501"},
		{"guard of another VRF", func(b *bed) { b.tables.VRFs[901].Name = "blue" }, "VRF red > VRF blue: VNI 901 is passed on for VRF blue"},
		{"guard of nobody's VNI", func(b *bed) { b.tables.VRFs[903] = &fabric.VRF{Name: "blue"} }, "nobody > VRF blue: VNI 903 is passed on for VRF blue"},
		{"member that is not named", func(b *bed) { b.tables.VRFs[901].Members[leaf3] = struct{}{} }, "VRF red > nobody: VNI 901 is passed on to VTEP 10.255.0.3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t)
			tt.edit(b)
			breached(t, b.verify(), tt.want)
		})
	}
}

// withContract lets red's 10.1.1.0/25 and blue's 10.9.0.0/16 speak, in the document and in
// the loaded VRFs, where red has routes for it.
func withContract(b *bed) {
	b.doc += "contracts:\n- {name: red-blue, from: red, to: blue, prefixes: [10.9.0.0/16], return: [10.2.1.0/24]}\n"
	there := &l3.Leak{Contract: "red-blue", To: 2, VRF: "blue", Sources: []netip.Prefix{pfx("10.2.1.0/24")}, Prefixes: []netip.Prefix{pfx("10.9.0.0/16")}}
	back := &l3.Leak{Contract: "red-blue", To: 1, VRF: "red", Sources: there.Prefixes, Prefixes: there.Sources}
	b.vrfs["red"].Leaks, b.vrfs["blue"].Leaks = []*l3.Leak{there}, []*l3.Leak{back}
	b.route("red", "10.9.0.0/16", &l3.Route{Kind: l3.Connected, VNI: 201, Leak: there})
	b.route("red", "10.9.1.0/24", leakedBy(there, b.leaf(601, 601)))
}

// leakedBy returns r as a contract leaks it.
func leakedBy(l *l3.Leak, r *l3.Route) *l3.Route {
	r.Leak = l
	return r
}

// TestPermitted: what a contract says may lead from one tenant to another, is
// named with the contract; what goes beyond it in any way is a breach.
func TestPermitted(t *testing.T) {
	b := newBed(t)
	withContract(b)
	r := b.verify()
	want := []isolation.Permitted{
		{Contract: "red-blue", Breach: isolation.Breach{From: "VRF red", To: "VRF blue", Step: "VRF red routes 10.9.0.0/16 into VNI 201"}},
		{Contract: "red-blue", Breach: isolation.Breach{From: "VRF red", To: "VRF blue", Step: "VRF red routes 10.9.1.0/24 by VTEP 10.255.0.2 of VNI 601"}},
	}
	if !r.OK() || !slices.Equal(r.Permitted, want) || r.Further != 0 {
		t.Errorf("%+v, want %+v", r, want)
	}
	for i := range isolation.MaxBreaches {
		b.route("red", netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 2, byte(i)}), 32).String(), leakedBy(b.vrfs["red"].Leaks[0], b.leaf(601, 601)))
	}
	if r := b.verify(); !r.OK() || len(r.Permitted) != isolation.MaxBreaches || r.Further != 2 {
		t.Errorf("many: %d and %d more, breaches %+v", len(r.Permitted), r.Further, r.Breaches)
	}
	for _, tt := range []struct {
		name string
		edit func(b *bed)
		want string
	}{
		{"no contract", func(b *bed) { b.doc = document }, "VRF red > VRF blue: VRF red routes 10.9.0.0/16 into VNI 201"},
		{"a leak without a contract", func(b *bed) { b.doc = document }, "VRF blue > VRF red: VRF blue sends from [10.9.0.0/16] to [10.2.1.0/24] of VRF red"},
		{"a wider prefix", func(b *bed) { b.route("red", "10.8.0.0/15", b.leaf(601, 601)) }, "VRF red > VRF blue: VRF red routes 10.8.0.0/15 by VTEP"},
		{"a route that does not bear the contract", func(b *bed) { b.route("red", "10.9.3.0/24", b.leaf(601, 601)) }, "VRF red > VRF blue: VRF red routes 10.9.3.0/24 by VTEP"},
		{"an own VNI by a VTEP of the other", func(b *bed) {
			b.route("red", "10.9.3.0/24", leakedBy(b.vrfs["red"].Leaks[0], b.leaf(601, 501)))
		}, "VRF red > VRF blue: VRF red routes 10.9.3.0/24 into VNI 501 by a VTEP of VNI 601"},
		{"the other direction", func(b *bed) { b.route("blue", "10.9.1.0/24", b.leaf(501, 501)) }, "VRF blue > VRF red: VRF blue routes 10.9.1.0/24 by VTEP"},
		{"another VNI", func(b *bed) { b.route("red", "10.9.1.0/24", b.leaf(301, 301)) }, "VRF red > VNI 301: VRF red routes 10.9.1.0/24 by VTEP"},
		{"a VTEP of the wrong VNI", func(b *bed) { b.route("red", "10.9.1.0/24", b.leaf(501, 601)) }, "VRF blue > VRF red: VRF red routes 10.9.1.0/24 into VNI 601 by a VTEP of VNI 501"},
		{"more sources", func(b *bed) { b.vrfs["red"].Leaks[0].Sources = []netip.Prefix{pfx("10.2.0.0/16")} }, "VRF red > VRF blue: VRF red sends from [10.2.0.0/16] to"},
		{"more prefixes", func(b *bed) {
			b.vrfs["red"].Leaks[0].Prefixes = []netip.Prefix{pfx("10.9.0.0/16"), pfx("10.8.0.0/16")}
		}, "VRF red > VRF blue: VRF red sends from"},
		{"another contract's name", func(b *bed) { b.vrfs["red"].Leaks[0].Contract = "x" }, "VRF red > VRF blue: VRF red sends from"},
		{"another VRF's handle", func(b *bed) { b.vrfs["red"].Leaks[0].To = 1 }, "VRF red > VRF red: VRF red sends to VRF red by a contract with VRF blue"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t)
			withContract(b)
			tt.edit(b)
			breached(t, b.verify(), tt.want)
		})
	}
}

// TestVerifyNew: of a snapshot that is not published, what outlives snapshots is
// left out, and the rest is looked at, with the VNI that each breach is of.
func TestVerifyNew(t *testing.T) {
	b := newBed(t)
	b.route("red", "10.3.0.0/16", b.leaf(601, 601))
	b.fdbs[101].Put(l2.Entry{MAC: 0x020000000009, Dest: l2.Remote(301)})
	b.secY(501, 1, 2)
	b.secY(601, 3, 2)
	if r := b.verify(); len(r.Breaches) != 3 {
		t.Fatalf("%+v, want 3 breaches", r.Breaches)
	}
	n, err := config.Parse([]byte(b.doc), "")
	if err != nil {
		t.Fatal(err)
	}
	look := func(routes map[netip.Prefix]*l3.Route) isolation.Report {
		return isolation.VerifyNew(isolation.PlanOf(n), fabric.NewSnapshot(b.tables), func(v *l3.VRF) iter.Seq2[netip.Prefix, *l3.Route] {
			if v.Name == "red" {
				return maps.All(routes)
			}
			return maps.All[map[netip.Prefix]*l3.Route](nil)
		})
	}
	r := look(nil)
	if len(r.Breaches) != 1 || r.Breaches[0].VNI != 601 || !strings.HasPrefix(r.Breaches[0].Step, "VNI 601 has a key of VNI 501") {
		t.Errorf("%+v, want the one key", r.Breaches)
	}
	r = look(map[netip.Prefix]*l3.Route{pfx("10.4.0.0/16"): b.leaf(601, 601)})
	if len(r.Breaches) != 2 || r.Breaches[1].Step != "VRF red routes 10.4.0.0/16 by VTEP 10.255.0.2 of VNI 601" {
		t.Errorf("%+v, want the one key, and the route that will be there", r.Breaches)
	}
}

// TestManyBreaches: a report is bounded, and says how much it leaves out.
func TestManyBreaches(t *testing.T) {
	b := newBed(t)
	for i := range isolation.MaxBreaches + 7 {
		b.fdbs[101].Put(l2.Entry{MAC: 0x020000000100 + table.MAC(i), Dest: l2.Remote(301)})
	}
	r := b.verify()
	if len(r.Breaches) != isolation.MaxBreaches || r.More != 7 || r.OK() {
		t.Errorf("%d breaches and %d more", len(r.Breaches), r.More)
	}
	if !slices.IsSortedFunc(r.Breaches, func(a, b isolation.Breach) int { return strings.Compare(a.Step, b.Step) }) {
		t.Error("not in order")
	}
}

// BenchmarkVerify is what an entry of an FDB or FIB costs.
func BenchmarkVerify(b *testing.B) {
	t := newBed(b)
	const entries = 100_000
	for i := range entries {
		t.fdbs[101].Put(l2.Entry{MAC: 0x020000100000 + table.MAC(i), Dest: l2.Remote(101)})
		t.route("red", netip.PrefixFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 32).String(), t.leaf(501, 501))
	}
	n, err := config.Parse([]byte(t.doc), "")
	if err != nil {
		b.Fatal(err)
	}
	if err := t.routes["red"].Commit(); err != nil {
		b.Fatal(err)
	}
	s, p := fabric.NewSnapshot(t.tables), isolation.PlanOf(n)
	for b.Loop() {
		if r := isolation.Verify(p, s); !r.OK() {
			b.Fatal("not isolated")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(2*entries), "ns/entry")
}

// breached wants a breach whose tenants and step begin with want.
func breached(t *testing.T, r isolation.Report, want string) {
	t.Helper()
	for _, x := range r.Breaches {
		if strings.HasPrefix(x.From+" > "+x.To+": "+x.Step, want) {
			return
		}
	}
	t.Errorf("%+v, want %s", r.Breaches, want)
}
