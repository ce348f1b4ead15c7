package guard

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich/sketch"
)

// Keys sign passes, tickets and challenges and seal references. A new key
// takes over every week; the older ones are kept for as long as what they
// signed is good. Safe for concurrent use.
type Keys struct {
	path   string // empty: in memory only
	shared bool   // other edges were given the same file
	mu     sync.Mutex
	ring   atomic.Pointer[ring]
}

// ring is one state of the keys; it is replaced, never changed.
type ring struct {
	// account, credential and route hash names: they never rotate, since what
	// they name outlives keys.
	account    macKey
	credential sketch.Key
	route      sketch.Key
	names      headerNames // under credential

	current *key
	byID    [256]*key
	file    keysFile
}

// key is one secret with all that is derived from it.
type key struct {
	id     byte
	pass   macKey
	ticket macKey
	token  macKey
	seal   cipher.AEAD
}

// keysFile is the form on disk.
type keysFile struct {
	Hash []byte    `json:"hash"`
	Keys []keyLine `json:"keys"` // oldest first; the last one signs
}

type keyLine struct {
	ID     byte   `json:"id"`
	Made   int64  `json:"made"` // Unix seconds
	Secret []byte `json:"secret"`
}

const (
	keysName    = "pass.keys"
	secretBytes = 32
)

// OpenKeys reads the keys kept in dir, or makes them there, readable by the
// owner alone. Losing them makes everyone a stranger again, nothing worse. The
// errors are the file's: unreadable, readable by others, or broken. That a new key is due and
// cannot be written is none: the present one goes on, and Handler.Run says so.
func OpenKeys(dir string) (*Keys, error) { return openKeys(dir, false) }

// OpenSharedKeys is OpenKeys for one of several edges that were each given the same
// file, so that what one signed holds at all of them. Later keys are derived of what never
// rotates: each edge comes to the same, and takes what another has signed with the
// next one already.
func OpenSharedKeys(dir string) (*Keys, error) { return openKeys(dir, true) }

