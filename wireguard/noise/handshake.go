package noise

import (
	"errors"
	"io"

	"github.com/ztos/ztos/crypto/secret"
)

// Errors of the handshake. None says more than which step refused; a sender
// never learns it.
var (
	// ErrMessage: not a message of the wanted kind.
	ErrMessage = errors.New("noise: malformed message")
	// ErrAuth: a sealed field does not authenticate.
	ErrAuth = errors.New("noise: message does not authenticate")
	// ErrDone: the handshake was finished or wiped already.
	ErrDone = errors.New("noise: handshake is over")
)

// Identity is this node's static key pair with what follows from it.
type Identity struct {
	opaque
	private secret.Key32
	public  PublicKey
	hash    hash32 // transcript hash once the responder, us, is mixed in
}

// NewIdentity returns the identity of a private key. It copies the key: wiping
// one does not wipe the other. ErrKey when it is empty.
func NewIdentity(private secret.Key32) (*Identity, error) {
	public, err := PublicOf(private)
	if err != nil {
		return nil, err
	}
	return &Identity{private: secret.New32(private.Array()), public: public, hash: hash(initialHash[:], public[:])}, nil
}

// Public returns the public key.
func (id *Identity) Public() PublicKey { return id.public }

// Wipe clears the private key; the identity is unusable afterwards.
func (id *Identity) Wipe() { id.private.Wipe() }

// Remote is what this node knows about one peer before a handshake: its public
// key, DH of both static keys, and the preshared key.
type Remote struct {
	opaque
	public PublicKey
	hash   hash32       // transcript hash once the responder, the peer, is mixed in
	ss     secret.Key32 // DH(static, static)
	psk    secret.Key32 // 32 zeros when there is none
	hasPSK bool
}

// Remote returns the handshake's view of the peer with this public key;
// ErrLowOrder when no handshake with it can be secret. psk may be empty.
func (id *Identity) Remote(public PublicKey, psk secret.Key32) (*Remote, error) {
	ss, err := dh(id.private, &public)
	if err != nil {
		return nil, err
	}
	defer clear(ss[:])
	r := &Remote{public: public, hash: hash(initialHash[:], public[:]), ss: secret.New32(&ss)}
	r.SetPSK(psk)
	return r, nil
}

// Public returns the peer's public key.
func (r *Remote) Public() PublicKey { return r.public }

// SetPSK replaces the preshared key by a copy of psk; an empty one, or 32 zeros,
// means none. Handshakes that are under way and have not used the old one yet
// will use the new one.
func (r *Remote) SetPSK(psk secret.Key32) {
	r.psk.Wipe()
	var b [KeySize]byte
	if psk.Valid() {
		b = *psk.Array()
	}
	defer clear(b[:])
	r.psk = secret.New32(&b)
	r.hasPSK = !r.psk.Equal(secret.New32(&[KeySize]byte{}))
}

// PSKEqual reports whether psk is the preshared key that is set, in constant
// time. An empty key equals 32 zeros.
func (r *Remote) PSKEqual(psk secret.Key32) bool {
	if !psk.Valid() {
		return !r.hasPSK
	}
	return r.psk.Equal(psk)
}

// HasPSK reports whether a preshared key is set.
func (r *Remote) HasPSK() bool { return r.hasPSK }

// Wipe clears the shared secret and the preshared key.
func (r *Remote) Wipe() {
	r.ss.Wipe()
	r.psk.Wipe()
}

// Keys is the result of a handshake: the transport keys as their holder uses
// them. Wipe it once the ciphers are made.
type Keys struct {
	Send secret.Key32 // this side seals with it
	Recv secret.Key32 // this side opens with it
}

// Wipe clears both keys.
func (k *Keys) Wipe() {
	k.Send.Wipe()
	k.Recv.Wipe()
}

// state is the symmetric state that both sides carry through the messages.
type state struct {
	chain hash32 // chaining key, secret
	hash  hash32 // transcript hash
}

