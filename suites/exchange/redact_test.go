package exchange

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
)

// encodings are the forms in which a server, a proxy or an encoder of ours may write a value.
func encodings(s string) map[string]string {
	esc := func(format string, pick func(i int, c byte) bool) string {
		var b strings.Builder
		for i := range len(s) {
			if pick(i, s[i]) {
				fmt.Fprintf(&b, format, s[i])
			} else {
				b.WriteByte(s[i])
			}
		}
		return b.String()
	}
	all := func(int, byte) bool { return true }
	unicode := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			if r > 0xffff {
				r -= 0x10000
				fmt.Fprintf(&b, `\u%04x\u%04X`, 0xd800+r>>10, 0xdc00+r&0x3ff)
			} else {
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		}
		return b.String()
	}
	j, _ := json.Marshal(s)
	inner := string(j[1 : len(j)-1])
	entities := ""
	for _, r := range s {
		entities += fmt.Sprintf("&#x%X;&#8203;", r)
	}
	entities = strings.ReplaceAll(entities, "&#8203;", "")
	query := url.QueryEscape(s)
	out := map[string]string{
		"plain": s, "form": query, "percent": url.PathEscape(s), "percent upper": esc("%%%02X", all), "percent lower": esc("%%%02x", all),
		"percent in part": esc("%%%02X", func(i int, c byte) bool { return i%2 == 0 || c >= 0x80 || c == '%' || c == '+' }),
		"percent twice":   url.QueryEscape(query), "JSON": inner, "JSON without HTML": strings.Trim(jsonString(s), `"`), "JSON escapes": unicode(s),
		"JSON with slashes": strings.ReplaceAll(inner, "/", `\/`),
		"HTML":              html.EscapeString(s), "HTML decimal": entities, "JSON in HTML": html.EscapeString(inner), "percent in JSON": strings.ReplaceAll(query, "%", `\u0025`),
		"hex": hex.EncodeToString([]byte(s)), "hex upper": strings.ToUpper(hex.EncodeToString([]byte(s))),
		"other case": strings.Map(func(c rune) rune {
			if c >= 'a' && c <= 'z' {
				return c - 32
			}
			return c
		}, s),
	}
	for i, prefix := range []string{"", "a", "ab", "user:", "user:x"} {
		for name, enc := range map[string]*base64.Encoding{"std": base64.StdEncoding, "raw": base64.RawStdEncoding, "url": base64.URLEncoding, "rawurl": base64.RawURLEncoding} {
			out[fmt.Sprint("base64 ", name, i)] = enc.EncodeToString([]byte(prefix + s + strings.Repeat("z", i)))
			out[fmt.Sprint("base64 inside ", name, i)] = "QUJD" + enc.EncodeToString([]byte(prefix+s))
		}
		out[fmt.Sprint("Basic ", i)] = "Basic " + base64.StdEncoding.EncodeToString([]byte(prefix+query))
		out[fmt.Sprint("Basic percent-encoded ", i)] = url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(prefix + s)))
	}
	return out
}

