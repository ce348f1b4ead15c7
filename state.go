package deich

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// The saved state: a header, the histories of clients that earned trust, and a
// checksum. It means something only to an engine with the same seed and table
// size, since the tables hold keyed hashes.
//
//	magic "deich" version(1) | sources u32 | check u64 | n u32 | n × cell(set u32, tag u32, born u32, value u64) | crc32
const (
	stateMagic = "deich\x01"
	stateHead  = len(stateMagic) + 4 + 8 + 4
	stateCell  = 4 + 4 + 4 + 8
)

var (
	errState      = errors.New("deich: load: not a saved state, or cut off")
	errStateOther = errors.New("deich: load: saved under another seed or with another number of sources")
)

// check tells engines with another seed apart without telling the seed.
func (e *Engine) check() uint64 { return e.key.Uint64(0x6465696368) }

// Save appends what must survive a restart (the histories of clients that
// earned trust) to b.
func (e *Engine) Save(b []byte) []byte {
	start := len(b)
	b = append(b, stateMagic...)
	b = binary.BigEndian.AppendUint32(b, uint32(e.policy.Load().Sources))
	b = binary.BigEndian.AppendUint64(b, e.check())
	at := len(b)
	b = binary.BigEndian.AppendUint32(b, 0)
	n := uint32(0)
	e.past.cells.Each(func(set int, tag, born uint32, value uint64) bool {
		b = binary.BigEndian.AppendUint32(b, uint32(set))
		b = binary.BigEndian.AppendUint32(b, tag)
		b = binary.BigEndian.AppendUint32(b, born)
		b = binary.BigEndian.AppendUint64(b, value)
		n++
		return true
	})
	binary.BigEndian.PutUint32(b[at:], n)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
}

// Load takes over what Save gave. On an error nothing was taken over.
func (e *Engine) Load(b []byte) error {
	if len(b) < stateHead+4 || string(b[:len(stateMagic)]) != stateMagic {
		return errState
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	cells := body[stateHead:]
	n := binary.BigEndian.Uint32(body[stateHead-4:])
	if crc32.ChecksumIEEE(body) != sum || uint64(len(cells)) != uint64(n)*uint64(stateCell) {
		return errState
	}
	head := body[len(stateMagic):]
	if binary.BigEndian.Uint32(head) != uint32(e.policy.Load().Sources) || binary.BigEndian.Uint64(head[4:]) != e.check() {
		return errStateOther
	}
	for ; len(cells) > 0; cells = cells[stateCell:] {
		e.past.cells.Put(int(binary.BigEndian.Uint32(cells)), binary.BigEndian.Uint32(cells[4:]),
			binary.BigEndian.Uint32(cells[8:]), binary.BigEndian.Uint64(cells[12:]))
	}
	return nil
}
