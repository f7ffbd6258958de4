package contract

import (
	"path/filepath"
	"testing"
)

const gallery = "../../testdata/contracts/gallery"

func galleryFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(gallery + "/*.yaml")
	if err != nil || len(files) < 29 {
		t.Fatalf("gallery: %d files, %v", len(files), err)
	}
	return files
}

func TestGalleryLoads(t *testing.T) {
	for _, f := range galleryFiles(t) {
		if _, err := Load(f); err != nil {
			t.Error(err)
		}
	}
}

func TestShippedContractsLoad(t *testing.T) {
	for _, name := range ShippedNames() {
		c, err := Shipped(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if c.Name != name {
			t.Errorf("%s calls itself %s", name, c.Name)
		}
	}
}
