package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestReadme: what README.md shows is what is there.
func TestReadme(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		must(t, err)
		return string(b)
	}
	readme := read("README.md")
	block := func(language string) string {
		_, rest, _ := strings.Cut(readme, "```"+language+"\n")
		text, _, ok := strings.Cut(rest, "```")
		if !ok {
			t.Fatalf("README.md has no block of %s", language)
		}
		return text
	}
	if !strings.Contains(read("serve.go"), block("go")) {
		t.Error("serve.go has not the function that README.md shows")
	}
	release := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(read("story/releases/core-1.1.0.toml"), "")
	if release != block("toml") {
		t.Errorf("README.md shows another release file than\n%s", release)
	}
}