var canaries = []string{
	"correct-horse-battery", "s3cr3t+/% ü&=", `wonder"land'<&>\`, "päßwörd€😀x", "a%2Bb%20c%41d", "dGhpc2lzYmFzZTY0", "tab\tand\nnewline", "q1w2", "$(rm -rf)`x`${HOME}",
	"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlLWJ5dGVzLWhlcmU",
}

func TestEveryEncodingIsMasked(t *testing.T) {
	for i, secret := range canaries {
		name := fmt.Sprint("CANARY_", i)
		r := NewRedactor(map[string]string{name: secret})
		for form, text := range encodings(secret) {
			if form == "other case" && len(secret) < 8 {
				continue
			}
			for _, around := range []string{"%s", "x=%s&y", `{"error_description":"bad secret %s"}`, "Authorization: %s\r\n", "<p>%s</p>"} {
				got := r.Redact(fmt.Sprintf(around, text))
				if strings.Contains(got, text) || Contains(got, secret) {
					t.Errorf("%q as %s: %q leaves %q", secret, form, fmt.Sprintf(around, text), got)
				}
				if !strings.Contains(got, name) {
					t.Errorf("%q as %s: nothing stands for it in %q", secret, form, got)
				}
				if !Contains(fmt.Sprintf(around, text), secret) {
					t.Errorf("%q as %s: not found", secret, form)
				}
			}
		}
	}
}

func TestRedactionLeavesTheRest(t *testing.T) {
	r := NewRedactor(map[string]string{"SECRET": "correct-horse", "SHORT": "ab", "WORD": "password", "PIN": "4711"})
	for text, want := range map[string]string{
		"grant_type=password&password=x": "grant_type=password&password=x", "about": "about", "": "",
		"a correct-horse b": "a ${SECRET} b", "correct-hors": "correct-hors", "pin 4711!": "pin ${PIN}!",
		"Basic " + base64.StdEncoding.EncodeToString([]byte("me:correct-horse")): "Basic base64(me:${SECRET})",
		"correct-horsecorrect-horse": "${SECRET}${SECRET}",
		"%":                          "%", "%zz\\": "%zz\\", "&amp;&": "&amp;&",
	} {
		if got := r.Redact(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// What the contract binds is masked if it is secret or a person's, and shown if it is a client's id or an address.
func TestBoundValues(t *testing.T) {
	target := bind(t, allGrants, Options{})
	text := "http://127.0.0.1:1/token my-client alice " + env["SECRET"] + " " + env["PASSWORD"]
	if got := target.Redactor.Redact(text); !strings.HasPrefix(got, "http://127.0.0.1:1/token my-client ${USER_NAME} ") || !strings.HasSuffix(got, " ${SECRET} ${PASSWORD}") {
		t.Errorf("%s", got)
	}
}

// A text made to have endless decodings takes bounded time, and is not shown.
func TestTextsWithEndlessDecodings(t *testing.T) {
	r := NewRedactor(map[string]string{"SECRET": "correct-horse"})
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, `%%25%%32%%35\\u0026amp;#x25;%dcorrecthorsecorrecthorse\u0025`, i)
	}
	if got := r.Redact(b.String()[:60000]); got != unreadable && len(got) < 1000 {
		t.Errorf("%.100q", got)
	}
	if got := r.Redact(strings.Repeat("correct-horse ", 50_000)); strings.Contains(got, "correct") {
		t.Errorf("%.100q", got)
	}
}

