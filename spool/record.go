package spool

import (
	"crypto/cipher"
	"encoding/binary"
	"hash/crc32"
	"time"
)

// A file of the log is a head of 64 bytes, then records. All numbers are
// big-endian.
//
//	0      "deichspool1\n"
//	12     id of the key
//	16     salt, 32 bytes
//	48     when it was begun, Unix seconds
//	56     0
//	60     CRC-32C of the bytes before
//
// A record is a head of 24 bytes and what it seals (AES-256-GCM; the nonce is
// the number, the head without its checksum is authenticated with it).
//
//	0      "dsp\x01"
//	4      kind
//	5      0
//	8      length of what is sealed, its tag included
//	12     number of the record in its file, from 1
//	20     CRC-32C of the bytes before
//
// The first record of a file is one of the time (not so in files of earlier versions). An
// erased record keeps its head, with its own kind, over zeros.
const (
	fileMagic     = "deichspool1\n"
	recordMagic   = "dsp\x01"
	fileHeadBytes = 64
	headBytes     = 24
	saltBytes     = 32
	tagBytes      = 16
)

type kind byte

const (
	kindMessage kind = 1 + iota // an entry and all that is kept of its message
	kindState                   // an entry as it is now
	kindClock                   // what time it was; clock.go has what it says
	kindErased
	kindOnce // how a request with a key was answered
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type fileHead struct {
	key  uint32
	salt [saltBytes]byte
	at   time.Time
}

func (h *fileHead) append(b []byte) []byte {
	at := len(b)
	b = append(b, fileMagic...)
	b = binary.BigEndian.AppendUint32(b, h.key)
	b = append(b, h.salt[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.at.Unix()))
	b = append(b, 0, 0, 0, 0)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
}

// readFileHead says false for what is none.
func readFileHead(b []byte) (h fileHead, ok bool) {
	if len(b) < fileHeadBytes || string(b[:len(fileMagic)]) != fileMagic ||
		binary.BigEndian.Uint32(b[60:]) != crc32.Checksum(b[:60], castagnoli) {
		return h, false
	}
	h.key = binary.BigEndian.Uint32(b[12:])
	copy(h.salt[:], b[16:])
	h.at = time.Unix(int64(binary.BigEndian.Uint64(b[48:])), 0)
	return h, true
}

// head is what stands before a record.
type head struct {
	kind   kind
	length int
	number uint64
}

func (h head) append(b []byte) []byte {
	at := len(b)
	b = append(b, recordMagic...)
	b = append(b, byte(h.kind), 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(h.length))
	b = binary.BigEndian.AppendUint64(b, h.number)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
}

// readHead says false for what is no head of a record.
func readHead(b []byte) (h head, ok bool) {
	if len(b) < headBytes || string(b[:len(recordMagic)]) != recordMagic ||
		binary.BigEndian.Uint32(b[20:]) != crc32.Checksum(b[:20], castagnoli) {
		return h, false
	}
	h = head{kind: kind(b[4]), length: int(binary.BigEndian.Uint32(b[8:])), number: binary.BigEndian.Uint64(b[12:])}
	return h, h.kind >= kindMessage && h.kind <= kindOnce && h.length >= tagBytes && h.length <= recordBytesMax
}

func nonce(number uint64) []byte {
	var n [12]byte
	binary.BigEndian.PutUint64(n[4:], number)
	return n[:]
}

// seal appends a whole record.
func seal(b []byte, c cipher.AEAD, k kind, number uint64, text []byte) []byte {
	at := len(b)
	b = head{k, len(text) + tagBytes, number}.append(b)
	return c.Seal(b, nonce(number), text, b[at:at+headBytes-4])
}

// unseal opens the record that b begins with and appends its text to to; false
// where it is damaged.
func unseal(to, b []byte, c cipher.AEAD, h head) (text []byte, ok bool) {
	if len(b) < headBytes+h.length {
		return to, false
	}
	text, err := c.Open(to, nonce(h.number), b[headBytes:headBytes+h.length], b[:headBytes-4])
	if err != nil {
		return to, false
	}
	return text, true
}
