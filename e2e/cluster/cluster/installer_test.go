package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"catamaran/e2e/cluster/await"
)

// installation is manifests/installer.yaml applied as it is, but for the node's root: a folder that looks
// like a node without systemd, as a test must not change the machine that it runs on. (With systemd:
// e2e/install, on the test node.)
type installation struct {
	*space
	root string
}

// What `node install` puts onto a node, in the order of cri/install/node_files.h.
const (
	unit          = "etc/systemd/system/catamaran.service"
	dropIn        = "etc/systemd/system/kubelet.service.d/90-catamaran.conf"
	command       = "usr/local/bin/catamaran"
	configuration = "etc/catamaran/config.yaml"
	programs      = "opt/catamaran"
)

func TestTheInstallerOnANode(t *testing.T) {
	s := newSpace(t, "ns")
	i := &installation{s, filepath.Join(cluster.World.Folder, "installed-node")}
	i.loadImage()
	for _, handler := range []string{"ns", "vm"} {
		s.handler = handler
		s.runPod("bystander-"+handler, strings.Replace(guaranteedPod, "sized", "bystander-"+handler, 1))
	}
	before := i.bystanders()
	i.makeRoot()
	i.applyManifest()
	i.equal("nodes without the label", i.scheduled("catamaran-install"), "0")

	i.label("install")
	i.rollout("catamaran-install")
	i.has(unit, dropIn, command, configuration, programs+"/bin/catamaran")
	i.checkInstalled()

	i.removeWhilePodsRun()
	i.finishRemoval()
	i.equal("pods that have nothing to do with it", i.bystanders(), before)
	for _, handler := range []string{"ns", "vm"} {
		i.equal("a bystander answers", i.sh("bystander-"+handler, "echo here"), "here\n")
	}
}

func (i *installation) kubeSystem(arguments ...string) string {
	i.t.Helper()
	return i.kubectlAnywhere(append([]string{"--namespace", "kube-system"}, arguments...)...)
}

// loadImage makes the image as ./dev package does, of the programs that are tested.
func (i *installation) loadImage() {
	i.t.Helper()
	build, manifests := filepath.Dir(os.Getenv("CATAMARAN_PROGRAMS")), os.Getenv("CATAMARAN_MANIFESTS")
	tree, archive := filepath.Join(i.t.TempDir(), "tree"), filepath.Join(i.t.TempDir(), "image.tar")
	for _, command := range [][]string{
		{filepath.Join(manifests, "package", "tree.sh"), build, tree},
		{filepath.Join(manifests, "package", "image.sh"), tree, archive, "docker.io/catamaran/node:" + i.version()},
	} {
		if output, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			i.t.Fatalf("%v: %v\n%s", command, err, output)
		}
	}
	await.Must(i.t, cluster.Runtime.Load(archive))
}

func (i *installation) version() string {
	i.t.Helper()
	version, err := exec.Command(filepath.Join(os.Getenv("CATAMARAN_PROGRAMS"), "catamaran"), "--version").Output()
	await.Must(i.t, err)
	return strings.TrimSpace(string(version))
}

func (i *installation) makeRoot() {
	i.t.Helper()
	for _, folder := range []string{"etc", "usr/local/bin", "run"} {
		await.Must(i.t, os.MkdirAll(filepath.Join(i.root, folder), 0o755))
	}
}

func (i *installation) applyManifest() {
	i.t.Helper()
	text, err := os.ReadFile(filepath.Join(os.Getenv("CATAMARAN_MANIFESTS"), "installer.yaml"))
	await.Must(i.t, err)
	const root = "hostPath: {path: /}"
	if count := strings.Count(string(text), root); count != 2 {
		i.t.Fatalf("installer.yaml has %d of %q", count, root)
	}
	if image := "image: catamaran/node:" + i.version() + "\n"; strings.Count(string(text), image) != strings.Count(string(text), "image: ") {
		i.t.Fatalf("installer.yaml has other images than this version's, %q", image)
	}
	manifest := filepath.Join(i.t.TempDir(), "installer.yaml")
	await.Must(i.t, os.WriteFile(manifest, []byte(strings.ReplaceAll(string(text), root, "hostPath: {path: "+i.root+"}")), 0o644))
	i.kubectlAnywhere("apply", "-f", manifest)
	i.t.Cleanup(func() {
		i.kubectlAnywhere("label", "node", "node0", "catamaran/node-")
		i.kubectlAnywhere("delete", "-f", manifest, "--wait")
	})
}

func (i *installation) label(value string) {
	i.t.Helper()
	i.kubectlAnywhere("label", "node", "node0", "--overwrite", "catamaran/node="+value)
}

