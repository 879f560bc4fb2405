package control

import (
	"runtime"
	"testing"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/underlay"
	"github.com/ztos/ztos/wireguard"
)

// White-box: what is chosen here shows outside only on a machine of that size.

func TestQueues(t *testing.T) {
	half := max(runtime.NumCPU()/2, 1)
	if got, want := underlayQueues(&config.Underlay{}), min(half, 8); got != want {
		t.Errorf("%d CPUs: %d underlay queues, want %d", runtime.NumCPU(), got, want)
	}
	if got, want := portQueues(&config.Port{}), min(half, 4); got != want {
		t.Errorf("%d CPUs: %d port queues, want %d", runtime.NumCPU(), got, want)
	}
	if u, p := underlayQueues(&config.Underlay{Queues: 33}), portQueues(&config.Port{Queues: 17}); u != 33 || p != 17 {
		t.Errorf("33 and 17 queues were asked for; got %d and %d", u, p)
	}
	zero := 0
	for _, tt := range []struct {
		u            config.Underlay
		queues, want int
	}{
		{config.Underlay{}, 1, 4}, {config.Underlay{}, 2, 8}, {config.Underlay{}, 8, 16},
		{config.Underlay{SourcePorts: &zero}, 8, 0},
	} {
		if got := sourcePorts(&tt.u, tt.queues); got != tt.want {
			t.Errorf("%d queues: %d source ports, want %d", tt.queues, got, tt.want)
		}
	}
	if recvBuf(1) != underlay.DefaultRecvBuf || replayWindow(1) != wireguard.DefaultReplayWindow {
		t.Error("one queue does not have what it had")
	}
	// Of large datagrams, what all sockets hold must fit the window.
	for queues := 2; queues <= maxUnderlayQueues; queues++ {
		if held := recvBuf(queues) * queues / 1500; held > int(replayWindow(queues)) {
			t.Errorf("%d queues: sockets hold %d datagrams, the window is %d", queues, held, replayWindow(queues))
		}
	}
}
