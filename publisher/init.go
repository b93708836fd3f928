package publisher

import (
	"context"
	"errors"
	"fmt"

	"github.com/treegraft-dev/treegraft/trust"
)

// Init makes an empty repository in o.Store, which must be empty, and returns
// its root.json, which clients embed. The root is signed by recovery, all else
// by release. Root and Signers of o are not used.
func Init(ctx context.Context, o Options, recovery, release trust.Signer) (root []byte, err error) {
	if o.Store == nil {
		return nil, errors.New("init: want a store")
	}
	o = newPublisher(o).o
	unlock, err := o.Store.Lock(ctx, o.Holder)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	for file, err := range o.Store.List(ctx, "") {
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("init: the store is not empty, it holds %s", file.Name)
	}
	editor, err := trust.Create(ctx, recovery, release, trust.EditorOptions{Now: o.Now, Lifetime: o.Lifetime})
	if err != nil {
		return nil, err
	}
	files, err := editor.Commit(ctx)
	if err != nil {
		return nil, err
	}
	if err := pushAll(ctx, o, files); err != nil {
		return nil, err
	}
	return editor.Root(), nil
}

// pushAll writes the first files of a store, and makes them durable with the last
// one. If it fails it takes back what it wrote, so that the store is empty as
// before.
func pushAll(ctx context.Context, o Options, files []trust.File) error {
	s := session{Publisher: newPublisher(o)}
	for i, f := range files {
		to := o.Store.PushNew
		if i == len(files)-1 {
			to = o.Store.Push
		}
		err := s.push(ctx, f.Name, f.Data, to)
		if err == nil {
			continue
		}
		for _, f := range files[:i+1] { // a write that failed may have taken effect
			err = errors.Join(err, o.Store.Delete(context.WithoutCancel(ctx), f.Name))
		}
		return err
	}
	return nil
}
