package layers

import (
	"os"
	"testing"
)

// drawing is read from the ground up.
const drawing = `
	# Libraries, each under the lowest packages that use it.
	github.com/zeebo/blake3 golang.org/x/sync                        < manifest atomicfs
	github.com/klauspost/compress golang.org/x/mod golang.org/x/text < manifest
	github.com/gofrs/flock                                           < atomicfs store client/gate
	golang.org/x/sys                                                 < atomicfs store internal/process
	github.com/gabstv/go-bsdiff                                      < delta
	github.com/minio/minio-go/v7                                     < store/s3
	github.com/theupdateframework/go-tuf/v2                          < trust
	github.com/sigstore/sigstore                                     < trust
	github.com/secure-systems-lab/go-securesystemslib                < trust

	# The ground floor stands on nothing of ours, but delta and store use
	# manifest's digests, and delta looks into containers and executables.
	NONE               < manifest atomicfs trust conffile internal/macho
	manifest           < delta store lifecycle
	container          < delta delta/internal/exe
	internal/macho  < container delta
	delta/internal/exe < delta
	store              < store/s3

	# Publisher and client never meet: an application that embeds the client
	# links nothing that publishes.
	delta store trust          < publisher
	delta store trust atomicfs < client
	lifecycle                  < publisher client
	conffile                   < client
	manifest github.com/pelletier/go-toml/v2 < publisher/releasefile

	# Files that have to be small.
	NONE               < internal/smallfile
	internal/smallfile < client publisher/releasefile internal/cli internal/tufclient

	# What programs talk with their updater through needs nothing of all that.
	NONE                      < internal/process
	internal/process atomicfs < client/gate
	internal/process atomicfs golang.org/x/sys < client/detach
	client/gate               < client client/gate/httpgate

	# The commands. Only mkrelease links what publishes, and only mkrelease may
	# ever link what writes to a cloud.
	github.com/spf13/cobra github.com/spf13/pflag    < internal/cli
	github.com/vbauerster/mpb/v8 golang.org/x/term   < internal/cli
	client client/detach                             < internal/cli
	internal/cli client/gate/httpgate                < cmd/applyrelease
	internal/cli publisher publisher/releasefile store/s3 < cmd/mkrelease
	github.com/rogpeppe/go-internal client publisher < cmd/mkrelease/demo
	cmd/mkrelease/demo                               < cmd/mkrelease

	# What nothing stands on: examples, measurements, and tests of it all.
	client           < examples/...
	publisher client < bench/...
	trust atomicfs   < internal/tufclient
	github.com/sigstore/sigstore < internal/kmsplugin
	client/gate/httpgate client/detach < internal/gateapp
	NONE             < internal/e2e internal/layers internal/attacks internal/mutants
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
