package check

import "testing"

// TestProtocolCounters: the form of /proc/net/snmp, as Linux 6 prints it.
func TestProtocolCounters(t *testing.T) {
	got := protocolCounters("Ip: Forwarding DefaultTTL\nIp: 1 64\n" +
		"Tcp: RtoAlgorithm MaxConn RetransSegs\nTcp: 1 -1 7\n" +
		"Udp: InDatagrams RcvbufErrors\nUdp: 5 2\n")
	for name, want := range map[string]uint64{"Ip.DefaultTTL": 64, "Tcp.RetransSegs": 7, "Udp.RcvbufErrors": 2} {
		if got[name] != want {
			t.Errorf("%s is %d, want %d", name, got[name], want)
		}
	}
	if _, ok := got["Tcp.MaxConn"]; ok {
		t.Error("a negative value was taken")
	}
}
