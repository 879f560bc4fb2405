package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/credentials"
)

// peerCred lets in whom the kernel says to be our own user or root. It encrypts
// nothing: a unix socket stays on the machine.
type peerCred struct{ allowed func(uid uint32) bool }

// ownOrRoot allows the process's own user and root.
func ownOrRoot(uid uint32) bool { return uid == 0 || int(uid) == os.Geteuid() }

// authInfo says who called.
type authInfo struct {
	credentials.CommonAuthInfo
	uid uint32
	pid int32
}

// AuthType names the method.
func (authInfo) AuthType() string { return "peercred" }

// ServerHandshake asks the kernel who is at the other end of conn, and closes it
// on those who may not.
func (p peerCred) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, nil, errors.New("server: not a unix socket")
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("server: SO_PEERCRED: %w", err)
	}
	if !p.allowed(cred.Uid) {
		conn.Close()
		return nil, nil, fmt.Errorf("server: uid %d is neither ours nor root", cred.Uid)
	}
	info := authInfo{uid: cred.Uid, pid: cred.Pid}
	info.SecurityLevel = credentials.PrivacyAndIntegrity // as grpc's local credentials say of unix sockets
	return conn, info, nil
}

// ClientHandshake is for clients: package client has its own.
func (p peerCred) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("server: not client credentials")
}

// Info describes the method.
func (p peerCred) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "peercred"}
}

// Clone returns p.
func (p peerCred) Clone() credentials.TransportCredentials { return p }

// OverrideServerName does nothing.
func (p peerCred) OverrideServerName(string) error { return nil }
