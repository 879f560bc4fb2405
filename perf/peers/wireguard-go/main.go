package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"
)

func main() {
	name := flag.String("tun", "wg0", "name of the TUN device to create")
	mtu := flag.Int("mtu", device.DefaultMTU, "MTU of the TUN device, bytes")
	flag.Parse()
	if err := run(*name, *mtu); err != nil {
		fmt.Fprintln(os.Stderr, "wireguard-go:", err)
		os.Exit(1)
	}
}

// run creates the device and serves it until a signal ends the process.
func run(name string, mtu int) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)

	t, err := tun.CreateTUN(name, mtu)
	if err != nil {
		return fmt.Errorf("create TUN %s: %w", name, err)
	}
	dev := device.NewDevice(t, conn.NewDefaultBind(),
		device.NewLogger(device.LogLevelError, name+": "))
	defer dev.Close()
	// IpcSetOperation reads to the end of its input. Its errors name the
	// faulty key, never a value.
	if err := dev.IpcSetOperation(os.Stdin); err != nil {
		return fmt.Errorf("configure %s: %w", name, err)
	}
	if err := dev.Up(); err != nil {
		return fmt.Errorf("bring %s up: %w", name, err)
	}
	fmt.Println("ready")
	select {
	case <-stop:
	case <-dev.Wait():
	}
	return nil
}
