package report

import (
	"os"
	"testing"
)

func TestX(t *testing.T) {
	for name, r := range map[string]Run{"one": fixture(), "several": several(), "whole": whole(), "load": loadFixture(60)} {
		f, _ := os.Create("/tmp/w/" + name + ".html")
		if err := WriteHTML(f, r); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
}
