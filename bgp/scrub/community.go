package scrub

// veilBit turns the type of an extended community into one that IANA has not
// assigned and GoBGP does not look into, and back.
const veilBit = 0x20

// VeilType returns the type octet under which GoBGP carries extended communities
// of type typ: what converts routes from and to GoBGP uses it.
//
// Of the types 0x06 (EVPN), 0x0c (mobile user plane) and 0x80 to 0x82
// (experimental), GoBGP 4.8.0 takes a sub-type that it does not know for an error
// and withdraws the route: so it did with the DF election (RFC 8584) and ARP/ND
// (RFC 9047) communities. It also acts on some EVPN ones, as the package comment
// says of mobility, and forgets bits of others when it reflects them.
func VeilType(typ byte) byte {
	if veiled(typ) {
		return typ | veilBit
	}
	return typ
}

// veiled reports whether communities of type typ are hidden from GoBGP.
func veiled(typ byte) bool {
	switch typ {
	case 0x06, 0x0c, 0x80, 0x81, 0x82:
		return true
	}
	return false
}

// hidden reports whether a type is what VeilType made of another.
func hidden(typ byte) bool { return typ&veilBit != 0 && veiled(typ&^veilBit) }

// inType says what becomes of a type octet on the way in; ok is false when the
// community goes, because a peer must not speak the language used in here.
func inType(typ byte) (byte, bool) { return VeilType(typ), !hidden(typ) }

// outType says what becomes of a type octet on the way out; ok is false when the
// community goes: GoBGP has added it by itself.
func outType(typ byte) (byte, bool) {
	if hidden(typ) {
		return typ &^ veilBit, true
	}
	return typ, !veiled(typ)
}

// retype appends list, extended communities of eight octets, to out with the
// types that fn says. A rest shorter than a community is copied.
func retype(out, list []byte, fn func(byte) (byte, bool)) []byte {
	for ; len(list) >= 8; list = list[8:] {
		if typ, ok := fn(list[0]); ok {
			out = append(append(out, typ), list[1:8]...)
		}
	}
	return append(out, list...)
}

// plain reports whether retype would change nothing.
func plain(list []byte) bool {
	for ; len(list) >= 8; list = list[8:] {
		if veiled(list[0]) || hidden(list[0]) {
			return false
		}
	}
	return true
}
