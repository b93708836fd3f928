package process

import (
	"strings"
	"testing"
)

// FuzzParse: what is taken means one process, and is written as it was read.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"1", "1@2", "0", "-1", "@", "1@", "99999999999999999999", "1@18446744073709551615", Self().String()} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := Parse(text)
		if err != nil {
			return
		}
		if id.PID <= 0 {
			t.Fatalf("%q: got %+v", text, id)
		}
		id.State() // of any process
		if again, err := Parse(id.String()); err != nil || again.PID != id.PID || strings.Contains(text, "@") && again != id {
			t.Fatalf("%q: got %+v, and then %+v, %v", text, id, again, err)
		}
	})
}
