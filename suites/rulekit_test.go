package suites

import (
	"fmt"
	"strings"
	"testing"
)

func TestStructuredFieldLists(t *testing.T) {
	for text, want := range map[string]string{
		`"default";r=50;t=30`:                      `string default r=integer 50 t=integer 30`,
		`"a";q=10;w=1, "b";q=1000; w=3600;x`:       `string a q=integer 10 w=integer 1|string b q=integer 1000 w=integer 3600 x=boolean ?1`,
		`10;w=1,1000;w=3600`:                       `integer 10 w=integer 1|integer 1000 w=integer 3600`,
		`burst;r=-1;p=1.5;k=:cHNldWRv:;s="x;y, z"`: `token burst k=bytes :cHNldWRv: p=decimal 1.5 r=integer -1 s=string x;y, z`,
		``:                        ``,
		`"open;r=1`:               `error`,
		`"a";r=1,`:                `error`,
		`limit=100, remaining=50`: `error`,
		`("a" "b");r=1`:           `error`,
		`"a";R=1`:                 `error`,
		`"a" ;r=1`:                `error`,
	} {
		items, err := parseItems(text)
		var got []string
		for _, it := range items {
			words := it.kind + " " + it.text
			for _, name := range []string{"k", "p", "q", "r", "s", "t", "w", "x"} {
				if p, ok := it.params[name]; ok {
					words += " " + name + "=" + p.kind + " " + p.text
				}
			}
			got = append(got, words)
		}
		if is := strings.Join(got, "|"); err == nil && is != want || (err != nil) != (want == "error") {
			t.Errorf("%s: %q, %v; want %q", text, is, err, want)
		}
	}
}

func TestStrengthOfSamples(t *testing.T) {
	sample := func(n int, value func(i int) string) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = value(i)
		}
		return out
	}
	mixed := func(i, digits int) (s string) {
		for x := uint64(i+1) * 0x9e3779b97f4a7c15; len(s) < digits; x = x*6364136223846793005 + 1442695040888963407 {
			s += fmt.Sprintf("%08x", x>>32)
		}
		return s[:digits]
	}
	for name, c := range map[string]struct {
		values   []string
		from, to float64
		counts   bool
	}{
		"128 bits in hex":       {sample(20, func(i int) string { return mixed(i, 32) }), 124, 128, false},
		"behind a fixed part":   {sample(20, func(i int) string { return "at_" + mixed(i, 8) + "_v1" }), 28, 32, false},
		"a counter in hex":      {sample(20, func(i int) string { return fmt.Sprintf("token-%08x", 0xfff0+i) }), 0, 40, true},
		"a counter in steps":    {sample(20, func(i int) string { return fmt.Sprint(1000 + 7*i) }), 0, 20, true},
		"one value":             {sample(20, func(int) string { return "same" }), 0, 0, false},
		"they differ in length": {[]string{"aaaa", "aaaaa", "aaaaaa", "aaaaaaa"}, 0, 0, false},
	} {
		bits, sequence := strength(c.values)
		if bits < c.from || bits > c.to || (sequence != "") != c.counts {
			t.Errorf("%s: %.0f bits, %q; want %.0f to %.0f, counting %t", name, bits, sequence, c.from, c.to, c.counts)
		}
	}
}

// The patterns know what machines write, and leave what people write alone.
func TestInnardsArePlain(t *testing.T) {
	match := func(text string) (names []string) {
		for _, p := range innards {
			if p.pattern.MatchString(text) {
				names = append(names, p.name)
			}
		}
		return names
	}
	for text, want := range map[string]string{
		"at org.example.oauth.TokenEndpoint.issue(TokenEndpoint.java:214)":               "a Java stack frame",
		"at java.base/java.lang.Thread.run(Thread.java:833)":                             "a Java stack frame",
		"Traceback (most recent call last):":                                             "a Python traceback",
		`  File "/usr/lib/python3/x.py", line 3, in <module>`:                            "a Python traceback",
		"at issue (/srv/as/token.js:12:7)":                                               "a Node stack frame",
		"at async file:///srv/as/token.mjs:12:7":                                         "a Node stack frame",
		"   at Example.Token.Issue(String id) in C:\\src\\Token.cs:line 12":              "a .NET stack frame",
		"#0 /var/www/html/token.php(12): issue()":                                        "a PHP stack frame or source line",
		"Undefined index: id in /var/www/token.php on line 7":                            "a PHP stack frame or source line",
		"goroutine 12 [running]:":                                                        "a Go stack trace",
		"/usr/src/app/token.rb:12:in `issue'":                                            "a Ruby stack frame",
		"cannot open /opt/as/src/token/issue.ts":                                         "an absolute source path",
		"ERROR in SELECT id, secret FROM clients WHERE id = 'x'":                         "an SQL statement",
		"SQLSTATE[42S02]: no such table":                                                 "an SQL statement",
		"Please select one from the list where you are":                                  "",
		"Select a grant from grants where = is allowed":                                  "",
		"see https://docs.example/errors.php?line=3 or /docs/token.html":                 "",
		"The client is not allowed at this endpoint (see section 5.2:17).":               "",
		"AADSTS7000215: Invalid client secret provided. Timestamp: 2026-01-01 10:00:00Z": "",
		"update your client at https://example.com/app/settings and set a redirect_uri":  "",
		"request 7f3e at host/path, file a ticket":                                       "",
		"meet us at Cafe.Central(Vienna) in May: line 12":                                "",
		"insert into the form the values (see manual)":                                   "",
	} {
		got := match(text)
		if want == "" && len(got) > 0 || want != "" && (len(got) == 0 || !strings.Contains(strings.Join(got, ", "), want)) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		format, text string
		want         bool
	}{
		{"uuid", "123e4567-e89b-12d3-a456-426614174000", true},
		{"uuid", "123e4567", false},
		{"uri", "https://example.com/x", true},
		{"uri", "/x", false},
		{"integer", "17", true},
		{"integer", "17.5", false},
		{"jwt", "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.", true},
		{"jwt", "a.b.c", false},
		{"jwt", "opaque", false},
		{"^gho_", "gho_x", true},
		{"^gho_", "x", false},
		{"^x{1,2043}$", "xxx", true},
	} {
		if got := hasFormat(c.format, c.text); got != c.want {
			t.Errorf("%s of format %s: %t", c.text, c.format, got)
		}
	}
}
