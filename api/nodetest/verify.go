package nodetest

import (
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
)

// Isolation implements server.Backend.
func (n *Node) Isolation() status.Isolation {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := status.Isolation{Generation: 3, Tenants: 2, Steps: 1204, Nowhere: 1, Elapsed: config.Duration(240 * time.Microsecond)}
	s.Permitted = []status.Permit{
		{Contract: "red-shared", From: "VRF red", To: "VRF shared", Step: "VRF red routes 10.9.0.0/24 into VNI 10901"},
	}
	s.Further = 3
	if n.breached {
		s.Breaches = []status.Breach{
			{From: "VRF red", To: "VRF blue", Step: "VRF red routes 10.3.0.0/16 into VNI 10201"},
			{From: "VNI 10300", To: "nobody", Step: "VNI 10300 is sent to VTEP 10.255.0.9"},
		}
		s.More = 12
	}
	return s
}

// Breach makes the node one whose tenants are not apart.
func (n *Node) Breach() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.breached = true
}
