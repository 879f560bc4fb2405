package routes

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/perf/scale"
	"github.com/ztos/ztos/perf/usage"
)

// system is a leaf that takes routes.
type system interface {
	// count returns how many routes of a kind are where packets find them. while
	// loading it may ask something cheaper that comes first, unless sure is set.
	count(ctx context.Context, k kind, sure bool) (int, error)
	// memory returns what its processes have resident, bytes.
	memory() (uint64, error)
	// where returns its namespaces.
	where() *site
	close() error
}

// document is the leaf of the speaker. DIR is a folder. The speaker is granted two
// VNIs. The stream of datagrams is routed from one subnet of the VRF to another.
const document = `
node: {name: leaf1, roles: [leaf], address: %[2]v, state-dir: %[1]s/state}
api: {socket: %[1]s/sock, metrics: "127.0.0.1:9464"}
underlay: {listen: "127.0.0.1:51820", vxlan-listen: %[2]v, source-ports: 0}
host: {mode: none}
peers: [{name: peer, carrier: plain, endpoint: "%[3]v:0"}]
bgp: {asn: %[4]d, transport: underlay, neighbors: [{address: %[3]v, passive: true}]}
ports: [{name: t1, kind: afpacket, device: t1}, {name: t2, kind: afpacket, device: t2}]
bridge-domains:
- vni: %[5]d
  attach: [{port: t1}]
  protection: none
  evpn: {vteps: [%[3]v]}
  vrf: red
  gateway: {addresses: [10.1.1.1/24]}
- vni: 201
  attach: [{port: t2}]
  protection: none
  evpn: {vteps: [%[3]v]}
  vrf: red
  gateway: {addresses: [10.1.2.1/24]}
- {vni: %[6]d, protection: none, evpn: {vteps: [%[3]v]}}
vrfs:
- {name: red, l3vni: %[6]d, router-mac: "02:00:00:00:00:aa"}
`

// ztos is an engine.
type ztos struct {
	*site
	dir    string
	engine *scale.Engine
}

// startZTOS runs the engine of a binary.
func startZTOS(ctx context.Context, binary string) (_ *ztos, err error) {
	z := &ztos{}
	defer func() {
		if err != nil {
			err = errors.Join(err, z.close())
		}
	}()
	if z.site, err = newSite("ztos", true); err != nil {
		return nil, err
	}
	if z.dir, err = os.MkdirTemp("", "ztos-routes-"); err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	doc := fmt.Appendf(nil, document, z.dir, leaf, speaker, asn, l2VNI, l3VNI)
	z.engine, err = scale.RunEngine(ctx, binary, z.leaf, z.dir, z.dir+"/sock", doc)
	return z, err
}

func (z *ztos) where() *site { return z.site }

// count asks the API: of MACs it counts the FDB itself, of prefixes the FIB. Both
// are what workers look up.
func (z *ztos) count(ctx context.Context, k kind, _ bool) (int, error) {
	if k.name == macs.name {
		e, err := z.engine.API().EVPN(ctx)
		return remote(e), err
	}
	vrfs, err := z.engine.API().VRFs(ctx)
	if err != nil || len(vrfs) != 1 {
		return 0, errors.Join(fmt.Errorf("routes: %d VRFs", len(vrfs)), err)
	}
	return vrfs[0].Routes, nil
}

// remote returns the MACs of the speaker.
func remote(e status.EVPN) int {
	for _, d := range e.Domains {
		if d.VNI == l2VNI {
			return d.Remote
		}
	}
	return 0
}

func (z *ztos) memory() (uint64, error) { return usage.RSS([]int{z.engine.PID()}) }

func (z *ztos) close() error {
	var errs []error
	if z.engine != nil {
		errs = append(errs, z.engine.Close())
	}
	if z.site != nil {
		errs = append(errs, z.site.close())
	}
	if z.dir != "" {
		errs = append(errs, os.RemoveAll(z.dir))
	}
	return errors.Join(errs...)
}
