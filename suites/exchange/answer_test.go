package exchange

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"
)

func answer(t *testing.T, text, key string, status int, body string) *Answer {
	t.Helper()
	target := bind(t, head+text, Options{})
	g, ok := target.Contract.Grant(key)
	if !ok {
		t.Fatalf("no grant %s", key)
	}
	return (&Exchange{Request: target.Blank(g), Status: status, Body: []byte(body), Header: http.Header{}, Sent: epoch}).Answer()
}

const plainGrant = "grants: {client_credentials: {}}\n"

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   Outcome
	}{
		{200, tokenAnswer, OK},
		{201, tokenAnswer, OK},
		{200, `{"error":"invalid_client"}`, Refused},
		{200, `<html>`, Refused},
		{200, ``, Refused},
		{302, ``, Refused},
		{307, tokenAnswer, Refused},
		{400, `{"error":"invalid_request"}`, Refused},
		{400, `{"error":"x","access_token":"t"}`, Refused},
		{401, ``, Refused},
		{403, ``, Refused},
		{404, ``, Refused},
		{418, ``, Refused},
		{408, ``, Inconclusive},
		{425, ``, Inconclusive},
		{429, ``, Inconclusive},
		{429, tokenAnswer, Inconclusive},
		{500, ``, Fault},
		{501, ``, Fault},
		{505, tokenAnswer, Fault},
		{502, ``, Inconclusive},
		{503, ``, Inconclusive},
		{504, ``, Inconclusive},
	} {
		a := answer(t, plainGrant, "client_credentials", c.status, c.body)
		if a.Outcome() != c.want {
			t.Errorf("%d %.30s: %s, want %s", c.status, c.body, a.Outcome(), c.want)
		}
		if (a.Inconclusive() != "") != (c.want == Inconclusive) {
			t.Errorf("%d: reason %q", c.status, a.Inconclusive())
		}
	}
	lost := &Exchange{Status: 200, Body: []byte(tokenAnswer), Err: io.ErrUnexpectedEOF, ErrKind: ErrReset, Header: http.Header{}}
	if got := lost.Answer(); got.Outcome() != Inconclusive {
		t.Errorf("an answer that broke off: %s", got.Outcome())
	}
	if got := (&Exchange{Err: errors.New("x"), ErrKind: ErrTimeout}).Answer(); got.Inconclusive() == "" {
		t.Error("a timeout decides something")
	}
}

// Whatever the page answers for a limit counts as throttled; a refusal that merely shares its
// status does not.
func TestThrottledAsDocumented(t *testing.T) {
	const denied = "errors:\n  - {when: [wrong_secret], status: 403, code: denied}\n"
	for _, c := range []struct {
		text   string
		status int
		body   string
		want   Outcome
	}{
		{"rate_limit: {status: 420}", 420, ``, Inconclusive},
		{"rate_limit: {status: 420}", 400, ``, Refused},
		{denied + "rate_limit: {status: 403}", 403, `{"error":"denied"}`, Refused},
		{denied + "rate_limit: {status: 403, code: too_many}", 403, `{"error":"too_many"}`, Inconclusive},
		{denied + "rate_limit: {status: 403, code: too_many}", 403, `{"error":"denied"}`, Refused},
		{"rate_limit: {status: 400}", 400, `{"error":"invalid_request"}`, Refused},
		{"rate_limit: {status: 200, code: 40100}", 200, `{"error":40100}`, Inconclusive},
		{"rate_limit: {status: 200, code: 40100}", 200, `{"error":40001}`, Refused},
		{"rate_limit: {status: 200, code: 40100}", 200, tokenAnswer, OK},
		{"errors: [{when: [rate_limited], status: 200, code: slow_down}]", 200, `{"error":"slow_down"}`, Inconclusive},
		{"errors: [{when: [rate_limited], status: 403}]", 403, ``, Inconclusive},
		{"errors: [{when: [rate_limited], status: 403}]", 200, tokenAnswer, OK},
	} {
		a := answer(t, plainGrant+c.text+"\n", "client_credentials", c.status, c.body)
		if a.Outcome() != c.want || a.Throttled() != (c.want == Inconclusive) {
			t.Errorf("%s: %d %s: %s, want %s", c.text, c.status, c.body, a.Outcome(), c.want)
		}
	}
}

func TestPartsThroughTheDialect(t *testing.T) {
	const dialect = `
grants:
  client_credentials:
    response:
      fields:
        data.token:   {type: string, required: true, as: access_token}
        data.expires: {type: string, as: expires_at, unit: rfc3339}
        lives:        {as: expires_in, unit: minutes}
error_fields:
  error: {type: object}
  error.code: {type: integer, as: error}
  errors.0.msg: {as: error_description}
`
	a := answer(t, dialect, "client_credentials", 200, `{"data":{"token":"t1","expires":"2026-11-21T13:00:00Z"}}`)
	if !a.OK() || a.Text(AccessToken) != "t1" {
		t.Errorf("documented member: %s %q", a.Outcome(), a.Text(AccessToken))
	}
	if d, ok := a.Lifetime(); !ok || d != time.Hour {
		t.Errorf("lifetime %s %v", d, ok)
	}
	a = answer(t, dialect, "client_credentials", 200, `{"access_token":"t2","lives":"2"}`)
	if d, ok := a.Lifetime(); a.Text(AccessToken) != "t2" || !ok || d != 2*time.Minute {
		t.Errorf("standard name, minutes: %q %s", a.Text(AccessToken), d)
	}
	a = answer(t, dialect, "client_credentials", 400, `{"error":{"code":190},"errors":[{"msg":"why"}]}`)
	if code, ok := a.ErrorCode(); !ok || code != "190" || a.Text(ErrorDescription) != "why" {
		t.Errorf("error %q %v %q", code, ok, a.Text(ErrorDescription))
	}
	a = answer(t, dialect, "client_credentials", 400, `{"error":"invalid_client"}`)
	if code, _ := a.ErrorCode(); code != "invalid_client" {
		t.Errorf("standard error in spite of the dialect: %q", code)
	}
	a = answer(t, plainGrant, "client_credentials", 200, `{"authed_user":{"access_token":"inner"},"access_token":"outer"}`)
	if a.Text(AccessToken) != "outer" {
		t.Error("the outermost does not win")
	}
	a = answer(t, plainGrant, "client_credentials", 400, `{"error":{"code":1}}`)
	if _, ok := a.ErrorCode(); ok {
		t.Error("an object was read as an error code")
	}
}

