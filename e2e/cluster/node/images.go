package node

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// PauseImage is what containerd runs beside each pod; Catamaran has no need of it.
const PauseImage = "registry.k8s.io/pause:3.10.2"

// image is one as its author would describe it; its programs come from this machine.
type image struct {
	names      []string
	files      []imageFile
	entrypoint []string
	command    []string
	user       string
}

// imageFile is one entry of the only layer: a file of this machine, or this content, or a link.
type imageFile struct {
	path    string // without a leading slash
	source  string // of a file: its path here
	content string // of a file without a source
	link    string // of a symbolic link: what it says
	mode    int64
	folder  bool
}

// busyboxFiles are Debian's static busybox with a link per applet, and the users that tests know.
func busyboxFiles() ([]imageFile, error) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return nil, fmt.Errorf("images are made of busybox: apt-get install busybox-static: %w", err)
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return nil, err
	}
	files := []imageFile{
		{path: "bin/busybox", source: busybox, mode: 0o755},
		{path: "tmp", folder: true, mode: 0o1777},
		{path: "root", folder: true, mode: 0o700},
		{path: "home", folder: true, mode: 0o755},
		{path: "etc/passwd", mode: 0o644, content: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n" +
			"user-defined-in-image:x:1000:1000::/home:/bin/sh\n"},
		{path: "etc/group", mode: 0o644, content: "root:x:0:\nnogroup:x:65534:\nuser-defined-in-image:x:1000:\n" +
			"group-defined-in-image:x:50000:user-defined-in-image\n"},
		// Kubernetes' images find DNS names before files, which musl does of itself.
		{path: "etc/nsswitch.conf", mode: 0o644, content: "hosts: files dns\n"},
	}
	for _, applet := range strings.Fields(string(applets)) {
		if applet != "busybox" {
			files = append(files, imageFile{path: "bin/" + applet, link: "busybox"})
		}
	}
	return append(files, imageFile{path: "usr", folder: true, mode: 0o755}, imageFile{path: "usr/bin", link: "../bin"}), nil
}

// LoadTestImages makes the images that tests name, out of what this machine has, and loads them.
func (w *World) LoadTestImages(runtime *Runtime, kubernetes string) error {
	images, err := testImages(kubernetes)
	if err != nil {
		return err
	}
	layout := w.imageLayout()
	if err := os.RemoveAll(layout); err != nil { // of a runtime before
		return err
	}
	if err := writeLayout(layout, images); err != nil {
		return fmt.Errorf("make images: %w", err)
	}
	archive, err := archiveOf(layout)
	if err != nil {
		return err
	}
	defer os.Remove(archive)
	return runtime.Load(archive)
}

// imageLayout is the folder of the test images, which stays: a registry has them as well.
func (w *World) imageLayout() string { return w.path("images") }

// writeArchive writes an OCI layout of these images as one tar file.
func (w *World) writeArchive(name string, images []image) (string, error) {
	folder := w.path(name)
	defer os.RemoveAll(folder)
	if err := writeLayout(folder, images); err != nil {
		return "", err
	}
	return archiveOf(folder)
}

const (
	manifestMediaType = "application/vnd.oci.image.manifest.v1+json"
	nameAnnotation    = "io.containerd.image.name" // the whole name, by which archives are loaded
)

// writeLayout makes an OCI layout of these images in a new folder (image-spec, image-layout.md).
func writeLayout(folder string, images []image) error {
	if err := os.MkdirAll(filepath.Join(folder, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	var manifests []map[string]any
	for _, image := range images {
		manifest, err := writeImage(folder, image)
		if err != nil {
			return err
		}
		for _, name := range image.names {
			named := map[string]any{"annotations": map[string]string{nameAnnotation: name}}
			for key, value := range manifest {
				named[key] = value
			}
			manifests = append(manifests, named)
		}
	}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": manifests})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "index.json"), index, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644)
}

func archiveOf(layout string) (string, error) {
	archive := layout + ".tar"
	if output, err := exec.Command("tar", "-C", layout, "-cf", archive, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("tar: %w: %s", err, output)
	}
	return archive, nil
}

func writeImage(folder string, image image) (manifest map[string]any, err error) {
	layer, err := writeBlob(folder, "application/vnd.oci.image.layer.v1.tar", func(to io.Writer) error {
		return writeLayer(to, image.files)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", image.names[0], err)
	}
	configuration, err := writeJSON(folder, "application/vnd.oci.image.config.v1+json", map[string]any{
		"architecture": "amd64", "os": "linux", "author": image.names[0],
		"config": map[string]any{"Entrypoint": image.entrypoint, "Cmd": image.command, "User": image.user,
			"Env": []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []any{layer["digest"]}},
	})
	if err != nil {
		return nil, err
	}
	return writeJSON(folder, manifestMediaType, map[string]any{
		"schemaVersion": 2, "mediaType": manifestMediaType, "config": configuration, "layers": []any{layer},
	})
}

func writeJSON(folder, mediaType string, value any) (descriptor map[string]any, err error) {
	return writeBlob(folder, mediaType, func(to io.Writer) error { return json.NewEncoder(to).Encode(value) })
}

func writeBlob(folder, mediaType string, write func(io.Writer) error) (descriptor map[string]any, err error) {
	blobs := filepath.Join(folder, "blobs", "sha256")
	file, err := os.CreateTemp(blobs, "new")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	hash := sha256.New()
	if err := write(io.MultiWriter(file, hash)); err != nil {
		return nil, err
	}
	size, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	digest := hex.EncodeToString(hash.Sum(nil))
	return map[string]any{"mediaType": mediaType, "digest": "sha256:" + digest, "size": size},
		os.Rename(file.Name(), filepath.Join(blobs, digest))
}

func writeLayer(to io.Writer, files []imageFile) error {
	archive := tar.NewWriter(to)
	for _, file := range files {
		if err := writeEntry(archive, file); err != nil {
			return fmt.Errorf("%s: %w", file.path, err)
		}
	}
	return archive.Close()
}

func writeEntry(archive *tar.Writer, file imageFile) error {
	header := &tar.Header{Name: file.path, Mode: file.mode, Typeflag: tar.TypeReg, Size: int64(len(file.content))}
	switch {
	case file.folder:
		header.Typeflag, header.Name = tar.TypeDir, file.path+"/"
	case file.link != "":
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, file.link, 0o777
	case file.source != "":
		from, err := os.Open(file.source)
		if err != nil {
			return err
		}
		defer from.Close()
		status, err := from.Stat()
		if err != nil {
			return err
		}
		header.Size = status.Size()
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err = io.Copy(archive, from)
		return err
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := io.WriteString(archive, file.content)
	return err
}
