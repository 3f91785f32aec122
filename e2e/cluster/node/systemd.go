package node

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// CATAMARAN_E2E_CGROUP_DRIVER=systemd, as for the scenarios: pods' groups are made by systemd, where it is
// process 1. A world then shares the machine's process ids, which systemd is told, and its slices: only for
// a machine without another kubelet.
const driverVariable = "CATAMARAN_E2E_CGROUP_DRIVER"

func bySystemd() bool { return os.Getenv(driverVariable) == "systemd" }

// Of the kubelet's pods and of the daemon's own.
var slices = []string{"kubepods.slice", "catamaran_cluster.slice"}

func cgroupDriver() string {
	if bySystemd() {
		return "systemd"
	}
	return "cgroupfs"
}

// kubeletGroup is the kubelet's cgroupRoot, runtimeGroup the daemon's cgroup_root.
func (w *World) kubeletGroup() string {
	if bySystemd() {
		return "/"
	}
	return w.CgroupRoot
}

func (w *World) runtimeGroup() string {
	if bySystemd() {
		return "/" + slices[1]
	}
	return w.CgroupRoot + "/catamaran"
}

// groups are those below which everything of the world is.
func (w *World) groups() []string {
	if bySystemd() {
		return slices
	}
	return []string{w.CgroupRoot}
}

// checkSlices refuses a machine whose kubelet's pods this world would end.
func checkSlices() error {
	for _, slice := range slices {
		if exists(filepath.Join("/sys/fs/cgroup", slice)) {
			return fmt.Errorf("%s is there already: with %s=systemd this is only for a machine without a kubelet", slice, driverVariable)
		}
	}
	return nil
}

func stopSlices() {
	if output, err := exec.Command("systemctl", append([]string{"stop"}, slices...)...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cluster: systemctl stop: %v: %s\n", err, output)
	}
}

const setChildSubreaper = 36 // PR_SET_CHILD_SUBREAPER, which package syscall does not name

// adoptOrphans makes this process the parent of what its descendants leave behind.
func adoptOrphans() {
	_, _, _ = syscall.Syscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0)
}

// endChildren kills whatever has become a child of this process, as the end of a pid namespace does.
func endChildren() {
	for {
		lists, _ := filepath.Glob("/proc/self/task/*/children")
		for _, list := range lists {
			children, _ := os.ReadFile(list)
			for _, child := range strings.Fields(string(children)) {
				pid, _ := strconv.Atoi(child)
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if _, err := syscall.Wait4(-1, nil, 0, nil); err == syscall.ECHILD {
			return
		}
	}
}
