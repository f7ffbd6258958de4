package contract

import (
	"os"
	"strings"
	"testing"
)

// FORMAT.md names every key and every word of the format.
func TestFormatIsDocumented(t *testing.T) {
	data, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	words := map[string]bool{}
	for _, w := range strings.FieldsFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	}) {
		words[w] = true
	}
	seen := map[*shape]bool{}
	var walk func(s *shape, path string)
	walk = func(s *shape, path string) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		for _, k := range s.keys {
			if !words[k.name] {
				t.Errorf("FORMAT.md does not name %s.%s", path, k.name)
			}
			if k.doc == "" {
				t.Errorf("%s.%s has no description", path, k.name)
			}
			walk(k.is, path+"."+k.name)
		}
		for _, w := range s.word {
			if !words[w] && !strings.Contains(text, w) {
				t.Errorf("FORMAT.md does not name the word %s of %s", w, path)
			}
		}
		walk(s.elem, path)
		for _, a := range s.alts {
			walk(a, path)
		}
	}
	walk(contractShape, "")
	for _, s := range sources {
		if !strings.Contains(text, "`"+s+"`") {
			t.Errorf("FORMAT.md does not name the source %s", s)
		}
	}
}

// The examples of FORMAT.md load.
func TestFormatExamplesLoad(t *testing.T) {
	data, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	var b strings.Builder
	for _, line := range strings.Split(string(data)+"\n", "\n") {
		if code, ok := strings.CutPrefix(line, "    "); ok {
			b.WriteString(code + "\n")
		} else if b.Len() > 0 {
			blocks = append(blocks, b.String())
			b.Reset()
		}
	}
	if len(blocks) != 6 {
		t.Fatalf("%d examples", len(blocks))
	}
	const head = "contract: 1\nname: example\nextends: appsecplus\n"
	for _, text := range blocks {
		if !strings.HasPrefix(text, "contract: 1") {
			text = head + text
		}
		if _, err := Parse("example.yaml", []byte(text), "", Options{}); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}
