package kubeletclient

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	v1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Labels and annotations from which the kubelet rebuilds its state after a restart.
const (
	labelPodName       = "io.kubernetes.pod.name"
	labelPodNamespace  = "io.kubernetes.pod.namespace"
	labelPodUID        = "io.kubernetes.pod.uid"
	labelContainerName = "io.kubernetes.container.name"
)

var podNumber atomic.Int32

// A pod as the kubelet knows it.
type pod struct {
	t       *testing.T
	handler string
	config  *v1.PodSandboxConfig
	id      string
	folder  string // of the pod: /etc/hosts, termination logs
}

// newPod is the kubelet's preparation of a pod: log folder, cgroup, configuration.
func newPod(t *testing.T, handler string) *pod {
	t.Helper()
	uid := fmt.Sprintf("00000000-0000-4000-8000-%012d", podNumber.Add(1))
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	if len(name) > 63 {
		name = name[:63]
	}
	p := &pod{t: t, handler: handler, folder: filepath.Join(logsRoot, "kubelet-pods", uid)}
	logs := filepath.Join(logsRoot, fmt.Sprintf("default_%s_%s", name, uid))
	for _, folder := range []string{logs, p.folder} {
		succeed(t, "mkdir", os.MkdirAll(folder, 0o755))
	}
	parent := filepath.Join(cgroupRoot, "kubepods", "besteffort", "pod"+uid)
	succeed(t, "make the pod's cgroup", makeCgroup(parent))
	p.config = &v1.PodSandboxConfig{
		Metadata:     &v1.PodSandboxMetadata{Name: name, Namespace: "default", Uid: uid},
		Hostname:     name,
		LogDirectory: logs,
		DnsConfig: &v1.DNSConfig{Servers: []string{"10.96.0.10"}, Options: []string{"ndots:5"},
			Searches: []string{"default.svc.cluster.local", "svc.cluster.local", "cluster.local"}},
		Labels: map[string]string{"app": "test", labelPodName: name, labelPodNamespace: "default", labelPodUID: uid},
		Annotations: map[string]string{"kubernetes.io/config.seen": "2026-11-01T00:00:00Z",
			"kubernetes.io/config.source": "api", "example.com/empty": ""},
		Linux: &v1.LinuxPodSandboxConfig{
			CgroupParent: parent,
			SecurityContext: &v1.LinuxSandboxSecurityContext{
				NamespaceOptions: namespaces(),
				Seccomp:          &v1.SecurityProfile{ProfileType: v1.SecurityProfile_RuntimeDefault},
			},
			Overhead:  &v1.LinuxContainerResources{},
			Resources: &v1.LinuxContainerResources{CpuPeriod: 100000, CpuShares: 2},
		},
	}
	t.Cleanup(p.cleanUp)
	return p
}

func namespaces() *v1.NamespaceOption {
	return &v1.NamespaceOption{Network: v1.NamespaceMode_POD, Pid: v1.NamespaceMode_CONTAINER,
		Ipc: v1.NamespaceMode_POD, UsernsOptions: &v1.UserNamespace{Mode: v1.NamespaceMode_NODE}}
}

// runPod prepares and runs one.
func runPod(t *testing.T, handler string) *pod {
	t.Helper()
	p := newPod(t, handler)
	p.run()
	return p
}

func (p *pod) run() {
	p.t.Helper()
	p.id = must[string](p.t, "RunPodSandbox")(runtime.RunPodSandbox(context.Background(), p.config, p.handler))
}

func (p *pod) uid() string { return p.config.Metadata.Uid }

func (p *pod) status() *v1.PodSandboxStatus {
	p.t.Helper()
	return must[*v1.PodSandboxStatusResponse](p.t, "PodSandboxStatus")(
		runtime.PodSandboxStatus(context.Background(), p.id, false)).Status
}

// Idempotent, as the kubelet's own clean-up of a pod is.
func (p *pod) cleanUp() {
	p.t.Helper()
	ctx := context.Background()
	if p.id != "" {
		if err := runtime.StopPodSandbox(ctx, p.id); err != nil {
			p.t.Errorf("StopPodSandbox: %v", err)
		}
		if err := runtime.RemovePodSandbox(ctx, p.id); err != nil {
			p.t.Errorf("RemovePodSandbox: %v", err)
		}
	}
	if err := removeCgroup(p.config.Linux.CgroupParent); err != nil {
		p.t.Errorf("something is left in the pod's cgroup: %v", err)
	}
	os.RemoveAll(p.folder)
}

// hierarchies are the folders in which a cgroup has to be made: each of version 1, or the one.
func hierarchies() []string {
	mounts, _ := os.ReadFile("/proc/self/mounts")
	var folders []string
	for _, line := range strings.Split(string(mounts), "\n") {
		if fields := strings.Fields(line); len(fields) > 2 && (fields[2] == "cgroup" || fields[2] == "cgroup2") {
			folders = append(folders, fields[1])
		}
	}
	return folders
}

// makeCgroup makes a group and its parents in every hierarchy, as the kubelet's cgroup manager does.
func makeCgroup(path string) error {
	for _, hierarchy := range hierarchies() {
		folder := hierarchy
		for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
			parent := folder
			folder = filepath.Join(folder, part)
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
			// A new cpuset of version 1 has no CPU and no memory node.
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				value, err := os.ReadFile(filepath.Join(parent, file))
				own, _ := os.ReadFile(filepath.Join(folder, file))
				if err == nil && len(strings.TrimSpace(string(own))) == 0 {
					if err := os.WriteFile(filepath.Join(folder, file), value, 0); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// removeCgroup removes a pod's group and those parents that are empty then; it fails where the
// runtime left a group or a process in it.
func removeCgroup(path string) error {
	for _, hierarchy := range hierarchies() {
		if err := os.Remove(filepath.Join(hierarchy, path)); err != nil && !os.IsNotExist(err) {
			return err
		}
		for parent := filepath.Dir(path); parent != cgroupRoot; parent = filepath.Dir(parent) {
			if os.Remove(filepath.Join(hierarchy, parent)) != nil {
				break
			}
		}
	}
	return nil
}
