package node

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// CrashNode leaves of the node what a power cut leaves: its disk. Kubelet, runtime and pods die unasked,
// and what a kernel forgets is taken away: mounts, tmpfs, network namespaces, links, rules of pods,
// control groups. The control plane and kube-proxy go on, as on other machines. Not for containerd, whose
// shims are in none of the world's groups.
func (c *Cluster) CrashNode() error {
	c.Kubelet.program.Kill()
	c.Runtime.Kill()
	if err := c.World.killPods(); err != nil {
		return err
	}
	if err := c.World.forgetMounts(); err != nil {
		return err
	}
	if err := forgetNetwork(); err != nil {
		return err
	}
	if err := c.World.removeGroups(time.Minute); err != nil {
		return err
	}
	return c.World.makeCgroups()
}

// RestartNode starts what runs on a node, as its boot would.
func (c *Cluster) RestartNode() error {
	if err := c.Runtime.Start(); err != nil {
		return err
	}
	return c.Kubelet.Start()
}

// killPods ends every process in a group of the world: pods', shims' and machines'.
func (w *World) killPods() error {
	end := time.Now().Add(time.Minute)
	for time.Now().Before(end) {
		left := w.processesInGroups()
		if len(left) == 0 {
			return nil
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("processes that do not die: %v", w.processesInGroups())
}

func (w *World) processesInGroups() []int {
	var found []int
	groups, _ := filepath.Glob("/proc/[0-9]*/cgroup")
	for _, file := range groups {
		text, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(text, []byte(":"+w.CgroupRoot+"/")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil && !isZombie(pid) {
			found = append(found, pid)
		}
	}
	return found
}

// isZombie: whether it has died and only its status waits to be asked for.
func isZombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(text), ") ") // the name before it may hold anything
	return err != nil || strings.HasPrefix(after, "Z")
}

// forgetMounts takes away what was mounted below the world's folder, and all that tmpfs held.
func (w *World) forgetMounts() error {
	run := w.path("run")
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if words := strings.Fields(lines[i]); len(words) > 4 && strings.HasPrefix(words[4], w.Folder+"/") {
			if err := syscall.Unmount(words[4], syscall.MNT_DETACH); err != nil && err != syscall.EINVAL {
				return fmt.Errorf("unmount %s: %w", words[4], err)
			}
		}
	}
	return syscall.Mount("tmpfs", run, "tmpfs", 0, "mode=0700")
}

// forgetNetwork takes away links but the node's own, and the runtime's rules.
func forgetNetwork() error {
	links, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, link := range links {
		switch link.Name {
		case "lo", "node0", "uplink0":
		default:
			// One end of a pair takes the other along, and a device of the kernel's own stays.
			_ = exec.Command("ip", "link", "delete", link.Name).Run()
		}
	}
	tables, err := exec.Command("nft", "list", "tables").Output()
	if err != nil {
		return fmt.Errorf("nft list tables: %w", err)
	}
	for _, line := range strings.Split(string(tables), "\n") {
		words := strings.Fields(line)
		if len(words) != 3 || !strings.HasPrefix(words[2], "catamaran") {
			continue
		}
		if output, err := exec.Command("nft", "delete", "table", words[1], words[2]).CombinedOutput(); err != nil {
			return fmt.Errorf("nft delete %s: %w: %s", words[2], err, output)
		}
	}
	return nil
}
