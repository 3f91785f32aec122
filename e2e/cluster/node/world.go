// Package node makes a Kubernetes node on this machine: namespaces, cgroups and a folder of its own, a
// container runtime, a kubelet and, where asked for, a control plane. All of it runs as root.
package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What the node is called, and where the parts of the cluster find each other. All of it is inside
// the world's own network namespace, so that any number of worlds can share a machine.
const (
	Name        = "node0"
	Address     = "10.199.0.1"
	podsV4      = "10.88.0.0/16"
	podsV6      = "fd00:88::/64"
	servicesV4  = "10.96.0.0/16"
	apiService  = "10.96.0.1"
	dnsService  = "10.96.0.10"
	apiPort     = 6443
	KubeletPort = 10250
)

// The stages of one program: it starts itself again as the first process of the new namespaces,
// which reaps orphans and starts it once more as the body.
const (
	stageVariable   = "CATAMARAN_WORLD_STAGE"
	folderVariable  = "CATAMARAN_WORLD_FOLDER"
	outsideVariable = "CATAMARAN_WORLD_OUTSIDE"
)

// World is where one run keeps everything it makes.
type World struct {
	Folder     string // on disk, e.g. /var/tmp/catamaran-cluster.4711
	CgroupRoot string // "/catamaran-cluster.4711", in every hierarchy
}

func (w *World) path(parts ...string) string {
	return filepath.Join(append([]string{w.Folder}, parts...)...)
}

// Logs is where every program's output is, and the pods' logs.
func (w *World) Logs() string { return w.path("logs") }

// Run calls body in mount, network and pid namespaces of its own and removes afterwards what the
// world's names name, whatever became of the body. It returns the exit code. SIGTERM and SIGINT are
// passed to the body. To be called by main or TestMain before anything else.
func Run(prefix string, body func(*World) int) int {
	folder := os.Getenv(folderVariable)
	world := &World{Folder: folder, CgroupRoot: "/" + filepath.Base(folder)}
	switch os.Getenv(stageVariable) {
	case "init":
		return reapUntilEnd()
	case "body":
		if err := world.prepare(); err != nil {
			fmt.Fprintln(os.Stderr, "cluster: cannot prepare the node:", err)
			return 99
		}
		return body(world)
	}
	removeDeadWorlds(prefix)
	if bySystemd() {
		if err := checkSlices(); err != nil {
			fmt.Fprintln(os.Stderr, "cluster:", err)
			return 99
		}
	}
	folder = filepath.Join("/var/tmp", fmt.Sprintf("%s.%d", prefix, os.Getpid()))
	world = &World{Folder: folder, CgroupRoot: "/" + filepath.Base(folder)}
	if err := os.MkdirAll(world.Logs(), 0o755); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		return 99
	}
	code := world.startInside()
	world.remove()
	return code
}

func (w *World) startInside() int {
	command := againAs("init", w.Folder)
	command.Env = append(command.Env, fmt.Sprintf("%s=%d", outsideVariable, os.Getpid()))
	namespaces := uintptr(syscall.CLONE_NEWNS | syscall.CLONE_NEWNET)
	if !bySystemd() {
		namespaces |= syscall.CLONE_NEWPID
	}
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "cluster: cannot make namespaces (are you root?):", err)
		return 99
	}
	passSignals(command.Process)
	return exitCode(command.Wait())
}

func againAs(stage, folder string) *exec.Cmd {
	command := exec.Command("/proc/self/exe", os.Args[1:]...)
	command.Args[0] = os.Args[0]
	command.Env = append(os.Environ(), stageVariable+"="+stage, folderVariable+"="+folder)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	return command
}

func passSignals(to *os.Process) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		for got := range signals {
			_ = to.Signal(got)
		}
	}()
}

// Process 1 of the pid namespace, or what stands for it: reaps every orphan until the body has ended.
func reapUntilEnd() int {
	adoptOrphans()
	if bySystemd() {
		defer endChildren()
	}
	command := againAs("body", os.Getenv(folderVariable))
	if err := command.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		return 99
	}
	passSignals(command.Process)
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return 98
		}
		if pid == command.Process.Pid {
			if status.Signaled() {
				return 128 + int(status.Signal())
			}
			return status.ExitStatus()
		}
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode()
	default:
		return 99
	}
}

