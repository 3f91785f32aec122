package node

import (
	"os"
	"path/filepath"
)

// bundledRegistry are the files of agnhost's image that its fake-registry-server hands out: this image as
// pause:testing (test/images/agnhost/fakeregistryserver).
func bundledRegistry(pause image) ([]imageFile, error) {
	folder, err := os.MkdirTemp("", "catamaran-registry")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	blobs := filepath.Join(folder, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return nil, err
	}
	manifest, err := writeImage(folder, pause)
	if err != nil {
		return nil, err
	}
	digest := manifest["digest"].(string)
	const repository = "var/registry/pause/"
	files := []imageFile{{path: repository + "manifests/testing", content: digest, mode: 0o644}}
	entries, err := os.ReadDir(blobs)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(blobs, entry.Name()))
		if err != nil {
			return nil, err
		}
		kind := "blobs"
		if digest == "sha256:"+entry.Name() {
			kind = "manifests"
		}
		path := repository + kind + "/sha256/" + entry.Name()[:2] + "/" + entry.Name() + "/data"
		files = append(files, imageFile{path: path, content: string(content), mode: 0o644})
	}
	return files, nil
}
