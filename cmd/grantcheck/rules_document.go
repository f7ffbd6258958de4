package main

import (
	"html/template"
	"io"
	"strings"
	plain "text/template"

	"grantcheck/suites"
)

// The catalogue as a document, made from the rules themselves.

var ruleFuncs = map[string]any{
	"explain": explain,
	"anchor":  func(id string) string { return strings.ReplaceAll(id, ".", "-") },
	"md":      strings.NewReplacer("<", "&lt;", "*", `\*`, "[", `\[`, "|", `\|`).Replace,
}

var ruleMarkdown = plain.Must(plain.New("rules").Funcs(ruleFuncs).Parse(`# Rules of grantcheck

Rule set {{.Catalogue}}, {{len .Rules}} rules.
{{range .Groups}}
- [{{.Name}}](#{{.Name}}) ({{len .Rules}}){{end}}
{{range .Groups}}
## {{.Name}}
{{range .Rules}}
### {{.ID}}

{{md .Title}}.

| | |
|---|---|
{{range explain .}}| {{.Name}} | {{range $i, $v := .Values}}{{if $i}}<br>{{end}}{{md $v}}{{end}} |
{{end}}{{end}}{{end}}`))

var ruleHTML = template.Must(template.New("rules").Funcs(ruleFuncs).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Rules of grantcheck</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { border-bottom: 1px solid; margin-top: 3rem; }
h3 { font-family: ui-monospace, monospace; margin: 2rem 0 0; }
nav ul { columns: 14rem; padding-left: 1rem; }
dl { display: grid; grid-template-columns: 8rem 1fr; gap: .2rem 1rem; margin: .5rem 0; }
dt { opacity: .7; } dd { margin: 0; } dd + dd { grid-column: 2; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dd + dd { grid-column: 1; } }
</style></head><body>
<h1>Rules of grantcheck</h1>
<p>Rule set {{.Catalogue}}, {{len .Rules}} rules.</p>
<nav><ul>{{range .Groups}}<li><a href="#{{.Name}}">{{.Name}}</a> ({{len .Rules}})</li>{{end}}</ul></nav>
{{range .Groups}}<h2 id="{{.Name}}">{{.Name}}</h2>
{{range .Rules}}<section id="{{anchor .ID}}"><h3>{{.ID}}</h3><p>{{.Title}}.</p>
<dl>{{range explain .}}<dt>{{.Name}}</dt>{{range .Values}}<dd>{{.}}</dd>{{end}}{{end}}</dl></section>
{{end}}{{end}}</body></html>
`))

// document is what the templates see.
type document struct {
	Catalogue string
	Rules     []suites.Rule
	Groups    []ruleGroup
}

func (d ruleDoc) document() document { return document{d.Catalogue, d.rules, d.groups()} }

func (d ruleDoc) writeMarkdown(w io.Writer) error { return ruleMarkdown.Execute(w, d.document()) }
func (d ruleDoc) writeHTML(w io.Writer) error     { return ruleHTML.Execute(w, d.document()) }
