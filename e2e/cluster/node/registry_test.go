package node

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

func TestRegistryServesALayout(t *testing.T) {
	world := &World{Folder: t.TempDir()}
	layout := world.imageLayout()
	file := imageFile{path: "hello", content: "hello\n", mode: 0o644}
	if err := writeLayout(layout, []image{{names: []string{registryHost + "/some/image:1"}, files: []imageFile{file}}}); err != nil {
		t.Fatal(err)
	}
	registry, err := world.startRegistry(layout)
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Stop()
	get := func(path string) (int, []byte, http.Header) {
		answer, err := http.Get("http://" + registry.listener.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, body, answer.Header
	}
	code, body, header := get("/v2/some/image/manifests/1")
	digest := header.Get("Docker-Content-Digest")
	if code != http.StatusOK || header.Get("Content-Type") != manifestMediaType {
		t.Fatalf("manifest by tag: %d %v", code, header)
	}
	var manifest struct{ Layers []struct{ Digest string } }
	if err := json.Unmarshal(body, &manifest); err != nil || len(manifest.Layers) != 1 {
		t.Fatalf("manifest: %v: %s", err, body)
	}
	if code, again, _ := get("/v2/some/image/manifests/" + digest); code != http.StatusOK || string(again) != string(body) {
		t.Errorf("manifest by digest: %d: %s", code, again)
	}
	if code, layer, _ := get("/v2/some/image/blobs/" + manifest.Layers[0].Digest); code != http.StatusOK || len(layer) < 1024 {
		t.Errorf("layer: %d, %d bytes", code, len(layer))
	}
	for _, path := range []string{"/v2/some/image/manifests/2", "/v2/other/manifests/1", "/v2/some/image/blobs/sha256:0", "/index.json"} {
		if code, _, _ := get(path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
}
