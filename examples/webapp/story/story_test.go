package main

import (
	"os"
	"testing"
)

// TestStory plays the story. It fails where a request or a note was lost.
func TestStory(t *testing.T) {
	if err := tell(t.Context(), os.Stdout, t.TempDir()); err != nil {
		t.Fatal(err)
	}
}
