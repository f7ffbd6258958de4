package exchange

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"grantcheck/suites/contract"
)

// What evidence costs: a run keeps some thousand exchanges and has learned as many tokens.
func BenchmarkReport(b *testing.B) {
	c := &contract.Contract{
		Endpoint: contract.Endpoint{BaseURL: "http://127.0.0.1:1", Path: "/token"}, Client: contract.Client{ID: "me", Secret: "correct-horse-battery"},
		Grants: []contract.Grant{{Key: "client_credentials", Parameters: []contract.Field{{Name: "grant_type", Const: "client_credentials"}}}},
	}
	target, err := NewTarget(c, Options{Secrets: map[string]string{"SECRET": "correct-horse-battery"}})
	if err != nil {
		b.Fatal(err)
	}
	for i := range 1000 {
		target.Redactor.Learn("access_token", fmt.Sprintf("eyJ%d.%s.%d", i, strings.Repeat("abcd", 100), i))
	}
	g := &target.Contract.Grants[0]
	r, err := target.Request(g, "basic", Inputs{})
	if err != nil {
		b.Fatal(err)
	}
	e := &Exchange{Request: r, Status: 400, Header: http.Header{}, Body: []byte(`{"error":"invalid_request","error_description":"The parameter \"scope\" is not known here, and neither is %20 or &amp;"}`)}
	for _, n := range []string{"Content-Type", "Cache-Control", "Date", "Content-Length", "X-Request-Id"} {
		e.HeaderRaw = append(e.HeaderRaw, HeaderLine{n, "application/json; charset=utf-8"})
	}
	for b.Loop() {
		e.Report()
	}
}

// What a client adds to a server that answers at once.
func BenchmarkDo(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"access_token":"tok-%s","token_type":"Bearer"}`, r.Header.Get("X-N"))
	}))
	defer s.Close()
	c := &contract.Contract{
		Endpoint: contract.Endpoint{BaseURL: s.URL, Path: "/token"}, Client: contract.Client{ID: "me", Secret: "correct-horse-battery"},
		Grants: []contract.Grant{{Key: "client_credentials", Parameters: []contract.Field{{Name: "grant_type", Const: "client_credentials"}}}},
	}
	target, err := NewTarget(c, Options{})
	if err != nil {
		b.Fatal(err)
	}
	cl := NewClient(target, ClientOptions{})
	defer cl.Close()
	n := 0
	for b.Loop() {
		n++
		r, err := target.Request(&c.Grants[0], "basic", Inputs{})
		if err != nil {
			b.Fatal(err)
		}
		if e := cl.Do(b.Context(), r.Header("X-N", fmt.Sprint(n))); !e.Answer().OK() {
			b.Fatal(e.Err)
		}
	}
}
