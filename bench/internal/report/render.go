package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/treegraft-dev/treegraft/bench/internal/measure"
)

// Markdown renders the run: facts, an overview of bytes, whole updates, and
// one table of costs per pair.
func Markdown(r Run) string {
	var b strings.Builder
	facts(&b, r.Facts)
	overview(&b, r, "Files: bytes of the delta", false)
	overview(&b, r, "Trees: bytes of the delta", true)
	updates(&b, r)
	for _, p := range r.Pairs {
		details(&b, r, p)
	}
	return b.String()
}

func facts(b *strings.Builder, facts []Fact) {
	for _, f := range facts {
		fmt.Fprintf(b, "- %s: %s\n", f.Name, f.Value)
	}
	b.WriteByte('\n')
}

// overview is one row per pair and one column per tool that has any figure.
func overview(b *strings.Builder, r Run, title string, trees bool) {
	var pairs []Pair
	for _, p := range r.Pairs {
		if p.Tree == trees {
			pairs = append(pairs, p)
		}
	}
	var tools []string
	for _, t := range r.Tools {
		if slices.ContainsFunc(pairs, func(p Pair) bool { return r.find(p.ID, t) != nil }) {
			tools = append(tools, t)
		}
	}
	if len(pairs) == 0 || len(tools) == 0 {
		return
	}
	fmt.Fprintf(b, "### %s\n\n| pair | new | %s | goal | ours ÷ %s |\n", title, strings.Join(tools, " | "), Baseline)
	fmt.Fprintf(b, "|---|--:|%s--:|--:|\n", strings.Repeat("--:|", len(tools)))
	for _, p := range pairs {
		fmt.Fprintf(b, "| %s | %s |", p.ID, group(p.NewBytes))
		for _, t := range tools {
			fmt.Fprintf(b, " %s |", sizeCell(r.find(p.ID, t)))
		}
		fmt.Fprintf(b, " %s | %s |\n", goalCell(p.Goal), ratio(r.find(p.ID, Ours), r.find(p.ID, Baseline)))
	}
	b.WriteByte('\n')
}

// updates is ours over HTTP, and beside it what others reported for the same
// pair; then the steps that only ours has figures for.
func updates(b *strings.Builder, r Run) {
	if len(r.Updates) == 0 {
		return
	}
	b.WriteString("### Whole updates: everything that a client downloads\n\n" +
		"| pair | tool | bytes | goal | publish CPU s | publish MB | update CPU s | update MB | |\n" +
		"|---|---|--:|--:|--:|--:|--:|--:|---|\n")
	for _, u := range r.Updates {
		updateRow(b, r.pair(u.Pair), u)
		for _, x := range r.Results {
			if x.Pair == u.Pair && x.Origin == Reported {
				fmt.Fprintf(b, "| | %s | %s | | %s | %s | %s | %s | %s |\n", x.Tool, group(x.Bytes)+mark(x.Origin),
					seconds(x.Diff.CPU), memory(x.Diff), seconds(x.Patch.CPU), memory(x.Patch), remark(x))
			}
		}
	}
	b.WriteString("\n### Ours, the other steps\n\n" +
		"| pair | install bytes (requests) | install CPU s | install MB | nothing new, bytes (requests) | rollback, offline, CPU s | rollback MB |\n" +
		"|---|--:|--:|--:|--:|--:|--:|\n")
	for _, u := range r.Updates {
		if u.Failed != "" {
			continue
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s |\n", u.Pair,
			transfer(u.Install), seconds(u.Install.Cost.CPU), memory(u.Install.Cost), transfer(u.Check),
			seconds(u.Rollback.CPU), memory(u.Rollback))
	}
	b.WriteByte('\n')
}

func updateRow(b *strings.Builder, p Pair, u Update) {
	if u.Failed != "" {
		fmt.Fprintf(b, "| %s | %s | %s |%s\n", u.Pair, bold(Ours), failed(u.Failed), strings.Repeat(" – |", 6))
		return
	}
	fmt.Fprintf(b, "| %s | %s | **%s** | %s | %s | %s | %s | %s | %d requests, %s s of wall time |\n", u.Pair, bold(Ours),
		group(u.Update.Bytes), goalCell(p.Goal), seconds(u.Publish.CPU), memory(u.Publish),
		seconds(u.Update.Cost.CPU), memory(u.Update.Cost), u.Update.Requests, seconds(u.Update.Cost.Wall))
}

