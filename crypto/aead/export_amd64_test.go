package aead

import "unsafe"

// GCMSealAt and GCMOpenAt let the counter of a wide implementation start
// anywhere: ctr is the counter of the tag's mask, which is 1 otherwise.
func GCMSealAt(a AEAD, dst, nonce []byte, ctr uint32, in, aad []byte) bool {
	return a.(*gcmWide).seal(dst, nonce, ctr, in, aad)
}

// GCMOpenAt is the counterpart of GCMSealAt.
func GCMOpenAt(a AEAD, dst, nonce []byte, ctr uint32, in, aad []byte) bool {
	return a.(*gcmWide).open(dst, nonce, ctr, in, aad)
}

// GCMTables returns a wide implementation's powers of H and round keys, as bytes.
func GCMTables(a AEAD) (powers [56][16]byte, keys [15][16]byte) {
	g := a.(*gcmWide)
	return g.powers, g.keys
}

// WidePoly returns Poly1305 of up to eight messages side by side under one-time
// keys of the caller's choice; messages are whole blocks. It needs Wide.
func WidePoly(keys *[8][32]byte, msgs [][]byte) [8][TagSize]byte {
	m := mac{count: len(msgs)}
	var parts [8][]byte
	copy(parts[:], msgs)
	polyInit(m.poly(), keys)
	m.bulk(&parts)
	m.rest(&parts, nil)
	var tags [8][TagSize]byte
	for i := range msgs {
		m.tag(i, &keys[i], &tags[i])
	}
	return tags
}

// WidePolyRun is Poly1305 of one message of at least 256 bytes, worked alone, at
// place i of eight.
func WidePolyRun(key *[32]byte, msg []byte, i int) (tag [TagSize]byte) {
	var m mac
	var keys [8][32]byte
	keys[i] = *key
	polyInit(m.poly(), &keys)
	m.count = 8
	text, lengths := msg[:len(msg)-16], msg[len(msg)-16:]
	m.run(i, text, 0)
	polyInit(m.poly(), &keys)
	copy(m.alone.last[15][:], lengths)
	polyRun(m.poly(), i, &m.alone)
	m.tag(i, key, &tag)
	return tag
}

// AlwaysWide returns the wide implementation, which takes even what the other
// one does faster; or the portable one where there is no other.
func AlwaysWide(key []byte) (AEAD, error) {
	a, err := NewChaCha20Poly1305(key)
	if w, ok := a.(*wide); ok {
		w.always = true
	}
	return a, err
}

// keptWide is Kept for the wide implementations.
func keptWide(a AEAD) [][]byte {
	switch a := a.(type) {
	case *wide:
		return append(Kept(a.portable), unsafe.Slice((*byte)(unsafe.Pointer(&a.key)), unsafe.Sizeof(a.key)))
	case *gcmWide:
		return [][]byte{unsafe.Slice((*byte)(unsafe.Pointer(a)), unsafe.Sizeof(*a))}
	}
	return nil
}
