package afxdp

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/ztos/ztos/engine/port"
	"golang.org/x/sys/unix"
)

func TestExplain(t *testing.T) {
	verifier := func(errno unix.Errno) error { return &ebpf.VerifierError{Cause: errno} }
	for _, tt := range []struct {
		err  error
		want error // nil: no obstacle of ours
	}{
		{unix.EPERM, ErrPrivilege},
		{verifier(unix.EPERM), ErrPrivilege},
		{unix.EACCES, ErrPrivilege},
		{verifier(unix.EACCES), ErrKernel},
		{verifier(unix.EINVAL), ErrKernel},
		{fmt.Errorf("%w: function x", errLacking), ErrKernel},
		{unix.EAFNOSUPPORT, ErrKernel},
		{unix.EBUSY, ErrBusy},
		{unix.EOPNOTSUPP, ErrNoXDP},
		{unix.ERANGE, ErrPeerMTU},
		{unix.ENOSPC, ErrQueues},
		{fmt.Errorf("%w: %w", ErrTags, unix.EBUSY), ErrTags},
		{unix.EINVAL, nil},
	} {
		got := explain(fmt.Errorf("what was tried: %w", tt.err))
		if !errors.Is(got, tt.err) || known(got) != tt.want {
			t.Errorf("%v: %v, want %v", tt.err, got, tt.want)
		}
		if Why(got) == "" || !IsObstacle(got) {
			t.Errorf("%v: not a word", tt.err)
		}
	}
	for _, err := range []error{nil, unix.ENODEV, unix.ENXIO, port.ErrClosed} {
		if IsObstacle(err) || Why(err) != "" {
			t.Errorf("%v is taken for an obstacle", err)
		}
	}
}

// TestKernelTypes: what the program reads is found by name, nested as it is; what
// a kernel does not have is said to be lacking.
func TestKernelTypes(t *testing.T) {
	u32 := &btf.Int{Size: 4}
	inner := &btf.Union{Size: 8, Members: []btf.Member{{Name: "csum", Type: u32}, {Type: &btf.Struct{Size: 4, Members: []btf.Member{
		{Name: "csum_start", Type: &btf.Int{Size: 2}}, {Name: "csum_offset", Type: &btf.Int{Size: 2}, Offset: 16},
	}}}}}
	s := &btf.Struct{Size: 32, Members: []btf.Member{
		{Name: "head", Type: u32},
		{Name: "ip_summed", Type: u32, Offset: 69, BitfieldSize: 2},
		{Name: "wide", Type: u32, Offset: 70, BitfieldSize: 9},
		{Type: &btf.Const{Type: inner}, Offset: 128},
	}}
	for _, tt := range []struct {
		name string
		want member
		ok   bool
	}{
		{"head", member{0, 0, 0}, true},
		{"ip_summed", member{8, 5, 2}, true},
		{"csum_start", member{16, 0, 0}, true},
		{"csum_offset", member{18, 0, 0}, true},
		{"wide", member{}, false},
		{"gone", member{}, false},
	} {
		got, err := findMember(s, tt.name)
		if got != tt.want || (err == nil) != tt.ok || err != nil && !errors.Is(err, errLacking) {
			t.Errorf("%s: %+v, %v; want %+v", tt.name, got, err, tt.want)
		}
	}
}
