package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// tool is a program with a verb for each way to end.
func tool(explain func(*Out, error) string) *Program {
	verb := func(use string, run func(*Out, *cobra.Command) error) func(*Out) *cobra.Command {
		return func(out *Out) *cobra.Command {
			cmd := &cobra.Command{Use: use, Args: cobra.NoArgs}
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return run(out, cmd) }
			cmd.Flags().String("name", "nobody", "")
			cmd.Flags().StringArray("tag", nil, "")
			cmd.Flags().Int("count", 1, "")
			cmd.Flags().Bool("force", false, "")
			return cmd
		}
	}
	return &Program{
		Name: "tool",
		Verbs: []func(*Out) *cobra.Command{
			verb("fine", func(out *Out, _ *cobra.Command) error {
				out.Progress("working", 1, 2)
				out.Note("a remark")
				out.Item("thing", map[string]int{"n": 1}, "thing %d", 1)
				return out.Done(OK, map[string]int{"things": 1}, "%d thing", 1)
			}),
			verb("found", func(out *Out, _ *cobra.Command) error {
				return out.Done(Mismatch, nil, "found")
			}),
			verb("broken", func(*Out, *cobra.Command) error { return errors.New("it broke") }),
			verb("wait", func(_ *Out, cmd *cobra.Command) error {
				<-cmd.Context().Done()
				return context.Cause(cmd.Context())
			}),
			verb("show", func(out *Out, cmd *cobra.Command) error {
				name, _ := cmd.Flags().GetString("name")
				tags, _ := cmd.Flags().GetStringArray("tag")
				count, _ := cmd.Flags().GetInt("count")
				force, _ := cmd.Flags().GetBool("force")
				return out.Done(OK, nil, "%s %q %d %v", name, tags, count, force)
			}),
		},
		Explain: explain,
	}
}

func runTool(t *testing.T, ctx context.Context, args ...string) (code Code, stdout, stderr string) {
	t.Helper()
	var o, e bytes.Buffer
	code = tool(nil).run(ctx, args, &Out{stdout: &o, stderr: &e})
	return code, o.String(), e.String()
}

