package trust_test

import (
	"context"
	"fmt"
	"io/fs"
	"log"

	"github.com/treegraft-dev/treegraft/trust"
)

// A publisher signs what a product consists of. A client that starts from the
// root believes that, and nothing that a thief of the storage writes.
func Example() {
	ctx := context.Background()
	recovery, err := trust.GenerateKey(trust.Ed25519) // put this one away
	if err != nil {
		log.Fatal(err)
	}
	release, err := trust.GenerateKey(trust.Ed25519) // and publish with this one
	if err != nil {
		log.Fatal(err)
	}
	editor, err := trust.Create(ctx, recovery, release, trust.EditorOptions{})
	if err != nil {
		log.Fatal(err)
	}
	content := []byte("what is in 1.0.0")
	target := trust.NewTarget("manifests/app/1.0.0/any.zst", content, nil)
	if err := editor.SetTargets("app", []trust.Target{target}); err != nil {
		log.Fatal(err)
	}
	files, err := editor.Commit(ctx)
	if err != nil {
		log.Fatal(err)
	}
	storage := map[string][]byte{}
	for _, f := range files { // in the order in which they must be written
		storage[f.Name] = f.Data
	}

	client, err := trust.New(trust.Options{
		Root: editor.Root(), // embedded in the program
		Fetch: func(_ context.Context, name string, max int64) ([]byte, error) {
			if b, ok := storage[name]; ok {
				return b, nil
			}
			return nil, fs.ErrNotExist
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Refresh(ctx); err != nil {
		log.Fatal(err)
	}
	targets, err := client.Targets(ctx, "app")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(targets[0].Name, targets[0].Length)
	fmt.Println("genuine:", targets[0].Check(content) == nil)
	fmt.Println("forged:", targets[0].Check([]byte("what was in 1.0.0")) == nil)
	// Output:
	// manifests/app/1.0.0/any.zst 16
	// genuine: true
	// forged: false
}
