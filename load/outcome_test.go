package load

import (
	"encoding/json"
	"net/http"
	"testing"
)

func TestJudge(t *testing.T) {
	good := http.Header{"Content-Type": {"application/json;charset=UTF-8"}, "Cache-Control": {"no-store"}}
	nested := &Dialect{AccessToken: "data.access_token", Error: "data.code", Throttle: []ThrottleAnswer{{Status: 200, Code: "10008"}}}
	for _, c := range []struct {
		name    string
		d       *Dialect
		status  int
		h       http.Header
		body    string
		want    Outcome
		code    string
		expires int64
		form    Form
	}{
		{"token", nil, 200, good, `{"access_token":"a","token_type":"Bearer","expires_in":60}`, Token, "", 60, 0},
		{"spaces and other members", nil, 200, good, " {\n \"x\" : [1,{\"access_token\":\"no\"}], \"access_token\" : \"a\", \"token_type\":\"b\"} ", Token, "", -1, 0},
		{"lax form", nil, 200, http.Header{}, `{"access_token":"a","expires_in":"60"}`, Token, "", 60, WrongMediaType | NoNoStore | NoTokenType | BadExpiresIn},
		{"no token", nil, 200, good, `{"token_type":"Bearer"}`, Malformed, "", -1, 0},
		{"empty token", nil, 200, good, `{"access_token":""}`, Malformed, "", -1, 0},
		{"null token", nil, 200, good, `{"access_token":null}`, Malformed, "", -1, 0},
		{"not JSON", nil, 200, good, `<html>ok</html>`, Malformed, "", -1, 0},
		{"JSON cut short", nil, 200, good, `{"access_token":"a","token_type":"B"`, Malformed, "", -1, 0},
		{"more than JSON", nil, 200, good, `{"access_token":"a"}{}`, Malformed, "", -1, 0},
		{"redirect", nil, 302, good, ``, Malformed, "", -1, 0},
		{"refused", nil, 400, good, `{"error":"invalid_grant"}`, Refused, "invalid_grant", -1, 0},
		{"refused with 200", nil, 200, good, `{"error":"invalid_client"}`, Refused, "invalid_client", -1, 0},
		{"429 in HTML", nil, 429, http.Header{}, `<html>`, Throttled, "", -1, 0},
		{"503 with a hint", nil, 503, http.Header{"Retry-After": {"3"}}, ``, Throttled, "", -1, 0},
		{"503", nil, 503, http.Header{}, ``, ServerError, "", -1, 0},
		{"nested", nested, 200, good, `{"data":{"access_token":"a"},"token_type":"x"}`, Token, "", -1, 0},
		{"documented limit with 200", nested, 200, good, `{"data":{"code":10008}}`, Throttled, "10008", -1, 0},
		{"documented error with 200", nested, 200, good, `{"data":{"code":10007}}`, Refused, "10007", -1, 0},
		{"form answer", nil, 200, http.Header{"Cache-Control": {"no-store"}, "Content-Type": {"application/x-www-form-urlencoded"}}, `access_token=a&token_type=bearer&expires_in=9`, Token, "", 9, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := c.d
			if d == nil {
				d = &Dialect{}
			}
			j := d.Judge(c.status, c.h, []byte(c.body))
			if j.Outcome != c.want || j.Code != c.code || j.Expires != c.expires || j.Form != c.form || (j.Token != 0) != (c.want == Token) {
				t.Errorf("got %+v", j)
			}
		})
	}
}

func FuzzJudge(f *testing.F) {
	f.Add([]byte(`{"access_token":"a","x":[{"y":[1.5e3,null,true]}]}`))
	f.Add([]byte(`{"a":"\u00e9\"","access_token":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		j := (&Dialect{}).Judge(200, http.Header{}, body)
		var v struct {
			Token json.RawMessage `json:"access_token"`
		}
		if j.Outcome == Malformed || j.Outcome == Refused {
			return
		}
		if body[0] == '{' && json.Valid(body) && json.Unmarshal(body, &v) != nil {
			t.Errorf("a token found in what is no object: %q", body)
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	body := []byte(`{"access_token":"` + string(make0(700)) + `","token_type":"Bearer","expires_in":3600,"scope":"read write"}`)
	h := http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}}
	d := &Dialect{}
	b.ReportAllocs()
	for b.Loop() {
		if d.Judge(200, h, body).Outcome != Token {
			b.Fatal("not a token")
		}
	}
}

func make0(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = 'x'
	}
	return out
}
