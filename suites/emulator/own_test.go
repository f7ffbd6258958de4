package emulator

import (
	"testing"

	"grantcheck/suites/contract"
)

// A contract that an operator writes down names the members that matter to him; the standard's others are there too.
func TestNotesAreNoWholePage(t *testing.T) {
	c := &contract.Contract{
		Name: "own", Edition: "oauth20", Endpoint: contract.Endpoint{BaseURL: "http://127.0.0.1", Path: "/token", Method: []string{"POST"}, ContentType: []string{"application/x-www-form-urlencoded"}},
		Client: contract.Client{ID: "a", Secret: "b-secret-b", Auth: []string{"basic"}},
		Grants: []contract.Grant{{Key: "client_credentials", Type: clientCredentials, Response: contract.Response{Fields: []contract.Field{{Name: "access_token", Path: []string{"access_token"}}}}}},
	}
	e, err := New(Options{Contract: c})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	got := e.ask(t, request{form: form("grant_type", "client_credentials"), basic: [2]string{"a", "b-secret-b"}})
	if got.json["token_type"] != "Bearer" || got.json["access_token"] == nil {
		t.Errorf("%d %s", got.status, got.body)
	}
}
