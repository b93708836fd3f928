package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
)

func serveVerb(out *cli.Out) *cobra.Command {
	repo, addr := "", ""
	cmd := &cobra.Command{
		Use:   "serve --repo DIR [--addr HOST:PORT]",
		Short: "Serve a repository in a folder over HTTP",
		Long: `Serve lets clients fetch from a repository, for a try or in a closed network. Any
web server does the same. What is signed anew is not to be kept by caches, and
everything else for ever: a file's name never gets other content.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			root, err := os.OpenRoot(repo)
			if err != nil {
				return err
			}
			defer root.Close()
			if _, err := root.Stat(timestampFile); err != nil {
				return err
			}
			l, err := net.Listen("tcp", addr)
			if err != nil {
				return err
			}
			out.Item("serving", map[string]string{"url": "http://" + l.Addr().String()}, "serving http://%s, until it is interrupted", l.Addr())
			if err := serve(cmd.Context(), l, repositoryFiles(root)); err != nil {
				return err
			}
			return out.End(cli.OK, struct{}{})
		},
	}
	cmd.Flags().StringVar(&repo, "repo", "", "folder of the repository")
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:8080", "where to listen; port 0 takes a free one")
	cli.Require(cmd, "repo")
	return cmd
}

const timestampFile = "metadata/timestamp.json"

// serve answers requests until ctx ends, and lets those under way finish.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		stopped <- server.Shutdown(last)
	})
	err := server.Serve(l)
	if !stop() {
		err = errors.Join(err, <-stopped)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// repositoryFiles serves the files of a repository, and no listings of folders.
func repositoryFiles(root *os.Root) http.Handler {
	files := http.FileServerFS(root.FS())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		info, err := root.Stat(name)
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "want GET or HEAD", http.StatusMethodNotAllowed)
			return
		case err != nil || !info.Mode().IsRegular():
			http.NotFound(w, r)
			return
		case name == timestampFile:
			w.Header().Set("Cache-Control", "no-cache")
		default:
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		files.ServeHTTP(w, r)
	})
}