// details is one row per tool, smallest delta first, failures last.
func details(b *strings.Builder, r Run, p Pair) {
	var rows []Result
	for _, t := range r.Tools {
		if res := r.find(p.ID, t); res != nil {
			rows = append(rows, *res)
		}
	}
	if len(rows) == 0 {
		return
	}
	slices.SortStableFunc(rows, func(x, y Result) int {
		return cmp.Or(cmp.Compare(len(x.Failed), len(y.Failed)), cmp.Compare(x.Bytes, y.Bytes))
	})
	fmt.Fprintf(b, "### %s: %s\n\n", p.ID, p.What)
	fmt.Fprintf(b, "| tool | bytes | of %s | diff CPU s | diff MB | patch CPU s | patch MB | |\n|---|--:|--:|--:|--:|--:|--:|---|\n", Baseline)
	base := r.find(p.ID, Baseline)
	for _, x := range rows {
		if x.Failed != "" {
			fmt.Fprintf(b, "| %s | %s |%s\n", x.Tool, failed(x.Failed), strings.Repeat(" – |", 6))
			continue
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", bold(x.Tool), group(x.Bytes), ratio(&x, base),
			seconds(x.Diff.CPU), memory(x.Diff), seconds(x.Patch.CPU), memory(x.Patch), remark(x))
	}
	b.WriteByte('\n')
}

func (r Run) find(pair, tool string) *Result {
	for i := range r.Results {
		if x := &r.Results[i]; x.Pair == pair && x.Tool == tool {
			return x
		}
	}
	return nil
}

func (r Run) pair(id string) (p Pair) {
	if i := slices.IndexFunc(r.Pairs, func(p Pair) bool { return p.ID == id }); i >= 0 {
		p = r.Pairs[i]
	}
	return p
}

func sizeCell(x *Result) string {
	switch {
	case x == nil:
		return "–"
	case x.Failed != "":
		return failed(x.Failed)
	}
	return group(x.Bytes) + mark(x.Origin)
}

// Marks beside figures that this run did not measure.
const (
	markCached   = "†"
	markReported = "‡"
)

func mark(o Origin) string {
	switch o {
	case Cached:
		return markCached
	case Reported:
		return markReported
	}
	return ""
}

func remark(x Result) string {
	var parts []string
	switch x.Origin {
	case Cached:
		parts = append(parts, markCached+" cached")
	case Reported:
		parts = append(parts, markReported+" reported, not run here")
	}
	if x.Note != "" {
		parts = append(parts, x.Note)
	}
	return cell(strings.Join(parts, "; "))
}

func bold(tool string) string {
	if strings.HasPrefix(tool, Ours) {
		return "**" + tool + "**"
	}
	return tool
}

func goalCell(goal int64) string {
	if goal == 0 {
		return "–"
	}
	return "≤ " + group(goal)
}

func ratio(x, base *Result) string {
	if x == nil || base == nil || x.Failed != "" || base.Failed != "" || base.Bytes == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(x.Bytes)/float64(base.Bytes))
}

// maxReason is where a reason is cut: a cell is no place for a stack trace.
const maxReason = 120

func failed(reason string) string {
	if r := []rune(reason); len(r) > maxReason {
		reason = string(r[:maxReason]) + "…"
	}
	return cell("failed: " + reason)
}

// cell makes text safe for a Markdown table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ").Replace(s)
}

func transfer(t Transfer) string { return fmt.Sprintf("%s (%d)", group(t.Bytes), t.Requests) }

// seconds keeps two digits that mean something: shorter times are noise.
func seconds(d time.Duration) string {
	s := d.Seconds()
	switch {
	case d == 0:
		return "–"
	case s < 10:
		return strconv.FormatFloat(s, 'f', 2, 64)
	}
	return strconv.FormatFloat(s, 'f', 1, 64)
}

func memory(c measure.Cost) string {
	switch {
	case c.RSS == 0:
		return "–"
	case c.AtMost:
		return fmt.Sprintf("≤ %d", (c.RSS+999_999)/1_000_000)
	}
	return strconv.FormatInt((c.RSS+500_000)/1_000_000, 10)
}

// group writes a number with a comma between thousands.
func group(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