func TestLearning(t *testing.T) {
	r := NewRedactor(map[string]string{"SECRET": "Correct-Horse"})
	r.Show("made-up-value")
	r.Learn("client_secret", "made-up-value")
	r.Learn("client_secret", "Correct-Hors")
	r.Learn("client_secret", "cORRECT-hORSE")
	r.Learn("client_secret", "Correct-Horsex")
	r.Learn("access_token", "token-one")
	r.Learn("access_token", "token-two")
	r.Learn("access_token", "token-one")
	for text, want := range map[string]string{
		"made-up-value": "made-up-value", "[Correct-Hors]": "[${SECRET%?}]", "Correct-Horsex": "${SECRET}x", "token-two token-one": "<access_token-2> <access_token>",
	} {
		if got := r.Redact(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := r.Redact("cORRECT-hORSE"); strings.Contains(strings.ToLower(got), "horse") {
		t.Errorf("swapped case: %q", got)
	}
}

// A whole exchange with secrets in every place: none of them stands in the evidence.
func TestCanariesStayOutOfEvidence(t *testing.T) {
	for i, canary := range canaries[1:5] {
		var mirrored []string
		target, s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			b := body(r)
			auth := r.Header.Get("Authorization")
			form, _ := url.ParseQuery(b)
			_, pass, _ := r.BasicAuth()
			w.Header().Set("X-Echo", auth+" "+url.QueryEscape(pass)+r.URL.RawQuery)
			w.Header().Set("Location", "http://127.0.0.1:9/cb?code=loc-code-"+fmt.Sprint(i)+"&state=s")
			w.Header().Set("Set-Cookie", "sid=cookie-value-123456")
			answer, _ := json.Marshal(map[string]any{
				"error": "invalid_client", "error_description": "wrong: " + form.Get("client_secret") + pass,
				"data": map[string]string{"access_token": "acc-" + canary, "refresh_token": "ref-12345678"}, "id_token": "eyJh.eyJi.c2ln", "dump": b + html.EscapeString(b),
			})
			w.WriteHeader(400)
			_, _ = w.Write(answer)
			mirrored = append(mirrored, string(answer))
		})
		target.Redactor = NewRedactor(map[string]string{"CANARY": canary})
		target.Contract.Client.Secret = canary
		r := golden(t, target, "client_credentials", "post", Inputs{})
		g, _ := target.Contract.Grant("authorization_code")
		code, err := target.Request(g, "basic", Inputs{Code: "one-time-code", CodeVerifier: "verifier-verifier"})
		if err != nil {
			t.Fatal(err)
		}
		c := client(t, target)
		var all strings.Builder
		for _, req := range []Request{
			r, r.AsJSON(), r.AsMultipart(), r.Auth("basic"), r.Auth("basic").BasicEncoded(false), r.MoveTo(InQuery, CredentialParts...), r.SetRaw("client_secret", PercentEncodeAll(canary)),
			r.WithMethod("GET").MoveTo(InQuery), r.BasicText("x:" + canary), r.Secret(canary + "x"), r.RawBody([]byte("raw=" + url.QueryEscape(canary))), r.AppendBody("&grantcheck=%"),
			r.Set("client_secret", canary+"\x00x"), code, golden(t, target, "refresh_token", "post", Inputs{RefreshToken: "sent-refresh-token"}), target.Get(s.URL + "/x").Bearer("bearer-token-value"),
			r.Header("X-Key", url.QueryEscape(canary)), r.Chunked(),
		} {
			e := c.Do(context.Background(), req)
			if e.Err != nil {
				t.Fatalf("%q: %v", canary, e.Err)
			}
			report := e.Report()
			b, err := json.Marshal(report)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&all, "%s\n%s\n", b, report.Curl)
		}
		text := all.String()
		for _, secret := range []string{canary, "one-time-code", "verifier-verifier", "sent-refresh-token", "bearer-token-value", "ref-12345678", "loc-code-" + fmt.Sprint(i), "cookie-value-123456"} {
			if Contains(text, secret) {
				at := strings.Index(text, secret)
				t.Errorf("%q stands in the evidence at %d: %q", secret, at, text[max(0, at-80):max(0, min(len(text), at+80))])
			}
			for form, enc := range encodings(secret) {
				if len(enc) >= 6 && strings.Contains(text, enc) {
					t.Errorf("%q stands in the evidence as %s", secret, form)
				}
			}
		}
		if !strings.Contains(text, "${CANARY}") || !strings.Contains(text, "my-client") {
			t.Error("neither placeholder nor id is shown")
		}
		if len(mirrored) == 0 || !Contains(mirrored[0], canary) {
			t.Errorf("the server echoed nothing: the test shows nothing (%q)", mirrored)
		}
	}
}

// Secrets of less than four bytes are masked where they stand as such, and nowhere else.
func TestShortSecrets(t *testing.T) {
	target, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"access_token":"xy","token_type":"axyb"}`)
	})
	target.Redactor = NewRedactor(map[string]string{"PIN": "abc"})
	target.Contract.Client.Secret = "abc"
	for _, auth := range []string{"post", "basic"} {
		e := do(t, target, golden(t, target, "client_credentials", auth, Inputs{}).Add("q", "xabcx"))
		b, _ := json.Marshal(e.Report().Response)
		text := fmt.Sprintf("%+v %s", e.Report(), b)
		if strings.Contains(text, "client_secret=abc") || strings.Contains(text, "bXktY2xpZW50OmFiYw") || !strings.Contains(text, "${PIN}") || !strings.Contains(text, "q=xabcx") {
			t.Errorf("%s: %s", auth, text)
		}
		if strings.Contains(text, `\"xy\"`) || !strings.Contains(text, "axyb") {
			t.Errorf("%s: %s", auth, text)
		}
	}
}

