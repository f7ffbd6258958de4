package contract

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// What show prints is the contract: read again, it is the same.
func TestShownContractIsTheSame(t *testing.T) {
	for _, name := range append(galleryFiles(t), ShippedNames()...) {
		c, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(c.Name, []byte(c.Show()), "", Options{})
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, c.Show())
		}
		if diff := cmp.Diff(c, again, cmpopts.IgnoreUnexported(Contract{}, Field{}), cmpopts.IgnoreFields(Contract{}, "File", "Extends")); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestShowNamesOriginsAndMasksLiterals(t *testing.T) {
	c, err := Parse("acme.yaml", []byte(`contract: 1
name: acme
extends: base
endpoint: {base_url: "http://127.0.0.1:9", path: /token}
client: {id: acme, secret: hunter2-and-more, auth: [post]}
grants:
  own:
    parameters:
      grant_type: {}
      api_token: {value: tok-12345}
`), "", Options{LiteralSecrets: true})
	if err != nil {
		t.Fatal(err)
	}
	got := c.Show()
	for _, want := range []string{"# acme, with what it inherits from base", `  secret: "***"`, `value: "***"`, "max_requests: 600", "# base:", "# acme.yaml:5"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	for _, s := range []string{"hunter2", "tok-12345"} {
		if strings.Contains(got, s) {
			t.Errorf("tells %q", s)
		}
	}
}
