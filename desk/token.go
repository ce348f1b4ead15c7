package desk

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// TokenFile is the name of the token's file in the data folder.
const TokenFile = "token"

// tokenLen is 32 random bytes in base64url.
const tokenLen = 43

var (
	errToken = errors.New("not a token: remove the file, and a new one is made at the next start")
	errEmpty = errors.New("empty: a new one is made at the next start")
)

// OpenToken reads the token from dir, and makes one at the first start, and where
// the file is empty: a disk was full, or lost power, before anybody had it. The
// file is readable by its owner only; fresh says that it was made just now.
func OpenToken(dir string) (token string, fresh bool, err error) {
	token, err = ReadToken(dir)
	if err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errEmpty) {
		return token, false, err
	}
	var raw [32]byte
	rand.Read(raw[:])
	token = base64.RawURLEncoding.EncodeToString(raw[:])
	if err := writeWhole(filepath.Join(dir, TokenFile), []byte(token+"\n"), true); err != nil {
		return "", false, fmt.Errorf("desk: token: %w", err)
	}
	return token, true, nil
}

// ReadToken reads the token that a running Deich keeps in dir. A file that
// others may read is an error: whoever reads it commands this Deich.
func ReadToken(dir string) (string, error) {
	name := filepath.Join(dir, TokenFile)
	info, err := os.Stat(name)
	if err != nil {
		return "", fmt.Errorf("desk: token: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("desk: token: %s may be read by others (%s): chmod 600 it", name, info.Mode().Perm())
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("desk: token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" {
		return "", fmt.Errorf("desk: token: %s: %w", name, errEmpty)
	}
	if raw, err := base64.RawURLEncoding.DecodeString(token); err != nil || len(raw) != 32 || len(token) != tokenLen {
		return "", fmt.Errorf("desk: token: %s: %w", name, errToken)
	}
	return token, nil
}

// sameToken compares in constant time; hashing first hides the length too.
func (d *Desk) sameToken(given string) bool {
	sum := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(sum[:], d.tokenSum[:]) == 1
}

// A session is what a browser holds instead of the token: when it ends, and a
// MAC over that and the host it was made for. Cookies do not know ports, so
// the value must open no other Deich on this machine, and never be the token.
func (d *Desk) session(host string, until time.Time) string {
	var end [8]byte
	binary.BigEndian.PutUint64(end[:], uint64(until.Unix()))
	return base64.RawURLEncoding.EncodeToString(append(end[:], d.sessionMAC(host, end[:])...))
}

func (d *Desk) sameSession(given, host string) bool {
	if len(given) > 64 {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(given)
	if err != nil || len(raw) != 8+sha256.Size {
		return false
	}
	if !hmac.Equal(raw[8:], d.sessionMAC(host, raw[:8])) {
		return false
	}
	return d.now().Before(time.Unix(int64(binary.BigEndian.Uint64(raw)), 0))
}

func (d *Desk) sessionMAC(host string, end []byte) []byte {
	m := hmac.New(sha256.New, []byte(d.token))
	m.Write([]byte("deich desk session\x00"))
	m.Write(end)
	m.Write([]byte(host))
	return m.Sum(nil)
}