func TestRun(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, c := range []struct {
		args           string
		code           Code
		stdout, stderr string // stderr: its beginning
	}{
		{"fine", 0, "thing 1\n1 thing\n", "a remark\n"},
		{"fine -q", 0, "thing 1\n1 thing\n", ""},
		{"fine --json", 0, `{"type":"phase","phase":"working"}
{"type":"note","text":"a remark"}
{"type":"thing","n":1}
{"type":"summary","code":0,"things":1}
`, ""},
		{"found", 32, "found\n", ""},
		{"found --json", 32, `{"type":"summary","code":32}` + "\n", ""},
		{"broken", 1, "", "tool: it broke\n"},
		{"broken --json", 1, `{"type":"error","code":1,"error":"it broke"}` + "\n", "tool: it broke\n"},
		{"nonsense", 2, "", "tool: unknown command \"nonsense\" for \"tool\"\nusage: tool"},
		{"fine extra", 2, "", "tool: unknown command \"extra\" for \"tool fine\"\nusage: tool fine"},
		{"fine --nonsense", 2, "", "tool: unknown flag: --nonsense\nusage: tool fine"},
		{"fine --count=many", 2, "", "tool: invalid argument"},
		{"nonsense --json", 2, `{"type":"error","code":2,"error":"unknown command \"nonsense\" for \"tool\""}` + "\n", "tool: unknown"},
		{"fine --json extra", 2, `{"type":"error","code":2,"error":"unknown command \"extra\" for \"tool fine\""}` + "\n", "tool: unknown"},
	} {
		t.Run(c.args, func(t *testing.T) {
			code, stdout, stderr := runTool(t, context.Background(), strings.Fields(c.args)...)
			if code != c.code || stdout != c.stdout || !strings.HasPrefix(stderr, c.stderr) || c.stderr == "" && stderr != "" {
				t.Errorf("want %d\n%s\n%s\ngot %d\n%s\n%s", c.code, c.stdout, c.stderr, code, stdout, stderr)
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	code, stdout, stderr := runTool(t, ctx, "wait", "--json")
	if code != 130 || stdout != `{"type":"error","code":130,"error":"interrupted"}`+"\n" || stderr != "tool: interrupted\n" {
		t.Errorf("got %d, %q, %q", code, stdout, stderr)
	}
}

func TestExplain(t *testing.T) {
	var o, e bytes.Buffer
	code := tool(func(out *Out, err error) string {
		out.Item("detail", map[string]string{"of": err.Error()}, "detail")
		return "shorter"
	}).run(context.Background(), []string{"broken", "--json"}, &Out{stdout: &o, stderr: &e})
	want := `{"type":"detail","of":"it broke"}` + "\n" + `{"type":"error","code":1,"error":"shorter"}` + "\n"
	if code != 1 || o.String() != want || e.String() != "tool: shorter\n" {
		t.Errorf("got %d, %q, %q", code, o.String(), e.String())
	}
}

// full is a disk without space.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// TestLostResults makes sure that a success that nobody was told of is none.
func TestLostResults(t *testing.T) {
	var e bytes.Buffer
	code := tool(nil).run(context.Background(), []string{"fine"}, &Out{stdout: full{}, stderr: &e})
	if code != 1 || !strings.Contains(e.String(), "write results: short write") {
		t.Errorf("got %d, %q", code, e.String())
	}
}

func TestSettings(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	file := filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "treegraft", "tool.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, file string
		env        map[string]string
		args       string
		code       Code
		want       string // stdout, or part of stderr
	}{
		{"default", ``, nil, "", 0, "nobody [] 1 false\n"},
		{"file", `{"name":"file","tag":["a","b"],"count":2}`, nil, "", 0, "file [\"a\" \"b\"] 2 false\n"},
		{"environment before file", `{"name":"file","count":2}`, map[string]string{"TOOL_NAME": "env"}, "", 0, "env [] 2 false\n"},
		{"flag before both", `{"name":"file"}`, map[string]string{"TOOL_NAME": "env"}, "--name=flag", 0, "flag [] 1 false\n"},
		{"list before list", `{"tag":["a"]}`, nil, "--tag=x", 0, "nobody [\"x\"] 1 false\n"},
		{"empty variable", `{"name":"file"}`, map[string]string{"TOOL_NAME": ""}, "", 0, "file [] 1 false\n"},
		{"bad variable", ``, map[string]string{"TOOL_COUNT": "many"}, "", 2, "TOOL_COUNT: invalid argument"},
		{"bad value", `{"count":"many"}`, nil, "", 2, "tool.json: count: invalid argument"},
		{"all faults", `{"count":"many"}`, map[string]string{"TOOL_JSON": "maybe"}, "", 2, "TOOL_JSON"},
		{"unknown", `{"nmae":"x"}`, nil, "", 2, "tool.json: nmae: no verb has a setting of this name"},
		{"object", `{"name":{}}`, nil, "", 2, "name: want a string"},
		{"two objects", `{} {}`, nil, "", 2, "want one JSON object"},
		{"no JSON", `name = x`, nil, "", 2, "tool.json: invalid character"},
		{"force from the environment", ``, map[string]string{"TOOL_FORCE": "true"}, "", 0, "nobody [] 1 false\n"},
		{"force from a file", `{"force":true}`, nil, "", 2, "force: can only be given on the command line"},
		{"named file missing", ``, map[string]string{"TOOL_CONFIG": "/nonexistent/file"}, "", 2, "/nonexistent/file"},
		{"long", `{"name":"` + strings.Repeat("x", maxConfig) + `"}`, nil, "", 2, "want at most"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			_ = os.Remove(file)
			if c.file != "" {
				if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			code, stdout, stderr := runTool(t, context.Background(), strings.Fields("show "+c.args)...)
			if code != c.code || code == 0 && stdout != c.want || code != 0 && !strings.Contains(stderr, c.want) {
				t.Errorf("want %d %q, got %d %q %q", c.code, c.want, code, stdout, stderr)
			}
		})
	}
}

func TestHelpExitCodes(t *testing.T) {
	for _, args := range [][]string{{"help", "exit-codes"}, {"exit-codes"}} {
		code, stdout, _ := runTool(t, context.Background(), args...)
		if code != 0 || !strings.Contains(stdout, " 32  content is not what was signed") {
			t.Errorf("%v: got %d %q", args, code, stdout)
		}
	}
}

// TestHelpInABadPlace makes sure that help is there when settings are wrong.
func TestHelpInABadPlace(t *testing.T) {
	t.Setenv("TOOL_COUNT", "many")
	if code, stdout, stderr := runTool(t, context.Background(), "help", "show"); code != 0 || !strings.Contains(stdout, "--count") {
		t.Errorf("got %d %q %q", code, stdout, stderr)
	}
}
