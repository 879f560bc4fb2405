#!/bin/sh
# Writes api/ztosv1 from api/proto. Needs protoc (Debian: protobuf-compiler) and,
# of the versions named here:
#   go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
#   go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
set -eu
cd "$(dirname "$0")"
PATH="$PATH:$(go env GOPATH)/bin"
export PATH
protoc -I proto \
	--go_out=ztosv1 --go_opt=module=github.com/ztos/ztos/api/ztosv1 \
	--go-grpc_out=ztosv1 --go-grpc_opt=module=github.com/ztos/ztos/api/ztosv1 \
	ztos/v1/node.proto ztos/v1/evpn.proto ztos/v1/bfd.proto ztos/v1/verify.proto ztos/v1/dhcp.proto
