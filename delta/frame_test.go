package delta

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// What takes too long is stored in full, and the report says so.
func TestTimeRunsOut(t *testing.T) {
	old, new := noise(1, 1<<20), noise(1, 1<<20)
	new[5]++
	pack, r := writePack(t, memBlobs(old), memBlobs(new), Options{Time: time.Nanosecond})
	if b := r.Blobs[0]; b.Kind != KindFull || !strings.Contains(b.Why, "longer than 1ns") {
		t.Errorf("kind %d because %q, want it in full for lack of time", b.Kind, b.Why)
	}
	if c, err := patchAll(pack, readHead(t, pack), memBlobs(old)); err != nil || !bytes.Equal(c.good[memBlobs(new)[0].Ref], new) {
		t.Errorf("patch: %v, or other content", err)
	}
	if _, r := writePack(t, memBlobs(old), memBlobs(new), Options{Time: time.Hour}); r.Blobs[0].Kind != KindNative {
		t.Errorf("kind %d with time enough, want a delta", r.Blobs[0].Kind)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := WritePack(cancelled, io.Discard, memBlobs(old), memBlobs(new), Options{Time: time.Hour})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v, want that it was", err)
	}
}