func (i *installation) scheduled(daemonSet string) string {
	i.t.Helper()
	return i.kubeSystem("get", "daemonset", daemonSet, "-o", "jsonpath={.status.desiredNumberScheduled}")
}

// rollout waits until the DaemonSet is on the node and Ready there: what it does is done.
func (i *installation) rollout(daemonSet string) {
	i.t.Helper()
	i.eventually(daemonSet+" is ready on one node", func() error {
		status := i.kubeSystem("get", "daemonset", daemonSet, "-o", "jsonpath={.status.desiredNumberScheduled} {.status.numberReady}")
		if status != "1 1" {
			return fmt.Errorf("desired and ready: %s; %s", status, i.log(daemonSet))
		}
		return nil
	})
}

// log is what the DaemonSet's init container said, now or before it was started again.
func (i *installation) log(daemonSet string) string {
	container := strings.TrimPrefix(daemonSet, "catamaran-")
	arguments := []string{"logs", "--namespace", "kube-system", "--selector=app.kubernetes.io/name=" + daemonSet, "--container=" + container}
	now, err := cluster.Kubectl(arguments...)
	if err != nil || now == "" {
		now, _ = cluster.Kubectl(append(arguments, "--previous")...)
	}
	return now
}

func (i *installation) has(paths ...string) {
	i.t.Helper()
	for _, path := range paths {
		if _, err := os.Lstat(filepath.Join(i.root, path)); err != nil {
			i.t.Errorf("not on the node: %v", err)
		}
	}
}

func (i *installation) hasNot(paths ...string) {
	i.t.Helper()
	for _, path := range paths {
		if _, err := os.Lstat(filepath.Join(i.root, path)); err == nil {
			i.t.Errorf("still on the node: %s", path)
		}
	}
}

func (i *installation) checkInstalled() {
	i.t.Helper()
	for file, line := range map[string]string{
		unit:   "ExecStart=/opt/catamaran/bin/catamaran serve",
		dropIn: "--container-runtime-endpoint=unix:///run/catamaran/catamaran.sock",
	} {
		if text, err := os.ReadFile(filepath.Join(i.root, file)); err != nil || !strings.Contains(string(text), line) {
			i.t.Errorf("%s is without %q: %v\n%s", file, line, err, text)
		}
	}
	if target, err := os.Readlink(filepath.Join(i.root, command)); target != "/opt/catamaran/bin/catamaran" {
		i.t.Errorf("the command leads to %q, %v", target, err)
	}
	output, err := exec.Command(filepath.Join(i.root, programs, "bin/catamaran"), "--version").CombinedOutput()
	if err != nil || strings.TrimSpace(string(output)) != i.version() {
		i.t.Errorf("the installed program says %q, %v", output, err)
	}
	if log := i.log("catamaran-install"); !strings.Contains(log, "no systemd here") {
		i.t.Errorf("the installer does not say what is left to do: %q", log)
	}
}

// removeWhilePodsRun has the remover see that pods of this node's run: the kubelet's drop-in goes at once,
// all that pods need is left.
func (i *installation) removeWhilePodsRun() {
	i.t.Helper()
	if cluster.Runtime.Kind != "catamaran" {
		i.label("remove")
		return
	}
	run := filepath.Join(i.root, "run/catamaran")
	await.Must(i.t, os.MkdirAll(run, 0o700))
	await.Must(i.t, syscall.Mount(filepath.Join(cluster.World.Folder, "run"), run, "", syscall.MS_BIND, ""))
	mounted := true
	unmount := func() {
		if mounted {
			await.Must(i.t, syscall.Unmount(run, syscall.MNT_DETACH))
		}
		mounted = false
	}
	i.t.Cleanup(unmount)
	i.label("remove")
	i.eventually("the remover says that pods run", func() error {
		if log := i.log("catamaran-remove"); !strings.Contains(log, "pods run and are left alone") {
			return fmt.Errorf("%q", log)
		}
		return nil
	})
	i.hasNot(dropIn)
	i.has(unit, command, configuration, programs+"/bin/catamaran")
	unmount()
}

func (i *installation) finishRemoval() {
	i.t.Helper()
	i.rollout("catamaran-remove")
	i.hasNot(dropIn, unit, command, programs)
	i.has(configuration) // without --purge
	i.eventually("the installer is gone from the node", func() error {
		if scheduled := i.scheduled("catamaran-install"); scheduled != "0" {
			return fmt.Errorf("on %s nodes", scheduled)
		}
		return nil
	})
}

// bystanders are the containers of the test's own pods and how often they were started again.
func (i *installation) bystanders() string {
	i.t.Helper()
	return i.kubectl("get", "pods", "--sort-by={.metadata.name}", "-o",
		"jsonpath={range .items[*]}{.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}\n{end}")
}
