package spool

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"
)

// ID names a receipt: 128 random bits.
type ID [16]byte

var idCodec = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func newID() (id ID) {
	rand.Read(id[:])
	return id
}

// ParseID reads what String gave; false for anything else.
func ParseID(text string) (id ID, ok bool) {
	if len(text) != idCodec.EncodedLen(len(id)) {
		return id, false
	}
	n, err := idCodec.Decode(id[:], []byte(text))
	return id, err == nil && n == len(id) && id.String() == text
}

func (id ID) String() string { return idCodec.EncodeToString(id[:]) }

// MarshalText gives the text.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads it.
func (id *ID) UnmarshalText(b []byte) error {
	got, ok := ParseID(string(b))
	if !ok {
		return errors.New("spool: no id of a receipt")
	}
	*id = got
	return nil
}

// State is what became of a message.
type State string

const (
	// Kept: it is on disk and waits for its delivery.
	Kept State = "kept"
	// Delivering: it is on its way to the platform.
	Delivering State = "delivering"
	// Delivered: the platform took it.
	Delivered State = "delivered"
	// Rejected: the platform did not want it, or its sender's login is over.
	Rejected State = "rejected"
	// Expired: it waited for too long.
	Expired State = "expired"
	// Unconfirmed: it was handed over, and no answer came.
	Unconfirmed State = "unconfirmed"
	// Damaged: the disk lost its text.
	Damaged State = "damaged"
)

// States gives every word, in order.
func States() []State {
	return []State{Kept, Delivering, Delivered, Rejected, Expired, Unconfirmed, Damaged}
}

// waits says whether it is still to be delivered.
func (s State) waits() bool { return s == Kept || s == Delivering }

// Waits says whether it is still to be delivered.
func (s State) Waits() bool { return s.waits() }

// frees says whether its key may be used again: the platform certainly has
// nothing of it.
func (s State) frees() bool { return s == Rejected || s == Expired || s == Damaged }

// Sender is who sent a message, by keyed hashes that outlive a connection;
// 0 where there is none. One of them is to be set: nobody sees the receipt of who has none.
type Sender struct {
	Account    uint64 `json:"a,omitempty"` // the platform vouched for a login
	Credential uint64 `json:"c,omitempty"` // what it holds, a token or key
	Pass       uint64 `json:"p,omitempty"`
}

// principal is the one name of a sender: order and quotas go by it. What a sender holds
// goes by nothing but its word, so that a new token costs nothing: its pass goes before that.
func (s Sender) principal() principal {
	switch {
	case s.Account != 0:
		return principal{'a', s.Account}
	case s.Credential != 0 && s.Pass == 0:
		return principal{'c', s.Credential}
	}
	return principal{'p', s.Pass}
}

// scope is within what a sender's keys are told apart. Here what it holds goes before
// its pass: an app that has lost its cookies tries again with the same token and key.
func (s Sender) scope() principal {
	switch {
	case s.Account != 0:
		return principal{'a', s.Account}
	case s.Credential != 0:
		return principal{'c', s.Credential}
	}
	return principal{'p', s.Pass}
}

type principal struct {
	by byte
	id uint64
}

// may says whether t may see what s sent.
func (s Sender) may(t Sender) bool {
	return s.Account != 0 && s.Account == t.Account ||
		s.Credential != 0 && s.Credential == t.Credential ||
		s.Pass != 0 && s.Pass == t.Pass
}

// Message is one request that is kept.
type Message struct {
	Sender   Sender
	Newcomer bool   // nothing but a pass of not long before speaks for the sender
	Sent     bool   // it was handed over already, and no answer came
	Route    *Route // that it is kept by
	Method   string
	URI      string // path and query
	Host     string
	Secured  bool // by TLS
	Client   netip.Addr
	Language string // Accept-Language
	Header   http.Header
	Key      string // Idempotency-Key; empty: none was sent
	Body     []byte
}

