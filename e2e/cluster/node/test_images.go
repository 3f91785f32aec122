package node

import (
	"os/exec"
	"path/filepath"
	"regexp"
)

// BusyboxImage is what our own tests run.
const BusyboxImage = "registry.k8s.io/e2e-test-images/busybox:1.37.0-2"

// AgnhostImage is the program of Kubernetes' own tests, which our own use as a server too; only where
// it was built.
const AgnhostImage = "registry.k8s.io/e2e-test-images/agnhost:2.66.1"

// Programs that Kubernetes' tests run in agnhost's image beside agnhost, where this machine has them.
var agnhostTools = []string{"curl", "nc.openbsd", "ss", "socat", "dig", "nslookup", "getent", "bash"}

const repository = "registry.k8s.io/e2e-test-images/"

// testImages are those that our own tests and Kubernetes' name. Tests look at names, users, entrypoints and
// some files; where the real image is a web server, agnhost is one as well. Of Kubernetes' programs those
// that were built have an image.
func testImages(kubernetes string) ([]image, error) {
	busybox, err := busyboxFiles()
	if err != nil {
		return nil, err
	}
	pause := image{
		names: []string{PauseImage, "registry.k8s.io/pause:3.10"},
		files: busybox,
		// As the real one, it ends at SIGTERM, which a first process without a handler does not hear.
		entrypoint: []string{"/bin/sh", "-c", "trap 'exit 0' TERM INT; sleep 2147483647 & wait"},
	}
	images := []image{{
		names:   []string{BusyboxImage, repository + "busybox:1.36.1-1", "docker.io/library/busybox:1"},
		files:   append(shellFiles(), busybox...),
		command: []string{"sh"},
	}, pause}
	if program := filepath.Join(kubernetes, "agnhost"); exists(program) {
		registry, err := bundledRegistry(pause)
		if err != nil {
			return nil, err
		}
		images = append(images, agnhostImages(program, append(registry, busybox...))...)
	}
	for _, image := range programImages(kubernetes, busybox) {
		if program := image.files[0]; exists(program.source) {
			images = append(images, image)
		}
	}
	return images, nil
}

// shellFiles put bash before busybox's shell for who looks for "sh" by PATH: Debian's busybox drops variables
// whose names hold a dash, which later busyboxes and bash pass on. /bin/sh stays busybox, whose words of an
// error a spec compares.
func shellFiles() []imageFile {
	return append(toolFiles([]string{"bash"}), imageFile{path: "usr/local/bin/sh", link: "bash"})
}

// agnhostImages are agnhost's own and those whose programs agnhost has as well.
func agnhostImages(program string, others []imageFile) []image {
	beside := filepath.Dir(program)
	agnhost := append([]imageFile{
		{path: "agnhost", source: program, mode: 0o755},
		{path: "agnhost-2", link: "agnhost"},
		{path: "uploads", folder: true, mode: 0o755},
		{path: "localhost.crt", source: filepath.Join(beside, "localhost.crt"), mode: 0o644},
		{path: "localhost.key", source: filepath.Join(beside, "localhost.key"), mode: 0o644},
		{path: "etc/os-release", content: "NAME=\"Alpine Linux\"\n", mode: 0o644}, // what the real one is made of
	}, others...)
	for i := range agnhost { // busybox as a shell has its own nc, whatever PATH says
		if agnhost[i].path == "bin/sh" {
			agnhost[i].link = "../usr/local/bin/bash"
		}
	}
	agnhost = append(agnhost, toolFiles(agnhostTools)...)
	agnhost = append(agnhost, imageFile{path: "bin/bash", link: "../usr/local/bin/bash"})
	entrypoint := []string{"/agnhost"}
	images := []image{
		{names: []string{AgnhostImage, repository + "agnhost:2.55"}, files: agnhost, entrypoint: entrypoint, command: []string{"pause"}},
		{names: []string{repository + "nonroot:1.5"}, files: agnhost, entrypoint: []string{"/agnhost", "pause"}, user: "1234"},
		{names: []string{repository + "glibc-dns-testing:2.1.1"}, files: agnhost, command: []string{"bash"}},
	}
	for _, name := range []string{"nginx:1.27.0-2", "nginx:1.28.0-2"} {
		images = append(images, image{names: []string{repository + name}, files: agnhost,
			entrypoint: []string{"/agnhost", "netexec", "--http-port=80", "--udp-port=-1"}})
	}
	for _, animal := range []string{"kitten", "nautilus"} {
		data := imageFile{path: "data.json", content: "{\n  \"image\": \"" + animal + ".jpg\"\n}\n", mode: 0o644}
		images = append(images, image{names: []string{repository + animal + ":1.8"}, files: append([]imageFile{data}, agnhost...),
			entrypoint: entrypoint, command: []string{"test-webserver"}})
	}
	return images
}

// programImages are of one program each, which is the first of their files.
func programImages(kubernetes string, busybox []imageFile) []image {
	program := func(name, path string, mode int64) []imageFile {
		return append([]imageFile{{path: path, source: filepath.Join(kubernetes, name), mode: mode}}, busybox...)
	}
	return []image{
		{names: []string{dnsImage}, files: program(dnsProgram, "coredns", 0o755), entrypoint: []string{"/coredns"}},
		{names: []string{"registry.k8s.io/etcd:3.7.0-0"}, files: program("etcd", "usr/local/bin/etcd", 0o755), command: []string{"etcd"}},
		{names: []string{repository + "nonewprivs:1.4"}, files: program("nnp", "usr/local/bin/nnp", 0o6755), command: []string{"nnp"}},
		{names: []string{repository + "sample-apiserver:1.29.2"}, files: program("sample-apiserver", "sample-apiserver", 0o755),
			entrypoint: []string{"/sample-apiserver"}},
	}
}

var libraryPath = regexp.MustCompile(`/\S+`)

// toolFiles are these programs with the libraries they are linked to, below the paths they have here.
func toolFiles(programs []string) []imageFile {
	seen := map[string]bool{}
	var files []imageFile
	for _, name := range programs {
		program, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		files = append(files, imageFile{path: "usr/local/bin/" + toolName(name), source: program, mode: 0o755})
		libraries, _ := exec.Command("ldd", program).Output()
		for _, library := range libraryPath.FindAllString(string(libraries), -1) {
			if !seen[library] {
				seen[library] = true
				files = append(files, imageFile{path: library[1:], source: library, mode: 0o755})
			}
		}
	}
	return files
}

func toolName(program string) string {
	if program == "nc.openbsd" {
		return "nc"
	}
	return program
}
