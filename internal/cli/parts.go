package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Part is one of several things that a verb does in one run, such as one
// product of a tree.
type Part struct {
	Name  string
	After []string // names of parts without which this one is not done
}

// Parts runs a verb for each part, in the order given. What would have been the
// summary of a part is an object of type "result" with its name, and what would
// have been its error one of type "failed". A part that comes after one that
// has failed is left out, and so told.
//
// The exit code is Partial if some failed and some did not, and else the one of
// the parts that says most.
func (o *Out) Parts(parts []Part, run func(name string) error) error {
	failed := map[string]bool{}
	var codes []Code
	defer func() { o.part = "" }()
	for _, p := range parts {
		o.part = p.Name
		var err error
		for _, a := range p.After {
			if failed[a] {
				err = fmt.Errorf("not done, as %s failed", a)
			}
		}
		if err == nil {
			err = run(p.Name)
		}
		code, told := o.partCode(err)
		if codes = append(codes, code); !told || code == Returned {
			failed[p.Name] = true
		}
		if !told {
			o.tellFailed(p.Name, code, err)
		}
	}
	o.part = ""
	code := joinCodes(codes)
	if n := len(failed); n > 0 && n < len(parts) {
		code = Partial
	}
	return o.End(code, struct {
		Parts  int `json:"parts"`
		Failed int `json:"failed"`
	}{len(parts), len(failed)})
}

// partCode returns the code of a part, and whether it has been told.
func (o *Out) partCode(err error) (Code, bool) {
	var done *exit
	switch {
	case err == nil:
		return OK, true
	case errors.As(err, &done):
		return done.code, true
	}
	return CodeOf(err), false
}

func (o *Out) tellFailed(name string, code Code, err error) {
	text := err.Error()
	if o.explain != nil {
		text = o.explain(o, err)
	}
	if o.json {
		o.object("failed", struct {
			Part  string `json:"part"`
			Code  Code   `json:"code"`
			Error string `json:"error"`
		}{name, code, text})
	}
	o.Note("%s: %s", name, text)
}

// joinCodes returns the code that says most: anything that is wrong, then a
// security fix, then an update, then one that is here.
func joinCodes(codes []Code) Code {
	if len(codes) == 0 {
		return OK
	}
	rank := map[Code]int{OK: 1, Staged: 2, Available: 3, Security: 4}
	return slices.MaxFunc(codes, func(a, b Code) int {
		return cmp.Compare(cmp.Or(rank[a], 5), cmp.Or(rank[b], 5))
	})
}
