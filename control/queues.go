package control

import (
	"runtime"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/underlay"
	"github.com/ztos/ztos/wireguard"
)

// Bounds on the number of queues that follows from the machine. An idle queue
// costs a sleeping thread; a used one some 3 MB of buffers.
const (
	maxUnderlayQueues = 8
	maxPortQueues     = 4
)

// autoQueues is one queue for every two CPUs, from 1 to most: there are always
// workers of both directions, and the kernel's own share of the work is as
// large as the engine's.
func autoQueues(most int) int { return min(max(runtime.NumCPU()/2, 1), most) }

func underlayQueues(u *config.Underlay) int {
	if u.Queues > 0 {
		return u.Queues
	}
	return autoQueues(maxUnderlayQueues)
}

func portQueues(p *config.Port) int {
	if p.Queues > 0 {
		return p.Queues
	}
	return autoQueues(maxPortQueues)
}

// sourcePorts is enough of them that a peer with as many queues has frames at
// each.
func sourcePorts(u *config.Underlay, queues int) int {
	if u.SourcePorts != nil {
		return *u.SourcePorts
	}
	return min(4*queues, 16)
}

// recvBuf divides what one socket would hold among the queues' sockets. All
// datagrams of a peer share one row of numbers and one replay window: what waits
// at a busy queue must not fall out of it while others take what came later.
func recvBuf(queues int) int { return max(underlay.DefaultRecvBuf/queues, 4<<20) }

// replayWindow is how many numbers of a WireGuard session may be behind the
// highest. With several queues as many as all sockets together hold of large
// datagrams, about 11,000 in 16 MB, and some times that, because a worker that
// waits for its CPU, here or at the sender, lets the others go on: 32,761 was
// measured to be too little with more workers than CPUs. It costs a byte each.
func replayWindow(queues int) uint32 {
	if queues == 1 {
		return wireguard.DefaultReplayWindow
	}
	return 8*8192 - 7
}
