package spool

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
)

// vault seals what lies on a cluster under a secret that each edge was given. A record is
//
//	0      which secret sealed it, 8 bytes
//	8      salt, 32 bytes
//	40     AES-256-GCM under a key of its own (HKDF-SHA256 of the secret and
//	       the salt), so that the nonce can be 0; the subject is authenticated with it
type vault struct {
	secret [32]byte
	mark   []byte
}

const markBytes = 8

func newVault(secret [32]byte) vault {
	return vault{secret, derive(secret, nil, "deich spool mark", markBytes)}
}

func derive(secret [32]byte, salt []byte, purpose string, n int) []byte {
	b, err := hkdf.Key(sha256.New, secret[:], salt, purpose, n)
	if err != nil {
		panic(err) // unreachable: a few bytes are always within HKDF's bound
	}
	return b
}

func (v vault) cipher(salt []byte) cipher.AEAD {
	block, err := aes.NewCipher(derive(v.secret, salt, "deich spool record", 32))
	if err != nil {
		panic(err) // unreachable: the key's length is right
	}
	c, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // unreachable: so is the block's
	}
	return c
}

// seal gives a record of a text.
func (v vault) seal(subject string, text []byte) []byte {
	b := append(make([]byte, 0, markBytes+saltBytes+len(text)+tagBytes), v.mark...)
	b = b[:markBytes+saltBytes]
	salt := b[markBytes:]
	rand.Read(salt)
	return v.cipher(salt).Seal(b, nonce(0), text, []byte(subject))
}

// open gives the text of a record. errForeign: another secret sealed it.
func (v vault) open(subject string, b []byte) ([]byte, error) {
	const head = markBytes + saltBytes
	switch {
	case len(b) < head+tagBytes:
		return nil, errDamaged
	case !bytes.Equal(b[:markBytes], v.mark):
		return nil, errForeign
	}
	text, err := v.cipher(b[markBytes:head]).Open(nil, nonce(0), b[head:], []byte(subject))
	if err != nil {
		return nil, errDamaged
	}
	return text, nil
}

// name gives what a key is called on the cluster: the same at each edge, and nothing
// that tells it.
func (v vault) name(d digest) string {
	h := hmac.New(sha256.New, v.secret[:])
	h.Write(d[:])
	return idCodec.EncodeToString(h.Sum(nil)[:16])
}
