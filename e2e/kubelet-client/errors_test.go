package kubeletclient

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	v1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const nobody = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func expectCode(t *testing.T, what string, err error, wanted codes.Code) {
	t.Helper()
	if status.Code(err) != wanted {
		t.Errorf("%s: got %v, want %s", what, err, wanted)
	}
}

// NotFound means "gone" to the kubelet wherever it asks; stopping and removing what is gone succeed.
func TestWhatIsGoneIsNotFound(t *testing.T) {
	ctx := context.Background()
	_, err := runtime.PodSandboxStatus(ctx, nobody, false)
	expectCode(t, "PodSandboxStatus", err, codes.NotFound)
	_, err = runtime.ContainerStatus(ctx, nobody, false)
	expectCode(t, "ContainerStatus", err, codes.NotFound)
	_, _, err = runtime.ExecSync(ctx, nobody, []string{"/bin/true"}, 0)
	expectCode(t, "ExecSync", err, codes.NotFound)
	_, err = runtime.ContainerStats(ctx, nobody)
	expectCode(t, "ContainerStats", err, codes.NotFound)
	_, err = runtime.PodSandboxStats(ctx, nobody)
	expectCode(t, "PodSandboxStats", err, codes.NotFound)
	expectCode(t, "StartContainer", runtime.StartContainer(ctx, nobody), codes.NotFound)
	expectCode(t, "ReopenContainerLog", runtime.ReopenContainerLog(ctx, nobody), codes.NotFound)
	expectCode(t, "UpdateContainerResources", runtime.UpdateContainerResources(ctx, nobody,
		&v1.ContainerResources{Linux: &v1.LinuxContainerResources{CpuShares: 2}}), codes.NotFound)

	expectCode(t, "StopContainer", runtime.StopContainer(ctx, nobody, 1), codes.OK)
	expectCode(t, "RemoveContainer", runtime.RemoveContainer(ctx, nobody), codes.OK)
	expectCode(t, "StopPodSandbox", runtime.StopPodSandbox(ctx, nobody), codes.OK)
	expectCode(t, "RemovePodSandbox", runtime.RemovePodSandbox(ctx, nobody), codes.OK)
}

// Those texts are what a user reads in the pod's events.
func TestRefusalsNameWhatIsWrong(t *testing.T) {
	ctx := context.Background()
	p := newPod(t, "ns")
	_, err := runtime.RunPodSandbox(ctx, p.config, "no-such-handler")
	expectCode(t, "an unknown handler", err, codes.InvalidArgument)
	if !strings.Contains(err.Error(), "no-such-handler") {
		t.Errorf("an unknown handler: %v", err)
	}
	p.run()
	config := p.containerConfig("main", sleeper)
	config.Image.Image = "registry.example/absent:1"
	_, err = runtime.CreateContainer(ctx, p.id, config, p.config)
	expectCode(t, "an absent image", err, codes.NotFound)
	config = p.containerConfig("main", sleeper)
	config.Mounts = append(config.Mounts, &v1.Mount{ContainerPath: "data", HostPath: p.folder})
	_, err = runtime.CreateContainer(ctx, p.id, config, p.config)
	expectCode(t, "a mount without a place", err, codes.InvalidArgument)
	if !strings.Contains(err.Error(), `data`) {
		t.Errorf("a mount without a place: %v", err)
	}
	if list, err := runtime.ListContainers(ctx, &v1.ContainerFilter{PodSandboxId: p.id}); err != nil || len(list) != 0 {
		t.Errorf("what was refused is listed: %v %v", list, err)
	}
}

// Calls that a kubelet makes only with certain features, and lives without: served, or said not to
// be by the code that its client tests for.
func TestOptionalCallsAreServedOrUnimplemented(t *testing.T) {
	ctx := context.Background()
	p := runPod(t, "ns")
	id := p.start("main", sleeper)
	for what, call := range map[string]func() error{
		"Exec": func() error {
			_, err := runtime.Exec(ctx, &v1.ExecRequest{ContainerId: id, Cmd: []string{"/bin/true"}, Stdout: true})
			return err
		},
		"Attach": func() error {
			_, err := runtime.Attach(ctx, &v1.AttachRequest{ContainerId: id, Stdout: true})
			return err
		},
		"PortForward": func() error {
			_, err := runtime.PortForward(ctx, &v1.PortForwardRequest{PodSandboxId: p.id, Port: []int32{80}})
			return err
		},
		"UpdatePodSandboxResources": func() error {
			_, err := runtime.UpdatePodSandboxResources(ctx, &v1.UpdatePodSandboxResourcesRequest{PodSandboxId: p.id,
				Resources: &v1.LinuxContainerResources{CpuShares: 2}})
			return err
		},
		"ListMetricDescriptors": func() error { _, err := runtime.ListMetricDescriptors(ctx); return err },
		"ListPodSandboxMetrics": func() error { _, err := runtime.ListPodSandboxMetrics(ctx); return err },
	} {
		switch err := call(); status.Code(err) {
		case codes.OK:
			t.Logf("%s: served", what)
		case codes.Unimplemented:
			t.Logf("%s: not served", what)
		default:
			t.Errorf("%s: %v", what, err)
		}
	}
}