func TestLatin1IsNotACrash(t *testing.T) {
	enc, _ := charmap.ISO8859_1.NewEncoder().String("päßwörd")
	_ = NewRedactor(map[string]string{"X": "päßwörd"}).Redact(enc)
	_ = NewRedactor(map[string]string{"X": enc}).Redact("päßwörd " + enc)
}

// The curl line, run by a shell that has the variables, sends the very same request.
func TestCurlRepeatsTheRequest(t *testing.T) {
	for _, tool := range []string{"curl", "sh", "base64"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	type seen struct{ method, uri, body, auth, accept, ctype, agent string }
	var last seen
	target, s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		auth := r.Header.Get("Authorization")
		if id, pass, ok := r.BasicAuth(); ok {
			auth = id + ":" + pass
		}
		ctype := r.Header.Get("Content-Type")
		last = seen{r.Method, r.RequestURI, body(r), auth, strings.Join(r.Header["Accept"], ","), ctype, r.UserAgent()}
		_, _ = io.WriteString(w, tokenAnswer)
	})
	_ = s
	jq := true
	if _, err := exec.LookPath("jq"); err != nil {
		jq = false
	}
	for _, secret := range []string{"plain-secret", "s3cr3t+/% ü&=", `q"uo'te\$HOME` + "`x`"} {
		target.Redactor = NewRedactor(map[string]string{"MY_SECRET": secret})
		target.Contract.Client.Secret = secret
		r := golden(t, target, "client_credentials", "post", Inputs{})
		requests := map[string]Request{
			"post": r, "basic raw": r.Auth("basic").BasicEncoded(false), "scheme": r.Auth("basic").BasicEncoded(false).Scheme("BASIC"), "no accept": r.DropHeader("Accept").DropHeader("User-Agent"),
			"no type": r.NoContentType(), "query": r.MoveTo(InQuery, "grant_type"), "raw": r.SetRaw("grant_type", "%ZZ&x='y'"), "reverse": r.Reverse(),
			"minus one": r.Secret(secret[:len(secret)-1]), "plus one": r.Secret(secret + "x"), "empty": r.DropAll(), "nul": r.NoAuth().RawBody([]byte("a=\x00'%\\\xff")),
			"get": r.WithMethod("GET").MoveTo(InQuery), "put": r.WithMethod("PUT"), "suffix": r.NoAuth().AppendBody("&grantcheck=%"), "odd": r.NoAuth().Set("scope", "it's \"${x}\" $(y)\n"),
		}
		if !strings.ContainsAny(secret, `"\`) {
			requests["json"] = r.AsJSON() // the shell cannot escape the value for JSON
		}
		if jq || !strings.ContainsAny(secret, "+/% \"'") {
			requests["basic"] = r.Auth("basic")
		}
		for name, req := range requests {
			if e := do(t, target, req); e.Err != nil {
				t.Fatalf("%s: %v", name, e.Err)
			}
			want := last
			last = seen{}
			script := filepath.Join(t.TempDir(), "repeat.sh")
			if err := os.WriteFile(script, []byte(req.Curl()+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			shell := "sh"
			if _, err := exec.LookPath("bash"); err == nil {
				shell = "bash"
			}
			cmd := exec.Command(shell, script)
			cmd.Env = append(os.Environ(), "MY_SECRET="+secret)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v %s\n%s", name, err, out, req.Curl())
			}
			for _, s := range []*seen{&last, &want} { // %2f for %2F and + for %20 are the same, and the query's order
				if u, err := url.Parse(s.uri); err == nil && name != "raw" {
					s.uri = u.Path + "?" + u.Query().Encode()
				}
				if plain, err := url.QueryUnescape(s.auth); err == nil && name == "basic" {
					s.auth = plain
				}
				if s.body = strings.ReplaceAll(s.body, "+", "%20"); name != "raw" && name != "suffix" && name != "nul" {
					if plain, err := url.QueryUnescape(s.body); err == nil {
						s.body = plain
					}
				}
			}
			if last != want {
				t.Errorf("%s with %q:\n got %q\nwant %q\n%s", name, secret, last, want, req.Curl())
			}
			if Contains(req.Curl(), secret) {
				t.Errorf("%s: the line shows the secret: %s", name, req.Curl())
			}
		}
	}
}
