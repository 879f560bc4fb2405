package machine

import (
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// Machine is where a run was.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	// Calibration is the median over all measurements of one
	// ChaCha20-Poly1305 seal of 1500 bytes, ns.
	Calibration float64 `json:"calibration_ns"`
}

// This returns the machine that the program runs on, without calibration.
func This() Machine {
	return Machine{CPU: cpuModel(), Cores: runtime.NumCPU(), Kernel: kernelRelease(), Go: runtime.Version()}
}

// cpuModel returns the processor's name as the kernel has it.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// kernelRelease returns the kernel's version.
func kernelRelease() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

// Calibrate returns the time of one ChaCha20-Poly1305 seal of 1500 bytes, ns:
// what the machine is worth at this moment. It takes some milliseconds.
func Calibrate() float64 {
	const rounds, size = 4000, 1500
	aead, err := chacha20poly1305.New(make([]byte, chacha20poly1305.KeySize))
	if err != nil {
		panic(err) // the key has the right length
	}
	nonce := make([]byte, aead.NonceSize())
	buf := make([]byte, size, size+aead.Overhead())
	start := time.Now()
	for range rounds {
		aead.Seal(buf[:0], nonce, buf[:size], nil)
	}
	return float64(time.Since(start).Nanoseconds()) / rounds
}
