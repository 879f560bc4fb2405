package afxdp

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/ztos/ztos/engine/port"
	"golang.org/x/sys/unix"
)

// Obstacles: why a device cannot be had by AF_XDP, each a plain sentence that an
// operator reads. Open and Port.Obstacle return them wrapped, with what they are
// about in front.
var (
	// ErrMTU: a frame would not fit one frame of UMEM. Frames in several
	// (XDP_USE_SG) are not supported.
	ErrMTU = fmt.Errorf("the MTU is above %d, the most that one AF_XDP buffer holds", MaxMTU)
	// ErrPeerMTU: veth's other end may send more than native XDP takes.
	ErrPeerMTU = errors.New("the other end's MTU is more than XDP takes on this device")
	// ErrQueues: fewer queues than the port is configured for.
	ErrQueues = errors.New("the device has fewer receive queues than the port asks for")
	// ErrPrivilege: no right to load an XDP program or to pin memory.
	ErrPrivilege = errors.New("the engine may not load XDP programs (it needs CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and CAP_NET_RAW)")
	// ErrMemory: the limit of pinned memory is too small.
	ErrMemory = fmt.Errorf("the engine may not pin %d MB for each queue (it needs CAP_IPC_LOCK, or a larger memlock limit)", umemSize>>20)
	// ErrKernel: the kernel is too old or built without AF_XDP.
	ErrKernel = errors.New("the kernel lacks AF_XDP or does not say what the device can do (Linux 6.8 does)")
	// ErrBusy: somebody else's XDP program or AF_XDP socket is there.
	ErrBusy = errors.New("another XDP program or AF_XDP socket has the device")
	// ErrNoXDP: neither the driver runs XDP programs, nor would the kernel's
	// generic hook see whole frames.
	ErrNoXDP = errors.New("the driver runs no XDP programs")
	// ErrTags: tags would be lost, and with them the VLAN of a frame.
	ErrTags = errors.New("the device takes VLAN tags off frames, and XDP would not see them (ethtool -K DEVICE rxvlan off)")
	// ErrChecksum: checksums may be unfinished, and nothing would say which.
	ErrChecksum = errors.New("the device hands over unfinished checksums, and XDP would not see which")
	// ErrNoGain: Config.ZeroCopy is set and the driver copies.
	ErrNoGain = errors.New("the driver has no zero copy, without which AF_XDP gains nothing here")
	// ErrNoGainVeth: the same for veth, whose other end also loses TSO.
	ErrNoGainVeth = errors.New("veth has no zero copy, and its other end would lose TSO")
)

// obstacles are the errors above.
var obstacles = []error{
	ErrMTU, ErrPeerMTU, ErrQueues, ErrPrivilege, ErrMemory, ErrKernel, ErrBusy, ErrNoXDP, ErrTags,
	ErrChecksum, ErrNoGain, ErrNoGainVeth,
}

// IsObstacle reports whether err says that AF_XDP does not go with the device as
// it is now, so that another driver should be tried. A device that is not there,
// and a port that is closed, are no obstacles: they would hinder any driver.
func IsObstacle(err error) bool {
	return err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.ENXIO) && !errors.Is(err, port.ErrClosed)
}

// known returns the obstacle that err wraps; nil when it wraps none of ours.
func known(err error) error {
	for _, o := range obstacles {
		if errors.Is(err, o) {
			return o
		}
	}
	return nil
}

// Why returns the sentence of an obstacle: one of ours, or what the kernel said
// when that is a surprise; empty when err is no obstacle.
func Why(err error) string {
	if o := known(err); o != nil {
		return o.Error()
	}
	if IsObstacle(err) {
		return err.Error()
	}
	return ""
}

// explain wraps what the kernel said on the way to a socket in the obstacle that
// it means; other errors stay as they are.
func explain(err error) error {
	var refused *ebpf.VerifierError
	switch {
	case err == nil, known(err) != nil:
		return err
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: %w", ErrPrivilege, err)
	case errors.Is(err, errLacking), errors.As(err, &refused):
		// The verifier does not know what the program is made for.
		return fmt.Errorf("%w: %w", ErrKernel, err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: %w", ErrPrivilege, err)
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return fmt.Errorf("%w: %w", ErrBusy, err)
	case errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%w: %w", ErrKernel, err)
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: %w", ErrNoXDP, err)
	case errors.Is(err, unix.ERANGE):
		return fmt.Errorf("%w: %w", ErrPeerMTU, err)
	case errors.Is(err, unix.ENOSPC):
		// veth: the other end sends on more queues than this end receives on.
		return fmt.Errorf("%w: %w", ErrQueues, err)
	}
	return err
}
