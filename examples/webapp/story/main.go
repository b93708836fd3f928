// Command story plays the life of the example application, with real processes,
// real signatures and a real database, while requests keep coming:
//
//	go run ./story
//
// It builds the commands and six releases of the application, publishes and
// installs them, and lets the application update itself. Whatever happens to the
// releases, a request that was accepted is answered, and a note that was accepted
// is kept. It ends with an error if one was lost.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := play(ctx)
	stop()
	if err != nil {
		log.Fatal("story: ", err)
	}
}

func play(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "webapp-story-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return tell(ctx, os.Stdout, dir)
}

// tell plays all chapters in a folder.
func tell(ctx context.Context, out io.Writer, dir string) error {
	s, err := newStage(ctx, out, dir)
	if err != nil {
		return err
	}
	defer s.close()
	for i, c := range []struct {
		title string
		play  func() error
	}{
		{"A publisher makes a repository, and keys", s.keys},
		{"Release 1.0.0, two modules, and an add-on by somebody else", s.firstReleases},
		{"An install from nothing, and people who use it", s.install},
		{"1.1.0: the application updates itself, data included", s.second},
		{"1.2.0: again, with another migration", s.third},
		{"A module and the add-on have releases of their own", s.others},
		{"1.3.0: a migration fails, and all is as it was", s.failing},
		{"1.4.0: a release is withdrawn, and installs go back", s.withdrawn},
		{"1.5.0: an update is killed in the middle, and taken up", s.killed},
		{"Maintenance: users wait, the administrator does not", s.maintenance},
		{"A historic release is restored, and updated again", s.historic},
	} {
		s.chapter(i+1, c.title)
		if err := c.play(); err != nil {
			return fmt.Errorf("chapter %d: %w", i+1, err)
		}
	}
	return s.end()
}