func (s *state) mixHash(b []byte) { s.hash = hash(s.hash[:], b) }
func (s *state) mixKey(b []byte)  { s.chain = kdf1(&s.chain, b) }

// mixKey2 mixes in b and returns a key to seal one field with.
func (s *state) mixKey2(b []byte) (key hash32) {
	s.chain, key = kdf2(&s.chain, b)
	return key
}

// mixPSK mixes in the preshared key and returns the key of the empty field.
func (s *state) mixPSK(psk secret.Key32) (key hash32) {
	var tau hash32
	s.chain, tau, key = kdf3(&s.chain, psk.Bytes())
	s.mixHash(tau[:])
	clear(tau[:])
	return key
}

func (s *state) wipe() {
	clear(s.chain[:])
	clear(s.hash[:])
}

// split derives the transport keys and wipes s.
func (s *state) split(initiator bool) *Keys {
	a, b := kdf2(&s.chain, nil)
	defer clear(a[:])
	defer clear(b[:])
	s.wipe()
	if initiator {
		return &Keys{Send: secret.New32(&a), Recv: secret.New32(&b)}
	}
	return &Keys{Send: secret.New32(&b), Recv: secret.New32(&a)}
}

// Pending is an initiator's handshake between its initiation and the response.
type Pending struct {
	opaque
	state
	id        *Identity
	remote    *Remote
	ephemeral secret.Key32
	done      bool
}

// Initiate starts a handshake with remote: it writes the initiation into
// msg[:148], its MAC fields zero, and returns the state that Finish needs.
// sender is the index by which this side wants to be addressed. The ephemeral
// key is read from random.
func (id *Identity) Initiate(msg []byte, remote *Remote, sender uint32, ts Timestamp, random io.Reader) (*Pending, error) {
	eph, err := newPrivate(random)
	if err != nil {
		return nil, err
	}
	ephPub, err := PublicOf(eph)
	if err != nil {
		return nil, err
	}
	m := Initiation(msg[:InitiationSize])
	clear(m)
	putType(m, TypeInitiation)
	m.setSender(sender)
	copy(m.ephemeral(), ephPub[:])

	p := &Pending{id: id, remote: remote, ephemeral: eph}
	p.chain, p.hash = initialChain, remote.hash
	p.mixKey(ephPub[:])
	p.mixHash(ephPub[:])

	es, err := dh(eph, &remote.public)
	if err != nil {
		p.Wipe()
		return nil, err
	}
	key := p.mixKey2(es[:])
	clear(es[:])
	seal(m.static()[:0], &key, id.public[:], p.hash[:])
	p.mixHash(m.static())

	key = p.mixKey2(remote.ss.Bytes())
	seal(m.timestamp()[:0], &key, ts[:], p.hash[:])
	p.mixHash(m.timestamp())
	clear(key[:])
	return p, nil
}

// Finish authenticates the response and returns the initiator's transport keys;
// p is wiped then. On ErrMessage and ErrAuth p is unchanged: a forged response
// does not spoil the handshake. The MACs of msg are the caller's to check.
func (p *Pending) Finish(msg []byte) (*Keys, error) {
	m := Response(msg)
	if !m.Valid() {
		return nil, ErrMessage
	}
	if p.done {
		return nil, ErrDone
	}
	s := p.state
	defer s.wipe()
	ephPub := PublicKey(m.ephemeral())
	s.mixHash(ephPub[:])
	s.mixKey(ephPub[:])
	for _, k := range []secret.Key32{p.ephemeral, p.id.private} {
		ss, err := dh(k, &ephPub)
		if err != nil {
			return nil, ErrAuth
		}
		s.mixKey(ss[:])
		clear(ss[:])
	}
	key := s.mixPSK(p.remote.psk)
	defer clear(key[:])
	if _, ok := open(nil, &key, m.empty(), s.hash[:]); !ok {
		return nil, ErrAuth
	}
	keys := s.split(true)
	p.Wipe()
	return keys, nil
}

