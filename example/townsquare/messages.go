package townsquare

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"
)

// errOtherText says that an Idempotency-Key was used before, for another text.
var errOtherText = errors.New("key was used for another text")

// message is one post as it is shown.
type message struct {
	ID      int64     `json:"id"`
	Author  string    `json:"author"`
	Display string    `json:"display"`
	Avatar  int       `json:"avatar"`
	Text    string    `json:"text"`
	At      time.Time `json:"at"`
}

const messageColumns = `p.id, p.author, p.text, p.at, m.name, m.display`

func scanMessage(r row) (message, error) {
	var p message
	var at, author int64
	err := r.Scan(&p.ID, &author, &p.Text, &at, &p.Author, &p.Display)
	if errors.Is(err, sql.ErrNoRows) {
		return p, errMissing
	}
	if err != nil {
		return p, fmt.Errorf("townsquare: read message: %w", err)
	}
	p.Avatar = member{ID: author}.Avatar()
	p.At = time.UnixMilli(at).UTC()
	return p, nil
}

// messages reads all that a query of messageColumns selects.
func (s *store) messages(ctx context.Context, query string, args ...any) ([]message, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("townsquare: read messages: %w", err)
	}
	defer rows.Close()
	list := []message{}
	for rows.Next() {
		p, err := scanMessage(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("townsquare: read messages: %w", err)
	}
	return list, nil
}

// page selects part of a list, newest first.
type page struct {
	before int64 // only older ones than this id; 0: from the newest
	size   int
}

func (p page) below() int64 {
	if p.before == 0 {
		return math.MaxInt64
	}
	return p.before
}

// timeline gives everybody's messages.
func (s *store) timeline(ctx context.Context, p page) ([]message, error) {
	return s.messages(ctx, `SELECT `+messageColumns+` FROM messages p JOIN members m ON m.id = p.author
		WHERE p.id < ? ORDER BY p.id DESC LIMIT ?`, p.below(), p.size)
}

// messagesOf gives one member's messages.
func (s *store) messagesOf(ctx context.Context, author int64, p page) ([]message, error) {
	return s.messages(ctx, `SELECT `+messageColumns+` FROM messages p JOIN members m ON m.id = p.author
		WHERE p.author = ? AND p.id < ? ORDER BY p.id DESC LIMIT ?`, author, p.below(), p.size)
}

// messagesSince gives the messages that came after one, oldest first.
func (s *store) messagesSince(ctx context.Context, id int64, size int) ([]message, error) {
	return s.messages(ctx, `SELECT `+messageColumns+` FROM messages p JOIN members m ON m.id = p.author
		WHERE p.id > ? ORDER BY p.id LIMIT ?`, id, size)
}

// message gives one message, errMissing if there is none.
func (s *store) message(ctx context.Context, id int64) (message, error) {
	return scanMessage(s.db.QueryRowContext(ctx, `SELECT `+messageColumns+`
		FROM messages p JOIN members m ON m.id = p.author WHERE p.id = ?`, id))
}

// querier is the database or a transaction of it.
type querier interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

// messageByKey gives what a member posted with an Idempotency-Key.
func messageByKey(ctx context.Context, q querier, author int64, key string) (message, error) {
	return scanMessage(q.QueryRowContext(ctx, `SELECT `+messageColumns+`
		FROM messages p JOIN members m ON m.id = p.author WHERE p.author = ? AND p.key = ?`, author, key))
}

// post stores a message. With a key that its author used before it gives the
// message of then and replayed, or errOtherText if that said something else.
// The key lives as long as its message, so an answer can always be repeated.
func (s *store) post(ctx context.Context, author member, text, key string, now time.Time) (p message, replayed bool, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		if key != "" {
			p, err = messageByKey(ctx, tx, author.ID, key)
			switch {
			case err == nil && p.Text != text:
				return errOtherText
			case err == nil:
				replayed = true
				return nil
			case !errors.Is(err, errMissing):
				return err
			}
		}
		row, err := tx.ExecContext(ctx, `INSERT INTO messages (author, text, at, key) VALUES (?, ?, ?, ?)`,
			author.ID, text, now.UnixMilli(), sql.NullString{String: key, Valid: key != ""})
		if err != nil {
			return err
		}
		id, err := row.LastInsertId()
		if err != nil {
			return err
		}
		p = message{ID: id, Author: author.Name, Display: author.Display, Avatar: author.Avatar(), Text: text, At: now.UTC().Truncate(time.Millisecond)}
		_, err = tx.ExecContext(ctx, `DELETE FROM messages WHERE id <= ?`, id-PostsMax)
		return err
	})
	if err != nil && !errors.Is(err, errOtherText) {
		err = fmt.Errorf("townsquare: post: %w", err)
	}
	return p, replayed, err
}
