package contract

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("contract.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("contract.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func asJSON(t testing.TB, data []byte) any {
	t.Helper()
	j, err := yaml.YAMLToJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(j))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchemaAcceptsEveryContract(t *testing.T) {
	s := compiled(t)
	for _, f := range galleryFiles(t) {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(asJSON(t, data)); err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
		}
	}
	for _, name := range append(ShippedNames(), "base") {
		data, err := ShippedSource(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(asJSON(t, data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSchemaRefusesMistakes(t *testing.T) {
	s := compiled(t)
	const head = "contract: 1\nname: acme\n"
	for name, body := range map[string]string{
		"unknown key":       "clientid: x\n",
		"nested unknown":    "client: {clientid: x}\n",
		"wrong type":        "grants: [client_credentials]\n",
		"unknown condition": "errors: [{when: [wrong_secrets], status: 401}]\n",
		"literal secret":    "client: {secret: hunter2}\n",
		"bad status":        "errors: [{when: [other], status: 4x}]\n",
		"bad duration":      "token: {lifetime: 5 minutes}\n",
		"bad edition":       "edition: oauth2\n",
		"version":           "",
		"field":             "grants: {password: {parameters: {scope: {requird: true}}}}\n",
	} {
		data := head + body
		if name == "version" {
			data = "contract: 2\nname: acme\n"
		}
		if err := s.Validate(asJSON(t, []byte(data))); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
