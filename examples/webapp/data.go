package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	_ "modernc.org/sqlite" // the driver
)

// steps lead from each version of the data to the next, and back. SQLite keeps
// the version itself, in user_version, so that a step and its version are one
// transaction: cut short, it did not happen, and may run again.
var steps = []struct{ up, down string }{
	{up: `CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT NOT NULL)`},
	{
		up:   `ALTER TABLE notes ADD COLUMN created TEXT NOT NULL DEFAULT ''`,
		down: `ALTER TABLE notes DROP COLUMN created`,
	},
	{
		up: `CREATE TABLE words (word TEXT PRIMARY KEY, uses INTEGER NOT NULL);
			INSERT INTO words SELECT text, count(*) FROM notes GROUP BY text`,
		down: `DROP TABLE words`,
	},
	// This one went well on the developer's data, where no text was there twice.
	{up: `CREATE UNIQUE INDEX text_once ON notes (text)`, down: `DROP INDEX text_once`},
}

func dataFile(dir string) string { return filepath.Join(dir, "data", "notes.db") }

func backupFile(dir string, v int) string {
	return filepath.Join(dir, "data", "backup-"+strconv.Itoa(v)+".db")
}

func openFile(name string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+name+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
}

// dataVersion returns the version of the data: a number, or "none".
func dataVersion(ctx context.Context, dir string) (string, error) {
	if _, err := os.Stat(dataFile(dir)); errors.Is(err, fs.ErrNotExist) {
		return "none", nil
	}
	db, err := openFile(dataFile(dir))
	if err != nil {
		return "", err
	}
	defer db.Close()
	v, err := userVersion(ctx, db)
	return strconv.Itoa(v), err
}

func userVersion(ctx context.Context, db *sql.DB) (v int, err error) {
	return v, db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v)
}

// migrate leads the data to a version, up or down. It may run any number of
// times: what has been done is seen by the version.
func migrate(ctx context.Context, dir string, to int) error {
	if to < 1 || to > len(steps) { // there is no way back to nothing
		return fmt.Errorf("migrate: want a version from 1 to %d, got %d", len(steps), to)
	}
	if err := os.MkdirAll(filepath.Dir(dataFile(dir)), 0o755); err != nil {
		return err
	}
	db, err := openFile(dataFile(dir))
	if err != nil {
		return err
	}
	defer db.Close()
	v, err := userVersion(ctx, db)
	if err == nil && v > len(steps) {
		err = fmt.Errorf("migrate to %d: data of version %d is by a later release", to, v)
	}
	for err == nil && v != to {
		var text string
		next := v + 1
		if v < to {
			text = steps[v].up
		} else {
			next = v - 1
			text = steps[next].down
		}
		if err = step(ctx, db, text, next); err != nil {
			return fmt.Errorf("migrate from %d to %d: %w", v, next, err)
		}
		v = next
	}
	return err
}

func step(ctx context.Context, db *sql.DB, text string, v int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, text)
	if err == nil {
		_, err = tx.ExecContext(ctx, "PRAGMA user_version = "+strconv.Itoa(v))
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// backup keeps a copy of the data for its version, in place of an older one.
func backup(ctx context.Context, dir string, v int) error {
	db, err := openFile(dataFile(dir))
	if err != nil {
		return err
	}
	defer db.Close()
	draft := backupFile(dir, v) + ".new"
	if err := os.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", draft); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return os.Rename(draft, backupFile(dir, v))
}

// fit is for a historic release that is restored: data that is too new for it is
// put aside, and the copy from its own time takes its place.
func fit(ctx context.Context, dir string, want int) error {
	text, err := dataVersion(ctx, dir)
	if err != nil || text == "none" {
		return err
	}
	if v, err := strconv.Atoi(text); err != nil || v <= want {
		return err
	}
	in, err := os.Open(backupFile(dir, want))
	if err != nil {
		return fmt.Errorf("data is of version %s, and there is no copy of version %d: %w", text, want, err)
	}
	defer in.Close()
	draft := dataFile(dir) + ".new"
	out, err := os.Create(draft)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	// Nobody has the data open, and whoever closes it last leaves nothing but
	// this one file: the copy takes its place in one step.
	aside := filepath.Join(dir, "data", "aside-"+text+".db")
	if err := os.Remove(aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Link(dataFile(dir), aside); err != nil {
		return err
	}
	return os.Rename(draft, dataFile(dir))
}