// content is what is kept of a message beside its entry. Its body follows it.
type content struct {
	Method   string      `json:"method"`
	URI      string      `json:"uri"`
	Host     string      `json:"host"`
	Secured  bool        `json:"secured,omitempty"`
	Client   netip.Addr  `json:"client"`
	Header   http.Header `json:"header"`
	Key      string      `json:"key,omitempty"`
	AddedKey bool        `json:"added_key,omitempty"`
}

// digest is half a SHA-256.
type digest [16]byte

func digestOf(parts ...[]byte) digest {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	return digest(h.Sum(nil)[:16])
}

// MarshalText gives it in hex.
func (d digest) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(d[:])), nil }

// UnmarshalText reads it.
func (d *digest) UnmarshalText(b []byte) error {
	if len(b) != 2*len(d) {
		return errors.New("spool: no digest")
	}
	_, err := hex.Decode(d[:], b)
	return err
}

// keyDigest names one sender's key on one route; zero without a key.
func keyDigest(s Sender, host, route, key string) digest {
	if key == "" {
		return digest{}
	}
	p := s.scope()
	who := binary.BigEndian.AppendUint64([]byte{p.by}, p.id)
	return digestOf([]byte("key"), who, []byte(host), []byte(route), []byte(key))
}

// Entry is what is known of a message without reading it.
type Entry struct {
	ID       ID           `json:"id"`
	Seq      uint64       `json:"seq"` // in the order they came
	State    State        `json:"s"`
	At       int64        `json:"at"`           // Unix milliseconds, by the wall
	Changed  int64        `json:"ch"`           // when it got its state
	Until    int64        `json:"un"`           // then it expires, by Store.clock, or is forgotten, by the wall
	Back     int64        `json:"bk,omitempty"` // see since
	Sender   Sender       `json:"who"`          //
	Net      netip.Prefix `json:"net,omitzero"` // newcomers' network
	Host     string       `json:"host"`
	Route    string       `json:"rt"`
	Key      digest       `json:"key"`
	Body     digest       `json:"body"`
	Size     int          `json:"n"`             // bytes of its record; 0: erased
	Doubt    bool         `json:"d,omitempty"`   // it may have arrived
	Repeats  int          `json:"rep,omitempty"` // how often in doubt
	Status   int          `json:"st,omitempty"`  // of the platform's last answer
	Location string       `json:"loc,omitempty"` // where the platform put it
	Login    bool         `json:"login,omitempty"`
	Language string       `json:"lang,omitempty"`
	By       string       `json:"by,omitempty"` // the edge that said so, on a cluster
}

func (e *Entry) marshal() []byte {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // unreachable: nothing in it can fail
	}
	return b
}

// pack is the text of a message's record: the entry, the content, the body,
// each of the first two behind its length.
func pack(e *Entry, rest []byte) []byte {
	b := e.marshal()
	out := make([]byte, 0, 4+len(b)+len(rest))
	out = binary.BigEndian.AppendUint32(out, uint32(len(b)))
	out = append(out, b...)
	return append(out, rest...)
}

// unpack gives the entry's JSON and what follows it.
func unpack(text []byte) (entry, rest []byte, err error) {
	if len(text) < 4 {
		return nil, nil, errDamaged
	}
	n := binary.BigEndian.Uint32(text)
	if uint64(n) > uint64(len(text)-4) {
		return nil, nil, errDamaged
	}
	return text[4 : 4+n], text[4+n:], nil
}

func packContent(c *content, body []byte) ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	out := make([]byte, 0, 4+len(b)+len(body))
	out = binary.BigEndian.AppendUint32(out, uint32(len(b)))
	out = append(out, b...)
	return append(out, body...), nil
}

func unpackContent(rest []byte) (c content, body []byte, err error) {
	text, body, err := unpack(rest)
	if err == nil && json.Unmarshal(text, &c) != nil {
		err = errDamaged
	}
	return c, body, err
}

func millis(t time.Time) int64 { return t.UnixMilli() }

// networkOf is what newcomers are counted by.
func networkOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
