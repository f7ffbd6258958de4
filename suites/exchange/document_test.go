package exchange

import (
	"slices"
	"strings"
	"testing"
)

func TestParseStrict(t *testing.T) {
	for _, c := range []struct{ body, err string }{
		{`{"a":1}`, ""},
		{" {\"a\": [1, -0.5e+3, true, false, null, \"x\"]}\r\n", ""},
		{`"text"`, ""},
		{``, "empty body"},
		{"  \n", "empty body"},
		{`{"a":1} x`, "text after the value"},
		{`{"a":1}{}`, "text after the value"},
		{")]}'\n{}", "unexpected"},
		{"\xef\xbb\xbf{}", "byte order mark"},
		{"{\"a\":\"\xff\"}", "not UTF-8"},
		{`{"a":01}`, "leading zero"},
		{`{"a":1.}`, "behind its point"},
		{`{"a":1e}`, "exponent"},
		{`{"a":+1}`, "unexpected"},
		{`{"a":.5}`, "unexpected"},
		{`{"a":NaN}`, "unexpected"},
		{`{'a':1}`, "member name"},
		{`{"a":1,}`, "member name"},
		{`[1,]`, "unexpected"},
		{`{"a" 1}`, "colon"},
		{`{"a":"x`, "without its end"},
		{"{\"a\":\"x\ny\"}", "control character"},
		{`{"a":"\q"}`, "escape"},
		{`{"a":"\u12g4"}`, "escape"},
		{`{"a":`, "ends early"},
		{`{"a":1`, "comma or the end"},
		{strings.Repeat("[", 1_000_000), "nested deeper"},
		{strings.Repeat(`{"a":`, 200_000), "nested deeper"},
	} {
		d := ParseStrict([]byte(c.body))
		if c.err == "" && d.Err != nil || c.err != "" && (d.Err == nil || !strings.Contains(d.Err.Error(), c.err)) {
			t.Errorf("%.40q: %v, want %q", c.body, d.Err, c.err)
		}
	}
}

func TestDocumentKeepsWhatMapsHide(t *testing.T) {
	d := ParseStrict([]byte(`{"b":"\u00fc\ud83d\ude00\n\/","a":3600.0,"b":[{"c":1e2}],"z":null}`))
	if d.Err != nil {
		t.Fatal(d.Err)
	}
	if got := d.Names(); !slices.Equal(got, []string{"b", "a", "b", "z"}) {
		t.Errorf("names %v", got)
	}
	if got := d.Repeated(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("repeated %v", got)
	}
	if got := d.Get("b"); got.Text != "ü😀\n/" || got.Raw != `"\u00fc\ud83d\ude00\n\/"` {
		t.Errorf("string %q from %s", got.Text, got.Raw)
	}
	if _, ok := d.Get("a").Integer(); ok || d.Get("a").Raw != "3600.0" {
		t.Errorf("number literal %s", d.Get("a").Raw)
	}
	if d.Get("z").Present() || d.Get("none").Present() || d.Get("z").Kind != Null {
		t.Error("null is present")
	}
	if got := d.Members[2].Value.At("0", "c").Raw; got != "1e2" {
		t.Errorf("path: %q", got)
	}
	if got := ParseStrict([]byte(`{"a":"\ud800x"}`)).Get("a").Text; got != "\uFFFDx" {
		t.Errorf("lone surrogate %q", got)
	}
}

func TestLenientReadingForgives(t *testing.T) {
	for _, body := range []string{
		`{"access_token":"t"}`, "\xef\xbb\xbf{\"access_token\":\"t\"}", ")]}',\n{\"access_token\":\"t\"}", "while(1);{\"access_token\":\"t\"}",
		`{"access_token":"t","x":`, `{"access_token":"t"} trailing`, `{"data":{"access_token":"t"}}`, `[{"access_token":"t"}]`,
		"{\"access_token\":\"t\",\"x\":\"a\nb\"}", `{"access_token":"t","access_token":"u"}`,
	} {
		a := read(&Exchange{Status: 200, Body: []byte(body)})
		if !a.OK() || a.Text(AccessToken) != "t" {
			t.Errorf("%q: %s %q", body, a.Outcome(), a.Text(AccessToken))
		}
	}
	for _, body := range []string{
		"", "null", `"access_token"`, `{"access_token":null}`, `{"access_token":""}`, `{"token":"t"}`, "access_token",
		`<html><script>{"access_token":"t"}</script></html>`, strings.Repeat("x", 100) + `{"access_token":"t"}`, strings.Repeat("[", 1_000_000),
	} {
		if a := read(&Exchange{Status: 200, Body: []byte(body)}); !a.Refused() {
			t.Errorf("%.40q: %s", body, a.Outcome())
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,"\u00e4",{}],"a":null}`, "\xef\xbb\xbf", "a=b&c=%41", ")]}'{}", `{"a":"\ud800"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ParseStrict(b)
		parseLenient(b)
		parseForm(b)
		_, _ = ParseChallenges(string(b))
		NewRedactor(map[string]string{"X": "secret-value"}).Redact(string(b))
	})
}
