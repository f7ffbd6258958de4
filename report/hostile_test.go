package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// hostile is what a server may send to whoever reads a report of it.
var hostile = map[string]string{
	"pipe":            "a | b | c\n| d |",
	"backticks":       "`rm -rf` ``` ```` \n```\nout of the block",
	"fence":           "```",
	"end of script":   `</script><script>alert(1)</script></style></title></details><img src=x onerror=alert(1)>`,
	"comment":         `<!-- --> <!--<script> -->`,
	"CDATA":           `]]> <![CDATA[ ]]]]><![CDATA[>`,
	"ANSI":            "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J \u009b31m \x08\x08 \r overwritten",
	"directions":      "user\u202Etxt.exe \u2066 \u200f \u061c \u200b\ufeff \u2028 \u2029",
	"invalid":         "\xff\xfe\xc0\xaf NUL \x00 \ufffe \uffff \x7f",
	"workflow":        "::error title=x::y\n::add-mask::secret\n::stop-commands::t\n##[set-env name=X]1\n##vso[task.x]y %0A::warning::z",
	"Markdown":        "[x](javascript:alert(1)) ![i](http://198.51.100.7/p.png) <b>bold</b> **b** _i_ # h @octocat #12 http://198.51.100.7/ www.example.org \\",
	"template":        `{{.}} {{printf "%s" .}} ${x} #{y} <%= z %>`,
	"JSON":            `","verdict":"pass","x":"\u0022`,
	"attribute":       `" onmouseover="alert(1)" x='y' javascript:alert(1)`,
	"one megabyte":    strings.Repeat("Ω<|`", 1<<20/5),
	"no place to cut": strings.Repeat("x", 1<<20),
}

// poison puts text into every string of a run that is not a fixed word of ours.
func poison(r Run, text string) Run {
	ours := map[string]bool{
		"Verdict": true, "Documented": true, "Standard": true, "ReasonKind": true, "Kind": true, "Level": true, "Posture": true, "Wording": true,
		"State": true, "Decide": true, "Encoded": true, "Unit": true, "Schema": true, "Group": true, "Contract": false, "Outcome": true, "Window": true,
	}
	var walk func(v reflect.Value, name string)
	walk = func(v reflect.Value, name string) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem(), name)
			}
		case reflect.Struct:
			if v.Type().String() == "time.Time" {
				return
			}
			for i := range v.NumField() {
				walk(v.Field(i), v.Type().Field(i).Name)
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i), name)
			}
		case reflect.String:
			if !ours[name] && v.CanSet() {
				v.SetString(text)
			}
		}
	}
	walk(reflect.ValueOf(&r), "")
	r.Labels = map[string]string{text: text}
	return r
}

var (
	ciCommand = regexp.MustCompile(`(?m)(^\s*::[A-Za-z])|##(\[|vso\[|teamcity\[)`)
	bar       = regexp.MustCompile(`\|`)
)

// TestHostileText: what a server sends comes out harmless in every form.
func TestHostileText(t *testing.T) {
	forms := map[string]func(io.Writer, Run) error{
		"verbose": func(w io.Writer, r Run) error { return WriteTable(w, r, Style{Verbose: true}) },
		"narrow":  func(w io.Writer, r Run) error { return WriteTable(w, r, Style{Width: 40}) },
	}
	for _, f := range Formats {
		forms[f.Name] = func(w io.Writer, r Run) error { return f.Write(w, r, Style{}) }
	}
	old := loadFixture(5)
	old.Checks = fixture().Checks
	compare := func(r Run) *Diff {
		return Compare(&old, &r, Fail)
	}
	forms["diff table"] = func(w io.Writer, r Run) error { return compare(r).WriteTable(w, Style{}) }
	forms["diff markdown"] = func(w io.Writer, r Run) error { return compare(r).WriteMarkdown(w) }
	forms["diff json"] = func(w io.Writer, r Run) error { return compare(r).WriteJSON(w) }
	forms["trend table"] = func(w io.Writer, r Run) error { return HistoryOf([]*Run{&r}, nil).WriteTable(w, Style{}) }
	forms["trend markdown"] = func(w io.Writer, r Run) error { return HistoryOf([]*Run{&r}, nil).WriteMarkdown(w) }
	forms["trend json"] = func(w io.Writer, r Run) error { return HistoryOf([]*Run{&r}, nil).WriteJSON(w) }

	for kind, text := range hostile {
		r := fixture()
		l := loadFixture(5)
		r.Load = l.Load
		soak := soakFixture().Load
		r.Load.Trend, r.Load.Against, r.Load.Capacity, r.Load.Stages = soak.Trend, soak.Against, soak.Capacity, soak.Stages
		r.Preflight = []Preflight{{Kind: Unreachable, Message: "x", Remedy: "x"}}
		r.Exchanges[0].Response.Truncated = true
		r.Summarize()
		r.Summary.Error = 0 // a statement is wanted too
		if len(text) < 1<<16 {
			r = poison(r, text)
		} else { // in every place at once it would only be slow
			c, x := &r.Checks[5], &r.Exchanges[1]
			c.Actual, c.Message, c.Places, r.Facts[0].Value = text, text, []string{text, text}, text
			x.Response.Body, x.Response.Headers[0].Value = text, text
		}
		for name, write := range forms {
			var b bytes.Buffer
			if err := write(&b, r); err != nil {
				t.Errorf("%s in %s: %v", kind, name, err)
				continue
			}
			out := b.String()
			complain := func(format string, args ...any) {
				t.Helper()
				t.Errorf("%s in %s: %s", kind, name, fmt.Sprintf(format, args...))
			}
			if !utf8.ValidString(out) {
				complain("invalid UTF-8")
			}
			for _, c := range out {
				if c != '\n' && c != '\t' && unsafe(c) {
					complain("%U came out", c)
					break
				}
			}
			isJSON := strings.HasSuffix(name, "json")
			if name != "github" && !isJSON {
				if bad := ciCommand.FindString(out); bad != "" {
					complain("a runner reads %q as its command", bad)
				}
			}
			if !isJSON && b.Len() > 1_500_000 {
				complain("%d bytes", b.Len())
			}
			switch {
			case name == "html":
				checkHTML(out, complain)
			case name == "junit":
				checkXML(out, complain)
			case isJSON:
				if !json.Valid(b.Bytes()) || strings.Contains(out, "</script") || strings.Contains(out, "<!--") {
					complain("not JSON that can stand anywhere")
				}
			case name == "markdown" || name == "statement" || strings.HasSuffix(name, " markdown"):
				checkMarkdown(out, complain)
			case name == "github":
				for l := range strings.SplitSeq(strings.TrimSuffix(out, "\n"), "\n") {
					if !regexp.MustCompile(`^::(error|warning|notice) title=[^:,]*::`).MatchString(l) {
						complain("line %.80q", l)
					}
				}
			}
		}
	}
}

