package httpgate

import (
	"bytes"
	"html/template"
	"time"
)

// page is small, needs no other file, and asks again by itself.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"utc": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
}).Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<meta http-equiv="refresh" content="{{.RetryAfter}}">
<title>Back soon</title>
<style>
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 15vh auto; padding: 0 1rem; color: #222; background: #fff }
small, details { color: #666 }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #111 } small, details { color: #999 } }
</style>
<h1>Back soon</h1>
<p>{{with .Message}}{{.}}{{else}}This application is being updated.{{end}}</p>
<p><small>{{.State}}{{with .Phase}}: {{.}}{{end}}{{if not .ETA.IsZero}}, until about {{utc .ETA}}{{end}}</small></p>
{{if .Form -}}
<details><summary>Administrators</summary>
<form method="post"><label>Token <input type="password" name="{{.Field}}" autocomplete="off"></label> <button>Let me in</button></form>
</details>
{{end -}}
`))

// Page returns the page for a notice, with the form for the token or without.
// It stands alone, so that another server can show it, too.
func Page(n Notice, form bool) []byte {
	var b bytes.Buffer
	// Writing to memory cannot fail, and all the fields are there.
	_ = page.Execute(&b, struct {
		Notice
		Form  bool
		Field string
	}{n, form, BypassCookie})
	return b.Bytes()
}
