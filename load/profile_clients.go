package load

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"

	"github.com/goccy/go-yaml"

	"grantcheck/suites/contract"
)

// clientsFile is a population as written:
//
//	clients:
//	- {alias: web, id: "${WEB_ID}", secret: "${WEB_SECRET}", weight: 5}
//	- {alias: app, id: "${APP_ID}", secret: "${APP_SECRET}", auth: post}
type clientsFile struct {
	Clients []struct {
		Alias  string  `yaml:"alias"`
		ID     string  `yaml:"id"`
		Secret string  `yaml:"secret"`
		Auth   string  `yaml:"auth"`
		Weight float64 `yaml:"weight"`
	} `yaml:"clients"`
}

var reference = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// LoadClients reads a population of clients. Ids and secrets are references to the environment,
// which lookup answers; every one that is unset is named at once. It also returns what the
// references stand for, so that it can be redacted, and how the clients are drawn.
func LoadClients(file string, lookup contract.Lookup) (who []Identity, secrets map[string]string, spread string, err error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, "", fmt.Errorf("--clients: %w", err)
	}
	var f clientsFile
	if err := yaml.NewDecoder(bytes.NewReader(src), yaml.Strict()).Decode(&f); err != nil {
		var y yaml.Error
		if errors.As(err, &y) && y.GetToken() != nil {
			pos := y.GetToken().Position
			return nil, nil, "", fmt.Errorf("clients %s:%d:%d: %s", file, pos.Line, pos.Column, y.GetMessage())
		}
		return nil, nil, "", fmt.Errorf("clients %s: %w", file, err)
	}
	if len(f.Clients) == 0 {
		return nil, nil, "", fmt.Errorf("clients %s: no clients", file)
	}
	secrets, spread = map[string]string{}, "uniform"
	var problems []error
	resolve := func(i int, what, s string) string {
		m := reference.FindStringSubmatch(s)
		if m == nil {
			problems = append(problems, fmt.Errorf("clients %s: client %d: %s must be a reference such as ${CLIENT_%d}, never a literal", file, i+1, what, i+1))
			return ""
		}
		v, ok := lookup(m[1])
		if !ok || v == "" {
			problems = append(problems, fmt.Errorf("clients %s: client %d: %s is not set", file, i+1, m[1]))
		}
		secrets[m[1]] = v
		return v
	}
	for i, c := range f.Clients {
		id := Identity{Alias: c.Alias, Weight: c.Weight, Client: &contract.Client{Name: c.Alias}}
		if id.Alias == "" {
			id.Alias = fmt.Sprintf("client %d", i+1)
		}
		if id.Weight == 0 {
			id.Weight = 1
		}
		if id.Weight < 0 {
			problems = append(problems, fmt.Errorf("clients %s: client %d: a weight is positive", file, i+1))
		}
		id.Client.ID = resolve(i, "id", c.ID)
		if c.Secret != "" {
			id.Client.Secret = resolve(i, "secret", c.Secret)
		}
		if c.Auth != "" {
			id.Client.Auth = []string{c.Auth}
		}
		who = append(who, id)
		if id.Weight != who[0].Weight {
			spread = "skewed"
		}
	}
	return who, secrets, spread, errors.Join(problems...)
}
