package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// notes is the data, opened by a release that can work with it.
type notes struct {
	db     *sql.DB
	schema int
}

// openNotes refuses data of another version: the gate does so before, and this
// is the second lock on the door.
func openNotes(ctx context.Context, dir string, schema int) (*notes, error) {
	v, err := dataVersion(ctx, dir)
	if err != nil {
		return nil, err
	}
	if v != strconv.Itoa(schema) {
		return nil, fmt.Errorf("open data: want version %d, got %s", schema, v)
	}
	db, err := openFile(dataFile(dir))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	return &notes{db, schema}, nil
}

// close lets go of all files.
func (n *notes) close() error { return n.db.Close() }

// add keeps a note. Adding it twice changes nothing, so that a client which got
// no answer may ask again.
func (n *notes) add(ctx context.Context, id, text string) error {
	tx, err := n.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	query, args := `INSERT OR IGNORE INTO notes (id, text) VALUES (?, ?)`, []any{id, text}
	if n.schema >= 2 {
		query = `INSERT OR IGNORE INTO notes (id, text, created) VALUES (?, ?, ?)`
		args = append(args, time.Now().UTC().Format(time.RFC3339))
	}
	r, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	if added, err := r.RowsAffected(); err != nil {
		return err
	} else if added > 0 && n.schema >= 3 {
		if _, err := tx.ExecContext(ctx, `INSERT INTO words VALUES (?, 1) ON CONFLICT (word) DO UPDATE SET uses = uses + 1`, text); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// get returns a note, and whether there is one.
func (n *notes) get(ctx context.Context, id string) (text string, ok bool, err error) {
	err = n.db.QueryRowContext(ctx, `SELECT text FROM notes WHERE id = ?`, id).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return text, err == nil, err
}

// column returns the first column of a query's rows.
func (n *notes) column(ctx context.Context, query string) (all []string, err error) {
	rows, err := n.db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
