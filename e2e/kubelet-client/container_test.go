package kubeletclient

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"time"

	v1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A program that ends at SIGTERM although it is process 1 of its namespace.
const sleeper = "trap 'exit 0' TERM; echo ready; while :; do sleep 1000 & wait $!; done"

// imageID is how the kubelet names an image in CreateContainer.
func (p *pod) imageID() string {
	p.t.Helper()
	status := must[*v1.ImageStatusResponse](p.t, "ImageStatus")(
		images.ImageStatus(context.Background(), &v1.ImageSpec{Image: imageName}, false))
	if status.Image == nil {
		p.t.Fatalf("ImageStatus: %s is not there", imageName)
	}
	return status.Image.Id
}

// containerConfig is what the kubelet makes of a container with a shell script and no limits.
func (p *pod) containerConfig(name, script string) *v1.ContainerConfig {
	p.t.Helper()
	const attempt = 0
	logs := filepath.Join(p.config.LogDirectory, name)
	succeed(p.t, "mkdir", os.MkdirAll(logs, 0o755))
	hosts := filepath.Join(p.folder, "etc-hosts")
	succeed(p.t, "write", os.WriteFile(hosts, []byte("127.0.0.1\tlocalhost\n"), 0o644))
	termination := filepath.Join(p.folder, name+"-termination-log")
	succeed(p.t, "write", os.WriteFile(termination, nil, 0o666))
	return &v1.ContainerConfig{
		Metadata: &v1.ContainerMetadata{Name: name, Attempt: attempt},
		Image:    &v1.ImageSpec{Image: p.imageID(), UserSpecifiedImage: imageName},
		Command:  []string{"/bin/sh", "-c", script},
		Envs: []*v1.KeyValue{{Key: "KUBERNETES_SERVICE_HOST", Value: []byte("10.96.0.1")},
			{Key: "EMPTY", Value: nil}},
		Mounts: []*v1.Mount{
			{ContainerPath: "/etc/hosts", HostPath: hosts},
			{ContainerPath: "/dev/termination-log", HostPath: termination},
		},
		Labels: map[string]string{labelPodName: p.config.Metadata.Name, labelPodNamespace: "default",
			labelPodUID: p.uid(), labelContainerName: name},
		Annotations: map[string]string{
			"io.kubernetes.container.hash":                     "5f8d9c2e",
			"io.kubernetes.container.restartCount":             strconv.Itoa(attempt),
			"io.kubernetes.container.terminationMessagePath":   "/dev/termination-log",
			"io.kubernetes.container.terminationMessagePolicy": "File",
			"io.kubernetes.pod.terminationGracePeriod":         "30",
		},
		LogPath: filepath.Join(name, strconv.Itoa(attempt)+".log"),
		Linux: &v1.LinuxContainerConfig{
			Resources: &v1.LinuxContainerResources{CpuPeriod: 100000, CpuShares: 2, OomScoreAdj: 1000,
				HugepageLimits: []*v1.HugepageLimit{{PageSize: "2MB"}, {PageSize: "1GB"}}},
			SecurityContext: &v1.LinuxContainerSecurityContext{
				NamespaceOptions: namespaces(),
				RunAsUser:        &v1.Int64Value{Value: 0},
				MaskedPaths:      []string{"/proc/asound", "/proc/kcore", "/proc/keys", "/proc/timer_list"},
				ReadonlyPaths:    []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
				Seccomp:          &v1.SecurityProfile{ProfileType: v1.SecurityProfile_Unconfined},
			},
		},
	}
}

func (p *pod) create(config *v1.ContainerConfig) string {
	p.t.Helper()
	return must[string](p.t, "CreateContainer "+config.Metadata.Name)(
		runtime.CreateContainer(context.Background(), p.id, config, p.config))
}

// start creates and starts a container with this script.
func (p *pod) start(name, script string) string {
	p.t.Helper()
	id := p.create(p.containerConfig(name, script))
	succeed(p.t, "StartContainer", runtime.StartContainer(context.Background(), id))
	return id
}

func (p *pod) container(id string) *v1.ContainerStatus {
	p.t.Helper()
	return must[*v1.ContainerStatusResponse](p.t, "ContainerStatus")(
		runtime.ContainerStatus(context.Background(), id, false)).Status
}

func (p *pod) waitForExit(id string) *v1.ContainerStatus {
	p.t.Helper()
	waitFor(p.t, "the container's end", func() bool {
		return p.container(id).State == v1.ContainerState_CONTAINER_EXITED
	})
	return p.container(id)
}

// exec is a probe or a hook: the output of a command that must succeed.
func (p *pod) exec(id string, command ...string) string {
	p.t.Helper()
	out, errors, err := runtime.ExecSync(context.Background(), id, command, 60*time.Second)
	if err != nil {
		p.t.Fatalf("ExecSync %q: %v (%s)", command, err, errors)
	}
	return string(out)
}