func checkXML(out string, complain func(string, ...any)) {
	d := xml.NewDecoder(strings.NewReader(out))
	known := map[string]bool{
		"testsuites": true, "testsuite": true, "properties": true, "property": true, "testcase": true,
		"failure": true, "error": true, "skipped": true, "system-out": true,
	}
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			complain("%v", err)
			return
		}
		if s, ok := tok.(xml.StartElement); ok && !known[s.Name.Local] {
			complain("element %s", s.Name.Local)
		}
	}
}

// checkMarkdown looks at what stands outside of blocks: our own markup and text without any.
func checkMarkdown(out string, complain func(string, ...any)) {
	fence, columns := "", 0
	entity := regexp.MustCompile(`&#\d+;(<!-- -->)?`)
	tags := regexp.MustCompile(`<[^>]*>`)
	ours := map[string]bool{"<code>": true, "</code>": true, "<br>": true, "<details>": true, "</details>": true, "<summary>": true, "</summary>": true, "<!-- -->": true}
	for l := range strings.SplitSeq(out, "\n") {
		switch {
		case fence != "":
			if l == fence {
				fence = ""
			}
			continue
		case strings.HasPrefix(l, "```"):
			fence = l
			continue
		}
		l = entity.ReplaceAllString(l, "")
		if strings.Contains(l, "`") || regexp.MustCompile(`[a-z]://|\bwww\.|@[a-z]|#\d|\]\(`).MatchString(l) {
			complain("line %.100q", l)
		}
		for _, tag := range tags.FindAllString(l, -1) {
			if !ours[tag] {
				complain("tag %.60q", tag)
			}
		}
		if !strings.HasPrefix(l, "|") {
			columns = 0
			continue
		}
		if n := len(bar.FindAllString(l, -1)); columns == 0 {
			columns = n
		} else if n != columns {
			complain("%d cells in a table of %d: %.100q", n-1, columns-1, l)
		}
	}
	if fence != "" {
		complain("a block stays open")
	}
}

func checkHTML(out string, complain func(string, ...any)) {
	root, err := html.Parse(strings.NewReader(out))
	if err != nil {
		complain("%v", err)
		return
	}
	scripts, ids := 0, map[string]bool{}
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode {
			switch n.Data {
			case "script", "style":
				scripts++
			case "img", "iframe", "object", "embed", "link", "base", "form", "audio", "video", "b ":
				complain("element %s", n.Data)
			}
			for _, a := range n.Attr {
				switch {
				case strings.HasPrefix(a.Key, "on"), a.Key == "src", a.Key == "style", a.Key == "srcset":
					complain("attribute %s=%.60q", a.Key, a.Val)
				case a.Key == "href" && !strings.HasPrefix(a.Val, "https://") && !strings.HasPrefix(a.Val, "#") && regexp.MustCompile(`^[a-z]+:`).MatchString(a.Val):
					complain("link to %.60q", a.Val)
				case a.Key == "id":
					if ids[a.Val] && strings.HasPrefix(a.Val, "x") && len(a.Val) < 9 {
						complain("id %s twice", a.Val)
					}
					ids[a.Val] = true
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(root)
	if scripts != 2 && scripts != 3 { // the style, the script, and the data of a load
		complain("%d script and style elements", scripts)
	}
}
