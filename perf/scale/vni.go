package scale

import (
	"fmt"
	"net/netip"
	"runtime"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/vxlan"
)

// VNI measures the tables of bridge domains with two remote VTEPs each, at each
// of sizes, in VNIs: what a worker looks up, and what control publishes. What
// applying a whole configuration costs is Node's.
func VNI(sizes []int) Series {
	s := Series{
		Name: "vni-tables", Title: "Tables of VNIs, with two VTEPs and an empty FDB each", Axis: "VNIs",
		Metrics: []Metric{
			{"bytes", "heap for a VNI", "B", true},
			{"hit", "lookup of a random VNI that is there", "ns", true},
			{"miss", "lookup of a random VNI that is not", "ns", true},
			{"publish", "a snapshot with other contents made of the parts, and published", "ns", false},
		},
	}
	for _, n := range sizes {
		s.Points = append(s.Points, Point{n, vnis(n)})
	}
	return s
}

func vnis(n int) []float64 {
	r := seeded(n)
	ids := make([]table.VNI, n)
	for i := range ids {
		ids[i] = table.VNI(10000 + i)
	}
	hits, misses := draws(r, ids), make([]table.VNI, lookups)
	for i := range misses {
		misses[i] = table.VNI(10000 + n + r.IntN(1<<20))
	}
	before := heap()
	t := fabric.Tables{Leaf: true}
	route := &fabric.Route{Paths: []*fabric.Peer{{Name: "peer"}}}
	for i, id := range ids {
		t.Domains = append(t.Domains, domain(i, id, route))
	}
	var p table.Publisher[fabric.Snapshot]
	p.Publish(fabric.NewSnapshot(t))
	bytes := (heap() - before) / float64(n)
	snap := p.Load()
	find := func(keys []table.VNI) float64 {
		return ns(lookups, func() {
			for _, k := range keys {
				snap.Domain(k)
			}
		})
	}
	hit, miss := find(hits), find(misses)
	times := max(1, 1<<14/n)
	publish := ns(times, func() {
		for range times {
			p.Publish(fabric.NewSnapshot(t))
		}
	})
	runtime.KeepAlive(&p)
	return []float64{bytes, hit, miss, publish}
}

// domain returns bridge domain i as control makes it.
func domain(i int, vni table.VNI, route *fabric.Route) *fabric.Domain {
	d := &fabric.Domain{TenantMTU: 1390, TooBig: l2.NewTooBig(l2.DefaultTooBigRate), Adjacencies: map[netip.Addr]*fabric.Adjacency{}}
	c := l2.BDConfig{VNI: vni, Name: fmt.Sprintf("vni-%d", vni), FDB: l2.NewFDB(), Gate: &l2.Gate{}, Count: &l2.Counters{}}
	for k := range 2 {
		a := &fabric.Adjacency{ID: table.VTEPID(2*i + k + 1), VTEP: vtep(k), Route: route, Domain: d}
		var err error
		a.Encap, err = vxlan.NewTemplate(vxlan.TemplateConfig{Src: netip.MustParseAddr(nodeAddress), Dst: a.VTEP, VNI: vni})
		must(err)
		d.Adjacencies[a.VTEP] = a
		c.VTEPs = append(c.VTEPs, a.ID)
	}
	c.ACs = []*l2.AC{{ID: table.ACID(i + 1), Port: 1, VNI: vni, Gate: &l2.Gate{}}}
	bd, err := l2.NewBD(c)
	must(err)
	d.BD = bd
	return d
}