// Wipe clears the ephemeral key and the state; the handshake is over.
func (p *Pending) Wipe() {
	p.ephemeral.Wipe()
	p.wipe()
	p.done = true
}

// Request is a responder's handshake after an initiation.
type Request struct {
	opaque
	state
	remotePublic PublicKey
	ephemeral    PublicKey
	sender       uint32
	sealedTime   [TimestampSize + tagSize]byte
	verified     bool
}

// Accept decrypts who sent the initiation msg. The sender has proven nothing
// yet: anybody who knows our public key can name any static key. Look the peer
// up by Remote and go on with Verify. The MACs of msg are the caller's to check.
func (id *Identity) Accept(msg []byte) (*Request, error) {
	m := Initiation(msg)
	if !m.Valid() {
		return nil, ErrMessage
	}
	q := &Request{sender: m.Sender(), ephemeral: PublicKey(m.ephemeral())}
	q.chain, q.hash = initialChain, id.hash
	q.mixKey(q.ephemeral[:])
	q.mixHash(q.ephemeral[:])
	es, err := dh(id.private, &q.ephemeral)
	if err != nil {
		return nil, ErrAuth
	}
	key := q.mixKey2(es[:])
	clear(es[:])
	defer clear(key[:])
	if _, ok := open(q.remotePublic[:0], &key, m.static(), q.hash[:]); !ok {
		q.Wipe()
		return nil, ErrAuth
	}
	q.mixHash(m.static())
	copy(q.sealedTime[:], m.timestamp())
	return q, nil
}

// Remote returns the static public key that the initiator claims.
func (q *Request) Remote() PublicKey { return q.remotePublic }

// Sender returns the index by which the initiator wants to be addressed.
func (q *Request) Sender() uint32 { return q.sender }

// Verify authenticates the initiator as remote and returns its time stamp. The
// caller must refuse one that is not After the last it accepted.
func (q *Request) Verify(remote *Remote) (Timestamp, error) {
	var ts Timestamp
	if q.verified || remote.public != q.remotePublic {
		return ts, ErrAuth
	}
	s := q.state
	key := s.mixKey2(remote.ss.Bytes())
	defer clear(key[:])
	if _, ok := open(ts[:0], &key, q.sealedTime[:], s.hash[:]); !ok {
		s.wipe()
		return Timestamp{}, ErrAuth
	}
	s.mixHash(q.sealedTime[:])
	q.state, q.verified = s, true
	return ts, nil
}

// Respond writes the response into msg[:92], its MAC fields zero, and returns
// the responder's transport keys; q is wiped then. ErrDone when q was not
// verified. sender is the index by which this side wants to be addressed. The
// ephemeral key is read from random.
func (q *Request) Respond(msg []byte, remote *Remote, sender uint32, random io.Reader) (*Keys, error) {
	if !q.verified {
		return nil, ErrDone
	}
	eph, err := newPrivate(random)
	if err != nil {
		return nil, err
	}
	defer eph.Wipe()
	ephPub, err := PublicOf(eph)
	if err != nil {
		return nil, err
	}
	m := Response(msg[:ResponseSize])
	clear(m)
	putType(m, TypeResponse)
	m.setSender(sender)
	m.setReceiver(q.sender)
	copy(m.ephemeral(), ephPub[:])

	q.mixHash(ephPub[:])
	q.mixKey(ephPub[:])
	for _, pub := range []*PublicKey{&q.ephemeral, &q.remotePublic} {
		ss, err := dh(eph, pub)
		if err != nil {
			q.Wipe()
			return nil, ErrAuth
		}
		q.mixKey(ss[:])
		clear(ss[:])
	}
	key := q.mixPSK(remote.psk)
	defer clear(key[:])
	seal(m.empty()[:0], &key, nil, q.hash[:])
	keys := q.split(false)
	q.Wipe()
	return keys, nil
}

// Wipe clears the state; the handshake is over.
func (q *Request) Wipe() {
	q.wipe()
	q.verified = false
}