// prepare gives the namespaces what a node has: a proc of its own, mounts that the kubelet and the
// runtime share, an address and a default route (without which kubelet and API server find none),
// and a group in every hierarchy.
func (w *World) prepare() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make / private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	for _, folder := range []string{"run", "root", "pki", "etcd", "kubelet", "static-pods"} {
		if err := os.MkdirAll(w.path(folder), 0o755); err != nil {
			return err
		}
	}
	if err := syscall.Mount("tmpfs", w.path("run"), "tmpfs", 0, "mode=0700"); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, ""); err != nil {
		return fmt.Errorf("make / shared: %w", err)
	}
	for _, line := range []string{
		"link set lo up",
		"link add node0 type veth peer name uplink0",
		"address add " + Address + "/24 dev node0",
		"link set node0 up",
		"link set uplink0 up",
		"route add default via 10.199.0.254 dev node0",
	} {
		if output, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", line, err, output)
		}
	}
	return w.makeCgroups()
}

// hierarchies are the folders where cgroup hierarchies are mounted.
func hierarchies() []string {
	var all []string
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for _, line := range strings.Split(string(mounts), "\n") {
		if words := strings.Fields(line); len(words) > 2 && strings.HasPrefix(words[2], "cgroup") {
			all = append(all, words[1])
		}
	}
	return all
}

// No mistake in what is tested may take all of the machine's processes.
const mostTasks = "6000"

func (w *World) makeCgroups() error {
	if bySystemd() {
		return nil
	}
	for _, hierarchy := range hierarchies() {
		group := filepath.Join(hierarchy, w.CgroupRoot)
		if err := os.MkdirAll(group, 0o755); err != nil {
			return err
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} { // cgroup v1: a new group has none
			if above, err := os.ReadFile(filepath.Join(hierarchy, file)); err == nil {
				_ = os.WriteFile(filepath.Join(group, file), above, 0)
			}
		}
		if limit := filepath.Join(group, "pids.max"); exists(limit) {
			if err := os.WriteFile(limit, []byte(mostTasks), 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// Groups lists every group of the world's, as HIERARCHY/PATH.
func (w *World) Groups() []string {
	var all []string
	for _, hierarchy := range hierarchies() {
		for _, group := range w.groups() {
			_ = filepath.WalkDir(filepath.Join(hierarchy, group), func(path string, entry os.DirEntry, err error) error {
				if err == nil && entry.IsDir() {
					all = append(all, path)
				}
				return nil
			})
		}
	}
	return all
}

// remove is called outside, once the namespaces' processes are gone with their first.
func (w *World) remove() {
	if bySystemd() {
		stopSlices()
	}
	_ = w.removeGroups(5 * time.Second)
	if os.Getenv("CATAMARAN_E2E_KEEP") == "" {
		_ = os.RemoveAll(w.Folder)
	}
}

// removeGroups removes the world's groups, in which processes may still be dying.
func (w *World) removeGroups(patience time.Duration) error {
	end := time.Now().Add(patience)
	for groups := w.Groups(); len(groups) > 0; groups = w.Groups() {
		if time.Now().After(end) {
			return fmt.Errorf("control groups that do not go: %v", groups)
		}
		for i := len(groups) - 1; i >= 0; i-- {
			_ = syscall.Rmdir(groups[i])
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

func removeDeadWorlds(prefix string) {
	found, _ := filepath.Glob(filepath.Join("/var/tmp", prefix+".*"))
	for _, folder := range found {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Ext(folder), "."))
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			(&World{Folder: folder, CgroupRoot: "/" + filepath.Base(folder)}).remove()
		}
	}
}

// OutsidePID is the process of the machine's own pid namespace that ends the world at SIGTERM. Its only
// child is the first process inside.
func OutsidePID() string { return os.Getenv(outsideVariable) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
