package layers

import (
	"os"
	"testing"
)

// drawing is read from the ground up.
const drawing = `
	# Libraries, each under the lowest package that uses it.
	github.com/klauspost/compress github.com/zeebo/blake3 < manifest
	golang.org/x/mod golang.org/x/sync golang.org/x/text  < manifest
	github.com/theupdateframework/go-tuf/v2               < trust
	github.com/sigstore/sigstore                          < trust
	github.com/secure-systems-lab/go-securesystemslib     < trust
	github.com/gofrs/flock                                < store

	# The ground floor stands on nothing of ours, but delta and store use
	# manifest's digests.
	NONE     < manifest atomicfs trust
	manifest < delta store

	# Publisher and client never meet: an application that embeds the client
	# links nothing that publishes.
	delta store trust          < publisher
	delta store trust atomicfs < client

	# The programs. Only mkrelease may link what writes to a cloud.
	client           < cmd/applyrelease
	publisher client < cmd/mkrelease

	# Measurements and this rule, which nothing stands on.
	publisher client < bench/...
	NONE             < internal/layers
`

func TestDrawing(t *testing.T) {
	rules, err := parse(drawing)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.packages) < 10 {
		t.Fatalf("found only %d packages: is this the module's root?", len(tree.packages))
	}
	for _, fault := range rules.check(tree) {
		t.Error(fault)
	}
}
