package spool

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// keysName is the file of keys, in the spool's folder, readable by the owner alone.
const keysName = "spool.keys"

const secretBytes = 32

// keys seal the files of the log. A new one takes over every week; an older
// one is kept as long as a file is there that it sealed.
type keys struct {
	dir  string
	Keys []keyLine `json:"keys"` // oldest first; the last one seals
}

type keyLine struct {
	ID     uint32 `json:"id"`
	Made   int64  `json:"made"` // Unix seconds
	Secret []byte `json:"secret"`
}

var errKeysFile = errors.New("broken: not a file of keys")

// openKeys reads the keys, or makes them where nothing was sealed yet.
func openKeys(dir string, sealed bool, now time.Time) (*keys, error) {
	k := &keys{dir: dir}
	err := k.read()
	if errors.Is(err, fs.ErrNotExist) {
		if sealed {
			return nil, fmt.Errorf("spool: keys: %s is missing: what is kept here cannot be read without it", filepath.Join(dir, keysName))
		}
		err = k.add(now)
	}
	if err != nil {
		return nil, fmt.Errorf("spool: keys: %w", err)
	}
	return k, nil
}

func (k *keys) read() error {
	name := filepath.Join(k.dir, keysName)
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s can be read by others (mode %04o): chmod 600 %s", name, info.Mode().Perm(), name)
	}
	b, err := io.ReadAll(io.LimitReader(f, keysFileMax))
	if err != nil {
		return err
	}
	return k.parse(b)
}

func (k *keys) parse(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if d.Decode(k) != nil || len(k.Keys) == 0 || len(k.Keys) > keysMax {
		return errKeysFile // not the decoder's own, which may quote a secret
	}
	for _, line := range k.Keys {
		if len(line.Secret) != secretBytes {
			return errKeysFile
		}
	}
	return nil
}

// current is the key that seals new files, after a rotation where one is due.
func (k *keys) current(now time.Time) (keyLine, error) {
	last := k.Keys[len(k.Keys)-1]
	if age := now.Sub(time.Unix(last.Made, 0)); age < keyLife || len(k.Keys) == keysMax {
		return last, nil
	}
	if err := k.add(now); err != nil {
		return last, fmt.Errorf("spool: keys: rotate: %w", err)
	}
	return k.Keys[len(k.Keys)-1], nil
}

func (k *keys) add(now time.Time) error {
	line := keyLine{ID: 1, Made: now.Unix(), Secret: make([]byte, secretBytes)}
	if n := len(k.Keys); n > 0 {
		line.ID = k.Keys[n-1].ID + 1
	}
	rand.Read(line.Secret)
	next := append(k.Keys[:len(k.Keys):len(k.Keys)], line)
	if err := k.write(next); err != nil {
		return err
	}
	k.Keys = next
	return nil
}

// retain forgets the keys that sealed nothing that is still there.
func (k *keys) retain(used map[uint32]bool) error {
	var next []keyLine
	for i, line := range k.Keys {
		if used[line.ID] || i == len(k.Keys)-1 {
			next = append(next, line)
		}
	}
	if len(next) == len(k.Keys) {
		return nil
	}
	if err := k.write(next); err != nil {
		return fmt.Errorf("spool: keys: %w", err)
	}
	k.Keys = next
	return nil
}

// write replaces the file at once or not at all.
func (k *keys) write(lines []keyLine) error {
	b, err := json.Marshal(&keys{Keys: lines})
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(k.dir, keysName+".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), filepath.Join(k.dir, keysName)); err != nil {
		return err
	}
	return syncDir(k.dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// sealer is the cipher of one file: AES-256-GCM under a key of its own
// (HKDF-SHA256 of the secret and the file's salt), so that a record's number in
// its file can be the nonce.
func (k *keys) sealer(id uint32, salt []byte) (cipher.AEAD, error) {
	for _, line := range k.Keys {
		if line.ID != id {
			continue
		}
		key, err := hkdf.Key(sha256.New, line.Secret, salt, "deich spool file", 32)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return cipher.NewGCM(block)
	}
	return nil, fmt.Errorf("the key %d that sealed it is missing", id)
}