func openKeys(dir string, shared bool) (*Keys, error) {
	k := &Keys{path: filepath.Join(dir, keysName), shared: shared}
	file, err := readKeys(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		file, err = makeKeys(time.Now()), nil
		if err = errors.Join(os.MkdirAll(dir, 0o700), writeKeys(k.path, file)); err != nil {
			return nil, fmt.Errorf("guard: keys: make: %w", err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("guard: keys: open: %w", err)
	}
	r, err := k.ringOf(file)
	if err != nil {
		return nil, fmt.Errorf("guard: keys: %s: %w", k.path, err)
	}
	k.ring.Store(r)
	_ = k.Rotate(time.Now()) // Run tries again, and says why it cannot
	return k, nil
}

// NewKeys makes keys in memory from a seed: for tests, rehearsals, and
// middleware whose host keeps the seed itself. They do not rotate.
func NewKeys(seed [32]byte) *Keys {
	file := keysFile{
		Hash: derive(seed[:], "hash"),
		Keys: []keyLine{{ID: 1, Secret: derive(seed[:], "key 1")}},
	}
	r, err := newRing(file)
	if err != nil {
		panic(err) // unreachable: the shapes above are right
	}
	k := &Keys{}
	k.ring.Store(r)
	return k
}

// EngineSeed gives the seed for deich.New. It is derived from what never
// rotates: what an engine saves means something only under the seed it was
// saved under, and is to be known again after a restart.
func (k *Keys) EngineSeed() [32]byte {
	return [32]byte(derive(k.ring.Load().file.Hash, "engine"))
}

// SpoolSecret gives the secret for what edges that share the file keep together.
func (k *Keys) SpoolSecret() [32]byte {
	return [32]byte(derive(k.ring.Load().file.Hash, "spool"))
}

// ringOf gives the ring of a file; of a shared one the next key is in it, too.
func (k *Keys) ringOf(file keysFile) (*ring, error) {
	r, err := newRing(file)
	if err != nil || !k.shared {
		return r, err
	}
	next, err := newKey(file.next())
	if err == nil {
		r.byID[next.id] = next
	}
	return r, err
}

// next gives the key that follows in a shared file, the same at each edge.
func (f keysFile) next() keyLine {
	last := f.Keys[len(f.Keys)-1]
	line := keyLine{ID: last.ID + 1, Made: last.Made + int64(keyLife/time.Second)}
	line.Secret = derive(f.Hash, fmt.Sprintf("key %d of %d", line.ID, line.Made))
	return line
}

// Rotate lets a new key take over when the present one is a week old, and
// drops those whose passes have all expired. On an error the present key goes on.
func (k *Keys) Rotate(now time.Time) error {
	if k.path == "" {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.ring.Load().file
	last := old.Keys[len(old.Keys)-1]
	if now.Sub(time.Unix(last.Made, 0)) < keyLife {
		return nil
	}
	next := keysFile{Hash: old.Hash, Keys: slices.Clone(old.Keys)}
	if k.shared {
		for line := next.next(); now.Sub(time.Unix(line.Made, 0)) >= 0; line = next.next() {
			next.Keys = append(next.Keys, line)
		}
	} else {
		next.Keys = append(next.Keys, makeKey(last.ID+1, now))
	}
	next.Keys = slices.DeleteFunc(next.Keys, func(line keyLine) bool {
		return now.Sub(time.Unix(line.Made, 0)) >= keyLife+passLifeDefault
	})
	if n := len(next.Keys) - keysMax; n > 0 {
		next.Keys = next.Keys[n:]
	}
	r, err := k.ringOf(next)
	if err == nil {
		err = writeKeys(k.path, next)
	}
	if err != nil {
		return fmt.Errorf("guard: keys: rotate: %w", err)
	}
	k.ring.Store(r)
	return nil
}

func makeKeys(now time.Time) keysFile {
	hash := make([]byte, secretBytes)
	rand.Read(hash)
	return keysFile{Hash: hash, Keys: []keyLine{makeKey(1, now)}}
}

func makeKey(id byte, now time.Time) keyLine {
	secret := make([]byte, secretBytes)
	rand.Read(secret)
	return keyLine{ID: id, Made: now.Unix(), Secret: secret}
}

func newRing(file keysFile) (*ring, error) {
	if len(file.Hash) != secretBytes || len(file.Keys) == 0 || len(file.Keys) > keysMax {
		return nil, errKeysFile
	}
	r := &ring{
		account:    newMACKey([32]byte(derive(file.Hash, "account"))),
		credential: hashKey(derive(file.Hash, "credential")),
		route:      hashKey(derive(file.Hash, "route")),
		file:       file,
	}
	r.names = newHeaderNames(r.credential)
	for _, line := range file.Keys {
		one, err := newKey(line)
		if err != nil {
			return nil, err
		}
		r.current, r.byID[line.ID] = one, one
	}
	return r, nil
}

func newKey(line keyLine) (*key, error) {
	if len(line.Secret) != secretBytes {
		return nil, fmt.Errorf("broken: key %d", line.ID)
	}
	block, err := aes.NewCipher(derive(line.Secret, "seal"))
	if err != nil {
		return nil, err
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &key{
		id:     line.ID,
		pass:   newMACKey([32]byte(derive(line.Secret, "pass"))),
		ticket: newMACKey([32]byte(derive(line.Secret, "ticket"))),
		token:  newMACKey([32]byte(derive(line.Secret, "token"))),
		seal:   seal,
	}, nil
}

// derive gives one purpose's 32 bytes (HKDF-SHA256, RFC 5869).
func derive(secret []byte, purpose string) []byte {
	b, err := hkdf.Key(sha256.New, secret, nil, "deich guard "+purpose, secretBytes)
	if err != nil {
		panic(err) // unreachable: 32 bytes are always within HKDF's bound
	}
	return b
}

func hashKey(secret []byte) sketch.Key {
	return sketch.Key{binary.LittleEndian.Uint64(secret), binary.LittleEndian.Uint64(secret[8:])}
}

func readKeys(path string) (file keysFile, err error) {
	f, err := os.Open(path)
	if err != nil {
		return file, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return file, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return file, fmt.Errorf("%s can be read by others (mode %04o): chmod 600 %s", path, info.Mode().Perm(), path)
	}
	b, err := io.ReadAll(io.LimitReader(f, keysFileMax))
	if err != nil {
		return file, err
	}
	if file, err = parseKeys(b); err != nil {
		return file, fmt.Errorf("%s: %w", path, err)
	}
	return file, nil
}

var errKeysFile = errors.New("broken: not a file of keys")

func parseKeys(b []byte) (file keysFile, err error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if dec.Decode(&file) != nil {
		return file, errKeysFile // not the decoder's own, which may quote a secret
	}
	return file, nil
}

// writeKeys replaces the file at once or not at all.
func writeKeys(path string, file keysFile) error {
	b, err := json.Marshal(file)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, keysName+".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
