package fabric

import (
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/l2/proxy"
	"github.com/ztos/ztos/l3"
)

// forProxy reports whether f is addressed to the MAC from which the proxy of d asks
// its hosts.
//
// Hot path: no allocation, inlined. Asked only of frames to gateways.
func (d *Domain) forProxy(f *pkt.Frame) bool {
	return d.Proxy != nil && table.MACFrom(f.Head) == d.Proxy.MAC
}

// proxied lets the proxy of ac's bridge domain look at f, on which the bridge has
// decided v. done says that f goes no further: it is answered, was for the proxy
// itself, or is dropped for r.
//
// Hot path: no allocation; for what is neither ARP nor ND a comparison or two.
func (g *LeafIn) proxied(ac *AC, f *pkt.Frame, v l2.Verdict) (done bool, r counter.Reason) {
	dom := ac.Domain
	mine := v.Kind == l2.ToGateway && dom.forProxy(f)
	if !proxy.IsWord(f) {
		return mine, counter.NoDestination
	}
	w, ok := proxy.Read(f)
	if !ok {
		dom.Proxy.Count.Lies.Add(1)
		return mine, counter.NoDestination
	}
	if e, tell := dom.Proxy.Snoop(&w, ac.ID, g.now); tell {
		if g.env.Proxied.Push(e) {
			g.told = true
		} else {
			dom.Proxy.Count.Limited.Add(1)
		}
	}
	if mine {
		return true, counter.None // taken note of
	}
	if v.Kind != l2.Flood || g.answers.Full() {
		return false, counter.None
	}
	gateway := l3.None
	if dom.routed() {
		if gateway = dom.IRB.Interface.Inspect(f); gateway == l3.Mine {
			return false, counter.None // the gateway answers
		}
	}
	buf := g.answerBufs[g.answers.N*l2.MaxTooBig:][:l2.MaxTooBig]
	n, what := dom.Proxy.Reply(buf, f, &w, ac.ID)
	if what == proxy.Pass {
		return false, counter.None
	}
	g.bridge.Unflood(dom.BD, ac.AC, f)
	if gateway == l3.Copy {
		g.irb.punt(dom, l3.NeighbourWords, counter.GatewayBusy, f)
	}
	if what == proxy.Drop {
		return true, counter.ProxyUnknown
	}
	a := g.answers.Add(buf[:n])
	a.VNI, a.TraceID = f.VNI, f.TraceID
	wire.Parse(a)
	if g.watched {
		g.see(trace.Access, a, counter.None)
	}
	g.out.push(ac, a)
	return true, counter.None
}
