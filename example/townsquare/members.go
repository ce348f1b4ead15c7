package townsquare

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"
)

var (
	errTaken = errors.New("name is taken")
	errFull  = errors.New("no room for another member")
)

// member is an account.
type member struct {
	ID      int64
	Name    string // what one logs in with, and the profile's address
	Display string
	About   string
	Joined  time.Time
}

// Avatar is the number of the member's face.
func (m member) Avatar() int { return int(m.ID % avatars) }

// vouched is the member's id as Deich is told it.
func (m member) vouched() string { return strconv.FormatInt(m.ID, 10) }

// kind tells what a credential is for.
type kind int

const (
	session kind = iota // a browser's cookie
	token               // a program's bearer token
)

// addMember makes an account; errTaken and errFull come back as they are.
func (s *store) addMember(ctx context.Context, m member, hash []byte) (member, error) {
	err := s.write(ctx, func(tx *sql.Tx) error {
		// Members are never removed, so the last id is their number.
		var last, taken int64
		err := tx.QueryRowContext(ctx, `SELECT coalesce((SELECT max(id) FROM members), 0),
			(SELECT count(*) FROM members WHERE name = ?)`, m.Name).Scan(&last, &taken)
		switch {
		case err != nil:
			return err
		case taken > 0:
			return errTaken
		case last >= UsersMax:
			return errFull
		}
		row, err := tx.ExecContext(ctx, `INSERT INTO members (name, display, about, hash, joined) VALUES (?, ?, ?, ?, ?)`,
			m.Name, m.Display, m.About, hash, m.Joined.UnixMilli())
		if err != nil {
			return err
		}
		m.ID, err = row.LastInsertId()
		return err
	})
	if err != nil && !errors.Is(err, errTaken) && !errors.Is(err, errFull) {
		err = fmt.Errorf("townsquare: add member: %w", err)
	}
	return m, err
}

const memberColumns = `m.id, m.name, m.display, m.about, m.joined`

// row is what one row can be read from.
type row interface{ Scan(...any) error }

// scanMember reads memberColumns, and then what else was selected.
func scanMember(r row, more ...any) (member, error) {
	var m member
	var joined int64
	err := r.Scan(append([]any{&m.ID, &m.Name, &m.Display, &m.About, &joined}, more...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return m, errMissing
	}
	if err != nil {
		return m, fmt.Errorf("townsquare: read member: %w", err)
	}
	m.Joined = time.UnixMilli(joined).UTC()
	return m, nil
}

// memberByName gives the account and its password's hash.
func (s *store) memberByName(ctx context.Context, name string) (member, []byte, error) {
	var hash []byte
	m, err := scanMember(s.db.QueryRowContext(ctx, `SELECT `+memberColumns+`, m.hash FROM members m WHERE m.name = ?`, name), &hash)
	return m, hash, err
}

// grant makes a credential for a member and gives its secret, which is stored
// only as a digest. A member's oldest of that kind end beyond credentialsMax.
func (s *store) grant(ctx context.Context, id int64, k kind, now time.Time) (string, error) {
	secret := rand.Text() + rand.Text()
	digest := sha256.Sum256([]byte(secret))
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO credentials (digest, kind, member, made) VALUES (?, ?, ?, ?)`,
			digest[:], k, id, now.UnixMilli())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM credentials WHERE digest IN (SELECT digest FROM credentials
			WHERE member = ? AND kind = ? ORDER BY made DESC, digest LIMIT -1 OFFSET ?)`, id, k, credentialsMax)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("townsquare: grant: %w", err)
	}
	return secret, nil
}

// memberBy gives who a secret belongs to, errMissing if nobody.
func (s *store) memberBy(ctx context.Context, secret string, k kind, now time.Time) (member, error) {
	digest := sha256.Sum256([]byte(secret))
	after := int64(0)
	if k == session {
		after = now.Add(-sessionLasts).UnixMilli()
	}
	return scanMember(s.db.QueryRowContext(ctx, `SELECT `+memberColumns+` FROM credentials c
		JOIN members m ON m.id = c.member WHERE c.digest = ? AND c.kind = ? AND c.made > ?`, digest[:], k, after))
}

// revoke ends a credential; that there was none is no error.
func (s *store) revoke(ctx context.Context, secret string, k kind) error {
	digest := sha256.Sum256([]byte(secret))
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM credentials WHERE digest = ? AND kind = ?`, digest[:], k)
		return err
	})
	if err != nil {
		return fmt.Errorf("townsquare: revoke: %w", err)
	}
	return nil
}
