package delta_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
)

// content is a file in memory, as old content and as the new one.
type content struct{ *strings.Reader }

func (content) Close() error { return nil }

func blob(name, s string) delta.Blob {
	return delta.Blob{Name: name, Ref: delta.Ref{Digest: manifest.Sum([]byte(s)), Size: int64(len(s))},
		Open: func() (delta.File, error) { return content{strings.NewReader(s)}, nil }}
}

// collector prints what it gets, if it is good.
type collector struct{ bytes.Buffer }

func (c *collector) Finish(err error) error {
	if err == nil {
		fmt.Printf("made %d bytes, which end in %q\n", c.Len(), c.Bytes()[c.Len()-8:])
	}
	return err
}

// A publisher writes a pack and signs the digest of its head. A client that
// knows this digest can trust all that it makes of the pack.
func Example() {
	ctx := context.Background()
	poem := strings.Repeat("a rose is a rose is ", 50)
	old := []delta.Blob{blob("poem", poem+"a rose\n")}
	new := []delta.Blob{blob("poem.txt", "Poem\n\n"+poem+"a thorn\n")}
	var pack bytes.Buffer
	report, err := delta.WritePack(ctx, &pack, old, new, delta.Options{})
	if err != nil {
		log.Fatal(err)
	}

	head, err := delta.ReadHead(bytes.NewReader(pack.Bytes()), delta.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	if head.Digest != report.Head.Digest {
		log.Fatal("this is not the pack that was signed")
	}
	for i, frame := range head.Frames {
		stored := io.NewSectionReader(bytes.NewReader(pack.Bytes()), frame.Offset, frame.Size)
		err := head.Patch(ctx, i, stored,
			func(i int) (delta.File, error) { return old[i].Open() }, // in the order of head.Old
			func(delta.Ref) (delta.Output, error) { return &collector{}, nil })
		if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// made 1014 bytes, which end in "a thorn\n"
}

// Objects are full contents, compressed. They are checked on both sides.
func ExampleWriteObject() {
	ctx := context.Background()
	text := strings.Repeat("a rose is a rose is ", 50)
	var object bytes.Buffer
	want, stored, err := delta.WriteObject(ctx, &object, strings.NewReader(text), delta.Small)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(want.Size, "bytes; smaller when stored:", stored.Size < want.Size/10)

	var back bytes.Buffer
	err = delta.ReadObject(ctx, &back, &object, want)
	fmt.Println(back.String() == text, err)
	// Output:
	// 1000 bytes; smaller when stored: true
	// true <nil>
}
