package report

import (
	"os"
	"testing"
)

func TestX(t *testing.T) {
	for _, r := range []Run{fixture(), loadFixture(60)} {
		if err := WriteTable(os.Stdout, r, Style{Verbose: os.Getenv("V") != "", Color: os.Getenv("C") != ""}); err != nil {
			t.Fatal(err)
		}
	}
}
