// Command webapp is a small web application that keeps notes in SQLite, and
// updates itself while it is used. It is the example of an application that
// grew up with treegraft: README.md walks through it, and the program in the
// folder story plays its life, under load.
//
//	webapp serve     answer requests
//	webapp update    bring all products of the tree to their newest releases
//
// The other verbs are what its releases name as hooks and migrations:
//
//	webapp migrate V OLD    bring the data to version V
//	webapp schema           print the version of the data, or "none"
//	webapp backup           keep a copy of the data
//	webapp fit              take the copy that this release can work with, where
//	                        the data is newer
//
// All run in the install tree, which holds bin/webapp, the folders of modules and
// add-ons, and in data what belongs to nobody but its users.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/treegraft-dev/treegraft/client"
)

// What the build says of a release.
var (
	version = "0.0.0"
	schema  = "1" // the version of data that the code works with
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("webapp " + version + ": ")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		log.Print(err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	want, err := strconv.Atoi(schema)
	if err != nil || len(args) == 0 {
		return errors.New("want a verb: serve, update, migrate, schema, backup or fit")
	}
	switch args[0] {
	case "serve":
		return serve(ctx, ".", want)
	case "update":
		return update(ctx, ".")
	case "migrate":
		if len(args) != 3 {
			return errors.New("want migrate V OLD")
		}
		to, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		return migrate(ctx, ".", to)
	case "schema":
		v, err := dataVersion(ctx, ".")
		if err == nil {
			fmt.Println(v)
		}
		return err
	case "backup":
		return backup(ctx, ".", want)
	case "fit":
		return fit(ctx, ".", want)
	}
	return fmt.Errorf("no verb %q", args[0])
}

// update is all that an application needs to bring itself up to date. It runs
// as a process of its own, which asks the serving one to let go.
func update(ctx context.Context, dir string) error {
	products, err := client.Products(dir)
	if err != nil {
		return err
	}
	var failed []error
	for _, p := range products {
		c, err := client.New(client.Options{Dir: dir, Product: p.Product})
		if err != nil {
			return err
		}
		r, err := c.Update(ctx, client.UpdateOptions{})
		switch {
		case err != nil:
			failed = append(failed, fmt.Errorf("%s: %w", p.Product, err))
		case !r.UpToDate:
			log.Printf("updated %s %s → %s: %d bytes downloaded", p.Product, r.From.Version, r.To.Version, r.Downloaded)
		}
	}
	return errors.Join(failed...)
}
