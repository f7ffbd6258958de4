package contract

import (
	"os"
	"path/filepath"
	"testing"
)

// Whatever the input: no panic, and a contract or an error that says where.
func FuzzLoad(f *testing.F) {
	for _, dir := range []string{gallery, broken} {
		files, _ := filepath.Glob(dir + "/*.yaml")
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	for _, s := range []string{
		"a: &a [*a]", "a: &a {b: &b {c: *a}}", "<<: [1]\n", "? ? ? a", "- - - - -", "{{{{", "a: !!binary x", "contract: 1\nname: x\nextends: [base, base]\n",
		"contract: 1\nname: x\nerrors: [{fields: {a: null}}]\n", "contract: 0x1\nclient: !x\n", "clients: {second: null}\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("fuzz.yaml", data, "", strict)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without text")
			}
			return
		}
		if _, err := Parse("again.yaml", []byte(c.Show()), "", Options{}); err != nil {
			t.Errorf("what show prints does not load: %v\n%s", err, c.Show())
		}
		c.Features()
		b, _, err := c.Bind(func(string) (string, bool) { return "v", true }, BindOptions{})
		if err == nil {
			b.Clone()
		}
		_, _, _ = c.Bind(func(string) (string, bool) { return "", false }, BindOptions{})
	})
}

func FuzzEnvFile(f *testing.F) {
	f.Add([]byte("export A='b' # c\nB=\"x\\n\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if file, err := ParseEnvFile("e", data); err == nil && file == nil {
			t.Error("neither")
		}
	})
}
