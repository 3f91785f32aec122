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
var agnhostTools = []string{"curl", "nc.openbsd", "ss", "socat", "dig", "bash"}

// testImages are those that our own tests and Kubernetes' name. Tests look at names, users and
// entrypoints; where the real image is a web server, agnhost is one as well.
func testImages(kubernetes string) ([]image, error) {
	busybox, err := busyboxFiles()
	if err != nil {
		return nil, err
	}
	const repository = "registry.k8s.io/e2e-test-images/"
	images := []image{{
		names:   []string{BusyboxImage, repository + "busybox:1.36.1-1", "docker.io/library/busybox:1"},
		files:   busybox,
		command: []string{"sh"},
	}, {
		names:      []string{PauseImage, "registry.k8s.io/pause:3.10"},
		files:      busybox,
		entrypoint: []string{"/bin/sleep", "2147483647"},
	}}
	program := filepath.Join(kubernetes, "agnhost")
	if !exists(program) {
		return images, nil
	}
	agnhost := append([]imageFile{
		{path: "agnhost", source: program, mode: 0o755},
		{path: "agnhost-2", link: "agnhost"},
		{path: "uploads", folder: true, mode: 0o755},
		{path: "localhost.crt", source: filepath.Join(kubernetes, "localhost.crt"), mode: 0o644},
		{path: "localhost.key", source: filepath.Join(kubernetes, "localhost.key"), mode: 0o644},
	}, busybox...)
	agnhost = append(agnhost, toolFiles(agnhostTools)...)
	server := []string{"/agnhost", "netexec", "--http-port=80", "--udp-port=-1"}
	return append(images,
		image{names: []string{AgnhostImage, repository + "agnhost:2.55"}, files: agnhost,
			entrypoint: []string{"/agnhost"}, command: []string{"pause"}},
		image{names: []string{repository + "nonroot:1.5"}, files: agnhost, entrypoint: []string{"/agnhost", "pause"}, user: "1234"},
		image{names: []string{repository + "nginx:1.27.0-2"}, files: agnhost, entrypoint: server},
		image{names: []string{repository + "nginx:1.28.0-2"}, files: agnhost, entrypoint: server},
	), nil
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
