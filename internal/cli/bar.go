package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// bar draws one line of progress, for one phase after the other.
type bar struct {
	screen *mpb.Progress
	phase  string
	line   *mpb.Bar // of the phase; nil before the first
}

func newBar(w io.Writer, o ...mpb.ContainerOption) *bar {
	return &bar{screen: mpb.New(append(o, mpb.WithOutput(w), mpb.WithWidth(40))...)}
}

func (b *bar) set(phase string, done, total int64) {
	if phase != b.phase || b.line == nil {
		b.drop()
		b.phase = phase
		b.line = b.screen.AddBar(0,
			mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name(phase, decor.WC{W: 18, C: decor.DindentRight})),
			mpb.AppendDecorators(decor.Any(amount, decor.WC{W: 20})))
	}
	// A total of 0 is not known yet. mpb takes a bar at its total for complete,
	// and then draws no more of it; one byte more keeps it alive.
	if total > 0 {
		b.line.SetTotal(total+1, false)
	}
	b.line.SetCurrent(done)
}

func amount(s decor.Statistics) string {
	if s.Total <= 0 {
		return Size(s.Current)
	}
	return fmt.Sprintf("%s / %s", Size(s.Current), Size(s.Total-1))
}

// above writes a line above the bar.
func (b *bar) above(text string) { fmt.Fprintln(b.screen, text) }

func (b *bar) drop() {
	if b.line != nil {
		b.line.Abort(true)
		b.line = nil
	}
}

func (b *bar) close() {
	b.drop()
	b.screen.Wait()
}
