package node

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

const registryHost = "registry.k8s.io"

// imageRegistry answers pulls of that host's images with those of an OCI layout (distribution-spec: pull).
type imageRegistry struct {
	layout   string
	listener net.Listener
}

// startRegistry serves the layout and tells the runtime, by a hosts.toml file, that this is where the host is.
func (w *World) startRegistry(layout string) (*imageRegistry, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	registry := &imageRegistry{layout, listener}
	folder := w.path("hosts.d", registryHost)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("server = \"http://%s\"\n", listener.Addr())
	if err := os.WriteFile(filepath.Join(folder, "hosts.toml"), []byte(text), 0o644); err != nil {
		return nil, err
	}
	go func() { _ = http.Serve(listener, registry) }() // until the listener is closed
	return registry, nil
}

func (r *imageRegistry) Stop() { _ = r.listener.Close() }

// ServeHTTP knows /v2/, /v2/NAME/manifests/TAG-OR-DIGEST and /v2/NAME/blobs/DIGEST.
func (r *imageRegistry) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	path, isAPI := strings.CutPrefix(request.URL.Path, "/v2/")
	switch {
	case !isAPI:
		http.NotFound(answer, request)
	case path == "":
		answer.WriteHeader(http.StatusOK)
	default:
		if name, reference, found := strings.Cut(path, "/manifests/"); found {
			r.serveManifest(answer, request, name, reference)
		} else if _, digest, found := strings.Cut(path, "/blobs/"); found {
			r.serveBlob(answer, request, digest, "application/octet-stream")
		} else {
			http.NotFound(answer, request)
		}
	}
}

func (r *imageRegistry) serveManifest(answer http.ResponseWriter, request *http.Request, name, reference string) {
	digest := reference
	if !strings.HasPrefix(reference, "sha256:") {
		var err error
		if digest, err = r.digestOf(registryHost + "/" + name + ":" + reference); err != nil {
			http.Error(answer, err.Error(), http.StatusNotFound)
			return
		}
	}
	r.serveBlob(answer, request, digest, manifestMediaType)
}

func (r *imageRegistry) serveBlob(answer http.ResponseWriter, request *http.Request, digest, mediaType string) {
	hash, isSHA256 := strings.CutPrefix(digest, "sha256:")
	if !isSHA256 || strings.ContainsAny(hash, "/.") {
		http.NotFound(answer, request)
		return
	}
	answer.Header().Set("Content-Type", mediaType)
	answer.Header().Set("Docker-Content-Digest", digest)
	http.ServeFile(answer, request, filepath.Join(r.layout, "blobs", "sha256", hash))
}

// digestOf is that of the manifest with this name in the layout.
func (r *imageRegistry) digestOf(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(r.layout, "index.json"))
	if err != nil {
		return "", err
	}
	var index struct {
		Manifests []struct {
			Digest      string
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return "", err
	}
	for _, manifest := range index.Manifests {
		if manifest.Annotations[nameAnnotation] == name {
			return manifest.Digest, nil
		}
	}
	return "", fmt.Errorf("no image %s", name)
}
