//go:build unix

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// listenerVariable hands the socket to the next program, or to the first one.
const listenerVariable = "WEBAPP_LISTENER"

// listen takes the socket that it was handed, or opens one.
func listen() (*net.TCPListener, error) {
	text, ok := os.LookupEnv(listenerVariable)
	if !ok {
		l, err := net.Listen("tcp", cmp.Or(os.Getenv("WEBAPP_ADDRESS"), "127.0.0.1:8080"))
		if err != nil {
			return nil, err
		}
		return l.(*net.TCPListener), nil
	}
	fd, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", listenerVariable, err)
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("take over the socket: %w", err)
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, errors.New("take over the socket: want one of TCP")
	}
	return tcp, nil
}

// replace runs what is installed now in this process. The socket stays open, and
// whoever connects in between is answered by the new program.
func (a *app) replace() error {
	f, err := a.listener.File()
	if err != nil {
		return err
	}
	a.mu.Lock()
	updater := a.updater
	a.mu.Unlock()
	if updater != nil {
		<-updater // or nobody would hear of its end
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := a.shutdown(ctx); err != nil {
		return err
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil { // keep it open
		return err
	}
	env := []string{listenerVariable + "=" + strconv.Itoa(int(f.Fd()))}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, listenerVariable+"=") {
			env = append(env, v)
		}
	}
	program := filepath.Join(a.dir, "bin", "webapp")
	return fmt.Errorf("run %s: %w", program, syscall.Exec(program, os.Args, env))
}
