package townsquare

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the database/sql driver named "sqlite"
)

// errMissing says that what was asked for is not there.
var errMissing = errors.New("not there")

const schema = `
CREATE TABLE IF NOT EXISTS members (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	name    TEXT NOT NULL UNIQUE,
	display TEXT NOT NULL,
	about   TEXT NOT NULL,
	hash    BLOB NOT NULL,
	joined  INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS credentials (
	digest BLOB PRIMARY KEY,
	kind   INTEGER NOT NULL,
	member INTEGER NOT NULL REFERENCES members,
	made   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS credentials_member ON credentials (member, kind, made);
CREATE TABLE IF NOT EXISTS messages (
	id     INTEGER PRIMARY KEY AUTOINCREMENT,
	author INTEGER NOT NULL REFERENCES members,
	text   TEXT NOT NULL,
	at     INTEGER NOT NULL,
	key    TEXT,
	UNIQUE (author, key)
);
CREATE INDEX IF NOT EXISTS messages_author ON messages (author, id);
`

// store is the database: members, what they log in with, and their messages.
// It is safe for concurrent use.
type store struct {
	db *sql.DB
	// writing lets one transaction write at a time; SQLite would let the others poll.
	writing sync.Mutex
}

// openStore opens or makes the database in the directory dir, for as many
// connections as there are workers.
func openStore(ctx context.Context, dir string, workers int) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("townsquare: open: %w", err)
	}
	pragmas := url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"journal_mode(WAL)", "synchronous(NORMAL)", "busy_timeout(10000)", "foreign_keys(1)", "cache_size(-16384)"},
	}
	path := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(dir, "townsquare.db")), RawQuery: pragmas.Encode()}
	db, err := sql.Open("sqlite", path.String())
	if err != nil {
		return nil, fmt.Errorf("townsquare: open: %w", err)
	}
	db.SetMaxOpenConns(workers)
	db.SetMaxIdleConns(workers)
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("townsquare: open: %w", err), db.Close())
	}
	return &store{db: db}, nil
}

func (s *store) close() error { return s.db.Close() }

// write runs do in a transaction that is committed unless do gives an error.
func (s *store) write(ctx context.Context, do func(*sql.Tx) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
