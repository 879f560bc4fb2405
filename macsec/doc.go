// Package macsec protects and validates tenant frames as IEEE 802.1AE (MACsec)
// says: one SecY per VNI on a leaf, with one transmit channel to all its peers
// and one receive channel from each.
//
//	tenant frame   DA SA | EtherType payload
//	standard       DA SA | SecTAG 16 | EtherType payload            | ICV 16    +32
//	hidden         oDA oSA | SecTAG 16 | 0x6558 DA SA EtherType payload | ICV 16    +46
//	               \______ authenticated ______/\______ secure data _____/
//
// In standard mode the tenant's addresses stay readable and every MACsec
// implementation can be the peer. In hidden mode the whole tenant frame is secure
// data, behind the EtherType of transparent Ethernet bridging; the outer
// addresses are the SecY's own. Both ends must be ZTOS.
//
// # Transmit
//
// A worker owns a Tx. BeginTx reserves a run of packet numbers of the SA in use,
// one atomic operation for a burst, and Tx.Protect seals one frame with each.
// Numbers that a burst leaves over are skipped. A number is never used twice with
// one key: not by two workers, not on two ANs, not after the SA was removed and
// came back. Beyond the granted limit, which control raises only after it has
// saved it, and beyond the last number of the suite, nothing is sent.
//
// # Receive
//
// A worker owns an Rx. Validate checks in the standard's order: SecTAG present,
// SecTAG valid, SCI known, SA in use, PN not below the window, ICV, and the PN
// again, after which it is marked. Then one contiguous tenant frame stands in the
// received frame's memory. Cheap checks come first and nothing that an attacker
// can forge changes any state except a counter.
//
// validateFrames is always strict, and replayProtect is always on: "check" and
// "disabled" deliver frames whose ICV is wrong or absent, and a fabric that
// promises tenants integrity has no use for them. So the MIB counters that only
// those settings move (InPktsUnchecked, InPktsInvalid, InPktsDelayed,
// InPktsUnusedSA, InPktsUntagged) do not exist here. The uncontrolled port is not
// here either: who wants to receive EAPOL or other cleartext looks at the frame
// before handing it to Validate.
//
// # Concurrency
//
// Any number of workers, each with its own Tx and Rx, work on one SecY while
// control installs and removes SAs and channels and switches ANs. Workers meet
// immutable values behind atomic pointers, and cells made for sharing: a PN
// counter for each TxSA, a replay window (crypto/replay) for each RxSA, counters
// that are added to once a burst.
//
// # Sources
//
// The rules were taken from secondary renderings of IEEE 802.1AE-2018 and from
// what other implementations do, not from the standard's own text; the published
// frames of its Annex C, and scapy, are the judges in the tests.
//
// Layer 2: imports crypto/*, engine/counter and engine/table; no other feature,
// no log, no clock, no goroutine.
package macsec