func TestFormAnswers(t *testing.T) {
	const form = "grants: {client_credentials: {response: {content_type: application/x-www-form-urlencoded, fields: {access_token: {type: string}}}}}\n"
	a := answer(t, form, "client_credentials", 200, "access_token=a%2Bb&scope=repo%2Cgist&expires_in=60&token_type=bearer")
	if got, _ := a.Scopes(); !a.OK() || a.Text(AccessToken) != "a+b" || !slices.Equal(got, []string{"repo", "gist"}) {
		t.Errorf("%s %q %v", a.Outcome(), a.Text(AccessToken), got)
	}
	if d := a.Strict(); !d.Form || !d.IsObject() || d.Get("expires_in").Text != "60" {
		t.Errorf("strict %+v", d)
	}
	if d := answer(t, form, "client_credentials", 200, tokenAnswer).Strict(); d.Form || !d.IsObject() {
		t.Errorf("JSON where a form is documented: %+v", d)
	}
	a = answer(t, plainGrant, "client_credentials", 200, "access_token=t&token_type=bearer")
	if !a.OK() || a.Strict().Err == nil {
		t.Errorf("undocumented form: %s, strictly %v", a.Outcome(), a.Strict().Err)
	}
}

func TestScopesAreReadLeniently(t *testing.T) {
	for body, want := range map[string][]string{
		`{"scope":"a b"}`: {"a", "b"}, `{"scope":"a,b"}`: {"a", "b"}, `{"scope":["a","b"]}`: {"a", "b"}, `{"scope":"a%20b"}`: {"a", "b"}, `{"scope":""}`: nil,
	} {
		got, ok := answer(t, plainGrant, "client_credentials", 200, body).Scopes()
		if !ok || !slices.Equal(got, want) {
			t.Errorf("%s: %v %v", body, got, ok)
		}
	}
	if _, ok := answer(t, plainGrant, "client_credentials", 200, `{}`).Scopes(); ok {
		t.Error("an absent scope was read")
	}
}

func TestParseRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"120": 2 * time.Minute, "0": 0,
		"Sat, 21 Nov 2026 12:00:30 GMT":    30 * time.Second,
		"Saturday, 21-Nov-26 12:00:30 GMT": 30 * time.Second,
		"Sat Nov 21 12:00:30 2026":         30 * time.Second,
		"Sat, 21 Nov 2020 12:00:30 GMT":    0,
		"99999999999999999999":             1<<63 - 1,
	} {
		if got, err := ParseRetryAfter(value, epoch); err != nil || got != want {
			t.Errorf("%q: %s %v", value, got, err)
		}
	}
	for _, value := range []string{"", "1.5", "-1", "soon", "1, 2", "2026-11-21T12:00:30Z", " 1"} {
		if _, err := ParseRetryAfter(value, epoch); err == nil {
			t.Errorf("%q was read", value)
		}
	}
}

func TestParseChallenges(t *testing.T) {
	for _, c := range []struct {
		line    string
		schemes []string
		realm   string
		bad     bool
	}{
		{`Basic realm="a, b", charset="UTF-8"`, []string{"Basic"}, "a, b", false},
		{`Bearer realm="x", error="invalid_token", Basic realm="y"`, []string{"Bearer", "Basic"}, "x", false},
		{`Basic`, []string{"Basic"}, "", false},
		{`Negotiate abc==, Basic realm=x`, []string{"Negotiate", "Basic"}, "", false},
		{`Basic realm="q\"q"`, []string{"Basic"}, `q"q`, false},
		{`Basic realm = "x"`, []string{"Basic"}, "x", false},
		{`realm="x"`, nil, "", true},
		{``, nil, "", true},
		{`Basic realm="open`, []string{"Basic"}, `"open`, true},
		{`Basic realm=a b`, []string{"Basic"}, "a b", true},
		{`"Basic"`, nil, "", true},
	} {
		got, err := ParseChallenges(c.line)
		var schemes []string
		realm := ""
		for i, ch := range got {
			schemes = append(schemes, ch.Scheme)
			if i == 0 {
				realm, _ = ch.Get("REALM")
			}
		}
		if !slices.Equal(schemes, c.schemes) || realm != c.realm || (err != nil) != c.bad {
			t.Errorf("%s: %v realm %q, %v", c.line, schemes, realm, err)
		}
	}
}

func TestDirectives(t *testing.T) {
	e := &Exchange{Header: http.Header{"Cache-Control": {"No-Store, max-age=0", `private="a, b"`}}}
	d := e.Directives("Cache-Control")
	if _, ok := d["no-store"]; !ok || d["max-age"] != "0" || d["private"] != "a, b" {
		t.Errorf("%v", d)
	}
}
